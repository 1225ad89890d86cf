/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits in the kernel, or is much, and whom it keeps waiting: processes that read a slow file
 * and cannot be stopped or looked into, copies of volumes that are locked, many processes.
 */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/worker.h"
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

static pid_t agent_itself(void)
{
	char path[64];
	int pid = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)agent, (int)agent);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	(void)fclose(f);
	return pid;
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

static void need_slow_file(void)
{
	if (!world_has_slow_file) {
		print_message("skipped: no FUSE here: CAVEATS.md#test-fuse\n");
		skip();
	}
}

static void await_reads(unsigned int before)
{
	const int64_t end = clock_ms() + HOST_WAIT_MS;

	while (slowfile_reads() == before) {
		if (clock_ms() > end)
			fail_msg("nobody reads the slow file");
		(void)usleep(10000);
	}
}

/* Both calls are on their way before any is answered. */
static void a_signal_to_all_keeps_nobody_waiting(void **state)
{
	struct container_plan p = plan("stuck", "trap 'exit 5' TERM; (read x </slow/file) & "
						"echo ready; while :; do sleep 0.1; done");
	const struct agent_signal term = { .id = "stuck",
					   .signal = SIGTERM,
					   .flags = SENTRY_SIGNAL_ALL };
	const unsigned int before = slowfile_reads();
	uint32_t signalled, pinged;
	int32_t pid;

	(void)state;
	need_slow_file();
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

/* Workers that do not go, as if the kernel had them: nobody reaps who has a tracer. */
static pid_t held[WORKERS_MAX];
static size_t held_len;
static pid_t seen[4 * WORKERS_MAX]; /* these, and what they left */
static size_t seen_len;

static int let_go(void **state)
{
	(void)state;
	while (held_len > 0)
		(void)waitpid(held[--held_len], NULL, __WALL);
	slowfile_release();
	return 0;
}

/* Name and state; ' ' without a process. */
static char look_at(pid_t pid, char name[static 32])
{
	char path[64], state = ' ';
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	name[0] = '\0';
	if (f && fscanf(f, "%*d (%31[^)]) %c", name, &state) < 2)
		state = ' ';
	if (f)
		(void)fclose(f);
	return state;
}

static bool is_seen(pid_t pid)
{
	for (size_t i = 0; i < seen_len; i++) {
		if (seen[i] == pid)
			return true;
	}
	return false;
}

/* A child of the agent that is seen the first time and is a worker, or what one left; 0: none. */
static pid_t find_worker(void)
{
	char path[64], name[32];
	pid_t found = 0;
	int pid;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)agent_itself(),
		       (int)agent_itself());
	f = fopen(path, "re");
	assert_non_null(f);
	while (fscanf(f, "%d", &pid) == 1) {
		if (!is_seen(pid) && look_at(pid, name) != ' ' &&
		    strcmp(name, "caisson-worker") == 0)
			found = pid;
	}
	(void)fclose(f);
	assert_true(seen_len < ARRAY_LEN(seen));
	if (found)
		seen[seen_len++] = found;
	return found;
}

/* Whether a look finds one; what it leaves is seen when it is dead. */
static pid_t await_worker(void)
{
	const int64_t end = clock_ms() + HOST_WAIT_MS;
	pid_t pid;

	while ((pid = find_worker()) == 0) {
		if (clock_ms() > end)
			fail_msg("nobody serves");
		(void)usleep(1000);
	}
	return pid;
}

static void await_death(pid_t pid)
{
	const int64_t end = clock_ms() + HOST_WAIT_MS;
	char name[32];

	while (look_at(pid, name) != 'Z') {
		if (clock_ms() > end)
			fail_msg("it lives on");
		(void)usleep(1000);
	}
}

/* The container is stopped, or being stopped; or nobody does that any more. */
static void await_freeze(const char *id, pid_t worker)
{
	static const char *const files[][2] = { { "/freezer", "freezer.state" },
						{ "", "cgroup.freeze" } };
	char path[128], state[16], name[32], life;

	do {
		for (size_t i = 0; i < ARRAY_LEN(files); i++) {
			FILE *f;

			(void)snprintf(path, sizeof(path),
				       "/sys/fs/cgroup%s/caisson-agent-%d/%s/%s", files[i][0],
				       (int)getpid(), id, files[i][1]);
			f = fopen(path, "re");
			if (!f)
				continue;
			if (!fgets(state, sizeof(state), f))
				state[0] = '\0';
			(void)fclose(f);
			if (state[0] == 'F' || state[0] == '1')
				return;
		}
		life = look_at(worker, name);
	} while (life != ' ' && life != 'Z');
}

