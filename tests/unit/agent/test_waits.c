/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits in the kernel, or is much, and whom it keeps waiting: processes that read a slow file
 * and cannot be stopped or looked into, copies of volumes that are locked, many processes,
 * terminals.
 */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "slowfile.h"
#include "world.h"

#define EXECS 260

/* How many answers had come before this one; all of them while it has not. */
static unsigned int place_of(uint32_t serial)
{
	for (unsigned int i = 0; i < host.answers_len && i < HOST_EVENTS; i++) {
		if (host.answers[i].serial == serial)
			return i;
	}
	return UINT_MAX;
}

static unsigned int children_of(pid_t parent)
{
	unsigned int n = 0;
	char path[64];
	int pid;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fscanf(f, "%d", &pid) == 1)
		n++;
	(void)fclose(f);
	return n;
}

/* Both calls are on their way before any is answered. */
static void a_signal_to_all_keeps_nobody_waiting(void **state)
{
	struct container_plan p = plan("stuck", "trap 'exit 5' TERM; (read x </slow/file) & "
						"echo ready; while :; do sleep 0.1; done");
	const struct agent_signal term = { .id = "stuck",
					   .signal = SIGTERM,
					   .flags = SENTRY_SIGNAL_ALL };
	const unsigned int before = need_slow_file();
	uint32_t signalled, pinged;
	int32_t pid;

	(void)state;
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_expect(&host, p.out, "ready");
	await_reads(before);
	signalled = host_begin(&host, AGENT_SIGNAL, &term);
	pinged = host_begin(&host, AGENT_PING, NULL);
	assert_int_equal(host_await(&host, signalled), 0);
	assert_int_equal(host_await(&host, pinged), 0);
	assert_true(place_of(pinged) < place_of(signalled));
	/* It cannot end before. */
	slowfile_release();
	assert_int_equal(host_exited(&host, pid), 5);
	container_end(&host, &p);
}

static bool is_listed(const struct agent_processes *list, const char *command)
{
	struct sentry_ps item;

	for (uint32_t i = 0; i < list->len; i++) {
		memcpy(&item, (const char *)list->items + i * sizeof(item), sizeof(item));
		if (strcmp(item.command, command) == 0)
			return true;
	}
	return false;
}

/* Its memory is locked while a file is slow: it is listed, with its name. */
static void a_process_that_cannot_be_looked_into_is_listed_all_the_same(void **state)
{
	struct container_plan p = plan("hidden", "/bin/lock-memory /slow/other & wait");
	const struct agent_container container = { "hidden" };
	const int64_t end = clock_ms() + HOST_WAIT_MS;
	struct agent_processes list;
	uint32_t listed, pinged;

	(void)state;
	need_slow_file();
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_expect(&host, p.out, "begun");
	do {
		if (clock_ms() > end)
			fail_msg("its memory is not locked");
		host_must(&host, AGENT_PS, &container, &list);
		assert_int_equal(list.len, 3);
	} while (!is_listed(&list, "[lock-memory]"));
	assert_true(is_listed(&list, "/bin/sh -c /bin/lock-memory /slow/other & wait"));
	listed = host_begin(&host, AGENT_PS, &container);
	pinged = host_begin(&host, AGENT_PING, NULL);
	assert_int_equal(host_await(&host, pinged), 0);
	assert_int_equal(host_await(&host, listed), 0);
	assert_true(place_of(pinged) < place_of(listed));
	slowfile_release();
	container_end(&host, &p);
}

static int lock_copy(const char *target)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/root%s", (int)agent_itself(), target);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	return fd;
}

static void write_file(const char *directory, const char *name)
{
	char path[192];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	(void)close(fd);
}

static void refreshes_that_hang_are_one_and_what_came_later_is_not_lost(void **state)
{
	char source[] = "/tmp/caisson-volume-XXXXXX", command[64];
	const struct agent_storage copy = { .source = source,
					    .target = "/run/caisson/volume",
					    .type = AGENT_STORAGE_COPY,
					    .options = "" };
	const struct agent_container container = { "volumes" };
	struct container_plan p = plan("volumes", "sleep 1000");
	int lock;

	(void)state;
	assert_non_null(mkdtemp(source));
	p.storage = &copy;
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	lock = lock_copy(copy.target);
	for (int i = 0; i < 30; i++)
		host_must(&host, AGENT_REFRESH, &container, NULL);
	/* The container's first process with three carriers, and who waits for the lock; others
	   have ended soon. */
	for (const int64_t end = clock_ms() + HOST_WAIT_MS; children_of(agent_itself()) > 5;) {
		if (clock_ms() > end)
			fail_msg("%u processes", children_of(agent_itself()));
		(void)usleep(10000);
	}
	write_file(source, "late");
	host_must(&host, AGENT_REFRESH, &container, NULL);
	assert_int_equal(flock(lock, LOCK_UN), 0);
	for (const int64_t end = clock_ms() + HOST_WAIT_MS; faccessat(lock, "late", F_OK, 0) < 0;) {
		if (clock_ms() > end)
			fail_msg("what was written last did not come");
		host_must(&host, AGENT_PING, NULL, NULL);
		(void)usleep(10000);
	}
	(void)close(lock);
	container_end(&host, &p);
	(void)snprintf(command, sizeof(command), "rm -rf %s", source);
	assert_int_equal(system(command), 0);
}

