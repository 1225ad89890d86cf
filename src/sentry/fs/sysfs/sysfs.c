/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/sysfs/sysfs.c - the tree (Linux Documentation/ABI: sysfs-devices-system-cpu,
 * sysfs-devices-node, sysfs-class-net, sysfs-kernel-mm-hugepages).
 */
#include "sentry/fs/sysfs/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/kernfs/kernfs.h"
#include "sentry/fs/proc/sysinfo.h"
#include "sentry/task/namespaces.h"
#include "sentry/task/task.h"

#define SYSFS_MAGIC 0x62656572

static const struct kern_node empty[] = { { 0 } };

/* "0-3" */
static int show_all_cpus(struct kern_inode *ki, struct buf *b)
{
	const unsigned int cpus = sysinfo_get()->cpus;

	return cpus == 1 ? buf_puts(b, "0\n") : buf_printf(b, "0-%u\n", cpus - 1);
}

/* Words of 32 bits, most significant first; of one CPU or of all. */
static int put_mask(struct buf *b, int cpu)
{
	const unsigned int cpus = sysinfo_get()->cpus, words = (cpus + 31) / 32;

	for (unsigned int w = words; w-- > 0;) {
		uint32_t bits = UINT32_MAX;

		if (cpu >= 0)
			bits = (unsigned int)cpu / 32 == w ? 1u << cpu % 32 : 0;
		else if (w == words - 1 && cpus % 32)
			bits = (1u << cpus % 32) - 1;
		(void)buf_printf(b, w == words - 1 ? "%x" : ",%08x", bits);
	}
	return buf_puts(b, "\n");
}

static int show_all_mask(struct kern_inode *ki, struct buf *b)
{
	return put_mask(b, -1);
}

static int show_own_mask(struct kern_inode *ki, struct buf *b)
{
	return put_mask(b, (int)ki->arg);
}

static int show_own_number(struct kern_inode *ki, struct buf *b)
{
	return buf_printf(b, "%d\n", (int)ki->arg);
}

static const struct kern_node topology_children[] = {
	KERN_SHOW("core_cpus", 0444, show_own_mask),
	KERN_SHOW("core_cpus_list", 0444, show_own_number),
	KERN_SHOW("core_id", 0444, show_own_number),
	KERN_SHOW("core_siblings", 0444, show_all_mask),
	KERN_SHOW("core_siblings_list", 0444, show_all_cpus),
	KERN_TEXT("die_id", 0444, "0\n"),
	KERN_SHOW("package_cpus", 0444, show_all_mask),
	KERN_SHOW("package_cpus_list", 0444, show_all_cpus),
	KERN_TEXT("physical_package_id", 0444, "0\n"),
	KERN_SHOW("thread_siblings", 0444, show_own_mask),
	KERN_SHOW("thread_siblings_list", 0444, show_own_number),
	{ 0 },
};

static const struct kern_node cpu_n_children[] = {
	KERN_TEXT("online", 0444, "1\n"),
	KERN_DIR("topology", 0555, topology_children),
	{ 0 },
};

static const struct kern_node cpu_n_node = KERN_DIR("cpu", 0555, cpu_n_children);

static int cpu_lookup(struct kern_inode *dir, const struct vfs_name *name, struct inode **ret)
{
	const struct vfs_name digits = { .bytes = name->bytes + 3,
					 .len = (uint8_t)(name->len - 3) };
	uint64_t cpu;

	if (name->len < 4 || memcmp(name->bytes, "cpu", 3) != 0 ||
	    vfs_name_number(&digits, sysinfo_get()->cpus - 1, &cpu) < 0)
		return -ENOENT;
	return kern_inode_new(dir, name, &cpu_n_node, NULL, cpu, ret);
}

static int cpu_next(struct kern_inode *dir, uint64_t *key, struct kern_entry *ret)
{
	if (*key >= sysinfo_get()->cpus)
		return 0;
	(void)snprintf(ret->name, sizeof(ret->name), "cpu%u", (unsigned int)*key);
	ret->type = DT_DIR;
	return 1;
}

static const struct kern_node cpu_children[] = {
	KERN_TEXT("isolated", 0444, "\n"),
	KERN_TEXT("kernel_max", 0444, "1023\n"),
	KERN_TEXT("offline", 0444, "\n"),
	KERN_SHOW("online", 0444, show_all_cpus),
	KERN_SHOW("possible", 0444, show_all_cpus),
	KERN_SHOW("present", 0444, show_all_cpus),
	{ 0 },
};

static int show_node_meminfo(struct kern_inode *ki, struct buf *b)
{
	const uint64_t total = sysinfo_get()->memory_limit >> 10;
	struct sandbox_usage use;

	sysinfo_usage(&use);
	return buf_printf(b,
			  "Node 0 MemTotal:       %8llu kB\nNode 0 MemFree:        %8llu kB\n"
			  "Node 0 MemUsed:        %8llu kB\n",
			  (unsigned long long)total,
			  (unsigned long long)(total - (use.memory >> 10)),
			  (unsigned long long)(use.memory >> 10));
}

static const struct kern_node node0_children[] = {
	KERN_SHOW("cpulist", 0444, show_all_cpus),
	KERN_SHOW("cpumap", 0444, show_all_mask),
	KERN_TEXT("distance", 0444, "10\n"),
	KERN_SHOW("meminfo", 0444, show_node_meminfo),
	{ 0 },
};

static const struct kern_node node_children[] = {
	KERN_TEXT("has_cpu", 0444, "0\n"),
	KERN_TEXT("has_memory", 0444, "0\n"),
	KERN_TEXT("has_normal_memory", 0444, "0\n"),
	KERN_DIR("node0", 0555, node0_children),
	KERN_TEXT("online", 0444, "0\n"),
	KERN_TEXT("possible", 0444, "0\n"),
	{ 0 },
};

