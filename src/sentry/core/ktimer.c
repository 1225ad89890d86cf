/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/ktimer.h"

static struct rb_tree timers;

void ktimer_init(struct ktimer *timer, void (*fn)(struct ktimer *timer))
{
	*timer = (struct ktimer){ .fn = fn };
}

void ktimer_arm(struct ktimer *timer, nsec_t expires)
{
	struct rb_node **link = &timers.root, *parent = NULL;

	ktimer_cancel(timer);
	if (expires == NSEC_NEVER)
		return;
	timer->expires = expires;
	while (*link) {
		parent = *link;
		link = expires < rb_entry(parent, struct ktimer, node)->expires ? &parent->left
										: &parent->right;
	}
	rb_insert(&timers, &timer->node, parent, link);
	timer->armed = true;
}

void ktimer_cancel(struct ktimer *timer)
{
	if (!timer->armed)
		return;
	rb_erase(&timers, &timer->node);
	timer->armed = false;
}

nsec_t ktimer_next(void)
{
	struct rb_node *first = rb_first(&timers);

	return first ? rb_entry(first, struct ktimer, node)->expires : NSEC_NEVER;
}

void ktimer_run_due(nsec_t now)
{
	struct rb_node *first;

	/* A timer that arms itself again lies in the future: the loop ends. */
	while ((first = rb_first(&timers))) {
		struct ktimer *timer = rb_entry(first, struct ktimer, node);

		if (timer->expires > now)
			break;
		ktimer_cancel(timer);
		timer->fn(timer);
	}
}
