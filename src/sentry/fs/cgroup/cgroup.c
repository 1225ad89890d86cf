/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/cgroup/cgroup.c - the files (Linux Documentation/admin-guide/cgroup-v2.rst and
 * cgroup-v1/).
 */
#include "sentry/fs/cgroup/cgroup.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/fs/kernfs/kernfs.h"
#include "sentry/fs/proc/sysinfo.h"
#include "sentry/task/namespaces.h"
#include "sentry/task/task.h"

#define CGROUP_MAGIC	  0x27e0eb
#define CGROUP2_MAGIC	  0x63677270
#define DEFAULT_PERIOD_US 100000ull

/* The machine as the reader's container is limited: of a pod each has limits of its own. */
static const struct sandbox_info *machine_now(void)
{
	const struct task *t = task_current();

	return t && t->container->machine ? t->container->machine : sysinfo_get();
}

/* Time and anonymous memory of its processes: whose the rest is, nobody knows. */
static void add_processes(const struct container *c, struct pid_ns *ns, struct sandbox_usage *ret)
{
	struct thread_group *tg;

	while (pid_ns_parent(ns))
		ns = pid_ns_parent(ns);
	for (int pid = 1; (tg = thread_group_next(ns, pid, &pid)); pid++) {
		uint64_t user, system;

		if (tg->container == c) {
			thread_group_cpu_ns(tg, &user, &system);
			ret->cpu_user_ns += user + tg->cutime_ns;
			ret->cpu_system_ns += system + tg->cstime_ns;
			ret->anon += thread_group_anon(tg);
		}
		thread_group_unref(tg);
	}
}

static struct sandbox_usage usage_now(void)
{
	const struct task *t = task_current();
	struct sandbox_usage use = { 0 };

	if (!t || !t->container->machine) {
		sysinfo_usage(&use);
		return use;
	}
	add_processes(t->container, task_pid_ns(t), &use);
	if (use.anon > t->container->machine->memory_limit)
		use.anon = t->container->machine->memory_limit;
	use.memory = use.anon;
	return use;
}

static int show_memory_current(struct kern_inode *ki, struct buf *b)
{
	return buf_printf(b, "%" PRIu64 "\n", usage_now().memory);
}

static int show_memory_max(struct kern_inode *ki, struct buf *b)
{
	return buf_printf(b, "%" PRIu64 "\n", machine_now()->memory_limit);
}

static int show_memsw_limit(struct kern_inode *ki, struct buf *b)
{
	return buf_printf(b, "%" PRIu64 "\n",
			  machine_now()->memory_limit + machine_now()->swap_limit);
}

static int show_swap_max(struct kern_inode *ki, struct buf *b)
{
	return buf_printf(b, "%" PRIu64 "\n", machine_now()->swap_limit);
}

static int show_memory_stat(struct kern_inode *ki, struct buf *b)
{
	const struct sandbox_usage use = usage_now();
	const uint64_t file = use.memory - use.anon;

	return buf_printf(b,
			  "anon %" PRIu64 "\nfile %" PRIu64 "\nkernel 0\nkernel_stack 0\n"
			  "pagetables 0\nsock 0\nshmem %" PRIu64 "\nfile_mapped 0\nfile_dirty 0\n"
			  "file_writeback 0\nswapcached 0\ninactive_anon 0\nactive_anon %" PRIu64
			  "\ninactive_file %" PRIu64 "\nactive_file 0\nunevictable 0\n"
			  "slab_reclaimable 0\nslab_unreclaimable 0\nslab 0\npgfault 0\n"
			  "pgmajfault 0\n",
			  use.anon, file, use.shmem, use.anon, file - use.shmem);
}

static int show_v1_memory_stat(struct kern_inode *ki, struct buf *b)
{
	const struct sandbox_usage use = usage_now();
	const uint64_t file = use.memory - use.anon;

	return buf_printf(b,
			  "cache %" PRIu64 "\nrss %" PRIu64 "\nshmem %" PRIu64
			  "\nmapped_file 0\nswap 0\ninactive_anon 0\nactive_anon %" PRIu64
			  "\ninactive_file %" PRIu64 "\nactive_file 0\nunevictable 0\n"
			  "hierarchical_memory_limit %" PRIu64 "\ntotal_cache %" PRIu64
			  "\ntotal_rss %" PRIu64 "\ntotal_inactive_file %" PRIu64 "\n",
			  file, use.anon, use.shmem, use.anon, file - use.shmem,
			  machine_now()->memory_limit, file, use.anon, file - use.shmem);
}

