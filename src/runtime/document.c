/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state document of a container, and the specification it was made from.
 */
#include "base/str.h"
#include "runtime/container.h"
#include "runtime/store.h"

/* Borrowed strings in an array of the caller's. */
static int annotations_of(const struct container *c, struct oci_kvs *ret)
{
	const char *key;
	json_t *value;

	ret->len = 0;
	ret->items = calloc(json_object_size(c->annotations) + 1, sizeof(*ret->items));
	if (!ret->items)
		return -ENOMEM;
	json_object_foreach (c->annotations, key, value) {
		ret->items[ret->len].key = key;
		ret->items[ret->len].value = json_string_value(value);
		ret->len++;
	}
	return 0;
}

static int state_json(const struct container *c, enum oci_status status, pid_t pid, json_t **ret,
		      struct err *err)
{
	struct oci_state state = { .version = c->oci_version,
				   .id = c->id,
				   .status = status,
				   .pid = pid,
				   .bundle = c->bundle };
	int r = annotations_of(c, &state.annotations);

	if (r < 0)
		return err_sys(err, r, "state of container %s", c->id);
	r = oci_state_to_json(&state, ret, err);
	free(state.annotations.items);
	return r;
}

int container_state_json(const struct container *c, json_t **ret, struct err *err)
{
	return state_json(c, c->status, c->pid, ret, err);
}

int container_state_text(const struct container *c, enum oci_status status, pid_t pid, char **ret,
			 struct err *err)
{
	AUTO_JSON json_t *doc = NULL;
	int r = state_json(c, status, pid, &doc, err);

	if (r < 0)
		return r;
	*ret = json_text(doc, JSON_COMPACT);
	return *ret ? 0 : err_sys(err, -ENOMEM, "state of container %s", c->id);
}

int container_load_spec(const struct container *c, struct oci_spec **ret, struct err *err)
{
	const int r = oci_spec_load(c->dir_fd, STORE_CONFIG, ret, err);

	return r < 0 ? err_prefix(err, r, "container %s", c->id) : 0;
}
