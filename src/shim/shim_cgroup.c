/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/shim_cgroup.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/cgroup.h"
#include "shim/settings.h"
#include "shim/task.pb-c.h"
#include "shim/ttrpc_frame.h"

char *shim_cgroup_read(int fd)
{
	AUTO_TTRPC_MESSAGE struct ttrpc_message message = TTRPC_MESSAGE_INIT;
	AUTO_BUF struct buf b = { .max = SHIM_OPTIONS_MAX };
	int r;

	if (isatty(fd))
		return NULL;
	r = fd_read_within(fd, SHIM_OPTIONS_MS, &b);
	if (r < 0 || b.len == 0 ||
	    ttrpc_unpack(&caisson__shim__any__descriptor, b.data, b.len, &message) < 0) {
		if (r < 0)
			log_debug("options on standard input: %s", strerrordesc_np(-r));
		return NULL;
	}
	return settings_shim_cgroup((const Caisson__Shim__Any *)message.root);
}

/* Of a cgroup's directories, those that are there. */
static int take_existing(const struct cgroup *all, struct cgroup **ret, struct err *err)
{
	const struct cgroup_dir *dirs;
	const size_t len = cgroup_dirs(all, &dirs);
	AUTO_FREE struct cgroup_dir *there = calloc(len + 1, sizeof(*there));
	size_t found = 0;

	if (!there)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		if (access(dirs[i].path, F_OK) == 0)
			there[found++] = dirs[i];
	}
	return found ? cgroup_from_paths(there, found, ret, err) : -ENOENT;
}

int shim_cgroup_enter(const char *path, pid_t pid, struct err *err)
{
	struct cgroup_options options = { .manager = CGROUP_MANAGER_CGROUPFS, .id = "shim" };
	struct cgroup *all = NULL, *cg = NULL;
	AUTO_FREE char *absolute = NULL;
	int r;

	if (str_path_leaves(path))
		return err_set(err, -EINVAL, "ShimCgroup %.200s leads elsewhere", path);
	if (str_printf(&absolute, "%s%s", path[0] == '/' ? "" : "/", path) < 0)
		return err_sys(err, -ENOMEM, "ShimCgroup");
	options.path = absolute;
	r = cgroup_new(&options, &all, err);
	if (r == 0) {
		r = take_existing(all, &cg, err);
		if (r == -ENOENT || r == -ENOMEM)
			(void)err_sys(err, r, "cgroup %.200s", absolute);
	}
	if (r == 0)
		r = cgroup_enter_beside(cg, pid, pid, err);
	cgroup_free(cg);
	cgroup_free(all);
	return r < 0 ? err_prefix(err, r, "ShimCgroup") : 0;
}
