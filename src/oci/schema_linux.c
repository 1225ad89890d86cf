/* SPDX-License-Identifier: Apache-2.0 */
/* oci/schema_linux.c - linux: runtime-spec config-linux.md, without its resources and seccomp. */
#include "oci/schema.h"

#include <errno.h>
#include <string.h>
#include <sys/personality.h>

#include "base/str.h"
#include "oci/encode.h"

/* ---- namespaces and their settings ---------------------------------------------------------- */

static const struct oci_word ns_words[] = {
	{ "user", OCI_NS_USER },       { "mount", OCI_NS_MOUNT }, { "pid", OCI_NS_PID },
	{ "network", OCI_NS_NETWORK }, { "ipc", OCI_NS_IPC },	  { "uts", OCI_NS_UTS },
	{ "cgroup", OCI_NS_CGROUP },   { "time", OCI_NS_TIME },	  { 0 },
};

const char *oci_ns_name(enum oci_ns ns)
{
	return oci_word_name(ns_words, ns);
}

struct ns_entry {
	uint32_t type;
	const char *path;
};

static const struct oci_field ns_fields[] = {
	{ OCI_FIELD_WORD(struct ns_entry, type, "type", ns_words), .required = true },
	{ OCI_FIELD(struct ns_entry, path, "path", OCI_STRING) },
};

static const struct oci_object ns_object = {
	.fields = ns_fields,
	.fields_len = ARRAY_LEN(ns_fields),
	.size = sizeof(struct ns_entry),
};

static int read_namespaces(struct oci_decoder *d, const struct oci_path *at,
			   const struct oci_value *value, void *to)
{
	struct oci_namespace *all = to;
	struct ns_entry *list = NULL;
	size_t len = 0;
	int r = oci_decode_list(d, at, value, &ns_object, &list, &len);

	if (r < 0)
		return r;
	for (size_t i = 0; i < len; i++) {
		const struct oci_path here = { .up = at, .index = i };
		struct oci_namespace *ns = &all[list[i].type];
		const char *path = list[i].path;

		if (ns->set)
			return oci_refuse(d, &here, "namespace \"%s\" is given twice",
					  ns_words[list[i].type].word);
		if (path && path[0] != '/')
			return oci_refuse_key(d, &here, "path", "\"%s\" is not an absolute path",
					      path);
		*ns = (struct oci_namespace){ .set = true, .path = path };
	}
	return 0;
}

static int write_namespaces(struct oci_encoder *e, const char *key, const void *from)
{
	const struct oci_namespace *all = from;
	bool any = false;
	int r = 0;

	for (uint32_t i = 0; i < OCI_NS_MAX; i++)
		any = any || all[i].set;
	if (!any)
		return 0;
	oci_write_begin(&e->json, key, '[');
	for (uint32_t i = 0; r == 0 && i < OCI_NS_MAX; i++) {
		const struct ns_entry entry = { .type = i, .path = all[i].path };

		if (all[i].set)
			r = oci_encode_object(e, NULL, &ns_object, &entry);
	}
	oci_write_end(&e->json, ']');
	return r;
}

static int check_id_map(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_id_map *map = object;

	if (map->size - 1 > UINT32_MAX - map->container_id ||
	    map->size - 1 > UINT32_MAX - map->host_id)
		return oci_refuse_key(d, at, "size", "the range ends past the last id");
	return 0;
}

static const struct oci_field id_map_fields[] = {
	{ OCI_FIELD(struct oci_id_map, container_id, "containerID", OCI_UINT32), .required = true },
	{ OCI_FIELD(struct oci_id_map, host_id, "hostID", OCI_UINT32), .required = true },
	{ OCI_FIELD(struct oci_id_map, size, "size", OCI_UINT32), .required = true, .min = 1,
	  .max = UINT32_MAX },
};

