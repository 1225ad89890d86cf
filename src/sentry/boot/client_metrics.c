/* SPDX-License-Identifier: Apache-2.0 */
/* DEBUG metrics: counters and gauges in the text form of Prometheus. */
#include <inttypes.h>

#include "base/buf.h"
#include "sentry/boot/client.h"
#include "sentry/boot/sandbox.h"
#include "sentry/core/fiber.h"
#include "sentry/fs/goferfs/goferfs.h"
#include "sentry/fs/proc/sysinfo.h"
#include "sentry/syscall/dispatch.h"
#include "sentry/syscall/event_sink.h"
#include "sentry/task/run.h"
#include "wire/gofer_msg.h"

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
	(void)buf_printf(b, "# HELP caisson_%s %s\n# TYPE caisson_%s %s\n", name, help, name, type);
}

static void counter(struct buf *b, const char *name, const char *help, uint64_t value)
{
	head(b, name, "counter", help);
	(void)buf_printf(b, "caisson_%s %" PRIu64 "\n", name, value);
}

static void gauge(struct buf *b, const char *name, const char *help, uint64_t value)
{
	head(b, name, "gauge", help);
	(void)buf_printf(b, "caisson_%s %" PRIu64 "\n", name, value);
}

enum served { SERVED_FULL, SERVED_PARTIAL, SERVED_REFUSED, SERVED_UNKNOWN };

static enum served kind_of(uint64_t nr)
{
	const struct syscall_row *row = syscall_row(nr);

	if (!row)
		return SERVED_UNKNOWN;
	if (!row->fn)
		return SERVED_REFUSED;
	return row->partial ? SERVED_PARTIAL : SERVED_FULL;
}

/* The calls of a kind that were made, by name; those without a name by number. */
static void by_call(struct buf *b, const char *name, const char *help, enum served kind)
{
	head(b, name, "counter", help);
	for (uint64_t nr = 0; nr < SYSCALL_NR_MAX; nr++) {
		const struct syscall_row *row = syscall_row(nr);
		const uint64_t count = syscall_count(nr);

		if (!count || kind_of(nr) != kind)
			continue;
		if (row)
			(void)buf_printf(b, "caisson_%s{call=\"%s\"} %" PRIu64 "\n", name,
					 row->name, count);
		else
			(void)buf_printf(b, "caisson_%s{call=\"%" PRIu64 "\"} %" PRIu64 "\n", name,
					 nr, count);
	}
	if (kind == SERVED_UNKNOWN && syscall_count(SYSCALL_NR_MAX))
		(void)buf_printf(b, "caisson_%s{call=\"other\"} %" PRIu64 "\n", name,
				 syscall_count(SYSCALL_NR_MAX));
}

static void show_calls(struct buf *b)
{
	uint64_t all = 0;

	for (uint64_t nr = 0; nr <= SYSCALL_NR_MAX; nr++)
		all += syscall_count(nr);
	counter(b, "sentry_syscalls_total",
		"System calls that came to the sentry (the stub answers getpid and the like).",
		all);
	by_call(b, "sentry_syscalls_partial_total",
		"Calls that docs/SYSCALLS.md calls partial, however they were answered.",
		SERVED_PARTIAL);
	by_call(b, "sentry_syscalls_refused_total", "Calls that are always refused.",
		SERVED_REFUSED);
	by_call(b, "sentry_syscalls_unknown_total", "Calls of numbers that mean nothing: ENOSYS.",
		SERVED_UNKNOWN);
	counter(b, "sentry_faults_total",
		"Faults and traps that came to the sentry; pages are the host's own affair.",
		task_fault_count());
}

/* How calls came: docs/adr/0015. */
static void show_platform(struct buf *b)
{
	struct platform_counts n;

	if (!platform->counts)
		return;
	platform->counts(&n);
	counter(b, "platform_calls_patched_total", "Calls by a patched call site.",
		n.calls_patched);
	counter(b, "platform_calls_trapped_total", "Calls by a signal.", n.calls_trapped);
	counter(b, "platform_sites_patched_total", "Call sites that were patched.",
		n.sites_patched);
	counter(b, "platform_words_given_total",
		"Calls of stubs that waited for the sentry's word (--stub-profile).",
		n.words_given);
	counter(b, "platform_sites_left_total",
		"Times that a call site that trapped often could not be patched.", n.sites_left);
}

static void show_gofer(struct buf *b)
{
	struct goferfs_counts gofer;

	goferfs_counts(&gofer);
	counter(b, "gofer_requests_total", "Requests to the gofer.", gofer.requests);
	counter(b, "gofer_opens_total", "Files that the gofer opened or made.", gofer.opens);
	gauge(b, "gofer_nodes", "Files that the gofer holds for the sentry.", gofer.nodes);
	gauge(b, "gofer_descriptors_kept", "Closed files whose descriptors are kept.", gofer.idle);
	gauge(b, "gofer_content_bytes", "Bytes of small files that are kept.", gofer.content);
}

void client_show_metrics(const struct member *m, struct buf *b)
{
	const struct event_counts events = event_counts();
	struct sandbox_usage usage;

	sysinfo_usage(&usage);
	gauge(b, "sentry_started", "Whether the container's first process runs or has run.",
	      m->started);
	gauge(b, "sentry_tasks", "Threads of the container, zombies too.", m->container->tasks);
	gauge(b, "sentry_fibers", "Fibers of the kernel.", fiber_count());
	gauge(b, "sentry_memory_bytes", "Memory of the sandbox.", usage.memory);
	show_calls(b);
	show_platform(b);
	show_gofer(b);
	counter(b, "events_total", "Event records that were made.", events.made);
	counter(b, "events_lost_total", "Event records that a listener was too slow for.",
		events.lost);
	gauge(b, "event_listeners", "Who gets event records now.", events.listeners);
}
