/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/sysctl.c - /proc/sys (proc_sys_kernel(5), proc_sys_vm(5) and kin), as a table.
 *
 * Numbers that may be written are remembered for the sandbox; those that only describe the kernel
 * are read-only. Host and domain name belong to the reader's UTS namespace.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/fs/proc/internal.h"
#include "sentry/fs/proc/sysinfo.h"

#define UUID_LEN 16

struct number {
	int64_t value, min, max;
};

static struct number *number_of(const struct kern_inode *ki)
{
	return (struct number *)(uintptr_t)ki->node->data;
}

static int number_show(struct kern_inode *ki, struct buf *b)
{
	return buf_printf(b, "%" PRId64 "\n", number_of(ki)->value);
}

static int number_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	struct number *n = number_of(ki);
	int64_t value;

	if (kern_parse_int(text, n->min, n->max, &value) < 0)
		return -EINVAL;
	n->value = value;
	return 0;
}

#define NUMBER(name_, value_, min_, max_)                                     \
	{                                                                     \
		.name = (name_), .mode = S_IFREG | 0644, .show = number_show, \
		.store = number_store, .data = &(struct number)               \
		{                                                             \
			(value_), (min_), (max_)                              \
		}                                                             \
	}
#define CONSTANT(name_, text_) KERN_TEXT(name_, 0444, text_ "\n")

/* Several numbers in a line; a write that has fewer of them leaves the rest as it is. */
#define NUMBERS_MAX 4

struct numbers {
	unsigned int len;
	int64_t min, max;
	int64_t values[NUMBERS_MAX];
};

static struct numbers *numbers_of(const struct kern_inode *ki)
{
	return (struct numbers *)(uintptr_t)ki->node->data;
}

static int numbers_show(struct kern_inode *ki, struct buf *b)
{
	const struct numbers *n = numbers_of(ki);
	int r = 0;

	for (unsigned int i = 0; i < n->len && r >= 0; i++)
		r = buf_printf(b, "%" PRId64 "%s", n->values[i], i + 1 < n->len ? "\t" : "\n");
	return r;
}

static int numbers_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	struct numbers *n = numbers_of(ki);
	int64_t values[NUMBERS_MAX];
	char *save = NULL;
	unsigned int got = 0;

	for (char *word = strtok_r(text, " \t\n", &save); word;
	     word = strtok_r(NULL, " \t\n", &save)) {
		if (got == n->len || kern_parse_int(word, n->min, n->max, &values[got]) < 0)
			return -EINVAL;
		got++;
	}
	memcpy(n->values, values, got * sizeof(values[0]));
	return 0;
}

#define NUMBERS(name_, len_, min_, max_, ...)                                  \
	{                                                                      \
		.name = (name_), .mode = S_IFREG | 0644, .show = numbers_show, \
		.store = numbers_store, .data = &(struct numbers)              \
		{                                                              \
			(len_), (min_), (max_),                                \
			{                                                      \
				__VA_ARGS__                                    \
			}                                                      \
		}                                                              \
	}

/* Of the reader's namespaces, which they steer: sysctl_ns.c. */
#define NS_LIMIT(name_) KERN_RW(name_, 0644, proc_ns_limit_show, proc_ns_limit_store)

static struct uts_ns *uts_of_reader(void)
{
	const struct task *t = task_current();

	return t && t->ns ? t->ns->uts : NULL;
}

static int hostname_show(struct kern_inode *ki, struct buf *b)
{
	const struct uts_ns *uts = uts_of_reader();

	return buf_printf(b, "%s\n", uts ? uts->nodename : "(none)");
}

static int domainname_show(struct kern_inode *ki, struct buf *b)
{
	const struct uts_ns *uts = uts_of_reader();

	return buf_printf(b, "%s\n", uts && uts->domainname[0] ? uts->domainname : "(none)");
}

static int name_store(const struct uts_ns *uts, char *name, char *text)
{
	const struct task *t = task_current();

	if (t && !task_ns_capable(t, uts->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	text[strcspn(text, "\n")] = '\0';
	if (strlen(text) > UTS_NAME_MAX)
		text[UTS_NAME_MAX] = '\0';
	memcpy(name, text, strlen(text) + 1);
	return 0;
}

static int hostname_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	struct uts_ns *uts = uts_of_reader();

	return uts ? name_store(uts, uts->nodename, text) : -EPERM;
}

static int domainname_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	struct uts_ns *uts = uts_of_reader();

	return uts ? name_store(uts, uts->domainname, text) : -EPERM;
}

static int put_uuid(struct buf *b, unsigned char id[static UUID_LEN])
{
	for (int i = 0; i < UUID_LEN; i++)
		(void)buf_printf(b, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
				 id[i]);
	return buf_puts(b, "\n");
}

