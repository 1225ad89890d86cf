/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/update.c - update: new limits for a running container.
 *
 * Flags become the same JSON document that --resources takes, so that one parser judges both.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/update.h"
#include "cli/verbs.h"
#include "host/rdt.h"

struct update_options {
	const char *resources;
	const char *l3_cache_schema, *mem_bw_schema;
	struct update_limits limits;
};

#define FIELD(member) offsetof(struct update_options, member)
#define LIMIT(member) offsetof(struct update_options, limits.member)

static const struct option table[] = {
	{ "resources", "read linux.resources as JSON from this file, - for standard input", "FILE",
	  FIELD(resources), OPTION_STRING, 'r' },
	{ "blkio-weight", "block I/O weight, 10 to 1000", "N", LIMIT(blkio_weight), OPTION_STRING,
	  0 },
	{ "cpu-period", "CPU CFS period in microseconds", "N", LIMIT(cpu_period), OPTION_STRING,
	  0 },
	{ "cpu-quota", "CPU CFS quota in microseconds for each period", "N", LIMIT(cpu_quota),
	  OPTION_STRING, 0 },
	{ "cpu-burst", "CPU CFS burst in microseconds", "N", LIMIT(cpu_burst), OPTION_STRING, 0 },
	{ "cpu-share", "CPU shares: the weight against other containers", "N", LIMIT(cpu_share),
	  OPTION_STRING, 0 },
	{ "cpu-rt-period", "CPU realtime period in microseconds", "N", LIMIT(cpu_rt_period),
	  OPTION_STRING, 0 },
	{ "cpu-rt-runtime", "CPU realtime runtime in microseconds for each period", "N",
	  LIMIT(cpu_rt_runtime), OPTION_STRING, 0 },
	{ "cpu-idle", "1: run only when nothing else wants the CPU", "0|1", LIMIT(cpu_idle),
	  OPTION_STRING, 0 },
	{ "cpuset-cpus", "CPUs to use", "LIST", LIMIT(cpuset_cpus), OPTION_STRING, 0 },
	{ "cpuset-mems", "memory nodes to use", "LIST", LIMIT(cpuset_mems), OPTION_STRING, 0 },
	{ "memory", "memory limit in bytes, or with a unit k, m, g; -1: none", "SIZE",
	  LIMIT(memory), OPTION_STRING, 0 },
	{ "memory-reservation", "memory reservation (soft limit), as --memory", "SIZE",
	  LIMIT(memory_reservation), OPTION_STRING, 0 },
	{ "memory-swap", "memory and swap together, as --memory", "SIZE", LIMIT(memory_swap),
	  OPTION_STRING, 0 },
	{ "kernel-memory", "ignored: the kernel has dropped this limit", "SIZE", 0,
	  OPTION_IGNORED_VALUE, 0 },
	{ "kernel-memory-tcp", "ignored: the kernel has dropped this limit", "SIZE", 0,
	  OPTION_IGNORED_VALUE, 0 },
	{ "pids-limit", "greatest number of processes; -1: no limit", "N", LIMIT(pids_limit),
	  OPTION_STRING, 0 },
	{ "l3-cache-schema", "L3 cache schema of Intel RDT", "SCHEMA", FIELD(l3_cache_schema),
	  OPTION_STRING, 0 },
	{ "mem-bw-schema", "memory bandwidth schema of Intel RDT", "SCHEMA", FIELD(mem_bw_schema),
	  OPTION_STRING, 0 },
	{ 0 },
};

#define RESOURCES_MAX (1u << 20) /* bytes of JSON */

/* {"cpu": {"shares": N}}: make the inner object on demand. */
static int put(json_t *root, const char *object, const char *key, json_t *value)
{
	json_t *inner = object ? json_object_get(root, object) : root;

	if (!inner) {
		if (json_object_set_new(root, object, json_object()) < 0) {
			json_decref(value);
			return -ENOMEM;
		}
		inner = json_object_get(root, object);
	}
	return json_object_set_new(inner, key, value) < 0 ? -ENOMEM : 0;
}

enum limit_kind { LIMIT_NUMBER, LIMIT_SIZE, LIMIT_TEXT };

struct limit {
	const char *flag, *object, *key, *text;
	enum limit_kind kind;
};

/* A size with a unit, or -1 for "no limit". */
static int read_size(const char *text, int64_t *ret)
{
	uint64_t bytes;
	int r;

	if (str_eq(text, "-1")) {
		*ret = -1;
		return 0;
	}
	r = str_to_size(text, &bytes);
	if (r < 0)
		return r;
	if (bytes > INT64_MAX)
		return -ERANGE;
	*ret = (int64_t)bytes;
	return 0;
}

static int put_limit(json_t *root, const struct limit *limit, struct err *err)
{
	int64_t number = 0;
	int r = 0;

	if (!limit->text || !*limit->text)
		return 0;
	if (limit->kind == LIMIT_SIZE)
		r = read_size(limit->text, &number);
	else if (limit->kind == LIMIT_NUMBER)
		r = str_to_i64(limit->text, INT64_MIN, INT64_MAX, &number);
	if (r < 0)
		return err_set(err, -EINVAL, "invalid value for %s: \"%s\": %s", limit->flag,
			       limit->text, r == -ERANGE ? "out of range" : "not a number");
	r = put(root, limit->object, limit->key,
		limit->kind == LIMIT_TEXT ? json_string(limit->text) : json_integer(number));
	return r < 0 ? err_set(err, -EINVAL, "invalid value for %s: not UTF-8", limit->flag) : 0;
}

