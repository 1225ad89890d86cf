/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake-machine MODE: stands for QEMU and for the agent inside it, for tests of caisson-vm. It has
 * the other ends of monitor (3), agent's channel (4), console (5), and the pipe of words (6).
 *
 * The `config` of CREATE and EXEC is no JSON here but what the process shall do:
 *   echo      standard output is standard input, until its end; then 0
 *   exit:N    ends at once with N
 *   say:TEXT  writes TEXT to standard output and "err" to standard error; 0
 *   hold      ends by a signal
 *   flood:N   writes N bytes; 0
 * RESIZE writes "size ROWSxCOLS\n" to the process's output, PAUSE and RESUME "paused\n" and
 * "resumed\n" to that of the container's first one. MODE is one of
 *   honest
 *   mute           no HELLO
 *   silent:CALL    no answer to the call of this number
 *   dumb:CALL      no answer to the call and to whatever is asked after it
 *   slow:CALL      no answer to the call but -ECANCELED after CANCEL, which writes "cancelled\n" to
 *                  the first process's output
 *   behind         STATS, PS and DEBUG are answered behind DELETE, with the ends of all processes
 * and a lie; until then each writes "asked N\n" to the first process's output refuse:CALL    its
 * answer is -EINVAL "no such luck" exit:CALL:N    at the call QEMU ends with N, after words
 *   panic:CALL     at the call the guest's kernel panics
 *   killed:CALL    at the call QEMU is killed
 *   late-end       tells EXITED before the END of the output
 *   stranger       tells the end of a process that nobody made
 *   twice          tells EXITED twice
 *   no-memory, stubborn   its memory does not grow, or not as asked; nothing is given back
 *   keeps-cpus, late-cpus   CPUs stay, or go with the next STATS
 *   garbage:CALL   its answer is not one
 *   break          a forwarded connection breaks when something has come and was sent back
 *   lie:NAME       the agent is $LYING_AGENT (vm/lies.h)
 *   no-room        QEMU refuses what is plugged
 *   no-go          QEMU reads a clone's state and does not set it going
 * and of containers that join (vmm/member.h)
 *   slow-join      CREATE of one is answered when DELETE asks for its end, with -ECANCELED
 *   made-late      ... with a process, behind DELETE's answer
 *   twin           its first process has the number of the first container's
 *   exit-of-twin   the end of its first process is told with the other's name
 *   oom-of-nobody  a container that is none has too little memory
 * The script "oom" of one has too little memory when it is started, and holds.
 * A clone runs when its state has been asked for. Of a device that is plugged the descriptor that
 * came before gets the word "plugged".
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "wire/agent_codec.h"
#include "wire/mux.h"

#define MONITOR	      3
#define AGENT	      4
#define CONSOLE	      5
#define WORDS	      6
#define PROCESSES_MAX 128u
#define FIRST_PID     100

struct fake_process {
	int32_t pid; /* 0: none */
	char script[256];
	char id[64];
	struct agent_io io;
	struct buf out; /* of what its stdout waits for */
	size_t flood;	/* bytes that are left */
	bool started, input_ended, output_ended, ends;
	int code;
};

static struct fake_process processes[PROCESSES_MAX];
static struct mux *mux;
static const char *mode;
static uint32_t slow; /* serial of a call that waits */
static enum agent_call slow_call;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	dprintf(WORDS, "fake-machine: %s\n", what);
	_exit(99);
}

/* "silent:3" and the call 3; *ret_rest is behind it. */
static bool mode_is(const char *word, unsigned int call, const char **ret_rest)
{
	const char *rest = str_after(mode, word);
	char *end;

	if (!rest || *rest != ':')
		return false;
	if (strtoul(rest + 1, &end, 10) != call)
		return false;
	if (ret_rest)
		*ret_rest = *end ? end + 1 : end;
	return true;
}

static struct fake_process *by_pid(int32_t pid)
{
	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		if (pid ? processes[i].pid == pid : processes[i].pid == FIRST_PID)
			return &processes[i];
	}
	return NULL;
}

static void tell_exited(const struct fake_process *p, int32_t pid)
{
	const bool twin = str_eq(mode, "exit-of-twin");
	const struct agent_exited exited = { .id = twin ? "c1" : p->id,
					     .pid = pid,
					     .code = p->code };
	AUTO_BUF struct buf b = { 0 };

	must(agent_event_encode(AGENT_EXITED, &exited, &b, NULL) == 0, "encode EXITED");
	must(mux_tell(mux, AGENT_EXITED, b.data, b.len) == 0, "tell EXITED");
}

