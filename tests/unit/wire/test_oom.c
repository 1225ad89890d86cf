/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of loop, mux, pump and codec fails once, in a talk of two ends that uses all of
 * them (the linker wraps the allocator): whoever asked is told -ENOMEM, or the channel breaks with
 * it; nothing is leaked, no descriptor stays open, nothing waits for ever.
 */
#include "lib/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/agent_codec.h"
#include "wire/pump.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *block);

static struct {
	bool on;
	long left; /* allocations until the one that fails */
	bool failed;
	long live; /* blocks allocated minus freed while on */
} fault;

static bool fails(void)
{
	if (!fault.on || fault.failed || fault.left-- > 0)
		return false;
	fault.failed = true;
	errno = ENOMEM;
	return true;
}

static void *counted(void *block)
{
	if (fault.on && block)
		fault.live++;
	return block;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	if (fails())
		return NULL;
	return old ? __real_realloc(old, size) : counted(__real_realloc(old, size));
}

void __wrap_free(void *block)
{
	if (fault.on && block)
		fault.live--;
	__real_free(block);
}

/* ---- The talk ---- */

#define BIG (200u << 10)

struct end {
	struct mux *mux;
	struct loop_source *source;
	struct pump *pump;
	bool answered, done;
};

static struct world {
	struct loop *loop;
	struct end host, agent;
	int keys, screen; /* what is read at the host, what was written there comes out here */
	int error;
} world;

static char big[BIG];

static void failed(int r)
{
	if (r < 0 && world.error == 0)
		world.error = r;
}

static void on_done(void *arg, struct pump *pump)
{
	struct end *e = arg;

	e->done = true;
	e->pump = NULL;
	pump_free(pump);
}

static void on_hello(void *arg, const struct agent_hello *hello)
{
	struct end *e = arg;

	(void)hello;
	failed(mux_greet(e->mux, &(struct agent_hello){ .release = "6.1" }));
}

static void on_request(void *arg, uint32_t serial, enum agent_call call, const void *body,
		       size_t len)
{
	struct end *e = arg;
	int fds[2];

	assert_int_equal(len, BIG);
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		fail();
	world.screen = fds[0];
	failed(pump_new(world.loop, e->mux, 1, fds[1], PUMP_OUT, on_done, e, &e->pump, NULL));
	failed(mux_answer(e->mux, serial, call, 0, body, len));
	failed(mux_tell(e->mux, AGENT_OOM, "box", 4));
}

static void on_answer(void *arg, uint32_t serial, enum agent_call call, int error, const void *body,
		      size_t len)
{
	struct end *e = arg;

	assert_int_equal(len, BIG);
	assert_memory_equal(body, big, len);
	e->answered = true;
}

static void on_event(void *arg, enum agent_event event, const void *body, size_t len)
{
	assert_int_equal(len, 4);
}

static void on_data(void *arg, uint32_t stream, const void *bytes, size_t len)
{
	const struct end *e = arg;

	if (e->pump)
		pump_data(e->pump, bytes, len);
}

static void on_end(void *arg, uint32_t stream, int error)
{
	const struct end *e = arg;

	if (e->pump)
		pump_end(e->pump, error);
}

static void on_room(void *arg, uint32_t stream)
{
	const struct end *e = arg;

	if (e->pump)
		pump_room(e->pump);
}

static void on_poll(void *arg)
{
	const struct end *e = arg;

	if (e->source)
		failed(loop_set_events(e->source, (uint32_t)mux_events(e->mux)));
}

static void on_channel(void *arg, int fd, uint32_t events)
{
	const struct end *e = arg;

	failed(mux_ready(e->mux, (short)events, NULL));
}

