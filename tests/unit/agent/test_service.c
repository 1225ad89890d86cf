/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that the agent does that does not need a machine. */
#include "lib/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "world.h"

/* ---- What cannot be ------------------------------------------------------------------------- */

static void refused(struct container_plan *p, const char *words)
{
	int32_t pid;

	assert_true(container_try(&host, p, &pid) < 0);
	says(words);
}

static void what_cannot_be_made_is_refused_and_leaves_nothing(void **state)
{
	const struct agent_storage outside = {
		.source = "none", .target = "/tmp/x", .type = "tmpfs", .options = ""
	};
	const struct agent_storage unknown = {
		.source = "none", .target = "/run/caisson/x", .type = "nofs", .options = ""
	};
	struct container_plan p = plan("refused", "true");

	(void)state;
	p.id = "a/b";
	refused(&p, "no id");
	p = plan("refused", "true");
	p.root = "/nowhere";
	refused(&p, "/nowhere");
	p.root = "relative";
	refused(&p, "not absolute");
	p = plan("refused", "true");
	p.more = ",\"mounts\":7";
	refused(&p, "config.json");
	p.more = NULL;
	p.storage = &outside;
	refused(&p, "/tmp/x");
	p.storage = &unknown;
	refused(&p, "nofs");
	p.storage = NULL;
	/* The id is free. */
	(void)container_make(&host, &p);
	container_end(&host, &p);
}

static void an_unknown_container_is_not_found(void **state)
{
	const struct agent_container call = { "nobody" };

	(void)state;
	assert_int_equal(host_ask(&host, AGENT_START, &call, NULL), -ENOENT);
	says("nobody");
	assert_int_equal(host_ask(&host, AGENT_PS, &call, NULL), -ENOENT);
	assert_int_equal(host_ask(&host, AGENT_DELETE, &call, NULL), -ENOENT);
}

static void a_program_that_is_missing_is_named(void **state)
{
	struct container_plan p = plan("missing", "true");
	int32_t pid = container_make(&host, &p);
	const struct agent_signal nobody = { .id = "missing", .pid = 1, .signal = SIGTERM };

	(void)state;
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(host_exited(&host, pid), 0);
	assert_int_equal(container_run(&host, &p, "true", &pid), -ESRCH);
	assert_int_equal(host_ask(&host, AGENT_SIGNAL, &nobody, NULL), -ESRCH);
	container_end(&host, &p);
}

static void an_id_is_taken_once(void **state)
{
	struct container_plan p = plan("twice", "sleep 1000"), q = p;
	const int32_t pid = container_make(&host, &p);

	(void)state;
	refused(&q, "there already");
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(container_begin(&host, &p), -EINVAL);
	container_kill(&host, &p, SIGKILL);
	assert_int_equal(host_exited(&host, pid), 128 + SIGKILL);
	container_end(&host, &p);
}

/* ---- Containers of a pod -------------------------------------------------------------------- */

#define OF(id, kind) "{\"type\":\"" kind "\",\"path\":\"/container/" id "\"}"

static void a_container_shares_the_namespaces_of_another_until_it_ends(void **state)
{
	struct container_plan first =
		plan("first", "echo -n pod >/proc/self/comm; echo ready; read x");
	struct container_plan p = plan("second", "hostname; cat /proc/1/comm");
	int32_t pid, other;

	(void)state;
	first.more = ",\"hostname\":\"of-the-pod\"";
	pid = container_make(&host, &first);
	assert_int_equal(container_begin(&host, &first), 0);
	host_expect(&host, first.out, "ready");
	p.namespaces = OF("first", "uts") "," OF("first", "ipc") "," OF("first", "pid");
	other = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(host_exited(&host, other), 0);
	assert_string_equal(host_text(&host, p.out), "of-the-pod\npod\n");
	/* Its end is its own. */
	container_end(&host, &p);
	p.namespaces = OF("nobody", "uts");
	refused(&p, "nobody");
	p.namespaces = OF("first", "time");
	refused(&p, "linux.namespaces: time");
	container_kill(&host, &first, SIGKILL);
	assert_int_equal(host_exited(&host, pid), 128 + SIGKILL);
	p.namespaces = OF("first", "uts");
	refused(&p, "container first has ended");
	container_end(&host, &first);
}

