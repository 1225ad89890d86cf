/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/root.c - mounting proc, its root directory, and who may look at whom.
 */
#include "sentry/fs/proc/internal.h"
#include "sentry/task/ptrace_access.h"

#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct task *proc_task(const struct kern_inode *ki)
{
	const struct pid *pid = ki->obj;
	struct task *t = NULL;

	if (!pid)
		return NULL;
	if (proc_is_thread(ki))
		t = pid->task;
	else if (pid->tg)
		t = pid->tg->leader;
	return t ? task_ref(t) : NULL;
}

struct mm *proc_mm(const struct kern_inode *ki)
{
	AUTO_TASK struct task *t = proc_task(ki);

	return t && t->mm ? mm_ref(t->mm) : NULL;
}

bool proc_may_access(struct task *t, bool attach)
{
	const struct task *viewer = task_current();

	return !viewer ||
	       ptrace_may_access(viewer, t, attach ? PTRACE_ACCESS_ATTACH : PTRACE_ACCESS_READ);
}

int proc_check_access(const struct kern_inode *ki, bool attach)
{
	AUTO_TASK struct task *t = proc_task(ki);

	if (!t)
		return -ESRCH;
	return proc_may_access(t, attach) ? 0 : -EACCES;
}

int proc_may_open(struct kern_inode *ki, uint32_t flags)
{
	return proc_check_access(ki, false);
}

/* hidepid: may the running task see t's directory (`enter`: go into it)? */
static bool may_see(const struct proc_info *info, struct task *t, bool enter)
{
	const struct task *viewer = task_current();

	if (info->hidepid < (enter ? HIDEPID_NO_ACCESS : HIDEPID_INVISIBLE) || !viewer)
		return true;
	return cred_in_group(viewer->cred, info->gid) || proc_may_access(t, false);
}

int proc_dir_permission(struct kern_inode *ki, const struct cred *cred, unsigned int mask)
{
	AUTO_TASK struct task *t = proc_task(ki);

	if (!t)
		return -ESRCH;
	if (!may_see(proc_info_of(ki), t, true))
		return proc_info_of(ki)->hidepid >= HIDEPID_INVISIBLE ? -ENOENT : -EPERM;
	return inode_permission_generic(&ki->inode, cred, mask);
}

static int pid_lookup(struct kern_inode *dir, const struct vfs_name *name, struct inode **ret)
{
	const struct proc_info *info = proc_info_of(dir);
	struct task *t;
	struct pid *pid;
	uint64_t nr;
	int r;

	if (vfs_name_number(name, INT32_MAX, &nr) < 0)
		return -ENOENT;
	pid = pid_find(info->ns, (int)nr);
	if (!pid || !pid->task)
		return -ENOENT;
	t = task_ref(pid->task);
	r = may_see(info, t, false) ? kern_inode_new(dir, name, &proc_pid_node, t->tg->pid, 0, ret)
				    : -ENOENT;
	task_unref(t);
	return r;
}

static int pid_entry(struct kern_inode *dir, uint64_t *key, struct kern_entry *ret)
{
	const struct proc_info *info = proc_info_of(dir);
	struct pid *pid;

	for (uint64_t nr = *key; nr <= INT32_MAX; nr++) {
		pid = pid_next(info->ns, (int)nr);
		if (!pid)
			return 0;
		nr = (uint64_t)pid_nr(pid, info->ns);
		if (!pid->tg || !pid->tg->leader || !may_see(info, pid->tg->leader, false))
			continue;
		(void)snprintf(ret->name, sizeof(ret->name), "%d", (int)nr);
		ret->type = DT_DIR;
		*key = nr;
		return 1;
	}
	return 0;
}

static int self_link(struct kern_inode *ki, char **ret)
{
	const struct task *t = task_current();
	const int tgid = t ? task_tgid(t, proc_info_of(ki)->ns) : 0;

	if (tgid <= 0)
		return -ENOENT;
	return asprintf(ret, "%d", tgid) < 0 ? -ENOMEM : 0;
}

static int thread_self_link(struct kern_inode *ki, char **ret)
{
	const struct task *t = task_current();
	const int tgid = t ? task_tgid(t, proc_info_of(ki)->ns) : 0;

	if (tgid <= 0)
		return -ENOENT;
	return asprintf(ret, "%d/task/%d", tgid, task_tid(t, proc_info_of(ki)->ns)) < 0 ? -ENOMEM
											: 0;
}

static const struct kern_node empty_children[] = { { 0 } };

#define PRESSURE                                           \
	"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n" \
	"full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"

static const struct kern_node pressure_children[] = {
	KERN_TEXT("cpu", 0444, PRESSURE),
	KERN_TEXT("io", 0444, PRESSURE),
	KERN_TEXT("memory", 0444, PRESSURE),
	{ 0 },
};

