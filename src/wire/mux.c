/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way in, requests and the greeting. Frames are judged by their head before anything is done
 * with them, and served from the buffer they were read into; a body of several frames is gathered
 * first.
 */
#include "wire/mux.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "wire/agent_codec.h"
#include "wire/mux_internal.h"

#define READS_MAX 4 /* of one mux_ready() */
#define ERRNO_MAX 4095

const char *mux_other(const struct mux *m)
{
	return m->role == MUX_HOST ? "agent" : "host";
}

int mux_fail(struct mux *m, int code, const char *fmt, ...)
{
	va_list ap;

	if (m->error)
		return m->error;
	m->error = code;
	m->why.code = code;
	va_start(ap, fmt);
	(void)vsnprintf(m->why.msg, sizeof(m->why.msg), fmt, ap);
	va_end(ap);
	return code;
}

static int broken(const struct mux *m, struct err *err)
{
	return err_set(err, m->error, "%s", m->why.msg);
}

/* ---- Birth, greeting ---- */

static int say_hello(struct mux *m)
{
	struct agent_hello hello = { .version = AGENT_VERSION };

	if (getrandom(m->nonce, sizeof(m->nonce), 0) != sizeof(m->nonce))
		return -errno;
	memcpy(hello.nonce, m->nonce, sizeof(m->nonce));
	m->inside = true; /* mux_ready() writes it */
	return mux_put(m, (struct agent_head){ .type = AGENT_HELLO }, &hello, sizeof(hello));
}

static int prepare(struct mux *m)
{
	struct stat st;
	const int flags = fcntl(m->fd, F_GETFL);

	if (flags < 0 || fcntl(m->fd, F_SETFL, flags | O_NONBLOCK) < 0 || fstat(m->fd, &st) < 0)
		return -errno;
	m->socket = S_ISSOCK(st.st_mode);
	m->in = malloc(MUX_IN_SIZE);
	if (!m->in)
		return -ENOMEM;
	return m->role == MUX_HOST ? say_hello(m) : 0;
}

int mux_new(int fd, enum mux_role role, const struct mux_ops *ops, void *arg, struct mux **ret)
{
	struct mux *m = calloc(1, sizeof(*m));
	int r;

	if (!m) {
		if (fd >= 0)
			(void)close(fd);
		return -ENOMEM;
	}
	m->fd = fd;
	m->role = role;
	m->arg = arg;
	m->out.max = MUX_OUT_MAX;
	m->body.max = role == MUX_HOST ? AGENT_ANSWER_MAX : AGENT_REQUEST_MAX;
	m->events = POLLIN;
	m->ops = (struct mux_ops){ 0 };
	r = prepare(m);
	m->inside = false;
	if (r < 0) {
		mux_free(m);
		return r;
	}
	m->ops = *ops;
	*ret = m;
	return 0;
}

void mux_free(struct mux *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		(void)close(m->fd);
	free(m->in);
	buf_done(&m->out);
	buf_done(&m->body);
	free(m);
}

int mux_fd(const struct mux *m)
{
	return m->fd;
}

short mux_events(const struct mux *m)
{
	return m->events;
}

bool mux_greeted(const struct mux *m)
{
	return m->greeted;
}

static void drop_body(struct mux *m)
{
	m->body_open = false;
	buf_done(&m->body);
	m->body.error = 0;
}

static int on_hello(struct mux *m, const struct agent_head *head, const void *body)
{
	struct agent_hello hello;

	if (head->length != sizeof(hello))
		return mux_fail(m, -EPROTO, "%s: HELLO of %u bytes", mux_other(m), head->length);
	memcpy(&hello, body, sizeof(hello));
	if (hello.version != AGENT_VERSION)
		return mux_fail(m, -EPROTO, "%s: version %u is unknown, %u is known", mux_other(m),
				hello.version, AGENT_VERSION);
	if (hello.features != 0)
		return mux_fail(m, -EPROTO, "%s: features %#x are unknown", mux_other(m),
				hello.features);
	if (!memchr(hello.release, '\0', sizeof(hello.release)))
		return mux_fail(m, -EPROTO, "%s: HELLO with a release without an end",
				mux_other(m));
	if (m->role == MUX_HOST) {
		if (m->heard)
			return mux_fail(m, -EPROTO, "%s: a second HELLO", mux_other(m));
		if (memcmp(hello.nonce, m->nonce, sizeof(m->nonce)) != 0)
			return mux_fail(m, -EPROTO, "%s: HELLO with another nonce", mux_other(m));
		m->greeted = true;
	} else {
		/* The host is a new one, or the first. */
		if (!m->ops.hello)
			return mux_fail(m, -EPROTO, "%s: HELLO that nobody expects", mux_other(m));
		memcpy(m->nonce, hello.nonce, sizeof(m->nonce));
		m->greeted = false;
		m->full = m->owing = false;
		mux_forget_streams(m);
		mux_forget_out(m);
		drop_body(m);
	}
	m->heard = true;
	if (m->ops.hello)
		m->ops.hello(m->arg, &hello);
	return m->error;
}

