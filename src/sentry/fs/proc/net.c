/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/net.c - /proc/PID/net: the files that the net room offers, of the process's
 * network namespace.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/proc/internal.h"

static const struct proc_net_file *net_files;

void proc_set_net_files(const struct proc_net_file *files)
{
	net_files = files;
}

static int show(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);
	const uint64_t index = ki->arg >> 1;

	if (!t || !t->ns)
		return -ESRCH;
	return net_files[index].show(t->ns->net, b);
}

static const struct kern_node file_node = KERN_SHOW("net", 0444, show);

int proc_net_lookup(struct kern_inode *dir, const struct vfs_name *name, struct inode **ret)
{
	for (uint64_t i = 0; net_files && net_files[i].name; i++)
		if (vfs_name_is(name, net_files[i].name))
			return kern_inode_new(dir, name, &file_node, dir->obj,
					      i << 1 | (dir->arg & PROC_ARG_THREAD), ret);
	return -ENOENT;
}

int proc_net_next(struct kern_inode *dir, uint64_t *key, struct kern_entry *ret)
{
	uint64_t i = 0;

	while (net_files && net_files[i].name && i < *key)
		i++;
	if (!net_files || !net_files[i].name)
		return 0;
	(void)snprintf(ret->name, sizeof(ret->name), "%s", net_files[i].name);
	ret->type = DT_REG;
	*key = i;
	return 1;
}
