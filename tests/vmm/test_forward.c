/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to the loopback device of a pod, which are carried into its machine. */
#include "vmm/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE (3u << 20) /* more than credit, buffers and sockets hold */

static void start(struct harness *h)
{
	const struct sockaddr_in any = { .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	h->flags = VMM_FORWARDS;
	h->forwards = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(h->forwards, (const struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(h->forwards, 128), 0);
	harness_start(h);
	harness_run(h, SENTRY_GO_RELEASE);
}

/* What has been asked before has been looked at. */
static void turn(const struct harness *h)
{
	static char text[1u << 20];
	const int sock = client_open(h);
	const struct sentry_request request = { .type = SENTRY_PS };

	assert_int_equal(client_ask(sock, request, text, sizeof(text)).error, 0);
	(void)close(sock);
}

static void stop(struct harness *h)
{
	const struct sentry_request request = { .type = SENTRY_SHUTDOWN };
	const int sock = client_open(h);

	assert_int_equal(client_ask(sock, request, NULL, 0).error, 0);
	(void)close(sock);
	assert_int_equal(harness_wait(h), 128 + SIGKILL);
	harness_stop(h);
	(void)close(h->forwards);
}

static int reach(const struct harness *h)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in there = { 0 };
	socklen_t len = sizeof(there);

	assert_int_equal(getsockname(h->forwards, (struct sockaddr *)&there, &len), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&there, len), 0);
	return fd;
}

/* Reads to the end: the bytes, or -errno. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
	size_t len = 0;

	for (;;) {
		const ssize_t n = read(fd, bytes + len, size - len);

		if (n <= 0)
			return n < 0 ? -errno : (ssize_t)len;
		len += (size_t)n;
	}
}

static void echoes(int fd)
{
	char back[5] = "";

	assert_int_equal(send(fd, "word", 4, MSG_NOSIGNAL), 4);
	assert_int_equal(recv(fd, back, 4, MSG_WAITALL), 4);
	assert_string_equal(back, "word");
}

static unsigned int waiting(const struct harness *h)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(h->forwards, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_unacked; /* of a listening socket: its queue */
}

static void where_nobody_listens_inside_it_is_reset(void **state)
{
	struct harness h = { .mode = "refuse:20" };
	char byte;
	int fd;

	(void)state;
	start(&h);
	for (int i = 0; i < 100; i++) {
		fd = reach(&h);
		assert_int_equal(read_all(fd, &byte, 1), -ECONNRESET);
		(void)close(fd);
	}
	stop(&h);
}

static void what_breaks_inside_is_reset_behind_its_last_words(void **state)
{
	struct harness h = { .mode = "break" };
	char bytes[64];
	int fd;

	(void)state;
	start(&h);
	fd = reach(&h);
	assert_int_equal(send(fd, "word", 4, MSG_NOSIGNAL), 4);
	assert_int_equal(recv(fd, bytes, 4, MSG_WAITALL), 4);
	assert_int_equal(read_all(fd, bytes, sizeof(bytes)), -ECONNRESET);
	(void)close(fd);
	stop(&h);
}

static void ends_the_machine(const char *mode, const char *words)
{
	struct harness h = { .mode = mode, .impatient = true };
	char byte;
	int fd;

	start(&h);
	fd = reach(&h);
	assert_true(read_all(fd, &byte, 1) <= 0);
	(void)close(fd);
	assert_int_equal(harness_wait(&h), 137);
	assert_non_null(strstr(harness_log(&h), words));
	harness_stop(&h);
	(void)close(h.forwards);
}

static void an_agent_that_does_not_answer_or_lies_ends_the_machine(void **state)
{
	(void)state;
	ends_the_machine("silent:20", "the agent has not answered FORWARD");
	ends_the_machine("garbage:20", "agent: FORWARD");
}

static void more_than_there_may_be_wait_for_their_turn(void **state)
{
	struct harness h = { 0 };
	int fds[AGENT_FORWARDS_MAX], last;

	(void)state;
	start(&h);
	for (size_t i = 0; i < AGENT_FORWARDS_MAX; i++)
		echoes(fds[i] = reach(&h));
	last = reach(&h);
	turn(&h);
	assert_int_equal(waiting(&h), 1);
	(void)close(fds[0]);
	echoes(last);
	assert_int_equal(waiting(&h), 0);
	/* Whoever came first is not disturbed. */
	for (size_t i = 1; i < AGENT_FORWARDS_MAX; i++) {
		echoes(fds[i]);
		(void)close(fds[i]);
	}
	(void)close(last);
	stop(&h);
}

static void all_that_is_said_comes_back_and_then_the_end(void **state)
{
	struct harness h = { 0 };
	char *said = malloc(LARGE), *heard = malloc(LARGE + 1);
	pid_t writer;
	int fd;

	(void)state;
	start(&h);
	for (size_t i = 0; i < LARGE; i++)
		said[i] = (char)(i * 7 + i / 251);
	fd = reach(&h);
	writer = fork();
	if (writer == 0) {
		for (size_t at = 0; at < LARGE;) {
			const ssize_t n = send(fd, said + at, LARGE - at, MSG_NOSIGNAL);

			if (n < 0)
				_exit(1);
			at += (size_t)n;
		}
		_exit(shutdown(fd, SHUT_WR) < 0);
	}
	assert_int_equal(read_all(fd, heard, LARGE + 1), LARGE);
	assert_memory_equal(said, heard, LARGE);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	(void)close(fd);
	free(said);
	free(heard);
	stop(&h);
}

static void the_end_of_the_machine_is_that_of_its_connections(void **state)
{
	struct harness h = { 0 };
	char byte;
	int fd;

	(void)state;
	start(&h);
	fd = reach(&h);
	echoes(fd);
	assert_int_equal(kill(h.pid, SIGKILL), 0);
	assert_int_equal(harness_wait(&h), 128 + SIGKILL);
	assert_true(read_all(fd, &byte, 1) <= 0);
	(void)close(fd);
	harness_stop(&h);
	(void)close(h.forwards);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_nobody_listens_inside_it_is_reset),
		cmocka_unit_test(what_breaks_inside_is_reset_behind_its_last_words),
		cmocka_unit_test(an_agent_that_does_not_answer_or_lies_ends_the_machine),
		cmocka_unit_test(more_than_there_may_be_wait_for_their_turn),
		cmocka_unit_test(all_that_is_said_comes_back_and_then_the_end),
		cmocka_unit_test(the_end_of_the_machine_is_that_of_its_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
