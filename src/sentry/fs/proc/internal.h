/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/internal.h - what the files of proc share; nobody else includes it.
 *
 * The object of an inode below /proc/PID is a struct pid: of the thread group below /proc/PID, of
 * the thread below /proc/PID/task/TID. It outlives the task; then reads are -ESRCH.
 */
#pragma once

#include "sentry/fs/kernfs/kernfs.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/task/namespaces.h"
#include "sentry/task/task.h"

#define PROC_SUPER_MAGIC 0x9fa0

enum proc_hidepid {
	HIDEPID_OFF,
	HIDEPID_NO_ACCESS, /* others' directories cannot be entered */
	HIDEPID_INVISIBLE, /* nor seen */
};

struct proc_info {
	struct pid_ns *ns; /* one reference */
	unsigned int hidepid;
	uint32_t gid; /* this group sees everything */
};

static inline struct proc_info *proc_info_of(const struct kern_inode *ki)
{
	return kernfs_of(&ki->inode)->info;
}

/* The thread that the inode is about: a reference, or NULL when it is gone. */
struct task *proc_task(const struct kern_inode *ki);
static inline void proc_task_unref_auto(struct task **t)
{
	if (*t)
		task_unref(*t);
}
#define AUTO_TASK AUTO(proc_task_unref_auto)

/* Is the inode below /proc/PID/task/TID? */
static inline bool proc_is_thread(const struct kern_inode *ki)
{
	return ki->arg & 1;
}
#define PROC_ARG_THREAD 1u

/* The task's address space: a reference, or NULL for a zombie. */
struct mm *proc_mm(const struct kern_inode *ki);
static inline void proc_mm_unref_auto(struct mm **mm)
{
	if (*mm)
		mm_unref(*mm);
}
#define AUTO_MM AUTO(proc_mm_unref_auto)

/*
 * May the running task look into t (ptrace(2), "Ptrace access mode checking")? `attach` asks for
 * PTRACE_MODE_ATTACH, otherwise PTRACE_MODE_READ.
 */
bool proc_may_access(struct task *t, bool attach);
/* As above for the inode's task: 0, -EACCES, -ESRCH. */
int proc_check_access(const struct kern_inode *ki, bool attach);

/* may_open and permission of files that only those with access may read. */
int proc_may_open(struct kern_inode *ki, uint32_t flags);
int proc_dir_permission(struct kern_inode *ki, const struct cred *cred, unsigned int mask);

/* Tables of the directories, one file each. */
extern const struct kern_node proc_pid_node, proc_tid_node;
extern const struct kern_node proc_sys_children[];
extern const struct kern_node proc_fd_node_children[];

/* system.c */
int proc_show_meminfo(struct kern_inode *ki, struct buf *b);
int proc_show_cpuinfo(struct kern_inode *ki, struct buf *b);
int proc_show_stat(struct kern_inode *ki, struct buf *b);
int proc_show_uptime(struct kern_inode *ki, struct buf *b);
int proc_show_loadavg(struct kern_inode *ki, struct buf *b);
int proc_show_version(struct kern_inode *ki, struct buf *b);
int proc_show_filesystems(struct kern_inode *ki, struct buf *b);
int proc_show_vmstat(struct kern_inode *ki, struct buf *b);
int proc_show_interrupts(struct kern_inode *ki, struct buf *b);
int proc_show_irq_affinity(struct kern_inode *ki, struct buf *b);

/* pid_status.c */
int proc_show_status(struct kern_inode *ki, struct buf *b);
int proc_show_pid_stat(struct kern_inode *ki, struct buf *b);
int proc_show_statm(struct kern_inode *ki, struct buf *b);
int proc_show_limits(struct kern_inode *ki, struct buf *b);
int proc_show_io(struct kern_inode *ki, struct buf *b);
int proc_show_sched(struct kern_inode *ki, struct buf *b);
int proc_show_schedstat(struct kern_inode *ki, struct buf *b);
int proc_show_syscall(struct kern_inode *ki, struct buf *b);
int proc_show_wchan(struct kern_inode *ki, struct buf *b);
char proc_state_letter(const struct task *t);

/* pid_mem.c: areas and guest memory. */
int proc_show_maps(struct kern_inode *ki, struct buf *b);
int proc_show_smaps(struct kern_inode *ki, struct buf *b);
int proc_show_smaps_rollup(struct kern_inode *ki, struct buf *b);
int proc_show_cmdline(struct kern_inode *ki, struct buf *b);
int proc_show_environ(struct kern_inode *ki, struct buf *b);
int proc_show_auxv(struct kern_inode *ki, struct buf *b);
int proc_open_mem(struct kern_inode *ki, uint32_t flags, struct file **ret);
struct proc_sizes {
	uint64_t total, rss, peak, shared, text, data, stack, lib, locked; /* bytes */
	struct mm_resident resident;
};
void proc_sizes(struct mm *mm, struct proc_sizes *ret);

/* pid_mounts.c */
int proc_open_mounts(struct kern_inode *ki, uint32_t flags, struct file **ret);
int proc_open_mountinfo(struct kern_inode *ki, uint32_t flags, struct file **ret);
int proc_show_mountstats(struct kern_inode *ki, struct buf *b);

/* pid_fd.c: /proc/PID/fd and fdinfo. */
int proc_fd_lookup(struct kern_inode *dir, const struct vfs_name *name, struct inode **ret);
int proc_fdinfo_lookup(struct kern_inode *dir, const struct vfs_name *name, struct inode **ret);
int proc_fd_next(struct kern_inode *dir, uint64_t *key, struct kern_entry *ret);
int proc_fdinfo_next(struct kern_inode *dir, uint64_t *key, struct kern_entry *ret);
int proc_fd_permission(struct kern_inode *ki, const struct cred *cred, unsigned int mask);

/* pid_ns.c: /proc/PID/ns, uid_map and the like. */
extern const struct kern_node proc_ns_children[];
int proc_show_id_map(struct kern_inode *ki, struct buf *b);
int proc_store_id_map(struct kern_inode *ki, struct file *f, char *text, size_t len);
int proc_show_timens_offsets(struct kern_inode *ki, struct buf *b);
int proc_store_timens_offsets(struct kern_inode *ki, struct file *f, char *text, size_t len);
int proc_store_setgroups(struct kern_inode *ki, struct file *f, char *text, size_t len);
int proc_show_setgroups(struct kern_inode *ki, struct buf *b);

/* sysvipc.c */
int proc_show_sysvipc_msg(struct kern_inode *ki, struct buf *b);
int proc_show_sysvipc_sem(struct kern_inode *ki, struct buf *b);
int proc_show_sysvipc_shm(struct kern_inode *ki, struct buf *b);

/* sysctl_ns.c: a limit of the reader's ipc or network namespace, by the node's name. */
int proc_ns_limit_show(struct kern_inode *ki, struct buf *b);
int proc_ns_limit_store(struct kern_inode *ki, struct file *f, char *text, size_t len);

/* net.c */
extern const struct kern_node proc_net_node;
int proc_net_lookup(struct kern_inode *dir, const struct vfs_name *name, struct inode **ret);
int proc_net_next(struct kern_inode *dir, uint64_t *key, struct kern_entry *ret);
