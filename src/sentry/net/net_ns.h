/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/net_ns.h - network namespaces (network_namespaces(7)): the loopback interface, tables
 * of bound sockets, limits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "sentry/core/khash.h"
#include "sentry/task/namespaces.h"

#define NET_PORT_BUCKETS   256
#define NET_LOOPBACK_INDEX 1
#define NET_LOOPBACK_MTU   65536

struct task;

struct net_ns {
	unsigned int refs;
	struct user_ns *user_ns; /* who may change it; one reference, NULL: the initial one */
	uint64_t id;		 /* inode of /proc/PID/ns/net */
	bool host;		 /* --network=host: internet sockets are the host's */
	bool judges_ports;	 /* with host: the host gives low ports to whoever asks */
	bool loopback_up;
	struct list_head unix_sockets;		      /* struct unix_socket.ns_node */
	struct khash unix_names;		      /* struct unix_socket.name_node */
	struct list_head tcp_ports[NET_PORT_BUCKETS]; /* struct inet_socket.port_node */
	struct list_head udp_ports[NET_PORT_BUCKETS];
	struct list_head raw_sockets; /* raw and ping: struct inet_socket.port_node */
	uint16_t ping_next;	      /* identifiers of ping sockets go on from here */
	struct net_limits limits;
	uint32_t autobind_next; /* abstract names of unix(7)'s autobind */
};

/* A namespace with loopback only, which is up if `up`. 0, -ENOMEM. */
int net_ns_new(bool up, struct net_ns **ret);
/*
 * A capability of networks of the running task, over a namespace: that of the socket, which need
 * not be the task's own.
 */
bool net_capable(const struct net_ns *ns, unsigned int cap);

struct net_ns *net_ns_ref(struct net_ns *ns);
void net_ns_unref(struct net_ns *ns); /* accepts NULL */

/* Boot: tell task/namespaces how network namespaces are made and counted. */
void net_register(void);

/* Files of /proc/net; the last entry has no name. */
struct net_proc_file {
	const char *name;
	int (*show)(struct net_ns *ns, struct buf *ret);
};
extern const struct net_proc_file net_proc_files[];
