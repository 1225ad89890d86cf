/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/stdio.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "host/console.h"

#define PROC "/proc/"

static int open_again(int proc, int fd, int flags)
{
	char path[FD_PATH_MAX];
	const char *name = fd_path(fd, path);

	return proc < 0 ? open(name, flags) : openat(proc, name + sizeof(PROC) - 1, flags);
}

int stdio_own(int proc, int fd, int min)
{
	const int flags = fcntl(fd, F_GETFL);
	AUTO_CLOSE int own = -EBADF;
	struct stat st;
	int r;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		own = open_again(proc, fd,
				 (flags & (O_ACCMODE | O_APPEND)) | O_NONBLOCK | O_CLOEXEC |
					 O_NOCTTY);
	r = fcntl(own >= 0 ? own : fd, F_DUPFD_CLOEXEC, min);
	if (r < 0)
		return -errno;
	/* Shared with our caller, who finds it so: it must not stop the sandbox. */
	if (own < 0 && !S_ISREG(st.st_mode))
		(void)fcntl(r, F_SETFL, flags | O_NONBLOCK);
	return r;
}

int stdio_terminal(const struct process_terminal *terminal, int *ret_slave, int *ret_master,
		   struct err *err)
{
	AUTO_CLOSE int pts = open("/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int master = -EBADF;
	AUTO_CLOSE int slave = -EBADF;
	char name[CONSOLE_NAME_MAX] = "";
	struct termios saved;
	int r;

	if (!terminal->wanted)
		return 0;
	if (pts < 0)
		return err_sys(err, -errno, "open /dev/pts for the console");
	r = console_open_at(pts, &master, &slave, err);
	if (r < 0)
		return r;
	r = console_set_size(slave, terminal->rows, terminal->cols);
	if (r < 0)
		return err_sys(err, r, "set the size of the console");
	/* The line discipline is the one inside. */
	r = console_raw(slave, &saved);
	if (r < 0)
		return err_sys(err, r, "make the console raw");
	if (terminal->console_socket >= 0) {
		(void)console_name(master, name);
		r = fd_send(terminal->console_socket, name, sizeof(name), &master, 1);
		if (r < 0)
			return err_sys(err, r, "send the console's master");
	} else {
		*ret_master = TAKE_FD(master);
	}
	*ret_slave = TAKE_FD(slave);
	return 0;
}
