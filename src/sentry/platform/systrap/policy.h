/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/platform/systrap/policy.h - where guest threads and the worker run, and when the worker
 * polls (ADR 0011).
 *
 * A wake-up across CPUs costs far more than a system call. So while one guest thread runs, it and
 * the worker share a CPU (LOCAL), or, when requests come thick and fast, the worker polls on
 * another one and both sides spin (POLL). When several guest threads run for longer, all are free
 * to go where the host's scheduler puts them (SPREAD).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sentry/platform/platform.h"

/* What waiting has brought. */
enum policy_found {
	POLICY_SLEEP, /* nothing, and there is no use in going on */
	POLICY_AGAIN, /* nothing yet: descriptors are due for a look */
	POLICY_FOUND,
};

void policy_init(void);
/* The template, whose children inherit where it runs, waits for work from now on. */
void policy_begin(struct platform_thread *template);
/* A guest thread is about to be let go, and has posted. */
void policy_leaving(struct platform_thread *t);
void policy_arrived(struct platform_thread *t);
/* Where it may run, of the CPUs that the sentry may use; another one's for a clone of it. */
void policy_affinity(struct platform_thread *t, const uint64_t mask[PLATFORM_CPU_WORDS]);
/* The number of the CPU that its last request came from, counted as in such a mask. */
uint32_t policy_cpu(struct platform_thread *t);
void policy_inherit(const struct platform_thread *from, struct platform_thread *to);
/* It ended while it ran. */
void policy_lost(struct platform_thread *t);
/* A reply found its thread asleep; parked: because it had been told that it would take long. */
void policy_woken(bool parked);
/* A notification is about to be answered: its thread wakes up, and may post soon. */
void policy_expect(void);
/* Time in guest code, in ticks of the TSC. */
uint64_t policy_guest_ticks(const struct platform_thread *t);
/*
 * Nothing is ready: wait for requests without sleeping, if that is wise. look() takes them.
 * briefly: descriptors are of interest, too.
 */
enum policy_found policy_wait(bool (*look)(void *arg), void *arg, bool briefly);
/* The same for the only thread that runs, from its own fiber; false: let the loop do it. */
bool policy_wait_directly(bool (*look)(void *arg), void *arg);
void policy_sleeping(void);
void policy_awake(void);
