/* SPDX-License-Identifier: Apache-2.0 */
/* DEBUG with SENTRY_DEBUG_EVENTS: the connection follows the event stream until its peer goes. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/boot/client.h"
#include "sentry/syscall/event_sink.h"

/* It has nothing more to ask: anything, and the end, is the end. */
static bool peer_spoke(struct client *c)
{
	struct pollfd p = { .fd = c->source.host_fd, .events = POLLIN };

	if (!c->readable)
		return false;
	/* The request itself may have left the mark. */
	c->readable = poll(&p, 1, 0) != 0;
	return c->readable;
}

int client_events(struct client *c, uint32_t mask)
{
	const size_t most = SENTRY_FRAME_MAX - sizeof(struct sentry_reply);
	struct sentry_reply reply = { .type = SENTRY_DEBUG };
	AUTO_FREE char *bytes = malloc(most);
	struct event_sink sink = { .ring = NULL };
	int r = bytes ? event_sink_add(&sink, mask, &c->changed) : -ENOMEM;

	if (r < 0)
		return client_answer(c, SENTRY_DEBUG, 0, r, NULL);
	/* From here on nothing is missed. */
	r = client_reply(c, &reply, NULL, 0);
	while (r == 0) {
		WAIT_EVENT_ALWAYS(&c->changed, event_sink_has(&sink) || peer_spoke(c));
		if (peer_spoke(c))
			break;
		reply.count = (uint32_t)event_sink_take(&sink, bytes, most, UINT_MAX);
		r = client_reply(c, &reply, bytes, reply.count);
		event_sink_written(&sink);
	}
	event_sink_remove(&sink);
	return -EPIPE;
}
