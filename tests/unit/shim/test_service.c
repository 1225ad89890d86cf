/* SPDX-License-Identifier: Apache-2.0 */
/* The task service, asked over its socket about a container that the test has made up. */
#include "shim/service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "lib/unit.h"
#include "shim/task.pb-c.h"
#include "shim/task_events.pb-c.h"
#include "shim/ttrpc.pb-c.h"
#include "shim/ttrpc_frame.h"

#define PATIENCE_MS 30000
#define TEXT_SIZE   512
#define TOLD_MAX    8

struct world {
	struct shim shim;
	struct task *task;
	int client;
	uint32_t stream; /* of the next request */
	char dir[64];
	struct sockaddr_un address, events;
	/* What hears the events. */
	struct ttrpc_server *containerd;
	char told[TOLD_MAX][32];
	unsigned int told_len;
	int patience; /* rounds of the loop */
};

static int connect_to(const struct world *w)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&w->address, sizeof(w->address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static int listen_at(struct sockaddr_un *address, const char *dir, const char *name)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	address->sun_family = AF_UNIX;
	(void)snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s", dir, name);
	assert_int_equal(bind(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void forward(void *arg, struct ttrpc_call *call, const ProtobufCMessage *message)
{
	struct world *w = arg;
	const Caisson__Shim__ForwardRequest *request = (const void *)message;
	const Caisson__Shim__Empty empty = CAISSON__SHIM__EMPTY__INIT;

	assert_true(w->told_len < TOLD_MAX);
	(void)snprintf(w->told[w->told_len++], sizeof(w->told[0]), "%s", request->envelope->topic);
	ttrpc_answer(call, &empty.base);
}

static const struct ttrpc_method methods[] = {
	{ "Forward", &caisson__shim__forward_request__descriptor, forward },
};
static const struct ttrpc_service services[] = {
	{ "containerd.services.events.ttrpc.v1.Events", methods, 1 },
};

static void begin_containerd(struct world *w)
{
	struct err err = { 0 };

	w->patience = PATIENCE_MS / 50;
	assert_int_equal(ttrpc_server_new(w->shim.loop, listen_at(&w->events, w->dir, "e"),
					  (uint32_t)geteuid(), services, 1, w, &w->containerd,
					  &err),
			 0);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct publisher_options events = { .ns = "n",
					    .address = "/nowhere",
					    .ttrpc = w->events.sun_path,
					    .binary = "/bin/false" };
	struct shim *s = &w->shim;
	struct err err = { 0 };

	/* The machine's own configuration does not count here. */
	assert_int_equal(setenv("CAISSON_CONFIG", "/nowhere/caisson.json", 1), 0);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/service.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->events.sun_path, sizeof(w->events.sun_path), "%s/e", w->dir);
	s->ns = "n";
	s->program = "containerd-shim-caisson-v2";
	s->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	list_init(&s->tasks);
	list_init(&s->workers);
	assert_int_equal(loop_new(&s->loop), 0);
	assert_int_equal(publisher_new(s->loop, &events, &s->publisher, &err), 0);
	assert_int_equal(ttrpc_server_new(s->loop, listen_at(&w->address, w->dir, "s"),
					  (uint32_t)geteuid(), service_tasks, SERVICE_TASKS, s,
					  &s->server, &err),
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
	if (w->task)
		task_remove(w->task);
	ttrpc_server_free(w->containerd);
	ttrpc_server_free(w->shim.server);
	publisher_free(w->shim.publisher);
	loop_free(w->shim.loop);
	(void)close(w->shim.null_fd);
	(void)unlink(w->address.sun_path);
	(void)unlink(w->events.sun_path);
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
	request.service = (char *)service_tasks[0].name;
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

static int hear_later(struct world *w, uint32_t stream)
{
	const int64_t end = clock_ms() + PATIENCE_MS;
	struct pollfd p = { .fd = w->client, .events = POLLIN };

	while (poll(&p, 1, 0) == 0 && clock_ms() < end)
		assert_int_equal(loop_once(w->shim.loop, 50), 0);
	return hear(w, stream);
}

static void reap_workers(struct world *w)
{
	while (w->shim.workers_len > 0) {
		(void)usleep(1000);
		shim_reap(&w->shim);
	}
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

static struct proc *add_process(struct world *w, const char *out, bool terminal)
{
	const char *const paths[3] = { "", out, "" };
	struct proc *p = NULL;
	struct err err = { 0 };

	assert_int_equal(proc_new(w->task, "e1", &p, &err), 0);
	assert_int_equal(streams_init(&p->streams, w->shim.loop, paths, terminal, &err), 0);
	return p;
}

static struct proc *add_exec(struct world *w, const char *out)
{
	return add_process(w, out, *out != '\0');
}

static uint32_t ask_delete(struct world *w, const char *exec_id)
{
	Caisson__Shim__DeleteRequest request = CAISSON__SHIM__DELETE_REQUEST__INIT;

	request.id = (char[]){ "c1" };
	request.exec_id = (char *)exec_id;
	return ask(w, "Delete", &request.base);
}

/* Its client has named an output, and has not opened it. */
static struct proc *add_exec_that_nobody_reads(struct world *w, char out[static 96])
{
	struct err err = { 0 };
	struct proc *p;

	(void)snprintf(out, 96, "%s/out", w->dir);
	assert_int_equal(mkfifo(out, 0600), 0);
	assert_int_equal(settings_new(w->shim.program, "n", NULL, &w->task->settings, &err), 0);
	p = add_exec(w, out);
	p->state = PROC_CREATED;
	return p;
}

static uint32_t ask_start(struct world *w, const char *exec_id)
{
	Caisson__Shim__StartRequest request = CAISSON__SHIM__START_REQUEST__INIT;

	request.id = (char[]){ "c1" };
	request.exec_id = (char *)exec_id;
	return ask(w, "Start", &request.base);
}

static void assert_nobody_reads(const char *fifo)
{
	assert_int_equal(open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
	assert_int_equal(errno, ENXIO);
}

/* A terminal whose other end is `ret_slave`, for a process whose output goes to a fifo. */
static void give_terminal(struct proc *p, int *ret_slave)
{
	const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct err err = { 0 };

	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	*ret_slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	assert_true(*ret_slave >= 0);
	assert_int_equal(streams_open(&p->streams, false, &err), 0);
	assert_int_equal(streams_take_master(&p->streams, master, &err), 0);
}

static void a_delete_waits_for_a_reader_that_is_slow(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int reader = -EBADF;
	AUTO_CLOSE int slave = -EBADF;
	size_t written = 0, seen = 0;
	char out[96], bytes[1000];
	struct proc *p;
	uint32_t stream;
	ssize_t n;

	(void)snprintf(out, sizeof(out), "%s/out", w->dir);
	assert_int_equal(mkfifo(out, 0600), 0);
	reader = open(out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fcntl(reader, F_SETPIPE_SZ, 4096) >= 4096);
	p = add_exec(w, out);
	give_terminal(p, &slave);
	memset(bytes, 'x', sizeof(bytes));
	/* As much as the fifo, the pump and the terminal hold. */
	for (int full = 0; full < 8; serve(w)) {
		n = write(slave, bytes, sizeof(bytes));
		written += n > 0 ? (size_t)n : 0;
		full = n > 0 ? 0 : full + 1;
	}
	(void)close(TAKE_FD(slave));
	p->ended = true;
	p->state = PROC_STOPPED;
	streams_ended(&p->streams);
	stream = ask_delete(w, "e1");
	p->delete_ms = clock_ms() + PATIENCE_MS;
	assert_int_equal(hear(w, stream), -1);
	assert_int_equal(hear(w, ask_delete(w, "e1")), TTRPC_FAILED_PRECONDITION);
	while ((n = read(reader, bytes, sizeof(bytes))) != 0) {
		seen += n > 0 ? (size_t)n : 0;
		serve(w);
	}
	assert_int_equal(seen, written);
	assert_int_equal(hear_later(w, stream), TTRPC_OK);
	assert_null(proc_find(w->task, "e1"));
	(void)unlink(out);
}

static void a_delete_does_not_wait_for_a_terminal_that_stays_open(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int slave = -EBADF;
	struct proc *p;
	char out[96];

	(void)snprintf(out, sizeof(out), "%s/out", w->dir);
	assert_int_equal(mkfifo(out, 0600), 0);
	p = add_exec(w, out);
	give_terminal(p, &slave);
	p->ended = true;
	p->state = PROC_STOPPED;
	streams_ended(&p->streams);
	assert_int_equal(hear_later(w, ask_delete(w, "e1")), TTRPC_OK);
	assert_null(proc_find(w->task, "e1"));
	(void)unlink(out);
}

static pid_t ended_child(void)
{
	const pid_t pid = fork();
	siginfo_t info;

	if (pid == 0)
		_exit(3);
	assert_true(pid > 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	return pid;
}

/* A process that runs, and has ended with its last words in a fifo. */
static struct proc *add_exec_with_last_words(struct world *w, char out[static 96])
{
	struct err err = { 0 };
	struct proc *p;

	(void)snprintf(out, 96, "%s/out", w->dir);
	assert_int_equal(mkfifo(out, 0600), 0);
	p = add_process(w, out, false);
	assert_int_equal(streams_open(&p->streams, false, &err), 0);
	assert_int_equal(write(p->streams.theirs[1], "last words", 10), 10);
	streams_given(&p->streams);
	p->state = PROC_RUNNING;
	p->pid = ended_child();
	return p;
}

static uint32_t ask_wait_of(struct world *w, const char *exec_id)
{
	Caisson__Shim__WaitRequest request = CAISSON__SHIM__WAIT_REQUEST__INIT;

	request.id = (char[]){ "c1" };
	request.exec_id = (char *)exec_id;
	return ask(w, "Wait", &request.base);
}

static void an_end_is_told_when_the_last_words_have_been_read(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int reader = -EBADF;
	char out[96], bytes[16];
	struct proc *p = add_exec_with_last_words(w, out);
	const uint32_t stream = ask_wait_of(w, "e1");

	reader = open(out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	task_reap(w->task);
	p->tell_ms = clock_ms() + PATIENCE_MS;
	/* Nor the container's before. */
	w->task->init.pid = ended_child();
	task_reap(w->task);
	w->task->init.tell_ms = clock_ms() + PATIENCE_MS;
	for (int i = 0; i < 5; i++)
		assert_int_equal(loop_once(w->shim.loop, 5), 0);
	assert_int_equal(hear(w, stream), -1);
	assert_true(p->ended && p->state == PROC_RUNNING);
	assert_int_equal(w->task->init.state, PROC_RUNNING);
	assert_int_equal(read(reader, bytes, sizeof(bytes)), 10);
	assert_int_equal(hear_later(w, stream), TTRPC_OK);
	assert_int_equal(p->state, PROC_STOPPED);
	while (w->task->init.state != PROC_STOPPED && w->patience-- > -PATIENCE_MS)
		assert_int_equal(loop_once(w->shim.loop, 5), 0);
	assert_int_equal(w->task->init.state, PROC_STOPPED);
	(void)unlink(out);
}

static void who_does_not_read_holds_no_end_for_long(void **state)
{
	struct world *w = *state;
	char out[96];
	struct proc *p = add_exec_with_last_words(w, out);
	const uint32_t stream = ask_wait_of(w, "e1");

	task_reap(w->task);
	assert_int_equal(p->state, PROC_RUNNING);
	assert_int_equal(hear_later(w, stream), TTRPC_OK);
	assert_int_equal(p->state, PROC_STOPPED);
	(void)unlink(out);
}

static uint32_t ask_kill(struct world *w, const char *exec_id)
{
	Caisson__Shim__KillRequest request = CAISSON__SHIM__KILL_REQUEST__INIT;

	request.id = (char[]){ "c1" };
	request.exec_id = (char *)exec_id;
	request.signal = SIGKILL;
	return ask(w, "Kill", &request.base);
}

/* An exec that has ended, and its container; nobody is told for as long as the test lasts. */
static struct proc *end_with_last_words(struct world *w, char out[static 96])
{
	struct proc *p = add_exec_with_last_words(w, out);

	w->task->init.pid = ended_child();
	task_reap(w->task);
	p->tell_ms = w->task->init.tell_ms = clock_ms() + PATIENCE_MS;
	return p;
}

/* As clients that kill what they delete do: who hears that it has ended waits for no more. */
static void who_kills_what_has_ended_can_delete_it(void **state)
{
	struct world *w = *state;
	char out[96];
	struct proc *p = add_exec_with_last_words(w, out);
	const uint32_t stream = ask_wait_of(w, "e1");
	uint32_t kill;

	task_reap(w->task);
	p->tell_ms = clock_ms() + PATIENCE_MS;
	kill = ask_kill(w, "e1");
	assert_int_equal(hear(w, stream), TTRPC_OK);
	assert_int_equal(hear(w, kill), TTRPC_NOT_FOUND);
	assert_int_equal(p->state, PROC_STOPPED);
	assert_int_equal(hear(w, ask_delete(w, "e1")), TTRPC_OK);
	(void)unlink(out);
}

static void who_kills_a_container_that_has_ended_hears_of_the_others_before(void **state)
{
	struct world *w = *state;
	char out[96];
	const struct proc *p = end_with_last_words(w, out);
	const uint32_t stream = ask_wait_of(w, "e1"), first = ask_wait_of(w, "");
	const uint32_t kill = ask_kill(w, "");

	assert_int_equal(hear(w, stream), TTRPC_OK);
	assert_int_equal(hear(w, first), TTRPC_OK);
	assert_int_equal(hear(w, kill), TTRPC_NOT_FOUND);
	assert_int_equal(p->state, PROC_STOPPED);
	assert_int_equal(w->task->init.state, PROC_STOPPED);
	assert_int_equal(w->shim.workers_started, 0);
	(void)unlink(out);
}

static void what_has_ended_can_be_deleted_before_that_is_told(void **state)
{
	struct world *w = *state;
	char out[96];
	uint32_t stream, gone;

	(void)end_with_last_words(w, out);
	stream = ask_wait_of(w, "e1");
	gone = ask_delete(w, "e1");
	assert_int_equal(hear(w, stream), TTRPC_OK);
	assert_int_equal(hear(w, gone), TTRPC_OK);
	assert_null(proc_find(w->task, "e1"));
	(void)unlink(out);
}

/* Of a start that failed: what its first process left is killed while the container goes. */
static void an_end_is_told_before_the_delete_that_does_not_wait_for_the_rest(void **state)
{
	struct world *w = *state;
	struct err err = { 0 };

	assert_int_equal(settings_new(w->shim.program, "n", NULL, &w->task->settings, &err), 0);
	begin_containerd(w);
	w->task->init.ended = true;
	w->task->init.state = PROC_CREATED;
	assert_int_equal(hear_later(w, ask_delete(w, "")), TTRPC_OK);
	while (w->told_len < 2 && w->patience-- > 0)
		assert_int_equal(loop_once(w->shim.loop, 50), 0);
	assert_string_equal(w->told[0], "/tasks/exit");
	assert_string_equal(w->told[1], "/tasks/delete");
	reap_workers(w);
	w->task = NULL;
}

/* Its worker removes a container that is not there: nothing goes wrong then. */
static void the_ends_of_processes_are_told_before_their_container_is_deleted(void **state)
{
	struct world *w = *state;
	struct err err = { 0 };
	char out[96];

	(void)add_exec_with_last_words(w, out);
	assert_int_equal(settings_new(w->shim.program, "n", NULL, &w->task->settings, &err), 0);
	begin_containerd(w);
	w->task->init.pid = ended_child();
	w->task->init.state = PROC_CREATED;
	assert_int_equal(hear_later(w, ask_delete(w, "")), TTRPC_OK);
	while (w->told_len < 3 && w->patience-- > 0)
		assert_int_equal(loop_once(w->shim.loop, 50), 0);
	assert_string_equal(w->told[0], "/tasks/exit");
	assert_string_equal(w->told[1], "/tasks/exit");
	assert_string_equal(w->told[2], "/tasks/delete");
	assert_null(task_find(&w->shim, "c1"));
	reap_workers(w);
	w->task = NULL;
	(void)unlink(out);
}

/* The only child of this process; 0: none. */
static pid_t only_child(void)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	int pid = 0;

	if (!f)
		skip();
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	(void)fclose(f);
	return pid;
}

static void a_start_that_waits_for_its_reader_ends_with_its_container(void **state)
{
	struct world *w = *state;
	char out[96];
	struct proc *p = add_exec_that_nobody_reads(w, out);
	const uint32_t stream = ask_start(w, "e1");

	assert_int_equal(hear(w, stream), -1);
	assert_true(p->busy);
	w->task->init.ended = true;
	assert_int_equal(hear_later(w, stream), TTRPC_FAILED_PRECONDITION);
	assert_false(p->busy);
	assert_int_equal(w->shim.workers_started, 0);
	assert_nobody_reads(out);
	(void)unlink(out);
}

static void a_start_that_waits_for_its_reader_is_given_up_with_its_call(void **state)
{
	struct world *w = *state;
	const int64_t end = clock_ms() + PATIENCE_MS;
	char out[96];
	struct proc *p = add_exec_that_nobody_reads(w, out);

	assert_int_equal(hear(w, ask_start(w, "e1")), -1);
	assert_true(p->busy);
	(void)close(w->client);
	w->client = connect_to(w);
	while (p->busy && clock_ms() < end)
		assert_int_equal(loop_once(w->shim.loop, 50), 0);
	assert_false(p->busy);
	assert_int_equal(w->shim.workers_started, 0);
	assert_nobody_reads(out);
	/* Whoever asks again is heard. */
	w->stream = 1;
	assert_int_equal(hear(w, ask_delete(w, "e1")), TTRPC_OK);
	(void)unlink(out);
}

static void a_create_that_waits_for_its_reader_goes_with_its_shim(void **state)
{
	Caisson__Shim__CreateTaskRequest request = CAISSON__SHIM__CREATE_TASK_REQUEST__INIT;
	Caisson__Shim__DeleteRequest gone = CAISSON__SHIM__DELETE_REQUEST__INIT;
	struct world *w = *state;
	char out[96], file[96];
	uint32_t stream;

	task_remove(TAKE_PTR(w->task));
	(void)snprintf(out, sizeof(out), "%s/out", w->dir);
	assert_int_equal(mkfifo(out, 0600), 0);
	request.id = gone.id = (char[]){ "c2" };
	request.bundle = w->dir;
	request.stdout = out;
	stream = ask(w, "Create", &request.base);
	assert_int_equal(hear(w, stream), -1);
	assert_int_equal(hear(w, ask(w, "Delete", &gone.base)), TTRPC_NOT_FOUND);
	assert_int_equal(hear_later(w, stream), TTRPC_UNKNOWN);
	assert_null(task_find(&w->shim, "c2"));
	assert_int_equal(w->shim.workers_started, 0);
	assert_non_null(w->shim.end_timer);
	(void)unlink(out);
	(void)snprintf(file, sizeof(file), "%s/%s", w->dir, SETTINGS_FILE);
	(void)unlink(file);
}

/* Its logger does not get ready; the worker is killed then, as one that takes too much memory. */
static void a_create_that_was_given_up_goes_with_its_shim(void **state)
{
	Caisson__Shim__CreateTaskRequest request = CAISSON__SHIM__CREATE_TASK_REQUEST__INIT;
	Caisson__Shim__DeleteRequest gone = CAISSON__SHIM__DELETE_REQUEST__INIT;
	Caisson__Shim__ShutdownRequest bye = CAISSON__SHIM__SHUTDOWN_REQUEST__INIT;
	struct world *w = *state;
	uint32_t stream, stream_gone;
	char file[96];

	task_remove(TAKE_PTR(w->task));
	request.id = gone.id = (char[]){ "c2" };
	request.bundle = w->dir;
	request.stdout = (char[]){ "binary:///bin/sleep?5" };
	stream = ask(w, "Create", &request.base);
	assert_int_equal(hear(w, stream), -1);
	stream_gone = ask(w, "Delete", &gone.base);
	assert_int_equal(hear(w, stream_gone), TTRPC_NOT_FOUND);
	(void)ask(w, "Shutdown", &bye.base);
	assert_int_equal(hear(w, stream_gone + 2), TTRPC_OK);
	assert_null(w->shim.end_timer);
	assert_true(only_child() > 0);
	assert_int_equal(kill(only_child(), SIGKILL), 0);
	assert_int_equal(hear_later(w, stream), TTRPC_UNKNOWN);
	assert_null(task_find(&w->shim, "c2"));
	assert_non_null(w->shim.end_timer);
	reap_workers(w);
	(void)snprintf(file, sizeof(file), "%s/%s", w->dir, SETTINGS_FILE);
	(void)unlink(file);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_create_that_was_given_up_goes_with_its_shim),
		CASE(a_create_that_waits_for_its_reader_goes_with_its_shim),
		CASE(a_start_that_waits_for_its_reader_ends_with_its_container),
		CASE(a_start_that_waits_for_its_reader_is_given_up_with_its_call),
		CASE(many_who_wait_leave_room_for_other_calls),
		CASE(the_ends_of_processes_are_told_before_their_container_is_deleted),
		CASE(an_end_is_told_when_the_last_words_have_been_read),
		CASE(who_does_not_read_holds_no_end_for_long),
		CASE(who_kills_what_has_ended_can_delete_it),
		CASE(who_kills_a_container_that_has_ended_hears_of_the_others_before),
		CASE(what_has_ended_can_be_deleted_before_that_is_told),
		CASE(an_end_is_told_before_the_delete_that_does_not_wait_for_the_rest),
		CASE(a_delete_waits_for_a_reader_that_is_slow),
		CASE(a_delete_does_not_wait_for_a_terminal_that_stays_open),
		CASE(a_sandbox_that_tells_without_end_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
