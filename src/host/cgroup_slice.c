/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup path in systemd's words, as containerd's CRI plugin writes it below a pod's slice
 * whichever driver the runtime has: "kubepods-pod1.slice:cri-containerd:ID".
 *
 * Taken as a name it would be a cgroup beside whoever starts the container, outside of the pod's
 * and its limits. systemd keeps the slice "a-b.slice" in a.slice/a-b.slice (systemd.slice(5)), and
 * the container's scope is a directory in it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "host/cgroup_internal.h"

#define SUFFIX	".slice"
#define MANAGER "/user@" /* UID.service */
#define SERVICE ".service"

/* Append "/" and the first `len` bytes of `name`, then `end`. */
static int add_part(char path[static CGROUP_PATH_MAX], const char *name, size_t len,
		    const char *end)
{
	const size_t have = strlen(path);
	const int n = snprintf(path + have, CGROUP_PATH_MAX - have, "/%.*s%s", (int)len, name, end);

	return n < (int)(CGROUP_PATH_MAX - have) ? 0 : -ENAMETOOLONG;
}

/* The directories of a slice: one for each dash, and its own. `len`: without the suffix. */
static int add_slice(char path[static CGROUP_PATH_MAX], const char *slice, size_t len)
{
	int r = 0;

	if (len == 1 && *slice == '-')
		return 0; /* the top */
	for (size_t i = 0; r == 0 && i <= len; i++) {
		if (i < len && slice[i] != '-')
			continue;
		/* Nothing before, or between, or behind the dashes: no slice has such a name. */
		if (i == 0 || slice[i - 1] == '-')
			return -EINVAL;
		r = add_part(path, slice, i, SUFFIX);
	}
	return r;
}

int cgroup_slice_path(const char *path, char ret[static CGROUP_PATH_MAX])
{
	const char *prefix = strchr(path, ':');
	const char *name = prefix ? strchr(prefix + 1, ':') : NULL;
	char scope[CGROUP_PATH_MAX];
	size_t len;
	int r, n;

	*ret = '\0';
	if (!name || strchr(name + 1, ':') || strchr(path, '/'))
		return 0;
	len = (size_t)(prefix - path);
	if (len < strlen(SUFFIX) || memcmp(prefix - strlen(SUFFIX), SUFFIX, strlen(SUFFIX)) != 0)
		return 0;
	if (!name[1])
		return -EINVAL;
	r = add_slice(ret, path, len - strlen(SUFFIX));
	if (r < 0)
		return r;
	if (str_ends(name, SUFFIX))
		n = snprintf(scope, sizeof(scope), "%s", name + 1);
	else
		n = snprintf(scope, sizeof(scope), "%.*s-%s.scope", (int)(name - prefix - 1),
			     prefix + 1, name + 1); /* "-NAME" without a prefix, as runc */
	if (n >= (int)sizeof(scope))
		return -ENAMETOOLONG;
	r = add_part(ret, scope, strlen(scope), "");
	return r < 0 ? r : 1;
}

size_t cgroup_slice_base(const char *own_path)
{
	const char *at = strstr(own_path, MANAGER);
	const size_t len = at ? 1 + strcspn(at + 1, "/") : 0;

	if (len < strlen(MANAGER SERVICE) ||
	    memcmp(at + len - strlen(SERVICE), SERVICE, strlen(SERVICE)) != 0)
		return 0;
	return (size_t)(at - own_path) + len;
}
