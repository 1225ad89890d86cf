/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/freeze.c - see freeze.h. */
#include "sentry/task/freeze.h"

static bool others_run(const struct task *t)
{
	const struct task *other;

	list_for_each(other, &t->tg->tasks, tg_node) if (other != t && other->in_guest) return true;
	return false;
}

void thread_group_freeze(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct task *other;

	tg->frozen++;
	list_for_each(other, &tg->tasks, tg_node) if (other != t && other->in_guest)
		platform->thread_interrupt(other->thread);
	WAIT_EVENT_ALWAYS(&tg->freeze_wait, !others_run(t));
}

bool thread_group_interrupt(struct thread_group *tg)
{
	const struct task *t;
	bool any = false;

	list_for_each(t, &tg->tasks, tg_node)
	{
		if (!t->in_guest)
			continue;
		platform->thread_interrupt(t->thread);
		any = true;
	}
	return any;
}

void thread_group_thaw(struct task *t)
{
	if (--t->tg->frozen == 0)
		waitq_wake(&t->tg->freeze_wait, POLLIN);
}

void freeze_gate(struct task *t)
{
	WAIT_EVENT_ALWAYS(&t->tg->freeze_wait, !t->tg->frozen);
	/* Not for who is to be killed. */
	(void)WAIT_EVENT(&t->container->frost, !t->container->frozen);
}

void freeze_left_guest(struct task *t)
{
	if (t->tg->frozen)
		waitq_wake(&t->tg->freeze_wait, POLLIN);
	if (t->container->frozen)
		waitq_wake(&t->container->frost, POLLIN);
}