static void tell_oom(const char *id)
{
	const struct agent_container container = { id };
	AUTO_BUF struct buf b = { 0 };

	must(agent_event_encode(AGENT_OOM, &container, &b, NULL) == 0, "encode OOM");
	must(mux_tell(mux, AGENT_OOM, b.data, b.len) == 0, "tell OOM");
}

/* Its output is said: its end is. */
static void finish(struct fake_process *p)
{
	const bool late = str_eq(mode, "late-end");

	if (late)
		tell_exited(p, p->pid);
	if (p->io.out)
		(void)mux_end(mux, p->io.out, 0);
	if (p->io.err)
		(void)mux_end(mux, p->io.err, 0);
	if (str_eq(mode, "stranger"))
		tell_exited(p, 77);
	if (!late && p->pid > 0)
		tell_exited(p, p->pid);
	if (str_eq(mode, "twice"))
		tell_exited(p, p->pid);
	buf_done(&p->out);
	*p = (struct fake_process){ 0 };
}

static void send_out(struct fake_process *p)
{
	static const char zeros[4096];

	if (p->output_ended)
		p->flood = p->out.len = 0;
	while (p->io.out && p->out.len > 0) {
		const ssize_t n = mux_send(mux, p->io.out, p->out.data, p->out.len);

		if (n <= 0)
			break;
		memmove(p->out.data, p->out.data + n, p->out.len - (size_t)n);
		p->out.len -= (size_t)n;
		if (str_eq(p->script, "echo"))
			(void)mux_credit(mux, p->io.in, (size_t)n);
	}
	while (p->io.out && p->flood > 0) {
		const size_t len = p->flood < sizeof(zeros) ? p->flood : sizeof(zeros);
		const ssize_t n = mux_send(mux, p->io.out, zeros, len);

		if (n == -EPIPE)
			p->flood = 0;
		if (n <= 0)
			break;
		p->flood -= (size_t)n;
	}
	if (p->pid && p->ends && (!p->io.out || (p->out.len == 0 && p->flood == 0)))
		finish(p);
}

static void run(struct fake_process *p)
{
	const char *rest;

	p->started = true;
	if ((rest = str_after(p->script, "exit:"))) {
		p->code = atoi(rest);
		p->ends = true;
	} else if ((rest = str_after(p->script, "say:"))) {
		(void)buf_puts(&p->out, rest);
		if (p->io.err)
			(void)mux_send(mux, p->io.err, "err", 3);
		p->ends = true;
	} else if ((rest = str_after(p->script, "flood:"))) {
		p->flood = strtoul(rest, NULL, 10);
		p->ends = true;
	} else if (str_eq(p->script, "streams")) {
		(void)buf_printf(&p->out, "streams:%s%s%s\n", p->io.in ? " in" : "",
				 p->io.out ? " out" : "", p->io.err ? " err" : "");
	} else if (str_eq(p->script, "oom")) {
		tell_oom(p->id);
	} else if (str_eq(p->script, "echo") && p->input_ended) {
		p->ends = true;
	}
	send_out(p);
}

/* ---- Calls ---- */

static void answer(uint32_t serial, enum agent_call call, const void *body)
{
	AUTO_BUF struct buf b = { 0 };

	must(agent_answer_encode(call, body, &b, NULL) == 0, "encode an answer");
	must(mux_answer(mux, serial, call, 0, b.data, b.len) == 0, "answer");
}

static void refuse(uint32_t serial, enum agent_call call, int error, const char *text)
{
	(void)mux_answer(mux, serial, call, error, text, strlen(text));
}

static int cpus = 1, leaving;

static void let_cpus_go(void)
{
	for (; leaving; leaving--)
		dprintf(MONITOR,
			"{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"cpu%d\"}}\r\n",
			--cpus);
}

/* ---- Containers that join ---- */

static char first_id[64];

static struct {
	char id[64];
	uint32_t serial; /* of its CREATE; 0: none waits */
} joining;

/* The container's first process. */
static struct fake_process *first_of(const char *id)
{
	struct fake_process *found = NULL;

	if (str_eq(id, first_id))
		return by_pid(0);
	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		if (processes[i].pid && str_eq(processes[i].id, id) &&
		    (!found || processes[i].pid < found->pid))
			found = &processes[i];
	}
	return found;
}

