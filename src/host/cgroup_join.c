/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entering without cgroup_threadgroup_rwsem (host/cgroup.h tells why).
 *
 * kernel/cgroup/cgroup.c, cgroup_procs_write_start(): the lock is left out if a single thread moves
 * itself, since 5.6. v1 has "tasks" for that in every directory. cgroup2's cgroup.threads cannot
 * leave the domain, so there birth by clone3(2) is the only quick way.
 */
#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "host/cgroup_internal.h"

_Static_assert(CGROUP_JOIN_MAX == CGROUP_DIRS_MAX, "one descriptor a directory");

void cgroup_join_done(struct cgroup_join *join)
{
	for (size_t i = 0; i < join->len; i++)
		auto_close_p(&join->fds[i]);
	join->len = 0;
}

int cgroup_join_open(const struct cgroup *cg, bool cloned, struct cgroup_join *ret, struct err *err)
{
	char path[CGROUP_PATH_MAX + sizeof("/cgroup.procs")];

	ret->len = 0;
	for (size_t i = 0; i < cg->len; i++) {
		const bool v2 = !*cg->dirs[i].controllers;
		int fd, r;

		if (v2 && cloned)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", cg->dirs[i].path,
			       v2 ? "cgroup.procs" : "tasks");
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0) {
			ret->fds[ret->len++] = fd;
			continue;
		}
		r = -errno;
		if (cg->rootless && cgroup_is_permission(r))
			continue;
		cgroup_join_done(ret);
		return err_sys(err, r, "open %s", path);
	}
	return 0;
}

int cgroup_join(const struct cgroup_join *join, size_t *ret_at)
{
	for (size_t i = 0; i < join->len; i++) {
		ssize_t n;

		do {
			n = write(join->fds[i], "0", 1);
		} while (n < 0 && errno == EINTR);
		if (n < 0) {
			if (ret_at)
				*ret_at = i;
			return -errno;
		}
	}
	return 0;
}
