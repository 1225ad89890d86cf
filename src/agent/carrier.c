/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/carrier.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "host/pidfd.h"
#include "wire/carrier.h"

#define STAT_MAX 1024

/* ---- In the worker -------------------------------------------------------------------------- */

int carrier_start(int sock, int number, pid_t *ret_pid, struct err *err)
{
	static struct carry_task tasks[3];
	struct carry_task *task = &tasks[number];
	const bool out = number > 0;
	AUTO_CLOSE int ours = -EBADF;
	AUTO_CLOSE int theirs = -EBADF;
	int pair[2];
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "make a pipe");
	ours = pair[out ? 0 : 1];
	theirs = pair[out ? 1 : 0];
	/* Of our end alone. */
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, -errno, "fcntl");
	task->fd = ours;
	task->sock = sock;
	task->to_sock = out;
	pid = carrier_make(task, err);
	if (pid < 0)
		return pid;
	*ret_pid = pid;
	return TAKE_FD(theirs);
}

/* ---- In the agent --------------------------------------------------------------------------- */

void carrier_finish(int ours)
{
	(void)shutdown(ours, SHUT_WR);
}

/* Who waits for a pipe's lock waits uninterruptibly. */
static bool is_waiting(pid_t pid)
{
	AUTO_BUF struct buf text = { .max = STAT_MAX };
	uint64_t start_time;
	char path[64], state;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return fd_read_file(AT_FDCWD, path, &text) == 0 &&
	       pid_stat_parse(text.data, text.len, &state, &start_time) == 0 && state == 'D';
}

bool carrier_is_stuck(struct carrier *carrier)
{
	if (carrier->pid == 0 || !is_waiting(carrier->pid))
		carrier->stuck = 0;
	else
		carrier->stuck++;
	return carrier->stuck >= CARRIER_LOOKS;
}
