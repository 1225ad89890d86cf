/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/mux_internal.h - what the files of the mux share: mux.c (requests, greeting, reading),
 * mux_out.c (the buffer before the descriptor), mux_stream.c (streams and their credit).
 */
#pragma once

#include "wire/mux.h"

#define MUX_IN_SIZE (2 * (AGENT_FRAME_MAX + sizeof(struct agent_head))) /* bytes */

/*
 * Bytes that wait for the descriptor: for requests, and for all the rest (AGENT_PENDING_MAX answers
 * fit).  */
#define MUX_ASK_MAX (16u << 20)
#define MUX_OUT_MAX (80u << 20)

struct mux_stream {
	uint32_t number;
	uint32_t may_send;    /* credit from the other end */
	uint32_t may_come;    /* credit that the other end has been told */
	uint32_t held;	      /* bytes that data() got and mux_credit() did not give back */
	uint32_t owed;	      /* given back here, not yet told */
	bool ended, ended_in; /* by us; by the other end */
};

struct mux_pending {
	uint32_t serial; /* 0: free */
	enum agent_call call;
	bool forgotten;
};

/* The number of a stream -> its place among the open ones. */
#define MUX_NEVER_OPEN 0
#define MUX_CLOSED     UINT16_MAX
#define MUX_PLACE(i)   ((uint16_t)((i) + 1))

struct mux {
	int fd;
	bool socket;
	enum mux_role role;
	struct mux_ops ops;
	void *arg;

	int error; /* sticky: 0 or -errno, and its sentence */
	struct err why;

	uint8_t nonce[AGENT_NONCE];
	bool heard;   /* the other end's HELLO */
	bool greeted; /* agent: and it was answered */

	bool inside; /* mux_ready(): writes are left to its end */
	bool deaf;   /* the descriptor takes no more bytes: what it has is still read */
	bool full;   /* DATA is refused until half of the buffer is gone */
	short events;
	struct buf out; /* from out_at on */
	size_t out_at;

	char *in;
	size_t in_len;
	struct buf body; /* frames with AGENT_MORE */
	struct agent_head body_head;
	bool body_open;

	struct mux_pending pending[AGENT_PENDING_MAX];
	uint32_t last_serial;

	bool owing; /* some stream's `owed` waits for room in the buffer */
	uint32_t streams_len;
	struct mux_stream streams[AGENT_STREAMS_MAX];
	uint16_t place[AGENT_STREAM_MAX + 1];
};

/* The first error stays. Returns it. */
int mux_fail(struct mux *m, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const char *mux_other(const struct mux *m); /* "agent", "host" */

/* One frame into the buffer, and out of it if we may write. `head` without length. */
int mux_put(struct mux *m, struct agent_head head, const void *body, size_t len);
/* A body in as many frames as it takes. `first`: bytes before it, or none. */
int mux_put_body(struct mux *m, struct agent_head head, const void *first, size_t first_len,
		 const void *body, size_t len);
void mux_flush(struct mux *m);		 /* write what the descriptor takes, a bounded part */
size_t mux_waiting(const struct mux *m); /* bytes */
void mux_forget_out(struct mux *m);

int mux_on_data(struct mux *m, const struct agent_head *head, const void *bytes);
int mux_on_credit(struct mux *m, const struct agent_head *head, const void *body);
int mux_on_end(struct mux *m, const struct agent_head *head, const void *body);
void mux_forget_streams(struct mux *m);
int mux_pay(struct mux *m); /* credit that is owed, as far as the buffer has room */
