/* SPDX-License-Identifier: Apache-2.0 */
/* shim/manage_metrics.c - figures of the pod's containers and of the shim, which is our parent. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "metrics/families.h"
#include "runtime/container_metrics.h"
#include "shim/manage.h"
#include "shim/shim.h"

#define PROC_PATH_MAX  64u
#define PROC_BYTES_MAX (64u << 10)

#define GAUGE(name, help)                                 \
	&(const struct metrics_kind)                      \
	{                                                 \
		"caisson_shim_" name, METRICS_GAUGE, help \
	}
#define COUNTER(name, help)                                 \
	&(const struct metrics_kind)                        \
	{                                                   \
		"caisson_shim_" name, METRICS_COUNTER, help \
	}

/* The sum of the lines of smaps_rollup that begin with `prefix`, in bytes (proc(5)). */
static uint64_t sum_of(const char *text, const char *prefix)
{
	uint64_t sum = 0;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		const char *rest;
		unsigned long long kib;

		line += *line == '\n';
		rest = str_after(line, prefix);
		rest = rest ? strchr(rest, ':') : NULL;
		if (rest && sscanf(rest, ": %llu kB", &kib) == 1)
			sum += kib << 10;
	}
	return sum;
}

static void add_memory(struct metrics *m, const char *labels, pid_t pid)
{
	AUTO_BUF struct buf text = { .max = PROC_BYTES_MAX };
	char path[PROC_PATH_MAX];

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	if (fd_read_file(AT_FDCWD, path, &text) < 0 || !text.data)
		return;
	metrics_add(m, GAUGE("memory_private_bytes", "Memory that it shares with nobody."), labels,
		    sum_of(text.data, "Private_"));
	metrics_add(m, GAUGE("memory_resident_bytes", "Memory that it has."), labels,
		    sum_of(text.data, "Rss"));
}

static void add_process(struct metrics *m, const char *labels, pid_t pid)
{
	struct timespec cpu;
	char path[PROC_PATH_MAX];
	uint64_t descriptors = 0;
	clockid_t clock;
	DIR *dir;

	if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &cpu) == 0)
		metrics_add_ns(m, COUNTER("cpu_seconds_total", "Its time on a CPU."), labels,
			       (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec);
	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return;
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
		descriptors += e->d_name[0] != '.';
	(void)closedir(dir);
	metrics_add(m, GAUGE("descriptors", "Descriptors that it has open."), labels, descriptors);
}

static void add_tasks(struct metrics *m, const char *labels, const struct shim *s)
{
	uint64_t tasks = 0, execs = 0;
	const struct task *t;
	const struct proc *p;

	list_for_each(t, &s->tasks, node)
	{
		tasks++;
		list_for_each(p, &t->execs, node) execs++;
	}
	metrics_add(m, GAUGE("containers", "Containers that it has."), labels, tasks);
	metrics_add(m, GAUGE("exec_processes", "Processes of exec that it has."), labels, execs);
}

static void add_calls(struct metrics *m, const char *labels, const struct shim *s)
{
	const struct ttrpc_counts calls = ttrpc_server_counts(s->server);
	const struct publisher_counts events = publisher_counts(s->publisher);

	metrics_add(m, COUNTER("calls_total", "Calls of containerd."), labels, calls.calls);
	metrics_add(m, GAUGE("calls_waiting", "Of them, those without an answer yet."), labels,
		    calls.waiting);
	metrics_add(m, GAUGE("connections", "Connections of containerd."), labels,
		    calls.connections);
	metrics_add(m, COUNTER("workers_started_total", "Processes for calls that may wait."),
		    labels, s->workers_started);
	metrics_add(m, GAUGE("workers", "Of them, those at work; one has made this text."), labels,
		    s->workers_len);
	metrics_add(m, COUNTER("events_told_total", "Events that containerd was told."), labels,
		    events.told);
	metrics_add(m, COUNTER("events_forgotten_total", "Events that nobody took."), labels,
		    events.forgotten);
	metrics_add(m, GAUGE("events_waiting", "Events that wait for containerd."), labels,
		    events.waiting);
}

static void add_requests(struct metrics *m, const char *labels, const struct manage *manage)
{
	const struct http_counts n = manage_counts(manage);

	metrics_add(m, COUNTER("requests_answered_total", "Requests that got what they asked for."),
		    labels, n.answered);
	metrics_add(m, COUNTER("requests_refused_total", "Requests that were refused."), labels,
		    n.refused);
}

static void add_loop(struct metrics *m, const char *labels, const struct shim *s)
{
	const struct loop_counts loop = loop_counts(s->loop);

	metrics_add(m, COUNTER("loop_rounds_total", "Times that its loop woke up."), labels,
		    loop.rounds);
	metrics_add_ns(m, COUNTER("loop_busy_seconds_total", "Time between waking and waiting."),
		       labels, loop.busy_ns);
	metrics_add_ns(m, GAUGE("loop_longest_seconds", "The longest of these times."), labels,
		       loop.longest_ns);
}

/* Who asks has come by the management socket. -ENOMEM */
static int add_own(struct metrics *m, const struct shim *s)
{
	const pid_t pid = getppid();
	AUTO_BUF struct buf labels = { 0 };
	AUTO_BUF struct buf more = { 0 };

	metrics_label(&labels, "namespace", s->ns);
	metrics_label(&labels, "group", s->group);
	if (buf_error(&labels))
		return buf_error(&labels);
	buf_append(&more, labels.data, labels.len);
	metrics_label(&more, "version", CAISSON_VERSION);
	if (buf_error(&more))
		return buf_error(&more);
	metrics_add(m, GAUGE("info", "The version of the shim."), more.data, 1);
	add_tasks(m, labels.data, s);
	add_memory(m, labels.data, pid);
	add_process(m, labels.data, pid);
	add_calls(m, labels.data, s);
	add_requests(m, labels.data, s->manage);
	add_loop(m, labels.data, s);
	return 0;
}

static int print(const struct metrics *m, int r, struct buf *out, struct err *err)
{
	if (r == 0)
		r = metrics_print(m, out);
	return r < 0 ? err_sys(err, r, "metrics") : 0;
}

int manage_own_metrics(const struct shim *s, const char *rest, struct buf *out, struct err *err)
{
	AUTO_METRICS struct metrics *m = metrics_new();

	(void)rest;
	return print(m, m ? add_own(m, s) : -ENOMEM, out, err);
}

int manage_metrics(const struct shim *s, const char *rest, struct buf *out, struct err *err)
{
	AUTO_METRICS struct metrics *m = metrics_new();
	int64_t patience_ms = METRICS_PATIENCE_MS;
	const struct task *t;

	(void)rest;
	if (!m)
		return print(m, -ENOMEM, out, err);
	list_for_each(t, &s->tasks, node)
	{
		struct container *c = NULL;
		struct err ignored = { 0 };

		/* One that is just being made, or removed, is not there. */
		if (t->settings &&
		    container_load(&t->settings->rt, t->id, false, &c, &ignored) == 0)
			container_metrics(c, m, &patience_ms);
		container_free(c);
	}
	return print(m, add_own(m, s), out, err);
}
