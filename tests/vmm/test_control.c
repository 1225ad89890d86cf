/* SPDX-License-Identifier: Apache-2.0 */
/* The control server: what clients ask, in which order, and those who do not listen. */
#include "vmm/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "wire/agent_codec.h"

static char text[4u << 20];

static void start(struct harness *h)
{
	harness_start(h);
	harness_run(h, SENTRY_GO_RELEASE);
}

static struct sentry_reply ask(const struct harness *h, struct sentry_request request)
{
	const int sock = client_open(h);
	const struct sentry_reply reply = client_ask(sock, request, text, sizeof(text));

	(void)close(sock);
	return reply;
}

static void kill_it(struct harness *h)
{
	const struct sentry_request request = { .type = SENTRY_SHUTDOWN };

	assert_int_equal(ask(h, request).error, 0);
	assert_int_equal(harness_wait(h), 128 + SIGKILL);
	harness_stop(h);
}

static void what_is_no_request_ends_the_connection(void **state)
{
	static const struct sentry_request wrong[] = {
		{ .version = 99, .type = SENTRY_START },
		{ .version = SENTRY_MSG_VERSION, .type = 0 },
		{ .version = SENTRY_MSG_VERSION, .type = SENTRY_EXITED },
		{ .version = SENTRY_MSG_VERSION, .type = SENTRY_START, .reserved = 1 },
		{ .version = SENTRY_MSG_VERSION, .type = SENTRY_START, .flags = 1 },
		{ .version = SENTRY_MSG_VERSION, .type = SENTRY_SIGNAL, .pid = -1 },
	};
	struct harness h = { .script = "hold" };

	start(&h);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const int sock = client_open(&h);
		struct sentry_reply reply;

		assert_int_equal(send(sock, &wrong[i], sizeof(wrong[i]), MSG_NOSIGNAL),
				 sizeof(wrong[i]));
		assert_false(client_hear(sock, &reply, NULL, 0));
		(void)close(sock);
	}
	kill_it(&h);
}

static void start_opens_the_gate_once(void **state)
{
	const struct sentry_request request = { .type = SENTRY_START };
	struct harness h = { .script = "echo" };

	start(&h);
	assert_int_equal(ask(&h, request).error, 0);
	assert_int_equal(ask(&h, request).error, -EINVAL);
	assert_non_null(strstr(text, "started"));
	(void)close(h.in);
	h.in = -1;
	assert_int_equal(harness_wait(&h), 0);
	harness_stop(&h);
}

static void a_start_that_fails_has_the_agents_sentence(void **state)
{
	const struct sentry_request request = { .type = SENTRY_START };
	struct harness h = { .mode = "refuse:2" };

	start(&h);
	assert_int_equal(ask(&h, request).error, -EINVAL);
	assert_string_equal(text, "no such luck");
	kill_it(&h);
}

static void who_waits_is_told_the_code(void **state)
{
	const struct sentry_request wait = { .type = SENTRY_WAIT };
	struct harness h = { .script = "hold" };
	struct sentry_reply reply;
	int sock;

	start(&h);
	sock = client_open(&h);
	client_say(sock, &wait, NULL, 0, NULL, 0);
	assert_int_equal(
		ask(&h, (struct sentry_request){ .type = SENTRY_SIGNAL, .value = SIGTERM }).error,
		0);
	assert_true(client_hear(sock, &reply, NULL, 0));
	assert_int_equal(reply.type, SENTRY_WAIT);
	assert_int_equal(reply.value, 128 + SIGTERM);
	assert_int_equal(harness_wait(&h), 128 + SIGTERM);
	(void)close(sock);
	harness_stop(&h);
}

static void a_request_is_served_though_its_client_has_gone(void **state)
{
	const struct sentry_request request = { .type = SENTRY_SIGNAL, .value = SIGTERM };
	struct harness h = { .script = "hold" };
	int sock;

	start(&h);
	sock = client_open(&h);
	client_say(sock, &request, NULL, 0, NULL, 0);
	(void)close(sock);
	assert_int_equal(harness_wait(&h), 128 + SIGTERM);
	harness_stop(&h);
}

