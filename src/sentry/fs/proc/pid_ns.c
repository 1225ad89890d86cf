/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/pid_ns.c - /proc/PID/ns, timens_offsets (namespaces(7)).
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/fs/proc/nsfs.h"
#include "sentry/mm/ipc_ns.h"

/* Of the sandbox's initial namespaces where a task has none of its own (Linux's PROC_*_INIT_INO).
 */
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define IPC_INIT_ID    0xefffffffu
#define CGROUP_INIT_ID 0xeffffffbu
#define NET_INIT_ID    0xeffffff9u
#define TIME_INIT_ID   0xeffffffau

/* A namespace of a room above; NULL where nobody registered the kind. */
static void other(const struct namespaces *ns, enum ns_kind kind, struct ns_ref *ret)
{
	const struct ns_ops *ops = ns_ops_of(kind);

	if (!ops || !ns->other[kind])
		return;
	ret->object = ns->other[kind];
	ret->id = ops->id(ret->object);
}

struct ns_link {
	uint64_t kind;
	uint64_t initial_id;
	bool for_children;
};

static struct ns_ref ns_of(const struct task *t, const struct ns_link *l)
{
	const struct namespaces *ns = t->ns;
	struct ns_ref ref = { .kind = l->kind, .id = l->initial_id };
	struct pid_ns *pids = l->for_children ? ns->pid_for_children : task_pid_ns(t);

	switch (l->kind) {
	case CLONE_NEWCGROUP:
		other(ns, NS_CGROUP, &ref);
		break;
	case CLONE_NEWIPC:
		if (ns->ipc)
			ref = (struct ns_ref){ l->kind, ns->ipc->id, ns->ipc };
		break;
	case CLONE_NEWNS:
		if (ns->mnt)
			ref = (struct ns_ref){ l->kind, ns->mnt->id, ns->mnt };
		break;
	case CLONE_NEWNET:
		other(ns, NS_NET, &ref);
		break;
	case CLONE_NEWPID:
		if (pids)
			ref = (struct ns_ref){ l->kind, pid_ns_id(pids), pids };
		break;
	case CLONE_NEWTIME:
		if (sandbox_time_ns.id)
			ref.id = sandbox_time_ns.id;
		other(ns, NS_TIME, &ref);
		break;
	case CLONE_NEWUSER:
		ref.object = t->cred->user_ns;
		ref.id = user_ns_id(t->cred->user_ns, USER_INIT_ID);
		break;
	case CLONE_NEWUTS:
		if (ns->uts)
			ref = (struct ns_ref){ l->kind, ns->uts->id, ns->uts };
		break;
	default:
		break;
	}
	return ref;
}

static int find_ns(const struct kern_inode *ki, struct ns_ref *ret)
{
	AUTO_TASK struct task *t = NULL;
	const int r = proc_check_access(ki, false);

	if (r < 0)
		return r;
	t = proc_task(ki);
	if (!t || !t->ns)
		return -ENOENT;
	*ret = ns_of(t, ki->node->data);
	return 0;
}

static int ns_readlink(struct kern_inode *ki, char **ret)
{
	struct ns_ref ref;
	const int r = find_ns(ki, &ref);

	if (r < 0)
		return r;
	return asprintf(ret, "%s:[%llu]", nsfs_kind_name(ref.kind), (unsigned long long)ref.id) < 0
		       ? -ENOMEM
		       : 0;
}

static int ns_follow(struct kern_inode *ki, struct path *ret)
{
	struct ns_ref ref;
	const int r = find_ns(ki, &ref);

	return r < 0 ? r : nsfs_path(&ref, ret);
}

#define NS_LINK(name_, kind_, initial_, children_)                                \
	{                                                                         \
		.name = (name_), .mode = S_IFLNK | 0777, .readlink = ns_readlink, \
		.follow = ns_follow, .data = &(const struct ns_link)              \
		{                                                                 \
			(kind_), (initial_), (children_)                          \
		}                                                                 \
	}

const struct kern_node proc_ns_children[] = {
	NS_LINK("cgroup", CLONE_NEWCGROUP, CGROUP_INIT_ID, false),
	NS_LINK("ipc", CLONE_NEWIPC, IPC_INIT_ID, false),
	NS_LINK("mnt", CLONE_NEWNS, 0, false),
	NS_LINK("net", CLONE_NEWNET, NET_INIT_ID, false),
	NS_LINK("pid", CLONE_NEWPID, 0, false),
	NS_LINK("pid_for_children", CLONE_NEWPID, 0, true),
	NS_LINK("time", CLONE_NEWTIME, TIME_INIT_ID, false),
	NS_LINK("time_for_children", CLONE_NEWTIME, TIME_INIT_ID, true),
	NS_LINK("user", CLONE_NEWUSER, USER_INIT_ID, false),
	NS_LINK("uts", CLONE_NEWUTS, 0, false),
	{ 0 },
};

int proc_show_timens_offsets(struct kern_inode *ki, struct buf *b)
{
	const struct time_offset *m = &sandbox_time_ns.monotonic;
	const struct time_offset *o = &sandbox_time_ns.boottime;

	(void)buf_printf(b, "%-10s %10lld %9u\n", "monotonic", (long long)m->secs, m->nanosecs);
	return buf_printf(b, "%-10s %10lld %9u\n", "boottime", (long long)o->secs, o->nanosecs);
}

/* The clocks of a namespace with processes in it stand. */
int proc_store_timens_offsets(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	return -EACCES;
}