static uint64_t period(void)
{
	const uint64_t us = machine_now()->cpu_period_us;

	return us ? us : DEFAULT_PERIOD_US;
}

static int show_cpu_max(struct kern_inode *ki, struct buf *b)
{
	const uint64_t quota = machine_now()->cpu_quota_us;

	if (quota)
		return buf_printf(b, "%" PRIu64 " %" PRIu64 "\n", quota, period());
	return buf_printf(b, "max %" PRIu64 "\n", period());
}

static int show_cfs_quota(struct kern_inode *ki, struct buf *b)
{
	const uint64_t quota = machine_now()->cpu_quota_us;

	return quota ? buf_printf(b, "%" PRIu64 "\n", quota) : buf_puts(b, "-1\n");
}

static int show_cfs_period(struct kern_inode *ki, struct buf *b)
{
	return buf_printf(b, "%" PRIu64 "\n", period());
}

static int show_cpu_stat(struct kern_inode *ki, struct buf *b)
{
	const struct sandbox_usage use = usage_now();

	return buf_printf(b,
			  "usage_usec %" PRIu64 "\nuser_usec %" PRIu64 "\nsystem_usec %" PRIu64
			  "\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
			  (use.cpu_user_ns + use.cpu_system_ns) / 1000, use.cpu_user_ns / 1000,
			  use.cpu_system_ns / 1000);
}

static int show_cpuacct_usage(struct kern_inode *ki, struct buf *b)
{
	const struct sandbox_usage use = usage_now();

	return buf_printf(b, "%" PRIu64 "\n", use.cpu_user_ns + use.cpu_system_ns);
}

static int show_cpuacct_stat(struct kern_inode *ki, struct buf *b)
{
	const struct sandbox_usage use = usage_now();

	return buf_printf(b, "user %" PRIu64 "\nsystem %" PRIu64 "\n", use.cpu_user_ns / 10000000,
			  use.cpu_system_ns / 10000000);
}

static int show_cpus(struct kern_inode *ki, struct buf *b)
{
	const unsigned int cpus = sysinfo_get()->cpus;

	return cpus == 1 ? buf_puts(b, "0\n") : buf_printf(b, "0-%u\n", cpus - 1);
}

static int show_pids_current(struct kern_inode *ki, struct buf *b)
{
	const struct task *t = task_current();

	return buf_printf(b, "%u\n", t ? t->container->tasks : 0);
}

static int show_pids_max(struct kern_inode *ki, struct buf *b)
{
	const uint64_t limit = machine_now()->pids_limit;

	return limit ? buf_printf(b, "%" PRIu64 "\n", limit) : buf_puts(b, "max\n");
}

/* Processes of the reader's container and pid namespace; `threads`: each thread. */
static int list_tasks(struct buf *b, bool threads)
{
	const struct task *t = task_current();
	struct pid_ns *ns;
	int nr = 1;

	if (!t)
		return 0;
	ns = task_pid_ns(t);
	for (struct pid *p = pid_next(ns, nr); p; p = pid_next(ns, nr)) {
		nr = pid_nr(p, ns) + 1;
		if (threads ? !p->task || p->task->container != t->container
			    : !p->tg || p->tg->container != t->container)
			continue;
		(void)buf_printf(b, "%d\n", nr - 1);
	}
	return 0;
}

static int show_procs(struct kern_inode *ki, struct buf *b)
{
	return list_tasks(b, false);
}

static int show_threads(struct kern_inode *ki, struct buf *b)
{
	return list_tasks(b, true);
}

#define PRESSURE                                           \
	"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n" \
	"full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"

