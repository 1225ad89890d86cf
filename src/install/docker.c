/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install/docker.c - /etc/docker/daemon.json: members of "runtimes".
 *
 * JSON has no comments, and dockerd refuses a key that it does not know, so there is no place for a
 * mark: members are ours if they look as we write them, {"path": ".../NAME"}, and either have the
 * path that we would write now or are all four there in one other directory, as an install with
 * another --runtime-path left them. Anything else of our names is somebody else's.
 *
 * An object "runtimes" that somebody has left empty is to be there afterwards, too: in it our names
 * are written in the opposite order.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "install/json_edit.h"
#include "install/plan.h"

#define FILE_NAME "/etc/docker/daemon.json"
#define RUNTIMES  "runtimes"
#define EMPTY	  "{}\n"

static const char *const signs[] = { "/etc/docker", "/usr/bin/dockerd", "/usr/sbin/dockerd", NULL };

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

/* The directory of a member that looks as we write it: its length in *ret_path; 0: it does not. */
static size_t dir_of(const json_t *runtimes, const char *name, const char **ret_path)
{
	const json_t *value = json_object_get(runtimes, name);
	const char *path = json_string_value(json_object_get(value, "path"));
	const char *slash = path ? strrchr(path, '/') : NULL;

	*ret_path = path;
	return json_object_size(value) == 1 && slash && *path == '/' && str_eq(slash + 1, name)
		       ? (size_t)(slash - path) + 1
		       : 0;
}

/* All four, in one directory. */
static bool is_whole_set(const json_t *runtimes)
{
	const char *first, *path;
	const size_t len = dir_of(runtimes, handler_names[0], &first);

	for (size_t i = 1; len > 0 && i < HANDLERS; i++) {
		if (dir_of(runtimes, handler_names[i], &path) != len ||
		    memcmp(path, first, len) != 0)
			return false;
	}
	return len > 0;
}

/* -EUCLEAN: a member of our names is not ours, and there is no --force. */
static int check_ours(const struct install_plan *plan, const json_t *runtimes, struct err *err)
{
	if (is_whole_set(runtimes))
		return 0;
	for (size_t i = 0; i < HANDLERS; i++) {
		AUTO_JSON json_t *wanted = entry(plan, i);
		const json_t *there = json_object_get(runtimes, handler_names[i]);

		if (!wanted)
			return err_sys(err, -ENOMEM, FILE_NAME);
		if (there && !json_equal(there, wanted) && plan_edited(plan, FILE_NAME, err) < 0)
			return -EUCLEAN;
	}
	return 0;
}

/* Whether "runtimes" was there, and empty, before ours came into it. */
static bool was_empty(json_t *runtimes)
{
	const char *first = json_object_iter_key(json_object_iter(runtimes));

	return runtimes && (!first || str_eq(first, handler_names[HANDLERS - 1]));
}

static int add_to(const struct install_plan *plan, struct buf *text, struct err *err)
{
	AUTO_JSON json_t *root = NULL;
	json_t *runtimes;
	bool backwards;
	int r = json_edit_read(text, FILE_NAME, &root, err);

	runtimes = json_object_get(root, RUNTIMES);
	backwards = was_empty(runtimes);
	if (r == 0)
		r = check_ours(plan, runtimes, err);
	for (size_t n = 0; r == 0 && n < HANDLERS; n++) {
		const size_t i = backwards ? HANDLERS - 1 - n : n;
		AUTO_JSON json_t *wanted = entry(plan, i);
		const json_t *there = json_object_get(runtimes, handler_names[i]);

		if (!wanted)
			return err_sys(err, -ENOMEM, FILE_NAME);
		if (there && json_equal(there, wanted))
			continue;
		if (there)
			r = json_edit_cut(text, FILE_NAME, RUNTIMES, handler_names[i], err);
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

/* Whether dockerd is told to make cgroups itself. */
static bool has_cgroupfs(const struct buf *text)
{
	AUTO_JSON json_t *root = NULL;
	const json_t *options, *option;
	size_t i;

	if (json_edit_read(text, FILE_NAME, &root, NULL) < 0)
		return false;
	options = json_object_get(root, "exec-opts");
	json_array_foreach (options, i, option) {
		const char *said = json_string_value(option);

		if (said && str_eq(said, "native.cgroupdriver=cgroupfs"))
			return true;
	}
	return false;
}

static int add(struct install_plan *plan, struct err *err)
{
	struct install_file *file = &plan->files[0];
	const int r = file->existed ? add_to(plan, &file->after, err)
				    : whole_file(plan, &file->after, err);

	/* dockerd takes systemd's only where cgroup2 has all controllers. */
	if (r == 0 && plan_exists(plan, "/sys/fs/cgroup/cgroup.controllers") &&
	    !has_cgroupfs(&file->after))
		plan_note_systemd(plan,
				  "\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"] in " FILE_NAME
				  ", and dockerd anew");
	return r;
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
	json_t *runtimes;
	AUTO_BUF struct buf ours = { 0 };
	size_t taken = 0;
	int r;

	if (!file->existed)
		return 0;
	r = json_edit_read(&file->before, FILE_NAME, &root, err);
	if (r == 0)
		r = refuse_default(root, err);
	runtimes = json_object_get(root, RUNTIMES);
	if (r == 0)
		r = check_ours(plan, runtimes, err);
	for (size_t i = HANDLERS; r == 0 && i-- > 0;) {
		if (!json_object_get(runtimes, handler_names[i]))
			continue;
		r = json_edit_cut(&file->after, FILE_NAME, RUNTIMES, handler_names[i], err);
		taken++;
	}
	if (r == 0 && taken > 0 && taken == json_object_size(runtimes) && !was_empty(runtimes))
		r = json_edit_cut(&file->after, FILE_NAME, NULL, RUNTIMES, err);
	if (r == 0)
		r = whole_file(plan, &ours, err);
	if (r == 0 && str_eq(ours.data, file->before.data)) {
		file->removed = true;
		/* There is no mark: an empty /etc/docker without a dockerd is ours. */
		file->dirs = !plan_exists(plan, signs[1]) && !plan_exists(plan, signs[2]);
	}
	return r;
}

const struct engine engine_docker = {
	.name = "docker",
	.signs = signs,
	.restart = "systemctl reload docker",
	.load = load,
	.add = add,
	.take = take,
};
