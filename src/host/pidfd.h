/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/pidfd.h - processes that cannot be mistaken for others: pidfd_open(2), and the start time
 * for what a state file remembers.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* A descriptor of a process (thread group leader); close-on-exec, the caller's. -ESRCH when there
 * is none. */
int pidfd_get(pid_t pid);

/*
 * The numbers of its process (fdinfo of a pidfd, pidfd_open(2)): in the pid namespace of `proc`, a
 * directory /proc, then in each one further in, down to its own. How many, at most max. -ESRCH: it
 * has none there, or was reaped; -EBADMSG: this is no pidfd.
 */
int pidfd_numbers(int proc, int pidfd, pid_t *ret, size_t max);

/* The first of them: a directory of `proc`. */
int pidfd_number(int proc, int pidfd);

/* Send a signal. -ESRCH when it is gone; a zombie takes signals without effect. */
int pidfd_kill(int pidfd, int signal);

/* Wait until the process is dead (a zombie counts); timeout_ms -1: for ever. -ETIMEDOUT after it.
 */
int pidfd_wait(int pidfd, int timeout_ms);

/* Reap a child; *ret_status is wait(2)'s form. Blocks. -ECHILD when it is not the caller's child.
 */
int pidfd_reap(int pidfd, int *ret_status);

/* Field 22 of /proc/PID/stat: clock ticks after boot at which the process started. -ESRCH when
 * gone. */
int pid_start_time(pid_t pid, uint64_t *ret);

/*
 * The same two facts out of the text of /proc/PID/stat: the state letter and the start time. The
 * name of the process may hold anything, so both are looked for after the last ')'. -EINVAL when
 * they are not there.
 */
int pid_stat_parse(const char *text, size_t len, char *ret_state, uint64_t *ret_start_time);

enum process_state {
	PROCESS_GONE, /* no such process, or its number belongs to another one now */
	PROCESS_ZOMBIE,
	PROCESS_RUNNING, /* or sleeping, or stopped: not dead */
};

/* start_time 0 means: unknown, do not compare. Never fails: what cannot be looked at runs. */
enum process_state process_state(pid_t pid, uint64_t start_time);
