/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "vmm/channel.h"
#include "vmm/streams.h"
#include "vmm/vm.h"
#include "wire/relay.h"

#define ASKED_MAX 8u   /* FORWARDs without an answer: others have calls, too */
#define SHORT_MS  1000 /* until one more is tried where there were no descriptors */

struct forward {
	struct vm *vm;
	struct relay relay;
	uint32_t in, out; /* streams; 0: none */
	bool asked;	  /* FORWARD is not answered: until then the record stays */
	bool over;
};

static struct {
	struct loop_source *listener, *retry;
	bool full; /* others wait in the socket's queue */
	unsigned int open, asked;
} forwards;

static bool has_room(const struct vm *vm)
{
	return vm->phase != VM_ENDS && forwards.open < AGENT_FORWARDS_MAX &&
	       forwards.asked < ASKED_MAX && channel_has_room(vm->channel);
}

static void set_full(bool full)
{
	if (forwards.full == full)
		return;
	forwards.full = full;
	(void)loop_set_events(forwards.listener, full ? 0 : EPOLLIN);
}

static void close_forward(struct forward *f)
{
	struct vm *vm = f->vm;

	if (!f->over) {
		stream_leave(f->in);
		stream_leave(f->out);
		relay_done(&f->relay);
		f->over = true;
	}
	if (f->asked)
		return;
	free(f);
	forwards.open--;
	forward_go_on(vm);
}

static void on_over(void *arg, struct relay *relay)
{
	(void)relay;
	close_forward(arg);
}

static void on_end(void *arg, struct pump **pump, int error)
{
	struct forward *f = arg;

	relay_end(&f->relay, *pump, error);
}

static void refuse(struct forward *f)
{
	f->relay.reset = true;
	close_forward(f);
}

static void on_answer(void *arg, int error, const void *answer)
{
	struct forward *f = arg;

	f->asked = false;
	forwards.asked--;
	if (error)
		log_debug("container %s: a connection to its loopback device is refused: %s",
			  f->vm->id, (const char *)answer);
	if (error)
		refuse(f);
	else if (f->over)
		close_forward(f);
}

static int open_streams(struct forward *f, struct err *err)
{
	int r = stream_take(&f->relay.in, on_end, f, &f->in);

	if (r == 0)
		r = stream_take(&f->relay.out, on_end, f, &f->out);
	if (r < 0)
		return err_set(err, r, "%u streams are open", AGENT_STREAMS_MAX);
	return relay_open(&f->relay, f->vm->loop, channel_mux(f->vm->channel), f->in, f->out, err);
}

static int ask(struct forward *f, uint16_t port, struct err *err)
{
	const struct agent_forward request = {
		.id = f->vm->id, .port = port, .in = f->in, .out = f->out
	};
	const struct channel_call call = {
		.call = AGENT_FORWARD, .request = &request, .fn = on_answer, .arg = f
	};
	const int r = channel_ask(f->vm->channel, &call, err);

	f->asked = r == 0;
	forwards.asked += f->asked;
	return r;
}

static void add(struct vm *vm, int fd)
{
	struct forward *f = calloc(1, sizeof(*f));
	struct sockaddr_in6 meant = { 0 };
	socklen_t len = sizeof(meant);
	struct err err = { 0 };
	int r;

	if (!f) {
		(void)close(fd);
		return;
	}
	f->vm = vm;
	f->relay = (struct relay)RELAY_INIT;
	f->relay.over = on_over;
	f->relay.arg = f;
	forwards.open++;
	r = getsockname(fd, (struct sockaddr *)&meant, &len) < 0
		    ? err_sys(&err, -errno, "the port of a connection")
		    : open_streams(f, &err);
	if (r == 0)
		r = ask(f, ntohs(meant.sin6_port), &err);
	if (r == 0)
		r = relay_attach(&f->relay, fd, &err);
	else
		f->relay.fd = fd;
	if (r == 0)
		return;
	log_warning("container %s: a connection to its loopback device: %s", vm->id, err.msg);
	refuse(f);
}

static void on_retry(void *arg)
{
	(void)arg;
	set_full(false);
}

static void on_connection(void *arg, int fd, uint32_t events)
{
	struct vm *vm = arg;

	(void)events;
	while (has_room(vm)) {
		const int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (connection >= 0) {
			add(vm, connection);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN)
			return;
		/* It would be told again at once. */
		(void)loop_set_timer(forwards.retry, SHORT_MS);
		break;
	}
	set_full(true);
}

void forward_go_on(struct vm *vm)
{
	if (forwards.full && has_room(vm))
		set_full(false);
}

int forward_start(struct vm *vm, struct err *err)
{
	int r = loop_add_timer(vm->loop, -1, on_retry, NULL, &forwards.retry);

	if (r == 0)
		r = loop_add_fd(vm->loop, VMM_FD_FORWARDS, EPOLLIN, on_connection, vm,
				&forwards.listener);
	return r < 0 ? err_sys(err, r, "wait for connections to the loopback device") : 0;
}
