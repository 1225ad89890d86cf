/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/carriers.h - what a supervisor gets instead of descriptors that may keep it
 * waiting: one end of a pair of sockets, whose other end a carrier has (wire/carrier.h).
 *
 * Its maker is the process that outlives the start: the staged child, which becomes the supervisor,
 * an exec's waiter, a keeper. It has the rights of its maker, so that it is made when those are
 * gone.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct carriers {
	int fd[3], sock[3]; /* owned until carriers_start(); -EBADF: none */
	uint32_t carried;   /* VMM_CARRIED() of those that are */
};
#define CARRIERS_INIT                                                                \
	{                                                                            \
		.fd = { -EBADF, -EBADF, -EBADF }, .sock = { -EBADF, -EBADF, -EBADF } \
	}
void carriers_done(struct carriers *carriers);

/*
 * Of a process's 0, 1, 2 (negative: none): those that may keep waiting who touches them are taken
 * over, and fds[i] becomes the supervisor's end, the caller's, at least `min`, as what is kept is.
 * Pipes and files do; terminals, sockets of AF_UNIX and /dev/null do not.
 */
int carriers_open(struct carriers *carriers, int fds[3], int min, struct err *err);

/*
 * Make them, that of 0 to read nothing before the supervisor has sent a byte; once in a process,
 * whose memory they use, and with which they end. Its children are the caller's to reap.
 */
int carriers_start(struct carriers *carriers, struct err *err);
