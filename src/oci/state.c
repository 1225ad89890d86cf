/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/state.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "oci/decode.h"
#include "oci/schema.h"
#include "oci/writer.h"

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

/* ---- writing -------------------------------------------------------------------------------- */

static int judge(const struct oci_state *state, const struct buf *out, struct err *err)
{
	const int r = buf_error(out);

	return r < 0 ? err_sys(err, r, "write the state of %s", state->id) : 0;
}

int oci_state_hook_print(const struct oci_state *state, struct buf *out, struct err *err)
{
	struct oci_writer w = { .out = out, .indent = 2 };

	oci_write_begin(&w, NULL, '{');
	oci_write_string(&w, "ociVersion", state->version);
	oci_write_string(&w, "id", state->id);
	oci_write_string(&w, "status", oci_status_name(state->status));
	if (state->pid > 0)
		oci_write_int(&w, "pid", state->pid);
	oci_write_string(&w, "bundle", state->bundle);
	if (state->annotations.len)
		oci_write_pairs(&w, "annotations", &state->annotations);
	oci_write_end(&w, '}');
	return judge(state, out, err);
}

int oci_state_print(const struct oci_state *state, struct buf *out, struct err *err)
{
	struct oci_writer w = { .out = out, .indent = 2 };

	oci_write_begin(&w, NULL, '{');
	oci_write_string(&w, "ociVersion", state->version);
	oci_write_string(&w, "id", state->id);
	oci_write_int(&w, "pid", state->status == OCI_STOPPED ? 0 : state->pid);
	oci_write_string(&w, "status", oci_status_name(state->status));
	oci_write_string(&w, "bundle", state->bundle);
	oci_write_string(&w, "rootfs", state->rootfs ? state->rootfs : "");
	oci_write_string(&w, "created", state->created ? state->created : "");
	if (state->annotations.len)
		oci_write_pairs(&w, "annotations", &state->annotations);
	oci_write_string(&w, "owner", state->owner ? state->owner : "");
	oci_write_end(&w, '}');
	return judge(state, out, err);
}

int oci_state_to_json(const struct oci_state *state, json_t **ret, struct err *err)
{
	AUTO_BUF struct buf text = { 0 };
	int r = oci_state_hook_print(state, &text, err);

	return r < 0 ? r : json_parse(text.data, text.len, "state", ret, err);
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
	struct oci_doc doc = { .name = name, .text = text, .len = len };
	AUTO(oci_arena_free_p) struct oci_arena *arena = oci_arena_new();
	struct oci_decoder d = { .doc = &doc, .arena = arena, .err = err };
	struct oci_state *state = arena ? oci_arena_alloc(arena, 1, sizeof(*state)) : NULL;
	int r;

	if (!state)
		return oci_refuse_memory(&d);
	r = oci_doc_parse(&doc, arena, err);
	if (r < 0)
		return r;
	r = oci_decode_object(&d, NULL, doc.root, &state_object, state);
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