static bool joins(uint32_t serial, const char *id)
{
	if (!first_id[0]) {
		(void)snprintf(first_id, sizeof(first_id), "%s", id);
		return false;
	}
	if (str_eq(mode, "oom-of-nobody"))
		tell_oom("nobody");
	if (!str_eq(mode, "slow-join") && !str_eq(mode, "made-late"))
		return false;
	(void)snprintf(joining.id, sizeof(joining.id), "%s", id);
	joining.serial = serial;
	return true;
}

static void delete_joined(uint32_t serial, const char *id)
{
	const bool waits = joining.serial && str_eq(joining.id, id);
	const struct agent_pid pid = { 900 };

	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		if (processes[i].pid && str_eq(processes[i].id, id)) {
			processes[i].code = 137;
			finish(&processes[i]);
		}
	}
	if (waits && str_eq(mode, "slow-join"))
		refuse(joining.serial, AGENT_CREATE, -ECANCELED, "cancelled");
	answer(serial, AGENT_DELETE, NULL);
	if (waits && str_eq(mode, "made-late"))
		answer(joining.serial, AGENT_CREATE, &pid);
}

static struct {
	uint32_t serial;
	enum agent_call call;
} behind[8];
static unsigned int behind_len;
static bool deleted;

static bool keep_behind(uint32_t serial, enum agent_call call)
{
	struct fake_process *first = by_pid(0);

	if (call != AGENT_STATS && call != AGENT_PS && call != AGENT_DEBUG)
		return false;
	must(behind_len < ARRAY_LEN(behind), "too many questions");
	behind[behind_len].serial = serial;
	behind[behind_len++].call = call;
	(void)buf_printf(&first->out, "asked %u\n", behind_len);
	send_out(first);
	return true;
}

/* What the mode says of the call; true: nothing else is done. */
static bool misbehave(uint32_t serial, enum agent_call call)
{
	const char *rest;

	static bool dumb;

	dumb = dumb || mode_is("dumb", call, NULL);
	/* Of no-room its container waits for its files. */
	if (dumb || (str_eq(mode, "no-room") && call == AGENT_CREATE) ||
	    mode_is("silent", call, NULL))
		return true;
	if (mode_is("slow", call, NULL)) {
		slow = serial;
		slow_call = call;
		return true;
	}
	if (str_eq(mode, "behind") && !deleted && keep_behind(serial, call))
		return true;
	if (mode_is("refuse", call, NULL)) {
		refuse(serial, call, -EINVAL, "no such luck");
		return true;
	}
	if (mode_is("garbage", call, NULL)) {
		(void)mux_answer(mux, serial, call, 0, "garbage of some length", 22);
		return true;
	}
	if (mode_is("exit", call, &rest)) {
		dprintf(WORDS, "qemu-system-x86_64: something is wrong\n");
		_exit(atoi(rest));
	}
	if (mode_is("panic", call, NULL)) {
		dprintf(CONSOLE, "[    0.5] all is well\r\n[    1.0] Kernel panic - not syncing: "
				 "Attempted to kill init! exitcode=0x0000000b\r\n");
		dprintf(MONITOR, "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, "
				 "\"reason\": \"guest-reset\"}}\r\n");
		_exit(0);
	}
	if (mode_is("killed", call, NULL))
		(void)raise(SIGKILL);
	return false;
}

static void create(uint32_t serial, enum agent_call call, const char *id,
		   const struct agent_bytes *config, const struct agent_io *io)
{
	static int32_t next = FIRST_PID;
	struct fake_process *p = processes;
	struct agent_pid pid = { .pid = next++ };

	if (call == AGENT_CREATE && joins(serial, id))
		return;
	if (str_eq(mode, "twin"))
		pid.pid = FIRST_PID;

	while (p < processes + PROCESSES_MAX && p->pid)
		p++;
	must(p < processes + PROCESSES_MAX, "too many processes");
	*p = (struct fake_process){ .pid = pid.pid, .io = *io };
	(void)snprintf(p->script, sizeof(p->script), "%.*s", (int)config->len,
		       (const char *)config->bytes);
	(void)snprintf(p->id, sizeof(p->id), "%s", id);
	if (io->out)
		must(mux_open(mux, io->out) == 0, "open a stream");
	if (io->in && io->in != io->out)
		must(mux_open(mux, io->in) == 0, "open a stream");
	if (io->err)
		must(mux_open(mux, io->err) == 0, "open a stream");
	answer(serial, call, &pid);
	if (call == AGENT_EXEC)
		run(p);
}