int mux_greet(struct mux *m, const struct agent_hello *hello)
{
	struct agent_hello mine = *hello;

	if (m->error)
		return m->error;
	if (m->role != MUX_AGENT || !m->heard || m->greeted)
		return -EINVAL;
	mine.version = AGENT_VERSION;
	mine.features = 0;
	memcpy(mine.nonce, m->nonce, sizeof(mine.nonce));
	mine.release[sizeof(mine.release) - 1] = '\0';
	m->greeted = true;
	return mux_put(m, (struct agent_head){ .type = AGENT_HELLO }, &mine, sizeof(mine));
}

/* ---- Requests and answers ---- */

static struct mux_pending *find_pending(struct mux *m, uint32_t serial)
{
	for (size_t i = 0; i < AGENT_PENDING_MAX; i++)
		if (m->pending[i].serial == serial)
			return &m->pending[i];
	return NULL;
}

int mux_ask(struct mux *m, enum agent_call call, const void *body, size_t len, uint32_t *ret_serial,
	    struct err *err)
{
	struct mux_pending *free_one;
	uint32_t serial;
	int r;

	assert(m->role == MUX_HOST);
	if (m->error)
		return broken(m, err);
	if (len > AGENT_REQUEST_MAX)
		return err_set(err, -E2BIG, "agent: %s: %zu bytes are too many",
			       agent_call_name(call), len);
	free_one = find_pending(m, 0);
	if (!free_one)
		return err_set(err, -EBUSY, "agent: %s: %u requests wait already",
			       agent_call_name(call), AGENT_PENDING_MAX);
	if (mux_waiting(m) + len > MUX_ASK_MAX)
		return err_set(err, -EBUSY, "agent: %s: %zu bytes wait already",
			       agent_call_name(call), mux_waiting(m));
	do {
		serial = ++m->last_serial;
	} while (serial == 0 || find_pending(m, serial));
	r = mux_put_body(
		m, (struct agent_head){ .type = AGENT_REQUEST, .call = call, .serial = serial },
		NULL, 0, body, len);
	if (r < 0)
		return broken(m, err);
	*free_one = (struct mux_pending){ serial, call, false };
	*ret_serial = serial;
	return 0;
}

void mux_forget(struct mux *m, uint32_t serial)
{
	struct mux_pending *p = serial ? find_pending(m, serial) : NULL;

	if (p)
		p->forgotten = true;
}

int mux_answer(struct mux *m, uint32_t serial, enum agent_call call, int error, const void *body,
	       size_t len)
{
	const int32_t code = error;

	if (m->error)
		return m->error;
	if (m->role != MUX_AGENT || !m->greeted || error > 0)
		return -EINVAL;
	if (error && len > AGENT_TEXT_MAX)
		len = AGENT_TEXT_MAX;
	if (len > AGENT_ANSWER_MAX - sizeof(code))
		return -E2BIG;
	return mux_put_body(
		m, (struct agent_head){ .type = AGENT_ANSWER, .call = call, .serial = serial },
		&code, sizeof(code), body, len);
}

int mux_tell(struct mux *m, enum agent_event event, const void *body, size_t len)
{
	if (m->error)
		return m->error;
	if (m->role != MUX_AGENT || !m->greeted)
		return -EINVAL;
	if (len > AGENT_FRAME_MAX)
		return -E2BIG;
	return mux_put(m, (struct agent_head){ .type = AGENT_EVENT, .call = event }, body, len);
}

/* What an agent said went wrong: printable ASCII with a NUL. */
static size_t make_sentence(char ret[static AGENT_TEXT_MAX], const char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '\0')
		len--;
	if (len > AGENT_TEXT_MAX - 1)
		len = AGENT_TEXT_MAX - 1;
	for (size_t i = 0; i < len; i++)
		ret[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
	ret[len] = '\0';
	return len;
}

