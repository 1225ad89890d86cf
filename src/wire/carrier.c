/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/carrier.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#define SOCKET_MAX (64 << 10) /* of one pair, as much as a pipe has */

int carrier_pair(int *ret_ours, int *ret_theirs, struct err *err)
{
	const int size = SOCKET_MAX / 2; /* the kernel doubles it */
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "make a pair of sockets");
	for (int i = 0; i < 2; i++)
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*ret_ours = pair[0];
	*ret_theirs = pair[1];
	return 0;
}

pid_t carrier_make(struct carry_task *task, struct err *err)
{
	const pid_t pid = clone(carry, task->stack + sizeof(task->stack), CLONE_VM | SIGCHLD, task);

	return pid < 0 ? err_sys(err, -errno, "fork a carrier") : pid;
}
