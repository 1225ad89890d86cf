/* SPDX-License-Identifier: Apache-2.0 */
/* Observed status: the file names a process, the system says whether it is that one and lives. */
#include "runtimetest.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/str.h"
#include "host/pidfd.h"
#include "runtime/container.h"
#include "runtime/store.h"

/* A child that sleeps until it is killed. */
static pid_t sleeper(void)
{
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* A failed test leaves nobody behind who holds its output open. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void add(const struct test_root *root, const char *id, pid_t pid, uint64_t start_time)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "{\"stateVersion\":1,\"ociVersion\":\"1.0.0\",\"id\":\"%s\","
		       "\"isolation\":\"ns\",\"bundle\":\"/b\",\"rootfs\":\"/b/r\","
		       "\"created\":\"2026-11-21T10:00:00Z\",\"pid\":%d,\"startTime\":%llu,"
		       "\"owner\":0,\"privatePid\":true}",
		       id, (int)pid, (unsigned long long)start_time);
	test_root_add(root, id, text);
}

static struct container *load(const struct test_root *root, const char *id, bool lock)
{
	struct container *c = NULL;
	struct err err = { 0 };

	if (container_load(&root->rt, id, lock, &c, &err) < 0)
		fail_msg("load %s: %s", id, err.msg);
	return c;
}

/* Goal: a process that only has the number is left alone. */
static void a_reused_pid_is_neither_running_nor_killed(void **state)
{
	const pid_t pid = sleeper();
	struct test_root root;
	struct container *c;
	uint64_t start_time;
	struct err err = { 0 };
	int status;

	(void)state;
	test_root_make(&root);
	assert_int_equal(pid_start_time(pid, &start_time), 0);
	add(&root, "c1", pid, start_time - 1);
	c = load(&root, "c1", true);
	assert_int_equal(c->status, OCI_STOPPED);
	assert_int_equal(c->pid, 0);
	assert_int_equal(container_kill(c, SIGKILL, false, &err), -ESRCH);
	assert_string_equal(err.msg, "container not running");
	/* As if it had been reused between the observation and the signal. */
	c->pid = pid;
	assert_int_equal(container_kill(c, SIGKILL, false, &err), -ESRCH);
	assert_int_equal(container_delete(c, true, &err), 0);
	container_free(c);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	end(pid);
	test_root_remove(&root);
}

static void a_zombie_is_stopped(void **state)
{
	const pid_t pid = sleeper();
	struct test_root root;
	struct container *c;
	uint64_t start_time;
	siginfo_t info;

	(void)state;
	test_root_make(&root);
	assert_int_equal(pid_start_time(pid, &start_time), 0);
	add(&root, "c1", pid, start_time);
	c = load(&root, "c1", false);
	assert_int_equal(c->status, OCI_RUNNING);
	assert_int_equal(c->pid, pid);
	container_free(c);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	c = load(&root, "c1", false);
	assert_int_equal(c->status, OCI_STOPPED);
	container_free(c);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	test_root_remove(&root);
}

static void mark_and_gate_tell_creating_created_and_running_apart(void **state)
{
	const pid_t pid = sleeper();
	struct test_root root;
	struct container *c;
	uint64_t start_time;
	struct err err = { 0 };
	int creator;

	(void)state;
	test_root_make(&root);
	assert_int_equal(pid_start_time(pid, &start_time), 0);
	add(&root, "c1", pid, start_time);
	test_root_touch(&root, "c1", "start.sock");
	c = load(&root, "c1", false);
	assert_int_equal(fchmod(c->dir_fd, 01711), 0);
	creator = openat(c->root_fd, "c1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(creator, LOCK_EX), 0);
	container_observe(c);
	assert_int_equal(c->status, OCI_CREATING);
	/* The creator was killed after the gate had opened. */
	(void)close(creator);
	container_observe(c);
	assert_int_equal(c->status, OCI_CREATED);
	assert_int_equal(store_finish(c->dir_fd, &err), 0);
	container_observe(c);
	assert_int_equal(c->status, OCI_CREATED);
	assert_int_equal(unlinkat(c->dir_fd, "start.sock", 0), 0);
	container_observe(c);
	assert_int_equal(c->status, OCI_RUNNING);
	container_free(c);
	end(pid);
	test_root_remove(&root);
}

static void without_a_pid_it_is_creating_only_while_its_creator_holds_the_lock(void **state)
{
	struct test_root root;
	struct container *c;
	char path[128];
	int creator;

	(void)state;
	test_root_make(&root);
	add(&root, "c1", 0, 0);
	(void)snprintf(path, sizeof(path), "%s/c1", root.path);
	creator = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(creator, LOCK_EX), 0);
	c = load(&root, "c1", false);
	assert_int_equal(c->status, OCI_CREATING);
	container_free(c);
	(void)close(creator);
	c = load(&root, "c1", false);
	assert_int_equal(c->status, OCI_STOPPED);
	container_free(c);
	test_root_remove(&root);
}