static int on_answer(struct mux *m, const struct agent_head *head, const char *body, size_t len)
{
	struct mux_pending *p = find_pending(m, head->serial);
	char sentence[AGENT_TEXT_MAX];
	bool forgotten;
	int32_t error;

	if (!p)
		return mux_fail(m, -EPROTO, "agent: an answer that nobody asked for");
	if (p->call != head->call)
		return mux_fail(m, -EPROTO, "agent: the answer to %s says that it is of %s",
				agent_call_name(p->call), agent_call_name(head->call));
	if (len < sizeof(error))
		return mux_fail(m, -EPROTO, "agent: the answer to %s is cut off",
				agent_call_name(p->call));
	memcpy(&error, body, sizeof(error));
	body += sizeof(error);
	len -= sizeof(error);
	if (error > 0 || error < -ERRNO_MAX || (error && len > AGENT_TEXT_MAX))
		return mux_fail(m, -EPROTO, "agent: the answer to %s has no error that is one",
				agent_call_name(p->call));
	if (error) {
		len = make_sentence(sentence, body, len);
		body = sentence;
	}
	forgotten = p->forgotten;
	p->serial = 0;
	if (forgotten)
		return 0;
	if (!m->ops.answer)
		return mux_fail(m, -EPROTO, "agent: an answer that nobody expects");
	m->ops.answer(m->arg, head->serial, head->call, error, body, len);
	return m->error;
}

static int on_body(struct mux *m, const struct agent_head *head, const void *body, size_t len)
{
	if (m->role == MUX_HOST)
		return on_answer(m, head, body, len);
	if (!m->ops.request)
		return mux_fail(m, -EPROTO, "host: a request that nobody expects");
	m->ops.request(m->arg, head->serial, head->call, body, len);
	return m->error;
}

/* A frame of a REQUEST or ANSWER: the only one, or one of several. */
static int on_piece(struct mux *m, const struct agent_head *head, const void *bytes)
{
	int r;

	if (!m->body_open && !(head->flags & AGENT_MORE))
		return on_body(m, head, bytes, head->length);
	if (head->length == 0)
		return mux_fail(m, -EPROTO, "%s: a part of %s without bytes", mux_other(m),
				agent_call_name(head->call));
	r = buf_append(&m->body, bytes, head->length);
	if (r == -E2BIG)
		return mux_fail(m, -EPROTO, "%s: %s of more than %zu bytes", mux_other(m),
				agent_call_name(head->call), m->body.max);
	if (r < 0)
		return mux_fail(m, r, "%s: no memory for %s", mux_other(m),
				agent_call_name(head->call));
	m->body_open = head->flags & AGENT_MORE;
	m->body_head = *head;
	if (m->body_open)
		return 0;
	r = on_body(m, head, m->body.data, m->body.len);
	drop_body(m);
	return r;
}

/* ---- Reading ---- */

/* What the frame of a type may have in its head. */
static const struct shape {
	const char *name;
	bool host, agent;   /* who sends it */
	unsigned int calls; /* numbers below it; 0: none */
	bool stream, serial, more;
} shapes[AGENT_FRAMES] = {
	[AGENT_HELLO] = { "HELLO", true, true, 0, false, false, false },
	[AGENT_REQUEST] = { "REQUEST", true, false, AGENT_CALLS, false, true, true },
	[AGENT_ANSWER] = { "ANSWER", false, true, AGENT_CALLS, false, true, true },
	[AGENT_EVENT] = { "EVENT", false, true, AGENT_EVENTS, false, false, false },
	[AGENT_DATA] = { "DATA", true, true, 0, true, false, false },
	[AGENT_CREDIT] = { "CREDIT", true, true, 0, true, false, false },
	[AGENT_END] = { "END", true, true, 0, true, false, false },
};

