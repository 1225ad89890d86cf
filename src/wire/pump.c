/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How bytes come from and go to a descriptor without waiting: wire/pump_io.h.
 *
 * A source whose descriptor has hung up is told to us again and again: while there is nothing to
 * do for it, it is not in the loop.
 */
#include "wire/pump.h"

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "wire/pump_io.h"

#define READ_SIZE  (64u << 10) /* bytes of one read */
#define WRITES_MAX 256	       /* of one event */
#define DRAIN_MAX  (1u << 20)  /* bytes, of what cannot tell how much lies in it */

struct pump {
	struct loop *loop;
	struct mux *mux;
	uint32_t stream;
	struct pump_io io; /* owned; -EBADF before it has come and once it was closed */
	enum pump_direction direction;
	pump_done_fn *done;
	void *arg;

	struct loop_source *source; /* NULL: not in the loop */
	bool in_over, out_over;
	bool ending;   /* out is over when the queue is written */
	bool out_dead; /* a terminal that has hung up: what it said before is still read */
	bool draining;
	bool patient; /* a terminal may have slaves again */
	bool hung;    /* ... and has none: the loop tells changes alone */
	bool carried; /* out is over when the other end is closed */
	bool shut;    /* ... which we have asked for */
	bool told;    /* done() was called */
	size_t drain_left;
	struct buf queue; /* from queue_at on: came from the stream, not written yet */
	size_t queue_at;
};

static size_t queued(const struct pump *p)
{
	return p->queue.len - p->queue_at;
}

/* ---- The loop ---- */

static void on_fd(void *arg, int fd, uint32_t events);

static void leave_loop(struct pump *p)
{
	loop_remove(p->source);
	p->source = NULL;
}

static int enter_loop(struct pump *p)
{
	uint32_t events = 0;

	if (p->io.fd < 0)
		return 0;
	if (!p->in_over && mux_room(p->mux, p->stream) > 0)
		events |= EPOLLIN;
	if (queued(p) > 0)
		events |= EPOLLOUT;
	/* A pipe that nobody reads any more says so without being asked. */
	if (events == 0 && !(p->direction == PUMP_OUT && !p->out_over)) {
		leave_loop(p);
		return 0;
	}
	if (p->hung)
		events |= EPOLLET;
	if (p->source)
		return loop_set_events(p->source, events);
	return loop_add_fd(p->loop, p->io.fd, events, on_fd, p, &p->source);
}

/* ---- Ends ---- */

/*
 * No more bytes come from the descriptor. Of a terminal that is a hang-up: what still waits for it
 * is tried, no more.
 */
static void end_in(struct pump *p, int error)
{
	if (p->in_over)
		return;
	p->in_over = true;
	(void)mux_end(p->mux, p->stream, error);
	p->ending = true;
}

static void drop_queue(struct pump *p)
{
	buf_done(&p->queue);
	p->queue_at = 0;
}

/* The descriptor takes no more bytes, or shall get none: the other end may stop to send them. */
static void end_out(struct pump *p, int error)
{
	if (p->out_over)
		return;
	p->out_over = true;
	drop_queue(p);
	if (error || p->direction == PUMP_BOTH)
		(void)mux_end(p->mux, p->stream, error);
	p->in_over = true;
}

static void fail_out(struct pump *p, int error)
{
	if (p->direction == PUMP_BOTH && !p->in_over && !p->ending) {
		p->out_dead = true;
		drop_queue(p);
	} else {
		end_out(p, error);
	}
}

static bool waits_for_carrier(struct pump *p)
{
	if (!p->carried || p->out_over)
		return false;
	p->shut = p->shut || shutdown(p->io.fd, SHUT_WR) == 0;
	return p->shut;
}

/* At the end of all that the pump is asked to do: it may be gone afterwards. */
static void settle(struct pump *p)
{
	int r;

	if (p->told)
		return;
	if (p->ending && queued(p) == 0 && !waits_for_carrier(p))
		end_out(p, 0);
	if (!p->in_over || !p->out_over) {
		r = enter_loop(p);
		if (r == 0)
			return;
		end_in(p, -r);
		end_out(p, -r);
	}
	leave_loop(p);
	if (p->io.fd >= 0)
		(void)close(TAKE_FD(p->io.fd));
	p->told = true;
	p->done(p->arg, p);
}

