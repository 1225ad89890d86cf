/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/kmutex.h"

#include <assert.h>

void kmutex_init(struct kmutex *m)
{
	m->owner = NULL;
	waitq_init(&m->waiters);
}

void kmutex_lock(struct kmutex *m)
{
	struct fiber *self = fiber_self();

	assert(m->owner != self || !self);
	if (m->owner)
		WAIT_EVENT_ALWAYS(&m->waiters, !m->owner);
	m->owner = self;
}

bool kmutex_trylock(struct kmutex *m)
{
	if (m->owner)
		return false;
	m->owner = fiber_self();
	return true;
}

void kmutex_unlock(struct kmutex *m)
{
	assert(m->owner == fiber_self());
	m->owner = NULL;
	if (!list_empty(&m->waiters.entries))
		(void)waitq_wake_n(&m->waiters, WAIT_ALL, 1);
}

void krwlock_init(struct krwlock *l)
{
	*l = (struct krwlock){ 0 };
	waitq_init(&l->waiters);
}

void krwlock_read_lock(struct krwlock *l)
{
	if (l->writer || l->waiting_writers)
		WAIT_EVENT_ALWAYS(&l->waiters, !l->writer && !l->waiting_writers);
	l->readers++;
}

void krwlock_read_unlock(struct krwlock *l)
{
	assert(l->readers > 0);
	if (--l->readers == 0)
		waitq_wake(&l->waiters, WAIT_ALL);
}

void krwlock_write_lock(struct krwlock *l)
{
	assert(l->writer != fiber_self() || !l->writer);
	if (l->writer || l->readers) {
		l->waiting_writers++;
		WAIT_EVENT_ALWAYS(&l->waiters, !l->writer && !l->readers);
		l->waiting_writers--;
	}
	l->writer = fiber_self();
}

void krwlock_write_unlock(struct krwlock *l)
{
	assert(l->writer == fiber_self());
	l->writer = NULL;
	waitq_wake(&l->waiters, WAIT_ALL);
}
