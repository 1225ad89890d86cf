/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/pid_ns.c - /proc/PID/ns, uid_map, gid_map, setgroups (namespaces(7),
 * user_namespaces(7)).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/mm/ipc_ns.h"

/* Of the sandbox's initial namespaces where a task has none of its own (Linux's PROC_*_INIT_INO).
 */
#define USER_INIT_ID   0xeffffffdu
#define IPC_INIT_ID    0xefffffffu
#define CGROUP_INIT_ID 0xeffffffbu
#define NET_INIT_ID    0xeffffff9u
#define TIME_INIT_ID   0xeffffffau

static uint64_t other_id(const struct namespaces *ns, enum ns_kind kind, uint64_t initial)
{
	const struct ns_ops *ops = ns_ops_of(kind);

	return ops && ns->other[kind] ? ops->id(ns->other[kind]) : initial;
}

enum link {
	LINK_CGROUP,
	LINK_IPC,
	LINK_MNT,
	LINK_NET,
	LINK_PID,
	LINK_PID_CHILDREN,
	LINK_TIME,
	LINK_TIME_CHILDREN,
	LINK_USER,
	LINK_UTS,
};

static uint64_t ns_id(struct task *t, enum link link)
{
	const struct namespaces *ns = t->ns;

	switch (link) {
	case LINK_CGROUP:
		return other_id(ns, NS_CGROUP, CGROUP_INIT_ID);
	case LINK_IPC:
		return ns->ipc ? ns->ipc->id : IPC_INIT_ID;
	case LINK_MNT:
		return ns->mnt ? ns->mnt->id : 0;
	case LINK_NET:
		return other_id(ns, NS_NET, NET_INIT_ID);
	case LINK_PID:
		return pid_ns_id(task_pid_ns(t));
	case LINK_PID_CHILDREN:
		return ns->pid_for_children ? pid_ns_id(ns->pid_for_children) : 0;
	case LINK_TIME:
	case LINK_TIME_CHILDREN:
		return other_id(ns, NS_TIME, TIME_INIT_ID);
	case LINK_USER:
		return USER_INIT_ID;
	case LINK_UTS:
		return ns->uts ? ns->uts->id : 0;
	}
	return 0;
}

struct ns_link {
	const char *kind;
	enum link link;
};

static int ns_readlink(struct kern_inode *ki, char **ret)
{
	const struct ns_link *l = ki->node->data;
	AUTO_TASK struct task *t = NULL;
	const int r = proc_check_access(ki, false);

	if (r < 0)
		return r;
	t = proc_task(ki);
	if (!t || !t->ns)
		return -ENOENT;
	return asprintf(ret, "%s:[%llu]", l->kind, (unsigned long long)ns_id(t, l->link)) < 0
		       ? -ENOMEM
		       : 0;
}

#define NS_LINK(name_, kind_, link_)                                              \
	{                                                                         \
		.name = (name_), .mode = S_IFLNK | 0777, .readlink = ns_readlink, \
		.data = &(const struct ns_link)                                   \
		{                                                                 \
			(kind_), (link_)                                          \
		}                                                                 \
	}

const struct kern_node proc_ns_children[] = {
	NS_LINK("cgroup", "cgroup", LINK_CGROUP),
	NS_LINK("ipc", "ipc", LINK_IPC),
	NS_LINK("mnt", "mnt", LINK_MNT),
	NS_LINK("net", "net", LINK_NET),
	NS_LINK("pid", "pid", LINK_PID),
	NS_LINK("pid_for_children", "pid", LINK_PID_CHILDREN),
	NS_LINK("time", "time", LINK_TIME),
	NS_LINK("time_for_children", "time", LINK_TIME_CHILDREN),
	NS_LINK("user", "user", LINK_USER),
	NS_LINK("uts", "uts", LINK_UTS),
	{ 0 },
};

/* One user namespace, that of the sandbox: every id is itself. */
int proc_show_id_map(struct kern_inode *ki, struct buf *b)
{
	return buf_printf(b, "%10u %10u %10u\n", 0u, 0u, UINT32_MAX);
}

int proc_store_id_map(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	return -EPERM;
}

int proc_show_setgroups(struct kern_inode *ki, struct buf *b)
{
	return buf_puts(b, "allow\n");
}
