/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/pid.c - the directories /proc/PID and /proc/PID/task/TID: their tables and the
 * small files.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/proc/internal.h"

#define OOM_ADJ_MIN (-1000)
#define OOM_ADJ_MAX 1000

static int comm_show(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);

	return t ? buf_printf(b, "%s\n", t->comm) : -ESRCH;
}

/* Only threads of the process itself may write. */
static int comm_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	AUTO_TASK struct task *t = proc_task(ki);
	const struct task *writer = task_current();

	if (!t)
		return -ESRCH;
	if (!writer || writer->tg != t->tg)
		return -EINVAL;
	if (len > sizeof(t->comm) - 1)
		len = sizeof(t->comm) - 1;
	text[len] = '\0'; /* a newline stays, as in Linux */
	memset(t->comm, 0, sizeof(t->comm));
	memcpy(t->comm, text, strlen(text));
	return 0;
}

/* cwd, root and exe: links to the object itself. `pick` fills a path without references. */
static int task_path(const struct kern_inode *ki,
		     int (*pick)(const struct task *t, struct path *ret), struct path *ret)
{
	AUTO_TASK struct task *t = NULL;
	struct path p;
	int r = proc_check_access(ki, false);

	if (r < 0)
		return r;
	t = proc_task(ki);
	if (!t)
		return -ENOENT;
	r = pick(t, &p);
	if (r == 0)
		*ret = path_ref(&p);
	return r;
}

static int pick_cwd(const struct task *t, struct path *ret)
{
	if (!t->fs)
		return -ENOENT;
	*ret = t->fs->cwd;
	return 0;
}

static int pick_root(const struct task *t, struct path *ret)
{
	if (!t->fs)
		return -ENOENT;
	*ret = t->fs->root;
	return 0;
}

static int pick_exe(const struct task *t, struct path *ret)
{
	if (!t->mm || !t->mm->exe || !t->mm->exe->path.dentry)
		return -ENOENT;
	*ret = t->mm->exe->path;
	return 0;
}

static int path_readlink(const struct kern_inode *ki,
			 int (*pick)(const struct task *t, struct path *ret), char **ret)
{
	const struct task *viewer = task_current();
	struct path p;
	int r = task_path(ki, pick, &p);

	if (r < 0)
		return r;
	r = path_to_text(&p, viewer && viewer->fs ? &viewer->fs->root : NULL, ret);
	path_unref(&p);
	return r;
}

#define PATH_LINK(what)                                                   \
	static int what##_follow(struct kern_inode *ki, struct path *ret) \
	{                                                                 \
		return task_path(ki, pick_##what, ret);                   \
	}                                                                 \
	static int what##_readlink(struct kern_inode *ki, char **ret)     \
	{                                                                 \
		return path_readlink(ki, pick_##what, ret);               \
	}

PATH_LINK(cwd)
PATH_LINK(root)
PATH_LINK(exe)

static int cgroup_show(struct kern_inode *ki, struct buf *b)
{
	return buf_puts(b, "0::/\n");
}

static int oom_score_show(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);

	if (!t)
		return -ESRCH;
	return buf_printf(b, "%d\n", t->tg->oom_score_adj > 0 ? t->tg->oom_score_adj : 0);
}

static int oom_score_adj_show(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);

	return t ? buf_printf(b, "%d\n", t->tg->oom_score_adj) : -ESRCH;
}

static int oom_set(struct kern_inode *ki, int64_t value)
{
	AUTO_TASK struct task *t = proc_task(ki);
	const struct task *writer = task_current();

	if (!t)
		return -ESRCH;
	if (value < t->tg->oom_score_adj_min && writer && !task_capable(writer, CAP_SYS_RESOURCE))
		return -EACCES;
	t->tg->oom_score_adj = (int)value;
	if (!writer || task_capable(writer, CAP_SYS_RESOURCE))
		t->tg->oom_score_adj_min = (int)value;
	return 0;
}

static int oom_score_adj_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	int64_t value;

	if (kern_parse_int(text, OOM_ADJ_MIN, OOM_ADJ_MAX, &value) < 0)
		return -EINVAL;
	return oom_set(ki, value);
}

/* The older scale of -17 (never) to 15. */
static int oom_adj_show(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);

	if (!t)
		return -ESRCH;
	return buf_printf(b, "%d\n",
			  t->tg->oom_score_adj == OOM_ADJ_MAX ? 15
							      : t->tg->oom_score_adj * 17 / 1000);
}

static int oom_adj_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	int64_t value;

	if (kern_parse_int(text, -17, 15, &value) < 0)
		return -EINVAL;
	return oom_set(ki, value == 15 ? OOM_ADJ_MAX : value * 1000 / 17);
}

