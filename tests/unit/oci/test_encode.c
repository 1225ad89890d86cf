/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written reads back as it was: every document that the room's tests have, and every field
 * of the schema alone. The fields come from the tables, so that a new one is either covered by the
 * sample of its kind or fails here until it has a sample of its own.
 */
#include "lib/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "oci/encode.h"
#include "oci/schema.h"

/* ---- two structs of one table are equal ----------------------------------------------------- */

static void same_object(const char *path, const struct oci_object *object, const char *a,
			const char *b);

static void same_text(const char *path, const char *a, const char *b)
{
	if (!str_eq(a, b))
		fail_msg("%s: \"%s\" and \"%s\"", path, a ? a : "(null)", b ? b : "(null)");
}

static void same_number(const char *path, uint64_t a, uint64_t b)
{
	if (a != b)
		fail_msg("%s: %" PRIu64 " and %" PRIu64, path, a, b);
}

static void same_strings(const char *path, const struct oci_strs *a, const struct oci_strs *b)
{
	same_number(path, a->items != NULL, b->items != NULL);
	same_number(path, a->len, b->len);
	for (size_t i = 0; i < a->len; i++)
		same_text(path, a->items[i], b->items[i]);
}

static void same_map(const char *path, const struct oci_kvs *a, const struct oci_kvs *b)
{
	same_number(path, a->len, b->len);
	for (size_t i = 0; i < a->len; i++) {
		same_text(path, a->items[i].key, b->items[i].key);
		same_text(path, a->items[i].value, b->items[i].value);
	}
}

static void same_linux_custom(const char *path, const char *key, const struct oci_linux *a,
			      const struct oci_linux *b)
{
	if (str_eq(key, "timeOffsets")) {
		same_number(path, a->monotonic_offset.set, b->monotonic_offset.set);
		same_number(path, (uint64_t)a->monotonic_offset.secs,
			    (uint64_t)b->monotonic_offset.secs);
		same_number(path, a->monotonic_offset.nanosecs, b->monotonic_offset.nanosecs);
		same_number(path, a->boottime_offset.set, b->boottime_offset.set);
		same_number(path, (uint64_t)a->boottime_offset.secs,
			    (uint64_t)b->boottime_offset.secs);
		same_number(path, a->boottime_offset.nanosecs, b->boottime_offset.nanosecs);
	} else if (str_eq(key, "netDevices")) {
		same_number(path, a->net_devices_len, b->net_devices_len);
		for (size_t i = 0; i < a->net_devices_len; i++) {
			same_text(path, a->net_devices[i].host_name, b->net_devices[i].host_name);
			same_text(path, a->net_devices[i].name, b->net_devices[i].name);
		}
	} else if (str_eq(key, "personality")) {
		same_number(path, a->personality_set, b->personality_set);
		same_number(path, a->personality, b->personality);
	} else {
		fail_msg("%s: say here how to compare it", path);
	}
}

/* Fields whose functions see the parent's struct have offset 0, as some others. */
static void same_custom(const char *path, const struct oci_field *f, const void *a, const void *b)
{
	const struct oci_namespace *ns_a = a, *ns_b = b;
	const struct oci_user *user_a = a, *user_b = b;
	const struct oci_resources *res_a = a, *res_b = b;

	if (str_after(path, "process.capabilities.")) {
		same_number(path, *(const uint64_t *)a, *(const uint64_t *)b);
	} else if (str_eq(path, "linux")) {
		const struct oci_spec *spec_a = a, *spec_b = b;

		same_number(path, spec_a->has_linux, spec_b->has_linux);
		same_object(path, f->object, (const char *)&spec_a->linux,
			    (const char *)&spec_b->linux);
	} else if (str_ends(path, ".type")) {
		same_number(path, (uint64_t) * (const char *)a, (uint64_t) * (const char *)b);
	} else if (str_ends(path, ".major") || str_ends(path, ".minor")) {
		same_number(path, (uint64_t) * (const int64_t *)a, (uint64_t) * (const int64_t *)b);
	} else if (!strchr(path, '.')) { /* vm, windows ... */
		same_number(path, *(const bool *)a, *(const bool *)b);
	} else if (str_ends(path, ".additionalGids")) {
		same_number(path, user_a->additional_gids_len, user_b->additional_gids_len);
		for (size_t i = 0; i < user_a->additional_gids_len; i++)
			same_number(path, user_a->additional_gids[i], user_b->additional_gids[i]);
	} else if (str_ends(path, ".namespaces")) {
		for (size_t i = 0; i < OCI_NS_MAX; i++) {
			same_number(path, ns_a[i].set, ns_b[i].set);
			same_text(path, ns_a[i].path, ns_b[i].path);
		}
	} else if (str_ends(path, ".rdma")) {
		same_number(path, res_a->rdma_len, res_b->rdma_len);
		for (size_t i = 0; i < res_a->rdma_len; i++) {
			same_text(path, res_a->rdma[i].name, res_b->rdma[i].name);
			same_object(path, f->object, (const char *)&res_a->rdma[i],
				    (const char *)&res_b->rdma[i]);
		}
	} else {
		same_linux_custom(path, f->key, a, b);
	}
}

