/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/namespaces.c - see namespaces.h. */
#include "sentry/task/namespaces.h"

#include <assert.h>
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/ipc_ns.h"
#include "sentry/task/pid.h"
#include "sentry/vfs/namei.h"

#define NS_FIRST_ID 0xf0000000ull /* like PROC_DYNAMIC_FIRST of Linux */

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

struct time_ns_told sandbox_time_ns;
struct net_limits *(*net_limits_of)(struct net_ns *ns);

static const struct ns_ops *other_ops[NS_KINDS];

static const uint64_t other_flags[NS_KINDS] = {
	[NS_NET] = CLONE_NEWNET,
	[NS_CGROUP] = CLONE_NEWCGROUP,
	[NS_TIME] = CLONE_NEWTIME,
};

void ns_register(enum ns_kind kind, const struct ns_ops *ops)
{
	other_ops[kind] = ops;
}

const struct ns_ops *ns_ops_of(enum ns_kind kind)
{
	return other_ops[kind];
}

struct user_ns *ns_owner_of(const struct namespaces *ns, enum ns_kind kind)
{
	const struct ns_ops *ops = other_ops[kind];

	return ops && ns->other[kind] ? ops->owner(ns->other[kind]) : NULL;
}

uint64_t ns_new_id(void)
{
	static uint64_t next = NS_FIRST_ID;

	return next++;
}

int uts_ns_new(const char *nodename, const char *domainname, struct uts_ns **ret)
{
	struct uts_ns *ns;

	if (strlen(nodename) > UTS_NAME_MAX || strlen(domainname) > UTS_NAME_MAX)
		return -EINVAL;
	ns = calloc(1, sizeof(*ns));
	if (!ns)
		return -ENOMEM;
	ns->refs = 1;
	ns->id = ns_new_id();
	memcpy(ns->nodename, nodename, strlen(nodename));
	memcpy(ns->domainname, domainname, strlen(domainname));
	*ret = ns;
	return 0;
}

struct uts_ns *uts_ns_ref(struct uts_ns *ns)
{
	ns->refs++;
	return ns;
}

void uts_ns_unref(struct uts_ns *ns)
{
	if (ns && --ns->refs == 0) {
		user_ns_unref(ns->user_ns);
		free(ns);
	}
}

struct namespaces *namespaces_new(const struct namespaces *members)
{
	struct namespaces *ns = malloc(sizeof(*ns));

	if (!ns)
		return NULL;
	*ns = *members;
	ns->refs = 1;
	if (ns->uts)
		uts_ns_ref(ns->uts);
	if (ns->mnt)
		mount_ns_ref(ns->mnt);
	if (ns->ipc)
		ipc_ns_ref(ns->ipc);
	if (ns->pid_for_children)
		pid_ns_ref(ns->pid_for_children);
	for (int i = 0; i < NS_KINDS; i++)
		if (ns->other[i])
			other_ops[i]->ref(ns->other[i]);
	return ns;
}

struct namespaces *namespaces_ref(struct namespaces *ns)
{
	ns->refs++;
	return ns;
}

static void members_unref(struct namespaces *ns)
{
	uts_ns_unref(ns->uts);
	if (ns->mnt)
		mount_ns_unref(ns->mnt);
	ipc_ns_unref(ns->ipc);
	pid_ns_unref(ns->pid_for_children);
	for (int i = 0; i < NS_KINDS; i++)
		if (ns->other[i])
			other_ops[i]->unref(ns->other[i]);
}

void namespaces_unref(struct namespaces *ns)
{
	if (!ns || --ns->refs)
		return;
	members_unref(ns);
	free(ns);
}

bool namespaces_chrooted(const struct namespaces *ns, const struct path *root)
{
	struct path top = { ns->mnt->root, ns->mnt->root->root };
	bool same;

	top = path_ref(&top);
	path_follow_mounts(&top);
	same = path_equal(&top, root);
	path_unref(&top);
	return !same;
}

static int other_new(struct namespaces *ns, enum ns_kind kind, const struct cred *cred)
{
	const struct ns_ops *ops = other_ops[kind];
	void *fresh;
	int r;

	if (!ops || !ops->create)
		return -EINVAL;
	r = ops->create(ns->other[kind], cred, &fresh);
	if (r < 0)
		return r;
	if (ns->other[kind])
		ops->unref(ns->other[kind]);
	ns->other[kind] = fresh;
	return 0;
}

static int replace_members(struct namespaces *ns, uint64_t flags, const struct cred *cred,
			   struct path *root, struct path *cwd)
{
	int r = 0;

	if (flags & CLONE_NEWUTS) {
		struct uts_ns *uts;

		r = uts_ns_new(ns->uts->nodename, ns->uts->domainname, &uts);
		if (r < 0)
			return r;
		uts->user_ns = user_ns_ref(cred->user_ns);
		uts_ns_unref(ns->uts);
		ns->uts = uts;
	}
	if (flags & CLONE_NEWIPC) {
		struct ipc_ns *ipc = ipc_ns_new(ns_new_id());

		if (!ipc)
			return -ENOMEM;
		ipc_ns_set_user(ipc, cred->user_ns);
		ipc_ns_unref(ns->ipc);
		ns->ipc = ipc;
	}
	if (flags & CLONE_NEWPID) {
		struct pid_ns *pid;

		r = pid_ns_new(ns->pid_for_children, &pid);
		if (r < 0)
			return r;
		pid_ns_set_user(pid, cred->user_ns);
		pid_ns_unref(ns->pid_for_children);
		ns->pid_for_children = pid;
	}
	for (int i = 0; i < NS_KINDS && r == 0; i++)
		if (flags & other_flags[i])
			r = other_new(ns, i, cred);
	/* Last: it moves root and cwd. */
	if (r == 0 && (flags & CLONE_NEWNS)) {
		struct mount_ns *mnt;

		r = mount_ns_copy(ns->mnt, cred->user_ns, root, cwd, &mnt);
		if (r < 0)
			return r;
		mount_ns_unref(ns->mnt);
		ns->mnt = mnt;
	}
	return r;
}

int namespaces_copy(struct namespaces *from, uint64_t flags, const struct cred *cred,
		    struct path *root, struct path *cwd, struct namespaces **ret)
{
	const uint64_t all = CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC |
			     CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME;
	struct namespaces *ns;
	int r;

	if (!(flags & all)) {
		*ret = namespaces_ref(from);
		return 0;
	}
	if (!cred_own_capable(cred, CAP_SYS_ADMIN))
		return -EPERM;
	ns = namespaces_new(from);
	if (!ns)
		return -ENOMEM;
	r = replace_members(ns, flags, cred, root, cwd);
	if (r < 0)
		namespaces_unref(ns);
	else
		*ret = ns;
	return r;
}
