/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/netlink.h - netlink sockets (netlink(7)): messages of rtnetlink(7) that ask what is
 * there. For the files of this room.
 */
#pragma once

#include "sentry/net/socket.h"

#define NETLINK_REQUEST_MAX (32u << 10) /* bytes of one send */
#define NETLINK_PART	    4096	/* bytes of one answer datagram of a dump */

struct netlink_socket {
	struct socket sock;
	struct packet_queue rx;
	uint32_t port;	      /* nl_pid; 0: not bound */
	uint32_t groups;      /* multicast groups: nothing is ever sent to them */
	uint32_t dest_port;   /* connect(2) */
	bool ext_ack, strict; /* NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK */
	bool pktinfo;
	bool never; /* its end of queue: never */
};

/* The answer to one request of NETLINK_ROUTE is appended to ret: whole messages. 0, or -errno that
 * goes into an NLMSG_ERROR. */
int rtnetlink_answer(struct net_ns *ns, uint32_t port, const uint8_t *request, size_t len,
		     struct buf *ret);