static void same_opt(const char *path, bool a_set, uint64_t a, bool b_set, uint64_t b)
{
	same_number(path, a_set, b_set);
	same_number(path, a, b);
}

static void same_field(const char *path, const struct oci_field *f, const char *a_base,
		       const char *b_base)
{
	const void *a = a_base + f->offset, *b = b_base + f->offset;
	const struct oci_opt_bool *bool_a = a, *bool_b = b;
	const struct oci_opt_u64 *opt_a = a, *opt_b = b;

	switch (f->kind) {
	case OCI_BOOL:
		same_number(path, *(const bool *)a, *(const bool *)b);
		break;
	case OCI_OPT_BOOL:
		same_opt(path, bool_a->set, bool_a->v, bool_b->set, bool_b->v);
		break;
	case OCI_STRING:
		same_text(path, *(const char *const *)a, *(const char *const *)b);
		break;
	case OCI_STRINGS:
		same_strings(path, a, b);
		break;
	case OCI_STRINGMAP:
		same_map(path, a, b);
		break;
	case OCI_INT32:
	case OCI_UINT32:
	case OCI_WORD:
		same_number(path, *(const uint32_t *)a, *(const uint32_t *)b);
		break;
	case OCI_INT64:
	case OCI_UINT64:
	case OCI_FLAGS:
		same_number(path, *(const uint64_t *)a, *(const uint64_t *)b);
		break;
	case OCI_OPT_INT64:
	case OCI_OPT_UINT64:
		same_opt(path, opt_a->set, opt_a->v, opt_b->set, opt_b->v);
		break;
	case OCI_OBJECT:
		same_object(path, f->object, a, b);
		break;
	case OCI_LIST: {
		const size_t len = *(const size_t *)(const void *)(a_base + f->len_offset);
		const char *items_a = *(const char *const *)a, *items_b = *(const char *const *)b;

		same_number(path, len, *(const size_t *)(const void *)(b_base + f->len_offset));
		for (size_t i = 0; i < len; i++)
			same_object(path, f->object, items_a + i * f->object->size,
				    items_b + i * f->object->size);
		break;
	}
	case OCI_CUSTOM:
		same_custom(path, f, a, b);
		break;
	}
}

static void same_object(const char *path, const struct oci_object *object, const char *a,
			const char *b)
{
	char here[256];

	if (object->sets_flag)
		same_number(path, *(const bool *)a, *(const bool *)b);
	for (size_t i = 0; i < object->fields_len; i++) {
		(void)snprintf(here, sizeof(here), "%s%s%s", path, path[0] ? "." : "",
			       object->fields[i].key);
		same_field(here, &object->fields[i], a, b);
	}
}

/* ---- there and back ------------------------------------------------------------------------- */

/* False: the reader refuses the document. `out` gets what was written. */
static bool there_and_back(const char *name, const char *text, size_t len, struct buf *out,
			   struct err *err)
{
	AUTO_BUF struct buf again = { 0 };
	struct oci_spec *first = NULL, *second = NULL;

	if (oci_spec_parse(text, len, name, &first, err) < 0)
		return false;
	if (oci_spec_write(first, out, err) < 0)
		fail_msg("%s: not written: %s", name, err->msg);
	if (oci_spec_parse(out->data, out->len, name, &second, err) < 0)
		fail_msg("%s: not read again: %s\n%s", name, err->msg, out->data);
	same_object("", &oci_schema_spec, (const char *)first, (const char *)second);
	assert_int_equal(oci_spec_write(second, &again, err), 0);
	assert_string_equal(out->data, again.data);
	oci_spec_free(first);
	oci_spec_free(second);
	return true;
}