static int judge(struct mux *m, const struct agent_head *h)
{
	const struct shape *s = h->type < AGENT_FRAMES ? &shapes[h->type] : NULL;

	if (!s || !s->name)
		return mux_fail(m, -EPROTO, "%s: a frame of type %u", mux_other(m), h->type);
	if (m->role == MUX_HOST ? !s->agent : !s->host)
		return mux_fail(m, -EPROTO, "%s: %s is not for it to send", mux_other(m), s->name);
	if (h->length > AGENT_FRAME_MAX)
		return mux_fail(m, -EPROTO, "%s: %s of %u bytes", mux_other(m), s->name, h->length);
	if (h->flags & ~(s->more ? AGENT_MORE : 0u))
		return mux_fail(m, -EPROTO, "%s: %s with flags %#x", mux_other(m), s->name,
				h->flags);
	if (s->calls ? h->call == 0 || h->call >= s->calls : h->call != 0)
		return mux_fail(m, -EPROTO, "%s: %s of number %u", mux_other(m), s->name, h->call);
	if (s->stream ? h->stream == 0 || h->stream > AGENT_STREAM_MAX : h->stream != 0)
		return mux_fail(m, -EPROTO, "%s: %s for stream %u", mux_other(m), s->name,
				h->stream);
	if (s->serial != (h->serial != 0))
		return mux_fail(m, -EPROTO, "%s: %s with serial %u", mux_other(m), s->name,
				h->serial);
	if (!m->heard && h->type != AGENT_HELLO)
		return mux_fail(m, -EPROTO, "%s: %s before its HELLO", mux_other(m), s->name);
	if (m->body_open && !(m->role == MUX_AGENT && h->type == AGENT_HELLO) &&
	    (h->type != m->body_head.type || h->serial != m->body_head.serial ||
	     h->call != m->body_head.call))
		return mux_fail(m, -EPROTO, "%s: %s in the middle of another body", mux_other(m),
				s->name);
	return 0;
}

static int on_frame(struct mux *m, const struct agent_head *head, const void *body)
{
	switch (head->type) {
	case AGENT_HELLO:
		return on_hello(m, head, body);
	case AGENT_REQUEST:
	case AGENT_ANSWER:
		return on_piece(m, head, body);
	case AGENT_EVENT:
		if (!m->ops.event)
			return mux_fail(m, -EPROTO, "agent: an event that nobody expects");
		m->ops.event(m->arg, head->call, body, head->length);
		return m->error;
	case AGENT_DATA:
		return mux_on_data(m, head, body);
	case AGENT_CREDIT:
		return mux_on_credit(m, head, body);
	default:
		return mux_on_end(m, head, body);
	}
}

/* Serve the whole frames of the buffer; what is left goes to its front. */
static int serve(struct mux *m)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && m->in_len - at >= sizeof(struct agent_head)) {
		struct agent_head head;

		memcpy(&head, m->in + at, sizeof(head));
		r = judge(m, &head);
		if (r < 0 || m->in_len - at < sizeof(head) + head.length)
			break;
		r = on_frame(m, &head, m->in + at + sizeof(head));
		at += sizeof(head) + head.length;
	}
	m->in_len -= at;
	if (at > 0 && m->in_len > 0)
		memmove(m->in, m->in + at, m->in_len);
	return r;
}

static int read_some(struct mux *m)
{
	for (int i = 0; i < READS_MAX; i++) {
		const size_t want = MUX_IN_SIZE - m->in_len;
		const ssize_t n = read(m->fd, m->in + m->in_len, want);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno != ECONNRESET && errno != EPIPE)
			return mux_fail(m, -errno, "%s: read: %s", mux_other(m), strerror(errno));
		if (n <= 0)
			return mux_fail(m, -EPIPE, "%s: the channel has ended%s", mux_other(m),
					m->in_len || m->body_open ? " in the middle of a frame"
								  : "");
		m->in_len += (size_t)n;
		r = serve(m);
		if (r < 0)
			return r;
		if ((size_t)n < want)
			return 0;
	}
	return 0;
}

/* Half of the buffer is gone: what stopped for it may go on. */
static int tell_room(struct mux *m)
{
	int r;

	if (!m->full || mux_waiting(m) > MUX_BUFFER / 2)
		return 0;
	m->full = false;
	r = mux_pay(m);
	if (r == 0 && m->ops.room)
		m->ops.room(m->arg, 0);
	return r < 0 ? r : m->error;
}

int mux_ready(struct mux *m, short revents, struct err *err)
{
	int r;

	if (m->error)
		return broken(m, err);
	assert(!m->inside);
	m->inside = true;
	r = revents & (POLLIN | POLLHUP | POLLERR) ? read_some(m) : 0;
	if (r == 0) {
		mux_flush(m);
		r = tell_room(m);
	}
	if (r == 0)
		mux_flush(m);
	m->inside = false;
	return r < 0 ? broken(m, err) : 0;
}
