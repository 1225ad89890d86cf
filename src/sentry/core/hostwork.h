/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/hostwork.h - host calls that may block, on helper threads.
 *
 * The calling fiber parks (not interruptibly) until a helper has run fn(arg). fn sees only arg: no
 * kernel state, no fibers. The threads are made before the cage closes.
 */
#pragma once

#define HOSTWORK_THREADS 2

/* Start the threads, once, after kloop_init(). 0 or -errno. */
int hostwork_init(unsigned int threads);

/*
 * Until they wait for work: the first calls of a thread are libc's, which a cage forbids.
 */
void hostwork_await(void);

/* The result of fn(arg). Outside of a fiber, or before hostwork_init(), fn is called directly. */
long hostwork_call(long (*fn)(void *arg), void *arg);