/* Its worker dies meanwhile, as for want of memory. Who is late tries again. */
static void who_was_stopped_for_a_signal_is_not_left_so(void **state)
{
	struct container_plan p = plan("left", "(read x </slow/file) & "
					       "while read x; do echo $x; done");
	const struct agent_signal winch = { .id = "left",
					    .signal = SIGWINCH,
					    .flags = SENTRY_SIGNAL_ALL };
	const int64_t end = clock_ms() + HOST_WAIT_MS;
	const unsigned int before = slowfile_reads();
	int32_t pid;
	int r;

	(void)state;
	need_slow_file();
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_send(&host, p.in, "begun\n");
	host_expect(&host, p.out, "begun");
	await_reads(before);
	do {
		uint32_t serial;
		pid_t worker;

		assert_true(clock_ms() < end);
		while (find_worker())
			;
		serial = host_begin(&host, AGENT_SIGNAL, &winch);
		worker = await_worker();
		await_freeze("left", worker);
		(void)kill(worker, SIGKILL);
		r = host_await(&host, serial);
	} while (r != -EPROTO);
	host_send(&host, p.in, "on\n");
	host_expect(&host, p.out, "on");
	/* It would read on. */
	container_kill(&host, &p, SIGKILL);
	slowfile_release();
	assert_int_equal(host_exited(&host, pid), 128 + SIGKILL);
	container_end(&host, &p);
}

/* ---- Who makes a container dies, or is not to ------------------------------------------------ */

/* The directory of a container's cgroup, in one hierarchy. */
static void name_cgroup(const char *id, char path[static 128])
{
	(void)snprintf(path, 128, "/sys/fs/cgroup%s/caisson-agent-%d%s%s",
		       access("/sys/fs/cgroup/freezer", F_OK) == 0 ? "/freezer" : "", (int)getpid(),
		       *id ? "/" : "", id);
}

/* As one that the kernel has killed for want of memory; or the host wants it no more. */
static void stop_making(bool cancel, uint32_t serial, pid_t worker)
{
	const struct agent_cancel call = { serial };

	if (cancel)
		host_must(&host, AGENT_CANCEL, &call, NULL);
	else
		(void)kill(worker, SIGKILL);
}

static void await_no_cgroup(const char *path)
{
	const int64_t end = clock_ms() + HOST_WAIT_MS;

	while (access(path, F_OK) == 0) {
		if (clock_ms() > end)
			fail_msg("%s is left", path);
		host_must(&host, AGENT_PING, NULL, NULL);
		(void)usleep(1000);
	}
}

/* Stopped when the cgroup is there; what was made by then is not what this is about. */
static void stop_making_until(bool cancel)
{
	struct container_plan p = plan("halfway", "sleep 1000");
	const int64_t end = clock_ms() + HOST_WAIT_MS;
	char path[128], name[32];
	int r;

	name_cgroup("halfway", path);
	do {
		uint32_t serial;
		pid_t worker;
		char life;

		assert_true(clock_ms() < end);
		while (find_worker())
			;
		serial = container_make_begin(&host, &p);
		worker = await_worker();
		do
			life = look_at(worker, name);
		while (access(path, F_OK) < 0 && life != ' ' && life != 'Z');
		stop_making(cancel, serial, worker);
		r = host_await(&host, serial);
		if (r == 0)
			container_end(&host, &p);
		await_no_cgroup(path);
	} while (r == 0);
	assert_int_equal(r, cancel ? -ECANCELED : -EPROTO);
	/* And the id is free, soon. */
	while (container_try(&host, &p, &(int32_t){ 0 }) < 0)
		assert_true(clock_ms() < end);
	container_end(&host, &p);
}

static void a_create_that_is_cancelled_leaves_nothing(void **state)
{
	(void)state;
	stop_making_until(true);
}

static void a_create_whose_worker_dies_leaves_nothing(void **state)
{
	(void)state;
	stop_making_until(false);
}

/* The first process of the one container that there is, by its number here. */
static pid_t only_child(void)
{
	char path[64], name[32];
	pid_t found = 0;
	int pid;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)agent_itself(),
		       (int)agent_itself());
	f = fopen(path, "re");
	assert_non_null(f);
	while (fscanf(f, "%d", &pid) == 1) {
		if (look_at(pid, name) != 'Z' && strcmp(name, "caisson-worker") != 0)
			found = pid;
	}
	(void)fclose(f);
	assert_true(found > 0);
	return found;
}