static void processes_come_in_parts_and_printable(void **state)
{
	struct harness h = { .script = "hold" };
	struct sentry_reply reply;
	struct sentry_ps item;
	uint32_t count = 0;
	int sock;

	start(&h);
	sock = client_open(&h);
	reply = client_ask(sock, (struct sentry_request){ .type = SENTRY_PS }, text, sizeof(text));
	while (reply.count > 0) {
		memcpy(&item, text, sizeof(item));
		assert_int_equal(item.pid, count + 1);
		assert_string_equal(item.comm, "a?b");
		assert_string_equal(item.command, "a?[2Jb");
		count += reply.count;
		assert_true(client_hear(sock, &reply, text, sizeof(text)));
	}
	assert_int_equal(count, 1000);
	(void)close(sock);
	kill_it(&h);
}

static void stats_are_the_agents(void **state)
{
	struct harness h = { .script = "hold" };
	struct agent_stats stats;

	start(&h);
	assert_int_equal(ask(&h, (struct sentry_request){ .type = SENTRY_STATS }).count, 1);
	memcpy(&stats, text, sizeof(stats));
	assert_int_equal(stats.pids, 42);
	kill_it(&h);
}

static void read_text(int sock, uint32_t what, char *all, size_t size)
{
	const struct sentry_request request = { .type = SENTRY_DEBUG, .value = what };
	struct sentry_reply reply = client_ask(sock, request, all, size);
	size_t len = 0;

	assert_int_equal(reply.error, 0);
	while (reply.count > 0) {
		len += reply.count;
		assert_true(len + 1 < size);
		assert_true(client_hear(sock, &reply, all + len, size - len));
	}
	all[len] = '\0';
}

static void debug_texts_are_whole_and_printable(void **state)
{
	struct harness h = { .script = "hold" };
	int sock;

	start(&h);
	sock = client_open(&h);
	read_text(sock, VMM_DEBUG_SERIAL, text, sizeof(text));
	assert_string_equal(text, "[    0.1] fake kernel\n");
	read_text(sock, VMM_DEBUG_METRICS, text, sizeof(text));
	assert_non_null(strstr(text, "caisson_vm_start_ns{until=\"agent\"}"));
	assert_non_null(strstr(text, "guest says metrics?\n"));
	read_text(sock, VMM_DEBUG_DMESG, text, sizeof(text));
	assert_non_null(strstr(text, "\nline 19999\n"));
	assert_int_equal(client_ask(sock,
				    (struct sentry_request){ .type = SENTRY_DEBUG, .value = 99 },
				    text, sizeof(text))
				 .error,
			 -ENOTSUP);
	(void)close(sock);
	kill_it(&h);
}

/* ---- EXEC ---- */

struct exec {
	int sock;
	int in, out; /* our ends */
	int pid;
};

static struct exec exec_script(const struct harness *h, const char *script)
{
	struct exec e = { .sock = client_open(h) };
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	e.pid = client_exec_script(e.sock, script, (int[]){ in[0], out[1], out[1] }, false);
	(void)close(in[0]);
	(void)close(out[1]);
	e.in = in[1];
	e.out = out[0];
	return e;
}

static void end_exec(struct exec *e)
{
	(void)close(e->sock);
	(void)close(e->in);
	(void)close(e->out);
}

static int exec_code(const struct exec *e)
{
	struct sentry_reply reply;

	assert_true(client_hear(e->sock, &reply, NULL, 0));
	assert_int_equal(reply.type, SENTRY_EXITED);
	return reply.value;
}

