/* SPDX-License-Identifier: Apache-2.0 */
/* oci/schema_resources.c - linux.resources: runtime-spec config-linux.md#control-groups. */
#include "oci/schema.h"

#include <string.h>

#include "base/str.h"
#include "oci/encode.h"

/* ---- devices -------------------------------------------------------------------------------- */

static int read_rule_type(struct oci_decoder *d, const struct oci_path *at,
			  const struct oci_value *value, void *to)
{
	const char *s;
	int r = oci_decode_string(d, at, value, &s);

	if (r < 0)
		return r;
	if (s[0] && (!strchr("acbpu", s[0]) || s[1]))
		return oci_refuse(d, at, "unknown device type \"%s\"", s);
	*(char *)to = s[0] == 'u' ? 'c' : s[0];
	return 0;
}

static int write_rule_type(struct oci_encoder *e, const char *key, const void *from)
{
	const char word[] = { *(const char *)from, '\0' };

	return word[0] == 'a' ? 0 : oci_encode_string(e, key, word);
}

/* -1 reads as "all"; the offset by one lets an absent number be told from 0 (see check_rule()). */
static int read_rule_number(struct oci_decoder *d, const struct oci_path *at,
			    const struct oci_value *value, void *to)
{
	static const struct oci_field device_number = { .kind = OCI_INT64,
							.min = -1,
							.max = INT64_MAX - 1 };
	int64_t n;
	int r = oci_decode_integer(d, at, value, &device_number, &n);

	if (r < 0)
		return r;
	*(int64_t *)to = n + 1;
	return 0;
}

static int write_rule_number(struct oci_encoder *e, const char *key, const void *from)
{
	const int64_t n = *(const int64_t *)from;

	if (n != -1)
		oci_write_int(&e->json, key, n);
	return 0;
}

static int check_rule(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	struct oci_device_rule *rule = object;

	if (!rule->type)
		rule->type = 'a';
	rule->major--; /* absent: -1 */
	rule->minor--;
	if (rule->access && rule->access[strspn(rule->access, "rwm")])
		return oci_refuse_key(d, at, "access", "\"%s\" is not made of r, w and m",
				      rule->access);
	return 0;
}

static const struct oci_field rule_fields[] = {
	{ OCI_FIELD(struct oci_device_rule, allow, "allow", OCI_BOOL), .required = true },
	{ OCI_FIELD_CUSTOM(struct oci_device_rule, type, "type", rule_type) },
	{ OCI_FIELD_CUSTOM(struct oci_device_rule, major, "major", rule_number) },
	{ OCI_FIELD_CUSTOM(struct oci_device_rule, minor, "minor", rule_number) },
	{ OCI_FIELD(struct oci_device_rule, access, "access", OCI_STRING) },
};

static const struct oci_object rule_object = {
	.fields = rule_fields,
	.fields_len = ARRAY_LEN(rule_fields),
	.size = sizeof(struct oci_device_rule),
	.check = check_rule,
};

/* ---- memory, cpu, pids ---------------------------------------------------------------------- */

static const struct oci_field memory_fields[] = {
	{ OCI_FIELD(struct oci_resources, memory.limit, "limit", OCI_OPT_INT64) },
	{ OCI_FIELD(struct oci_resources, memory.reservation, "reservation", OCI_OPT_INT64) },
	{ OCI_FIELD(struct oci_resources, memory.swap, "swap", OCI_OPT_INT64) },
	{ OCI_FIELD(struct oci_resources, memory.kernel, "kernel", OCI_OPT_INT64) },
	{ OCI_FIELD(struct oci_resources, memory.kernel_tcp, "kernelTCP", OCI_OPT_INT64) },
	{ OCI_FIELD(struct oci_resources, memory.swappiness, "swappiness", OCI_OPT_UINT64) },
	{ OCI_FIELD(struct oci_resources, memory.disable_oom_killer, "disableOOMKiller",
		    OCI_OPT_BOOL) },
	{ OCI_FIELD(struct oci_resources, memory.use_hierarchy, "useHierarchy", OCI_OPT_BOOL) },
	{ OCI_FIELD(struct oci_resources, memory.check_before_update, "checkBeforeUpdate",
		    OCI_OPT_BOOL) },
};

static const struct oci_object memory_object = {
	.fields = memory_fields,
	.fields_len = ARRAY_LEN(memory_fields),
};

static const struct oci_field cpu_fields[] = {
	{ OCI_FIELD(struct oci_resources, cpu.shares, "shares", OCI_OPT_UINT64) },
	{ OCI_FIELD(struct oci_resources, cpu.quota, "quota", OCI_OPT_INT64) },
	{ OCI_FIELD(struct oci_resources, cpu.burst, "burst", OCI_OPT_UINT64) },
	{ OCI_FIELD(struct oci_resources, cpu.period, "period", OCI_OPT_UINT64) },
	{ OCI_FIELD(struct oci_resources, cpu.realtime_runtime, "realtimeRuntime", OCI_OPT_INT64) },
	{ OCI_FIELD(struct oci_resources, cpu.realtime_period, "realtimePeriod", OCI_OPT_UINT64) },
	{ OCI_FIELD(struct oci_resources, cpu.cpus, "cpus", OCI_STRING) },
	{ OCI_FIELD(struct oci_resources, cpu.mems, "mems", OCI_STRING) },
	{ OCI_FIELD(struct oci_resources, cpu.idle, "idle", OCI_OPT_INT64) },
};