/* An echo, whose pid is none. */
static void forward(uint32_t serial, const struct agent_forward *f)
{
	struct fake_process *p = processes;

	while (p < processes + PROCESSES_MAX && p->pid)
		p++;
	must(p < processes + PROCESSES_MAX, "too many processes");
	must(str_eq(f->id, first_id) && f->port > 0, "what is forwarded");
	*p = (struct fake_process){
		.pid = -1, .script = "echo", .started = true, .io = { .in = f->in, .out = f->out }
	};
	must(mux_open(mux, f->in) == 0 && mux_open(mux, f->out) == 0, "open a stream");
	answer(serial, AGENT_FORWARD, NULL);
}

static void take_signal(uint32_t serial, const struct agent_signal *s)
{
	struct fake_process *p = s->pid ? by_pid(s->pid) : first_of(s->id);

	if (!p) {
		refuse(serial, AGENT_SIGNAL, -ESRCH, "no such process");
		return;
	}
	answer(serial, AGENT_SIGNAL, NULL);
	if (s->signal && s->signal != SIGCONT) {
		p->code = 128 + (int)s->signal;
		p->ends = true;
		send_out(p);
	}
}

static void freeze(uint32_t serial, enum agent_call call, const char *id)
{
	struct fake_process *p = first_of(id);

	answer(serial, call, NULL);
	if (p) {
		(void)buf_puts(&p->out, call == AGENT_PAUSE ? "paused\n" : "resumed\n");
		send_out(p);
	}
}

static void resize(uint32_t serial, const struct agent_resize *s)
{
	struct fake_process *p = by_pid(s->pid);

	answer(serial, AGENT_RESIZE, NULL);
	if (p) {
		(void)buf_printf(&p->out, "size %ux%u\n", s->rows, s->cols);
		send_out(p);
	}
}

static void cancel(uint32_t serial, const struct agent_cancel *c)
{
	struct fake_process *first = by_pid(0);

	/* Of silent:3 it does not matter what is cancelled. */
	if (!str_after(mode, "silent:")) {
		must(slow && c->serial == slow, "CANCEL of what does not wait");
		refuse(slow, slow_call, -ECANCELED, "cancelled");
	}
	answer(serial, AGENT_CANCEL, NULL);
	(void)buf_puts(&first->out, "cancelled\n");
	send_out(first);
}

static void tell_processes(uint32_t serial)
{
	static struct sentry_ps items[1000];
	const struct agent_processes all = { items, ARRAY_LEN(items) };

	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		items[i] = (struct sentry_ps){ .pid = (int32_t)i + 1, .threads = 1, .state = 'S' };
		(void)snprintf(items[i].comm, sizeof(items[i].comm), "a\tb");
		(void)snprintf(items[i].command, sizeof(items[i].command), "a\033[2Jb");
	}
	answer(serial, AGENT_PS, &all);
}

static void debug(uint32_t serial, const char *what)
{
	AUTO_BUF struct buf b = { 0 };

	(void)buf_printf(&b, "guest says %s\033\n", what);
	for (int i = 0; str_eq(what, "dmesg") && i < 20000; i++)
		(void)buf_printf(&b, "line %d\n", i);
	answer(serial, AGENT_DEBUG, &(struct agent_text){ b.data });
}

static void answer_behind(void)
{
	const struct agent_stats stats = { .pids = 1 };

	deleted = true;
	for (unsigned int i = 0; i < behind_len; i++) {
		if (behind[i].call == AGENT_STATS)
			answer(behind[i].serial, AGENT_STATS, &stats);
		else if (behind[i].call == AGENT_PS)
			tell_processes(behind[i].serial);
		else
			debug(behind[i].serial, "tasks");
	}
	for (size_t i = 0; i < PROCESSES_MAX && behind_len > 0; i++) {
		if (processes[i].pid)
			finish(&processes[i]);
	}
	if (behind_len > 0)
		(void)mux_tell(mux, AGENT_OOM, "lies", 4);
}

