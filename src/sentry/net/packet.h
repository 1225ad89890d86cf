/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/packet.h - bytes on their way between two sockets, with what travels beside them, and
 * the queue in which they wait.
 */
#pragma once

#include "base/list.h"
#include "sentry/core/kmutex.h"
#include "sentry/mem/user_memory.h"
#include "sentry/net/scm.h"

struct unix_addr;

/* An internet address and port; IPv4 is mapped (::ffff:a.b.c.d). Network order in ip, host order
 * in port. */
struct endpoint {
	uint8_t ip[16];
	uint16_t port;
};

struct packet {
	struct list_head node;
	struct scm scm;
	struct unix_addr *from;	  /* unix: of the sender, one reference; NULL: unnamed */
	struct endpoint src, dst; /* udp */
	uint8_t hops, tos;	  /* udp: as the sender set them */
	nsec_t arrived;		  /* CLOCK_REALTIME */
	size_t len, at;		  /* bytes; those before `at` are read */
	uint8_t bytes[];
};

/* Room for len bytes; NULL: out of memory. */
struct packet *packet_new(size_t len);
void packet_free(struct packet *p); /* accepts NULL; may park: files in flight are closed */
DEFINE_AUTO(struct packet *, packet_free);

struct packet_queue {
	struct list_head packets;
	size_t bytes;  /* not yet read */
	size_t charge; /* bytes of memory, with the packets' heads: what buffers limit */
	unsigned int count;
	struct kmutex lock; /* of readers, across their copies to the guest */
};

void packet_queue_init(struct packet_queue *q);
void packet_queue_done(struct packet_queue *q); /* frees what is in it */
void packet_push(struct packet_queue *q, struct packet *p);
struct packet *packet_first(const struct packet_queue *q); /* NULL: empty */
void packet_remove(struct packet_queue *q, struct packet *p);