static void a_tree_that_nobody_has_mounted_is_named(void **state)
{
	const struct agent_storage tree = { .source = "none",
					    .target = "/run/caisson/tree",
					    .type = AGENT_STORAGE_TREE,
					    .options = "" };
	struct container_plan p = plan("tree", "true");

	(void)state;
	p.storage = &tree;
	refused(&p, "/run/caisson/tree");
}

/* The next container's directories are others: they would fill the machine. */
static void where_something_was_mounted_nothing_stays(void **state)
{
	const struct agent_storage upper = {
		.source = "tmpfs", .target = "/run/caisson/p1/upper", .type = "tmpfs", .options = ""
	};
	const struct agent_storage again = { .source = "/run/caisson/p1",
					     .target = "/run/caisson/again",
					     .type = "bind",
					     .options = "" };
	struct container_plan p = plan("places", "true");
	int32_t pid;

	(void)state;
	p.storage = &upper;
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(host_exited(&host, pid), 0);
	container_end(&host, &p);
	p.storage = &again;
	refused(&p, "No such file or directory");
}

/* ---- A container's life --------------------------------------------------------------------- */

static void streams_and_exit_code_come_back(void **state)
{
	struct container_plan p = plan("streams", "echo out; echo err >&2; cat; exit 7");
	const int32_t pid = container_make(&host, &p);

	(void)state;
	host_send(&host, p.in, "in\n");
	host_end(&host, p.in);
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(host_exited(&host, pid), 7);
	assert_string_equal(host_text(&host, p.out), "out\nin\n");
	assert_string_equal(host_text(&host, p.err), "err\n");
	container_end(&host, &p);
}

/* More than pipes and credit hold. */
static void all_that_was_written_comes_before_the_end_is_told(void **state)
{
	struct container_plan p = plan("much", "head -c 3000000 /dev/zero | tr '\\\\0' x");
	const int32_t pid = container_make(&host, &p);

	(void)state;
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(host_exited(&host, pid), 0);
	assert_true(host.streams[p.out].ended);
	assert_int_equal(host.streams[p.out].bytes.len, 3000000);
	container_end(&host, &p);
}

static void a_process_beside_has_streams_and_a_code_of_its_own(void **state)
{
	struct container_plan p = plan("exec", "sleep 1000"), e = p;
	const int32_t pid = container_make(&host, &p);
	int32_t beside;

	(void)state;
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(container_run(&host, &e, "cat; echo e >&2; exit 3", &beside), 0);
	assert_true(beside > 0 && beside != pid);
	host_send(&host, e.in, "beside");
	host_end(&host, e.in);
	assert_int_equal(host_exited(&host, beside), 3);
	assert_string_equal(host_text(&host, e.out), "beside");
	assert_string_equal(host_text(&host, e.err), "e\n");
	container_kill(&host, &p, SIGKILL);
	assert_int_equal(host_exited(&host, pid), 137);
	container_end(&host, &p);
}

static void who_keeps_the_pipe_does_not_delay_the_end(void **state)
{
	struct container_plan p = plan("keeper", "sleep 1000"), e = p;
	int32_t beside;

	(void)state;
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(container_run(&host, &e, "sleep 1000 & echo told", &beside), 0);
	assert_int_equal(host_exited(&host, beside), 0);
	assert_string_equal(host_text(&host, e.out), "told\n");
	container_end(&host, &p);
}

static void delete_ends_what_still_runs(void **state)
{
	struct container_plan p = plan("running", "sleep 1000"), e = p;
	const int32_t pid = container_make(&host, &p);
	int32_t beside;

	(void)state;
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(container_run(&host, &e, "sleep 1000", &beside), 0);
	container_end(&host, &p);
	assert_int_equal(host_exited(&host, pid), 137);
	assert_int_equal(host_exited(&host, beside), 137);
}

