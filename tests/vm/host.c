/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/host.h"

#include "lib/unit.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

static void on_hello(void *arg, const struct agent_hello *hello)
{
	struct host *h = arg;

	h->hello = *hello;
	h->greeted = true;
}

static void on_answer(void *arg, uint32_t serial, enum agent_call call, int error, const void *body,
		      size_t len)
{
	struct host *h = arg;

	(void)call;
	h->answers[h->answers_len % HOST_EVENTS].serial = serial;
	h->answers[h->answers_len++ % HOST_EVENTS].error = error;
	if (serial != h->serial)
		return;
	h->answer.len = 0;
	assert_int_equal(buf_append(&h->answer, body, len), 0);
}

static void on_event(void *arg, enum agent_event event, const void *body, size_t len)
{
	struct host *h = arg;
	struct agent_exited exited;
	struct err err = { 0 };

	if (event == AGENT_OOM)
		h->ooms++;
	if (event != AGENT_EXITED)
		return;
	if (agent_event_decode(event, body, len, &exited, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(h->exited_len < HOST_EVENTS);
	h->exited[h->exited_len++] = exited;
	h->ooms_before_exit = h->ooms;
}

static void on_data(void *arg, uint32_t stream, const void *bytes, size_t len)
{
	struct host *h = arg;

	assert_true(stream < HOST_STREAMS);
	assert_false(h->streams[stream].ended);
	assert_int_equal(buf_append(&h->streams[stream].bytes, bytes, len), 0);
	assert_int_equal(mux_credit(h->mux, stream, len), 0);
}

static void on_end(void *arg, uint32_t stream, int error)
{
	struct host *h = arg;

	assert_true(stream < HOST_STREAMS);
	h->streams[stream].ended = true;
	h->streams[stream].error = error;
}

static void on_poll(void *arg)
{
	struct host *h = arg;

	if (h->channel)
		(void)loop_set_events(h->channel, (uint32_t)mux_events(h->mux));
}

static void on_channel(void *arg, int fd, uint32_t events)
{
	struct host *h = arg;
	struct err err = { 0 };
	const int r = mux_ready(h->mux, (short)events, &err);

	(void)fd;
	if (r == -EPIPE) {
		loop_remove(h->channel);
		h->channel = NULL;
		h->gone = true;
	} else if (r < 0) {
		fail_msg("%s", err.msg);
	}
}

void host_serve(struct host *h, int64_t deadline_ms, const char *what)
{
	if (h->gone)
		fail_msg("the agent is gone: waited for %s", what);
	if (clock_ms() > deadline_ms)
		fail_msg("waited too long for %s", what);
	assert_int_equal(loop_once(h->loop, 1000), 0);
}

void host_open(struct host *h, int fd)
{
	static const struct mux_ops ops = {
		.hello = on_hello,
		.answer = on_answer,
		.event = on_event,
		.data = on_data,
		.end = on_end,
		.poll = on_poll,
	};

	*h = (struct host){ 0 };
	assert_int_equal(loop_new(&h->loop), 0);
	assert_int_equal(mux_new(fd, MUX_HOST, &ops, h, &h->mux), 0);
	assert_int_equal(loop_add_fd(h->loop, mux_fd(h->mux), (uint32_t)mux_events(h->mux),
				     on_channel, h, &h->channel),
			 0);
	host_until(h, h->greeted);
}

void host_close(struct host *h)
{
	loop_remove(h->channel);
	mux_free(h->mux);
	loop_free(h->loop);
	for (unsigned int i = 0; i < HOST_STREAMS; i++)
		buf_done(&h->streams[i].bytes);
	buf_done(&h->answer);
	*h = (struct host){ 0 };
}

uint32_t host_begin(struct host *h, enum agent_call call, const void *body)
{
	AUTO_BUF struct buf b = { 0 };
	struct err err = { 0 };
	uint32_t serial = 0;

	if (agent_request_encode(call, body, &b, &err) < 0 ||
	    mux_ask(h->mux, call, b.data, b.len, &serial, &err) < 0)
		fail_msg("%s", err.msg);
	h->serial = serial;
	return serial;
}

static const int *find_answer(const struct host *h, uint32_t serial)
{
	for (unsigned int i = 0; i < HOST_EVENTS; i++) {
		if (h->answers[i].serial == serial)
			return &h->answers[i].error;
	}
	return NULL;
}

int host_await(struct host *h, uint32_t serial)
{
	host_until(h, find_answer(h, serial));
	return *find_answer(h, serial);
}

bool host_answered(struct host *h, uint32_t serial)
{
	return find_answer(h, serial) != NULL;
}

int host_ask(struct host *h, enum agent_call call, const void *body, void *ret)
{
	const int r = host_await(h, host_begin(h, call, body));
	struct err err = { 0 };

	if (r == 0 && ret && agent_answer_decode(call, h->answer.data, h->answer.len, ret, &err))
		fail_msg("%s", err.msg);
	return r;
}

void host_must(struct host *h, enum agent_call call, const void *body, void *ret)
{
	if (host_ask(h, call, body, ret) < 0)
		fail_msg("%s: %s", agent_call_name(call), h->answer.data);
}

void host_stream(struct host *h, uint32_t stream)
{
	assert_true(stream > 0 && stream < HOST_STREAMS);
	h->streams[stream].ended = false;
	h->streams[stream].bytes.len = 0;
	mux_close(h->mux, stream);
	assert_int_equal(mux_open(h->mux, stream), 0);
}

void host_send(struct host *h, uint32_t stream, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		const ssize_t n = mux_send(h->mux, stream, text, len);

		assert_true(n >= 0);
		text += n;
		len -= (size_t)n;
		if (len > 0)
			host_until(h, mux_room(h->mux, stream) > 0);
	}
}

void host_end(struct host *h, uint32_t stream)
{
	assert_int_equal(mux_end(h->mux, stream, 0), 0);
}

void host_expect(struct host *h, uint32_t stream, const char *words)
{
	const struct buf *b = &h->streams[stream].bytes;

	host_until(h, (b->len > 0 && strstr(b->data, words)) || h->streams[stream].ended);
	if (b->len == 0 || !strstr(b->data, words))
		fail_msg("\"%s\" has no \"%s\"", b->len ? b->data : "", words);
}

const char *host_text(struct host *h, uint32_t stream)
{
	host_until(h, h->streams[stream].ended);
	return h->streams[stream].bytes.len ? h->streams[stream].bytes.data : "";
}

static const struct agent_exited *find_exited(const struct host *h, int32_t pid)
{
	for (unsigned int i = 0; i < h->exited_len; i++) {
		if (h->exited[i].pid == pid)
			return &h->exited[i];
	}
	return NULL;
}

int host_exited(struct host *h, int32_t pid)
{
	host_until(h, find_exited(h, pid));
	return find_exited(h, pid)->code;
}
