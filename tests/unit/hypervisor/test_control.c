/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's side is played: answers lie in the socket before the question, as a client that has asked
 * N questions numbers them from 1 on.
 */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "hypervisor/control.h"

static const struct hypervisor_ops *const ops = &hypervisor_qemu;

struct played {
	struct qmp *qmp;
	int qemu;
	int next; /* number of the next question */
};

static void play(struct played *p)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*p = (struct played){ .qemu = pair[1], .next = 1 };
	assert_int_equal(qmp_new(pair[0], NULL, NULL, &p->qmp), 0);
}

static void done(struct played *p)
{
	qmp_free(p->qmp);
	(void)close(p->qemu);
}

static void say(struct played *p, const char *what)
{
	char line[512];

	(void)snprintf(line, sizeof(line), "{%s, \"id\": %d}\n", what, p->next++);
	assert_int_equal(fd_write_all(p->qemu, line, strlen(line)), 0);
}

static void agree(struct played *p, int times)
{
	while (times--)
		say(p, "\"return\": {}");
}

static void refuse(struct played *p, const char *why)
{
	char text[256];

	(void)snprintf(text, sizeof(text),
		       "\"error\": {\"class\": \"GenericError\", \"desc\": \"%s\"}", why);
	say(p, text);
}

/* All that was asked; *ret_fds: how many descriptors came along. */
static const char *heard(struct played *p, size_t *ret_fds)
{
	static char text[8192];
	size_t len = 0;

	*ret_fds = 0;
	for (;;) {
		int fds[FD_PASS_MAX];
		size_t n = FD_PASS_MAX;
		ssize_t got;

		if (recv(p->qemu, text + len, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
			break;
		got = fd_recv(p->qemu, text + len, sizeof(text) - len - 1, fds, &n);
		assert_true(got > 0);
		len += (size_t)got;
		*ret_fds += n;
		while (n)
			(void)close(fds[--n]);
	}
	text[len] = '\0';
	return text;
}

static void a_fresh_machine_is_only_greeted(void **state)
{
	const struct machine m = { .role = MACHINE_FRESH };
	struct err err = { 0 };
	struct played p;
	unsigned int asked = 0;
	size_t fds;

	(void)state;
	play(&p);
	assert_int_equal(ops->greet(p.qmp, &m, &asked, &err), 0);
	assert_int_equal(asked, 1);
	assert_null(strstr(heard(&p, &fds), "migrate"));
	done(&p);
}

static void a_clone_is_set_going_without_waiting(void **state)
{
	const struct machine m = { .role = MACHINE_CLONE };
	struct err err = { 0 };
	struct played p;
	unsigned int asked = 0;
	const char *text;
	size_t fds;

	(void)state;
	play(&p);
	assert_int_equal(ops->greet(p.qmp, &m, &asked, &err), 0);
	assert_int_equal(asked, 3);
	text = heard(&p, &fds);
	assert_non_null(strstr(text, "x-ignore-shared"));
	assert_non_null(strstr(text, "\"fd:200\""));
	assert_int_equal(fds, 0);
	done(&p);
}

static void the_first_refusal_is_the_sentence_and_all_answers_are_read(void **state)
{
	struct err err = { 0 };
	struct played p;
	size_t fds;

	(void)state;
	play(&p);
	agree(&p, 1);
	refuse(&p, "no such file");
	refuse(&p, "no such state");
	assert_int_equal(ops->save(p.qmp, STDERR_FILENO, 30000, &err), -EREMOTEIO);
	assert_says(err, "getfd");
	assert_says(err, "no such file");
	(void)heard(&p, &fds);
	assert_int_equal(fds, 1);
	/* The next call has its own answer. */
	agree(&p, 1);
	assert_int_equal(ops->plug_memory(p.qmp, 0, &err), 0);
	done(&p);
}

static void files_are_a_descriptor_a_channel_and_a_device(void **state)
{
	unsigned int asked = 0;
	struct err err = { 0 };
	const char *text;
	struct played p;
	size_t fds;

	(void)state;
	play(&p);
	assert_int_equal(ops->ask_files(p.qmp, 1, STDERR_FILENO, &asked, &err), 0);
	assert_int_equal(asked, 3);
	text = heard(&p, &fds);
	assert_int_equal(fds, 1);
	assert_non_null(strstr(text, "vhost-user-fs-pci"));
	assert_non_null(strstr(text, "\"slot1\""));
	assert_int_equal(ops->ask_files(p.qmp, MACHINE_SLOTS_MAX, STDERR_FILENO, &asked, &err),
			 -EINVAL);
	assert_int_equal(asked, 0);
	done(&p);
}

/* Answers each question with the next of a list, whose last is for all that follow. */
struct script {
	struct played *played;
	const char *const *answers;
	char asked[1024];
};

static void *follow(void *arg)
{
	struct script *script = arg;
	const char *const *next = script->answers;
	size_t len = 0;
	char byte;

	while (recv(script->played->qemu, &byte, 1, 0) == 1) {
		if (len < sizeof(script->asked) - 1)
			script->asked[len++] = byte;
		if (byte != '\n')
			continue;
		say(script->played, *next);
		if (next[1])
			next++;
	}
	return NULL;
}

/* The client's save() by the script; what it returned. */
static int save_with(const char *const *answers, int timeout_ms, struct err *err)
{
	struct played p;
	struct script script = { .played = &p, .answers = answers };
	pthread_t thread;
	int r;

	play(&p);
	assert_int_equal(pthread_create(&thread, NULL, follow, &script), 0);
	r = ops->save(p.qmp, STDERR_FILENO, timeout_ms, err);
	qmp_free(p.qmp);
	assert_int_equal(pthread_join(thread, NULL), 0);
	(void)close(p.qemu);
	return r;
}

#define AGREED "\"return\": {}"
#define ACTIVE "\"return\": {\"status\": \"active\"}"

static void a_save_is_done_when_qemu_says_so(void **state)
{
	static const char *const answers[] = { AGREED, AGREED,
					       AGREED, ACTIVE,
					       ACTIVE, "\"return\": {\"status\": \"completed\"}",
					       NULL };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(save_with(answers, 30000, &err), 0);
}

static void a_save_that_fails_says_why(void **state)
{
	static const char *const failed[] = {
		AGREED,
		AGREED,
		AGREED,
		ACTIVE,
		"\"return\": {\"status\": \"failed\", \"error-desc\": \"no space\"}",
		NULL
	};
	static const char *const refused[] = {
		AGREED, AGREED,
		"\"error\": {\"class\": \"GenericError\", \"desc\": \"device does not migrate\"}",
		NULL
	};
	static const char *const silent[] = { AGREED, NULL };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(save_with(failed, 30000, &err), -EREMOTEIO);
	assert_says(err, "no space");
	assert_int_equal(save_with(refused, 30000, &err), -EREMOTEIO);
	assert_says(err, "device does not migrate");
	assert_int_equal(save_with(silent, 30000, &err), -EPROTO);
}

static void a_save_has_an_end(void **state)
{
	static const char *const answers[] = { AGREED, AGREED, AGREED, ACTIVE, NULL };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(save_with(answers, 20, &err), -ETIMEDOUT);
}

/* ---- Memory and CPUs ---- */

static void memory_is_asked_for_in_whole_blocks(void **state)
{
	struct err err = { 0 };
	struct played p;
	uint64_t there = 7;
	size_t fds;

	(void)state;
	play(&p);
	assert_int_equal(ops->plug_memory(p.qmp, 1, &err), -EINVAL);
	assert_int_equal(ops->plug_memory(p.qmp, UINT64_MAX - MACHINE_MEMORY_GRAIN + 1, &err),
			 -EINVAL);
	agree(&p, 1);
	assert_int_equal(ops->plug_memory(p.qmp, 6 * MACHINE_MEMORY_GRAIN, &err), 0);
	assert_non_null(strstr(heard(&p, &fds), "\"value\":12582912"));
	refuse(&p, "no room");
	assert_int_equal(ops->plug_memory(p.qmp, 0, &err), -EREMOTEIO);
	assert_says(err, "no room");
	say(&p, "\"return\": \"much\"");
	assert_int_equal(ops->plugged_memory(p.qmp, &there, &err), -EPROTO);
	say(&p, "\"return\": -1");
	assert_int_equal(ops->plugged_memory(p.qmp, &there, &err), -EPROTO);
	assert_int_equal(there, 7);
	say(&p, "\"return\": 2097152");
	assert_int_equal(ops->plugged_memory(p.qmp, &there, &err), 0);
	assert_int_equal(there, 2097152);
	done(&p);
}

static void a_machine_has_places_for_so_many_cpus(void **state)
{
	static const char places[] =
		"\"return\": [{\"type\": \"t\", \"props\": {\"core-id\": 2}}, "
		"{\"type\": \"t\", \"props\": {\"core-id\": 1}}, "
		"{\"type\": \"t\", \"props\": {\"core-id\": 0}, \"qom-path\": \"/m\"}]";
	struct err err = { 0 };
	struct played p;
	size_t fds;

	(void)state;
	play(&p);
	say(&p, places);
	assert_int_equal(ops->plug_cpus(p.qmp, 4, &err), -EINVAL);
	say(&p, "\"return\": [{\"type\": \"t\"}]");
	assert_int_equal(ops->plug_cpus(p.qmp, 1, &err), -EPROTO);
	say(&p, "\"return\": 5");
	assert_int_equal(ops->plug_cpus(p.qmp, 1, &err), -EINVAL);
	(void)heard(&p, &fds);
	/* Those that are there stay. */
	say(&p, places);
	assert_int_equal(ops->plug_cpus(p.qmp, 1, &err), 0);
	assert_null(strstr(heard(&p, &fds), "device_add"));
	done(&p);
}

#define PLACES                                                                             \
	"\"return\": [{\"type\": \"t\"}, {\"qom-path\": \"/2\"}, {\"qom-path\": \"/1\"}, " \
	"{\"qom-path\": \"/m\"}]"

static void cpus_above_a_number_are_asked_to_go_by_their_places(void **state)
{
	static const char *const answers[] = {
		PLACES,
		AGREED,
		PLACES,
		"\"error\": {\"class\": \"GenericError\", \"desc\": \"in the process of unplug\"}",
		PLACES,
		NULL
	};
	struct played p;
	struct script script = { .played = &p, .answers = answers };
	unsigned int there = 0;
	struct err err = { 0 };
	pthread_t thread;

	(void)state;
	play(&p);
	assert_int_equal(pthread_create(&thread, NULL, follow, &script), 0);
	assert_int_equal(ops->unplug_cpus(p.qmp, 2, &err), 0);
	assert_int_equal(ops->unplug_cpus(p.qmp, 1, &err), -EREMOTEIO);
	assert_non_null(strstr(err.msg, "in the process of unplug"));
	assert_int_equal(ops->plugged_cpus(p.qmp, &there, &err), 0);
	assert_int_equal(there, 3);
	qmp_free(p.qmp);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_non_null(strstr(script.asked, "\"cpu2\""));
	assert_null(strstr(script.asked, "\"cpu1\""));
	(void)close(p.qemu);
}

/* ---- The files of a template ---- */

static void a_copy_has_the_bytes_and_the_holes(void **state)
{
	char bytes[8192];
	int memory = -EBADF, copy = -EBADF;
	struct stat st;

	(void)state;
	memset(bytes, 'm', sizeof(bytes));
	assert_int_equal(machine_memory(64u << 20, &memory), 0);
	assert_int_equal(pwrite(memory, bytes, 8192, 4096), 8192);
	assert_int_equal(pwrite(memory, bytes, 4096, (64 << 20) - 4096), 4096);
	assert_int_equal(machine_seal(memory), 0);
	assert_int_equal(pwrite(memory, "x", 1, 0), -1);
	assert_int_equal(machine_copy(memory, &copy), 0);
	assert_int_equal(fstat(copy, &st), 0);
	assert_int_equal(st.st_size, 64 << 20);
	assert_true(st.st_blocks <= 64);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(pread(copy, bytes, 4096, 8192), 4096);
	assert_int_equal(bytes[4095], 'm');
	assert_int_equal(pread(copy, bytes, 4096, (64 << 20) - 4096), 4096);
	assert_int_equal(bytes[0], 'm');
	assert_int_equal(pread(copy, bytes, 4096, 0), 4096);
	assert_int_equal(bytes[4095], 0);
	/* It is the container's own. */
	assert_int_equal(pwrite(copy, "x", 1, 0), 1);
	(void)close(memory);
	(void)close(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fresh_machine_is_only_greeted),
		cmocka_unit_test(a_clone_is_set_going_without_waiting),
		cmocka_unit_test(the_first_refusal_is_the_sentence_and_all_answers_are_read),
		cmocka_unit_test(files_are_a_descriptor_a_channel_and_a_device),
		cmocka_unit_test(a_save_is_done_when_qemu_says_so),
		cmocka_unit_test(a_save_that_fails_says_why),
		cmocka_unit_test(a_save_has_an_end),
		cmocka_unit_test(memory_is_asked_for_in_whole_blocks),
		cmocka_unit_test(a_machine_has_places_for_so_many_cpus),
		cmocka_unit_test(cpus_above_a_number_are_asked_to_go_by_their_places),
		cmocka_unit_test(a_copy_has_the_bytes_and_the_holes),
	};

	return cmocka_run_group_tests_name("hypervisor/control", tests, NULL, NULL);
}