/* ---- In ---- */

static void pump_in(struct pump *p)
{
	char bytes[READ_SIZE];
	size_t len = mux_room(p->mux, p->stream);
	ssize_t n;

	if (p->in_over || len == 0)
		return;
	if (len > sizeof(bytes))
		len = sizeof(bytes);
	if (p->draining && len > p->drain_left)
		len = p->drain_left;
	n = pump_io_read(&p->io, bytes, len);
	p->hung = n == -EIO && p->patient;
	if (!p->draining && (n == -EAGAIN || p->hung))
		return;
	if (n <= 0) {
		/* A terminal whose other side is gone says EIO: that is its end of file. */
		end_in(p, n == -EAGAIN || (n == -EIO && p->io.kind == PUMP_TTY) ? 0 : (int)-n);
		return;
	}
	if (p->draining)
		p->drain_left -= (size_t)n;
	if (mux_send(p->mux, p->stream, bytes, (size_t)n) < 0)
		end_in(p, 0);
}

static void drain(struct pump *p)
{
	while (!p->in_over) {
		if (p->drain_left == 0 || !pump_io_ready(&p->io, POLLIN))
			end_in(p, 0);
		else if (mux_room(p->mux, p->stream) == 0)
			return;
		else
			pump_in(p);
	}
}

void pump_drain(struct pump *p)
{
	int lies = 0;

	if (p->in_over || p->draining)
		return;
	p->draining = true;
	p->drain_left = DRAIN_MAX;
	if ((p->io.kind == PUMP_PIPE || p->io.kind == PUMP_SOCKET) &&
	    ioctl(p->io.fd, FIONREAD, &lies) == 0)
		p->drain_left = (size_t)lies;
	drain(p);
	settle(p);
}

void pump_room(struct pump *p)
{
	if (p->draining)
		drain(p);
	settle(p);
}

/* ---- Out ---- */

/* The bytes that were written; less than len: it takes no more now, or never (no_more()). */
static bool no_more(const struct pump *p)
{
	return p->out_over || p->out_dead;
}

static size_t write_many(struct pump *p, const char *bytes, size_t len)
{
	size_t done = 0;

	for (int i = 0; p->io.fd >= 0 && done < len && i < WRITES_MAX; i++) {
		const ssize_t n = pump_io_write(&p->io, bytes + done, len - done);

		if (n == -EAGAIN)
			break;
		if (n < 0) {
			fail_out(p, (int)-n);
			return done;
		}
		done += (size_t)n;
	}
	if (done > 0)
		(void)mux_credit(p->mux, p->stream, done);
	return done;
}

static void pump_out(struct pump *p, uint32_t events)
{
	size_t n = 0;

	if (queued(p) > 0) {
		n = write_many(p, p->queue.data + p->queue_at, queued(p));
		if (no_more(p))
			return;
		p->queue_at += n;
		if (queued(p) == 0)
			drop_queue(p);
	}
	/* Nobody is there who would read, and a write has not told. */
	if (n == 0 && (events & (EPOLLHUP | EPOLLERR)) && (!p->patient || p->ending))
		fail_out(p, p->shut ? 0 : EPIPE);
}

void pump_data(struct pump *p, const void *bytes, size_t len)
{
	size_t n = 0;

	if (no_more(p))
		return;
	if (queued(p) == 0)
		n = write_many(p, bytes, len);
	if (!no_more(p) && n < len) {
		if (p->queue_at > 0 && (p->queue.len + len - n > p->queue.cap ||
					p->queue.len + len - n > p->queue.max)) {
			p->queue.len -= p->queue_at;
			memmove(p->queue.data, p->queue.data + p->queue_at, p->queue.len);
			p->queue_at = 0;
		}
		if (buf_append(&p->queue, (const char *)bytes + n, len - n) < 0)
			end_out(p, ENOMEM);
	}
	settle(p);
}

