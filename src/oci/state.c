/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/state.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "oci/decode.h"
#include "oci/schema.h"

static const struct oci_word status_words[] = {
	{ "creating", OCI_CREATING }, { "created", OCI_CREATED }, { "running", OCI_RUNNING },
	{ "paused", OCI_PAUSED },     { "stopped", OCI_STOPPED }, { 0 },
};

const char *oci_status_name(enum oci_status status)
{
	return oci_word_name(status_words, status);
}

int oci_status_from_name(const char *name, enum oci_status *ret)
{
	uint32_t value;

	if (!oci_word_find(status_words, name, &value))
		return -EINVAL;
	*ret = (enum oci_status)value;
	return 0;
}

const char *oci_time_text(const struct timespec *when, char text[static OCI_TIME_MAX])
{
	struct tm tm = { 0 };
	char fraction[16];
	size_t len;

	(void)gmtime_r(&when->tv_sec, &tm);
	len = strftime(text, OCI_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(fraction, sizeof(fraction), ".%09ld", when->tv_nsec);
	for (size_t n = strlen(fraction); n > 0 && strchr("0.", fraction[n - 1]); n--)
		fraction[n - 1] = '\0';
	(void)snprintf(text + len, OCI_TIME_MAX - len, "%sZ", fraction);
	return text;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
	const struct oci_kv *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* A new object with the pairs sorted, as Go writes maps; NULL: out of memory or not UTF-8. */
static json_t *annotations_json(const struct oci_kvs *pairs)
{
	AUTO_FREE struct oci_kv *sorted = calloc(pairs->len ? pairs->len : 1, sizeof(*sorted));
	json_t *object = json_object();

	if (!sorted || !object)
		goto fail;
	memcpy(sorted, pairs->items, pairs->len * sizeof(*sorted));
	qsort(sorted, pairs->len, sizeof(*sorted), by_key);
	for (size_t i = 0; i < pairs->len; i++) {
		if (json_object_set_new(object, sorted[i].key, json_string(sorted[i].value)) < 0)
			goto fail;
	}
	return object;
fail:
	json_decref(object);
	return NULL;
}

/* The string that jansson will not take, or NULL: then memory ran out. */
static const char *bad_string(const struct oci_state *state)
{
	const char *const all[] = { state->version, state->id,	    state->bundle,
				    state->rootfs,  state->created, state->owner };

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		AUTO_JSON json_t *copy = all[i] ? json_string_nocheck(all[i]) : NULL;

		if (copy && json_dumpb(copy, NULL, 0, JSON_ENCODE_ANY) == 0)
			return all[i];
	}
	return NULL;
}

static int refuse_state(const struct oci_state *state, struct err *err)
{
	if (bad_string(state))
		return err_set(err, -EINVAL, "state of %s: a string is not UTF-8", state->id);
	return err_sys(err, -ENOMEM, "state of %s", state->id);
}

static int set_string(json_t *object, const char *key, const char *value)
{
	return json_object_set_new(object, key, json_string(value ? value : ""));
}

static int set_annotations(json_t *object, const struct oci_kvs *pairs)
{
	return pairs->len ? json_object_set_new(object, "annotations", annotations_json(pairs)) : 0;
}

int oci_state_to_json(const struct oci_state *state, json_t **ret, struct err *err)
{
	AUTO_JSON json_t *object = json_object();
	int r = 0;

	if (!object)
		return refuse_state(state, err);
	r |= set_string(object, "ociVersion", state->version);
	r |= set_string(object, "id", state->id);
	r |= set_string(object, "status", oci_status_name(state->status));
	if (state->pid > 0)
		r |= json_object_set_new(object, "pid", json_integer(state->pid));
	r |= set_string(object, "bundle", state->bundle);
	r |= set_annotations(object, &state->annotations);
	if (r < 0)
		return refuse_state(state, err);
	*ret = TAKE_PTR(object);
	return 0;
}

int oci_state_print(const struct oci_state *state, struct buf *out, struct err *err)
{
	AUTO_JSON json_t *object = json_object();
	AUTO_FREE char *text = NULL;
	const pid_t pid = state->status == OCI_STOPPED ? 0 : state->pid;
	int r = 0;

	if (!object)
		return refuse_state(state, err);
	r |= set_string(object, "ociVersion", state->version);
	r |= set_string(object, "id", state->id);
	r |= json_object_set_new(object, "pid", json_integer(pid));
	r |= set_string(object, "status", oci_status_name(state->status));
	r |= set_string(object, "bundle", state->bundle);
	r |= set_string(object, "rootfs", state->rootfs);
	r |= set_string(object, "created", state->created);
	r |= set_annotations(object, &state->annotations);
	r |= set_string(object, "owner", state->owner);
	text = r < 0 ? NULL : json_dumps(object, JSON_INDENT(2));
	if (!text)
		return refuse_state(state, err);
	r = buf_puts(out, text);
	return r < 0 ? err_sys(err, r, "state of %s", state->id) : 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

static const struct oci_field state_fields[] = {
	{ OCI_FIELD(struct oci_state, version, "ociVersion", OCI_STRING), .required = true },
	{ OCI_FIELD(struct oci_state, id, "id", OCI_STRING), .required = true },
	{ OCI_FIELD_WORD(struct oci_state, status, "status", status_words), .required = true },
	{ OCI_FIELD(struct oci_state, pid, "pid", OCI_INT32), .min = 0, .max = INT_MAX },
	{ OCI_FIELD(struct oci_state, bundle, "bundle", OCI_STRING), .required = true },
	{ OCI_FIELD(struct oci_state, annotations, "annotations", OCI_STRINGMAP) },
	{ OCI_FIELD(struct oci_state, rootfs, "rootfs", OCI_STRING) },
	{ OCI_FIELD(struct oci_state, created, "created", OCI_STRING) },
	{ OCI_FIELD(struct oci_state, owner, "owner", OCI_STRING) },
};

static const struct oci_object state_object = {
	.fields = state_fields,
	.fields_len = ARRAY_LEN(state_fields),
	.size = sizeof(struct oci_state),
};

_Static_assert(sizeof(enum oci_status) == sizeof(uint32_t), "OCI_WORD writes 32 bits");
_Static_assert(sizeof(pid_t) == sizeof(int32_t), "OCI_INT32 writes 32 bits");

int oci_state_parse(const char *text, size_t len, const char *name, struct oci_state **ret,
		    struct err *err)
{
	const struct oci_doc doc = { .name = name, .text = text, .len = len };
	AUTO(oci_arena_free_p) struct oci_arena *arena = oci_arena_new();
	struct oci_decoder d = { .doc = &doc, .arena = arena, .err = err };
	struct oci_state *state = arena ? oci_arena_alloc(arena, 1, sizeof(*state)) : NULL;
	json_t *tree;
	int r;

	if (!state)
		return oci_refuse_memory(&d);
	r = oci_doc_parse(&doc, &tree, err);
	if (r < 0)
		return r;
	oci_arena_keep_tree(arena, tree);
	r = oci_decode_object(&d, NULL, tree, &state_object, state);
	if (r < 0)
		return r;
	state->arena = TAKE_PTR(arena);
	*ret = state;
	return 0;
}

void oci_state_free(struct oci_state *state)
{
	if (state)
		oci_arena_free(state->arena);
}
