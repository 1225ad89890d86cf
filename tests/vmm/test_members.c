/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that join a machine: each has a server, a life and an end of its own. */
#include "vmm/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

static char text[65536];
static int null;

struct member {
	int sock;    /* its life */
	int out;     /* what it says */
	char at[64]; /* its server */
};

static void start(struct harness *h)
{
	harness_start(h);
	harness_run(h, SENTRY_GO_START);
}

/* What a JOIN is answered. */
static int join(const struct harness *h, const char *id, const char *script, struct member *m)
{
	static unsigned int n;
	int pair[2], fds[3], r;

	(void)snprintf(m->at, sizeof(m->at), "caisson-member-%d-%u", (int)getpid(), ++n);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	fds[0] = fds[2] = null;
	fds[1] = pair[1];
	m->out = pair[0];
	m->sock = client_open(h);
	r = client_join(m->sock, id, script, fds, m->at, text, sizeof(text));
	(void)close(pair[1]);
	return r;
}

static void must_join(const struct harness *h, const char *id, const char *script, struct member *m)
{
	const int r = join(h, id, script, m);

	if (r < 0)
		fail_msg("%s: %d (%s)", id, r, text);
}

static void leave(struct member *m)
{
	(void)close(m->sock);
	(void)close(m->out);
}

static struct sentry_reply ask_at(const char *address, struct sentry_request request)
{
	const int sock = client_open_at(address);
	struct sentry_reply reply;

	assert_true(sock >= 0);
	reply = client_ask(sock, request, text, sizeof(text));
	(void)close(sock);
	return reply;
}

static void must(const char *address, uint32_t type)
{
	assert_int_equal(ask_at(address, (struct sentry_request){ .type = type }).error, 0);
}

/* SENTRY_EXITED, and then the end of the connection. */
static int hear_exit(const struct member *m)
{
	struct sentry_reply reply = { 0 }, none;

	assert_true(client_hear(m->sock, &reply, text, sizeof(text)));
	assert_int_equal(reply.type, SENTRY_EXITED);
	assert_false(client_hear(m->sock, &none, text, sizeof(text)));
	return reply.value;
}

/* Nobody listens for it: the supervisor has closed the socket. */
static void await_silence(const char *address)
{
	for (int i = 0; i < 500; i++) {
		const int sock = client_open_at(address);

		if (sock < 0)
			return;
		(void)close(sock);
		(void)usleep(10000);
	}
	fail_msg("somebody still listens at %s", address);
}

static void end(struct harness *h, int code)
{
	must(h->address, SENTRY_SHUTDOWN);
	assert_int_equal(harness_wait(h), code);
	harness_stop(h);
}

static void one_that_joins_has_a_life_of_its_own(void **state)
{
	struct harness h = { 0 };
	struct member a, b;

	(void)state;
	start(&h);
	must_join(&h, "a", "say:from a", &a);
	must_join(&h, "b", "exit:7", &b);
	assert_int_equal(ask_at(a.at, (struct sentry_request){ .type = SENTRY_STATS }).count, 1);
	must(a.at, SENTRY_START);
	assert_int_equal(hear_exit(&a), 0);
	(void)harness_read(a.out, text, sizeof(text), NULL);
	assert_string_equal(text, "from a");
	await_silence(a.at);
	/* The other one waits at its gate all the while. */
	assert_int_equal(ask_at(b.at, (struct sentry_request){ .type = SENTRY_START }).error, 0);
	assert_int_equal(hear_exit(&b), 7);
	leave(&a);
	leave(&b);
	/* The id is free. */
	must_join(&h, "a", "hold", &a);
	must(a.at, SENTRY_START);
	assert_int_equal(ask_at(a.at, (struct sentry_request){ .type = SENTRY_START }).error,
			 -EINVAL);
	assert_int_equal(
		ask_at(a.at, (struct sentry_request){ .type = SENTRY_SIGNAL, .value = SIGTERM })
			.error,
		0);
	assert_int_equal(hear_exit(&a), 128 + SIGTERM);
	leave(&a);
	end(&h, 128 + SIGKILL);
}

/* As its waiter does. */
static void the_connection_starts_and_signals_it(void **state)
{
	struct sentry_request request = { .type = SENTRY_START };
	struct harness h = { 0 };
	struct member m;

	(void)state;
	start(&h);
	must_join(&h, "m", "hold", &m);
	assert_int_equal(client_ask(m.sock, request, text, sizeof(text)).error, 0);
	request = (struct sentry_request){ .type = SENTRY_SIGNAL, .value = SIGINT };
	assert_int_equal(client_ask(m.sock, request, text, sizeof(text)).error, 0);
	assert_int_equal(hear_exit(&m), 128 + SIGINT);
	leave(&m);
	end(&h, 128 + SIGKILL);
}