static void who_lives_in_a_cgroup_of_that_name_is_left_alone(void **state)
{
	struct container_plan first = plan("first", "sleep 1000"), p = plan("taken", "true");
	char path[128], procs[160], name[32];
	int32_t pid, ended;
	pid_t other;
	FILE *f;

	(void)state;
	/* What is not of the agent's pid namespace it does not see there. */
	pid = container_make(&host, &first);
	assert_int_equal(container_begin(&host, &first), 0);
	other = only_child();
	name_cgroup("taken", path);
	assert_int_equal(mkdir(path, 0755), 0);
	(void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	f = fopen(procs, "we");
	assert_non_null(f);
	(void)fprintf(f, "%d", (int)other);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(container_try(&host, &p, &ended), -EBUSY);
	says("taken");
	assert_int_equal(access(path, F_OK), 0);
	assert_true(look_at(other, name) == 'S');
	container_end(&host, &first);
	assert_int_equal(host_exited(&host, pid), 128 + SIGKILL);
	(void)container_make(&host, &p);
	container_end(&host, &p);
}

static uint32_t begin_slow_exec(const char *id)
{
	static const char config[] = "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"/\"},"
				     "\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\","
				     "\"args\":[\"/slow/file\"]}}";
	const struct agent_exec exec = { .id = id,
					 .config = { config, sizeof(config) - 1 },
					 .cgroup = "" };

	return host_begin(&host, AGENT_EXEC, &exec);
}

static void a_container_is_deleted_when_all_workers_hang(void **state)
{
	struct container_plan busy = plan("busy", "sleep 1000");
	struct container_plan other = plan("other", "sleep 1000");
	int32_t pid;

	(void)state;
	need_slow_file();
	(void)container_make(&host, &busy);
	(void)container_make(&host, &other);
	assert_int_equal(container_begin(&host, &busy), 0);
	assert_int_equal(container_begin(&host, &other), 0);
	while (held_len < ARRAY_LEN(held)) {
		uint32_t serial;

		while (find_worker())
			;
		serial = begin_slow_exec("busy");
		held[held_len] = await_worker();
		assert_int_equal(ptrace(PTRACE_SEIZE, held[held_len], NULL, NULL), 0);
		held_len++;
		host_must(&host, AGENT_CANCEL, &(const struct agent_cancel){ serial }, NULL);
		assert_true(host_await(&host, serial) < 0);
		await_death(held[held_len - 1]);
	}
	assert_int_equal(container_run(&host, &busy, "true", &pid), -EAGAIN);
	container_end(&host, &other);
	(void)let_go(NULL);
	container_end(&host, &busy);
	(void)container_make(&host, &other);
	container_end(&host, &other);
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
	const unsigned int before = slowfile_reads();
	int32_t pid;

	(void)state;
	need_slow_file();
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

/* ---- Pipes whose lock is kept: carrier.h ---- */

static void a_pipe_that_is_written_from_a_slow_file_keeps_nobody_waiting(void **state)
{
	struct container_plan p = plan("splices", "echo begun; /bin/lock-memory /slow/file write; "
						  "echo ended; exit 7");
	struct container_plan e = p;
	const unsigned int before = slowfile_reads();
	int32_t pid, other;
	char page[4096];

	(void)state;
	need_slow_file();
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	await_reads(before);
	host_must(&host, AGENT_PING, NULL, NULL);
	assert_int_equal(container_run(&host, &e, "echo beside", &other), 0);
	assert_int_equal(host_exited(&host, other), 0);
	assert_string_equal(host_text(&host, e.out), "beside\n");
	slowfile_release();
	assert_int_equal(host_exited(&host, pid), 7);
	memset(page, 0, sizeof(page));
	assert_true(host.streams[p.out].ended);
	assert_int_equal(host.streams[p.out].bytes.len, 6 + sizeof(page) + 6);
	assert_memory_equal(host.streams[p.out].bytes.data, "begun\n", 6);
	assert_memory_equal(host.streams[p.out].bytes.data + 6, page, sizeof(page));
	assert_memory_equal(host.streams[p.out].bytes.data + 6 + sizeof(page), "ended\n", 6);
	container_end(&host, &p);
}

static void a_pipe_that_is_kept_can_be_closed_outside(void **state)
{
	struct container_plan p = plan("gone", "/bin/lock-memory /slow/file write; exit 7");
	const unsigned int before = slowfile_reads();
	int32_t pid;

	(void)state;
	need_slow_file();
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	await_reads(before);
	assert_int_equal(mux_end(host.mux, p.out, EPIPE), 0);
	host_must(&host, AGENT_PING, NULL, NULL);
	slowfile_release();
	assert_int_equal(host_exited(&host, pid), 7);
	container_end(&host, &p);
}

static void a_pipe_that_is_read_into_a_slow_page_keeps_nobody_waiting(void **state)
{
	struct container_plan p = plan("reads", "/bin/lock-memory /slow/file read && exec cat");
	const unsigned int before = slowfile_reads();
	int32_t pid;

	(void)state;
	need_slow_file();
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_send(&host, p.in, "first ");
	await_reads(before);
	host_send(&host, p.in, "second ");
	host_end(&host, p.in);
	host_must(&host, AGENT_PING, NULL, NULL);
	slowfile_release();
	assert_int_equal(host_exited(&host, pid), 0);
	assert_string_equal(host_text(&host, p.out), "first second ");
	container_end(&host, &p);
}

/* ... by a process that outlives it: what was written before has come. */
static void the_end_of_a_process_is_told_while_a_pipe_of_its_is_kept(void **state)
{
	struct container_plan p = plan("kept", "sleep 1000"), e = p;
	const unsigned int before = slowfile_reads();
	int32_t pid;

	(void)state;
	need_slow_file();
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	e = p;
	assert_int_equal(container_run(&host, &e,
				       "echo before; echo also >&2; /bin/lock-memory /slow/file "
				       "write & read x; echo last >&2; exit 3",
				       &pid),
			 0);
	host_expect(&host, e.out, "before");
	await_reads(before);
	host_send(&host, e.in, "\n");
	assert_int_equal(host_exited(&host, pid), 3);
	assert_string_equal(host_text(&host, e.out), "before\n");
	assert_string_equal(host_text(&host, e.err), "also\nlast\n");
	slowfile_release();
	container_end(&host, &p);
}

static unsigned int kill_carriers(void)
{
	char path[64], name[32];
	unsigned int n = 0;
	int pid;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)agent_itself(),
		       (int)agent_itself());
	f = fopen(path, "re");
	assert_non_null(f);
	while (fscanf(f, "%d", &pid) == 1) {
		if (look_at(pid, name) != ' ' && strcmp(name, "caisson-carrier") == 0) {
			assert_int_equal(kill(pid, SIGKILL), 0);
			n++;
		}
	}
	(void)fclose(f);
	return n;
}

