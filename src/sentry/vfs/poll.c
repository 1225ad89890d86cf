/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/vfs/poll.h"

#include <errno.h>

static void want_event(struct wait_entry *entry, uint32_t events)
{
	fiber_wake(container_of(entry, struct poll_want, wait)->fiber);
}

static int look(struct poll_want *wants, size_t len)
{
	int ready = 0;

	for (size_t i = 0; i < len; i++) {
		struct poll_want *w = &wants[i];

		if (w->file)
			w->revents =
				file_poll(w->file) & (w->events | POLLERR | POLLHUP | POLLNVAL);
		ready += w->revents != 0;
	}
	return ready;
}

static void listen_to(struct poll_want *wants, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		struct poll_want *w = &wants[i];
		struct waitq *q = w->file ? file_wq(w->file) : NULL;

		list_init(&w->wait.node);
		w->fiber = fiber_self();
		w->wait.mask = w->events | POLLERR | POLLHUP;
		w->wait.fn = want_event;
		if (q)
			waitq_add(q, &w->wait);
	}
}

int poll_many(struct poll_want *wants, size_t len, nsec_t deadline)
{
	int ready = look(wants, len);
	int r = 0;

	if (ready || deadline == 0)
		return ready;
	listen_to(wants, len);
	while (r == 0) {
		r = fiber_park(deadline, true);
		ready = look(wants, len);
		if (ready)
			break;
	}
	for (size_t i = 0; i < len; i++)
		waitq_remove(&wants[i].wait);
	if (ready)
		return ready;
	return r == -ETIMEDOUT ? 0 : r;
}

int poll_one(struct file *f, uint32_t events)
{
	struct poll_want want = { .file = f, .events = events };
	const int r = poll_many(&want, 1, NSEC_NEVER);

	return r < 0 ? wait_result(r) : 0;
}