static const struct kern_node tty_children[] = {
	KERN_TEXT("drivers", 0444,
		  "/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
		  "/dev/console         /dev/console    5       1 system:console\n"
		  "/dev/ptmx            /dev/ptmx       5       2 system\n"
		  "pty_slave            /dev/pts      136 0-1048575 pty:slave\n"
		  "pty_master           /dev/ptm      128 0-1048575 pty:master\n"),
	KERN_TEXT("ldiscs", 0444, "n_tty       0\n"),
	{ 0 },
};

static const struct kern_node sysvipc_children[] = {
	KERN_SHOW("msg", 0444, proc_show_sysvipc_msg),
	KERN_SHOW("sem", 0444, proc_show_sysvipc_sem),
	KERN_SHOW("shm", 0444, proc_show_sysvipc_shm),
	{ 0 },
};

/* There is no machine here that keys could act on, and no memory but the guests'. */
static int refuse_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	return -EPERM;
}

static int refuse_show(struct kern_inode *ki, struct buf *b)
{
	return -EPERM;
}

static const struct kern_node bus_children[] = {
	KERN_DIR("input", 0555, empty_children),
	KERN_DIR("pci", 0555, empty_children),
	{ 0 },
};

static const struct kern_node irq_children[] = {
	KERN_RW("default_smp_affinity", 0644, proc_show_irq_affinity, refuse_store),
	{ 0 },
};

static const struct kern_node scsi_children[] = {
	KERN_TEXT("scsi", 0444, "Attached devices:\n"),
	{ 0 },
};