static size_t each_file(const char *dir, const char *pattern)
{
	DIR *d = opendir(dir);
	size_t accepted = 0;

	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));) {
		AUTO_BUF struct buf text = { 0 }, out = { 0 };
		struct err err = { 0 };

		if (e->d_name[0] == '.' || fnmatch(pattern, e->d_name, 0) != 0)
			continue;
		assert_int_equal(fd_read_file(dirfd(d), e->d_name, &text), 0);
		accepted +=
			there_and_back(e->d_name, text.data ? text.data : "", text.len, &out, &err);
	}
	(void)closedir(d);
	return accepted;
}

static void every_document_reads_back_as_it_was(void **state)
{
	(void)state;
	assert_true(each_file(TEST_SOURCE_DIR "/data", "*.json") > 0);
	assert_true(each_file(TEST_SOURCE_DIR "/../../fuzz/corpus/config", "*") > 20);
}

/* ---- every field alone ---------------------------------------------------------------------- */

/* What fields need each other: all that the rules of validate.c ask for, once. */
static const char base_text[] =
	"{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"r\"},"
	"\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},"
	"\"linux\":{\"namespaces\":[{\"type\":\"user\"},{\"type\":\"mount\"},{\"type\":\"pid\"},"
	"{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"cgroup\"},"
	"{\"type\":\"time\"}],"
	"\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":1}],"
	"\"gidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":1}]}}";

/*
 * Values of fields that take not everything of their kind, and of all custom ones: a JSON array of
 * values. The first is also used where a required sibling is missing, and for the fields below it.
 * "[]" skips the field and those below.
 */
static const struct {
	const char *path, *values;
} samples[] = {
	{ "ociVersion", "[\"1.0.2\"]" },
	{ "process", "[{\"cwd\":\"/\",\"args\":[\"a\"]}]" },
	{ "process.cwd", "[\"/\",\"/x\"]" },
	{ "process.args", "[[\"a\"],[\"x\",\"\"]]" },
	{ "process.user.uid", "[1,4294967294]" },
	{ "process.user.gid", "[1,4294967294]" },
	{ "process.user.additionalGids", "[[],[0,5,4294967295]]" },
	{ "process.capabilities.*",
	  "[[\"CAP_CHOWN\"],[\"CAP_CHOWN\",\"CAP_CHECKPOINT_RESTORE\"]]" },
	{ "process.rlimits", "[[{\"type\":\"RLIMIT_CPU\",\"soft\":0,\"hard\":1},"
			     "{\"type\":\"RLIMIT_AS\",\"soft\":1,\"hard\":1}]]" },
	{ "process.rlimits.soft", "[0,1]" },
	{ "process.rlimits.hard", "[1,9223372036854775807]" },
	{ "process.scheduler.priority", "[]" }, /* with FIFO only: see below */
	{ "process.scheduler.runtime", "[]" },
	{ "process.scheduler.deadline", "[]" },
	{ "process.scheduler.period", "[]" },
	{ "process.scheduler",
	  "[{\"policy\":\"SCHED_OTHER\"},{\"policy\":\"SCHED_FIFO\",\"priority\":7},"
	  "{\"policy\":\"SCHED_DEADLINE\",\"runtime\":1,\"deadline\":2,\"period\":3}]" },
	{ "process.execCPUAffinity.*", "[\"0-3,7\"]" },
	{ "hooks.*.path", "[\"/x\"]" },
	{ "mounts.uidMappings", "[]" }, /* with the other one only */
	{ "mounts.gidMappings", "[]" },
	{ "mounts",
	  "[[{\"destination\":\"/x\",\"uidMappings\":[{\"containerID\":1,\"hostID\":2,"
	  "\"size\":3}],\"gidMappings\":[{\"containerID\":4,\"hostID\":5,\"size\":6}]}]]" },
	{ "linux.*idMappings.containerID", "[0,4294967295]" },
	{ "linux.*idMappings.hostID", "[0,4294967295]" },
	{ "linux.*idMappings.size", "[1]" },
	{ "linux.namespaces",
	  "[[{\"type\":\"user\"},{\"type\":\"mount\",\"path\":\"/m\"},{\"type\":\"time\"}]]" },
	{ "linux.timeOffsets", "[{\"monotonic\":{\"secs\":-1,\"nanosecs\":2}},{\"monotonic\":{},"
			       "\"boottime\":{\"nanosecs\":999999999}}]" },
	{ "linux.devices.path", "[\"/x\"]" },
	{ "linux.devices.type", "[\"c\",\"b\",\"p\"]" },
	{ "linux.netDevices", "[{},{\"eth0\":{\"name\":\"x\"},\"eth1\":{}}]" },
	{ "linux.rootfsPropagation", "[\"slave\"]" },
	{ "linux.maskedPaths", "[[],[\"/x\"]]" },
	{ "linux.readonlyPaths", "[[],[\"/x\"]]" },
	{ "linux.sysctl", "[{\"net.x\":\"1\"}]" },
	{ "linux.resources.devices.type", "[\"c\",\"b\"]" },
	{ "linux.resources.devices.m??or", "[0,5]" },
	{ "linux.resources.devices.access", "[\"rw\"]" },
	{ "linux.resources.blockIO.weightDevice",
	  "[[{\"major\":0,\"minor\":1,\"weight\":1},{\"major\":1,\"minor\":0,\"leafWeight\":0}]]" },
	{ "linux.resources.hugepageLimits.pageSize", "[\"2MB\"]" },
	{ "linux.resources.rdma", "[{\"x\":{\"hcaHandles\":0,\"hcaObjects\":4294967295}}]" },
	{ "linux.resources.unified", "[{\"a.b\":\"\"}]" },
	{ "linux.intelRdt.closID", "[\"x\"]" },
	{ "linux.intelRdt.memBwSchema", "[\"x\"]" },
	{ "linux.seccomp.listenerMetadata", "[]" },
	{ "linux.seccomp", "[{\"defaultAction\":\"x\",\"listenerPath\":\"p\",\"listenerMetadata\":"
			   "\"m\"}]" },
	{ "linux.seccomp.syscalls.names", "[[\"x\",\"y\"]]" },
	{ "linux.memoryPolicy.mode", "[\"MPOL_PREFERRED\"]" },
	{ "linux.memoryPolicy.nodes", "[\"0-3\"]" },
	{ "linux.memoryPolicy.flags", "[[],[\"MPOL_F_STATIC_NODES\"]]" },
	{ "linux.personality", "[{\"domain\":\"LINUX\"},{\"domain\":\"LINUX32\"}]" },
	{ "vm", "[{}]" },
	{ "windows", "[{}]" },
	{ "solaris", "[{}]" },
	{ "zos", "[{}]" },
};