static void on_request(void *arg, uint32_t serial, enum agent_call call, const void *body,
		       size_t len)
{
	static union {
		struct agent_create create;
		struct agent_exec exec;
		struct agent_signal signal;
		struct agent_resize resize;
		struct agent_debug debug;
		struct agent_container container;
		struct agent_network network;
		struct agent_update update;
		struct agent_reset reset;
		struct agent_cancel cancel;
		struct agent_forward forward;
	} r;
	const struct agent_stats stats = { .pids = 42, .memory_usage = 4096 };
	struct err err = { 0 };

	if (agent_request_decode(call, body, len, &r, &err) < 0)
		must(false, err.msg);
	if (misbehave(serial, call))
		return;
	switch (call) {
	case AGENT_CREATE:
		create(serial, call, r.create.id, &r.create.config, &r.create.io);
		break;
	case AGENT_EXEC:
		create(serial, call, r.exec.id, &r.exec.config, &r.exec.io);
		break;
	case AGENT_START:
		answer(serial, call, NULL);
		if (first_of(r.container.id))
			run(first_of(r.container.id));
		break;
	case AGENT_SIGNAL:
		take_signal(serial, &r.signal);
		break;
	case AGENT_RESIZE:
		resize(serial, &r.resize);
		break;
	case AGENT_PAUSE:
	case AGENT_RESUME:
		freeze(serial, call, r.container.id);
		break;
	case AGENT_CANCEL:
		cancel(serial, &r.cancel);
		break;
	case AGENT_FORWARD:
		forward(serial, &r.forward);
		break;
	case AGENT_PS:
		tell_processes(serial);
		break;
	case AGENT_STATS:
		let_cpus_go();
		answer(serial, call, &stats);
		break;
	case AGENT_DEBUG:
		debug(serial, r.debug.what);
		break;
	case AGENT_DELETE:
		if (!str_eq(r.container.id, first_id)) {
			delete_joined(serial, r.container.id);
			break;
		}
		answer(serial, call, NULL);
		answer_behind();
		break;
	default:
		answer(serial, call, NULL);
	}
}

/* ---- The channel ---- */

static void on_hello(void *arg, const struct agent_hello *hello)
{
	const struct agent_hello ours = { .kernel_ns = 1, .agent_ns = 2, .release = "6.1.0-fake" };

	if (!str_eq(mode, "mute") && !str_eq(mode, "no-go"))
		(void)mux_greet(mux, &ours);
}

static struct fake_process *by_stream(uint32_t stream)
{
	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		if (processes[i].pid &&
		    (processes[i].io.in == stream || processes[i].io.out == stream))
			return &processes[i];
	}
	return NULL;
}

static void on_data(void *arg, uint32_t stream, const void *bytes, size_t len)
{
	struct fake_process *p = by_stream(stream);

	if (!p || !str_eq(p->script, "echo"))
		return;
	(void)buf_append(&p->out, bytes, len);
	if (p->started)
		send_out(p);
	if (p->pid < 0 && str_eq(mode, "break"))
		(void)mux_end(mux, p->io.out, ECONNRESET);
}

static void on_end(void *arg, uint32_t stream, int error)
{
	struct fake_process *p = by_stream(stream);

	if (p && p->io.out == stream && p->io.in != stream) { /* EPIPE */
		p->output_ended = true;
		send_out(p);
		return;
	}
	if (!p || p->io.in != stream)
		return;
	p->input_ended = true;
	if (p->started && str_eq(p->script, "echo")) {
		p->ends = true;
		send_out(p);
	}
}

static void on_room(void *arg, uint32_t stream)
{
	for (size_t i = 0; i < PROCESSES_MAX; i++) {
		if (processes[i].pid && processes[i].started)
			send_out(&processes[i]);
	}
}

static int given = -1; /* by getfd */

/* read(2) of the monitor; a descriptor that comes along is kept. */
static ssize_t read_monitor(char *bytes, size_t size)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { bytes, size };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	const ssize_t n = recvmsg(MONITOR, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (head && head->cmsg_type == SCM_RIGHTS)
		memcpy(&given, CMSG_DATA(head), sizeof(given));
	return n;
}

