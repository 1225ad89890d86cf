/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/resize.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "host/cgroup_stats.h"
#include "runtime/container.h"
#include "runtime/sandbox/client.h"
#include "runtime/vm/describe.h"
#include "runtime/vm/settings.h"
#include "runtime/vm/size.h"
#include "wire/vmm_msg.h"

#define BACK_MS	 20000 /* so long the host waits for memory that the guest has freed */
#define LOOK_MS	 50
#define BACK_GAP (8ull << 20) /* bytes below the new limit, for what cannot be seen */
#define NO_LIMIT (1ull << 62) /* and above it: how v1 says it */

struct resize {
	struct container *c;
	struct oci_spec *spec; /* owned: what the container was made from */
	struct vm_config config;
	struct vm_size size;	   /* what the machine shall have; members 0: as it is */
	struct oci_resources host; /* limits outside */
	struct oci_kv *unified;	   /* owned, host.unified's */
	int64_t before;		   /* host's limit of memory; -1: none */
};

static void resize_done(struct resize *z)
{
	free(z->unified);
	oci_spec_free(z->spec);
}

/* ---- The machine and the container inside ---- */

static int tell(const struct resize *z, const struct vm_size *size,
		const struct oci_resources *inside, struct err *err)
{
	const int64_t limit = inside->memory.limit.set ? inside->memory.limit.v : 0;
	const struct vmm_update update = { .memory = size->memory,
					   .limit = size->memory && limit > 0 ? (uint64_t)limit : 0,
					   .cpus = size->cpus };
	AUTO_BUF struct buf body = { .max = SENTRY_FRAME_MAX };
	struct client_call call = { .of = z->c, .request = { .type = SENTRY_UPDATE } };
	struct sentry_reply reply;
	AUTO_CLOSE int sock = -EBADF;
	int r;

	(void)buf_append(&body, &update, sizeof(update));
	r = describe_vm_update(z->c->id, inside, &body, err);
	if (r < 0)
		return r;
	call.tail = body.data;
	call.tail_len = body.len;
	if (client_is_frozen(z->c))
		return client_post(z->c, &call, err);
	sock = client_connect(z->c, err);
	if (sock < 0)
		return sock;
	/* The supervisor has limits of its own for all that it waits for. */
	client_be_patient(sock);
	return client_call(sock, &call, &reply, NULL, NULL, err);
}

/* Limit of the container's cgroup inside; -1: none. */
static int inside_limit(struct container *c, int64_t *ret, struct err *err)
{
	const struct client_call call = { .of = c, .request = { .type = SENTRY_STATS } };
	struct agent_stats inside;
	size_t len = sizeof(inside);
	struct sentry_reply reply;
	AUTO_CLOSE int sock = client_connect(c, err);
	int r = sock < 0 ? sock : client_call(sock, &call, &reply, &inside, &len, err);

	if (r == 0 && len != sizeof(inside))
		r = err_set(err, -EPROTO, "figures of the machine: %zu bytes", len);
	if (r == 0)
		*ret = inside.memory_limit >= NO_LIMIT ? -1 : (int64_t)inside.memory_limit;
	return r;
}

/* ---- The host's cgroup ---- */

static bool is_lower(const struct resize *z)
{
	const struct oci_opt_i64 *limit = &z->host.memory.limit;

	return limit->set && limit->v > 0 && (z->before < 0 || limit->v < z->before);
}

/* Memory that nobody can take from the processes of the machine. */
static int held(const struct resize *z, uint64_t *ret, struct err *err)
{
	static const char *const keys[] = { "anon", "shmem", "total_rss", "total_shmem" };
	struct cgroup_stats stats;
	int r = cgroup_stats_read(z->c->cgroup, &stats, err);

	if (r < 0)
		return r;
	*ret = 0;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		*ret += cgroup_kvs_get(&stats.memory.raw, keys[i]);
	cgroup_stats_done(&stats);
	return 0;
}

static int await_memory(const struct resize *z, struct err *err)
{
	const uint64_t limit = (uint64_t)z->host.memory.limit.v;
	const int64_t deadline = clock_ms() + BACK_MS;
	uint64_t now = 0;

	for (;;) {
		int r = held(z, &now, err);

		if (r < 0 || now + BACK_GAP <= limit)
			return r;
		if (clock_ms() > deadline)
			return err_set(err, -EBUSY,
				       "linux.resources.memory.limit: the machine still holds %llu "
				       "bytes of the host's memory, where its cgroup would have "
				       "%llu",
				       (unsigned long long)now, (unsigned long long)limit);
		(void)usleep(LOOK_MS * 1000);
	}
}

