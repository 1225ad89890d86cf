/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/exec.h - execve(2): a new program in a fresh space.
 *
 * The program is loaded beside the old one. Only when that has worked are the other threads ended
 * and the task moved: an execve that fails leaves the caller as it was.
 */
#pragma once

#include "sentry/task/task.h"

#define EXEC_ARGS_MAX	   0x7fffffffu
#define EXEC_STRING_MAX	   (32 * 4096u) /* one argument with its NUL: MAX_ARG_STRLEN */
#define EXEC_BYTES_MAX	   (6u << 20)	/* all strings and pointers, whatever the stack limit is */
#define EXEC_SCRIPT_LEVELS 5

/* Strings of the kernel, NULL-terminated. */
struct exec_strings {
	char **v;
	size_t len;
	size_t bytes; /* strings and pointers */
};
void exec_strings_done(struct exec_strings *s);
/* The vector at a guest address (0: empty). -EFAULT, -E2BIG, -ENOMEM. */
int exec_strings_import(struct exec_strings *s, struct user_memory *um, uaddr_t vector,
			size_t bytes_max);
int exec_strings_add(struct exec_strings *s, const char *text);

struct exec_request {
	const struct path *at; /* where a relative path begins; NULL: the working directory */
	const char *name;      /* a path of the kernel */
	unsigned int walk;     /* WALK_FOLLOW, WALK_EMPTY */
	const char *shown;     /* AT_EXECFN; NULL: name */
	bool inaccessible;     /* `shown` leads nowhere after exec (close-on-exec): no scripts */
	struct exec_strings argv, envp; /* consumed */
};
/*
 * Wait until no thread of the process is in execve(2): what its new credentials depend on may not
 * change meanwhile. 0, or -EINTR when the waiting task must end.
 */
int task_exec_wait(struct task *t, struct thread_group *tg);
/* 0: the registers are those of the new program. Errors of execve(2). */
int task_exec(struct task *t, struct exec_request *req);

/* Bytes of strings that execve allows: a quarter of RLIMIT_STACK, within limits. */
size_t exec_bytes_max(const struct task *t);
