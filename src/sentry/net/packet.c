/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/net/packet.h"

#include <stdlib.h>

#include "sentry/net/unix.h"

struct packet *packet_new(size_t len)
{
	struct packet *p = malloc(sizeof(*p) + len);

	if (!p)
		return NULL;
	*p = (struct packet){ .len = len };
	list_init(&p->node);
	return p;
}

void packet_free(struct packet *p)
{
	if (!p)
		return;
	scm_done(&p->scm);
	unix_addr_unref(p->from);
	free(p);
}

void packet_queue_init(struct packet_queue *q)
{
	*q = (struct packet_queue){ 0 };
	list_init(&q->packets);
	kmutex_init(&q->lock);
}

void packet_queue_done(struct packet_queue *q)
{
	struct packet *p;

	while ((p = packet_first(q))) {
		packet_remove(q, p);
		packet_free(p);
	}
}

void packet_push(struct packet_queue *q, struct packet *p)
{
	list_add_tail(&p->node, &q->packets);
	q->bytes += p->len - p->at;
	q->charge += p->len + sizeof(*p);
	q->count++;
}

struct packet *packet_first(const struct packet_queue *q)
{
	return list_empty(&q->packets) ? NULL : list_first(&q->packets, struct packet, node);
}

void packet_remove(struct packet_queue *q, struct packet *p)
{
	list_del(&p->node);
	q->bytes -= p->len - p->at;
	q->charge -= p->len + sizeof(*p);
	q->count--;
}
