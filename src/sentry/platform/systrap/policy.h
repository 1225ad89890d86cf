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

struct platform_thread;

void policy_init(void);
/* A guest thread is about to be let go, and has posted. */
void policy_leaving(struct platform_thread *t);
void policy_arrived(struct platform_thread *t);
/* It ended while it ran. */
void policy_lost(struct platform_thread *t);
/* Nothing is ready: true if the loop should look again instead of sleeping. poll() finds work. */
bool policy_spin(bool (*poll)(void));
/* The same by giving the CPU to the guest thread that shares it. */
bool policy_yield(bool (*poll)(void));
void policy_sleeping(void);
void policy_awake(void);
