/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams and their credit. A CREDIT frame goes when a quarter of a stream's credit is owed, and
 * none while the buffer is full: an end that sends and does not read cannot make it grow.
 */
#include "wire/mux_internal.h"

#include <string.h>

#define CREDIT_STEP (AGENT_STREAM_CREDIT / 4)
#define ERRNO_MAX   4095u

static struct mux_stream *find(const struct mux *m, uint32_t number)
{
	const uint16_t place = number <= AGENT_STREAM_MAX ? m->place[number] : MUX_NEVER_OPEN;

	if (place == MUX_NEVER_OPEN || place == MUX_CLOSED)
		return NULL;
	return (struct mux_stream *)&m->streams[place - 1];
}

int mux_open(struct mux *m, uint32_t number)
{
	if (m->error)
		return m->error;
	if (number == 0 || number > AGENT_STREAM_MAX)
		return -EINVAL;
	if (find(m, number))
		return -EEXIST;
	if (m->streams_len == AGENT_STREAMS_MAX)
		return -EMFILE;
	m->streams[m->streams_len] = (struct mux_stream){
		.number = number,
		.may_send = AGENT_STREAM_CREDIT,
		.may_come = AGENT_STREAM_CREDIT,
	};
	m->place[number] = (uint16_t)++m->streams_len;
	return 0;
}

void mux_close(struct mux *m, uint32_t number)
{
	struct mux_stream *s = find(m, number);
	const struct mux_stream *last;

	if (!s)
		return;
	last = &m->streams[m->streams_len - 1];
	/* The last one takes the place that becomes free. */
	m->place[last->number] = m->place[number];
	*s = *last;
	m->place[number] = MUX_CLOSED;
	m->streams_len--;
}

void mux_forget_streams(struct mux *m)
{
	memset(m->place, 0, sizeof(m->place));
	m->streams_len = 0;
}

static size_t room_of(const struct mux *m, const struct mux_stream *s)
{
	if (!s || m->error || m->full || s->ended || m->deaf)
		return 0;
	return s->may_send;
}

size_t mux_room(const struct mux *m, uint32_t number)
{
	return room_of(m, find(m, number));
}

ssize_t mux_send(struct mux *m, uint32_t number, const void *bytes, size_t len)
{
	struct mux_stream *s = find(m, number);
	const char *p = bytes;
	size_t room, left;

	if (m->error)
		return m->error;
	if (!s)
		return -EBADF;
	if (s->ended)
		return -EPIPE;
	room = room_of(m, s);
	if (len > room)
		len = room;
	s->may_send -= (uint32_t)len;
	for (left = len; left > 0;) {
		const size_t n = left < AGENT_FRAME_MAX ? left : AGENT_FRAME_MAX;
		const int r = mux_put(
			m, (struct agent_head){ .type = AGENT_DATA, .stream = number }, p, n);

		if (r < 0)
			return r;
		p += n;
		left -= n;
	}
	return (ssize_t)len;
}

int mux_end(struct mux *m, uint32_t number, int error)
{
	const uint32_t why = error > 0 && (uint32_t)error <= ERRNO_MAX ? (uint32_t)error : 0;
	struct mux_stream *s = find(m, number);

	if (m->error)
		return m->error;
	if (!s)
		return -EBADF;
	if (s->ended)
		return 0;
	s->ended = true;
	return mux_put(m, (struct agent_head){ .type = AGENT_END, .stream = number }, &why,
		       sizeof(why));
}

static int pay(struct mux *m, struct mux_stream *s)
{
	const uint32_t owed = s->owed;

	if (m->full) {
		m->owing = true;
		return 0;
	}
	s->owed = 0;
	s->may_come += owed;
	return mux_put(m, (struct agent_head){ .type = AGENT_CREDIT, .stream = s->number }, &owed,
		       sizeof(owed));
}

