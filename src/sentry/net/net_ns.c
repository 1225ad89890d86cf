/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/net/net_ns.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/core/user_ns.h"
#include "sentry/net/unix.h"
#include "sentry/task/namespaces.h"
#include "sentry/task/task.h"

#define EPHEMERAL_FIRST 32768
#define EPHEMERAL_LAST	60999
#define PRIVILEGED_END	1024
#define BACKLOG_MAX	4096

#define LIMITS                                                                    \
	{                                                                         \
		.ports = { EPHEMERAL_FIRST, EPHEMERAL_LAST },                     \
		.unprivileged_first = PRIVILEGED_END, .backlog_max = BACKLOG_MAX, \
	}

static struct net_limits next_limits = LIMITS;

static struct net_limits *limits_of(struct net_ns *ns)
{
	return ns ? &ns->limits : &next_limits;
}

int net_ns_new(bool up, struct net_ns **ret)
{
	struct net_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return -ENOMEM;
	ns->refs = 1;
	ns->id = ns_new_id();
	ns->loopback_up = up;
	ns->limits = next_limits;
	next_limits = (struct net_limits)LIMITS;
	list_init(&ns->unix_sockets);
	ns->unix_names.hash = unix_name_hash;
	list_init(&ns->raw_sockets);
	for (unsigned int i = 0; i < NET_PORT_BUCKETS; i++) {
		list_init(&ns->tcp_ports[i]);
		list_init(&ns->udp_ports[i]);
	}
	*ret = ns;
	return 0;
}

struct net_ns *net_ns_ref(struct net_ns *ns)
{
	ns->refs++;
	return ns;
}

void net_ns_unref(struct net_ns *ns)
{
	if (ns && --ns->refs == 0) {
		user_ns_unref(ns->user_ns);
		khash_done(&ns->unix_names);
		free(ns);
	}
}

bool net_capable(const struct net_ns *ns, unsigned int cap)
{
	return task_ns_capable(task_current(), ns->user_ns, cap);
}

static int ns_create(void *parent, const struct cred *cred, void **ret)
{
	struct net_ns *ns;
	const int r = net_ns_new(false, &ns);

	if (r < 0)
		return r;
	ns->user_ns = user_ns_ref(cred->user_ns);
	*ret = ns;
	return 0;
}

static void ns_ref(void *ns)
{
	net_ns_ref(ns);
}

static void ns_unref(void *ns)
{
	net_ns_unref(ns);
}

static uint64_t ns_id(const void *ns)
{
	return ((const struct net_ns *)ns)->id;
}

static struct user_ns *ns_owner(const void *ns)
{
	return ((const struct net_ns *)ns)->user_ns;
}

void net_register(void)
{
	static const struct ns_ops ops = {
		.create = ns_create,
		.ref = ns_ref,
		.unref = ns_unref,
		.id = ns_id,
		.owner = ns_owner,
	};

	net_limits_of = limits_of;
	ns_register(NS_NET, &ops);
}