void pump_end(struct pump *p, int error)
{
	if (p->direction == PUMP_IN) {
		/* Nobody takes what we read: its writer shall learn that. */
		if (error)
			end_in(p, error);
	} else {
		p->ending = true;
	}
	settle(p);
}

static void on_fd(void *arg, int fd, uint32_t events)
{
	struct pump *p = arg;

	p->hung = p->patient && (events & EPOLLHUP) &&
		  (p->in_over || mux_room(p->mux, p->stream) == 0);
	if (p->draining)
		drain(p);
	else if (!p->in_over && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		pump_in(p);
	if (!p->out_over && (queued(p) > 0 || p->direction == PUMP_OUT))
		pump_out(p, events);
	settle(p);
}

/* ---- Birth and death ---- */

static int new_pump(const struct pump *plan, struct pump **ret, struct err *err)
{
	struct pump *p = malloc(sizeof(*p));
	int r;

	if (!p)
		return err_sys(err, -ENOMEM, "stream %u", plan->stream);
	*p = *plan;
	p->in_over = !(p->direction & PUMP_IN);
	p->out_over = !(p->direction & PUMP_OUT);
	p->queue.max = AGENT_STREAM_CREDIT;
	r = mux_open(p->mux, p->stream);
	if (r < 0) {
		free(p);
		return err_sys(err, r, "open stream %u", plan->stream);
	}
	*ret = p;
	return 0;
}

int pump_new(struct loop *loop, struct mux *mux, uint32_t stream, int fd,
	     enum pump_direction direction, pump_done_fn *done, void *arg, struct pump **ret,
	     struct err *err)
{
	AUTO_CLOSE int own = fd;
	struct pump plan = { .loop = loop,
			     .mux = mux,
			     .stream = stream,
			     .direction = direction,
			     .done = done,
			     .arg = arg };
	struct pump *p;
	int r = pump_io_init(&plan.io, fd);

	if (r < 0)
		return err_sys(err, r, "stream %u", stream);
	r = new_pump(&plan, &p, err);
	if (r < 0)
		return r;
	(void)TAKE_FD(own);
	r = enter_loop(p);
	if (r < 0) {
		pump_free(p);
		return err_sys(err, r, "poll the descriptor of stream %u", stream);
	}
	*ret = p;
	return 0;
}

int pump_new_open(struct loop *loop, struct mux *mux, uint32_t stream,
		  enum pump_direction direction, pump_done_fn *done, void *arg, struct pump **ret,
		  struct err *err)
{
	const struct pump plan = { .loop = loop,
				   .mux = mux,
				   .stream = stream,
				   .io = { .fd = -EBADF },
				   .direction = direction,
				   .done = done,
				   .arg = arg };

	return new_pump(&plan, ret, err);
}

int pump_attach(struct pump *p, int fd, struct err *err)
{
	AUTO_CLOSE int own = fd;
	const int r = pump_io_init(&p->io, fd);

	if (r < 0) {
		p->io.fd = -EBADF;
		return err_sys(err, r, "stream %u", p->stream);
	}
	(void)TAKE_FD(own);
	pump_out(p, 0);
	settle(p);
	return 0;
}

void pump_await_slaves(struct pump *p)
{
	p->patient = true;
}

void pump_await_carrier(struct pump *p)
{
	p->carried = true;
}

void pump_finish(struct pump *p, int64_t wait_ms)
{
	const int64_t end = clock_ms() + wait_ms;
	struct pollfd fd = { .fd = p->io.fd };

	pump_out(p, 0);
	if (p->out_over || !waits_for_carrier(p))
		return;
	for (int64_t left = wait_ms; left > 0 && fd.revents == 0; left = end - clock_ms())
		(void)poll(&fd, 1, (int)left);
}

void pump_free(struct pump *p)
{
	if (!p)
		return;
	leave_loop(p);
	if (p->io.fd >= 0)
		(void)close(p->io.fd);
	mux_close(p->mux, p->stream);
	buf_done(&p->queue);
	free(p);
}

uint32_t pump_stream(const struct pump *p)
{
	return p->stream;
}

int pump_fd(const struct pump *p)
{
	return p->io.fd;
}
