/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/carrier.h - carriers (wire/carrier.h) between a container's pipes and the agent.
 *
 * Each pipe has one, a child of the worker that makes the container's process, which has one end of
 * it and one of a pair of sockets. When it ends the program (or a child of it) sees the end of its
 * input, or EPIPE, as if the agent had the pipe. It runs in the agent's cgroup, beside the
 * container's, and is the agent's to reap.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct carrier {
	pid_t pid; /* 0: none, or it has ended */
	unsigned int stuck;
};

/*
 * In the worker: a pipe and its carrier, which has a copy of `sock`. `number`: the container's 0, 1
 * or 2, of which it reads the first; each once in a worker, whose memory the carrier uses. Returns
 * the container's end, the caller's, or -errno.
 */
int carrier_start(int sock, int number, pid_t *ret_pid, struct err *err);

/*
 * The process has ended: what it had written before is sent, then the socket's end. Bytes that its
 * children write later are not waited for.
 */
void carrier_finish(int ours);

/*
 * After carrier_finish(), every CARRIER_LOOK_MS: whether somebody has kept the pipe's lock for
 * CARRIER_LOOKS looks in a row. One that waits for its turn, or for us, is not stuck.
 */
#define CARRIER_LOOK_MS 250
#define CARRIER_LOOKS	4
bool carrier_is_stuck(struct carrier *carrier);
