/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/proc.h - the proc filesystem (proc(5)) of one pid namespace.
 *
 * Options: hidepid=0|1|2 (noaccess, invisible), gid=N.
 */
#pragma once

#include "base/buf.h"

struct file;
struct net_ns;
struct pid;
struct pid_ns;
struct superblock;

void proc_register(void);

/* Boot, before there is a task: proc of this pid namespace. data: options or NULL. 0 or -errno. */
int proc_mount_ns(struct pid_ns *ns, const char *data, struct superblock **ret);

/*
 * /proc/PID/net: net/ is beside this room, so boot hands its tables over. The last entry has no
 * name. Static.
 */
struct proc_net_file {
	const char *name;
	int (*show)(struct net_ns *ns, struct buf *b);
};
void proc_set_net_files(const struct proc_net_file *files);

/* The process whose directory, /proc/PID of any proc, the file is (borrowed from it), or NULL. */
struct pid *proc_dir_pid(const struct file *f);
