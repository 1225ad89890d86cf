/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix_host.h - the host's end of a unix socket: of this room only.
 */
#pragma once

#include "sentry/core/kloop.h"
#include "sentry/net/unix.h"

struct unix_host {
	unsigned int refs;
	int host_fd; /* owned; O_NONBLOCK */
	struct kloop_fd loop;
	struct waitq *wq; /* of the guest's socket, which outlives this */
};

/* Takes host_fd over in any case; events of it wake wq. 0, -ENOMEM, or -errno of the loop. */
int unix_host_new(int host_fd, struct waitq *wq, struct unix_host **ret);
struct unix_host *unix_host_ref(struct unix_host *h);
void unix_host_unref(struct unix_host *h); /* accepts NULL */
static inline void unix_host_unref_p(struct unix_host **h)
{
	unix_host_unref(*h);
}

/* Connect with what a path leads to: -ECONNREFUSED and the errors of a walk and of connect(2). */
int unix_host_connect(struct unix_socket *u, const char *name, struct unix_host **ret);

/* A stream's or a packet socket's connection: the host serves it from now on. Takes the reference
 * over. */
void unix_join_host(struct unix_socket *u, struct unix_host *h);

/* send(2) and recv(2) of `s` there, as ops of the same names. -EPERM: descriptors. */
ssize_t unix_host_send(struct unix_host *h, const struct socket *s, struct socket_msg *m);
ssize_t unix_host_receive(struct unix_host *h, const struct socket *s, struct socket_msg *m);
uint32_t unix_host_poll(const struct unix_host *h);