/* RFC 9562, version 4. */
static int make_uuid(unsigned char id[static UUID_LEN])
{
	if (getrandom(id, UUID_LEN, 0) != UUID_LEN)
		return -EIO;
	id[6] = (unsigned char)((id[6] & 0x0f) | 0x40);
	id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
	return 0;
}

static int uuid_show(struct kern_inode *ki, struct buf *b)
{
	unsigned char id[UUID_LEN];
	const int r = make_uuid(id);

	return r < 0 ? r : put_uuid(b, id);
}

static int boot_id_show(struct kern_inode *ki, struct buf *b)
{
	static unsigned char id[UUID_LEN];
	int r = 0;

	if (!id[6])
		r = make_uuid(id);
	return r < 0 ? r : put_uuid(b, id);
}

static int overflow_id_show(struct kern_inode *ki, struct buf *b)
{
	return buf_puts(b, "65534\n");
}

static int last_pid_show(struct kern_inode *ki, struct buf *b)
{
	return buf_printf(b, "%d\n", pid_ns_last(proc_info_of(ki)->ns));
}

static int last_pid_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	const struct task *t = task_current();
	int64_t value;

	if (t && !task_ns_capable(t, pid_ns_user(proc_info_of(ki)->ns), CAP_SYS_ADMIN))
		return -EPERM;
	if (kern_parse_int(text, 0, PID_MAX, &value) < 0)
		return -EINVAL;
	pid_ns_set_last(proc_info_of(ki)->ns, (int)value);
	return 0;
}

static const struct kern_node random_children[] = {
	KERN_SHOW("boot_id", 0444, boot_id_show),
	CONSTANT("entropy_avail", "256"),
	CONSTANT("poolsize", "256"),
	CONSTANT("urandom_min_reseed_secs", "60"),
	KERN_SHOW("uuid", 0444, uuid_show),
	NUMBER("write_wakeup_threshold", 256, 0, 256),
	{ 0 },
};

static const struct kern_node yama_children[] = {
	NUMBER("ptrace_scope", 0, 0, 0),
	{ 0 },
};

static const struct kern_node keys_children[] = {
	NUMBER("maxbytes", 20000, 0, INT32_MAX),
	NUMBER("maxkeys", 200, 0, INT32_MAX),
	{ 0 },
};

static const struct kern_node kernel_children[] = {
	NUMBER("auto_msgmni", 0, 0, 1),
	KERN_TEXT("cap_last_cap", 0444, "40\n"),
	KERN_TEXT("core_pattern", 0444, "core\n"),
	NUMBER("core_uses_pid", 0, 0, 1),
	NUMBER("dmesg_restrict", 1, 0, 1),
	KERN_RW("domainname", 0644, domainname_show, domainname_store),
	KERN_RW("hostname", 0644, hostname_show, hostname_store),
	KERN_DIR("keys", 0555, keys_children),
	NUMBER("kptr_restrict", 1, 0, 2),
	NS_LIMIT("msgmax"),
	NS_LIMIT("msgmnb"),
	NS_LIMIT("msgmni"),
	CONSTANT("ngroups_max", "65536"),
	KERN_RW("ns_last_pid", 0666, last_pid_show, last_pid_store),
	CONSTANT("osrelease", SANDBOX_RELEASE),
	CONSTANT("ostype", "Linux"),
	KERN_SHOW("overflowgid", 0444, overflow_id_show),
	KERN_SHOW("overflowuid", 0444, overflow_id_show),
	NUMBER("panic", 0, INT32_MIN, INT32_MAX),
	NUMBER("perf_event_paranoid", 4, -1, 4),
	CONSTANT("pid_max", "32768"),
	CONSTANT("printk", "4\t4\t1\t7"),
	KERN_DIR("random", 0555, random_children),
	NUMBER("randomize_va_space", 2, 0, 2),
	CONSTANT("sched_autogroup_enabled", "0"),
	NUMBER("sched_rt_period_us", 1000000, 1, INT32_MAX),
	NUMBER("sched_rt_runtime_us", 950000, -1, INT32_MAX),
	NS_LIMIT("sem"),
	NUMBER("shm_rmid_forced", 0, 0, 1),
	NS_LIMIT("shmall"),
	NS_LIMIT("shmmax"),
	NS_LIMIT("shmmni"),
	NUMBER("sysrq", 0, 0, 511),
	NUMBER("tainted", 0, 0, 0),
	NUMBER("threads-max", 32768, 1, INT32_MAX),
	NUMBER("unprivileged_bpf_disabled", 2, 0, 2),
	CONSTANT("version", SANDBOX_VERSION),
	KERN_DIR("yama", 0555, yama_children),
	{ 0 },
};

static const struct kern_node inotify_children[] = {
	CONSTANT("max_queued_events", "16384"),
	CONSTANT("max_user_instances", "1024"),
	CONSTANT("max_user_watches", "65536"),
	{ 0 },
};

