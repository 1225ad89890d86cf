/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/container_metrics.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "metrics/merge.h"
#include "runtime/aside.h"

#define SAID_MAX   (64u << 10)	/* bytes of a sandbox's own figures */
#define TEXT_MAX   (1u << 20)	/* bytes of all figures of a container */
#define UNLIMITED  (1ULL << 62) /* and above: what the kernel says for "no limit" */
#define NAME_BYTES 256		/* of what Kubernetes calls it */

/* Names that a sandbox may tell. */
static const struct merge_rule sandbox_rules[] = {
	{ .from = "caisson_sentry_", .to = "caisson_sentry_" },
	{ .from = "caisson_platform_", .to = "caisson_sentry_platform_" },
	{ .from = "caisson_gofer_", .to = "caisson_sentry_gofer_" },
	{ .from = "caisson_event", .to = "caisson_sentry_event" },
	{ .from = "caisson_vm_", .to = "caisson_vm_" },
	{ .from = "guest_", .to = "caisson_vm_guest_" },
	{ 0 },
};
static const char *const reserved[] = { "root", "id", "class", NULL };

/* What a process aside says for us. */
static const struct merge_rule own_rules[] = {
	{ .from = "caisson_container_", .to = "caisson_container_", .own = true },
	{ .from = "caisson_", .to = "caisson_" },
	{ 0 },
};

/* Annotations of containerd's CRI plugin and of CRI-O. */
static const struct {
	const char *label, *key;
} names[] = {
	{ "pod", "io.kubernetes.cri.sandbox-name" },
	{ "pod", "io.kubernetes.pod.name" },
	{ "pod_namespace", "io.kubernetes.cri.sandbox-namespace" },
	{ "pod_namespace", "io.kubernetes.pod.namespace" },
	{ "container", "io.kubernetes.cri.container-name" },
	{ "container", "io.kubernetes.container.name" },
	{ "sandbox", "io.kubernetes.cri.sandbox-id" },
	{ "sandbox", "io.kubernetes.cri-o.SandboxID" },
};

static void put_labels(const struct container *c, struct buf *labels)
{
	metrics_label(labels, "root", c->runtime->root);
	metrics_label(labels, "id", c->id);
	metrics_label(labels, "class", isolation_name(c->isolation));
}

static void add_names(const struct container *c, struct buf *labels)
{
	const char *last = "";

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *text = json_string_value(json_object_get(c->annotations, names[i].key));
		char value[NAME_BYTES];

		if (!text || str_eq(last, names[i].label))
			continue;
		last = names[i].label;
		(void)snprintf(value, sizeof(value), "%s", text);
		metrics_label(labels, last, value);
	}
}

static void add_state(const struct container *c, const struct buf *labels, struct metrics *m)
{
	static const struct metrics_kind info = { "caisson_container_info", METRICS_GAUGE,
						  "What Kubernetes calls the container." };
	static const struct metrics_kind state = { "caisson_container_state", METRICS_GAUGE,
						   "Its state, as a label." };
	AUTO_BUF struct buf more = { 0 };

	buf_append(&more, labels->data, labels->len);
	add_names(c, &more);
	if (buf_error(&more) == 0)
		metrics_add(m, &info, more.data, 1);
	more.len = 0;
	buf_append(&more, labels->data, labels->len);
	metrics_label(&more, "state", oci_status_name(c->status));
	if (buf_error(&more) == 0)
		metrics_add(m, &state, more.data, 1);
}

#define GAUGE(name, help)                                      \
	&(const struct metrics_kind)                           \
	{                                                      \
		"caisson_container_" name, METRICS_GAUGE, help \
	}
#define COUNTER(name, help)                                      \
	&(const struct metrics_kind)                             \
	{                                                        \
		"caisson_container_" name, METRICS_COUNTER, help \
	}

static void add_cpu(const struct cgroup_stats *s, const char *labels, struct metrics *m)
{
	metrics_add_ns(m, COUNTER("cpu_seconds_total", "Time on a CPU."), labels, s->cpu.total_ns);
	metrics_add_ns(m, COUNTER("cpu_user_seconds_total", "Of it, in programs."), labels,
		       s->cpu.user_ns);
	metrics_add_ns(m, COUNTER("cpu_system_seconds_total", "Of it, in the host's kernel."),
		       labels, s->cpu.kernel_ns);
	metrics_add(m, COUNTER("cpu_periods_total", "Periods of its CPU limit."), labels,
		    s->cpu.periods);
	metrics_add(m, COUNTER("cpu_throttled_periods_total", "Of them, with a throttle."), labels,
		    s->cpu.throttled_periods);
	metrics_add_ns(m, COUNTER("cpu_throttled_seconds_total", "Time that it was throttled."),
		       labels, s->cpu.throttled_ns);
}

/* As kubelet has it: what can be taken away at once does not count. */
static uint64_t working_set(const struct cgroup_stats *s)
{
	uint64_t inactive = cgroup_kvs_get(&s->memory.raw, "total_inactive_file");

	if (inactive == 0)
		inactive = cgroup_kvs_get(&s->memory.raw, "inactive_file");
	return s->memory.usage.usage > inactive ? s->memory.usage.usage - inactive : 0;
}

