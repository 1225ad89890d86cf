/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out. A frame that finds the buffer empty goes to the descriptor from where it lies, only
 * what is not taken is copied. When the descriptor breaks, the other end may have said something
 * before it went: reading goes on, and its end is the error.
 */
#include "wire/mux_internal.h"

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define FLUSH_MAX (1u << 20) /* bytes of one mux_ready() */

size_t mux_waiting(const struct mux *m)
{
	return m->out.len - m->out_at;
}

void mux_forget_out(struct mux *m)
{
	m->out.len = 0;
	m->out_at = 0;
}

static void set_events(struct mux *m)
{
	/* Full: mux_ready() has to tell when there is room again, though all may be gone by then.
	 */
	const short events = (short)(POLLIN | (mux_waiting(m) > 0 || m->full ? POLLOUT : 0));

	if (events == m->events)
		return;
	m->events = events;
	if (m->ops.poll)
		m->ops.poll(m->arg);
}

/* Bytes that the descriptor took: 0 or more. */
static size_t write_now(struct mux *m, const struct iovec *iov, size_t count)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = count };
	ssize_t n;

	do {
		n = m->socket ? sendmsg(m->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT)
			      : writev(m->fd, iov, (int)count);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		m->deaf = true;
	return n < 0 ? 0 : (size_t)n;
}

void mux_flush(struct mux *m)
{
	size_t done = 0;

	while (mux_waiting(m) > 0 && done < FLUSH_MAX && !m->deaf) {
		const struct iovec iov = { m->out.data + m->out_at, mux_waiting(m) };
		const size_t n = write_now(m, &iov, 1);

		if (n == 0)
			break;
		m->out_at += n;
		done += n;
	}
	if (m->deaf || mux_waiting(m) == 0)
		mux_forget_out(m);
	if (m->out.len == 0 && m->out.cap > 2 * MUX_BUFFER)
		buf_done(&m->out); /* a large request has gone */
	set_events(m);
}

static int append(struct mux *m, const void *bytes, size_t len)
{
	int r;

	if (len == 0)
		return 0;
	/* What has gone makes room before the buffer grows. */
	if (m->out_at > 0 && (m->out.len + len >= m->out.cap || m->out.len + len > m->out.max)) {
		m->out.len -= m->out_at;
		memmove(m->out.data, m->out.data + m->out_at, m->out.len);
		m->out_at = 0;
	}
	r = buf_append(&m->out, bytes, len);
	return r < 0 ? mux_fail(m, r, "%s: %zu bytes wait to be sent", mux_other(m), m->out.len)
		     : 0;
}

/* What has come into the buffer may go, or stays until mux_ready() writes. */
static void appended(struct mux *m)
{
	if (mux_waiting(m) >= MUX_BUFFER)
		m->full = true;
	if (m->inside)
		set_events(m);
	else
		mux_flush(m);
}

int mux_put(struct mux *m, struct agent_head head, const void *body, size_t len)
{
	size_t n = 0;
	int r = 0;

	assert(len <= AGENT_FRAME_MAX);
	if (m->deaf)
		return 0;
	head.length = (uint32_t)len;
	if (!m->inside && mux_waiting(m) == 0) {
		const struct iovec iov[] = { { &head, sizeof(head) }, { (void *)body, len } };

		n = write_now(m, iov, len ? 2 : 1);
		if (n == sizeof(head) + len)
			return 0;
	}
	if (n < sizeof(head))
		r = append(m, (const char *)&head + n, sizeof(head) - n);
	n = n > sizeof(head) ? n - sizeof(head) : 0;
	if (r == 0)
		r = append(m, (const char *)body + n, len - n);
	appended(m);
	return r;
}

int mux_put_body(struct mux *m, struct agent_head head, const void *first, size_t first_len,
		 const void *body, size_t len)
{
	const char *bytes = body;
	int r = 0;

	if (m->deaf)
		return 0;
	/* All of it is in the buffer before any of it goes: nothing comes between. */
	do {
		const size_t room = AGENT_FRAME_MAX - first_len;
		const size_t n = len > room ? room : len;

		head.flags = n < len ? AGENT_MORE : 0;
		head.length = (uint32_t)(first_len + n);
		r = append(m, &head, sizeof(head));
		if (r == 0)
			r = append(m, first, first_len);
		if (r == 0)
			r = append(m, bytes, n);
		first_len = 0;
		bytes += n;
		len -= n;
	} while (r == 0 && len > 0);
	appended(m);
	return r;
}