static const struct kern_node v2_children[] = {
	KERN_TEXT("cgroup.controllers", 0444, "cpuset cpu io memory pids\n"),
	KERN_TEXT("cgroup.events", 0444, "populated 1\nfrozen 0\n"),
	KERN_TEXT("cgroup.freeze", 0444, "0\n"),
	KERN_TEXT("cgroup.max.depth", 0444, "max\n"),
	KERN_TEXT("cgroup.max.descendants", 0444, "max\n"),
	KERN_SHOW("cgroup.procs", 0444, show_procs),
	KERN_TEXT("cgroup.stat", 0444, "nr_descendants 0\nnr_dying_descendants 0\n"),
	KERN_TEXT("cgroup.subtree_control", 0444, "\n"),
	KERN_SHOW("cgroup.threads", 0444, show_threads),
	KERN_TEXT("cgroup.type", 0444, "domain\n"),
	KERN_SHOW("cpu.max", 0444, show_cpu_max),
	KERN_TEXT("cpu.max.burst", 0444, "0\n"),
	KERN_TEXT("cpu.pressure", 0444, PRESSURE),
	KERN_SHOW("cpu.stat", 0444, show_cpu_stat),
	KERN_TEXT("cpu.weight", 0444, "100\n"),
	KERN_TEXT("cpu.weight.nice", 0444, "0\n"),
	KERN_TEXT("cpuset.cpus", 0444, "\n"),
	KERN_SHOW("cpuset.cpus.effective", 0444, show_cpus),
	KERN_TEXT("cpuset.mems", 0444, "\n"),
	KERN_TEXT("cpuset.mems.effective", 0444, "0\n"),
	KERN_TEXT("io.pressure", 0444, PRESSURE),
	KERN_TEXT("io.stat", 0444, ""),
	KERN_SHOW("memory.current", 0444, show_memory_current),
	KERN_TEXT("memory.events", 0444,
		  "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"),
	KERN_TEXT("memory.high", 0444, "max\n"),
	KERN_TEXT("memory.low", 0444, "0\n"),
	KERN_SHOW("memory.max", 0444, show_memory_max),
	KERN_TEXT("memory.min", 0444, "0\n"),
	KERN_TEXT("memory.oom.group", 0444, "0\n"),
	KERN_SHOW("memory.peak", 0444, show_memory_current),
	KERN_TEXT("memory.pressure", 0444, PRESSURE),
	KERN_SHOW("memory.stat", 0444, show_memory_stat),
	KERN_TEXT("memory.swap.current", 0444, "0\n"),
	KERN_SHOW("memory.swap.max", 0444, show_swap_max),
	KERN_SHOW("pids.current", 0444, show_pids_current),
	KERN_TEXT("pids.events", 0444, "max 0\n"),
	KERN_SHOW("pids.max", 0444, show_pids_max),
	{ 0 },
};

static const struct kern_node v2_root = KERN_DIR("/", 0555, v2_children);

/* Version 1: a file belongs to the controller that its name begins with. */
static const struct kern_node v1_children[] = {
	KERN_TEXT("cgroup.clone_children", 0444, "0\n"),
	KERN_SHOW("cgroup.procs", 0444, show_procs),
	KERN_SHOW("cpu.cfs_period_us", 0444, show_cfs_period),
	KERN_SHOW("cpu.cfs_quota_us", 0444, show_cfs_quota),
	KERN_TEXT("cpu.shares", 0444, "1024\n"),
	KERN_TEXT("cpu.stat", 0444, "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"),
	KERN_SHOW("cpuacct.stat", 0444, show_cpuacct_stat),
	KERN_SHOW("cpuacct.usage", 0444, show_cpuacct_usage),
	KERN_SHOW("cpuset.cpus", 0444, show_cpus),
	KERN_SHOW("cpuset.effective_cpus", 0444, show_cpus),
	KERN_TEXT("cpuset.mems", 0444, "0\n"),
	KERN_TEXT("freezer.state", 0444, "THAWED\n"),
	KERN_TEXT("memory.failcnt", 0444, "0\n"),
	KERN_SHOW("memory.limit_in_bytes", 0444, show_memory_max),
	KERN_SHOW("memory.max_usage_in_bytes", 0444, show_memory_current),
	KERN_SHOW("memory.memsw.limit_in_bytes", 0444, show_memsw_limit),
	KERN_SHOW("memory.memsw.usage_in_bytes", 0444, show_memory_current),
	KERN_TEXT("memory.oom_control", 0444, "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"),
	KERN_TEXT("memory.soft_limit_in_bytes", 0444, "9223372036854771712\n"),
	KERN_SHOW("memory.stat", 0444, show_v1_memory_stat),
	KERN_TEXT("memory.swappiness", 0444, "60\n"),
	KERN_SHOW("memory.usage_in_bytes", 0444, show_memory_current),
	KERN_TEXT("memory.use_hierarchy", 0444, "1\n"),
	KERN_TEXT("notify_on_release", 0444, "0\n"),
	KERN_SHOW("pids.current", 0444, show_pids_current),
	KERN_SHOW("pids.max", 0444, show_pids_max),
	KERN_SHOW("tasks", 0444, show_threads),
	{ 0 },
};