static const struct kern_node epoll_children[] = {
	CONSTANT("max_user_watches", "1048576"),
	{ 0 },
};

static const struct kern_node mqueue_children[] = {
	KERN_RW("msg_default", 0644, mqueue_limit_show, mqueue_limit_store),
	KERN_RW("msg_max", 0644, mqueue_limit_show, mqueue_limit_store),
	KERN_RW("msgsize_default", 0644, mqueue_limit_show, mqueue_limit_store),
	KERN_RW("msgsize_max", 0644, mqueue_limit_show, mqueue_limit_store),
	KERN_RW("queues_max", 0644, mqueue_limit_show, mqueue_limit_store),
	{ 0 },
};

static const struct kern_node fs_children[] = {
	NUMBER("aio-max-nr", 65536, 0, INT32_MAX),
	CONSTANT("aio-nr", "0"),
	CONSTANT("dentry-state", "0\t0\t45\t0\t0\t0"),
	KERN_DIR("epoll", 0555, epoll_children),
	NUMBER("file-max", 1048576, 0, INT64_MAX),
	CONSTANT("file-nr", "0\t0\t1048576"),
	KERN_DIR("inotify", 0555, inotify_children),
	CONSTANT("lease-break-time", "45"),
	CONSTANT("leases-enable", "1"),
	CONSTANT("mount-max", "100000"),
	KERN_DIR("mqueue", 0555, mqueue_children),
	CONSTANT("nr_open", "1048576"),
	CONSTANT("pipe-max-size", "1048576"),
	CONSTANT("pipe-user-pages-hard", "0"),
	CONSTANT("pipe-user-pages-soft", "16384"),
	CONSTANT("protected_fifos", "0"),
	CONSTANT("protected_hardlinks", "0"),
	CONSTANT("protected_regular", "0"),
	CONSTANT("protected_symlinks", "0"),
	NUMBER("suid_dumpable", 0, 0, 2),
	{ 0 },
};

static const struct kern_node vm_children[] = {
	NUMBER("admin_reserve_kbytes", 8192, 0, INT64_MAX),
	NUMBER("compaction_proactiveness", 20, 0, 100),
	NUMBER("dirty_background_bytes", 0, 0, INT64_MAX),
	NUMBER("dirty_background_ratio", 10, 0, 100),
	NUMBER("dirty_bytes", 0, 0, INT64_MAX),
	NUMBER("dirty_expire_centisecs", 3000, 0, INT32_MAX),
	NUMBER("dirty_ratio", 20, 0, 100),
	NUMBER("dirty_writeback_centisecs", 500, 0, INT32_MAX),
	NUMBER("drop_caches", 0, 1, 4),
	NUMBER("max_map_count", MM_AREAS_MAX, MM_AREAS_MAX, INT32_MAX),
	CONSTANT("mmap_min_addr", "65536"),
	NUMBER("nr_hugepages", 0, 0, 0),
	NUMBER("oom_kill_allocating_task", 0, 0, 1),
	NUMBER("overcommit_kbytes", 0, 0, INT64_MAX),
	NUMBER("overcommit_memory", 1, 0, 2),
	NUMBER("overcommit_ratio", 50, 0, INT32_MAX),
	NUMBER("page-cluster", 3, 0, 31),
	NUMBER("panic_on_oom", 0, 0, 2),
	NUMBER("swappiness", 60, 0, 200),
	NUMBER("user_reserve_kbytes", 131072, 0, INT64_MAX),
	NUMBER("vfs_cache_pressure", 100, 0, INT32_MAX),
	NUMBER("zone_reclaim_mode", 0, 0, 7),
	{ 0 },
};

static const struct kern_node core_children[] = {
	CONSTANT("default_qdisc", "pfifo_fast"),
	NUMBER("netdev_max_backlog", 1000, 0, INT32_MAX),
	NUMBER("optmem_max", 20480, 0, INT32_MAX),
	NUMBER("rmem_default", 212992, 2304, INT32_MAX),
	NUMBER("rmem_max", 212992, 2304, INT32_MAX),
	NS_LIMIT("somaxconn"),
	NUMBER("wmem_default", 212992, 4608, INT32_MAX),
	NUMBER("wmem_max", 212992, 4608, INT32_MAX),
	{ 0 },
};

static const struct kern_node ipv4_conf_each[] = {
	NUMBER("accept_redirects", 1, 0, 1), NUMBER("arp_ignore", 0, 0, 8),
	NUMBER("forwarding", 0, 0, 1),	     NUMBER("route_localnet", 0, 0, 1),
	NUMBER("rp_filter", 0, 0, 2),	     { 0 },
};

static const struct kern_node ipv4_conf[] = {
	KERN_DIR("all", 0555, ipv4_conf_each),
	KERN_DIR("default", 0555, ipv4_conf_each),
	KERN_DIR("lo", 0555, ipv4_conf_each),
	{ 0 },
};

