/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each pump has a descriptor of its own of the socket, and closes it when it is over; ours is for
 * what concerns the socket as a whole.
 */
#include "wire/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

static void break_off(const struct relay *r, struct pump *pump)
{
	if (pump)
		(void)mux_end(r->mux, pump_stream(pump), ECONNRESET);
	pump_free(pump);
}

static void on_pump_done(void *arg, struct pump *pump)
{
	struct relay *r = arg;

	if (pump == r->in)
		r->in = NULL;
	else
		r->out = NULL;
	pump_free(pump);
	if (!r->out && r->reset)
		break_off(r, TAKE_PTR(r->in));
	if (!r->out && r->in && r->fd >= 0)
		(void)shutdown(r->fd, SHUT_WR);
	if (!r->out && !r->in && !r->attaching)
		r->over(r->arg, r);
}

int relay_open(struct relay *r, struct loop *loop, struct mux *mux, uint32_t in, uint32_t out,
	       struct err *err)
{
	int result = pump_new_open(loop, mux, in, PUMP_IN, on_pump_done, r, &r->in, err);

	r->mux = mux;
	r->loop = loop;
	if (result == 0)
		result = pump_new_open(loop, mux, out, PUMP_OUT, on_pump_done, r, &r->out, err);
	return result;
}

static int attach(const struct relay *r, struct pump *pump, struct err *err)
{
	const int fd = fcntl(r->fd, F_DUPFD_CLOEXEC, 3);

	return fd < 0 ? err_sys(err, -errno, "duplicate a connection") : pump_attach(pump, fd, err);
}

/* What has come already may be all: either pump may be over, or be so as soon as it has begun. */
int relay_attach(struct relay *r, int fd, struct err *err)
{
	int result = 0;

	r->fd = fd;
	r->attaching = true;
	if (r->in)
		result = attach(r, r->in, err);
	if (result == 0 && r->out)
		result = attach(r, r->out, err);
	else if (result == 0)
		(void)shutdown(r->fd, SHUT_WR);
	r->attaching = false;
	if (result == 0 && !r->in && !r->out)
		r->over(r->arg, r);
	return result;
}

void relay_done(struct relay *r)
{
	const struct linger none = { .l_onoff = 1 };

	loop_remove(TAKE_PTR(r->last));
	break_off(r, TAKE_PTR(r->in));
	break_off(r, TAKE_PTR(r->out));
	if (r->fd >= 0 && r->reset)
		(void)setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	auto_close_p(&r->fd);
	r->fd = -EBADF;
}

struct pump *relay_pump(const struct relay *r, uint32_t stream)
{
	if (r->in && pump_stream(r->in) == stream)
		return r->in;
	return r->out && pump_stream(r->out) == stream ? r->out : NULL;
}

static void on_last(void *arg)
{
	struct relay *r = arg;

	r->over(r->arg, r);
}

/* Without a timer there is no waiting for a reader. */
void relay_end(struct relay *r, struct pump *pump, int error)
{
	if (error) {
		r->reset = true;
		if (!r->last && loop_add_timer(r->loop, RELAY_LAST_MS, on_last, r, &r->last) < 0) {
			r->over(r->arg, r);
			return;
		}
	}
	pump_end(pump, error);
}