static const char *const controllers[] = { "cpu",  "cpuacct", "cpuset", "memory",
					   "pids", "freezer", "blkio",	"devices" };

#define CONTROLLERS (sizeof(controllers) / sizeof(controllers[0]))

struct v1_info {
	bool has[CONTROLLERS];
};

static bool v1_hidden(struct kern_inode *dir, const struct kern_node *child)
{
	const struct v1_info *info = kernfs_of(&dir->inode)->info;

	for (size_t i = 0; i < CONTROLLERS; i++) {
		const size_t len = strlen(controllers[i]);

		if (!strncmp(child->name, controllers[i], len) && child->name[len] == '.')
			return !info->has[i];
	}
	return false;
}

static const struct kern_node v1_root = {
	.name = "/",
	.mode = S_IFDIR | 0555,
	.children = v1_children,
	.hidden = v1_hidden,
};

static int v1_show_options(struct superblock *sb, char *buf, size_t len)
{
	const struct v1_info *info = container_of(sb, struct kernfs, sb)->info;
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < CONTROLLERS; i++)
		if (info->has[i] && at < len)
			at += (size_t)snprintf(buf + at, len - at, ",%s", controllers[i]);
	return 0;
}

static const struct kernfs_ops v1_ops = {
	.free_info = free,
	.show_options = v1_show_options,
};

static const struct kernfs_ops v2_ops = { 0 };

/* Words that are no controller (name=systemd, xattr) change nothing. */
static bool parse_controllers(const char *data, struct v1_info *info)
{
	bool any = false;

	while (data && *data) {
		const size_t len = strcspn(data, ",");

		for (size_t i = 0; i < CONTROLLERS; i++) {
			if (strlen(controllers[i]) == len && !memcmp(controllers[i], data, len)) {
				info->has[i] = true;
				any = true;
			}
		}
		any = any || !strncmp(data, "name=", 5);
		data += len + (data[len] == ',');
	}
	return any;
}

/* In a user namespace with a cgroup namespace of its own. */
static bool may_mount(const struct cred *cred)
{
	const struct task *t = task_current();

	return !t || cred_ns_capable(cred, ns_owner_of(t->ns, NS_CGROUP), CAP_SYS_ADMIN);
}

static int cgroup2_mount(const struct filesystem_type *type, const char *source, const char *data,
			 const struct cred *cred, struct superblock **ret)
{
	if (!may_mount(cred))
		return -EPERM;
	return kernfs_mount("cgroup2", CGROUP2_MAGIC, &v2_ops, NULL, &v2_root, ret);
}

static int cgroup_mount(const struct filesystem_type *type, const char *source, const char *data,
			const struct cred *cred, struct superblock **ret)
{
	struct v1_info *info;

	if (!may_mount(cred))
		return -EPERM;
	info = calloc(1, sizeof(*info));
	if (!info)
		return -ENOMEM;
	if (!parse_controllers(data, info)) {
		free(info);
		return cgroup2_mount(type, source, data, cred, ret);
	}
	return kernfs_mount(type->name, CGROUP_MAGIC, &v1_ops, info, &v1_root, ret);
}

void cgroup_register(void)
{
	static struct filesystem_type v1 = { .name = "cgroup",
					     .user_mount = true,
					     .mount = cgroup_mount };
	static struct filesystem_type v2 = { .name = "cgroup2",
					     .user_mount = true,
					     .mount = cgroup2_mount };

	filesystem_register(&v1);
	filesystem_register(&v2);
	cgroup_ns_register();
}