static void its_end_comes_with_that_of_its_connection(void **state)
{
	struct harness h = { 0 };
	struct member m;

	(void)state;
	start(&h);
	must_join(&h, "m", "hold", &m);
	must(m.at, SENTRY_START);
	leave(&m);
	await_silence(m.at);
	end(&h, 128 + SIGKILL);
}

/* Its reader is slow: the last word of its first process comes when it is over. */
static void what_it_has_said_may_be_read_after_its_end(void **state)
{
	struct harness h = { 0 };
	struct member m, other;
	size_t len = 0;

	(void)state;
	start(&h);
	must_join(&h, "m", "flood:4000000", &m);
	must(m.at, SENTRY_START);
	(void)close(m.sock);
	await_silence(m.at);
	/* The id is free, the record is not. */
	must_join(&h, "m", "hold", &other);
	for (ssize_t n = 1; n > 0; len += (size_t)(n > 0 ? n : 0))
		n = read(m.out, text, sizeof(text));
	(void)close(m.out);
	/* More than the pipe holds. */
	assert_true(len > 65536);
	must(other.at, SENTRY_START);
	assert_int_equal(
		ask_at(other.at, (struct sentry_request){ .type = SENTRY_SIGNAL, .value = SIGTERM })
			.error,
		0);
	assert_int_equal(hear_exit(&other), 128 + SIGTERM);
	leave(&other);
	end(&h, 128 + SIGKILL);
}

static void a_join_that_waits_is_ended_with_its_connection(void **state)
{
	struct harness h = { .mode = "slow-join" };
	const int fds[3] = { null, null, null };
	int sock;

	(void)state;
	start(&h);
	sock = client_open(&h);
	client_say_join(sock, "m", "hold", fds, "caisson-member-slow");
	/* It is asked: the server of the container is there. */
	for (int i = 0; i < 500; i++) {
		const int other = client_open_at("caisson-member-slow");
		const struct sentry_request request = { .type = SENTRY_START };

		if (other < 0)
			break;
		if (client_ask(other, request, text, sizeof(text)).error == -EINVAL)
			i = 500;
		(void)close(other);
	}
	(void)close(sock);
	await_silence("caisson-member-slow");
	end(&h, 128 + SIGKILL);
}

/* Nothing to be asked of the one by its own or the first's clients keeps its neighbour's out. */
static void each_has_connections_that_are_kept_for_it(void **state)
{
	const struct sentry_request stats = { .type = SENTRY_STATS };
	const size_t own = SENTRY_CLIENTS_KEPT;
	int socks[SENTRY_CLIENTS_MAX], kept[SENTRY_CLIENTS_KEPT + 1];
	struct sentry_reply reply;
	struct harness h = { 0 };
	struct member a, b;

	(void)state;
	start(&h);
	must_join(&h, "a", "hold", &a);
	must_join(&h, "b", "hold", &b);
	/* The two that joined have theirs, and so has who is one too many. */
	for (size_t i = 0; i < SENTRY_CLIENTS_MAX; i++) {
		socks[i] = client_open_at(a.at);
		assert_int_equal(client_ask(socks[i], stats, text, sizeof(text)).count, 1);
	}
	for (size_t i = 0; i < own; i++) {
		kept[i] = client_open_at(b.at);
		assert_int_equal(client_ask(kept[i], stats, text, sizeof(text)).count, 1);
	}
	kept[own] = client_open_at(b.at);
	client_say(kept[own], &stats, NULL, 0, NULL, 0);
	assert_int_equal(ask_at(h.address, stats).count, 1);
	(void)close(kept[0]);
	assert_true(client_hear(kept[own], &reply, text, sizeof(text)));
	/* One that joins may have a kept one of the first, and leaves it with its end. */
	leave(&b);
	await_silence(b.at);
	for (int i = 0; i < 20; i++) {
		must_join(&h, "c", "hold", &b);
		leave(&b);
		await_silence(b.at);
	}
	for (size_t i = 0; i < SENTRY_CLIENTS_MAX; i++)
		(void)close(socks[i]);
	for (size_t i = 1; i <= own; i++)
		(void)close(kept[i]);
	leave(&a);
	end(&h, 128 + SIGKILL);
}