static void a_debug_shell_has_limits_and_ends_with_its_container(void **state)
{
	struct container_plan p = plan("shell", "sleep 1000"), e;
	const int32_t pid = container_make(&host, &p);
	int32_t shell;

	(void)state;
	/* Not where it was not allowed. */
	assert_int_equal(container_begin(&host, &p), 0);
	e = p;
	e.shell = true;
	assert_int_equal(container_run(&host, &e, "true", &shell), -EPERM);
	container_end(&host, &p);
	assert_int_equal(host_exited(&host, pid), 137);
	p.shell = true;
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	e = p;
	assert_int_equal(container_run(&host, &e, "cat /proc/self/cgroup", &shell), 0);
	assert_int_equal(host_exited(&host, shell), 0);
	assert_non_null(strstr(host_text(&host, e.out), "-shells/shell\n"));
	assert_int_equal(container_run(&host, &e, "sleep 1000", &shell), 0);
	container_end(&host, &p);
	assert_int_equal(host_exited(&host, shell), 137);
}

static void signals_reach_one_or_all(void **state)
{
	struct container_plan p = plan("signals", "trap 'exit 5' TERM; while :; do sleep 1; done");
	struct container_plan e = p;
	struct agent_signal call = { .id = "signals", .signal = SIGTERM };
	const int32_t pid = container_make(&host, &p);
	int32_t beside;

	(void)state;
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(container_run(&host, &e, "echo ready; sleep 1000", &beside), 0);
	host_expect(&host, e.out, "ready");
	call.pid = beside;
	host_must(&host, AGENT_SIGNAL, &call, NULL);
	assert_int_equal(host_exited(&host, beside), 128 + SIGTERM);
	call.pid = 0;
	call.flags = SENTRY_SIGNAL_TTY;
	assert_int_equal(host_ask(&host, AGENT_SIGNAL, &call, NULL), -ENOTTY);
	call.flags = SENTRY_SIGNAL_ALL;
	call.signal = SIGKILL;
	host_must(&host, AGENT_SIGNAL, &call, NULL);
	assert_int_equal(host_exited(&host, pid), 137);
	container_end(&host, &p);
}

static void a_terminal_has_a_size_and_a_foreground_group(void **state)
{
	struct container_plan p = plan("terminal", "stty size; read x; stty size; cat; true");
	struct agent_resize resize = { .id = "terminal", .rows = 30, .cols = 100 };
	const struct agent_signal call = { .id = "terminal",
					   .signal = SIGINT,
					   .flags = SENTRY_SIGNAL_TTY };
	int32_t pid;

	(void)state;
	p.terminal = true;
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_expect(&host, p.out, "24 80");
	host_must(&host, AGENT_RESIZE, &resize, NULL);
	host_send(&host, p.in, "go\n");
	host_expect(&host, p.out, "30 100");
	host_send(&host, p.in, "echo of a cat\n");
	host_expect(&host, p.out, "echo of a cat\necho of a cat\n");
	host_must(&host, AGENT_SIGNAL, &call, NULL);
	/* The shell is process 1 of its namespace, which no SIGINT ends; the cat has ended. */
	(void)host_exited(&host, pid);
	assert_true(host.streams[p.out].ended);
	container_end(&host, &p);
}

static void hooks_run_inside_at_the_start(void **state)
{
	struct container_plan p = plan("hooks", "cat /tmp/hook");
	int32_t pid;

	(void)state;
	p.more = ",\"hooks\":{\"startContainer\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\","
		 "\"cat > /tmp/hook\"]}]}";
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(host_exited(&host, pid), 0);
	assert_non_null(strstr(host_text(&host, p.out), "\"id\": \"hooks\""));
	container_end(&host, &p);
}

static void a_hook_that_fails_is_named_and_one_that_waits_stops_nobody(void **state)
{
	struct container_plan p = plan("badhook", "true");
	const struct agent_container container = { "badhook" };
	uint32_t serial;

	(void)state;
	p.more = ",\"hooks\":{\"startContainer\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\","
		 "\"echo because >&2; exit 9\"]}]}";
	(void)container_make(&host, &p);
	assert_true(container_begin(&host, &p) < 0);
	says("because");
	container_end(&host, &p);
	p.more = ",\"hooks\":{\"startContainer\":[{\"path\":\"/bin/sleep\",\"args\":[\"sleep\","
		 "\"1000\"]}]}";
	(void)container_make(&host, &p);
	serial = host_begin(&host, AGENT_START, &container);
	container_kill(&host, &p, SIGKILL);
	assert_true(host_await(&host, serial) < 0);
	container_end(&host, &p);
}