static void refusals_use_the_words_of_runc(void **state)
{
	const pid_t pid = sleeper();
	struct test_root root;
	struct container *c;
	uint64_t start_time;
	struct err err = { 0 };

	(void)state;
	test_root_make(&root);
	assert_int_equal(pid_start_time(pid, &start_time), 0);
	add(&root, "c1", pid, start_time);
	c = load(&root, "c1", true);
	assert_int_equal(container_delete(c, false, &err), -EBUSY);
	assert_string_equal(err.msg, "cannot delete container c1 that is not stopped: running");
	assert_true(container_start(c, &err) < 0);
	assert_string_equal(err.msg, "cannot start an already running container");
	assert_true(container_resume(c, &err) < 0);
	assert_string_equal(err.msg, "container not paused");
	container_free(c);
	end(pid);
	c = load(&root, "c1", true);
	assert_true(container_start(c, &err) < 0);
	assert_string_equal(err.msg, "cannot start a container that has stopped");
	assert_true(container_pause(c, &err) < 0);
	assert_string_equal(err.msg, "container not running");
	container_free(c);
	test_root_remove(&root);
}

/* Goal: delete --force ends the process; kill and wait work without being its parent's helper. */
static void force_ends_the_process_and_removes_the_directory(void **state)
{
	const pid_t pid = sleeper();
	struct test_root root;
	uint64_t start_time;
	struct err err = { 0 };
	char path[128];
	int status;

	(void)state;
	test_root_make(&root);
	assert_int_equal(pid_start_time(pid, &start_time), 0);
	add(&root, "c1", pid, start_time);
	assert_int_equal(container_delete_force(&root.rt, "c1", &err), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	(void)snprintf(path, sizeof(path), "%s/c1", root.path);
	assert_int_equal(access(path, F_OK), -1);
	test_root_remove(&root);
}

static void wait_tells_how_the_process_ended(void **state)
{
	const pid_t pid = sleeper();
	struct test_root root;
	struct container *c;
	uint64_t start_time;
	struct err err = { 0 };
	int status = 0;

	(void)state;
	test_root_make(&root);
	assert_int_equal(pid_start_time(pid, &start_time), 0);
	add(&root, "c1", pid, start_time);
	c = load(&root, "c1", false);
	assert_int_equal(container_kill(c, SIGTERM, false, &err), 0);
	assert_int_equal(container_wait(c, &status, &err), 0);
	assert_int_equal(status, 128 + SIGTERM);
	container_free(c);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	c = load(&root, "c1", false);
	assert_int_equal(container_wait(c, &status, &err), 0);
	assert_int_equal(status, -1);
	container_free(c);
	test_root_remove(&root);
}

static void a_list_is_sorted_and_skips_what_is_no_container(void **state)
{
	struct test_root root;
	struct container **list = NULL;
	struct err err = { 0 };
	size_t len = 0;

	(void)state;
	test_root_make(&root);
	assert_int_equal(container_list(&root.rt, &list, &len, &err), 0);
	assert_int_equal(len, 0);
	container_list_free(list, len);
	add(&root, "b", 0, 0);
	add(&root, "a", 0, 0);
	test_root_add(&root, "broken", "not json");
	test_root_add(&root, "@seccomp", NULL);
	test_root_add(&root, "half", NULL);
	assert_int_equal(container_list(&root.rt, &list, &len, &err), 0);
	assert_int_equal(len, 2);
	assert_string_equal(list[0]->id, "a");
	assert_string_equal(list[1]->id, "b");
	container_list_free(list, len);
	/* Who removes what nobody has must know of all. */
	assert_true(container_list_all(&root.rt, &list, &len, &err) < 0);
	assert_true(str_after(err.msg, "list containers: ") && strstr(err.msg, "state.json"));
	assert_null(list);
	test_root_remove(&root);
	test_root_make(&root);
	add(&root, "a", 0, 0);
	test_root_add(&root, "half", NULL);
	assert_int_equal(container_list_all(&root.rt, &list, &len, &err), 0);
	assert_int_equal(len, 1);
	container_list_free(list, len);
	test_root_remove(&root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reused_pid_is_neither_running_nor_killed),
		cmocka_unit_test(a_zombie_is_stopped),
		cmocka_unit_test(refusals_use_the_words_of_runc),
		cmocka_unit_test(
			without_a_pid_it_is_creating_only_while_its_creator_holds_the_lock),
		cmocka_unit_test(mark_and_gate_tell_creating_created_and_running_apart),
		cmocka_unit_test(force_ends_the_process_and_removes_the_directory),
		cmocka_unit_test(wait_tells_how_the_process_ended),
		cmocka_unit_test(a_list_is_sorted_and_skips_what_is_no_container),
	};

	return cmocka_run_group_tests_name("runtime/container", tests, NULL, NULL);
}
