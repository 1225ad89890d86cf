/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/carry.h - what a carrier (wire/carrier.h) runs.
 *
 * It has descriptors and signals of its own, and the memory of the process that made it, which
 * costs a start a tenth of what a copy does. So it may use nothing that its maker uses: its task,
 * system calls without errno, no sanitizer.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define CARRY_MAX 16384 /* bytes at a time */

struct carry_task {
	char stack[4096] __attribute__((aligned(4096)));
	int fd; /* a pipe, or whatever may keep waiting who reads or writes it */
	int sock;
	bool to_sock; /* from fd to the socket */
	bool waits;   /* ... and fd is not touched before a byte has come from there */
	pid_t parent; /* with whom it ends, or 0 */
	char bytes[CARRY_MAX];
};

/* For clone(2), of a struct carry_task. Returns when either side has ended. */
int carry(void *arg);
