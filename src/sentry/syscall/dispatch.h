/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscall/dispatch.h - the table of calls in memory, with a counter each.
 */
#pragma once

#include "sentry/syscall/syscall.h"

#define SYSCALL_NR_MAX 512

struct syscall_row {
	syscall_fn *fn; /* NULL: refused with `error` */
	const char *name;
	const char *args; /* kinds: syscalls.def */
	int error;	  /* of a refused call */
	bool partial;	  /* something is missing: syscalls.def says what */
	uint8_t observed; /* bit n: observer n (observe.h) */
	uint64_t count;	  /* how often it was called */
};

/* NULL: there is no such call. */
const struct syscall_row *syscall_row(uint64_t nr);

/* How often a number was called, known or not; SYSCALL_NR_MAX: all that are not below it. */
uint64_t syscall_count(uint64_t nr);