static const struct kern_node ipv4_children[] = {
	KERN_DIR("conf", 0555, ipv4_conf),
	NUMBER("icmp_echo_ignore_all", 0, 0, 1),
	NUMBER("ip_default_ttl", 64, 1, 255),
	NUMBER("ip_forward", 0, 0, 1),
	NS_LIMIT("ip_local_port_range"),
	CONSTANT("ip_local_reserved_ports", ""),
	NUMBER("ip_nonlocal_bind", 0, 0, 1),
	NS_LIMIT("ip_unprivileged_port_start"),
	NUMBERS("ping_group_range", 2, 0, UINT32_MAX, 0, INT32_MAX), /* as engines set it */
	CONSTANT("tcp_available_congestion_control", "reno cubic"),
	CONSTANT("tcp_allowed_congestion_control", "reno cubic"),
	CONSTANT("tcp_congestion_control", "cubic"),
	NUMBER("tcp_fastopen", 1, 0, INT32_MAX),
	NUMBER("tcp_fin_timeout", 60, 0, INT32_MAX),
	NUMBER("tcp_keepalive_intvl", 75, 1, INT32_MAX),
	NUMBER("tcp_keepalive_probes", 9, 0, 255),
	NUMBER("tcp_keepalive_time", 7200, 0, INT32_MAX),
	NUMBER("tcp_max_syn_backlog", 512, 0, INT32_MAX),
	NUMBER("tcp_max_tw_buckets", 65536, 0, INT32_MAX),
	NUMBERS("tcp_mem", 3, 0, INT32_MAX, 188319, 251094, 376638),
	NUMBER("tcp_retries1", 3, 0, 255),
	NUMBER("tcp_retries2", 15, 0, INT32_MAX),
	NUMBERS("tcp_rmem", 3, 1, INT32_MAX, 4096, 131072, 6291456),
	NUMBER("tcp_sack", 1, 0, 1),
	NUMBER("tcp_slow_start_after_idle", 1, 0, 1),
	NUMBER("tcp_syn_retries", 6, 1, 127),
	NUMBER("tcp_synack_retries", 5, 0, 255),
	NUMBER("tcp_syncookies", 1, 0, 2),
	NUMBER("tcp_timestamps", 1, 0, 2),
	NUMBER("tcp_tw_reuse", 2, 0, 2),
	NUMBER("tcp_window_scaling", 1, 0, 1),
	NUMBERS("tcp_wmem", 3, 1, INT32_MAX, 4096, 16384, 4194304),
	NUMBERS("udp_mem", 3, 0, INT32_MAX, 376638, 502186, 753276),
	{ 0 },
};

static const struct kern_node ipv6_conf_each[] = {
	NUMBER("accept_ra", 1, 0, 2),
	NUMBER("disable_ipv6", 0, 0, 1),
	NUMBER("forwarding", 0, 0, 1),
	{ 0 },
};

static const struct kern_node ipv6_conf[] = {
	KERN_DIR("all", 0555, ipv6_conf_each),
	KERN_DIR("default", 0555, ipv6_conf_each),
	KERN_DIR("lo", 0555, ipv6_conf_each),
	{ 0 },
};

static const struct kern_node ipv6_children[] = {
	NUMBER("bindv6only", 0, 0, 1),
	KERN_DIR("conf", 0555, ipv6_conf),
	{ 0 },
};

static const struct kern_node unix_children[] = {
	NUMBER("max_dgram_qlen", 512, 0, INT32_MAX),
	{ 0 },
};

static const struct kern_node net_children[] = {
	KERN_DIR("core", 0555, core_children),
	KERN_DIR("ipv4", 0555, ipv4_children),
	KERN_DIR("ipv6", 0555, ipv6_children),
	KERN_DIR("unix", 0555, unix_children),
	{ 0 },
};

static const struct kern_node user_children[] = {
	CONSTANT("max_mnt_namespaces", "4096"),
	/* MOUNT_NS_COUNT_MAX */ CONSTANT("max_pid_namespaces", "32768"),
	CONSTANT("max_user_namespaces", "4096"), /* USER_NS_MAX */
	CONSTANT("max_uts_namespaces", "32768"),
	{ 0 },
};

static const struct kern_node empty[] = { { 0 } };

const struct kern_node proc_sys_children[] = {
	KERN_DIR("abi", 0555, empty),
	KERN_DIR("debug", 0555, empty),
	KERN_DIR("dev", 0555, empty),
	KERN_DIR("fs", 0555, fs_children),
	KERN_DIR("kernel", 0555, kernel_children),
	KERN_DIR("net", 0555, net_children),
	KERN_DIR("user", 0555, user_children),
	KERN_DIR("vm", 0555, vm_children),
	{ 0 },
};
