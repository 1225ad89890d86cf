/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/carrier.h - processes that carry between a descriptor that may keep waiting who touches it,
 * and a socket that keeps nobody waiting.
 *
 * Who moves bytes between a pipe and a file that is slow (sendfile(2), splice(2), a write out of or
 * a read into a mapped page that is not there yet) holds the pipe's lock while he waits. read(2),
 * write(2), FIONREAD and the last close(2) of that pipe wait for the lock, uninterruptibly,
 * whatever O_NONBLOCK says. A file waits for its file system. So neither caisson-agent nor
 * caisson-vm, which serve many, ever have such a descriptor: each has a carrier, a process of its
 * own with one end of a pair of sockets.
 *
 * A carrier ends by itself when either side has. Its maker is its parent, and its maker's memory is
 * its own.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "wire/carry.h"

/*
 * Both ends of the pair of sockets, which hold as much as a pipe does; both are the caller's. 0 or
 * -errno.
 */
int carrier_pair(int *ret_ours, int *ret_theirs, struct err *err);

/*
 * Make the carrier of a task, which has copies of its descriptors. The task is the carrier's from
 * now on, whatever becomes of the caller. Its pid or -errno.
 */
pid_t carrier_make(struct carry_task *task, struct err *err);