static void exec_has_its_streams_and_its_code(void **state)
{
	struct harness h = { .script = "hold" };
	struct exec e;

	start(&h);
	e = exec_script(&h, "echo");
	assert_true(e.pid > 1);
	assert_int_equal(write(e.in, "ping", 4), 4);
	(void)harness_read(e.out, text, sizeof(text), "ping");
	(void)close(e.in);
	assert_int_equal(harness_read(e.out, text, sizeof(text), NULL), 0);
	assert_int_equal(exec_code(&e), 0);
	(void)close(e.sock);
	(void)close(e.out);
	e = exec_script(&h, "exit:9");
	assert_int_equal(exec_code(&e), 9);
	end_exec(&e);
	kill_it(&h);
}

static void signals_on_its_connection_are_the_execs_alone(void **state)
{
	const struct sentry_request term = { .type = SENTRY_SIGNAL, .value = SIGTERM };
	struct harness h = { .script = "hold" };
	struct sentry_reply reply;
	struct exec e;

	start(&h);
	e = exec_script(&h, "hold");
	client_say(e.sock, &term, NULL, 0, NULL, 0);
	assert_true(client_hear(e.sock, &reply, NULL, 0));
	assert_int_equal(reply.type, SENTRY_SIGNAL);
	assert_int_equal(reply.error, 0);
	assert_int_equal(exec_code(&e), 128 + SIGTERM);
	/* Too late: it meets nobody. */
	client_say(e.sock, &term, NULL, 0, NULL, 0);
	assert_true(client_hear(e.sock, &reply, NULL, 0));
	assert_int_equal(reply.error, -ESRCH);
	end_exec(&e);
	kill_it(&h);
}

static void the_end_of_its_connection_kills_the_exec(void **state)
{
	struct harness h = { .script = "hold" };
	struct exec e;

	start(&h);
	e = exec_script(&h, "hold");
	(void)close(e.sock);
	assert_int_equal(harness_read(e.out, text, sizeof(text), NULL), 0);
	(void)close(e.in);
	(void)close(e.out);
	kill_it(&h);
}

static void an_exec_that_is_refused_has_the_agents_sentence(void **state)
{
	struct harness h = { .mode = "refuse:3" };
	struct exec e;

	start(&h);
	e = exec_script(&h, "hold");
	assert_int_equal(e.pid, -EINVAL);
	end_exec(&e);
	kill_it(&h);
}

/* What an EXEC with a carrier of its input is answered; *ret_n: what the carrier hears then. */
static int exec_carried(struct harness *h, uint32_t flags, ssize_t *ret_n)
{
	const struct sentry_request request = { .value = VMM_CARRIED(0), .flags = flags };
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC), sock = client_open(h);
	struct sentry_reply reply = { .error = -EPIPE };
	int pair[2];
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	client_say_exec_as(sock, request, "hold", (int[]){ pair[0], null, null }, false);
	(void)close(pair[0]);
	(void)client_hear(sock, &reply, NULL, 0);
	*ret_n = recv(pair[1], &byte, 1, MSG_DONTWAIT);
	(void)close(pair[1]);
	(void)close(null);
	(void)close(sock);
	return reply.error;
}

static void a_carrier_of_input_hears_when_the_program_runs(void **state)
{
	struct harness h = { .script = "hold" };
	ssize_t n;

	start(&h);
	assert_int_equal(exec_carried(&h, VMM_INPUT_WAITS, &n), 0);
	assert_int_equal(n, 1);
	/* Of an older runtime: it does not wait, and nobody reads what it does not expect. */
	assert_int_equal(exec_carried(&h, 0, &n), 0);
	assert_int_equal(n, -1);
	kill_it(&h);
	h = (struct harness){ .script = "hold", .mode = "refuse:3" };
	start(&h);
	assert_int_equal(exec_carried(&h, VMM_INPUT_WAITS, &n), -EINVAL);
	assert_int_equal(n, 0);
	kill_it(&h);
}

