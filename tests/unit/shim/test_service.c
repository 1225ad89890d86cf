/* SPDX-License-Identifier: Apache-2.0 */
/* The task service, asked over its socket about a container that the test has made up. */
#include "shim/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "lib/unit.h"
#include "shim/task.pb-c.h"
#include "shim/ttrpc.pb-c.h"
#include "shim/ttrpc_frame.h"

#define PATIENCE_MS 30000
#define TEXT_SIZE   512

struct world {
	struct shim shim;
	struct task *task;
	int client;
	uint32_t stream; /* of the next request */
	char dir[64];
	struct sockaddr_un address;
};

static int connect_to(const struct world *w)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&w->address, sizeof(w->address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static int listen_at(struct world *w)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/service.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->address.sun_family = AF_UNIX;
	(void)snprintf(w->address.sun_path, sizeof(w->address.sun_path), "%s/s", w->dir);
	assert_int_equal(bind(fd, (const struct sockaddr *)&w->address, sizeof(w->address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static int setup(void **state)
{
	static const struct publisher_options events = {
		.ns = "n", .address = "/nowhere", .ttrpc = "/nowhere/s", .binary = "/bin/false"
	};
	struct world *w = calloc(1, sizeof(*w));
	struct shim *s = &w->shim;
	struct err err = { 0 };

	s->ns = "n";
	s->program = "containerd-shim-caisson-v2";
	s->null_fd = -EBADF;
	list_init(&s->tasks);
	list_init(&s->workers);
	assert_int_equal(loop_new(&s->loop), 0);
	assert_int_equal(publisher_new(s->loop, &events, &s->publisher, &err), 0);
	assert_int_equal(ttrpc_server_new(s->loop, listen_at(w), (uint32_t)geteuid(), &service_task,
					  1, s, &s->server, &err),
			 0);
	assert_int_equal(task_new(s, "c1", "/bundle", &w->task, &err), 0);
	w->task->init.state = PROC_RUNNING;
	w->client = connect_to(w);
	w->stream = 1;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	(void)close(w->client);
	task_remove(w->task);
	ttrpc_server_free(w->shim.server);
	publisher_free(w->shim.publisher);
	loop_free(w->shim.loop);
	(void)unlink(w->address.sun_path);
	(void)rmdir(w->dir);
	free(w);
	return 0;
}

static void serve(struct world *w)
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_once(w->shim.loop, 0), 0);
}

/* The number of the request. */
static uint32_t ask(struct world *w, const char *method, const ProtobufCMessage *message)
{
	Caisson__Ttrpc__Request request = CAISSON__TTRPC__REQUEST__INIT;
	const uint32_t stream = w->stream;
	AUTO_BUF struct buf b = { 0 };
	uint8_t payload[TEXT_SIZE];

	assert_true(protobuf_c_message_get_packed_size(message) <= sizeof(payload));
	request.service = (char *)service_task.name;
	request.method = (char *)method;
	request.payload.len = protobuf_c_message_pack(message, payload);
	request.payload.data = payload;
	assert_int_equal(ttrpc_frame_append(&b, stream, TTRPC_REQUEST, &request.base), 0);
	assert_int_equal(send(w->client, b.data, b.len, MSG_NOSIGNAL), b.len);
	w->stream += 2;
	serve(w);
	return stream;
}

/* The status of the next answer, which is to `stream`; -1 when there is none. */
static int hear(struct world *w, uint32_t stream)
{
	AUTO_TTRPC_MESSAGE struct ttrpc_message message = TTRPC_MESSAGE_INIT;
	const Caisson__Ttrpc__Response *response;
	uint8_t bytes[4096];
	struct ttrpc_head head;

	if (recv(w->client, bytes, TTRPC_HEAD, 0) < 0)
		return -1;
	ttrpc_head_get(bytes, &head);
	assert_int_equal(head.stream, stream);
	assert_true(head.length <= sizeof(bytes));
	if (head.length > 0)
		assert_int_equal(recv(w->client, bytes, head.length, 0), head.length);
	assert_int_equal(
		ttrpc_unpack(&caisson__ttrpc__response__descriptor, bytes, head.length, &message),
		0);
	response = (const Caisson__Ttrpc__Response *)message.root;
	return response->status ? response->status->code : TTRPC_OK;
}

static uint32_t ask_wait(struct world *w)
{
	Caisson__Shim__WaitRequest request = CAISSON__SHIM__WAIT_REQUEST__INIT;

	request.id = (char[]){ "c1" };
	return ask(w, "Wait", &request.base);
}

static uint32_t ask_state(struct world *w)
{
	Caisson__Shim__StateRequest request = CAISSON__SHIM__STATE_REQUEST__INIT;

	request.id = (char[]){ "c1" };
	return ask(w, "State", &request.base);
}

static void many_who_wait_leave_room_for_other_calls(void **state)
{
	struct world *w = *state;

	for (unsigned int i = 0; i < WAITERS_MAX; i++)
		(void)ask_wait(w);
	assert_int_equal(hear(w, 0), -1);
	assert_int_equal(hear(w, ask_wait(w)), TTRPC_UNAVAILABLE);
	assert_int_equal(hear(w, ask_state(w)), TTRPC_OK);
	/* Those who have gone make room. */
	(void)close(w->client);
	serve(w);
	w->client = connect_to(w);
	w->stream = 1;
	(void)ask_wait(w);
	assert_int_equal(hear(w, ask_state(w)), TTRPC_OK);
	assert_int_equal(w->task->waiters_len, 1);
}

static void a_sandbox_that_tells_without_end_holds_nobody_up(void **state)
{
	struct world *w = *state;
	unsigned int rounds = 0;
	int64_t begin;
	int pair[2];
	pid_t child;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		static const char bytes[4096];

		(void)close(pair[0]);
		while (write(pair[1], bytes, sizeof(bytes)) > 0)
			;
		_exit(0);
	}
	assert_true(child > 0);
	(void)close(pair[1]);
	oom_watch_sandbox(w->task, pair[0]);
	for (begin = clock_ms(); clock_ms() < begin + 300; rounds++)
		assert_int_equal(loop_once(w->shim.loop, 50), 0);
	assert_in_range(rounds, 0, 20);
	oom_look(w->task);
	oom_stop(w->task);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(many_who_wait_leave_room_for_other_calls),
		CASE(a_sandbox_that_tells_without_end_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
