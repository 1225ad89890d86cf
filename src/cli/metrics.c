/* SPDX-License-Identifier: Apache-2.0 */
/* cli/metrics.c - metrics: what a scraper of the node reads. */
#include <errno.h>
#include <glob.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/node_view.h"
#include "cli/shim_ask.h"
#include "cli/verbs.h"
#include "metrics/merge.h"
#include "runtime/aside.h"
#include "runtime/container_metrics.h"

struct metrics_options {
	bool all_roots;
};

static const struct option table[] = {
	{ "all-roots", "every container of this node, and containerd\'s shims", NULL,
	  offsetof(struct metrics_options, all_roots), OPTION_FLAG, 'A' },
	{ 0 },
};

#define FOREIGN_MAX	  2048u /* containers of other users: they would fill the whole text */
#define SHIMS_PATIENCE_MS 5000	/* for all shims that are slow */
#define USERS_PATIENCE_MS 2000	/* for all roots of other users */

struct scrape {
	struct metrics *metrics;
	int64_t patience_ms;
	unsigned int foreign;
};

/* One that goes meanwhile is not there. */
static int add_one(void *arg, const struct runtime *rt, const struct container *listed,
		   bool foreign)
{
	struct scrape *s = arg;
	AUTO_CONTAINER struct container *c = NULL;
	struct err ignored = { 0 };

	if (foreign && s->foreign++ < FOREIGN_MAX)
		container_metrics_state(listed, s->metrics);
	else if (foreign)
		return 0;
	else if (container_load(rt, listed->id, false, &c, &ignored) == 0)
		container_metrics(c, s->metrics, &s->patience_ms);
	return 0;
}

static int add_root(struct cli *cli, struct scrape *s, struct err *err)
{
	struct container **list = NULL;
	size_t len = 0;
	const int r = container_list(&cli->runtime, &list, &len, err);

	for (size_t i = 0; r == 0 && i < len; i++)
		(void)add_one(s, &cli->runtime, list[i], false);
	container_list_free(list, len);
	return r;
}

/* Its containers are known by their root; this is about the shim itself. */
static void add_shim(const char *socket, struct metrics *m, int64_t *patience_ms)
{
	static const struct merge_rule rules[] = {
		{ .from = "caisson_shim_", .to = "caisson_shim_", .own = true }, { 0 }
	};
	const struct merge_options options = { .rules = rules, .labels = "" };
	AUTO_BUF struct buf text = { .max = SHIM_ANSWER_MAX };
	const int64_t begin = clock_ms();
	struct err err = { 0 };
	const int r = shim_ask(socket, "/metrics/shim", aside_share(*patience_ms, SHIM_PATIENCE_MS),
			       &text, &err);

	aside_charge(patience_ms, begin);
	if (r == 0 && text.data)
		(void)metrics_merge(m, text.data, text.len, &options);
	else if (r != -ECONNREFUSED && r != -ENOENT) /* who has gone is no news */
		log_warning("%s", err.msg);
}

static int add_shims(struct metrics *m, struct err *err)
{
	glob_t found = { 0 };
	const int r = glob(SHIM_SOCKETS, 0, NULL, &found);
	int64_t patience_ms = SHIMS_PATIENCE_MS;

	for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
		add_shim(found.gl_pathv[i], m, &patience_ms);
	globfree(&found);
	return r == GLOB_NOSPACE ? err_sys(err, -ENOMEM, "metrics") : 0;
}

static int run_metrics(struct cli *cli, const void *options, const struct option_args *args,
		       struct err *err)
{
	const struct metrics_options *o = options;
	AUTO_METRICS struct metrics *m = metrics_new();
	struct scrape s = { .metrics = m, .patience_ms = METRICS_PATIENCE_MS };
	AUTO_BUF struct buf out = { 0 };
	int r;

	(void)args;
	if (!m)
		return err_sys(err, -ENOMEM, "metrics");
	r = o->all_roots ? node_each(cli, USERS_PATIENCE_MS, add_one, &s, err)
			 : add_root(cli, &s, err);
	if (r == 0 && o->all_roots)
		r = add_shims(m, err);
	if (r < 0)
		return r;
	r = metrics_print(m, &out);
	return r < 0 ? err_sys(err, r, "metrics") : out_flush(&out, err);
}

const struct verb verb_metrics = {
	.name = "metrics",
	.args = "",
	.summary = "print the figures of the containers for Prometheus",
	.description = "Text that Prometheus reads (format 0.0.4): of each container of the root "
		       "directory its state,\n"
		       "CPU time, memory, threads, input and output, and what the kernel of a "
		       "sentry or a machine\n"
		       "counts. With --all-roots, those of all root directories of this node (see "
		       "list), and the\n"
		       "figures of containerd's shims. Of other users' containers only the state "
		       "is told.",
	.options = table,
	.run = run_metrics,
};
