/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install/docker.c - /etc/docker/daemon.json: members of "runtimes".
 *
 * JSON has no comments, and dockerd refuses a key that it does not know, so there is no place for a
 * mark: a member is ours if it has one of our names and looks as we write it, {"path": ".../NAME"}.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "install/json_edit.h"
#include "install/plan.h"

#define FILE_NAME "/etc/docker/daemon.json"
#define RUNTIMES  "runtimes"
#define EMPTY	  "{}\n"

static int load(struct install_plan *plan, struct err *err)
{
	struct install_file *file;

	return plan_read(plan, FILE_NAME, &file, err);
}

static json_t *entry(const struct install_plan *plan, size_t handler)
{
	AUTO_BUF struct buf path = { 0 };

	plan_program(plan, handler, &path);
	return buf_error(&path) < 0 ? NULL : json_pack("{s:s}", "path", path.data);
}

/* As we write it, with any directory. */
static bool is_ours(const json_t *value, const char *name)
{
	const char *path = json_string_value(json_object_get(value, "path"));
	const char *slash = path ? strrchr(path, '/') : NULL;

	return json_object_size(value) == 1 && slash && *path == '/' && str_eq(slash + 1, name);
}

static int cut(const struct install_plan *plan, struct buf *text, const json_t *value,
	       const char *name, struct err *err)
{
	if (!is_ours(value, name) && plan_edited(plan, FILE_NAME, err) < 0)
		return -EUCLEAN;
	return json_edit_cut(text, FILE_NAME, RUNTIMES, name, err);
}

static int add_to(const struct install_plan *plan, struct buf *text, struct err *err)
{
	AUTO_JSON json_t *root = NULL;
	int r = json_edit_read(text, FILE_NAME, &root, err);

	for (size_t i = 0; r == 0 && i < HANDLERS; i++) {
		AUTO_JSON json_t *wanted = entry(plan, i);
		const json_t *there =
			json_object_get(json_object_get(root, RUNTIMES), handler_names[i]);

		if (!wanted)
			return err_sys(err, -ENOMEM, FILE_NAME);
		if (there && json_equal(there, wanted))
			continue;
		r = there ? cut(plan, text, there, handler_names[i], err) : 0;
		if (r == 0)
			r = json_edit_put(text, FILE_NAME, RUNTIMES, handler_names[i], wanted, err);
	}
	return r;
}

/* What a file is that has nothing but our lines. */
static int whole_file(const struct install_plan *plan, struct buf *ret, struct err *err)
{
	buf_puts(ret, EMPTY);
	return add_to(plan, ret, err);
}

static int add(struct install_plan *plan, struct err *err)
{
	struct install_file *file = &plan->files[0];

	if (!file->existed)
		return whole_file(plan, &file->after, err);
	return add_to(plan, &file->after, err);
}

/* Whoever starts dockerd afterwards would be told that its default does not exist. */
static int refuse_default(const json_t *root, struct err *err)
{
	const char *chosen = json_string_value(json_object_get(root, "default-runtime"));

	for (size_t i = 0; chosen && i < HANDLERS; i++) {
		if (str_eq(chosen, handler_names[i]))
			return err_set(err, -EBUSY,
				       FILE_NAME ": \"default-runtime\" is \"%s\": dockerd would "
						 "not start without it; choose another first",
				       chosen);
	}
	return 0;
}

static int take(struct install_plan *plan, struct err *err)
{
	struct install_file *file = &plan->files[0];
	AUTO_JSON json_t *root = NULL;
	const json_t *runtimes;
	AUTO_BUF struct buf ours = { 0 };
	size_t taken = 0;
	int r;

	if (!file->existed)
		return 0;
	r = json_edit_read(&file->before, FILE_NAME, &root, err);
	if (r == 0)
		r = refuse_default(root, err);
	runtimes = json_object_get(root, RUNTIMES);
	for (size_t i = HANDLERS; r == 0 && i-- > 0;) {
		const json_t *there = json_object_get(runtimes, handler_names[i]);

		if (!there)
			continue;
		r = cut(plan, &file->after, there, handler_names[i], err);
		taken++;
	}
	if (r == 0 && taken > 0 && taken == json_object_size(runtimes))
		r = json_edit_cut(&file->after, FILE_NAME, NULL, RUNTIMES, err);
	if (r == 0)
		r = whole_file(plan, &ours, err);
	if (r == 0 && str_eq(ours.data, file->before.data))
		file->removed = true;
	return r;
}

static const char *const signs[] = { "/etc/docker", "/usr/bin/dockerd", "/usr/sbin/dockerd", NULL };

const struct engine engine_docker = {
	.name = "docker",
	.signs = signs,
	.restart = "systemctl reload docker",
	.load = load,
	.add = add,
	.take = take,
};