static const char *sample_text(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		if (fnmatch(samples[i].path, path, FNM_NOESCAPE) == 0)
			return samples[i].values;
	}
	return NULL;
}

static json_t *parse_json(const char *text)
{
	struct err err = { 0 };
	json_t *value = NULL;

	if (json_parse(text, strlen(text), "sample", &value, &err) < 0)
		fail_msg("%s in %s", err.msg, text);
	return value;
}

/* The values of an integer kind: its ends, and 0 where that differs from absence. */
static json_t *integer_samples(const struct oci_field *f)
{
	const bool is_signed =
		f->kind == OCI_INT32 || f->kind == OCI_INT64 || f->kind == OCI_OPT_INT64;
	const bool is_small = f->kind == OCI_INT32 || f->kind == OCI_UINT32;
	const bool given = f->min != 0 || f->max != 0;
	json_int_t least = 1, most = is_small ? UINT32_MAX : INT64_MAX;
	json_t *list = json_array();

	if (is_signed) {
		least = is_small ? INT32_MIN : INT64_MIN;
		most = is_small ? INT32_MAX : INT64_MAX;
	}
	if (given) {
		least = f->min ? f->min : 1;
		most = (json_int_t)f->max;
	}
	(void)json_array_append_new(list, json_integer(most));
	(void)json_array_append_new(list, json_integer(least));
	if (f->min <= 0 && (f->required || f->kind == OCI_OPT_INT64 || f->kind == OCI_OPT_UINT64))
		(void)json_array_append_new(list, json_integer(0));
	return list;
}

static json_t *word_samples(const struct oci_field *f)
{
	json_t *list = json_array(), *all = json_array();

	for (const struct oci_word *w = f->words; w->word; w++) {
		(void)json_array_append_new(list, f->kind == OCI_FLAGS ? json_pack("[s]", w->word)
								       : json_string(w->word));
		(void)json_array_append_new(all, json_string(w->word));
	}
	if (f->kind == OCI_FLAGS)
		(void)json_array_append(list, all);
	json_decref(all);
	return list;
}

static json_t *values_of(const char *path, const struct oci_field *f);

