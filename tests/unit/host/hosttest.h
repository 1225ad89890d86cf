/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosttest.h - what the unit tests of room host share: cmocka with what it needs before it,
 * children that try something the test process itself must not (namespaces, filters, limits), and
 * spec documents from text.
 */
#pragma once

#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "oci/spec.h"

#define STRS(...)                                                           \
	((struct oci_strs){ .items = (const char *[]){ __VA_ARGS__, NULL }, \
			    .len = ARRAY_LEN(((const char *[]){ __VA_ARGS__ })) })

/* Run fn in a child; its result (0..255) is the exit status. A signal gives 1000 + its number. */
static inline int in_child(int (*fn)(void *), void *arg)
{
	const pid_t pid = fork();
	int status;

	if (pid == 0) {
		(void)prctl(PR_SET_DUMPABLE, 0); /* no core files from killed children */
		/* cmocka's handlers would go on with the next test in the child. */
		for (int number = 1; number < 32; number++)
			(void)signal(number, SIG_DFL);
		_exit(fn(arg));
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* The number of open descriptors, to see that nothing leaks. */
static inline int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* CAVEATS.md#unit-root names the rows that need root; say so and skip. */
#define NEED_ROOT()                                                          \
	do {                                                                 \
		if (geteuid() != 0) {                                        \
			print_message("needs root: CAVEATS.md#unit-root\n"); \
			skip();                                              \
		}                                                            \
	} while (0)
