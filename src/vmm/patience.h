/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/patience.h - how much of a time that has passed a silent agent has to answer for.
 *
 * An emulated guest is slow, and on a busy host it hardly runs. So the time that counts is that in
 * which the guest could have run: all of it while its monitor used next to no CPU (the guest is
 * idle, and says nothing), else what its monitor used. If the supervisor, which sleeps most of the
 * time, was woken late itself, an idle monitor proves nothing: both may have waited for a CPU.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/agent_msg.h"

#define PATIENCE_STOPPED_MS 2000 /* so late a timer was stopped, with the guest */
#define PATIENCE_LATE_MS    100	 /* so late there was no CPU for us */
#define PATIENCE_IDLE	    20	 /* a monitor that used less than this part of the time is idle */

struct patience_tick {
	int64_t wall_ms; /* since the last one */
	int64_t late_ms; /* the timer's, of them */
	int64_t cpu_ms;	 /* that the monitor used meanwhile, all threads; negative: not known */
};

/* Of wall_ms what counts. */
int64_t patience_counts(const struct patience_tick *tick);
static inline bool patience_was_stopped(const struct patience_tick *tick)
{
	return tick->late_ms > PATIENCE_STOPPED_MS;
}

/*
 * How long the agent may take for a call, of the time that counts; 0: as long as the container's
 * files do, whoever asked waits or cancels. A DELETE is bounded where the machine ends; a container
 * of several that hangs in the kernel on its way out is no reason to end the others.
 */
int64_t patience_limit_ms(enum agent_call call, bool cancelled, bool ends);

/* CPU time of a process, all its threads; -ESRCH and the like: it is gone. */
int64_t patience_cpu_ms(pid_t pid);