static int loginuid_show(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);
	const struct task *reader = task_current();
	uint32_t uid;

	if (!t)
		return -ESRCH;
	uid = t->tg->login_uid - 1;
	if (uid != ID_INVALID && reader)
		uid = user_ns_uid_out(reader->cred->user_ns, uid);
	return buf_printf(b, "%u", uid);
}

/* audit_set_loginuid() of Linux: of oneself, once, or with the capability. */
static int loginuid_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	AUTO_TASK struct task *t = proc_task(ki);
	const struct task *writer = task_current();
	int64_t value;
	uint32_t uid;

	if (kern_parse_int(text, 0, UINT32_MAX, &value) < 0)
		return -EINVAL;
	if (!t || !writer || t->tg != writer->tg)
		return -EPERM;
	uid = (uint32_t)value;
	if (uid != ID_INVALID) {
		uid = user_ns_uid_in(writer->cred->user_ns, uid);
		if (uid == ID_INVALID)
			return -EINVAL;
	}
	if (t->tg->login_uid && !task_capable(writer, CAP_AUDIT_CONTROL))
		return -EPERM;
	t->tg->login_uid = uid + 1;
	return 0;
}

static int personality_show(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);

	return t ? buf_printf(b, "%08x\n", t->personality) : -ESRCH;
}

static int timerslack_show(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);

	return t ? buf_printf(b, "%llu\n", (unsigned long long)t->timer_slack_ns) : -ESRCH;
}

static int timerslack_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	AUTO_TASK struct task *t = proc_task(ki);
	int64_t value;

	if (kern_parse_int(text, 0, INT64_MAX, &value) < 0)
		return -EINVAL;
	if (!t)
		return -ESRCH;
	if (!proc_may_access(t, true))
		return -EPERM;
	t->timer_slack_ns = value ? (uint64_t)value : 50000;
	return 0;
}

/* Nothing here is counted that clear_refs could reset: the values of proc(5) are taken. */
static int clear_refs_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	int64_t value;

	return kern_parse_int(text, 1, 5, &value) < 0 ? -EINVAL : 0;
}

static int attr_show(struct kern_inode *ki, struct buf *b)
{
	return -EINVAL; /* as without a security module */
}

static int children_show(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);
	const struct thread_group *child;

	if (!t)
		return -ESRCH;
	list_for_each(child, &t->tg->children, sibling)
	{
		const int nr = pid_nr(child->pid, proc_info_of(ki)->ns);

		if (nr > 0)
			(void)buf_printf(b, "%d ", nr);
	}
	return 0;
}

static const struct kern_node attr_children[] = {
	KERN_SHOW("current", 0444, attr_show),
	KERN_SHOW("exec", 0444, attr_show),
	KERN_SHOW("fscreate", 0444, attr_show),
	KERN_SHOW("prev", 0444, attr_show),
	{ 0 },
};

#define MAGIC(name_, what)                                                            \
	{                                                                             \
		.name = (name_), .mode = S_IFLNK | 0777, .readlink = what##_readlink, \
		.follow = what##_follow                                               \
	}
#define GUARDED(name_, mode_, show_)                                         \
	{                                                                    \
		.name = (name_), .mode = S_IFREG | (mode_), .show = (show_), \
		.may_open = proc_may_open                                    \
	}

