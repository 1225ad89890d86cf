/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/client.h - one connection to the control server: shared by control.c (connections)
 * and the files that answer requests.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "sentry/core/kloop.h"
#include "sentry/core/waitq.h"
#include "wire/sentry_msg.h"

struct member;
struct platform_nursery;
struct task;

struct client {
	unsigned int refs; /* its fiber, and who waits for its terminal's end */
	struct list_head node;
	struct kloop_fd source; /* host_fd is owned */
	struct waitq changed;	/* readable or writable */
	bool readable, writable;
	struct member *member;		  /* whose control socket it came to; one reference */
	bool waits;			  /* a WAIT for the first process is unanswered */
	bool holds_pod;			  /* by a FREEZE, until it goes */
	bool freezes;			  /* the member is as it asked, until it goes */
	bool is_maker;			  /* it has asked for a CREATE */
	bool kept;			  /* it has a place of a member's own */
	struct platform_nursery *nursery; /* of a CREATE to come; owned, or NULL */
	struct member *made;		  /* what that made and has not ended; borrowed, or NULL */
	struct task *process;		  /* of an EXEC that has not ended: a reference, or NULL */
	struct terminal *terminal;	  /* of it, or NULL; owned */
};

struct client *client_ref(struct client *c);
/* What its CREATE has made is there, and has its place; NULL: is not any more. */
void client_set_made(struct client *c, struct member *made);
void client_unref(struct client *c); /* from a fiber */

#define SENTRY_REQUEST_FDS (SENTRY_CREATE_FDS + SENTRY_EXEC_FDS_MAX) /* of any request */

/* A request with what came along. The descriptors are owned; taken ones are -EBADF. */
struct control_request {
	struct sentry_request head;
	const void *tail;
	int fds[SENTRY_REQUEST_FDS];
	size_t fds_len;
};

/* Send a reply with `len` bytes behind it; may park until the peer reads. 0, or -errno: it is gone.
 */
int client_reply(struct client *c, const struct sentry_reply *reply, const void *bytes, size_t len);

/* The same with descriptors, which stay the caller's. */
int client_reply_fds(struct client *c, const struct sentry_reply *reply, const int *fds,
		     size_t fds_len);

/* The error with its sentence, or plain success. */
int client_answer(struct client *c, uint32_t type, int value, int r, const struct err *err);

/* The same without parking: for callbacks. */
void client_push(struct client *c, const struct sentry_reply *reply);

/* Text of any length in as many replies as it needs, and the last one with count 0. */
int client_text(struct client *c, uint32_t type, const struct buf *text);

/* EXEC: load and start the process; answers. */
int client_exec(struct client *c, struct control_request *request);
/* NURSERY: make one, for a CREATE; answers. */
int client_nursery(struct client *c);
/* PLACED: 0, or -EINVAL where nobody has asked for a NURSERY. */
int client_placed(struct client *c);
/* CREATE: add a container, up to its gate; answers. */
int client_create(struct client *c, struct control_request *request);

/* What a sealed memfd holds: *ret is the caller's. Anything else is -EBADMSG. */
int client_read_sealed(int fd, void **ret, size_t *ret_len, struct err *err);

/* PS, STATS, DEBUG: they answer. */
int client_ps(struct client *c);
int client_stats(struct client *c);
int client_debug(struct client *c, uint32_t what);

void client_show_metrics(const struct member *m, struct buf *b);
void client_show_stacks(const struct member *m, struct buf *b);

/* Records of the types in `mask`, until the peer goes: always -EPIPE in the end. */
int client_events(struct client *c, uint32_t mask);
