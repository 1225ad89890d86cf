/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A descriptor that tells of the OOM killer.
 *
 * v1: an eventfd registered in cgroup.event_control for memory.oom_control; it also fires when the
 * cgroup is removed, so a reader looks whether the container still runs. v2: inotify on
 * memory.events, which changes with every event of the group; cgroup_oom_confirm() compares
 * "oom_kill".
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include "base/buf.h"
#include "base/fd.h"
#include "host/cgroup_stats.h"
#include "host/cgroup_internal.h"

static int oom_fd_v1(int dir_fd, struct err *err)
{
	AUTO_CLOSE int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	AUTO_CLOSE int control = openat(dir_fd, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	char text[32];
	int r;

	if (event < 0 || control < 0)
		return err_sys(err, -errno, "memory: watch memory.oom_control");
	(void)snprintf(text, sizeof(text), "%d %d", event, control);
	r = fd_write_file(dir_fd, "cgroup.event_control", text);
	if (r < 0)
		return err_sys(err, r, "memory: write %s to cgroup.event_control", text);
	return TAKE_FD(event);
}

static int oom_fd_v2(int dir_fd, struct err *err)
{
	AUTO_CLOSE int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[FD_PATH_MAX + sizeof("/memory.events")];
	char dir[FD_PATH_MAX];

	if (watch < 0)
		return err_sys(err, -errno, "memory: inotify_init1");
	(void)snprintf(path, sizeof(path), "%s/memory.events", fd_path(dir_fd, dir));
	if (inotify_add_watch(watch, path, IN_MODIFY) < 0)
		return err_sys(err, errno == ENOENT ? -ENOTSUP : -errno,
			       "memory: watch memory.events");
	return TAKE_FD(watch);
}

int cgroup_oom_fd(const struct cgroup *cg, struct err *err)
{
	AUTO_CLOSE int v1 = cgroup_open_dir(cg, "memory");
	AUTO_CLOSE int v2 = -EBADF;

	if (v1 >= 0)
		return oom_fd_v1(v1, err);
	v2 = cgroup_open_dir(cg, "");
	if (v2 >= 0)
		return oom_fd_v2(v2, err);
	return err_set(err, -ENOTSUP, "the container has no memory cgroup");
}

bool cgroup_oom_confirm(const struct cgroup *cg, uint64_t *kills)
{
	AUTO(cgroup_kvs_done) struct cgroup_kvs events = { 0 };
	AUTO_BUF struct buf text = { .max = CGROUP_FILE_MAX };
	AUTO_CLOSE int dir = -EBADF;
	uint64_t now;

	if (cgroup_path(cg, "memory"))
		return true;
	dir = cgroup_open_dir(cg, "");
	if (dir < 0 || fd_read_file(dir, "memory.events", &text) < 0 || !text.data ||
	    cgroup_parse_kvs(text.data, &events) < 0)
		return false;
	now = cgroup_kvs_get(&events, "oom_kill");
	if (now <= *kills)
		return false;
	*kills = now;
	return true;
}