const struct oci_object oci_schema_id_map = {
	.fields = id_map_fields,
	.fields_len = ARRAY_LEN(id_map_fields),
	.size = sizeof(struct oci_id_map),
	.check = check_id_map,
};

static const struct oci_field time_offset_fields[] = {
	{ OCI_FIELD(struct oci_time_offset, secs, "secs", OCI_INT64) },
	{ OCI_FIELD(struct oci_time_offset, nanosecs, "nanosecs", OCI_UINT32), .max = 999999999 },
};

static const struct oci_object time_offset_object = {
	.fields = time_offset_fields,
	.fields_len = ARRAY_LEN(time_offset_fields),
	.size = sizeof(struct oci_time_offset),
	.sets_flag = true,
};

/* The keys name clocks: time_namespaces(7). */
static int read_time_offsets(struct oci_decoder *d, const struct oci_path *at,
			     const struct oci_value *value, void *to)
{
	struct oci_linux *linux = to;
	int r;

	if (value->type != OCI_MEMBERS)
		return oci_refuse_type(d, at, "object", value);
	for (const struct oci_value *member = value->list.first; member; member = member->next) {
		const struct oci_path here = { .up = at, .key = member->key };
		struct oci_time_offset *offset = NULL;

		if (str_eq(member->key, "monotonic"))
			offset = &linux->monotonic_offset;
		else if (str_eq(member->key, "boottime"))
			offset = &linux->boottime_offset;
		else
			return oci_refuse(d, &here, "unknown clock, must be monotonic or boottime");
		r = oci_decode_object(d, &here, member, &time_offset_object, offset);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_time_offsets(struct oci_encoder *e, const char *key, const void *from)
{
	const struct oci_linux *linux = from;
	int r = 0;

	if (!linux->monotonic_offset.set && !linux->boottime_offset.set)
		return 0;
	oci_write_begin(&e->json, key, '{');
	if (linux->monotonic_offset.set)
		r = oci_encode_object(e, "monotonic", &time_offset_object,
				      &linux->monotonic_offset);
	if (r == 0 && linux->boottime_offset.set)
		r = oci_encode_object(e, "boottime", &time_offset_object, &linux->boottime_offset);
	oci_write_end(&e->json, '}');
	return r;
}

/* ---- devices -------------------------------------------------------------------------------- */

static int read_device_type(struct oci_decoder *d, const struct oci_path *at,
			    const struct oci_value *value, void *to)
{
	const char *s;
	int r = oci_decode_string(d, at, value, &s);

	if (r < 0)
		return r;
	if (!s[0] || !strchr("cbup", s[0]) || s[1])
		return oci_refuse(d, at, "unknown device type \"%s\"", s);
	*(char *)to = s[0] == 'u' ? 'c' : s[0];
	return 0;
}

static int write_device_type(struct oci_encoder *e, const char *key, const void *from)
{
	const char word[] = { *(const char *)from, '\0' };

	return word[0] ? oci_encode_string(e, key, word) : oci_encode_refuse(e, key, "missing");
}

static int check_device(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_device *dev = object;

	if (dev->path[0] != '/')
		return oci_refuse_key(d, at, "path", "\"%s\" is not an absolute path", dev->path);
	return 0;
}

/* Linux has 12 bits of major and 20 of minor number (makedev() in linux/kdev_t.h). */
static const struct oci_field device_fields[] = {
	{ OCI_FIELD(struct oci_device, path, "path", OCI_STRING), .required = true },
	{ OCI_FIELD_CUSTOM(struct oci_device, type, "type", device_type), .required = true },
	{ OCI_FIELD(struct oci_device, major, "major", OCI_INT64), .max = 0xfff },
	{ OCI_FIELD(struct oci_device, minor, "minor", OCI_INT64), .max = 0xfffff },
	{ OCI_FIELD(struct oci_device, file_mode, "fileMode", OCI_OPT_UINT64), .max = UINT32_MAX },
	{ OCI_FIELD(struct oci_device, uid, "uid", OCI_OPT_UINT64), .max = UINT32_MAX },
	{ OCI_FIELD(struct oci_device, gid, "gid", OCI_OPT_UINT64), .max = UINT32_MAX },
};

static const struct oci_object device_object = {
	.fields = device_fields,
	.fields_len = ARRAY_LEN(device_fields),
	.size = sizeof(struct oci_device),
	.check = check_device,
};

static const struct oci_field net_device_fields[] = {
	{ OCI_FIELD(struct oci_net_device, name, "name", OCI_STRING) },
};

static const struct oci_object net_device_object = {
	.fields = net_device_fields,
	.fields_len = ARRAY_LEN(net_device_fields),
	.size = sizeof(struct oci_net_device),
};

/* A map by the host's name, kept as a list; `to` is the whole struct oci_linux. */
static int read_net_devices(struct oci_decoder *d, const struct oci_path *at,
			    const struct oci_value *value, void *to)
{
	struct oci_linux *linux = to;
	struct oci_net_device *dev;
	int r;

	if (value->type != OCI_MEMBERS)
		return oci_refuse_type(d, at, "object", value);
	r = oci_decode_size(d, at, value->list.len);
	if (r < 0)
		return r;
	dev = oci_arena_alloc(d->arena, value->list.len, sizeof(*dev));
	if (!dev)
		return oci_refuse_memory(d);
	linux->net_devices = dev;
	for (const struct oci_value *member = value->list.first; member; member = member->next) {
		const struct oci_path here = { .up = at, .key = member->key };

		r = oci_decode_object(d, &here, member, &net_device_object, dev);
		if (r < 0)
			return r;
		dev->host_name = member->key;
		if (!oci_is_net_device_name(member->key))
			return oci_refuse(d, &here, "not a name of a network device");
		if (dev->name && !oci_is_net_device_name(dev->name))
			return oci_refuse_key(d, &here, "name",
					      "\"%s\" is not a name of a network device",
					      dev->name);
		dev++;
		linux->net_devices_len++;
	}
	return 0;
}

static int write_net_devices(struct oci_encoder *e, const char *key, const void *from)
{
	const struct oci_linux *linux = from;
	int r = 0;

	if (!linux->net_devices)
		return 0;
	oci_write_begin(&e->json, key, '{');
	for (size_t i = 0; r == 0 && i < linux->net_devices_len; i++) {
		const struct oci_net_device *dev = &linux->net_devices[i];

		r = oci_encode_object(e, dev->host_name, &net_device_object, dev);
	}
	oci_write_end(&e->json, '}');
	return r;
}

/* ---- intelRdt, memoryPolicy, personality, rootfsPropagation --------------------------------- */

static int check_intel_rdt(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_intel_rdt *rdt = object;
	const char *id = rdt->clos_id;

	/* "/" is the root's class (OCI 1.3). */
	if (id && !str_eq(id, "/") && (str_eq(id, ".") || str_eq(id, "..") || strpbrk(id, "/\n")))
		return oci_refuse_key(d, at, "closID", "\"%s\" is no name of a directory", id);
	if (rdt->mem_bw_schema && strchr(rdt->mem_bw_schema, '\n'))
		return oci_refuse_key(d, at, "memBwSchema", "must be one line");
	return 0;
}

static const struct oci_field intel_rdt_fields[] = {
	{ OCI_FIELD(struct oci_intel_rdt, clos_id, "closID", OCI_STRING) },
	{ OCI_FIELD(struct oci_intel_rdt, l3_cache_schema, "l3CacheSchema", OCI_STRING) },
	{ OCI_FIELD(struct oci_intel_rdt, mem_bw_schema, "memBwSchema", OCI_STRING) },
	{ OCI_FIELD(struct oci_intel_rdt, schemata, "schemata", OCI_STRINGS) },
	{ OCI_FIELD(struct oci_intel_rdt, enable_cmt, "enableCMT", OCI_BOOL) },
	{ OCI_FIELD(struct oci_intel_rdt, enable_mbm, "enableMBM", OCI_BOOL) },
	{ OCI_FIELD(struct oci_intel_rdt, enable_monitoring, "enableMonitoring", OCI_BOOL) },
};

static const struct oci_object intel_rdt_object = {
	.fields = intel_rdt_fields,
	.fields_len = ARRAY_LEN(intel_rdt_fields),
	.size = sizeof(struct oci_intel_rdt),
	.sets_flag = true,
	.check = check_intel_rdt,
};

/* Value 1: the mode takes no nodes, 2: it may have some, 3: it needs some (set_mempolicy(2)). */
enum { NODES_NONE = 1, NODES_MAY, NODES_MUST };

static const struct oci_word memory_modes[] = {
	{ "MPOL_DEFAULT", NODES_NONE },	       { "MPOL_LOCAL", NODES_NONE },
	{ "MPOL_PREFERRED", NODES_MAY },       { "MPOL_BIND", NODES_MUST },
	{ "MPOL_INTERLEAVE", NODES_MUST },     { "MPOL_WEIGHTED_INTERLEAVE", NODES_MUST },
	{ "MPOL_PREFERRED_MANY", NODES_MUST }, { 0 },
};

static const struct oci_word memory_flags[] = {
	{ "MPOL_F_NUMA_BALANCING", 1 },
	{ "MPOL_F_RELATIVE_NODES", 2 },
	{ "MPOL_F_STATIC_NODES", 4 },
	{ 0 },
};

static int check_memory_policy(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_memory_policy *policy = object;
	const struct oci_path flags = { .up = at, .key = "flags" };
	uint32_t value;

	if (!oci_word_find(memory_modes, policy->mode, &value))
		return oci_refuse_key(d, at, "mode", "unknown value \"%s\"", policy->mode);
	if (policy->nodes && !oci_is_cpulist(policy->nodes))
		return oci_refuse_key(d, at, "nodes", "\"%s\" is no list of nodes", policy->nodes);
	if (policy->nodes && value == NODES_NONE)
		return oci_refuse_key(d, at, "nodes", "must be empty with %s", policy->mode);
	if (!policy->nodes && value == NODES_MUST)
		return oci_refuse_key(d, at, "nodes", "must not be empty with %s", policy->mode);
	for (size_t i = 0; i < policy->flags.len; i++) {
		const struct oci_path here = { .up = &flags, .index = i };

		if (!oci_word_find(memory_flags, policy->flags.items[i], &value))
			return oci_refuse(d, &here, "unknown value \"%s\"", policy->flags.items[i]);
	}
	return 0;
}

static const struct oci_field memory_policy_fields[] = {
	{ OCI_FIELD(struct oci_memory_policy, mode, "mode", OCI_STRING), .required = true },
	{ OCI_FIELD(struct oci_memory_policy, nodes, "nodes", OCI_STRING) },
	{ OCI_FIELD(struct oci_memory_policy, flags, "flags", OCI_STRINGS) },
};

static const struct oci_object memory_policy_object = {
	.fields = memory_policy_fields,
	.fields_len = ARRAY_LEN(memory_policy_fields),
	.size = sizeof(struct oci_memory_policy),
	.sets_flag = true,
	.check = check_memory_policy,
};

struct personality_entry {
	uint32_t domain;
	struct oci_strs flags;
};

static const struct oci_word personality_domains[] = {
	{ "LINUX", PER_LINUX },
	{ "LINUX32", PER_LINUX32 },
	{ 0 },
};

static int check_personality(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct personality_entry *p = object;

	if (p->flags.len > 0)
		return oci_refuse_key(d, at, "flags", "the specification defines no flags yet");
	return 0;
}

static const struct oci_field personality_fields[] = {
	{ OCI_FIELD_WORD(struct personality_entry, domain, "domain", personality_domains),
	  .required = true },
	{ OCI_FIELD(struct personality_entry, flags, "flags", OCI_STRINGS) },
};

static const struct oci_object personality_object = {
	.fields = personality_fields,
	.fields_len = ARRAY_LEN(personality_fields),
	.size = sizeof(struct personality_entry),
	.check = check_personality,
};

/* `to` is the whole struct oci_linux. */
static int read_personality(struct oci_decoder *d, const struct oci_path *at,
			    const struct oci_value *value, void *to)
{
	struct oci_linux *linux = to;
	struct personality_entry p = { 0 };
	int r = oci_decode_object(d, at, value, &personality_object, &p);

	if (r < 0)
		return r;
	linux->personality_set = true;
	linux->personality = p.domain;
	return 0;
}

static int write_personality(struct oci_encoder *e, const char *key, const void *from)
{
	const struct oci_linux *linux = from;
	const struct personality_entry p = { .domain = (uint32_t)linux->personality };

	return linux->personality_set ? oci_encode_object(e, key, &personality_object, &p) : 0;
}

static int check_linux(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	static const char *const words[] = { "shared",	"slave",  "private",  "unbindable",
					     "rshared", "rslave", "rprivate", "runbindable" };
	const struct oci_linux *linux = object;
	const char *propagation = linux->rootfs_propagation;

	for (size_t i = 0; propagation && i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i], propagation) == 0)
			propagation = NULL;
	}
	if (propagation)
		return oci_refuse_key(d, at, "rootfsPropagation", "unknown value \"%s\"",
				      propagation);
	return 0;
}

