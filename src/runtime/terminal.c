/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/terminal.h"

#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/sockets.h"

int terminal_check(const struct oci_process *process, bool detached, const char *socket_path,
		   struct err *err)
{
	if (detached && process->terminal && !socket_path)
		return err_set(err, -EINVAL,
			       "cannot allocate tty if caisson will detach without setting console "
			       "socket");
	if (socket_path && (!detached || !process->terminal))
		return err_set(
			err, -EINVAL,
			"cannot use console socket if caisson will not detach or allocate tty");
	return 0;
}

static void choose_size(const struct oci_process *process, bool detached,
			struct process_terminal *terminal)
{
	struct winsize size;

	if (process->console_height.set && process->console_height.v <= UINT16_MAX &&
	    process->console_width.set && process->console_width.v <= UINT16_MAX) {
		terminal->rows = (unsigned short)process->console_height.v;
		terminal->cols = (unsigned short)process->console_width.v;
	} else if (!detached && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
		terminal->rows = size.ws_row;
		terminal->cols = size.ws_col;
	}
}

int terminal_prepare(const struct oci_process *process, bool detached, const char *socket_path,
		     struct process_terminal *ret, struct err *err)
{
	int fd;

	*ret = (struct process_terminal){ .wanted = process->terminal, .console_socket = -EBADF };
	if (!process->terminal)
		return 0;
	choose_size(process, detached, ret);
	if (!socket_path)
		return 0;
	fd = socket_connect(socket_path, err);
	if (fd < 0)
		return err_prefix(err, fd, "console socket");
	ret->console_socket = fd;
	return 0;
}
