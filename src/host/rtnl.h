/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/rtnl.h - a client of rtnetlink(7): requests with attributes, their acknowledgement, dumps.
 *
 * No allocation, no state but a socket and a serial number; a socket stays in the network namespace
 * in which it was made. One thread at a time uses a client. Errors have the kernel's own words
 * (NLMSGERR_ATTR_MSG) where it has some.
 */
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define RTNL_REQUEST_MAX 2048u	/* bytes of a request */
#define RTNL_REPLY_MAX	 32768u /* of a datagram from the kernel (NLMSG_GOODSIZE of a dump) */
#define RTNL_TIMEOUT_S	 10	/* without an answer, which comes at once unless it was lost */
#define RTNL_TEXT_MAX	 128u	/* of the kernel's words that are kept */

struct rtnl {
	int fd; /* owned */
	uint32_t serial;
};
#define RTNL_INIT            \
	{                    \
		.fd = -EBADF \
	}

/* A socket of the caller's network namespace. */
int rtnl_open(struct rtnl *ret, struct err *err);
void rtnl_done(struct rtnl *c);
#define AUTO_RTNL AUTO(rtnl_done)

/* What does not fit sets `full`, and the request is refused when it is asked (-EMSGSIZE). */
struct rtnl_request {
	union {
		struct nlmsghdr head;
		uint8_t bytes[RTNL_REQUEST_MAX];
	};
	bool full;
};

/* `flags` besides NLM_F_REQUEST; `body` is the struct that rtnetlink(7) names for `type`. */
void rtnl_start(struct rtnl_request *q, uint16_t type, uint16_t flags, const void *body,
		size_t len);
void rtnl_put(struct rtnl_request *q, uint16_t type, const void *bytes, size_t len);
void rtnl_put_u32(struct rtnl_request *q, uint16_t type, uint32_t value);
void rtnl_put_text(struct rtnl_request *q, uint16_t type, const char *text); /* with its NUL */
/* Attributes that are put between the two are inside it. */
size_t rtnl_nest(struct rtnl_request *q, uint16_t type);
void rtnl_nest_end(struct rtnl_request *q, size_t nest);

/* A message of an answer: `body` is its struct and attributes. What is not 0 ends in the result. */
typedef int rtnl_take(uint16_t type, const void *body, size_t len, void *arg);

/*
 * Ask and wait for the acknowledgement. `take` (may be NULL) gets what comes before it. 0, or the
 * kernel's -errno; -EMSGSIZE: too long, either way; -EBADMSG: not understood; -ENOBUFS,
 * -ETIMEDOUT: answers were lost. The sentence is for err_prefix().
 */
int rtnl_ask(struct rtnl *c, struct rtnl_request *q, rtnl_take *take, void *arg, struct err *err);

/*
 * Ask for a list. All of it is read, whatever `take` says, whose first error is the result.
 * -EAGAIN: it changed while it was read; ask again, up to RTNL_TRIES times, as somebody who changes
 * it without end would hold us for ever.
 */
#define RTNL_TRIES 64
int rtnl_dump(struct rtnl *c, struct rtnl_request *q, rtnl_take *take, void *arg, struct err *err);

/*
 * The attributes behind the first `head` bytes of a body, each below `table[type]` (the last of a
 * type; NULL: there is none; types of `size` and above are passed over). -EBADMSG.
 */
int rtnl_parse(const void *body, size_t len, size_t head, const struct rtattr **table, size_t size);
/* The attributes inside an attribute; NULL has none. */
int rtnl_parse_nest(const struct rtattr *a, const struct rtattr **table, size_t size);

/* Values of an attribute, NULL or of another length: false, or NULL, and nothing is written. */
bool rtnl_get(const struct rtattr *a, void *ret, size_t len);
bool rtnl_get_u32(const struct rtattr *a, uint32_t *ret);
const char *rtnl_get_text(const struct rtattr *a);
/* Bytes of its payload; 0 of NULL. */
size_t rtnl_len(const struct rtattr *a);

/* The index of a device by its name: -ENODEV. */
int rtnl_link_index(struct rtnl *c, const char *name, struct err *err);
/* Of a kind that is made by users: it is no more. */
int rtnl_link_delete(struct rtnl *c, int index, struct err *err);
/* Take it up or down. */
int rtnl_link_set_up(struct rtnl *c, int index, bool up, struct err *err);
