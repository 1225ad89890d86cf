/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's workers (agent/worker.h) that die, are not wanted any more or do not come back: what
 * they had begun does not stay.
 */
#include "lib/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/worker.h"
#include "base/clock.h"
#include "host/pidfd.h"
#include "slowfile.h"
#include "world.h"

/* Workers that do not go, as if the kernel had them: nobody reaps who has a tracer. */
static pid_t held[WORKERS_MAX];
static size_t held_len;
static struct {
	pid_t pid;
	uint64_t start;	 /* numbers come again */
} seen[4 * WORKERS_MAX]; /* these, and what they left */
static size_t seen_len;

static int let_go(void **state)
{
	(void)state;
	while (held_len > 0)
		(void)waitpid(held[--held_len], NULL, __WALL);
	slowfile_release();
	return 0;
}

static bool is_seen(pid_t pid, uint64_t start)
{
	for (size_t i = 0; i < seen_len; i++) {
		if (seen[i].pid == pid && seen[i].start == start)
			return true;
	}
	return false;
}

/* A child of the agent that is seen the first time and is a worker, or what one left; 0: none. */
static pid_t find_worker(void)
{
	char path[64], name[32];
	pid_t found = 0;
	uint64_t start;
	int pid;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)agent_itself(),
		       (int)agent_itself());
	f = fopen(path, "re");
	assert_non_null(f);
	while (found == 0 && fscanf(f, "%d", &pid) == 1) {
		if (pid_start_time(pid, &start) < 0 || is_seen(pid, start) ||
		    look_at(pid, name) == ' ' || strcmp(name, "caisson-worker") != 0)
			continue;
		assert_true(seen_len < ARRAY_LEN(seen));
		seen[seen_len].pid = found = pid;
		seen[seen_len++].start = start;
	}
	(void)fclose(f);
	return found;
}

/*
 * Who serves this call; 0: it was answered before anybody was seen. What it leaves is seen when it
 * is dead.
 */
static pid_t await_worker(uint32_t serial)
{
	const int64_t end = clock_ms() + HOST_WAIT_MS;
	pid_t pid;

	while ((pid = find_worker()) == 0 && !host_answered(&host, serial)) {
		if (clock_ms() > end)
			fail_msg("nobody serves");
		host_must(&host, AGENT_PING, NULL, NULL);
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
	const struct agent_signal kill_all = { .id = "left",
					       .signal = SIGKILL,
					       .flags = SENTRY_SIGNAL_ALL };
	const int64_t end = clock_ms() + HOST_WAIT_MS;
	const unsigned int before = need_slow_file();
	int32_t pid;
	int r;

	(void)state;
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
		worker = await_worker(serial);
		if (worker > 0) {
			await_freeze("left", worker);
			(void)kill(worker, SIGKILL);
		}
		r = host_await(&host, serial);
	} while (r != -EPROTO);
	host_send(&host, p.in, "on\n");
	host_expect(&host, p.out, "on");
	/* Also the reader: who is killed when the first process gets to its end reads on before. */
	host_must(&host, AGENT_SIGNAL, &kill_all, NULL);
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
		worker = await_worker(serial);
		do
			life = worker > 0 ? look_at(worker, name) : ' ';
		while (access(path, F_OK) < 0 && life != ' ' && life != 'Z');
		if (worker > 0)
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
		held[held_len] = await_worker(serial);
		assert_true(held[held_len] > 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(who_was_stopped_for_a_signal_is_not_left_so, let_go),
		cmocka_unit_test(a_create_that_is_cancelled_leaves_nothing),
		cmocka_unit_test(a_create_whose_worker_dies_leaves_nothing),
		cmocka_unit_test(who_lives_in_a_cgroup_of_that_name_is_left_alone),
		cmocka_unit_test_teardown(a_container_is_deleted_when_all_workers_hang, let_go),
	};

	return world_run("agent/workers", tests, ARRAY_LEN(tests));
}
