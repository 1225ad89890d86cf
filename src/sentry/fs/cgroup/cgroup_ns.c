/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/cgroup/cgroup_ns.c - cgroup_namespaces(7): each has the container's cgroup as its root,
 * as all processes of a sandbox are in that one.
 */
#include "sentry/fs/cgroup/cgroup.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/core/user_ns.h"
#include "sentry/task/namespaces.h"

struct cgroup_ns {
	unsigned int refs;
	uint64_t id;
	struct user_ns *user_ns; /* one reference; NULL: the initial one */
};

static int ns_create(void *parent, const struct cred *cred, void **ret)
{
	struct cgroup_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return -ENOMEM;
	ns->refs = 1;
	ns->id = ns_new_id();
	ns->user_ns = user_ns_ref(cred->user_ns);
	*ret = ns;
	return 0;
}

static void ns_ref(void *ns)
{
	((struct cgroup_ns *)ns)->refs++;
}

static void ns_unref(void *object)
{
	struct cgroup_ns *ns = object;

	if (--ns->refs > 0)
		return;
	user_ns_unref(ns->user_ns);
	free(ns);
}

static uint64_t ns_id(const void *ns)
{
	return ((const struct cgroup_ns *)ns)->id;
}

static struct user_ns *ns_owner(const void *ns)
{
	return ((const struct cgroup_ns *)ns)->user_ns;
}

void cgroup_ns_register(void)
{
	static const struct ns_ops ops = {
		.create = ns_create,
		.ref = ns_ref,
		.unref = ns_unref,
		.id = ns_id,
		.owner = ns_owner,
	};

	ns_register(NS_CGROUP, &ops);
}
