/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/siblings.h"

#include <errno.h>
#include <stdio.h>

#include "agent/container.h"
#include "base/str.h"
#include "host/pidfd.h"

/* proc(5), /proc/PID/ns; NULL: nobody else's. */
static const char *const names[OCI_NS_MAX] = {
	[OCI_NS_PID] = "pid", [OCI_NS_NETWORK] = "net", [OCI_NS_IPC] = "ipc",
	[OCI_NS_UTS] = "uts", [OCI_NS_USER] = "user",
};

static int resolve(const struct agent *a, const char *id, enum oci_ns kind, struct siblings *ret,
		   struct err *err)
{
	const struct container *c = container_find(a, id, err);

	if (!c)
		return -ENOENT;
	if (!c->init || c->init->exited || c->deleting)
		return err_set(err, -ESRCH, "container %s has ended", id);
	(void)snprintf(ret->path[kind], sizeof(ret->path[kind]), "/proc/%d/ns/%s",
		       (int)c->init->pid, names[kind]);
	ret->pidfds[ret->len++] = c->init->pidfd;
	return 0;
}

int siblings_resolve(const struct agent *a, struct oci_linux *linux_spec, struct siblings *ret,
		     struct err *err)
{
	for (enum oci_ns kind = 0; kind < OCI_NS_MAX; kind++) {
		struct oci_namespace *ns = &linux_spec->ns[kind];
		const char *id =
			ns->set && ns->path ? str_after(ns->path, AGENT_NAMESPACE_OF) : NULL;
		int r;

		if (!id)
			continue;
		r = names[kind] ? resolve(a, id, kind, ret, err)
				: err_set(err, -EINVAL, "it is shared with nobody");
		if (r < 0)
			return err_prefix(err, r, "linux.namespaces: %s", oci_ns_name(kind));
		ns->path = ret->path[kind];
	}
	return 0;
}

int siblings_live(const struct siblings *s, struct err *err)
{
	for (size_t i = 0; i < s->len; i++) {
		if (pidfd_wait(s->pidfds[i], 0) != -ETIMEDOUT)
			return err_set(err, -ESRCH,
				       "linux.namespaces: a container that shares them has ended");
	}
	return 0;
}
