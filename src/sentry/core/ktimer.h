/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/ktimer.h - timers of the kernel, on the host's CLOCK_MONOTONIC.
 *
 * A timer's function runs in the loop, under the monitor and outside of any fiber: it must not
 * park. An armed timer is the caller's memory until it has fired or is cancelled.
 */
#pragma once

#include "base/rbtree.h"
#include "sentry/core/fiber.h"

struct ktimer {
	struct rb_node node;
	nsec_t expires;
	bool armed;
	void (*fn)(struct ktimer *timer);
};

void ktimer_init(struct ktimer *timer, void (*fn)(struct ktimer *timer));

/* Arm for a moment (re-arm if armed). NSEC_NEVER cancels. */
void ktimer_arm(struct ktimer *timer, nsec_t expires);
void ktimer_cancel(struct ktimer *timer); /* harmless when it is not armed */

/* The loop's part: when the next timer is due (NSEC_NEVER: none), and run those that are. */
nsec_t ktimer_next(void);
void ktimer_run_due(nsec_t now);
