/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/template_msg.h - what the holder of a machine's template (src/holder) says to whoever
 * connects to it, a root process of its host: one message, two descriptors, the end.
 *
 * The socket is SOCK_SEQPACKET. The message is struct template_head and the key's text, without
 * NUL. The descriptors (SCM_RIGHTS) are memfds that are sealed against writing, growing and
 * shrinking: the guest's memory, then the state of its devices. Nothing is ever read from the
 * other end.
 */
#pragma once

#include <stdint.h>

#define TEMPLATE_MAGIC	  0x31544d50u /* "PMT1" */
#define TEMPLATE_TEXT_MAX 8192u	      /* bytes of a key */

struct template_head {
	uint32_t magic;
	uint32_t text_len;  /* of what follows; 1 to TEMPLATE_TEXT_MAX */
	uint64_t memory;    /* bytes of the guest's */
	int64_t created_ns; /* CLOCK_REALTIME */
};
_Static_assert(sizeof(struct template_head) == 24, "wire");

enum template_fd { TEMPLATE_FD_MEMORY, TEMPLATE_FD_STATE, TEMPLATE_FDS };

/* What the holder, caisson-template, is started with; it has no other descriptors. */
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
