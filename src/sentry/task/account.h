/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/account.h - what tasks have done: switches, bytes of read(2) and write(2), births,
 * and how many wanted to run (getloadavg(3)).
 */
#pragma once

#include "sentry/task/task.h"

/*
 * A voluntary switch is a wait of kernel code for the task, an involuntary one the end of its slice
 * there or sched_yield(2). What the host does to a thread in guest code is not known.
 */
struct switches {
	uint64_t voluntary, involuntary;
};
struct switches task_switches(const struct task *t);
struct switches thread_group_switches(const struct thread_group *tg); /* and ended threads */
/* task/run.c: guest code begins and has ended; waits between are the platform's. */
void account_enter_guest(struct task *t);
void account_left_guest(struct task *t);

/* One call of the read or write family that moved so many bytes, or failed. */
static inline void account_read(struct task *t, int64_t bytes)
{
	t->io.read_calls++;
	t->io.read_bytes += bytes > 0 ? (uint64_t)bytes : 0;
}

static inline void account_write(struct task *t, int64_t bytes)
{
	t->io.write_calls++;
	t->io.write_bytes += bytes > 0 ? (uint64_t)bytes : 0;
}

void account_birth(void);
uint64_t account_births(void); /* processes and threads */

void io_account_add(struct io_account *to, const struct io_account *more);
/* Of its threads, also ended ones, and of children that were waited for. */
struct io_account thread_group_io(const struct thread_group *tg);

/*
 * Load averages of 1, 5 and 15 minutes in parts of LOAD_ONE: tasks that run or wait
 * uninterruptibly, looked at every five seconds as long as there is one: an idle sandbox has no
 * timer.
 */
#define LOAD_ONE 2048u
void load_averages(uint64_t ret[3]);
void load_wake(const struct task *t); /* wants to run */
