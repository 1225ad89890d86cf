/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/size.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "host/cgroup.h"
#include "host/sched.h"
#include "wire/vmm_msg.h"

#define PERIOD_US     100000 /* of cpu.max when nobody says one */
#define POD_MEMORY    "io.kubernetes.cri.sandbox-memory"
#define POD_QUOTA     "io.kubernetes.cri.sandbox-cpu-quota"
#define POD_PERIOD    "io.kubernetes.cri.sandbox-cpu-period"
#define POD_SHARES    "io.kubernetes.cri.sandbox-cpu-shares"
#define CRIO_NOW      "pod-linux-resources.crio.io"
#define CRIO_BEFORE   "io.kubernetes.cri-o.PodLinuxResources"
#define CRIO_TEXT_MAX 65536u
#define CPUSET_BITS   4096u

/* What somebody asks for; 0: nothing. */
struct wish {
	uint64_t memory, quota, period;
};

/* ---- The pod's ---- */

static int refuse(const char *key, const char *text, struct err *err)
{
	return err_set(err, -EINVAL, "annotation %s: \"%.64s\" is not a limit", key, text);
}

/* -1 and 0 are engines' words for no limit. */
static int take_number(int64_t value, uint64_t *ret)
{
	*ret = value > 0 ? (uint64_t)value : 0;
	return value < -1 ? -EINVAL : 0;
}

static int annotated(const json_t *annotations, const char *key, uint64_t *ret, struct err *err)
{
	const char *text = json_string_value(json_object_get(annotations, key));
	int64_t value;

	*ret = 0;
	if (!text)
		return 0;
	if (str_to_i64(text, -1, INT64_MAX, &value) < 0 || take_number(value, ret) < 0)
		return refuse(key, text, err);
	return 0;
}

static int member(const json_t *object, const char *key, const char *name, uint64_t *ret,
		  struct err *err)
{
	const json_t *value = json_object_get(object, name);

	*ret = 0;
	if (!value)
		return 0;
	if (!json_is_integer(value) || take_number(json_integer_value(value), ret) < 0)
		return err_set(err, -EINVAL, "annotation %s: its %s is not a limit", key, name);
	return 0;
}

static int crio_wish(const json_t *annotations, struct wish *ret, struct err *err)
{
	const char *key = json_object_get(annotations, CRIO_NOW) ? CRIO_NOW : CRIO_BEFORE;
	const char *text = json_string_value(json_object_get(annotations, key));
	AUTO_JSON json_t *object = NULL;
	struct err ignored = { 0 };
	int r;

	if (!text)
		return 0;
	if (strlen(text) > CRIO_TEXT_MAX ||
	    json_parse(text, strlen(text), key, &object, &ignored) < 0 || !json_is_object(object))
		return refuse(key, text, err);
	r = member(object, key, "memory_limit_in_bytes", &ret->memory, err);
	if (r == 0)
		r = member(object, key, "cpu_quota", &ret->quota, err);
	return r < 0 ? r : member(object, key, "cpu_period", &ret->period, err);
}

static int pod_wish(const json_t *annotations, struct wish *ret, struct err *err)
{
	uint64_t shares;
	int r;

	*ret = (struct wish){ 0 };
	r = crio_wish(annotations, ret, err);
	if (r < 0 || ret->memory || ret->quota)
		return r;
	r = annotated(annotations, POD_MEMORY, &ret->memory, err);
	if (r == 0)
		r = annotated(annotations, POD_QUOTA, &ret->quota, err);
	if (r == 0)
		r = annotated(annotations, POD_PERIOD, &ret->period, err);
	/* A weight among others, of which a machine knows nothing. */
	return r < 0 ? r : annotated(annotations, POD_SHARES, &shares, err);
}

/* ---- The container's ---- */

static const char *unified(const struct oci_resources *r, const char *key)
{
	for (size_t i = 0; i < r->unified.len; i++) {
		if (str_eq(r->unified.items[i].key, key))
			return r->unified.items[i].value;
	}
	return NULL;
}

/* "N", or "max" and what is no number: 0. */
static uint64_t unified_number(const struct oci_resources *r, const char *key)
{
	const char *text = unified(r, key);
	int64_t value;

	return text && str_to_i64(text, 1, INT64_MAX, &value) == 0 ? (uint64_t)value : 0;
}