static const struct oci_field linux_fields[] = {
	{ OCI_FIELD_CUSTOM(struct oci_linux, ns, "namespaces", namespaces), .object = &ns_object },
	{ OCI_FIELD_ITEMS(struct oci_linux, uid_maps, "uidMappings", &oci_schema_id_map) },
	{ OCI_FIELD_ITEMS(struct oci_linux, gid_maps, "gidMappings", &oci_schema_id_map) },
	{ OCI_FIELD_PARENT("timeOffsets", time_offsets), .object = &time_offset_object },
	{ OCI_FIELD_LIST(struct oci_linux, devices, "devices", &device_object) },
	{ OCI_FIELD_PARENT("netDevices", net_devices), .object = &net_device_object },
	{ OCI_FIELD(struct oci_linux, cgroups_path, "cgroupsPath", OCI_STRING) },
	{ OCI_FIELD_OBJECT(struct oci_linux, resources, "resources", &oci_schema_resources) },
	{ OCI_FIELD(struct oci_linux, rootfs_propagation, "rootfsPropagation", OCI_STRING) },
	{ OCI_FIELD_OBJECT(struct oci_linux, seccomp, "seccomp", &oci_schema_seccomp) },
	{ OCI_FIELD(struct oci_linux, sysctl, "sysctl", OCI_STRINGMAP) },
	{ OCI_FIELD(struct oci_linux, masked_paths, "maskedPaths", OCI_STRINGS) },
	{ OCI_FIELD(struct oci_linux, readonly_paths, "readonlyPaths", OCI_STRINGS) },
	{ OCI_FIELD(struct oci_linux, mount_label, "mountLabel", OCI_STRING) },
	{ OCI_FIELD_OBJECT(struct oci_linux, intel_rdt, "intelRdt", &intel_rdt_object) },
	{ OCI_FIELD_OBJECT(struct oci_linux, memory_policy, "memoryPolicy",
			   &memory_policy_object) },
	{ OCI_FIELD_PARENT("personality", personality), .object = &personality_object },
};

const struct oci_object oci_schema_linux = {
	.fields = linux_fields,
	.fields_len = ARRAY_LEN(linux_fields),
	.size = sizeof(struct oci_linux),
	.check = check_linux,
};