/* The memory and the CPUs of a machine that may grow; whether that was the question. */
static bool answer_size(const char *line, int id)
{
	static unsigned long long requested, size;
	const char *value = strstr(line, "\"value\":");

	if (strstr(line, "\"qom-set\"") && value && str_eq(mode, "no-memory")) {
		dprintf(MONITOR,
			"{\"error\": {\"class\": \"GenericError\", \"desc\": \"no memory\"}, "
			"\"id\": %d}\r\n",
			id);
	} else if (strstr(line, "\"qom-set\"") && value) {
		requested = strtoull(value + 8, NULL, 10);
		/* Who is stubborn takes a part, and gives nothing back. */
		if (!str_eq(mode, "stubborn"))
			size = requested;
		else if (size == 0)
			size = requested / 2;
		dprintf(WORDS, "asked for %llu\n", requested >> 20);
		dprintf(MONITOR, "{\"return\": {}, \"id\": %d}\r\n", id);
	} else if (strstr(line, "\"qom-get\"")) {
		dprintf(MONITOR, "{\"return\": %llu, \"id\": %d}\r\n", size, id);
	} else if (strstr(line, "\"query-hotpluggable-cpus\"")) {
		dprintf(MONITOR, "{\"return\": [");
		for (int i = 3; i >= 0; i--)
			dprintf(MONITOR, "{\"type\": \"cpu\", \"props\": {\"core-id\": %d}%s}%s", i,
				i < cpus ? ", \"qom-path\": \"/x\"" : "", i ? "," : "");
		dprintf(MONITOR, "], \"id\": %d}\r\n", id);
	} else if (strstr(line, "\"core-id\"")) {
		cpus++;
		dprintf(WORDS, "plugged CPU %d\n", cpus);
		dprintf(MONITOR, "{\"return\": {}, \"id\": %d}\r\n", id);
	} else if (strstr(line, "\"device_del\"") && strstr(line, "\"cpu")) {
		if (str_eq(mode, "late-cpus"))
			leaving++;
		else
			cpus -= !str_eq(mode, "keeps-cpus");
		dprintf(MONITOR, "{\"return\": {}, \"id\": %d}\r\n", id);
	} else {
		return false;
	}
	return true;
}

static void answer_monitor(const char *line, int id)
{
	const bool plug = strstr(line, "\"device_add\"");

	if (answer_size(line, id))
		return;
	if (plug && str_eq(mode, "no-room"))
		dprintf(MONITOR,
			"{\"error\": {\"class\": \"GenericError\", \"desc\": \"no room\"}, "
			"\"id\": %d}\r\n",
			id);
	else
		dprintf(MONITOR, "{\"return\": {}, \"id\": %d}\r\n", id);
	if (plug && given >= 0)
		dprintf(given, "plugged");
	if (!strstr(line, "\"migrate-incoming\""))
		return;
	if (str_eq(mode, "no-go"))
		dprintf(WORDS, "fake-machine: the disk cannot be activated\n");
	else
		dprintf(MONITOR, "{\"event\": \"RESUME\"}\r\n");
	dprintf(MONITOR, "{\"event\": \"MIGRATION\", \"data\": {\"status\": \"completed\"}}\r\n");
}

/* Every command is done. */
static void serve_monitor(void)
{
	static char line[4096];
	static size_t len;
	const ssize_t n = read_monitor(line + len, sizeof(line) - len - 1);
	char *end;

	if (n <= 0)
		_exit(0);
	len += (size_t)n;
	line[len] = '\0';
	while ((end = strchr(line, '\n'))) {
		const char *id = strstr(line, "\"id\":");

		*end = '\0';
		answer_monitor(line, id ? atoi(id + 5) : 0);
		len -= (size_t)(end + 1 - line);
		memmove(line, end + 1, len + 1);
	}
}

/* It does not take the machine along when it goes. */
static void hire_liar(const char *lie)
{
	char *const name = strdup(lie);
	char *const call = strchr(name, ':');

	if (call)
		*call = '\0';
	if (fork() == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)execl(getenv("LYING_AGENT"), "lying-agent", "4", name, call ? call + 1 : NULL,
			    NULL);
		_exit(97);
	}
	(void)close(AGENT);
	for (;;)
		serve_monitor();
}

int main(int argc, char **argv)
{
	static const struct mux_ops ops = { .hello = on_hello,
					    .request = on_request,
					    .data = on_data,
					    .end = on_end,
					    .room = on_room };
	struct err err = { 0 };

	mode = argc > 1 ? argv[1] : "honest";
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	dprintf(MONITOR, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n");
	dprintf(CONSOLE, "[    0.1] fake kernel\r\n");
	if (str_after(mode, "lie:"))
		hire_liar(str_after(mode, "lie:"));
	must(mux_new(AGENT, MUX_AGENT, &ops, NULL, &mux) == 0, "mux_new");
	for (;;) {
		struct pollfd p[] = { { .fd = MONITOR, .events = POLLIN },
				      { .fd = mux_fd(mux), .events = mux_events(mux) } };

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents)
			serve_monitor();
		if (p[1].revents && mux_ready(mux, p[1].revents, &err) < 0)
			must(false, err.msg);
	}
}