static const struct kern_node root_children[] = {
	KERN_DIR("acpi", 0555, empty_children),
	KERN_DIR("bus", 0555, bus_children),
	KERN_TEXT("cgroups", 0444, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"),
	KERN_TEXT("cmdline", 0444, "\n"),
	KERN_TEXT("consoles", 0444, ""),
	KERN_SHOW("cpuinfo", 0444, proc_show_cpuinfo),
	KERN_TEXT("crypto", 0444, ""),
	KERN_TEXT("devices", 0444,
		  "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n"
		  "  5 /dev/ptmx\n136 pts\n\nBlock devices:\n"),
	KERN_TEXT("diskstats", 0444, ""),
	KERN_TEXT("dma", 0444, ""),
	KERN_DIR("driver", 0555, empty_children),
	KERN_TEXT("execdomains", 0444, "0-0\tLinux           \t[kernel]\n"),
	KERN_SHOW("filesystems", 0444, proc_show_filesystems),
	KERN_DIR("fs", 0555, empty_children),
	KERN_SHOW("interrupts", 0444, proc_show_interrupts),
	KERN_TEXT("iomem", 0400, ""),
	KERN_TEXT("ioports", 0400, ""),
	KERN_DIR("irq", 0555, irq_children),
	KERN_SHOW("kcore", 0400, refuse_show),
	KERN_TEXT("key-users", 0444, ""),
	KERN_TEXT("keys", 0444, ""),
	KERN_SHOW("loadavg", 0444, proc_show_loadavg),
	KERN_TEXT("locks", 0444, ""),
	KERN_SHOW("meminfo", 0444, proc_show_meminfo),
	KERN_TEXT("misc", 0444, ""),
	KERN_TEXT("modules", 0444, ""),
	KERN_LINK("mounts", "self/mounts"),
	KERN_LINK("net", "self/net"),
	KERN_TEXT("partitions", 0444, "major minor  #blocks  name\n\n"),
	KERN_DIR("scsi", 0555, scsi_children),
	{ .name = "self", .mode = S_IFLNK | 0777, .readlink = self_link },
	KERN_DIR("pressure", 0555, pressure_children),
	KERN_SHOW("stat", 0444, proc_show_stat),
	KERN_TEXT("swaps", 0444, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
	KERN_DIR("sys", 0555, proc_sys_children),
	{ .name = "sysrq-trigger", .mode = S_IFREG | 0200, .store = refuse_store },
	KERN_DIR("sysvipc", 0555, sysvipc_children),
	{ .name = "thread-self", .mode = S_IFLNK | 0777, .readlink = thread_self_link },
	KERN_TEXT("timer_list", 0400, "Timer List Version: v0.10\n"),
	KERN_DIR("tty", 0555, tty_children),
	KERN_SHOW("uptime", 0444, proc_show_uptime),
	KERN_SHOW("version", 0444, proc_show_version),
	KERN_SHOW("vmstat", 0444, proc_show_vmstat),
	{ 0 },
};

static const struct kern_node root_node = {
	.name = "/",
	.mode = S_IFDIR | 0555,
	.children = root_children,
	.lookup = pid_lookup,
	.next = pid_entry,
};

static void obj_ref(void *obj)
{
	pid_ref(obj);
}

static void obj_unref(void *obj)
{
	pid_unref(obj);
}

/* A process's files belong to its effective ids; to root when it does not want to be looked at. */
static void owner(struct kern_inode *ki)
{
	AUTO_TASK struct task *t = proc_task(ki);

	if (!t)
		return;
	ki->inode.uid = t->cred->euid;
	ki->inode.gid = t->cred->egid;
	if (t->mm && !t->mm->dumpable && (ki->inode.mode & 07777) != 0555) {
		ki->inode.uid = 0;
		ki->inode.gid = 0;
	}
}

static void free_info(void *info)
{
	struct proc_info *pi = info;

	pid_ns_unref(pi->ns);
	free(pi);
}

/* A name below a process that ended leads nowhere. */
static int revalidate(struct dentry *d)
{
	const struct kern_inode *ki = kern_inode_of_dentry(d);
	AUTO_TASK struct task *t = NULL;

	if (!ki || !ki->obj)
		return 1;
	t = proc_task(ki);
	return t != NULL;
}

static int set_option(struct proc_info *info, char *option)
{
	static const char *const modes[] = { "off", "noaccess", "invisible" };
	char *value = strchr(option, '=');
	int64_t n;

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	if (!strcmp(option, "gid")) {
		if (kern_parse_int(value, 0, UINT32_MAX, &n) < 0)
			return -EINVAL;
		info->gid = (uint32_t)n;
		return 0;
	}
	if (strcmp(option, "hidepid") != 0)
		return strcmp(option, "subset") == 0 ? 0 : -EINVAL;
	for (unsigned int i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(value, modes[i])) {
			info->hidepid = i;
			return 0;
		}
	}
	if (kern_parse_int(value, HIDEPID_OFF, HIDEPID_INVISIBLE, &n) < 0)
		return -EINVAL;
	info->hidepid = (unsigned int)n;
	return 0;
}

static int set_options(struct proc_info *info, const char *data)
{
	AUTO_FREE char *text = strdup(data ? data : "");
	char *save = NULL;
	int r = 0;

	if (!text)
		return -ENOMEM;
	for (char *o = strtok_r(text, ",", &save); o && r == 0; o = strtok_r(NULL, ",", &save))
		r = set_option(info, o);
	return r;
}

static int show_options(struct superblock *sb, char *buf, size_t len)
{
	static const char *const modes[] = { "", ",hidepid=noaccess", ",hidepid=invisible" };
	const struct proc_info *info = container_of(sb, struct kernfs, sb)->info;

	if (info->gid)
		(void)snprintf(buf, len, "%s,gid=%u", modes[info->hidepid], info->gid);
	else
		(void)snprintf(buf, len, "%s", modes[info->hidepid]);
	return 0;
}

static int remount(struct superblock *sb, const char *data)
{
	return set_options(container_of(sb, struct kernfs, sb)->info, data);
}

static const struct kernfs_ops proc_ops = {
	.obj_ref = obj_ref,
	.obj_unref = obj_unref,
	.owner = owner,
	.free_info = free_info,
	.revalidate = revalidate,
	.show_options = show_options,
	.remount = remount,
};

int proc_mount_ns(struct pid_ns *ns, const char *data, struct superblock **ret)
{
	struct proc_info *info = calloc(1, sizeof(*info));
	int r;

	if (!info)
		return -ENOMEM;
	info->ns = pid_ns_ref(ns);
	r = set_options(info, data);
	if (r < 0) {
		free_info(info);
		return r;
	}
	return kernfs_mount("proc", PROC_SUPER_MAGIC, &proc_ops, info, &root_node, ret);
}

/* The type's mount: of the running task's pid namespace. */
static int proc_mount(const struct filesystem_type *type, const char *source, const char *data,
		      const struct cred *cred, struct superblock **ret)
{
	const struct task *t = task_current();

	if (!t)
		return -EINVAL;
	if (!cred_ns_capable(cred, pid_ns_user(task_pid_ns(t)), CAP_SYS_ADMIN))
		return -EPERM;
	return proc_mount_ns(task_pid_ns(t), data, ret);
}

void proc_register(void)
{
	static struct filesystem_type type = {
		.name = "proc",
		.user_mount = true,
		.mount = proc_mount,
	};

	filesystem_register(&type);
}

struct pid *proc_dir_pid(const struct file *f)
{
	const struct superblock *sb = f->inode ? f->inode->sb : NULL;

	/* Its name is a static text of this room (superblock.h). */
	if (!sb || sb->magic != PROC_SUPER_MAGIC || sb->anonymous || strcmp(sb->type, "proc") != 0)
		return NULL;
	return kern_inode_of(f->inode)->node == &proc_pid_node ? kern_inode_of(f->inode)->obj
							       : NULL;
}
