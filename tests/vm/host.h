/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vm/host.h - the host's end of an agent's channel for tests: asks, waits, and keeps what
 * comes. Every wait is bounded and ends the test with a sentence.
 */
#pragma once

#include "base/buf.h"
#include "base/loop.h"
#include "wire/agent_codec.h"
#include "wire/mux.h"

#define HOST_STREAMS 1024u
#define HOST_EVENTS  1024u

struct host_stream {
	struct buf bytes;
	bool ended;
	int error;
};

struct host {
	struct loop *loop;
	struct mux *mux;
	struct loop_source *channel;
	bool greeted, gone;
	struct agent_hello hello;
	struct host_stream streams[HOST_STREAMS];
	struct agent_exited exited[HOST_EVENTS];
	unsigned int exited_len, ooms, ooms_before_exit;
	struct {
		uint32_t serial;
		int error;
	} answers[HOST_EVENTS]; /* the last ones */
	unsigned int answers_len;
	uint32_t serial;   /* of the last request */
	struct buf answer; /* its body, or the sentence */
};

/* `fd` becomes the host's. Waits for the agent's HELLO. */
void host_open(struct host *h, int fd);
void host_close(struct host *h);

/*
 * Ask and wait: 0 or the agent's -errno, whose sentence is h->answer.data then. `ret` NULL: nothing
 * comes, or it is not wanted. What *ret points to lives until the next call.
 */
int host_ask(struct host *h, enum agent_call call, const void *body, void *ret);
/* The same, and the test fails with the agent's sentence if the answer is an error. */
void host_must(struct host *h, enum agent_call call, const void *body, void *ret);
/* Without waiting: its serial, for host_await(). */
uint32_t host_begin(struct host *h, enum agent_call call, const void *body);
int host_await(struct host *h, uint32_t serial);
/* Whether it has come, as far as was served. */
bool host_answered(struct host *h, uint32_t serial);

void host_stream(struct host *h, uint32_t stream); /* open it, before it is named */
void host_send(struct host *h, uint32_t stream, const char *text);
void host_end(struct host *h, uint32_t stream);
/* Wait until what came has these words in it. */
void host_expect(struct host *h, uint32_t stream, const char *words);
/* All that came until the end of the stream, NUL-terminated. */
const char *host_text(struct host *h, uint32_t stream);
/* Wait for AGENT_EXITED of a process: its code. */
int host_exited(struct host *h, int32_t pid);
/* Serve until the condition holds. */
#define host_until(h, condition)                                \
	do {                                                    \
		const int64_t _end = clock_ms() + HOST_WAIT_MS; \
		while (!(condition))                            \
			host_serve((h), _end, #condition);      \
	} while (0)
#define HOST_WAIT_MS 60000
void host_serve(struct host *h, int64_t deadline_ms, const char *what);