static int open_end(struct end *e, int fd, enum mux_role role)
{
	const struct mux_ops ops = {
		.hello = role == MUX_AGENT ? on_hello : NULL,
		.request = role == MUX_AGENT ? on_request : NULL,
		.answer = role == MUX_HOST ? on_answer : NULL,
		.event = role == MUX_HOST ? on_event : NULL,
		.data = on_data,
		.end = on_end,
		.room = on_room,
		.poll = on_poll,
	};
	const int r = mux_new(fd, role, &ops, e, &e->mux);

	if (r < 0)
		return r;
	return loop_add_fd(world.loop, fd, (uint32_t)mux_events(e->mux), on_channel, e, &e->source);
}

static int begin(struct world *w)
{
	int fds[2], pair[2], r = loop_new(&w->loop);
	uint32_t serial;

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	r = open_end(&w->host, fds[0], MUX_HOST);
	if (r < 0) {
		(void)close(fds[1]);
		return r;
	}
	r = open_end(&w->agent, fds[1], MUX_AGENT);
	if (r < 0)
		return r;
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	w->keys = pair[1];
	(void)!write(w->keys, big, sizeof(big));
	r = mux_ask(w->host.mux, AGENT_CREATE, big, sizeof(big), &serial, NULL);
	if (r < 0) {
		(void)close(pair[0]);
		return r;
	}
	return pump_new(w->loop, w->host.mux, 1, pair[0], PUMP_IN, on_done, &w->host, &w->host.pump,
			NULL);
}

/* More goes through the stream than pipes hold, so that a queue is made. */
static void talk(struct world *w)
{
	const int64_t end = clock_ms() + 60000;
	static char bytes[65536];
	size_t said = 0;

	while (w->error == 0 && !(w->host.done && w->agent.done && w->host.answered)) {
		assert_true(clock_ms() < end);
		failed(loop_once(w->loop, 1));
		if (said < 200000) {
			const ssize_t n = write(w->keys, bytes, sizeof(bytes));

			said += n > 0 ? (size_t)n : 0;
		} else {
			if (w->keys >= 0)
				(void)close(TAKE_FD(w->keys));
			if (w->screen >= 0)
				(void)!read(w->screen, bytes, sizeof(bytes));
		}
	}
}

static void leave(struct world *w)
{
	struct end *const ends[] = { &w->host, &w->agent };

	for (int i = 0; i < 2; i++) {
		pump_free(ends[i]->pump);
		loop_remove(ends[i]->source);
		mux_free(ends[i]->mux);
	}
	loop_free(w->loop);
	auto_close_p(&w->keys);
	auto_close_p(&w->screen);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static void no_memory_is_told_and_nothing_stays(void **state)
{
	const int fds = count_fds();
	bool more = true;

	(void)state;
	for (long n = 0; more; n++) {
		memset(&world, 0, sizeof(world));
		world.keys = world.screen = -EBADF;
		fault.on = true;
		fault.left = n;
		fault.failed = false;
		fault.live = 0;
		failed(begin(&world));
		talk(&world);
		leave(&world);
		fault.on = false;
		more = fault.failed;
		if (fault.live != 0)
			fail_msg("allocation %ld fails: %ld blocks stay", n, fault.live);
		if (count_fds() != fds)
			fail_msg("allocation %ld fails: %d descriptors stay", n, count_fds() - fds);
		if (world.error != 0 && world.error != -ENOMEM)
			fail_msg("allocation %ld fails: %d", n, world.error);
		if (!more) {
			assert_int_equal(world.error, 0);
			assert_true(n > 10);
		}
	}
}

static void a_codec_without_memory_says_so(void **state)
{
	const struct agent_container box = { "box" };

	(void)state;
	for (long n = 0; n < 3; n++) {
		struct buf b = { 0 };
		int r;

		fault.on = true;
		fault.left = n;
		fault.failed = false;
		fault.live = 0;
		r = agent_request_encode(AGENT_START, &box, &b, NULL);
		buf_done(&b);
		fault.on = false;
		assert_int_equal(r, fault.failed ? -ENOMEM : 0);
		assert_int_equal(fault.live, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_memory_is_told_and_nothing_stays),
		cmocka_unit_test(a_codec_without_memory_says_so),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("wire/oom", tests, NULL, NULL);
}
