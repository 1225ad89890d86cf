/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a supervisor that does not answer: its sandbox is named. */
#include "runtimetest.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "ns/ns.h"
#include "runtime/sandbox/client.h"
#include "runtime/store.h"

static char dir[] = "/tmp/client.XXXXXX";
static char sandbox_id[] = "pod", id[] = "a";

struct world {
	struct container c;
	pid_t supervisor;
};

static void begin(struct world *w)
{
	*w = (struct world){ .c = { .id = id, .sandbox = sandbox_id } };
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	assert_non_null(mkdtemp(dir));
	w->c.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(w->c.dir_fd >= 0);
}

static void end(struct world *w)
{
	(void)unlinkat(w->c.dir_fd, STORE_CONTROL, 0);
	close(w->c.dir_fd);
	assert_int_equal(rmdir(dir), 0);
}

/* One that reads a request and closes the connection; `stays`: it still listens. */
static void hang_up(struct world *w, bool stays)
{
	struct err err = { 0 };
	const int sock = ns_listen(w->c.dir_fd, STORE_CONTROL, 8, &err);

	assert_true(sock >= 0);
	w->supervisor = fork();
	assert_true(w->supervisor >= 0);
	if (w->supervisor == 0) {
		char byte;
		int client;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		client = accept(sock, NULL, NULL);
		if (!stays)
			close(sock);
		(void)!recv(client, &byte, 1, 0);
		close(client);
		for (;;)
			pause();
	}
	close(sock);
}

static void expect(struct world *w, const char *sentence)
{
	const struct sentry_request request = { .type = SENTRY_START };
	struct err err = { 0 };

	assert_int_equal(client_simple(&w->c, &request, NULL, &err), -EPIPE);
	assert_string_equal(err.msg, sentence);
	assert_int_equal(kill(w->supervisor, SIGKILL), 0);
	assert_int_equal(waitpid(w->supervisor, NULL, 0), w->supervisor);
}

static void one_that_is_not_there_does_not_run(void **state)
{
	const struct sentry_request request = { .type = SENTRY_START };
	struct err err = { 0 };
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(client_simple(&w.c, &request, NULL, &err), -ESRCH);
	end(&w);
}

static void one_that_hangs_up_and_lives_may_be_an_older_one(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	hang_up(&w, true);
	expect(&w, "sandbox pod has hung up: an older caisson has started it, or it has too many "
		   "callers");
	end(&w);
}

static void one_that_hangs_up_and_listens_no_more_is_gone(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	hang_up(&w, false);
	expect(&w, "sandbox pod is gone");
	end(&w);
}

/* It closes before it has heard the request, as one does that has no room. */
static void who_is_refused_is_told_why(void **state)
{
	static const char why[] = "sandbox pod has all 256 connections";
	struct {
		struct sentry_reply reply;
		char text[sizeof(why) - 1];
	} refusal = { .reply = { .type = SENTRY_REFUSED, .error = -EAGAIN } };
	const struct client_call call = { .request = { .type = SENTRY_START } };
	struct sentry_reply reply;
	struct err err = { 0 };
	int pair[2];

	(void)state;
	memcpy(refusal.text, why, sizeof(refusal.text));
	for (int heard = 0; heard < 2; heard++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		assert_int_equal(send(pair[1], &refusal, sizeof(refusal), 0), sizeof(refusal));
		if (!heard)
			close(pair[1]);
		assert_int_equal(client_call(pair[0], &call, &reply, NULL, NULL, &err), -EAGAIN);
		assert_string_equal(err.msg, why);
		close(pair[0]);
		if (heard)
			close(pair[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_is_not_there_does_not_run),
		cmocka_unit_test(one_that_hangs_up_and_lives_may_be_an_older_one),
		cmocka_unit_test(one_that_hangs_up_and_listens_no_more_is_gone),
		cmocka_unit_test(who_is_refused_is_told_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