static void add_memory(const struct cgroup_stats *s, const char *labels, struct metrics *m)
{
	metrics_add(m, GAUGE("memory_usage_bytes", "Memory that it has."), labels,
		    s->memory.usage.usage);
	metrics_add(m, GAUGE("memory_working_set_bytes", "Of it, without files not lately used."),
		    labels, working_set(s));
	metrics_add(m, GAUGE("memory_cache_bytes", "Of it, files."), labels, s->memory.cache);
	metrics_add(m, GAUGE("memory_max_usage_bytes", "The most that it had."), labels,
		    s->memory.usage.max);
	if (s->memory.usage.limit > 0 && s->memory.usage.limit < UNLIMITED)
		metrics_add(m, GAUGE("memory_limit_bytes", "Its limit, if it has one."), labels,
			    s->memory.usage.limit);
	metrics_add(m, COUNTER("oom_kills_total", "Processes killed for want of memory."), labels,
		    s->memory.events.oom_kill);
}

static void add_io(const struct cgroup_stats *s, const char *labels, struct metrics *m)
{
	uint64_t read = 0, written = 0;

	for (size_t i = 0; i < s->blkio.service_bytes.len; i++) {
		const struct cgroup_io_entry *e = &s->blkio.service_bytes.items[i];

		if (strcasecmp(e->op, "read") == 0)
			read += e->value;
		else if (strcasecmp(e->op, "write") == 0)
			written += e->value;
	}
	metrics_add(m, COUNTER("io_read_bytes_total", "Read from block devices."), labels, read);
	metrics_add(m, COUNTER("io_written_bytes_total", "Written to them."), labels, written);
}

static void add_stats(const struct cgroup_stats *s, const char *labels, struct metrics *m)
{
	add_cpu(s, labels, m);
	add_memory(s, labels, m);
	metrics_add(m, GAUGE("pids", "Threads."), labels, s->pids.current);
	if (s->pids.limit > 0 && s->pids.limit < UNLIMITED)
		metrics_add(m, GAUGE("pids_limit", "How many it may have, if there is a limit."),
			    labels, s->pids.limit);
	add_io(s, labels, m);
}

/* What its own kernel counts. */
static int add_said(struct container *c, const char *labels, struct metrics *m)
{
	const struct merge_options options = {
		.rules = sandbox_rules, .labels = labels, .reserved = reserved, .apart = true
	};
	AUTO_BUF struct buf said = { .max = TEXT_MAX };
	struct err ignored = { 0 };
	const int r = container_debug(c, "metrics", &said, &ignored);

	if (r < 0)
		return r == -ENOTSUP ? 0 : r;
	(void)metrics_merge(m, said.data ? said.data : "",
			    said.len < SAID_MAX ? said.len : SAID_MAX, &options);
	return 0;
}

/* Whether all could be read. */
static bool add_figures(struct container *c, const char *labels, struct metrics *m)
{
	struct cgroup_stats stats = { 0 };
	struct err ignored = { 0 };
	int r = container_stats(c, &stats, &ignored);

	if (r == 0) {
		add_stats(&stats, labels, m);
		cgroup_stats_done(&stats);
	}
	/* Frozen, it does not answer; created, it has nothing to tell. A machine
	 * is told with its first container. */
	if (r == 0 && c->status == OCI_RUNNING && !(c->sandbox && c->isolation == ISOLATION_VM))
		r = add_said(c, labels, m);
	return r == 0;
}

struct question {
	struct container *container;
	const char *labels;
};

static void tell(void *arg, int out)
{
	const struct question *q = arg;
	AUTO_METRICS struct metrics *m = metrics_new();
	AUTO_BUF struct buf text = { .max = TEXT_MAX };

	if (m && add_figures(q->container, q->labels, m) && metrics_print(m, &text) == 0)
		(void)fd_write_all(out, text.data, text.len);
}

static bool ask_aside(struct container *c, const char *labels, struct metrics *m,
		      int64_t *patience_ms)
{
	const struct merge_options options = { .rules = own_rules, .labels = "", .apart = true };
	AUTO_BUF struct buf text = { .max = TEXT_MAX };
	struct question q = { c, labels };
	const int64_t begin = clock_ms();
	struct err ignored = { 0 };
	int r;

	r = aside_run(tell, &q, aside_share(*patience_ms, CONTAINER_METRICS_MS), &text, "figures",
		      &ignored);
	/* Also of one that answers: in the last moment is as bad as not at all. */
	aside_charge(patience_ms, begin);
	if (r < 0 || text.len == 0)
		return false;
	(void)metrics_merge(m, text.data, text.len, &options);
	return true;
}

/*
 * The files alone, which nobody else has to answer for. Those of one in a pod's sandbox are not of
 * what it does: its counters would go back.
 */
static void add_files(const struct container *c, const char *labels, struct metrics *m)
{
	struct cgroup_stats stats = { 0 };
	struct err ignored = { 0 };

	if (!c->cgroup || c->sandbox || cgroup_stats_read(c->cgroup, &stats, &ignored) < 0)
		return;
	add_stats(&stats, labels, m);
	cgroup_stats_done(&stats);
}

void container_metrics_state(const struct container *c, struct metrics *m)
{
	AUTO_BUF struct buf labels = { 0 };

	put_labels(c, &labels);
	if (buf_error(&labels) == 0)
		add_state(c, &labels, m);
}

void container_metrics(struct container *c, struct metrics *m, int64_t *patience_ms)
{
	AUTO_BUF struct buf labels = { 0 };
	bool measured = false;

	put_labels(c, &labels);
	if (buf_error(&labels))
		return;
	add_state(c, &labels, m);
	if (c->status != OCI_RUNNING && c->status != OCI_PAUSED && c->status != OCI_CREATED)
		return;
	if (c->isolation == ISOLATION_NS) {
		measured = add_figures(c, labels.data, m);
	} else {
		measured = ask_aside(c, labels.data, m, patience_ms);
		if (!measured)
			add_files(c, labels.data, m);
	}
	metrics_add(m, GAUGE("measured", "Whether all of its figures could be read."), labels.data,
		    measured);
}
