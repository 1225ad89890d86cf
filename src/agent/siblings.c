/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/siblings.h"

#include <stdio.h>

#include "agent/container.h"
#include "base/str.h"

/* proc(5), /proc/PID/ns; NULL: nobody else's. */
static const char *const names[OCI_NS_MAX] = {
	[OCI_NS_PID] = "pid", [OCI_NS_NETWORK] = "net", [OCI_NS_IPC] = "ipc",
	[OCI_NS_UTS] = "uts", [OCI_NS_USER] = "user",
};

static int resolve(const struct agent *a, const char *id, const char *name, char *ret, size_t size,
		   struct err *err)
{
	const struct container *c = container_find(a, id, err);

	if (!c)
		return -ENOENT;
	if (!c->init || c->init->exited || c->deleting)
		return err_set(err, -ESRCH, "container %s has ended", id);
	(void)snprintf(ret, size, "/proc/%d/ns/%s", (int)c->init->pid, name);
	return 0;
}

int siblings_resolve(const struct agent *a, struct oci_linux *linux_spec, struct sibling_paths *ret,
		     struct err *err)
{
	for (enum oci_ns kind = 0; kind < OCI_NS_MAX; kind++) {
		struct oci_namespace *ns = &linux_spec->ns[kind];
		const char *id =
			ns->set && ns->path ? str_after(ns->path, AGENT_NAMESPACE_OF) : NULL;
		int r;

		if (!id)
			continue;
		r = names[kind] ? resolve(a, id, names[kind], ret->path[kind],
					  sizeof(ret->path[kind]), err)
				: err_set(err, -EINVAL, "it is shared with nobody");
		if (r < 0)
			return err_prefix(err, r, "linux.namespaces: %s", oci_ns_name(kind));
		ns->path = ret->path[kind];
	}
	return 0;
}
