/* SPDX-License-Identifier: Apache-2.0 */
/* Events, told to a containerd that is a ttrpc server of the same loop. */
#include "shim/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "lib/unit.h"
#include "shim/task_events.pb-c.h"
#include "shim/ttrpc.h"

#define EVENTS	   64
#define PATIENCE_S 30

struct world {
	struct loop *loop;
	struct ttrpc_server *server;
	struct publisher *publisher;
	struct ttrpc_call *held;
	char dir[32];
	struct sockaddr_un address;
	char told[EVENTS][32]; /* the ids of the containers */
	unsigned int told_len;
	char last[32];
	bool refuse, hold;
	bool forget; /* ids beyond EVENTS */
};

static void forward(void *arg, struct ttrpc_call *call, const ProtobufCMessage *message)
{
	struct world *w = arg;
	const Caisson__Shim__ForwardRequest *request = (const void *)message;
	const Caisson__Shim__Envelope *envelope = request->envelope;
	const Caisson__Shim__Empty empty = CAISSON__SHIM__EMPTY__INIT;
	Caisson__Shim__TaskOOM *oom;

	assert_string_equal(envelope->namespace_, "ns");
	assert_string_equal(envelope->topic, "/tasks/oom");
	assert_string_equal(envelope->event->type_url, "containerd.events.TaskOOM");
	assert_true(envelope->timestamp->seconds > 0);
	oom = caisson__shim__task_oom__unpack(NULL, envelope->event->value.len,
					      envelope->event->value.data);
	assert_non_null(oom);
	assert_true(w->told_len < EVENTS || w->forget);
	if (w->told_len < EVENTS)
		(void)snprintf(w->told[w->told_len], sizeof(w->told[0]), "%s", oom->container_id);
	(void)snprintf(w->last, sizeof(w->last), "%s", oom->container_id);
	w->told_len++;
	caisson__shim__task_oom__free_unpacked(oom, NULL);
	if (w->hold)
		w->held = call;
	else if (w->refuse)
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "not this one");
	else
		ttrpc_answer(call, &empty.base);
}

static const struct ttrpc_method methods[] = {
	{ "Forward", &caisson__shim__forward_request__descriptor, forward },
};
static const struct ttrpc_service services[] = {
	{ "containerd.services.events.ttrpc.v1.Events", methods, 1 },
};

