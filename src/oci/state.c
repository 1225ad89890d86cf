/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/state.h"

#include "oci/decode.h"
#include "oci/writer.h"

static const struct oci_word status_words[] = {
	{ "creating", OCI_CREATING }, { "created", OCI_CREATED }, { "running", OCI_RUNNING },
	{ "paused", OCI_PAUSED },     { "stopped", OCI_STOPPED }, { 0 },
};

const char *oci_status_name(enum oci_status status)
{
	return oci_word_name(status_words, status);
}

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

int oci_state_to_json(const struct oci_state *state, json_t **ret, struct err *err)
{
	AUTO_BUF struct buf text = { 0 };
	int r = oci_state_hook_print(state, &text, err);

	return r < 0 ? r : json_parse(text.data, text.len, "state", ret, err);
}
