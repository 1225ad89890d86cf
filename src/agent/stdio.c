/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/carrier.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "host/ids.h"
#include "wire/carrier.h"

int process_stdio_open(const struct agent_io *io, struct process_stdio *ret, struct err *err)
{
	const uint32_t streams[3] = { io->in, io->out, io->err };

	*ret = (struct process_stdio){ .theirs = { -EBADF, -EBADF, -EBADF },
				       .ours = { -EBADF, -EBADF, -EBADF } };
	for (int i = 0; i < 3 && !io->terminal; i++) {
		const int r = streams[i] ? carrier_pair(&ret->ours[i], &ret->theirs[i], err) : 0;

		if (r < 0) {
			process_stdio_done(ret);
			return r;
		}
	}
	return 0;
}

void process_stdio_done(struct process_stdio *stdio)
{
	for (int i = 0; i < 3; i++) {
		auto_close_p(&stdio->theirs[i]);
		auto_close_p(&stdio->ours[i]);
		stdio->theirs[i] = stdio->ours[i] = -EBADF;
	}
}

int process_stdio_place(const struct agent *a, const struct process_stdio *stdio,
			pid_t ret_carriers[3], struct err *err)
{
	for (int i = 0; i < 3; i++) {
		AUTO_CLOSE int pipe_fd = -EBADF;

		if (stdio && stdio->theirs[i] >= 0) {
			pipe_fd = carrier_start(stdio->theirs[i], i, &ret_carriers[i], err);
			if (pipe_fd < 0)
				return pipe_fd;
		}
		if (dup2(pipe_fd < 0 ? a->null : pipe_fd, i) < 0)
			return err_sys(err, -errno, "duplicate a standard stream");
	}
	return 0;
}

/* ---- Whose they are ------------------------------------------------------------------------- */

/* What 0 is outside or, where that is not mapped, `id`; -ENOENT: neither is. */
static int owner_of(pid_t pid, const char *map, uint32_t id, uint32_t *ret, struct err *err)
{
	AUTO_BUF struct buf text = { 0 };
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, map);
	r = fd_read_file(AT_FDCWD, path, &text);
	if (r == -ENOENT || r == -ESRCH)
		return err_set(err, -ESRCH, "the process of user namespace %s has ended", path);
	if (r < 0)
		return err_sys(err, r, "read %s", path);
	if (text.len == 0)
		return -ENOENT;
	return ids_outside(text.data, 0, ret) || ids_outside(text.data, id, ret) ? 0 : -ENOENT;
}

int process_stdio_give(pid_t pid, const struct oci_user *user, struct err *err)
{
	uint32_t uid = 0, gid = 0;
	int r = owner_of(pid, "uid_map", user->uid, &uid, err);

	if (r == 0)
		r = owner_of(pid, "gid_map", user->gid, &gid, err);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (int fd = 0; fd <= 2; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
			continue;
		if (fchown(fd, uid, gid) < 0)
			return err_sys(err, -errno, "give standard stream %d to user %u", fd, uid);
	}
	return 0;
}