static struct wish own_wish(const struct oci_resources *r)
{
	const char *cpu_max = unified(r, "cpu.max");
	struct wish w = { .memory = unified_number(r, "memory.max") };
	unsigned long long quota, period;

	if (cpu_max && sscanf(cpu_max, "%19llu %19llu", &quota, &period) == 2) {
		w.quota = quota;
		w.period = period;
	}
	if (r->memory.limit.set)
		w.memory = r->memory.limit.v > 0 ? (uint64_t)r->memory.limit.v : 0;
	if (r->cpu.quota.set)
		w.quota = r->cpu.quota.v > 0 ? (uint64_t)r->cpu.quota.v : 0;
	if (r->cpu.period.set)
		w.period = r->cpu.period.v;
	return w;
}

static uint32_t cpuset_count(const struct oci_resources *r)
{
	const size_t bits = 8 * sizeof(unsigned long);
	unsigned long mask[CPUSET_BITS / (8 * sizeof(unsigned long))] = { 0 };
	uint32_t n = 0;

	if (!r->cpu.cpus || !*r->cpu.cpus || cpulist_parse(r->cpu.cpus, mask, CPUSET_BITS) < 0)
		return 0;
	for (size_t i = 0; i < CPUSET_BITS / bits; i++)
		n += (uint32_t)__builtin_popcountl(mask[i]);
	return n;
}

/* ---- Together ---- */

static uint64_t cpus_of(const struct wish *w)
{
	return w->quota ? (w->quota - 1) / (w->period ? w->period : PERIOD_US) + 1 : 0;
}

static uint32_t choose_cpus(const struct vm_config *config, const struct wish *pod,
			    const struct wish *own, uint32_t cpuset)
{
	const uint64_t a = cpus_of(pod), b = cpus_of(own);
	uint64_t cpus = a > b ? a : b;

	if (cpus == 0)
		cpus = cpuset ? cpuset : config->cpus;
	else if (cpuset && cpuset < cpus)
		cpus = cpuset;
	return cpus > config->max_cpus ? config->max_cpus : (uint32_t)cpus;
}

/* A limit that the host does not have, or more, is an engine's word for none. */
static uint64_t limit_of(const struct vm_config *config, uint64_t wanted)
{
	return wanted < config->host_memory ? wanted : 0;
}

static uint64_t choose_memory(const struct vm_config *config, const struct wish *pod,
			      const struct wish *own)
{
	const uint64_t most = config->pod_memory ? config->pod_memory : UINT64_MAX;
	const uint64_t asked = limit_of(config, pod->memory);
	const uint64_t a = asked < most ? asked : most, b = limit_of(config, own->memory);
	const uint64_t wanted = a > b ? a : b;
	uint64_t memory = wanted ? wanted + config->overhead : config->memory;

	if (memory > config->max_memory)
		memory = config->max_memory / MACHINE_MEMORY_GRAIN * MACHINE_MEMORY_GRAIN;
	if (memory < MACHINE_MEMORY_MIN)
		memory = MACHINE_MEMORY_MIN;
	return (memory + MACHINE_MEMORY_GRAIN - 1) / MACHINE_MEMORY_GRAIN * MACHINE_MEMORY_GRAIN;
}

void vm_size_bound(struct vm_config *config, const struct cgroup *cgroup)
{
	const uint64_t above = cgroup ? cgroup_memory_above(cgroup) : UINT64_MAX;

	if (above != UINT64_MAX)
		config->pod_memory = above ? above : 1;
}

int vm_size_get(const struct vm_config *config, const json_t *annotations,
		const struct oci_resources *resources, struct vm_size *ret, struct err *err)
{
	const struct wish own = own_wish(resources);
	struct wish pod;
	int r = pod_wish(annotations, &pod, err);

	if (r < 0)
		return r;
	*ret = (struct vm_size){ .cpus = choose_cpus(config, &pod, &own, cpuset_count(resources)),
				 .memory = choose_memory(config, &pod, &own) };
	return 0;
}

/* An update's quota without a period keeps the one that was. */
static struct oci_resources completed(const struct oci_resources *made,
				      const struct oci_resources *resources)
{
	struct oci_resources r = *resources;

	if (r.cpu.quota.set && !r.cpu.period.set)
		r.cpu.period = made->cpu.period;
	return r;
}

