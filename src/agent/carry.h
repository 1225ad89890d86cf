/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/carry.h - what a carrier (agent/carrier.h) runs.
 *
 * It has descriptors and signals of its own, and the memory of the worker that made it, which costs
 * a start a tenth of what a copy does. So it may use nothing that the worker uses: its task, system
 * calls without errno, no sanitizer.
 */
#pragma once

#include <stdbool.h>

#define CARRY_MAX 16384 /* bytes at a time */

struct carry_task {
	char stack[4096] __attribute__((aligned(4096)));
	int pipe_fd, sock;
	bool out; /* from the pipe to the socket */
	char bytes[CARRY_MAX];
};

/* For clone(2), of a struct carry_task. Returns when either side has ended. */
int carry(void *arg);