/* Of the places that are kept for the first one's clients. */
static void who_joins_takes_its_place_along(void **state)
{
	static const struct sentry_request stats = { .type = SENTRY_STATS };
	int socks[SENTRY_CLIENTS_MAX + SENTRY_CLIENTS_KEPT - 1];
	struct harness h = { 0 };
	struct member m;

	(void)state;
	start(&h);
	for (size_t i = 0; i < sizeof(socks) / sizeof(socks[0]); i++) {
		socks[i] = client_open(&h);
		assert_int_equal(client_ask(socks[i], stats, NULL, 0).count, 1);
	}
	must_join(&h, "m", "hold", &m);
	assert_int_equal(ask_at(h.address, stats).count, 1);
	for (size_t i = 0; i < sizeof(socks) / sizeof(socks[0]); i++)
		(void)close(socks[i]);
	leave(&m);
	end(&h, 128 + SIGKILL);
}

static void the_end_of_the_first_is_that_of_all(void **state)
{
	struct harness h = { 0 };
	struct member a, b;

	(void)state;
	start(&h);
	must_join(&h, "a", "hold", &a);
	must_join(&h, "b", "hold", &b);
	must(a.at, SENTRY_START);
	must(h.address, SENTRY_SHUTDOWN);
	assert_int_equal(hear_exit(&a), 137);
	assert_int_equal(hear_exit(&b), 137);
	assert_int_equal(harness_wait(&h), 128 + SIGKILL);
	harness_stop(&h);
	leave(&a);
	leave(&b);
}

static void the_end_of_the_machine_is_told_to_all(void **state)
{
	struct harness h = { 0 };
	struct member m;

	(void)state;
	start(&h);
	must_join(&h, "m", "hold", &m);
	assert_int_equal(kill(harness_machine(&h), SIGKILL), 0);
	assert_int_equal(hear_exit(&m), 137);
	assert_int_equal(harness_wait(&h), 137);
	harness_stop(&h);
	leave(&m);
}

static void a_lack_of_memory_is_told_to_whom_it_concerns(void **state)
{
	const struct sentry_request watch = { .type = SENTRY_DEBUG, .value = VMM_DEBUG_OOM };
	struct harness h = { 0 };
	struct member a, b;
	struct sentry_reply reply;
	int first, of_a, of_b;

	(void)state;
	start(&h);
	must_join(&h, "a", "hold", &a);
	must_join(&h, "b", "oom", &b);
	first = client_open(&h);
	of_a = client_open_at(a.at);
	of_b = client_open_at(b.at);
	assert_int_equal(client_ask(first, watch, text, sizeof(text)).error, 0);
	assert_int_equal(client_ask(of_a, watch, text, sizeof(text)).error, 0);
	assert_int_equal(client_ask(of_b, watch, text, sizeof(text)).error, 0);
	must(b.at, SENTRY_START);
	assert_true(client_hear(of_b, &reply, text, sizeof(text)));
	assert_int_equal(recv(first, text, 1, MSG_DONTWAIT), -1);
	assert_int_equal(recv(of_a, text, 1, MSG_DONTWAIT), -1);
	assert_non_null(strstr(harness_log(&h), "container b: the kernel of its machine"));
	(void)close(first);
	(void)close(of_a);
	(void)close(of_b);
	leave(&a);
	leave(&b);
	end(&h, 128 + SIGKILL);
}

static void what_cannot_join_is_told_why(void **state)
{
	const struct sentry_request bare = { .type = VMM_JOIN };
	struct harness h = { 0 };
	struct member m, other;
	struct sentry_reply reply;
	int sock;

	(void)state;
	start(&h);
	must_join(&h, "m", "hold", &m);
	assert_int_equal(join(&h, "m", "hold", &other), -EEXIST);
	assert_non_null(strstr(text, "container m already"));
	leave(&other);
	assert_int_equal(join(&h, "c1", "hold", &other), -EEXIST);
	leave(&other);
	/* Once for a connection, and not by a container that joined. */
	assert_int_equal(client_join(m.sock, "n", "hold", (int[]){ null, null, null },
				     "caisson-member-twice", text, sizeof(text)),
			 -EBUSY);
	sock = client_open_at(m.at);
	assert_int_equal(client_join(sock, "n", "hold", (int[]){ null, null, null },
				     "caisson-member-below", text, sizeof(text)),
			 -EBUSY);
	(void)close(sock);
	assert_int_equal(ask_at(h.address, bare).error, -EPROTO);
	/* A description that somebody could change. */
	sock = client_open(&h);
	client_say(sock, &bare, NULL, 0, (int[]){ null, null, null, null, null, null }, 6);
	assert_true(client_hear(sock, &reply, text, sizeof(text)));
	assert_int_equal(reply.error, -EBADMSG);
	(void)close(sock);
	leave(&m);
	end(&h, 128 + SIGKILL);
}