static void a_carrier_that_is_killed_ends_its_stream_alone(void **state)
{
	struct container_plan p = plan("robbed", "trap '' PIPE; echo begun; cat; "
						 "echo no || exit 8");
	struct container_plan e;
	int32_t pid, other;

	(void)state;
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_expect(&host, p.out, "begun");
	assert_int_equal(kill_carriers(), 3);
	assert_int_equal(host_exited(&host, pid), 8);
	assert_string_equal(host_text(&host, p.out), "begun\n");
	container_end(&host, &p);

	p = plan("robbed", "sleep 1000");
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	e = p;
	assert_int_equal(container_run(&host, &e, "echo beside", &other), 0);
	assert_int_equal(host_exited(&host, other), 0);
	assert_string_equal(host_text(&host, e.out), "beside\n");
	container_end(&host, &p);
}

static void who_writes_for_nobody_is_told_so(void **state)
{
	struct container_plan p = plan("alone", "sleep 1000"), e = p;
	int32_t pid;

	(void)state;
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	e = p;
	assert_int_equal(container_run(&host, &e, "exec yes", &pid), 0);
	host_expect(&host, e.out, "y\ny\n");
	assert_int_equal(mux_end(host.mux, e.out, EPIPE), 0);
	assert_int_equal(host_exited(&host, pid), 128 + SIGPIPE);
	container_end(&host, &p);
}

static void who_reads_no_more_ends_his_input(void **state)
{
	struct container_plan p = plan("deaf", "exec <&-; echo closed; sleep 1000");

	(void)state;
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_expect(&host, p.out, "closed");
	host_until(&host, host.streams[p.in].ended);
	assert_int_equal(host.streams[p.in].error, EPIPE);
	container_end(&host, &p);
}