static int listen_at(struct world *w)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)unlink(w->address.sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&w->address, sizeof(w->address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void begin_containerd(struct world *w)
{
	struct err err = { 0 };

	assert_int_equal(ttrpc_server_new(w->loop, listen_at(w), (uint32_t)geteuid(), services, 1,
					  w, &w->server, &err),
			 0);
}

static void end_containerd(struct world *w)
{
	ttrpc_server_free(TAKE_PTR(w->server));
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err = { 0 };

	(void)strcpy(w->dir, "/tmp/publish.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->address.sun_family = AF_UNIX;
	(void)snprintf(w->address.sun_path, sizeof(w->address.sun_path), "%s/s", w->dir);
	assert_int_equal(loop_new(&w->loop), 0);
	assert_int_equal(publisher_new(w->loop,
				       &(struct publisher_options){ .ns = "ns",
								    .address = "/nowhere",
								    .ttrpc = w->address.sun_path,
								    .binary = "/bin/false" },
				       &w->publisher, &err),
			 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	publisher_free(w->publisher);
	end_containerd(w);
	loop_free(w->loop);
	(void)unlink(w->address.sun_path);
	(void)rmdir(w->dir);
	free(w);
	return 0;
}

static void tell(struct world *w, const char *id)
{
	Caisson__Shim__TaskOOM event = CAISSON__SHIM__TASK_OOM__INIT;

	event.container_id = (char *)id;
	publisher_tell(w->publisher, "/tasks/oom", "containerd.events.TaskOOM", &event.base);
}

static void serve_until(struct world *w, unsigned int told)
{
	const int64_t end = clock_ms() + PATIENCE_S * 1000;

	while (w->told_len < told && clock_ms() < end)
		assert_int_equal(loop_once(w->loop, 50), 0);
	assert_int_equal(w->told_len, told);
}

static void serve_until_idle(struct world *w)
{
	const int64_t end = clock_ms() + PATIENCE_S * 1000;

	while (!publisher_idle(w->publisher) && clock_ms() < end)
		assert_int_equal(loop_once(w->loop, 50), 0);
	assert_true(publisher_idle(w->publisher));
}

static void what_containerd_did_not_answer_is_told_again(void **state)
{
	struct world *w = *state;

	begin_containerd(w);
	w->hold = true;
	tell(w, "first");
	tell(w, "second");
	serve_until(w, 1);
	assert_false(publisher_idle(w->publisher));
	end_containerd(w);
	ttrpc_fail(w->held, TTRPC_UNKNOWN, "nobody hears it");
	w->hold = false;
	begin_containerd(w);
	serve_until_idle(w);
	assert_int_equal(w->told_len, 3);
	assert_string_equal(w->told[1], "first");
	assert_string_equal(w->told[2], "second");
}

static void events_wait_for_containerd(void **state)
{
	struct world *w = *state;

	tell(w, "early");
	assert_int_equal(loop_once(w->loop, 0), 0);
	assert_false(publisher_idle(w->publisher));
	begin_containerd(w);
	serve_until_idle(w);
	assert_int_equal(w->told_len, 1);
	assert_string_equal(w->told[0], "early");
}

static void a_refused_event_does_not_stop_the_next(void **state)
{
	struct world *w = *state;

	begin_containerd(w);
	w->refuse = true;
	tell(w, "bad");
	serve_until_idle(w);
	w->refuse = false;
	tell(w, "good");
	serve_until_idle(w);
	assert_string_equal(w->told[1], "good");
}

static void events_come_in_order(void **state)
{
	struct world *w = *state;
	char id[16];

	begin_containerd(w);
	for (int i = 0; i < EVENTS; i++) {
		(void)snprintf(id, sizeof(id), "%d", i);
		tell(w, id);
	}
	serve_until_idle(w);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(atoi(w->told[i]), i);
}

struct door {
	int listener;
	unsigned int visits;
};

static void on_visit(void *arg, int fd, uint32_t events)
{
	struct door *d = arg;
	AUTO_CLOSE int visitor = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	d->visits += visitor >= 0;
}

static void who_hangs_up_is_not_called_again_at_once(void **state)
{
	struct world *w = *state;
	struct door door = { listen_at(w), 0 };
	struct loop_source *source;
	int64_t begin;

	assert_int_equal(loop_add_fd(w->loop, door.listener, EPOLLIN, on_visit, &door, &source), 0);
	tell(w, "first");
	for (begin = clock_ms(); clock_ms() < begin + 300;)
		assert_int_equal(loop_once(w->loop, 50), 0);
	assert_in_range(door.visits, 1, 5);
	loop_remove(source);
	(void)close(door.listener);
	begin_containerd(w);
	serve_until_idle(w);
	assert_string_equal(w->told[0], "first");
}

static void an_event_that_has_no_file_yet_is_told_later(void **state)
{
	struct world *w = *state;
	const int64_t end = clock_ms() + PATIENCE_S * 1000;
	struct rlimit limit, none;
	struct err err = { 0 };
	pid_t pid = 0;
	int status;

	publisher_free(w->publisher);
	assert_int_equal(publisher_new(w->loop,
				       &(struct publisher_options){
					       .ns = "ns", .address = "/a", .binary = "/bin/true" },
				       &w->publisher, &err),
			 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ 0, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	tell(w, "c1");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
	while (pid <= 0 && clock_ms() < end) {
		assert_int_equal(loop_once(w->loop, 50), 0);
		pid = waitpid(-1, &status, WNOHANG);
	}
	assert_true(publisher_ended(w->publisher, pid, status));
	assert_true(publisher_idle(w->publisher));
}

static void a_containerd_that_hangs_costs_no_more_than_a_full_queue(void **state)
{
	struct world *w = *state;
	char id[16];

	begin_containerd(w);
	w->hold = true;
	tell(w, "0");
	serve_until(w, 1);
	for (unsigned int i = 1; i < PUBLISH_QUEUE_MAX + 3; i++) {
		(void)snprintf(id, sizeof(id), "%u", i);
		tell(w, id);
	}
	/* What is on its way stays; 1, 2 and 3 were the oldest of the others. */
	w->forget = true;
	end_containerd(w);
	ttrpc_fail(w->held, TTRPC_UNKNOWN, "nobody hears it");
	w->hold = false;
	begin_containerd(w);
	serve_until_idle(w);
	assert_int_equal(w->told_len, 1 + PUBLISH_QUEUE_MAX);
	assert_string_equal(w->last, "4098");
}

static void without_a_socket_the_binary_is_run(void **state)
{
	struct world *w = *state;
	char script[64], out[64], text[256] = "";
	AUTO_CLOSE int file = -EBADF;
	struct err err = { 0 };
	int status;
	pid_t pid;

	(void)snprintf(script, sizeof(script), "%s/p", w->dir);
	(void)snprintf(out, sizeof(out), "%s/out", w->dir);
	file = open(script, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	assert_true(dprintf(file, "#!/bin/sh\necho \"$@\" > %s\ncat >> %s\n", out, out) > 0);
	(void)close(TAKE_FD(file));
	publisher_free(w->publisher);
	assert_int_equal(publisher_new(w->loop,
				       &(struct publisher_options){
					       .ns = "ns", .address = "/a", .binary = script },
				       &w->publisher, &err),
			 0);
	tell(w, "c1");
	assert_false(publisher_idle(w->publisher));
	pid = wait(&status);
	assert_true(pid > 0);
	assert_true(publisher_ended(w->publisher, pid, status));
	assert_true(publisher_idle(w->publisher));
	file = open(out, O_RDONLY | O_CLOEXEC);
	assert_true(read(file, text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "--address /a publish --topic /tasks/oom --namespace ns\n"));
	assert_non_null(strstr(text, "containerd.events.TaskOOM"));
	(void)unlink(script);
	(void)unlink(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_containerd_did_not_answer_is_told_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(events_wait_for_containerd, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refused_event_does_not_stop_the_next, setup,
						teardown),
		cmocka_unit_test_setup_teardown(events_come_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_containerd_that_hangs_costs_no_more_than_a_full_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(who_hangs_up_is_not_called_again_at_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_event_that_has_no_file_yet_is_told_later, setup,
						teardown),
		cmocka_unit_test_setup_teardown(without_a_socket_the_binary_is_run, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