/* The least that the reader takes: what is required. */
static json_t *least_object(const char *path, const struct oci_object *object)
{
	json_t *value = json_object();
	char here[256];

	for (size_t i = 0; i < object->fields_len; i++) {
		const struct oci_field *f = &object->fields[i];
		AUTO_JSON json_t *values = NULL;

		if (!f->required)
			continue;
		(void)snprintf(here, sizeof(here), "%s.%s", path, f->key);
		values = values_of(here, f);
		if (json_array_size(values) == 0)
			fail_msg("%s: required and without a sample", here);
		(void)json_object_set(value, f->key, json_array_get(values, 0));
	}
	return value;
}

/* An array of values to try; a new reference. */
static json_t *values_of(const char *path, const struct oci_field *f)
{
	const char *text = sample_text(path);
	AUTO_JSON json_t *least = NULL;

	if (text)
		return parse_json(text);
	switch (f->kind) {
	case OCI_BOOL:
		return json_pack("[b]", 1);
	case OCI_OPT_BOOL:
		return json_pack("[b,b]", 1, 0);
	case OCI_STRING:
		return json_pack("[s,s]", "x", "\"\\\n\x01\xc3\xa4");
	case OCI_STRINGS:
		return json_pack("[[],[s,s]]", "x", "");
	case OCI_STRINGMAP:
		return json_pack("[{s:s,s:s}]", "x", "", "\"", "y");
	case OCI_WORD:
	case OCI_FLAGS:
		return word_samples(f);
	case OCI_OBJECT:
		least = least_object(path, f->object);
		if (json_object_size(least) > 0 || f->object->sets_flag)
			return json_pack("[O]", least);
		return json_array();
	case OCI_LIST:
		least = least_object(path, f->object);
		return json_pack("[[O],[O,O]]", least, least, least);
	case OCI_CUSTOM:
		if (!str_eq(path, "linux"))
			fail_msg("%s: give it a sample", path);
		return json_array();
	default:
		return integer_samples(f);
	}
}

/* `document` is written as an equal one. */
static void check_document(const char *path, json_t *document)
{
	AUTO_FREE char *text = json_text(document, JSON_COMPACT);
	AUTO_BUF struct buf out = { 0 };
	AUTO_JSON json_t *back = NULL;
	struct err err = { 0 };

	assert_non_null(text);
	if (!there_and_back(path, text, strlen(text), &out, &err))
		fail_msg("%s: refused, give it another sample: %s\n%s", path, err.msg, text);
	back = parse_json(out.data);
	if (!json_equal(document, back))
		fail_msg("%s: %s\nis written as\n%s", path, text, out.data);
}

/* One object, of the document, as it is reached from the root: tries every field of it alone. */
struct place {
	json_t *document; /* the whole, with the object in it */
	json_t *object;	  /* within it */
	const char *path;
	const struct oci_object *table;
};

static size_t each_field(const struct place *at);

/* Below a field that is an object or a list of them; values are its samples. */
static size_t descend(const struct place *at, const struct oci_field *f, const char *path,
		      const json_t *values)
{
	json_t *was = json_object_get(at->object, f->key), *child = NULL;
	const json_t *first = json_array_get(values, 0);
	struct place below = { .document = at->document, .path = path, .table = f->object };
	size_t fields;

	json_incref(was);
	if (f->kind == OCI_LIST)
		child = json_pack("[o]", json_deep_copy(json_array_get(first, 0)));
	else if (was)
		child = json_deep_copy(was);
	else
		child = first ? json_deep_copy(first) : least_object(path, f->object);
	below.object = f->kind == OCI_LIST ? json_array_get(child, 0) : child;
	(void)json_object_set_new(at->object, f->key, child);
	fields = each_field(&below);
	if (was)
		(void)json_object_set_new(at->object, f->key, was);
	else
		(void)json_object_del(at->object, f->key);
	return fields;
}

static bool has_key(const char *values, const char *key)
{
	char quoted[128];

	(void)snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	return strstr(values, quoted) != NULL;
}

static size_t each_field(const struct place *at)
{
	char path[256];
	size_t fields = 0;

	for (size_t i = 0; i < at->table->fields_len; i++) {
		const struct oci_field *f = &at->table->fields[i];
		AUTO_JSON json_t *values = NULL, *was = json_object_get(at->object, f->key);
		json_t *value;
		size_t n;

		(void)snprintf(path, sizeof(path), "%s%s%s", at->path, at->path[0] ? "." : "",
			       f->key);
		json_incref(was);
		values = values_of(path, f);
		json_array_foreach (values, n, value) {
			(void)json_object_set(at->object, f->key, value);
			check_document(path, at->document);
		}
		if (was)
			(void)json_object_set(at->object, f->key, was);
		else
			(void)json_object_del(at->object, f->key);
		fields++;
		if (str_eq(sample_text(path), "[]"))
			continue;
		if (f->kind == OCI_OBJECT || f->kind == OCI_LIST || str_eq(path, "linux"))
			fields += descend(at, f, path, values);
		else if (f->object) /* custom: its sample must have all keys of an item */
			for (size_t k = 0; k < f->object->fields_len; k++)
				if (!str_eq(path, "linux.personality") &&
				    !has_key(sample_text(path), f->object->fields[k].key))
					fail_msg("%s: no sample has \"%s\"", path,
						 f->object->fields[k].key);
	}
	return fields;
}