/* As the supervisor of an older version does of VMM_INPUT_WAITS: who needs it hears no promise. */
static void a_flag_that_is_not_known_ends_its_connection(void **state)
{
	const struct sentry_request stats = { .type = SENTRY_STATS, .flags = VMM_INPUT_WAITS };
	struct harness h = { .script = "hold" };
	struct sentry_reply reply;
	ssize_t n;
	int sock;

	start(&h);
	assert_int_equal(exec_carried(&h, VMM_INPUT_WAITS << 1, &n), -EPIPE);
	assert_int_equal(n, 0);
	sock = client_open(&h);
	client_say(sock, &stats, NULL, 0, NULL, 0);
	assert_false(client_hear(sock, &reply, NULL, 0));
	(void)close(sock);
	kill_it(&h);
}

/* Longer than a silent agent is borne with: PING tells the two apart. */
static void a_slow_exec_stops_nobody_and_is_cancelled_when_nobody_wants_it(void **state)
{
	const struct sentry_request stats = { .type = SENTRY_STATS };
	struct harness h = { .script = "hold", .mode = "slow:3", .impatient = true };
	int slow, pipes[2];

	start(&h);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	slow = client_open(&h);
	client_say_exec(slow, "hold", (int[]){ pipes[0], pipes[1], pipes[1] }, false);
	for (int i = 0; i < 14; i++) {
		assert_int_equal(ask(&h, stats).error, 0);
		(void)usleep(500000);
	}
	(void)close(slow);
	assert_true(harness_read(h.out, text, sizeof(text), "cancelled\n") > 0);
	assert_int_equal(ask(&h, stats).error, 0);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	kill_it(&h);
}

/* More execs than may wait: the others wait in their sockets, and go when nobody wants them. */
static void slow_execs_leave_room_for_the_rest(void **state)
{
	const struct sentry_request stats = { .type = SENTRY_STATS };
	struct harness h = { .script = "hold", .mode = "silent:3" };
	int socks[80], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	start(&h);
	for (size_t i = 0; i < 80; i++) {
		socks[i] = client_open(&h);
		client_say_exec(socks[i], "hold", (int[]){ null, null, null }, false);
	}
	assert_int_equal(ask(&h, stats).error, 0);
	for (size_t i = 40; i < 80; i++)
		(void)close(socks[i]);
	assert_int_equal(ask(&h, stats).error, 0);
	kill_it(&h);
	for (size_t i = 0; i < 40; i++)
		(void)close(socks[i]);
	(void)close(null);
}

static void execs_end_with_the_container(void **state)
{
	struct harness h = { .script = "hold" };
	struct exec e;

	start(&h);
	e = exec_script(&h, "hold");
	assert_int_equal(kill(h.pid, SIGKILL), 0);
	assert_int_equal(harness_wait(&h), 137);
	assert_int_equal(harness_read(e.out, text, sizeof(text), NULL), 0);
	end_exec(&e);
	harness_stop(&h);
}

static void who_was_told_the_end_is_told_nothing_more(void **state)
{
	static const struct sentry_request asked[] = {
		{ .type = SENTRY_DEBUG, .value = VMM_DEBUG_TASKS },
		{ .type = SENTRY_STATS },
		{ .type = SENTRY_PS },
	};
	struct harness h = { .mode = "behind", .script = "hold" };
	int socks[sizeof(asked) / sizeof(asked[0])];
	struct sentry_reply reply;
	struct exec e;

	start(&h);
	assert_int_equal(ask(&h, (struct sentry_request){ .type = SENTRY_START }).error, 0);
	e = exec_script(&h, "hold");
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		char words[16];

		socks[i] = client_open(&h);
		client_say(socks[i], &asked[i], NULL, 0, NULL, 0);
		(void)snprintf(words, sizeof(words), "asked %zu\n", i + 1);
		assert_true(harness_read(h.out, text, sizeof(text), words) > 0);
	}
	assert_int_equal(
		ask(&h, (struct sentry_request){ .type = SENTRY_SIGNAL, .value = SIGTERM }).error,
		0);
	assert_int_equal(harness_wait(&h), 128 + SIGTERM);
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		assert_true(client_hear(socks[i], &reply, NULL, 0));
		assert_int_equal(reply.type, asked[i].type);
		assert_int_equal(reply.error, -ESRCH);
		assert_false(client_hear(socks[i], &reply, NULL, 0));
		(void)close(socks[i]);
	}
	(void)exec_code(&e);
	assert_false(client_hear(e.sock, &reply, NULL, 0));
	end_exec(&e);
	assert_null(strstr(harness_log(&h), "level=error"));
	harness_stop(&h);
}