int update_limits_json(const struct update_limits *l, json_t **ret, struct err *err)
{
	const struct limit limits[] = {
		{ "blkio-weight", "blockIO", "weight", l->blkio_weight, LIMIT_NUMBER },
		{ "cpu-period", "cpu", "period", l->cpu_period, LIMIT_NUMBER },
		{ "cpu-quota", "cpu", "quota", l->cpu_quota, LIMIT_NUMBER },
		{ "cpu-burst", "cpu", "burst", l->cpu_burst, LIMIT_NUMBER },
		{ "cpu-share", "cpu", "shares", l->cpu_share, LIMIT_NUMBER },
		{ "cpu-rt-period", "cpu", "realtimePeriod", l->cpu_rt_period, LIMIT_NUMBER },
		{ "cpu-rt-runtime", "cpu", "realtimeRuntime", l->cpu_rt_runtime, LIMIT_NUMBER },
		{ "cpu-idle", "cpu", "idle", l->cpu_idle, LIMIT_NUMBER },
		{ "cpuset-cpus", "cpu", "cpus", l->cpuset_cpus, LIMIT_TEXT },
		{ "cpuset-mems", "cpu", "mems", l->cpuset_mems, LIMIT_TEXT },
		{ "memory", "memory", "limit", l->memory, LIMIT_SIZE },
		{ "memory-reservation", "memory", "reservation", l->memory_reservation,
		  LIMIT_SIZE },
		{ "memory-swap", "memory", "swap", l->memory_swap, LIMIT_SIZE },
		{ "pids-limit", "pids", "limit", l->pids_limit, LIMIT_NUMBER },
	};
	AUTO_JSON json_t *root = json_object();

	if (!root)
		return err_sys(err, -ENOMEM, "update");
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		const int r = put_limit(root, &limits[i], err);

		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(root);
	return 0;
}

static int read_resources(const char *path, struct buf *text, struct err *err)
{
	AUTO_CLOSE int fd = -EBADF;
	int r;

	if (!str_eq(path, "-")) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, -errno, "open %s", path);
	}
	r = fd_read_all(fd < 0 ? STDIN_FILENO : fd, text);
	return r < 0 ? err_sys(err, r, "read %s", path) : 0;
}

static int limits_text(const struct update_limits *limits, struct buf *text, struct err *err)
{
	AUTO_JSON json_t *root = NULL;
	AUTO_FREE char *dump = NULL;
	int r = update_limits_json(limits, &root, err);

	if (r < 0)
		return r;
	dump = json_text(root, JSON_COMPACT);
	if (!dump || buf_puts(text, dump) < 0)
		return err_sys(err, -ENOMEM, "update");
	return 0;
}

/* The class of service of the container, which others may be in, too: closID, or its id. */
static int update_rdt(const struct container *c, const struct update_options *o, struct err *err)
{
	AUTO_CLOSE int fd = -EBADF;

	if (!o->l3_cache_schema && !o->mem_bw_schema)
		return 0;
	fd = rdt_open(err);
	if (fd < 0)
		return err_prefix(err, fd, "%s",
				  o->l3_cache_schema ? "--l3-cache-schema" : "--mem-bw-schema");
	return rdt_update(fd, c->rdt_clos ? c->rdt_clos : c->id, o->l3_cache_schema,
			  o->mem_bw_schema, err);
}

static int run_update(struct cli *cli, const void *options, const struct option_args *args,
		      struct err *err)
{
	const struct update_options *o = options;
	AUTO_CONTAINER struct container *c = NULL;
	AUTO_BUF struct buf text = { .max = RESOURCES_MAX };
	struct oci_spec *spec = NULL;
	int r = cli_load(cli, args, true, &c, err);

	if (r < 0)
		return r;
	if (o->resources)
		r = read_resources(o->resources, &text, err);
	else
		r = limits_text(&o->limits, &text, err);
	if (r == 0)
		r = oci_resources_parse(text.data ? text.data : "", text.len,
					o->resources ? o->resources : "update", &spec, err);
	if (r == 0)
		r = container_update(c, &spec->linux.resources, err);
	if (r == 0 && !o->resources)
		r = update_rdt(c, o, err);
	oci_spec_free(spec);
	return r;
}

const struct verb verb_update = {
	.name = "update",
	.args = "<container-id>",
	.summary = "change the resource limits of a container",
	.description = "--resources takes the object linux.resources of config.json, for example\n"
		       "{\"memory\": {\"limit\": 67108864}, \"cpu\": {\"shares\": 512}, \"pids\": "
		       "{\"limit\": 100}}.\n"
		       "Values that are left out stay as they are. With --resources the other "
		       "options are\n"
		       "ignored.",
	.options = table,
	.min_args = 1,
	.max_args = 1,
	.run = run_update,
};

_Static_assert(sizeof(struct update_options) <= VERB_OPTIONS_MAX, "VERB_OPTIONS_MAX");
