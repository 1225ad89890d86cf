/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of a shim's management socket, and what is none. */
#include "cli/shim_ask.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/unit.h"

#define HEAD "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"

struct shim {
	char dir[32];
	struct sockaddr_un address;
	int sock;
	pid_t pid;
};

static int setup(void **state)
{
	struct shim *s = calloc(1, sizeof(*s));

	(void)strcpy(s->dir, "/tmp/shim.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->address.sun_family = AF_UNIX;
	(void)snprintf(s->address.sun_path, sizeof(s->address.sun_path), "%s/s", s->dir);
	s->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->sock, (struct sockaddr *)&s->address, sizeof(s->address)), 0);
	assert_int_equal(listen(s->sock, 1), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct shim *s = *state;

	if (s->pid > 0)
		(void)waitpid(s->pid, NULL, 0);
	(void)close(s->sock);
	(void)unlink(s->address.sun_path);
	(void)rmdir(s->dir);
	free(s);
	return 0;
}

/* One request is answered so; NULL: not before its client has gone. */
static void answer(struct shim *s, const char *text)
{
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		const int fd = accept(s->sock, NULL, NULL);
		char bytes[512];

		(void)!read(fd, bytes, sizeof(bytes));
		if (text)
			(void)send(fd, text, strlen(text), MSG_NOSIGNAL);
		else
			(void)!read(fd, bytes, sizeof(bytes));
		_exit(0);
	}
}

static int ask(const struct shim *s, int64_t wait_ms, struct buf *body, struct err *err)
{
	return shim_ask(s->address.sun_path, "/p", wait_ms, body, err);
}

static void what_is_no_whole_answer_is_refused(void **state)
{
	static const char *const answers[] = {
		"",
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy",
		"HTTP/1.1 200 OK\r\n\r\nbody",
		"HTTP/1.1 200 OK\r\n\r\n\r\nContent-Length: 4\r\n\r\nbody",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n",
		HEAD "bod",
		HEAD "body and more",
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct shim *s = *state;
		AUTO_BUF struct buf body = { 0 };
		struct err err = { 0 };

		answer(s, answers[i]);
		assert_int_equal(ask(s, SHIM_PATIENCE_MS, &body, &err), -EPROTO);
		assert_says(err, s->address.sun_path);
		assert_int_equal(body.len, 0);
		assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
		s->pid = 0;
	}
}

static void one_that_says_nothing_is_not_waited_for(void **state)
{
	AUTO_BUF struct buf body = { 0 };
	struct err err = { 0 };

	answer(*state, NULL);
	assert_int_equal(ask(*state, 100, &body, &err), -ETIMEDOUT);
}

static void the_body_is_told(void **state)
{
	AUTO_BUF struct buf body = { 0 };
	struct err err = { 0 };

	answer(*state, HEAD "body");
	assert_int_equal(ask(*state, SHIM_PATIENCE_MS, &body, &err), 0);
	assert_string_equal(body.data, "body");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_no_whole_answer_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(one_that_says_nothing_is_not_waited_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_body_is_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