int mux_pay(struct mux *m)
{
	int r = 0;

	if (!m->owing)
		return 0;
	m->owing = false;
	for (uint32_t i = 0; r == 0 && i < m->streams_len; i++)
		if (m->streams[i].owed >= CREDIT_STEP)
			r = pay(m, &m->streams[i]);
	return r;
}

int mux_credit(struct mux *m, uint32_t number, size_t len)
{
	struct mux_stream *s = find(m, number);

	if (m->error)
		return m->error;
	if (!s || len == 0)
		return 0;
	if (len > s->held)
		return -EINVAL;
	s->held -= (uint32_t)len;
	s->owed += (uint32_t)len;
	if (s->ended_in || s->owed < CREDIT_STEP)
		return 0;
	return pay(m, s);
}

/*
 * The stream of a frame that came. NULL: the frame is thrown away, or (the mux has failed) it was a
 * lie.
 */
static struct mux_stream *stream_of(struct mux *m, const struct agent_head *head, const char *what)
{
	struct mux_stream *s = find(m, head->stream);

	if (!s && m->role == MUX_HOST && m->place[head->stream] == MUX_NEVER_OPEN)
		(void)mux_fail(m, -EPROTO, "%s: %s for stream %u, which was never open",
			       mux_other(m), what, head->stream);
	return s;
}

int mux_on_data(struct mux *m, const struct agent_head *head, const void *bytes)
{
	struct mux_stream *s = stream_of(m, head, "DATA");

	if (!s)
		return m->error;
	if (head->length == 0)
		return mux_fail(m, -EPROTO, "%s: DATA of no bytes", mux_other(m));
	if (s->ended_in)
		return mux_fail(m, -EPROTO, "%s: DATA behind the END of stream %u", mux_other(m),
				s->number);
	if (head->length > s->may_come)
		return mux_fail(m, -EPROTO, "%s: DATA of %u bytes for stream %u, which may send %u",
				mux_other(m), head->length, s->number, s->may_come);
	if (!m->ops.data)
		return mux_fail(m, -EPROTO, "%s: DATA that nobody expects", mux_other(m));
	s->may_come -= head->length;
	s->held += head->length;
	m->ops.data(m->arg, head->stream, bytes, head->length);
	return m->error;
}

int mux_on_credit(struct mux *m, const struct agent_head *head, const void *body)
{
	struct mux_stream *s = stream_of(m, head, "CREDIT");
	uint32_t more;
	bool first;

	if (head->length != sizeof(more))
		return mux_fail(m, -EPROTO, "%s: CREDIT of %u bytes", mux_other(m), head->length);
	if (!s)
		return m->error;
	memcpy(&more, body, sizeof(more));
	if (more == 0 || more > AGENT_STREAM_CREDIT - s->may_send)
		return mux_fail(m, -EPROTO, "%s: CREDIT of %u for stream %u, which has %u",
				mux_other(m), more, s->number, s->may_send);
	first = room_of(m, s) == 0;
	s->may_send += more;
	if (first && room_of(m, s) > 0 && m->ops.room)
		m->ops.room(m->arg, head->stream);
	return m->error;
}

int mux_on_end(struct mux *m, const struct agent_head *head, const void *body)
{
	struct mux_stream *s = stream_of(m, head, "END");
	uint32_t error;

	if (head->length != sizeof(error))
		return mux_fail(m, -EPROTO, "%s: END of %u bytes", mux_other(m), head->length);
	if (!s)
		return m->error;
	memcpy(&error, body, sizeof(error));
	if (error > ERRNO_MAX)
		return mux_fail(m, -EPROTO, "%s: END of stream %u with error %u", mux_other(m),
				s->number, error);
	if (s->ended_in)
		return mux_fail(m, -EPROTO, "%s: a second END of stream %u", mux_other(m),
				s->number);
	if (!m->ops.end)
		return mux_fail(m, -EPROTO, "%s: END that nobody expects", mux_other(m));
	s->ended_in = true;
	m->ops.end(m->arg, head->stream, (int)error);
	return m->error;
}