static void a_standard_stream_is_a_pipe_that_can_be_opened_again(void **state)
{
	struct container_plan p = plan("opens", "for i in 0 1 2; do [ -p /proc/self/fd/$i ] || "
						"exit 2; done; echo out >/proc/self/fd/1; "
						"echo err >/proc/self/fd/2; "
						"read x </proc/self/fd/0; echo $x");
	int32_t pid;

	(void)state;
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_send(&host, p.in, "in\n");
	assert_int_equal(host_exited(&host, pid), 0);
	assert_string_equal(host_text(&host, p.out), "out\nin\n");
	assert_string_equal(host_text(&host, p.err), "err\n");
	container_end(&host, &p);
}

static void write_text(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
}

#define PIDS "/sys/fs/cgroup/pids"

/* The worker is one, and its first carrier is one too much. */
static void without_a_process_for_a_carrier_an_exec_fails(void **state)
{
	struct container_plan p = plan("few", "sleep 1000"), e = p;
	char directory[128], file[160], text[32];
	int32_t pid;

	(void)state;
	if (access(PIDS, W_OK) < 0) {
		print_message("skipped: no cgroup of v1 for pids: CAVEATS.md#unit-root\n");
		skip();
	}
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	(void)snprintf(directory, sizeof(directory), PIDS "/caisson-few-%d", (int)getpid());
	assert_int_equal(mkdir(directory, 0755), 0);
	(void)snprintf(file, sizeof(file), "%s/pids.max", directory);
	write_text(file, "2");
	(void)snprintf(file, sizeof(file), "%s/cgroup.procs", directory);
	(void)snprintf(text, sizeof(text), "%d", (int)agent_itself());
	write_text(file, text);
	e = p;
	assert_true(container_run(&host, &e, "true", &pid) < 0);
	says("fork");
	write_text(PIDS "/cgroup.procs", text);
	assert_int_equal(container_run(&host, &e, "exit 4", &pid), 0);
	assert_int_equal(host_exited(&host, pid), 4);
	container_end(&host, &p);
	while (rmdir(directory) < 0) {
		assert_int_equal(errno, EBUSY);
		host_must(&host, AGENT_PING, NULL, NULL);
	}
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
		cmocka_unit_test_teardown(who_was_stopped_for_a_signal_is_not_left_so, let_go),
		cmocka_unit_test(a_process_that_cannot_be_looked_into_is_listed_all_the_same),
		cmocka_unit_test(refreshes_that_hang_are_one_and_what_came_later_is_not_lost),
		cmocka_unit_test(a_create_that_is_cancelled_leaves_nothing),
		cmocka_unit_test(a_create_whose_worker_dies_leaves_nothing),
		cmocka_unit_test(who_lives_in_a_cgroup_of_that_name_is_left_alone),
		cmocka_unit_test_teardown(a_container_is_deleted_when_all_workers_hang, let_go),
		cmocka_unit_test(a_terminal_hangs_up_inside_when_it_has_outside),
		cmocka_unit_test(a_terminal_that_nobody_has_open_can_be_opened_again),
		cmocka_unit_test(a_terminal_that_is_closed_keeps_nobody_waiting),
		cmocka_unit_test_teardown(
			a_pipe_that_is_written_from_a_slow_file_keeps_nobody_waiting, let_go),
		cmocka_unit_test_teardown(a_pipe_that_is_kept_can_be_closed_outside, let_go),
		cmocka_unit_test_teardown(a_pipe_that_is_read_into_a_slow_page_keeps_nobody_waiting,
					  let_go),
		cmocka_unit_test_teardown(the_end_of_a_process_is_told_while_a_pipe_of_its_is_kept,
					  let_go),
		cmocka_unit_test(a_carrier_that_is_killed_ends_its_stream_alone),
		cmocka_unit_test(who_writes_for_nobody_is_told_so),
		cmocka_unit_test(who_reads_no_more_ends_his_input),
		cmocka_unit_test(a_standard_stream_is_a_pipe_that_can_be_opened_again),
		cmocka_unit_test(without_a_process_for_a_carrier_an_exec_fails),
		cmocka_unit_test(want_of_memory_is_told_before_the_end),
		cmocka_unit_test(as_many_execs_as_clients_have_room),
	};

	return world_run("agent/waits", tests, ARRAY_LEN(tests));
}
