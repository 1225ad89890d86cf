/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/kmutex.h - locks of fibers, for state that must hold across a park.
 *
 * Waiting is not interruptible; first come, first served. A kmutex is not recursive. The lock
 * order is in docs/SENTRY.md.
 */
#pragma once

#include "sentry/core/waitq.h"

struct kmutex {
	struct fiber *owner; /* NULL: free */
	struct waitq waiters;
};

void kmutex_init(struct kmutex *m);
void kmutex_lock(struct kmutex *m);
bool kmutex_trylock(struct kmutex *m);
void kmutex_unlock(struct kmutex *m);

/* Readers and a writer; a waiting writer keeps new readers out. */
struct krwlock {
	unsigned int readers;
	unsigned int waiting_writers;
	struct fiber *writer;
	struct waitq waiters;
};

void krwlock_init(struct krwlock *l);
void krwlock_read_lock(struct krwlock *l);
void krwlock_read_unlock(struct krwlock *l);
void krwlock_write_lock(struct krwlock *l);
void krwlock_write_unlock(struct krwlock *l);
