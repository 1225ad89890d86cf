/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every lie of vm/lies.h is told to a mux and the codec, in a conversation of a whole life of a
 * container: what becomes of it stands in a row here. What neither of them can know is a lie (a
 * number that no process has) is src/vmm's to judge.
 *
 *   test_wire_lies LYING-AGENT
 */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "vm/lies.h"
#include "wire/mux.h"

static const char *program;

#define WAIT_MS	   60000
#define SILENCE_MS 300
#define FLOOD	   5000 /* events that nobody would believe */

static const struct row {
	const char *lie, *becomes;
} rows[] = {
	{ "none", "lived" },
	{ "nonce", "mux: agent: HELLO with another nonce" },
	{ "version", "mux: agent: version 4294967295 is unknown, 1 is known" },
	{ "features", "mux: agent: features 0x1 are unknown" },
	{ "release", "mux: agent: HELLO with a release without an end" },
	{ "release-escapes", "lived" },
	{ "times", "lived" },
	{ "short-hello", "mux: agent: HELLO of 8 bytes" },
	{ "early", "mux: agent: EVENT before its HELLO" },
	{ "again", "mux: agent: a second HELLO" },
	{ "rubbish", "mux: agent: a frame of type " },
	{ "length", "mux: agent: ANSWER of 4294967295 bytes" },
	{ "length-by-one", "mux: agent: ANSWER of 65537 bytes" },
	{ "type", "mux: agent: a frame of type 77" },
	{ "type-of-host", "mux: agent: REQUEST is not for it to send" },
	{ "flags", "mux: agent: ANSWER with flags 0xfe" },
	{ "half-head", "silence: CREATE" },
	{ "half-frame", "silence: CREATE" },
	{ "half-frame-and-gone", "mux: agent: the channel has ended in the middle of a frame" },
	{ "gone", "mux: agent: the channel has ended" },
	{ "silence", "silence: CREATE" },
	{ "forgets", "silence: STATS" },
	{ "deaf", "silence: START" },
	{ "byte-by-byte", "lived" },
	{ "unasked", "mux: agent: an answer that nobody asked for" },
	{ "twice", "error: STATS: once" },
	{ "other-call", "mux: agent: the answer to CREATE says that it is of PS" },
	{ "error-positive", "mux: agent: the answer to CREATE has no error that is one" },
	{ "error-large", "mux: agent: the answer to CREATE has no error that is one" },
	{ "answer-cut", "mux: agent: the answer to CREATE is cut off" },
	{ "answer-rubbish", "codec: agent: CREATE: pid: out of range" },
	{ "answer-empty", "codec: agent: CREATE: pid: cut off" },
	{ "answer-more", "codec: agent: START: 29 bytes are left over" },
	{ "answer-endless", "mux: agent: PS of more than 1048576 bytes" },
	{ "answer-torn", "codec: agent: PS: 180 bytes are left over" },
	{ "answer-mixed", "mux: agent: EVENT in the middle of another body" },
	{ "refuses", "error: CREATE: not today" },
	{ "escapes", "error: CREATE: ?[2J?]0;owned???ok?31m" },
	{ "no-words", "error: CREATE: " },
	{ "many-words", "mux: agent: the answer to CREATE has no error that is one" },
	{ "pid-zero", "codec: agent: CREATE: pid: out of range" },
	{ "pid-negative", "codec: agent: CREATE: pid: out of range" },
	{ "pid-again", "lived" },
	{ "ps-count", "codec: agent: PS: items: too long" },
	{ "ps-cut", "codec: agent: PS: items: cut off" },
	{ "ps-endless", "codec: agent: PS: items: a text without an end" },
	{ "ps-escapes", "lived" },
	{ "ps-pid", "codec: agent: PS: items: a process without a number" },
	{ "ps-state", "codec: agent: PS: items: a state that is no letter" },
	{ "debug-escapes", "lived" },
	{ "debug-endless", "codec: agent: DEBUG: text: not a text" },
	{ "debug-nul", "codec: agent: DEBUG: text: not a text" },
	{ "stats-wild", "lived" },
	{ "data-unopened", "mux: agent: DATA for stream 60000, which was never open" },
	{ "data-zero", "mux: agent: DATA for stream 0" },
	{ "data-far", "mux: agent: DATA for stream 4294967295" },
	{ "data-empty", "mux: agent: DATA of no bytes" },
	{ "data-beyond-credit", "mux: agent: DATA of 65536 bytes for stream 2, which may send 0" },
	{ "data-to-input", "lived" },
	{ "data-after-end", "mux: agent: DATA behind the END of stream 2" },
	{ "end-twice", "mux: agent: a second END of stream 2" },
	{ "end-error", "mux: agent: END of stream 2 with error 4294967295" },
	{ "end-cut", "mux: agent: END of 1 bytes" },
	{ "end-unopened", "mux: agent: END for stream 60000, which was never open" },
	{ "credit-zero", "mux: agent: CREDIT of 0 for stream 2, which has 262144" },
	{ "credit-huge", "mux: agent: CREDIT of 4294967295 for stream 2, which has 262144" },
	{ "credit-unopened", "mux: agent: CREDIT for stream 60000, which was never open" },
	{ "oom-endless", "flood" },
	{ "oom-stranger", "lived" },
	{ "event-unknown", "mux: agent: EVENT of number 99" },
	{ "event-rubbish", "codec: agent: EXITED: id: too long" },
	{ "exited-stranger", "lived" },
	{ "exited-elsewhere", "lived" },
	{ "exited-early", "ended early: 0" },
	{ "exited-twice", "ended early: 3" },
	{ "exited-large", "codec: agent: EXITED: code: out of range" },
	{ "exited-negative", "codec: agent: EXITED: code: out of range" },
	{ "exited-pid", "codec: agent: EXITED: pid: out of range" },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

struct talk {
	struct mux *mux;
	pid_t liar;
	int64_t patience_ms;
	bool answered, exited;
	enum agent_call call;
	int code;
	unsigned int events;
	char becomes[AGENT_TEXT_MAX + 64];
};

static union {
	struct agent_create create;
	struct agent_processes processes;
	struct agent_stats stats;
	struct agent_text text;
	struct agent_exited exited;
} room;

/* The first thing that it becomes counts. */
static void becomes(struct talk *t, const char *what, const char *words)
{
	if (!t->becomes[0])
		(void)snprintf(t->becomes, sizeof(t->becomes), "%s%s", what, words);
}

static void on_answer(void *arg, uint32_t serial, enum agent_call call, int error, const void *body,
		      size_t len)
{
	struct talk *t = arg;
	struct err err = { 0 };
	char words[AGENT_TEXT_MAX + 16];

	(void)serial;
	t->answered = true;
	if (error) {
		(void)snprintf(words, sizeof(words), "%s: %s", agent_call_name(call),
			       (const char *)body);
		becomes(t, "error: ", words);
	} else if (agent_answer_decode(call, body, len, &room, &err) < 0) {
		becomes(t, "codec: ", err.msg);
	}
}

static void on_event(void *arg, enum agent_event event, const void *body, size_t len)
{
	struct talk *t = arg;
	struct err err = { 0 };

	if (agent_event_decode(event, body, len, &room, &err) < 0) {
		becomes(t, "codec: ", err.msg);
	} else if (event == AGENT_EXITED && room.exited.pid == 1 &&
		   strcmp(room.exited.id, "box") == 0 && !t->exited) {
		t->exited = true;
		t->code = room.exited.code;
	}
	if (++t->events >= FLOOD)
		becomes(t, "flood", "");
}

static void on_data(void *arg, uint32_t stream, const void *bytes, size_t len)
{
	(void)arg;
	(void)stream;
	(void)bytes;
	(void)len; /* no credit back: who sends for ever comes to its end */
}

static void on_end(void *arg, uint32_t stream, int error)
{
	(void)arg;
	(void)stream;
	(void)error;
}

/* Let the mux work once. */
static void work(struct talk *t)
{
	struct pollfd p = { mux_fd(t->mux), mux_events(t->mux), 0 };
	struct err err = { 0 };

	assert_true(poll(&p, 1, 10) >= 0);
	if (p.revents && mux_ready(t->mux, p.revents, &err) < 0)
		becomes(t, "mux: ", err.msg);
}

#define UNTIL(t, condition, what)                                   \
	do {                                                        \
		const int64_t end_ = clock_ms() + (t)->patience_ms; \
		while (!(condition) && !(t)->becomes[0]) {          \
			work(t);                                    \
			if (clock_ms() > end_ && !(condition))      \
				becomes((t), "silence: ", (what));  \
		}                                                   \
	} while (0)

static void ask(struct talk *t, enum agent_call call, const void *body)
{
	AUTO_BUF struct buf b = { 0 };
	struct err err = { 0 };
	uint32_t serial;

	if (t->becomes[0])
		return;
	assert_int_equal(agent_request_encode(call, body, &b, &err), 0);
	t->answered = false;
	if (mux_ask(t->mux, call, b.data, b.len, &serial, &err) < 0)
		becomes(t, "mux: ", err.msg);
	UNTIL(t, t->answered, agent_call_name(call));
}

static void live(struct talk *t)
{
	static const struct agent_network network;
	static const struct agent_container box = { "box" };
	static const struct agent_create create = { .id = "box",
						    .config = { "{}", 2 },
						    .io = { .in = 1, .out = 2, .err = 3 } };
	static const struct agent_exec exec = { .id = "box",
						.config = { "{}", 2 },
						.io = { .in = 4, .out = 5, .err = 6 } };
	static const struct agent_debug debug = { "tasks" };
	static const struct agent_signal signal = { .id = "box", .signal = SIGKILL };

	for (uint32_t i = 1; i <= 6; i++)
		assert_int_equal(mux_open(t->mux, i), 0);
	UNTIL(t, mux_greeted(t->mux), "HELLO");
	ask(t, AGENT_NETWORK, &network);
	ask(t, AGENT_CREATE, &create);
	ask(t, AGENT_START, &box);
	ask(t, AGENT_STATS, &box);
	ask(t, AGENT_PS, &box);
	ask(t, AGENT_DEBUG, &debug);
	ask(t, AGENT_EXEC, &exec);
	ask(t, AGENT_SIGNAL, &signal);
	UNTIL(t, t->exited, "EXITED");
	if (t->exited && t->code != 128 + SIGKILL) {
		char code[16];

		(void)snprintf(code, sizeof(code), "%d", t->code);
		becomes(t, "ended early: ", code);
	}
	becomes(t, "lived", "");
}

static pid_t start_liar(int fd, const char *lie)
{
	const pid_t pid = fork();
	char number[16];

	if (pid != 0)
		return pid;
	(void)snprintf(number, sizeof(number), "%d", fd);
	(void)fcntl(fd, F_SETFD, 0);
	(void)execl(program, program, number, lie, (char *)NULL);
	_exit(99);
}

static void every_lie_becomes_what_its_row_says(void **state)
{
	static const struct mux_ops ops = {
		.answer = on_answer, .event = on_event, .data = on_data, .end = on_end
	};
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		struct talk t = { .patience_ms = strstr(rows[i].becomes, "silence") ? SILENCE_MS
										    : WAIT_MS };
		int fds[2], status;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		t.liar = start_liar(fds[1], rows[i].lie);
		assert_true(t.liar > 0);
		(void)close(fds[1]);
		assert_int_equal(mux_new(fds[0], MUX_HOST, &ops, &t, &t.mux), 0);
		live(&t);
		mux_free(t.mux);
		/* Whatever it did, it goes when we have gone. */
		assert_int_equal(waitpid(t.liar, &status, 0), t.liar);
		if (strncmp(t.becomes, rows[i].becomes, strlen(rows[i].becomes)) != 0 || status) {
			print_error("%s: becomes \"%s\", not \"%s\" (status %d)\n", rows[i].lie,
				    t.becomes, rows[i].becomes, status);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
}

static void every_lie_has_a_row(void **state)
{
	char command[512], line[128], name[64];
	size_t count = 0;
	FILE *list;

	(void)state;
	(void)snprintf(command, sizeof(command), "'%s' list", program);
	list = popen(command, "re");
	assert_non_null(list);
	while (fgets(line, sizeof(line), list)) {
		bool found = false;

		assert_int_equal(sscanf(line, "%63s", name), 1);
		for (size_t i = 0; i < ROWS && !found; i++)
			found = strcmp(rows[i].lie, name) == 0;
		if (!found)
			fail_msg("%s", name);
		count++;
	}
	assert_int_equal(pclose(list), 0);
	assert_int_equal(count, ROWS);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_lie_has_a_row),
		cmocka_unit_test(every_lie_becomes_what_its_row_says),
	};

	if (argc != 2)
		return 2;
	program = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("wire/lies", tests, NULL, NULL);
}