static void a_start_under_way_is_answered_when_the_container_goes(void **state)
{
	struct container_plan p = plan("gone", "true");
	const struct agent_container container = { "gone" };
	uint32_t serial;

	(void)state;
	p.more = ",\"hooks\":{\"startContainer\":[{\"path\":\"/bin/sleep\",\"args\":[\"sleep\","
		 "\"1000\"]}]}";
	(void)container_make(&host, &p);
	serial = host_begin(&host, AGENT_START, &container);
	container_end(&host, &p);
	assert_true(host_await(&host, serial) < 0);
}

static void a_paused_container_waits(void **state)
{
	struct container_plan p = plan("paused", "echo a; read x; echo b");
	const struct agent_container container = { "paused" };
	const int32_t pid = container_make(&host, &p);
	struct agent_processes list;

	(void)state;
	assert_int_equal(container_begin(&host, &p), 0);
	host_expect(&host, p.out, "a\n");
	host_must(&host, AGENT_PAUSE, &container, NULL);
	host_send(&host, p.in, "x\n");
	host_must(&host, AGENT_PS, &container, &list);
	assert_int_equal(list.len, 1);
	assert_string_equal(host.streams[p.out].bytes.data, "a\n");
	host_must(&host, AGENT_RESUME, &container, NULL);
	assert_int_equal(host_exited(&host, pid), 0);
	assert_string_equal(host_text(&host, p.out), "a\nb\n");
	container_end(&host, &p);
}

/* ---- Calls that wait ------------------------------------------------------------------------ */

/* In a container that stands still no program begins. */
static void make_still(struct container_plan *p)
{
	const struct agent_container container = { p->id };

	(void)container_make(&host, p);
	assert_int_equal(container_begin(&host, p), 0);
	host_must(&host, AGENT_PAUSE, &container, NULL);
}

static bool is_answered(uint32_t serial)
{
	for (unsigned int i = 0; i < HOST_EVENTS; i++) {
		if (host.answers[i].serial == serial)
			return true;
	}
	return false;
}

static void an_exec_that_waits_keeps_nobody_waiting(void **state)
{
	struct container_plan p = plan("slow", "sleep 1000"), e = p,
			      q = plan("quick", "sleep 1000");
	const struct agent_container container = { "slow" };
	struct agent_processes list;
	struct agent_stats stats;
	uint32_t serial;

	(void)state;
	make_still(&p);
	serial = container_run_begin(&host, &e, "echo through");
	for (int i = 0; i < 3; i++) {
		host_must(&host, AGENT_PING, NULL, NULL);
		host_must(&host, AGENT_PS, &container, &list);
		host_must(&host, AGENT_STATS, &container, &stats);
	}
	(void)container_make(&host, &q);
	assert_int_equal(container_begin(&host, &q), 0);
	container_end(&host, &q);
	assert_false(is_answered(serial));
	host_must(&host, AGENT_RESUME, &container, NULL);
	assert_int_equal(host_await(&host, serial), 0);
	assert_string_equal(host_text(&host, e.out), "through\n");
	container_end(&host, &p);
}

static void what_is_typed_before_the_terminal_is_there_is_kept(void **state)
{
	struct container_plan p = plan("early", "sleep 1000"), e = p;
	const struct agent_container container = { "early" };
	uint32_t serial;

	(void)state;
	make_still(&p);
	e.terminal = true;
	serial = container_run_begin(&host, &e, "read x; echo got $x");
	host_send(&host, e.in, "words\n");
	host_must(&host, AGENT_PING, NULL, NULL);
	host_must(&host, AGENT_RESUME, &container, NULL);
	assert_int_equal(host_await(&host, serial), 0);
	host_expect(&host, e.out, "got words");
	container_end(&host, &p);
}