static const struct kern_node system_children[] = {
	{
		.name = "cpu",
		.mode = S_IFDIR | 0555,
		.children = cpu_children,
		.lookup = cpu_lookup,
		.next = cpu_next,
	},
	KERN_DIR("node", 0555, node_children),
	{ 0 },
};

static const struct kern_node lo_children[] = {
	KERN_TEXT("addr_len", 0444, "6\n"),
	KERN_TEXT("address", 0444, "00:00:00:00:00:00\n"),
	KERN_TEXT("broadcast", 0444, "00:00:00:00:00:00\n"),
	KERN_TEXT("carrier", 0444, "1\n"),
	KERN_TEXT("flags", 0444, "0x9\n"),
	KERN_TEXT("ifindex", 0444, "1\n"),
	KERN_TEXT("iflink", 0444, "1\n"),
	KERN_TEXT("mtu", 0444, "65536\n"),
	KERN_TEXT("operstate", 0444, "unknown\n"),
	KERN_TEXT("tx_queue_len", 0444, "1000\n"),
	KERN_TEXT("type", 0444, "772\n"),
	{ 0 },
};

static const struct kern_node virtual_net_children[] = {
	KERN_DIR("lo", 0555, lo_children),
	{ 0 },
};

static const struct kern_node virtual_children[] = {
	KERN_DIR("net", 0555, virtual_net_children),
	{ 0 },
};

static const struct kern_node devices_children[] = {
	KERN_DIR("system", 0555, system_children),
	KERN_DIR("virtual", 0555, virtual_children),
	{ 0 },
};

static const struct kern_node class_net_children[] = {
	KERN_LINK("lo", "../../devices/virtual/net/lo"),
	{ 0 },
};

static const struct kern_node class_children[] = {
	KERN_DIR("block", 0555, empty),
	KERN_DIR("hwmon", 0555, empty),
	KERN_DIR("mem", 0555, empty),
	KERN_DIR("net", 0555, class_net_children),
	KERN_DIR("power_supply", 0555, empty),
	KERN_DIR("tty", 0555, empty),
	{ 0 },
};

static const struct kern_node dev_children[] = {
	KERN_DIR("block", 0555, empty),
	KERN_DIR("char", 0555, empty),
	{ 0 },
};

static const struct kern_node fs_children[] = {
	KERN_DIR("bpf", 0555, empty),
	KERN_DIR("cgroup", 0555, empty),
	{ 0 },
};

static const struct kern_node huge_2m_children[] = {
	KERN_TEXT("free_hugepages", 0444, "0\n"),
	KERN_TEXT("nr_hugepages", 0444, "0\n"),
	KERN_TEXT("resv_hugepages", 0444, "0\n"),
	KERN_TEXT("surplus_hugepages", 0444, "0\n"),
	{ 0 },
};

static const struct kern_node hugepages_children[] = {
	KERN_DIR("hugepages-2048kB", 0555, huge_2m_children),
	{ 0 },
};

static const struct kern_node khugepaged_children[] = {
	KERN_TEXT("defrag", 0444, "1\n"),
	{ 0 },
};

static const struct kern_node thp_children[] = {
	KERN_TEXT("defrag", 0444, "always defer defer+madvise [madvise] never\n"),
	KERN_TEXT("enabled", 0444, "always [madvise] never\n"),
	KERN_TEXT("hpage_pmd_size", 0444, "2097152\n"),
	KERN_DIR("khugepaged", 0555, khugepaged_children),
	KERN_TEXT("shmem_enabled", 0444, "always within_size advise [never] deny force\n"),
	{ 0 },
};

static const struct kern_node mm_children[] = {
	KERN_DIR("hugepages", 0555, hugepages_children),
	KERN_DIR("transparent_hugepage", 0555, thp_children),
	{ 0 },
};

static const struct kern_node kernel_children[] = {
	KERN_DIR("debug", 0555, empty),
	KERN_DIR("mm", 0555, mm_children),
	KERN_DIR("security", 0555, empty),
	KERN_DIR("tracing", 0555, empty),
	{ 0 },
};

static const struct kern_node root_children[] = {
	KERN_DIR("block", 0555, empty),
	KERN_DIR("bus", 0555, empty),
	KERN_DIR("class", 0555, class_children),
	KERN_DIR("dev", 0555, dev_children),
	KERN_DIR("devices", 0555, devices_children),
	KERN_DIR("firmware", 0555, empty),
	KERN_DIR("fs", 0555, fs_children),
	KERN_DIR("kernel", 0555, kernel_children),
	KERN_DIR("module", 0555, empty),
	KERN_DIR("power", 0555, empty),
	{ 0 },
};

static const struct kern_node root_node = KERN_DIR("/", 0555, root_children);

static int sysfs_mount(const struct filesystem_type *type, const char *source, const char *data,
		       const struct cred *cred, struct superblock **ret)
{
	static const struct kernfs_ops ops = { 0 };
	const struct task *t = task_current();

	/* It shows the devices of a network namespace. */
	if (t && !cred_ns_capable(cred, ns_owner_of(t->ns, NS_NET), CAP_SYS_ADMIN))
		return -EPERM;

	return kernfs_mount(type->name, SYSFS_MAGIC, &ops, NULL, &root_node, ret);
}

void sysfs_register(void)
{
	static struct filesystem_type type = {
		.name = "sysfs",
		.user_mount = true,
		.mount = sysfs_mount,
	};

	filesystem_register(&type);
}
