/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard streams that are pipes (agent/carrier.h): also one whose lock somebody keeps keeps
 * nobody waiting.
 */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "slowfile.h"
#include "world.h"

/* A container whose program reads the slow file with a pipe locked; given `input`, if not NULL. */
static int32_t begin_locking(struct container_plan *p, const char *input)
{
	const unsigned int before = need_slow_file();
	const int32_t pid = container_make(&host, p);

	assert_int_equal(container_begin(&host, p), 0);
	if (input)
		host_send(&host, p->in, input);
	await_reads(before);
	return pid;
}

static void a_pipe_that_is_written_from_a_slow_file_keeps_nobody_waiting(void **state)
{
	struct container_plan p = plan("splices", "echo begun; /bin/lock-memory /slow/file write; "
						  "echo ended; exit 7");
	struct container_plan e;
	int32_t pid, other;
	char page[4096];

	(void)state;
	pid = begin_locking(&p, NULL);
	e = p;
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
	int32_t pid;

	(void)state;
	pid = begin_locking(&p, NULL);
	assert_int_equal(mux_end(host.mux, p.out, EPIPE), 0);
	host_must(&host, AGENT_PING, NULL, NULL);
	slowfile_release();
	assert_int_equal(host_exited(&host, pid), 7);
	container_end(&host, &p);
}

static void a_pipe_that_is_read_into_a_slow_page_keeps_nobody_waiting(void **state)
{
	struct container_plan p = plan("reads", "/bin/lock-memory /slow/file read && exec cat");
	int32_t pid;

	(void)state;
	pid = begin_locking(&p, "first ");
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
	const unsigned int before = need_slow_file();
	int32_t pid;

	(void)state;
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
	/* The end of the one may be seen before that of the other. */
	struct container_plan p = plan("robbed", "trap '' PIPE; echo begun; cat; "
						 "while echo no; do :; done; exit 8");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			a_pipe_that_is_written_from_a_slow_file_keeps_nobody_waiting,
			slowfile_let_go),
		cmocka_unit_test_teardown(a_pipe_that_is_kept_can_be_closed_outside,
					  slowfile_let_go),
		cmocka_unit_test_teardown(a_pipe_that_is_read_into_a_slow_page_keeps_nobody_waiting,
					  slowfile_let_go),
		cmocka_unit_test_teardown(the_end_of_a_process_is_told_while_a_pipe_of_its_is_kept,
					  slowfile_let_go),
		cmocka_unit_test(a_carrier_that_is_killed_ends_its_stream_alone),
		cmocka_unit_test(who_writes_for_nobody_is_told_so),
		cmocka_unit_test(who_reads_no_more_ends_his_input),
		cmocka_unit_test(a_standard_stream_is_a_pipe_that_can_be_opened_again),
		cmocka_unit_test(without_a_process_for_a_carrier_an_exec_fails),
	};

	return world_run("agent/carriers", tests, ARRAY_LEN(tests));
}