static void an_exec_that_is_cancelled_is_answered_at_once(void **state)
{
	struct container_plan p = plan("cancel", "sleep 1000"), e = p;
	const struct agent_container container = { "cancel" };
	struct agent_cancel cancel = { 77777 };
	struct agent_processes list;
	uint32_t serial;

	(void)state;
	make_still(&p);
	host_must(&host, AGENT_CANCEL, &cancel, NULL);
	cancel.serial = serial = container_run_begin(&host, &e, "sleep 999");
	host_must(&host, AGENT_CANCEL, &cancel, NULL);
	assert_int_equal(host_await(&host, serial), -ECANCELED);
	host_must(&host, AGENT_RESUME, &container, NULL);
	do
		host_must(&host, AGENT_PS, &container, &list);
	while (list.len > 1);
	/* An answered one is no longer to be cancelled. */
	cancel.serial = serial = container_run_begin(&host, &e, "sleep 999");
	assert_int_equal(host_await(&host, serial), 0);
	host_must(&host, AGENT_CANCEL, &cancel, NULL);
	host_must(&host, AGENT_PS, &container, &list);
	assert_int_equal(list.len, 2);
	container_end(&host, &p);
}

static void execs_that_wait_end_with_their_container(void **state)
{
	struct container_plan p = plan("ends", "sleep 1000"), e = p;
	uint32_t serials[8];

	(void)state;
	make_still(&p);
	for (size_t i = 0; i < ARRAY_LEN(serials); i++)
		serials[i] = container_run_begin(&host, &e, "true");
	container_end(&host, &p);
	for (size_t i = 0; i < ARRAY_LEN(serials); i++)
		assert_true(host_await(&host, serials[i]) < 0);
}

/* The id is free afterwards. */
static void a_container_is_deleted_while_it_is_made(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct container_plan p = plan("half", "sleep 1000");
		const struct agent_container container = { "half" };
		uint32_t made, deleted;
		int r;

		made = container_make_begin(&host, &p);
		deleted = host_begin(&host, AGENT_DELETE, &container);
		r = host_await(&host, made);
		assert_true(r == 0 || r == -ECANCELED);
		(void)host_await(&host, deleted);
		assert_int_equal(host_ask(&host, AGENT_DELETE, &container, NULL), -ENOENT);
	}
}

static void limits_are_updated_and_counted(void **state)
{
	static const char json[] = "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"/\"},\"linux\":{"
				   "\"resources\":{\"memory\":{\"limit\":33554432}}}}";
	const struct agent_update update = { "limits", { json, sizeof(json) - 1 } };
	const struct agent_container container = { "limits" };
	struct container_plan p = plan("limits", "sleep 1000");
	struct agent_stats stats;

	(void)state;
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_must(&host, AGENT_STATS, &container, &stats);
	assert_true(stats.memory_limit == 64 << 20);
	assert_int_equal(stats.pids, 1);
	assert_true(stats.pids_limit == UINT64_MAX);
	host_must(&host, AGENT_UPDATE, &update, NULL);
	host_must(&host, AGENT_STATS, &container, &stats);
	assert_true(stats.memory_limit == 32 << 20);
	container_end(&host, &p);
}

#define ECHOES                                                            \
	"busybox ifconfig lo up; busybox nc -ll -p 8001 -e cat & "        \
	"until busybox nc 127.0.0.1 8001 </dev/null; do sleep 0.1; done;" \
	"echo ready; wait"

static struct agent_forward forward_to(uint32_t port, uint32_t in, uint32_t out)
{
	const struct agent_forward f = { .id = "ports", .port = port, .in = in, .out = out };

	host_stream(&host, in);
	host_stream(&host, out);
	return f;
}

/* In a network namespace of the container's own, whose loopback device is meant. */
static void a_port_of_a_container_is_reached_through_two_streams(void **state)
{
	struct container_plan p = plan("ports", ECHOES);
	struct agent_forward f = forward_to(8001, 901, 902);
	uint32_t serial;

	(void)state;
	f.id = "nobody";
	assert_int_equal(host_ask(&host, AGENT_FORWARD, &f, NULL), -ENOENT);
	p.namespaces = "{\"type\":\"pid\"},{\"type\":\"network\"}";
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_expect(&host, p.out, "ready");
	f = forward_to(8002, 903, 904);
	assert_int_equal(host_ask(&host, AGENT_FORWARD, &f, NULL), -ECONNREFUSED);
	says("port 8002");
	f = forward_to(8001, 905, 906);
	host_must(&host, AGENT_FORWARD, &f, NULL);
	host_send(&host, 905, "word\n");
	host_expect(&host, 906, "word\n");
	host_end(&host, 905);
	assert_string_equal(host_text(&host, 906), "word\n");
	/* All that is said may have been so before the answer. */
	f = forward_to(8001, 907, 908);
	serial = host_begin(&host, AGENT_FORWARD, &f);
	host_send(&host, 907, "early\n");
	host_end(&host, 907);
	assert_int_equal(host_await(&host, serial), 0);
	assert_string_equal(host_text(&host, 908), "early\n");
	container_kill(&host, &p, SIGKILL);
	container_end(&host, &p);
}