static const struct oci_object cpu_object = {
	.fields = cpu_fields,
	.fields_len = ARRAY_LEN(cpu_fields),
};

static const struct oci_field pids_fields[] = {
	{ OCI_FIELD(struct oci_resources, pids_limit, "limit", OCI_OPT_INT64) },
};

static const struct oci_object pids_object = {
	.fields = pids_fields,
	.fields_len = ARRAY_LEN(pids_fields),
};

/* ---- blockIO -------------------------------------------------------------------------------- */

static int check_weight_device(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_weight_device *w = object;

	if (!w->weight.set && !w->leaf_weight.set)
		return oci_refuse(d, at, "needs weight or leafWeight");
	return 0;
}

static const struct oci_field weight_device_fields[] = {
	{ OCI_FIELD(struct oci_weight_device, major, "major", OCI_INT64), .required = true },
	{ OCI_FIELD(struct oci_weight_device, minor, "minor", OCI_INT64), .required = true },
	{ OCI_FIELD(struct oci_weight_device, weight, "weight", OCI_OPT_UINT64),
	  .max = UINT16_MAX },
	{ OCI_FIELD(struct oci_weight_device, leaf_weight, "leafWeight", OCI_OPT_UINT64),
	  .max = UINT16_MAX },
};

static const struct oci_object weight_device_object = {
	.fields = weight_device_fields,
	.fields_len = ARRAY_LEN(weight_device_fields),
	.size = sizeof(struct oci_weight_device),
	.check = check_weight_device,
};

static const struct oci_field throttle_fields[] = {
	{ OCI_FIELD(struct oci_throttle, major, "major", OCI_INT64), .required = true },
	{ OCI_FIELD(struct oci_throttle, minor, "minor", OCI_INT64), .required = true },
	{ OCI_FIELD(struct oci_throttle, rate, "rate", OCI_UINT64), .required = true },
};

static const struct oci_object throttle_object = {
	.fields = throttle_fields,
	.fields_len = ARRAY_LEN(throttle_fields),
	.size = sizeof(struct oci_throttle),
};

#define THROTTLE(member, name) OCI_FIELD_ITEMS(struct oci_resources, member, name, &throttle_object)

static const struct oci_field block_io_fields[] = {
	{ OCI_FIELD(struct oci_resources, block_io.weight, "weight", OCI_OPT_UINT64),
	  .max = UINT16_MAX },
	{ OCI_FIELD(struct oci_resources, block_io.leaf_weight, "leafWeight", OCI_OPT_UINT64),
	  .max = UINT16_MAX },
	{ OCI_FIELD_LIST(struct oci_resources, block_io.weight_devices, "weightDevice",
			 &weight_device_object) },
	{ THROTTLE(block_io.read_bps, "throttleReadBpsDevice") },
	{ THROTTLE(block_io.write_bps, "throttleWriteBpsDevice") },
	{ THROTTLE(block_io.read_iops, "throttleReadIOPSDevice") },
	{ THROTTLE(block_io.write_iops, "throttleWriteIOPSDevice") },
};

static const struct oci_object block_io_object = {
	.fields = block_io_fields,
	.fields_len = ARRAY_LEN(block_io_fields),
};

/* ---- hugetlb, network, rdma ----------------------------------------------------------------- */

/* "64KB", "2MB", "1GB": the name is part of a file's name in cgroupfs. */
static int check_hugepage(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_hugepage_limit *h = object;
	const size_t digits = strspn(h->page_size, "0123456789");
	const char *unit = h->page_size + digits;

	if (digits == 0 || !(str_eq(unit, "KB") || str_eq(unit, "MB") || str_eq(unit, "GB")))
		return oci_refuse_key(d, at, "pageSize", "\"%s\" is not like \"2MB\"",
				      h->page_size);
	return 0;
}

static const struct oci_field hugepage_fields[] = {
	{ OCI_FIELD(struct oci_hugepage_limit, page_size, "pageSize", OCI_STRING),
	  .required = true },
	{ OCI_FIELD(struct oci_hugepage_limit, limit, "limit", OCI_UINT64), .required = true },
};

static const struct oci_object hugepage_object = {
	.fields = hugepage_fields,
	.fields_len = ARRAY_LEN(hugepage_fields),
	.size = sizeof(struct oci_hugepage_limit),
	.check = check_hugepage,
};