/* What a process's directory and a thread's have in common. */
#define COMMON_CHILDREN                                                                            \
	KERN_DIR("attr", 0555, attr_children), GUARDED("auxv", 0400, proc_show_auxv),              \
		KERN_SHOW("cgroup", 0444, cgroup_show),                                            \
		{ .name = "clear_refs", .mode = S_IFREG | 0200, .store = clear_refs_store },       \
		KERN_SHOW("cmdline", 0444, proc_show_cmdline),                                     \
		KERN_RW("comm", 0644, comm_show, comm_store), KERN_TEXT("cpuset", 0444, "/\n"),    \
		MAGIC("cwd", cwd), GUARDED("environ", 0400, proc_show_environ), MAGIC("exe", exe), \
		{ .name = "fd",                                                                    \
		  .mode = S_IFDIR | 0500,                                                          \
		  .lookup = proc_fd_lookup,                                                        \
		  .next = proc_fd_next,                                                            \
		  .permission = proc_fd_permission },                                              \
		{ .name = "fdinfo",                                                                \
		  .mode = S_IFDIR | 0555,                                                          \
		  .lookup = proc_fdinfo_lookup,                                                    \
		  .next = proc_fdinfo_next,                                                        \
		  .permission = proc_fd_permission },                                              \
		KERN_RW("gid_map", 0644, proc_show_id_map, proc_store_id_map),                     \
		GUARDED("io", 0400, proc_show_io), KERN_SHOW("limits", 0444, proc_show_limits),    \
		KERN_RW("loginuid", 0644, loginuid_show, loginuid_store),                          \
		GUARDED("maps", 0444, proc_show_maps),                                             \
		{ .name = "mem", .mode = S_IFREG | 0600, .open = proc_open_mem },                  \
		{ .name = "mountinfo", .mode = S_IFREG | 0444, .open = proc_open_mountinfo },      \
		{ .name = "mounts", .mode = S_IFREG | 0444, .open = proc_open_mounts },            \
		{ .name = "net",                                                                   \
		  .mode = S_IFDIR | 0555,                                                          \
		  .lookup = proc_net_lookup,                                                       \
		  .next = proc_net_next },                                                         \
		{ .name = "ns", .mode = S_IFDIR | 0511, .children = proc_ns_children },            \
		KERN_RW("oom_adj", 0644, oom_adj_show, oom_adj_store),                             \
		KERN_SHOW("oom_score", 0444, oom_score_show),                                      \
		KERN_RW("oom_score_adj", 0644, oom_score_adj_show, oom_score_adj_store),           \
		GUARDED("personality", 0400, personality_show), MAGIC("root", root),               \
		KERN_SHOW("sched", 0644, proc_show_sched),                                         \
		KERN_SHOW("schedstat", 0444, proc_show_schedstat),                                 \
		KERN_TEXT("sessionid", 0444, "4294967295"),                                        \
		KERN_RW("setgroups", 0644, proc_show_setgroups, proc_store_setgroups),             \
		GUARDED("smaps", 0444, proc_show_smaps),                                           \
		GUARDED("smaps_rollup", 0444, proc_show_smaps_rollup),                             \
		KERN_SHOW("stat", 0444, proc_show_pid_stat),                                       \
		KERN_SHOW("statm", 0444, proc_show_statm),                                         \
		KERN_SHOW("status", 0444, proc_show_status),                                       \
		GUARDED("syscall", 0400, proc_show_syscall),                                       \
		KERN_RW("uid_map", 0644, proc_show_id_map, proc_store_id_map),                     \
		KERN_SHOW("wchan", 0444, proc_show_wchan)

static const struct kern_node tid_children[] = {
	COMMON_CHILDREN,
	KERN_SHOW("children", 0444, children_show),
	{ 0 },
};

const struct kern_node proc_tid_node = {
	.name = "tid",
	.mode = S_IFDIR | 0555,
	.children = tid_children,
	.permission = proc_dir_permission,
};

static int tid_lookup(struct kern_inode *dir, const struct vfs_name *name, struct inode **ret)
{
	AUTO_TASK struct task *t = proc_task(dir);
	const struct pid *pid;
	uint64_t nr;

	if (!t || vfs_name_number(name, INT32_MAX, &nr) < 0)
		return -ENOENT;
	pid = pid_find(proc_info_of(dir)->ns, (int)nr);
	if (!pid || !pid->task || pid->task->tg != t->tg)
		return -ENOENT;
	return kern_inode_new(dir, name, &proc_tid_node, pid->task->pid, PROC_ARG_THREAD, ret);
}

/* By number, so that a reader that comes back sees no thread twice. */
static int tid_next(struct kern_inode *dir, uint64_t *key, struct kern_entry *ret)
{
	AUTO_TASK struct task *t = proc_task(dir);
	const struct pid_ns *ns = proc_info_of(dir)->ns;
	const struct task *other;
	uint64_t best = UINT64_MAX;

	if (!t)
		return -ENOENT;
	list_for_each(other, &t->tg->tasks, tg_node)
	{
		const int nr = pid_nr(other->pid, ns);

		if (nr > 0 && (uint64_t)nr >= *key && (uint64_t)nr < best)
			best = (uint64_t)nr;
	}
	if (best == UINT64_MAX)
		return 0;
	(void)snprintf(ret->name, sizeof(ret->name), "%llu", (unsigned long long)best);
	ret->type = DT_DIR;
	*key = best;
	return 1;
}

static const struct kern_node pid_children[] = {
	COMMON_CHILDREN,
	KERN_TEXT("autogroup", 0644, "/autogroup-1 nice 0\n"),
	KERN_TEXT("coredump_filter", 0644, "00000033\n"),
	GUARDED("mountstats", 0400, proc_show_mountstats),
	{
		.name = "task",
		.mode = S_IFDIR | 0555,
		.lookup = tid_lookup,
		.next = tid_next,
	},
	KERN_RW("timens_offsets", 0644, proc_show_timens_offsets, proc_store_timens_offsets),
	KERN_RW("timerslack_ns", 0666, timerslack_show, timerslack_store),
	{ 0 },
};

const struct kern_node proc_pid_node = {
	.name = "pid",
	.mode = S_IFDIR | 0555,
	.children = pid_children,
	.permission = proc_dir_permission,
};
