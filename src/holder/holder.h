/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holder/holder.h - what whoever starts caisson-template gives it, and what its filter
 * (seccomp/template.list) knows of it.
 */
#pragma once

#include <linux/filter.h>

/* Its descriptors; it has no others. */
enum holder_fd {
	HOLDER_FD_SOCKET, /* listens: wire/template_msg.h */
	HOLDER_FD_MEMORY,
	HOLDER_FD_STATE,
	/* A byte says that the template is finished; an end without one, that nobody wants it. */
	HOLDER_FD_BIRTH,
	HOLDER_FD_HELD,	   /* the lock on its user id; only held */
	HOLDER_FD_MESSAGE, /* struct template_head and the text, as they are sent */
	HOLDER_FDS,
};

#define HOLDER_ACCEPT (SOCK_CLOEXEC | SOCK_NONBLOCK)
#define HOLDER_SEND   (MSG_NOSIGNAL | MSG_DONTWAIT)

extern const struct sock_filter template_filter[];
extern const unsigned short template_filter_len;