int vm_size_update(const struct vm_config *config, const json_t *annotations,
		   const struct oci_resources *made, const struct oci_resources *resources,
		   struct vm_size *ret, struct err *err)
{
	const struct oci_resources whole = completed(made, resources);
	const struct wish own = own_wish(&whole);
	const uint64_t limit = limit_of(config, own.memory);
	const bool cpus = resources->cpu.quota.set || unified(resources, "cpu.max") ||
			  cpuset_count(resources);
	struct vm_size first;
	int r = vm_size_get(config, annotations, made, &first, err);

	if (r == 0)
		r = vm_size_get(config, annotations, &whole, ret, err);
	if (r < 0)
		return r;
	if (limit > config->max_memory)
		return err_set(err, -ENOTSUP,
			       "linux.resources.memory.limit: %llu bytes are more than a machine "
			       "may have (vm.max_memory: %llu)",
			       (unsigned long long)limit, (unsigned long long)config->max_memory);
	/* Without a limit the machine stays as it is. */
	if (!limit)
		ret->memory = 0;
	if (!own.quota && ret->cpus < first.cpus && !cpuset_count(resources))
		ret->cpus = first.cpus;
	if (!cpus)
		ret->cpus = 0;
	return 0;
}

struct vm_size vm_size_room(const struct vm_config *config, const struct vm_size *size)
{
	struct vm_size room = *size;
	uint64_t most = size->memory * MACHINE_MEMORY_GROWTH;

	if (config->type != MACHINE_Q35)
		return room;
	if (most > config->max_memory)
		most = config->max_memory / MACHINE_MEMORY_GRAIN * MACHINE_MEMORY_GRAIN;
	if (most > room.memory)
		room.memory = most;
	if (config->max_cpus > room.cpus)
		room.cpus = config->max_cpus;
	return room;
}

/* ---- Outside ---- */

bool vm_size_is_inside(const char *key)
{
	static const char *const keys[] = { "cpu.idle",		"cpu.max",	   "cpu.max.burst",
					    "cpu.weight",	"cpu.weight.nice", "memory.high",
					    "memory.low",	"memory.max",	   "memory.min",
					    "memory.oom.group", "pids.max" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (str_eq(key, keys[i]))
			return true;
	}
	return false;
}

/* CPU time is limited on both sides, where the host has such a file. */
static bool is_outside(const char *key)
{
	return !vm_size_is_inside(key) ||
	       (cgroup_layout() == CGROUP_LAYOUT_V2 && str_after(key, "cpu."));
}

static void add(struct oci_opt_i64 *limit, uint64_t extra)
{
	if (limit->set && limit->v > 0)
		limit->v = limit->v < INT64_MAX - (int64_t)extra ? limit->v + (int64_t)extra
								 : INT64_MAX;
}

/* Of the container's limit and the machine's size the larger, and the machine's processes. */
static uint64_t memory_extra(const struct vm_config *config, const struct vm_size *size,
			     uint64_t limit)
{
	uint64_t extra = config->overhead;

	if (size->memory > limit && size->memory - limit > extra)
		extra = size->memory - limit;
	return extra + VMM_HOST_OVERHEAD;
}

void vm_size_host_limits(const struct vm_config *config, const struct vm_size *size,
			 struct oci_resources *limits)
{
	const uint64_t memory = unified_number(limits, "memory.max");
	const uint64_t pids = unified_number(limits, "pids.max");
	struct oci_kvs *u = &limits->unified;
	uint64_t extra;
	size_t kept = 0;

	if (memory && !limits->memory.limit.set)
		limits->memory.limit = (struct oci_opt_i64){ (int64_t)memory, true };
	if (pids && !limits->pids_limit.set)
		limits->pids_limit = (struct oci_opt_i64){ (int64_t)pids, true };
	extra = memory_extra(config, size,
			     limits->memory.limit.v > 0 ? (uint64_t)limits->memory.limit.v : 0);
	add(&limits->memory.limit, extra);
	add(&limits->memory.swap, extra);
	add(&limits->pids_limit, VM_HOST_PIDS);
	for (size_t i = 0; i < u->len; i++) {
		if (is_outside(u->items[i].key))
			u->items[kept++] = u->items[i];
	}
	u->len = kept;
}