static int apply_memory(const struct resize *z, const struct oci_opt_i64 *limit,
			const struct oci_opt_i64 *swap, struct err *err)
{
	struct oci_resources memory = { .set = true };

	memory.memory.limit = *limit;
	memory.memory.swap = *swap;
	return cgroup_apply(z->c->cgroup, &memory, true, err);
}

static void restore_host(const struct resize *z)
{
	struct err problem = { 0 };

	if (cgroup_journal_undo(z->c->cgroup, &problem) < 0)
		log_warning("container %s: an update that failed is not undone: %s", z->c->id,
			    problem.msg);
}

/* ---- Together ---- */

static int prepare(struct resize *z, const struct oci_resources *resources, struct err *err)
{
	struct container *c = z->c;
	struct cgroup_stats stats;
	struct vm_size all;
	int r = container_load_spec(c, &z->spec, err);

	if (r == 0)
		r = vm_settings_get(c->runtime, c->annotations, &z->config, err);
	vm_size_bound(&z->config, c->cgroup);
	if (r == 0)
		r = vm_size_get(&z->config, c->annotations, resources, &all, err);
	if (r == 0)
		r = vm_size_update(&z->config, c->annotations, &z->spec->linux.resources, resources,
				   &z->size, err);
	/* The machine is the pod's. */
	if (r == 0 && c->sandbox)
		all = z->size = (struct vm_size){ 0 };
	if (r == 0)
		r = cgroup_stats_read(c->cgroup, &stats, err);
	if (r < 0)
		return r;
	z->before = stats.memory.usage.limit && stats.memory.usage.limit < NO_LIMIT
			    ? (int64_t)stats.memory.usage.limit
			    : -1;
	cgroup_stats_done(&stats);
	z->unified = calloc(resources->unified.len + 1, sizeof(*z->unified));
	if (!z->unified)
		return err_sys(err, -ENOMEM, "update");
	for (size_t i = 0; i < resources->unified.len; i++)
		z->unified[i] = resources->unified.items[i];
	z->host = *resources;
	z->host.unified.items = z->unified;
	vm_size_host_limits(&z->config, &all, &z->host);
	return 0;
}

/* The limit inside, and the machine's size, as they were. */
static void restore_inside(const struct resize *z, int64_t limit_before)
{
	struct oci_resources old = { .set = true };
	struct err problem = { 0 };
	struct vm_size size;
	int r;

	old.memory.limit = (struct oci_opt_i64){ limit_before, true };
	r = vm_size_update(&z->config, z->c->annotations, &z->spec->linux.resources, &old, &size,
			   &problem);

	if (z->c->sandbox)
		size = (struct vm_size){ 0 };
	if (r == 0)
		(void)tell(z, &size, &old, &problem);
	if (problem.code)
		log_warning("container %s: an update that failed is not undone: %s", z->c->id,
			    problem.msg);
}

/* Everything is inside as it shall be; the host takes the memory, or nothing has changed. */
static int lower_host(const struct resize *z, int64_t limit_before, struct err *err)
{
	int r = await_memory(z, err);

	if (r == 0)
		r = apply_memory(z, &z->host.memory.limit, &z->host.memory.swap, err);
	if (r < 0)
		restore_inside(z, limit_before);
	return r;
}

int vm_resize(struct container *c, const struct oci_resources *resources, struct err *err)
{
	AUTO(resize_done) struct resize z = { .c = c };
	struct oci_resources first;
	int64_t limit_before = -1;
	bool lower;
	int r = prepare(&z, resources, err);

	if (r < 0)
		return r;
	lower = is_lower(&z);
	if (lower && c->status == OCI_PAUSED)
		return err_set(err, -EBUSY,
			       "linux.resources.memory.limit: a machine that is paused gives no "
			       "memory back");
	first = z.host;
	if (lower) {
		first.memory.limit.set = first.memory.swap.set = false;
		r = inside_limit(c, &limit_before, err);
	}
	if (r == 0 && cgroup_journal_begin(c->cgroup) < 0)
		r = err_sys(err, -ENOMEM, "update");
	if (r < 0)
		return r;
	r = cgroup_apply(c->cgroup, &first, true, err);
	if (r == 0) {
		r = tell(&z, &z.size, resources, err);
		if (r < 0 && lower)
			restore_inside(&z, limit_before);
	}
	if (r == 0 && lower)
		r = lower_host(&z, limit_before, err);
	if (r < 0)
		restore_host(&z);
	cgroup_journal_end(c->cgroup);
	return r;
}