/* ---- Clients that do not behave ---- */

static void who_does_not_read_stops_nobody(void **state)
{
	const struct sentry_request request = { .type = SENTRY_DEBUG, .value = VMM_DEBUG_DMESG };
	struct harness h = { .script = "hold" };
	int socks[40];

	start(&h);
	for (size_t i = 0; i < 40; i++) {
		socks[i] = client_open(&h);
		for (int n = 0; n < 5; n++)
			client_say(socks[i], &request, NULL, 0, NULL, 0);
	}
	assert_int_equal(ask(&h, (struct sentry_request){ .type = SENTRY_STATS }).count, 1);
	/* What was asked is answered to who reads after all. */
	read_text(socks[7], VMM_DEBUG_TASKS, text, 1 << 20);
	for (size_t i = 0; i < 40; i++)
		(void)close(socks[i]);
	kill_it(&h);
}

static void connections_have_a_limit_and_others_wait(void **state)
{
	struct harness h = { .script = "hold" };
	int socks[SENTRY_CLIENTS_MAX + SENTRY_CLIENTS_KEPT + 1];
	const size_t last = SENTRY_CLIENTS_MAX + SENTRY_CLIENTS_KEPT;
	const struct sentry_request stats = { .type = SENTRY_STATS };
	struct sentry_reply reply;

	start(&h);
	for (size_t i = 0; i < last; i++) {
		socks[i] = client_open(&h);
		assert_int_equal(client_ask(socks[i], stats, NULL, 0).count, 1);
	}
	socks[last] = client_open(&h);
	client_say(socks[last], &stats, NULL, 0, NULL, 0);
	(void)close(socks[3]);
	assert_true(client_hear(socks[last], &reply, NULL, 0));
	assert_int_equal(reply.count, 1);
	for (size_t i = 0; i <= last; i++) {
		if (i != 3)
			(void)close(socks[i]);
	}
	kill_it(&h);
}

/* More than the agent may be asked at one time: all are answered, one after the other. */
static void more_calls_than_the_channel_takes_are_served(void **state)
{
	const struct sentry_request stats = { .type = SENTRY_STATS };
	struct harness h = { .script = "hold" };
	int socks[200];
	struct sentry_reply reply;

	start(&h);
	assert_int_equal(kill(harness_machine(&h), SIGSTOP), 0);
	for (size_t i = 0; i < 200; i++) {
		socks[i] = client_open(&h);
		client_say(socks[i], &stats, NULL, 0, NULL, 0);
	}
	assert_int_equal(kill(harness_machine(&h), SIGCONT), 0);
	for (size_t i = 0; i < 200; i++) {
		assert_true(client_hear(socks[i], &reply, NULL, 0));
		assert_int_equal(reply.count, 1);
		(void)close(socks[i]);
	}
	kill_it(&h);
}