static void there_are_only_so_many(void **state)
{
	struct harness h = { 0 };
	struct member all[63], one_more;
	const size_t len = sizeof(all) / sizeof(all[0]);

	(void)state;
	start(&h);
	for (size_t i = 0; i < len; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "m%zu", i);
		must_join(&h, id, "hold", &all[i]);
	}
	assert_int_equal(join(&h, "more", "hold", &one_more), -EMFILE);
	leave(&one_more);
	must(h.address, SENTRY_SHUTDOWN);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(hear_exit(&all[i]), 137);
		leave(&all[i]);
	}
	assert_int_equal(harness_wait(&h), 128 + SIGKILL);
	harness_stop(&h);
}

static void the_share_is_for_a_machine_that_was_made_for_it(void **state)
{
	const struct sentry_request share = { .type = VMM_SHARE };
	struct harness h = { 0 }, other = { .flags = VMM_SHARES };
	struct sentry_reply reply = { 0 };
	int sock, fds[2] = { -1, -1 };
	size_t len = 2;

	(void)state;
	start(&h);
	assert_int_equal(ask_at(h.address, share).error, -ENOTSUP);
	end(&h, 128 + SIGKILL);
	start(&other);
	sock = client_open(&other);
	client_say(sock, &share, NULL, 0, NULL, 0);
	assert_int_equal(fd_recv(sock, &reply, sizeof(reply), fds, &len), sizeof(reply));
	assert_int_equal(reply.type, VMM_SHARE);
	assert_int_equal(reply.error, 0);
	assert_int_equal(reply.value, 256);
	assert_int_equal(len, 2);
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)close(sock);
	end(&other, 128 + SIGKILL);
}

static void a_lie_about_one_ends_the_machine(void **state)
{
	static const struct {
		const char *mode, *says;
	} rows[] = {
		{ "twin", "the agent calls a new process 100" },
		{ "oom-of-nobody", "a lack of memory of a container that is none" },
		{ "exit-of-twin", "the agent tells the end of process 101, which is none" },
		{ "made-late", "a container that it had deleted" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct harness h = { .mode = rows[i].mode };
		const int fds[3] = { null, null, null };
		char at[64];
		int sock;

		start(&h);
		(void)snprintf(at, sizeof(at), "caisson-member-lie-%zu", i);
		sock = client_open(&h);
		client_say_join(sock, "m", "exit:3", fds, at);
		if (str_eq(rows[i].mode, "exit-of-twin")) {
			struct sentry_reply reply;

			assert_true(client_hear(sock, &reply, text, sizeof(text)));
			(void)ask_at(at, (struct sentry_request){ .type = SENTRY_START });
		}
		if (str_eq(rows[i].mode, "made-late")) {
			/* Until it is asked for. */
			(void)ask_at(at, (struct sentry_request){ .type = SENTRY_PS });
			(void)close(sock);
			sock = client_open(&h);
		}
		if (harness_wait(&h) != 137 || !strstr(harness_log(&h), rows[i].says))
			fail_msg("%s: %s", rows[i].mode, harness_log(&h));
		(void)close(sock);
		harness_stop(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_joins_has_a_life_of_its_own),
		cmocka_unit_test(the_connection_starts_and_signals_it),
		cmocka_unit_test(its_end_comes_with_that_of_its_connection),
		cmocka_unit_test(what_it_has_said_may_be_read_after_its_end),
		cmocka_unit_test(a_join_that_waits_is_ended_with_its_connection),
		cmocka_unit_test(each_has_connections_that_are_kept_for_it),
		cmocka_unit_test(who_joins_takes_its_place_along),
		cmocka_unit_test(the_end_of_the_first_is_that_of_all),
		cmocka_unit_test(the_end_of_the_machine_is_told_to_all),
		cmocka_unit_test(a_lack_of_memory_is_told_to_whom_it_concerns),
		cmocka_unit_test(what_cannot_join_is_told_why),
		cmocka_unit_test(there_are_only_so_many),
		cmocka_unit_test(the_share_is_for_a_machine_that_was_made_for_it),
		cmocka_unit_test(a_lie_about_one_ends_the_machine),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