static void as_many_execs_as_clients_have_room(void **state)
{
	struct container_plan p = plan("many", "sleep 1000"), e = p;
	int32_t pid;

	(void)state;
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	for (int i = 0; i < EXECS; i++) {
		e = p;
		if (container_run(&host, &e, "sleep 1000", &pid) < 0)
			fail_msg("exec %d: %s", i, host.answer.data);
	}
	/* What they have themselves is what the agent began with. */
	assert_int_equal(container_run(&host, &e, "ulimit -n", &pid), 0);
	assert_int_equal(host_exited(&host, pid), 0);
	assert_string_equal(host_text(&host, e.out), "1024\n");
	container_end(&host, &p);
}

static void a_terminal_hangs_up_inside_when_it_has_outside(void **state)
{
	struct container_plan p = plan("hangup", "trap 'exit 9' HUP; echo ready; "
						 "while :; do sleep 0.1; done");
	int32_t pid;

	(void)state;
	p.terminal = true;
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_expect(&host, p.out, "ready");
	host_end(&host, p.in);
	assert_int_equal(host_exited(&host, pid), 9);
	container_end(&host, &p);
}

static void a_terminal_that_nobody_has_open_can_be_opened_again(void **state)
{
	struct container_plan p = plan("again", "exec </dev/null >/dev/null 2>&1; "
						"for i in 1 2 3 4 5; do sleep 0.1; "
						"echo back$i >/dev/console; done; sleep 0.1; "
						"read x </dev/console; exit $x");
	int32_t pid;

	(void)state;
	p.terminal = true;
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_expect(&host, p.out, "back5");
	host_send(&host, p.in, "6\n");
	assert_int_equal(host_exited(&host, pid), 6);
	assert_true(host.streams[p.out].ended);
	container_end(&host, &p);
}

/* Somebody writes to it out of a file that is slow, and the kernel waits for him. */
static void a_terminal_that_is_closed_keeps_nobody_waiting(void **state)
{
	struct container_plan p = plan("writes", "trap '' HUP; /bin/lock-memory /slow/file write; "
						 "exit 7");
	const unsigned int before = need_slow_file();
	int32_t pid;

	(void)state;
	p.terminal = true;
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	await_reads(before);
	host_end(&host, p.in);
	host_until(&host, host.streams[p.out].ended);
	host_must(&host, AGENT_PING, NULL, NULL);
	slowfile_release();
	assert_int_equal(host_exited(&host, pid), 7);
	container_end(&host, &p);
}

static void want_of_memory_is_told_before_the_end(void **state)
{
	struct container_plan p = plan("starved", "x=$(yes); echo no"), e = p;
	int32_t pid;

	(void)state;
	p.command = "sleep 1000";
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host.ooms = 0;
	assert_int_equal(container_run(&host, &e, "x=$(yes); echo no", &pid), 0);
	assert_int_equal(host_exited(&host, pid), 128 + SIGKILL);
	assert_true(host.ooms_before_exit > 0);
	container_end(&host, &p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signal_to_all_keeps_nobody_waiting),
		cmocka_unit_test(a_process_that_cannot_be_looked_into_is_listed_all_the_same),
		cmocka_unit_test(refreshes_that_hang_are_one_and_what_came_later_is_not_lost),
		cmocka_unit_test(a_terminal_hangs_up_inside_when_it_has_outside),
		cmocka_unit_test(a_terminal_that_nobody_has_open_can_be_opened_again),
		cmocka_unit_test(a_terminal_that_is_closed_keeps_nobody_waiting),
		cmocka_unit_test(want_of_memory_is_told_before_the_end),
		cmocka_unit_test(as_many_execs_as_clients_have_room),
	};

	return world_run("agent/waits", tests, ARRAY_LEN(tests));
}