static void every_field_alone_reads_back_as_it_was(void **state)
{
	AUTO_JSON json_t *document = parse_json(base_text);
	const struct place root = { document, document, "", &oci_schema_spec };
	size_t fields;

	(void)state;
	check_document("base", document);
	fields = each_field(&root);
	print_message("           %zu fields\n", fields);
	assert_true(fields > 150);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static struct oci_spec *base_spec(void)
{
	struct oci_spec *spec = NULL;
	struct err err = { 0 };

	assert_int_equal(oci_spec_parse(base_text, strlen(base_text), "base", &spec, &err), 0);
	return spec;
}

static void refused(const struct oci_spec *spec, const char *want)
{
	AUTO_BUF struct buf out = { 0 };
	struct err err = { 0 };

	assert_int_equal(oci_spec_write(spec, &out, &err), -EINVAL);
	assert_string_equal(err.msg, want);
}

static void what_the_tables_cannot_write_is_refused_by_name(void **state)
{
	struct oci_mount mount = { .destination = "/a\xff" };
	struct oci_kv pair = { "\xc3", "x" };
	struct oci_spec *spec = base_spec();

	(void)state;
	spec->mounts = &mount;
	spec->mounts_len = 1;
	refused(spec, "config.json: destination: is not UTF-8");
	mount.destination = NULL;
	refused(spec, "config.json: destination: missing");
	spec->mounts_len = 0;
	spec->annotations = (struct oci_kvs){ &pair, 1 };
	refused(spec, "config.json: annotations: a key is not UTF-8");
	spec->annotations.len = 0;
	spec->process.caps = (struct oci_caps){ .set = true, .ambient = UINT64_C(1) << 63 };
	refused(spec, "config.json: ambient: no name for the capabilities 0x8000000000000000");
	spec->process.caps.set = false;
	spec->process.scheduler = (struct oci_scheduler){ .set = true, .policy = 99 };
	refused(spec, "config.json: policy: no word for the value 99");
	spec->process.scheduler = (struct oci_scheduler){ .set = true, .flags = 1ull << 40 };
	refused(spec, "config.json: flags: no word for the flags 0x10000000000");
	spec->process.scheduler.set = false;
	spec->linux.personality_set = true;
	spec->linux.personality = 3;
	refused(spec, "config.json: domain: no word for the value 3");
	oci_spec_free(spec);
}

static void a_full_buffer_is_an_error(void **state)
{
	struct buf out = { .max = 40 };
	struct oci_spec *spec = base_spec();
	struct err err = { 0 };

	(void)state;
	assert_int_equal(oci_spec_write(spec, &out, &err), -E2BIG);
	assert_int_equal(err.code, -E2BIG);
	buf_done(&out);
	oci_spec_free(spec);
}

static void what_is_taken_out_is_not_written(void **state)
{
	AUTO_BUF struct buf out = { 0 };
	struct oci_spec *spec = base_spec();
	struct err err = { 0 };

	(void)state;
	spec->linux.uid_maps.len = 0;
	spec->linux.gid_maps.len = 0;
	spec->process.set = false;
	memset(spec->linux.ns, 0, sizeof(spec->linux.ns));
	spec->root.path = "/run/x";
	assert_int_equal(oci_spec_write(spec, &out, &err), 0);
	assert_string_equal(
		out.data, "{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"/run/x\"},\"linux\":{}}");
	oci_spec_free(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_tables_cannot_write_is_refused_by_name),
		cmocka_unit_test(a_full_buffer_is_an_error),
		cmocka_unit_test(what_is_taken_out_is_not_written),
		cmocka_unit_test(every_document_reads_back_as_it_was),
		cmocka_unit_test(every_field_alone_reads_back_as_it_was),
	};

	return cmocka_run_group_tests_name("oci/encode", tests, NULL, NULL);
}
