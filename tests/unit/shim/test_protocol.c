/* SPDX-License-Identifier: Apache-2.0 */
/* Which version `start` answers with, and what it finds out of a shim that is there. */
#include "shim/protocol.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "base/str.h"
#include "lib/unit.h"
#include "shim/address.h"
#include "shim/service.h"
#include "shim/shim.h"
#include "shim/ttrpc.h"

static void only_a_containerd_that_says_so_gets_version_3(void **state)
{
	static const char *const plain[] = { "", "2", "0", "-3", " 3", "3x", "x", "2.9" };
	static const char *const newest[] = { "3", "4", "99999999999999999999999" };

	(void)state;
	assert_int_equal(unsetenv(PROTOCOL_VARIABLE), 0);
	assert_int_equal(protocol_asked(), PROTOCOL_PLAIN);
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		assert_int_equal(setenv(PROTOCOL_VARIABLE, plain[i], 1), 0);
		assert_int_equal(protocol_asked(), PROTOCOL_PLAIN);
	}
	for (size_t i = 0; i < ARRAY_LEN(newest); i++) {
		assert_int_equal(setenv(PROTOCOL_VARIABLE, newest[i], 1), 0);
		assert_int_equal(protocol_asked(), PROTOCOL_NEWEST);
	}
}

static void the_answer_is_an_address_or_json(void **state)
{
	AUTO_FREE char *plain = protocol_answer("/run/s/0f", PROTOCOL_PLAIN);
	AUTO_FREE char *json = protocol_answer("/run/s/0f", PROTOCOL_NEWEST);

	(void)state;
	assert_string_equal(plain, "unix:///run/s/0f");
	assert_string_equal(json, "{\"version\":3,\"address\":\"unix:///run/s/0f\","
				  "\"protocol\":\"ttrpc\"}");
}

/* ---- A shim that is there ---- */

struct world {
	char dir[32], path[ADDRESS_MAX];
	int listener;
	pid_t shim; /* 0: none was started */
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err = { 0 };

	assert_non_null(w);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/protocol.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->path, sizeof(w->path), "%s/s", w->dir);
	w->listener = address_listen(w->path, &err);
	assert_true(w->listener >= 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	if (w->shim) {
		assert_int_equal(kill(w->shim, SIGKILL), 0);
		assert_int_equal(waitpid(w->shim, NULL, 0), w->shim);
	}
	(void)close(w->listener);
	(void)unlink(w->path);
	(void)rmdir(w->dir);
	free(w);
	return 0;
}

/* A process that offers the first `services` of the shim's. */
static void serve(struct world *w, size_t services)
{
	struct shim shim = { .ns = "n" };
	struct ttrpc_server *server = NULL;
	struct err err = { 0 };

	w->shim = fork();
	assert_true(w->shim >= 0);
	if (w->shim)
		return;
	list_init(&shim.tasks);
	if (loop_new(&shim.loop) == 0 &&
	    ttrpc_server_new(shim.loop, w->listener, (uint32_t)geteuid(), service_tasks, services,
			     &shim, &server, &err) == 0)
		(void)loop_run(shim.loop);
	_exit(1);
}

/* A process that answers its first connection with these bytes, and hangs up. */
static void say(struct world *w, const void *bytes, size_t len)
{
	int fd;

	w->shim = fork();
	assert_true(w->shim >= 0);
	if (w->shim)
		return;
	do
		fd = accept(w->listener, NULL, NULL);
	while (fd < 0);
	(void)!write(fd, bytes, len);
	(void)close(fd);
	for (;;)
		(void)pause();
}

static void nobody_speaks_version_3(void **state)
{
	(void)state;
	assert_int_equal(protocol_of_shim("/nowhere/s", PROTOCOL_NEWEST), PROTOCOL_PLAIN);
}

static void a_shim_that_says_nothing_speaks_version_2(void **state)
{
	struct world *w = *state;

	assert_int_equal(protocol_of_shim(w->path, PROTOCOL_NEWEST), PROTOCOL_PLAIN);
}

static void a_shim_that_answers_nonsense_speaks_version_2(void **state)
{
	static const char long_head[] = "\xff\xff\xff\xff\0\0\0\1\2\0";
	static const char of_another[] = "\0\0\0\0\0\0\0\3\2\0";
	static const char no_message[] = "\0\0\0\1\0\0\0\1\2\0\x0a";
	static const char cut[] = "\0\0\0\4\0\0\0\1\2\0\x0a";
	static const struct {
		const char *bytes;
		size_t len;
	} said[] = {
		{ "", 0 }, { long_head, 10 }, { of_another, 10 }, { no_message, 11 }, { cut, 11 }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		void *w = NULL;

		assert_int_equal(setup(&w), 0);
		say(w, said[i].bytes, said[i].len);
		assert_int_equal(protocol_of_shim(((struct world *)w)->path, PROTOCOL_NEWEST),
				 PROTOCOL_PLAIN);
		assert_int_equal(teardown(&w), 0);
	}
}

static void an_older_shim_speaks_version_2(void **state)
{
	struct world *w = *state;

	serve(w, 1);
	assert_int_equal(protocol_of_shim(w->path, PROTOCOL_NEWEST), PROTOCOL_PLAIN);
}

static void a_shim_of_now_speaks_version_3_when_asked(void **state)
{
	struct world *w = *state;

	serve(w, SERVICE_TASKS);
	assert_int_equal(protocol_of_shim(w->path, PROTOCOL_NEWEST), PROTOCOL_NEWEST);
	assert_int_equal(protocol_of_shim(w->path, PROTOCOL_PLAIN), PROTOCOL_PLAIN);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_containerd_that_says_so_gets_version_3),
		cmocka_unit_test(the_answer_is_an_address_or_json),
		cmocka_unit_test(nobody_speaks_version_3),
		CASE(a_shim_that_says_nothing_speaks_version_2),
		cmocka_unit_test(a_shim_that_answers_nonsense_speaks_version_2),
		CASE(an_older_shim_speaks_version_2),
		CASE(a_shim_of_now_speaks_version_3_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
