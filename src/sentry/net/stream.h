/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/stream.h - one end of a connection inside the sandbox: unix streams and TCP. What one
 * end sends is queued at the other; each side knows of the other while both live.
 */
#pragma once

#include "sentry/net/socket.h"

struct stream {
	struct socket *sock;	/* that embeds it */
	struct stream *peer;	/* NULL: not connected, or gone */
	struct packet_queue rx; /* lock: of readers */
	bool rx_shut;		/* nothing more will arrive, or is wanted */
	bool tx_shut;		/* nothing more may be sent */
	bool fin;		/* TCP: the end was announced; it comes before any error */
};

void stream_init(struct stream *st, struct socket *sock);
void stream_join(struct stream *a, struct stream *b);
/* Forget the peer, which learns of it: its ends are shut and its waiters woken. */
void stream_leave(struct stream *st);

/* Bytes that may be sent now; 0: full. */
size_t stream_room(const struct stream *st);

/*
 * Send a byte stream. The scm goes with the first packet. Bytes, -EPIPE (no peer, or shut; no
 * signal), -EAGAIN, -EFAULT, -ENOMEM; or the wait's error.
 */
ssize_t stream_send(struct stream *st, struct socket_msg *m, struct unix_addr *from);
/* Send one record whole (SOCK_SEQPACKET). -EMSGSIZE: longer than the buffer can ever take. */
ssize_t stream_send_record(struct stream *st, struct socket_msg *m, struct unix_addr *from);

/* Receive: bytes up to the first packet that carries files, or of other credentials. */
ssize_t stream_receive(struct stream *st, struct socket_msg *m);

/* Take one record, or a datagram: the rest of it is lost unless MSG_PEEK. `eof` is what an empty
 * queue with rx_shut means. */
ssize_t packet_receive(struct socket *s, struct packet_queue *q, struct socket_msg *m,
		       const bool *eof);

uint32_t stream_poll(const struct stream *st);