/* A client that has said its word and gone, while the agent cannot be asked. */
static void a_posted_request_waits_for_the_channel(void **state)
{
	const struct sentry_request stats = { .type = SENTRY_STATS };
	const struct sentry_request term = { .type = SENTRY_SIGNAL, .value = SIGTERM };
	struct harness h = { .script = "hold" };
	int socks[100], sock;

	start(&h);
	assert_int_equal(kill(harness_machine(&h), SIGSTOP), 0);
	for (size_t i = 0; i < 100; i++) {
		socks[i] = client_open(&h);
		client_say(socks[i], &stats, NULL, 0, NULL, 0);
	}
	sock = client_open(&h);
	client_say(sock, &term, NULL, 0, NULL, 0);
	(void)close(sock);
	assert_int_equal(kill(harness_machine(&h), SIGCONT), 0);
	assert_int_equal(harness_wait(&h), 128 + SIGTERM);
	for (size_t i = 0; i < 100; i++)
		(void)close(socks[i]);
	harness_stop(&h);
}

/* Of the process, in ticks. */
static unsigned long cpu_of(pid_t pid)
{
	AUTO_BUF struct buf b = { 0 };
	unsigned long user = 0, system = 0;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &b), 0);
	assert_int_equal(sscanf(strrchr(b.data, ')'),
				") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
				&system),
			 2);
	return user + system;
}

static void without_descriptors_a_connection_waits_and_nothing_spins(void **state)
{
	const struct sentry_request stats = { .type = SENTRY_STATS };
	struct harness h = { .script = "hold" };
	struct sentry_reply reply;
	struct rlimit old, none;
	unsigned long before;
	int sock;

	start(&h);
	assert_int_equal(prlimit(h.pid, RLIMIT_NOFILE, NULL, &old), 0);
	none = (struct rlimit){ .rlim_cur = 3, .rlim_max = old.rlim_max };
	assert_int_equal(prlimit(h.pid, RLIMIT_NOFILE, &none, NULL), 0);
	sock = client_open(&h);
	client_say(sock, &stats, NULL, 0, NULL, 0);
	before = cpu_of(h.pid);
	(void)sleep(1);
	assert_true(cpu_of(h.pid) - before < (unsigned long)sysconf(_SC_CLK_TCK) / 2);
	assert_int_equal(prlimit(h.pid, RLIMIT_NOFILE, &old, NULL), 0);
	assert_true(client_hear(sock, &reply, NULL, 0));
	assert_int_equal(reply.count, 1);
	(void)close(sock);
	kill_it(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_request_ends_the_connection),
		cmocka_unit_test(start_opens_the_gate_once),
		cmocka_unit_test(a_start_that_fails_has_the_agents_sentence),
		cmocka_unit_test(who_waits_is_told_the_code),
		cmocka_unit_test(a_request_is_served_though_its_client_has_gone),
		cmocka_unit_test(processes_come_in_parts_and_printable),
		cmocka_unit_test(stats_are_the_agents),
		cmocka_unit_test(debug_texts_are_whole_and_printable),
		cmocka_unit_test(exec_has_its_streams_and_its_code),
		cmocka_unit_test(signals_on_its_connection_are_the_execs_alone),
		cmocka_unit_test(the_end_of_its_connection_kills_the_exec),
		cmocka_unit_test(an_exec_that_is_refused_has_the_agents_sentence),
		cmocka_unit_test(a_carrier_of_input_hears_when_the_program_runs),
		cmocka_unit_test(a_flag_that_is_not_known_ends_its_connection),
		cmocka_unit_test(a_slow_exec_stops_nobody_and_is_cancelled_when_nobody_wants_it),
		cmocka_unit_test(slow_execs_leave_room_for_the_rest),
		cmocka_unit_test(execs_end_with_the_container),
		cmocka_unit_test(who_was_told_the_end_is_told_nothing_more),
		cmocka_unit_test(who_does_not_read_stops_nobody),
		cmocka_unit_test(connections_have_a_limit_and_others_wait),
		cmocka_unit_test(more_calls_than_the_channel_takes_are_served),
		cmocka_unit_test(a_posted_request_waits_for_the_channel),
		cmocka_unit_test(without_descriptors_a_connection_waits_and_nothing_spins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