static const struct oci_field if_prio_fields[] = {
	{ OCI_FIELD(struct oci_if_prio, name, "name", OCI_STRING), .required = true },
	{ OCI_FIELD(struct oci_if_prio, priority, "priority", OCI_UINT32), .required = true },
};

static const struct oci_object if_prio_object = {
	.fields = if_prio_fields,
	.fields_len = ARRAY_LEN(if_prio_fields),
	.size = sizeof(struct oci_if_prio),
};

static const struct oci_field network_fields[] = {
	{ OCI_FIELD(struct oci_resources, network.class_id, "classID", OCI_OPT_UINT64),
	  .max = UINT32_MAX },
	{ OCI_FIELD_LIST(struct oci_resources, network.priorities, "priorities", &if_prio_object) },
};

static const struct oci_object network_object = {
	.fields = network_fields,
	.fields_len = ARRAY_LEN(network_fields),
};

static int check_rdma(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_rdma *rdma = object;

	if (!rdma->hca_handles.set && !rdma->hca_objects.set)
		return oci_refuse(d, at, "needs hcaHandles or hcaObjects");
	return 0;
}

static const struct oci_field rdma_fields[] = {
	{ OCI_FIELD(struct oci_rdma, hca_handles, "hcaHandles", OCI_OPT_UINT64),
	  .max = UINT32_MAX },
	{ OCI_FIELD(struct oci_rdma, hca_objects, "hcaObjects", OCI_OPT_UINT64),
	  .max = UINT32_MAX },
};

static const struct oci_object rdma_object = {
	.fields = rdma_fields,
	.fields_len = ARRAY_LEN(rdma_fields),
	.size = sizeof(struct oci_rdma),
	.check = check_rdma,
};

/* A map by device name, kept as a list; `to` is the whole struct oci_resources. */
static int read_rdma(struct oci_decoder *d, const struct oci_path *at,
		     const struct oci_value *value, void *to)
{
	struct oci_resources *res = to;
	int r;

	if (value->type != OCI_MEMBERS)
		return oci_refuse_type(d, at, "object", value);
	r = oci_decode_size(d, at, value->list.len);
	if (r < 0)
		return r;
	res->rdma = oci_arena_alloc(d->arena, value->list.len, sizeof(*res->rdma));
	if (!res->rdma)
		return oci_refuse_memory(d);
	for (const struct oci_value *member = value->list.first; member; member = member->next) {
		const struct oci_path here = { .up = at, .key = member->key };

		res->rdma[res->rdma_len].name = member->key;
		r = oci_decode_object(d, &here, member, &rdma_object, &res->rdma[res->rdma_len]);
		if (r < 0)
			return r;
		res->rdma_len++;
	}
	return 0;
}

static int write_rdma(struct oci_encoder *e, const char *key, const void *from)
{
	const struct oci_resources *res = from;
	int r = 0;

	if (!res->rdma)
		return 0;
	oci_write_begin(&e->json, key, '{');
	for (size_t i = 0; r == 0 && i < res->rdma_len; i++)
		r = oci_encode_object(e, res->rdma[i].name, &rdma_object, &res->rdma[i]);
	oci_write_end(&e->json, '}');
	return r;
}

/* ---- resources ------------------------------------------------------------------------------ */

/* The keys are names of files in the container's own cgroup: config-linux.md#unified. */
static int check_resources(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_resources *res = object;
	const struct oci_path unified = { .up = at, .key = "unified" };

	for (size_t i = 0; i < res->unified.len; i++) {
		const char *key = res->unified.items[i].key;

		if (strchr(key, '/'))
			return oci_refuse_key(d, &unified, key, "must be a file name, not a path");
		if (!strchr(key, '.'))
			return oci_refuse_key(d, &unified, key,
					      "is not of the form \"controller.file\"");
	}
	return 0;
}

static const struct oci_field resources_fields[] = {
	{ OCI_FIELD_LIST(struct oci_resources, devices, "devices", &rule_object) },
	{ .key = "memory", .kind = OCI_OBJECT, .object = &memory_object },
	{ .key = "cpu", .kind = OCI_OBJECT, .object = &cpu_object },
	{ .key = "pids", .kind = OCI_OBJECT, .object = &pids_object },
	{ .key = "blockIO", .kind = OCI_OBJECT, .object = &block_io_object },
	{ OCI_FIELD_LIST(struct oci_resources, hugepage_limits, "hugepageLimits",
			 &hugepage_object) },
	{ .key = "network", .kind = OCI_OBJECT, .object = &network_object },
	{ OCI_FIELD_PARENT("rdma", rdma), .object = &rdma_object },
	{ OCI_FIELD(struct oci_resources, unified, "unified", OCI_STRINGMAP) },
};

const struct oci_object oci_schema_resources = {
	.fields = resources_fields,
	.fields_len = ARRAY_LEN(resources_fields),
	.size = sizeof(struct oci_resources),
	.sets_flag = true,
	.check = check_resources,
};