static void connections_have_a_bound(void **state)
{
	struct container_plan p = plan("ports", ECHOES);
	struct agent_forward f;

	(void)state;
	p.namespaces = "{\"type\":\"pid\"},{\"type\":\"network\"}";
	(void)container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	host_expect(&host, p.out, "ready");
	for (uint32_t i = 0; i < AGENT_FORWARDS_MAX; i++) {
		f = forward_to(8001, 500 + 2 * i, 501 + 2 * i);
		host_must(&host, AGENT_FORWARD, &f, NULL);
	}
	f = forward_to(8001, 700, 701);
	assert_int_equal(host_ask(&host, AGENT_FORWARD, &f, NULL), -EMFILE);
	host_end(&host, 500);
	assert_string_equal(host_text(&host, 501), "");
	f = forward_to(8001, 702, 703);
	host_must(&host, AGENT_FORWARD, &f, NULL);
	/* They break with the container, whose processes they were. */
	container_kill(&host, &p, SIGKILL);
	(void)host_text(&host, 703);
	container_end(&host, &p);
}

/* As after the restore of a template. */
static void a_new_host_finds_the_containers_without_their_streams(void **state)
{
	struct container_plan p = plan("kept", "echo a; sleep 1000");
	const int32_t pid = container_make(&host, &p);

	(void)state;
	assert_int_equal(container_begin(&host, &p), 0);
	host_expect(&host, p.out, "a\n");
	host_close(&host);
	host_open(&host, dup(channel));
	container_kill(&host, &p, SIGKILL);
	assert_int_equal(host_exited(&host, pid), 137);
	container_end(&host, &p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_made_is_refused_and_leaves_nothing),
		cmocka_unit_test(an_unknown_container_is_not_found),
		cmocka_unit_test(a_program_that_is_missing_is_named),
		cmocka_unit_test(an_id_is_taken_once),
		cmocka_unit_test(a_container_shares_the_namespaces_of_another_until_it_ends),
		cmocka_unit_test(a_tree_that_nobody_has_mounted_is_named),
		cmocka_unit_test(where_something_was_mounted_nothing_stays),
		cmocka_unit_test(streams_and_exit_code_come_back),
		cmocka_unit_test(all_that_was_written_comes_before_the_end_is_told),
		cmocka_unit_test(a_process_beside_has_streams_and_a_code_of_its_own),
		cmocka_unit_test(who_keeps_the_pipe_does_not_delay_the_end),
		cmocka_unit_test(delete_ends_what_still_runs),
		cmocka_unit_test(a_debug_shell_has_limits_and_ends_with_its_container),
		cmocka_unit_test(signals_reach_one_or_all),
		cmocka_unit_test(a_terminal_has_a_size_and_a_foreground_group),
		cmocka_unit_test(hooks_run_inside_at_the_start),
		cmocka_unit_test(a_hook_that_fails_is_named_and_one_that_waits_stops_nobody),
		cmocka_unit_test(a_start_under_way_is_answered_when_the_container_goes),
		cmocka_unit_test(a_paused_container_waits),
		cmocka_unit_test(an_exec_that_waits_keeps_nobody_waiting),
		cmocka_unit_test(what_is_typed_before_the_terminal_is_there_is_kept),
		cmocka_unit_test(an_exec_that_is_cancelled_is_answered_at_once),
		cmocka_unit_test(execs_that_wait_end_with_their_container),
		cmocka_unit_test(a_container_is_deleted_while_it_is_made),
		cmocka_unit_test(limits_are_updated_and_counted),
		cmocka_unit_test(a_port_of_a_container_is_reached_through_two_streams),
		cmocka_unit_test(connections_have_a_bound),
		cmocka_unit_test(a_new_host_finds_the_containers_without_their_streams),
	};

	return world_run("agent/service", tests, ARRAY_LEN(tests));
}
