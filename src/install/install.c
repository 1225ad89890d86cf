/* SPDX-License-Identifier: Apache-2.0 */
#include "install/install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "install/diff.h"
#include "install/files.h"
#include "install/plan.h"

static const struct engine *const engines[INSTALL_ENGINES_LEN] = {
	&engine_containerd, &engine_crio,     &engine_podman,
	&engine_docker,	    &engine_microk8s, &engine_k3s,
};

const char *install_engine_name(size_t engine)
{
	return engines[engine]->name;
}

int install_engine_find(const char *name, struct err *err)
{
	for (size_t i = 0; i < INSTALL_ENGINES_LEN; i++) {
		if (str_eq(engines[i]->name, name))
			return (int)i;
	}
	return err_set(err, -EINVAL, "unknown engine \"%.32s\": " INSTALL_ENGINES, name);
}

/* Paths stand in TOML and JSON: nothing in them may need to be escaped there. */
static int check_options(const struct install_options *o, struct err *err)
{
	const size_t len = strlen(o->runtime);

	if (o->runtime[0] != '/' || str_path_leaves(o->runtime))
		return err_set(err, -EINVAL, "the path of the runtime, \"%.128s\", is not absolute",
			       o->runtime);
	for (const char *c = o->runtime; *c; c++) {
		if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\'' || *c == '\\')
			return err_set(err, -EINVAL,
				       "the path of the runtime has a character that files of "
				       "settings cannot hold");
	}
	if (len >= PATH_MAX / 2)
		return err_sys(err, -ENAMETOOLONG, "the path of the runtime");
	if (!str_ends(o->runtime, "/caisson"))
		return err_set(err, -EINVAL, "\"%.128s\" is not a program named \"caisson\"",
			       o->runtime);
	return 0;
}

static int begin(size_t engine, const struct install_options *options, struct install_plan *ret,
		 struct err *err)
{
	int r = check_options(options, err);

	*ret = (struct install_plan){ .engine = engines[engine],
				      .options = *options,
				      .root_fd = -EBADF };
	if (r < 0)
		return r;
	ret->root_fd = open(options->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ret->root_fd < 0)
		return err_sys(err, -errno, "open %s", options->root);
	ret->files = calloc(INSTALL_FILES_MAX, sizeof(*ret->files));
	return ret->files ? 0 : err_sys(err, -ENOMEM, "install");
}

void install_plan_done(struct install_plan *plan)
{
	for (size_t i = 0; i < plan->files_len; i++) {
		free(plan->files[i].path);
		buf_done(&plan->files[i].before);
		buf_done(&plan->files[i].after);
	}
	free(plan->files);
	buf_done(&plan->notes);
	if (plan->root_fd >= 0)
		(void)close(plan->root_fd);
	*plan = (struct install_plan){ .root_fd = -EBADF };
}

static bool is_there(const struct install_plan *plan)
{
	for (const char *const *sign = plan->engine->signs; *sign; sign++) {
		if (plan_exists(plan, *sign))
			return true;
	}
	return false;
}

int install_engine_is_there(size_t engine, const struct install_options *options, struct err *err)
{
	AUTO(install_plan_done) struct install_plan plan;
	const int r = begin(engine, options, &plan, err);

	return r < 0 ? r : is_there(&plan);
}

static int check_programs(const struct install_plan *plan, struct err *err)
{
	for (size_t i = 0; i < HANDLERS; i++) {
		AUTO_BUF struct buf path = { 0 };

		plan_program(plan, i, &path);
		if (buf_error(&path) < 0)
			return err_sys(err, buf_error(&path), "install");
		if (!plan_exists(plan, path.data))
			return err_set(err, -ENOENT,
				       "there is no %s%s%s: --runtime-path names where caisson is",
				       path.data, str_eq(plan->options.root, "/") ? "" : " below ",
				       str_eq(plan->options.root, "/") ? "" : plan->options.root);
	}
	return 0;
}

/* `any`: also of programs that are not there. */
static int plan_add(size_t engine, const struct install_options *options, bool any,
		    struct install_plan *ret, struct err *err)
{
	int r = begin(engine, options, ret, err);

	if (r == 0 && !any)
		r = check_programs(ret, err);
	if (r == 0)
		r = ret->engine->load(ret, err);
	return r < 0 ? r : ret->engine->add(ret, err);
}

int install_plan_add(size_t engine, const struct install_options *options, struct install_plan *ret,
		     struct err *err)
{
	return plan_add(engine, options, false, ret, err);
}

int install_plan_take(size_t engine, const struct install_options *options,
		      struct install_plan *ret, struct err *err)
{
	int r = begin(engine, options, ret, err);

	ret->taking = true;
	if (r == 0 && is_there(ret)) {
		r = ret->engine->load(ret, err);
		if (r == 0)
			r = ret->engine->take(ret, err);
	}
	return r;
}

static bool is_changed(const struct install_file *file)
{
	return file->removed || file->before.len != file->after.len ||
	       (file->after.len > 0 &&
		memcmp(file->before.data, file->after.data, file->after.len) != 0);
}

size_t install_plan_changes(const struct install_plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->files_len; i++)
		n += is_changed(&plan->files[i]);
	return n;
}

void install_plan_diff(const struct install_plan *plan, struct buf *out)
{
	static const struct buf nothing = { 0 };

	for (size_t i = 0; i < plan->files_len; i++) {
		const struct install_file *f = &plan->files[i];

		if (is_changed(f))
			diff_append(f->existed ? f->path : "/dev/null", &f->before,
				    f->removed ? "/dev/null" : f->path,
				    f->removed ? &nothing : &f->after, out);
	}
}

void install_plan_summary(const struct install_plan *plan, struct buf *out)
{
	for (size_t i = 0; i < plan->files_len; i++) {
		const struct install_file *f = &plan->files[i];

		if (is_changed(f))
			buf_printf(out, "%s: %s %s\n", plan->engine->name,
				   f->removed	? "removed"
				   : f->existed ? "changed"
						: "wrote",
				   f->path);
	}
	if (install_plan_changes(plan) == 0)
		buf_printf(out, "%s: nothing to change\n", plan->engine->name);
	else if (plan->engine->restart)
		buf_printf(out, "%s: counts after: %s\n", plan->engine->name,
			   plan->engine->restart);
	if (plan->notes.len > 0)
		buf_printf(out, "%s: %s", plan->engine->name, plan->notes.data);
}

int install_plan_apply(const struct install_plan *plan, struct err *err)
{
	/* What goes goes first: the same table in two files stops containerd. */
	for (int putting = 0; putting <= 1; putting++) {
		for (size_t i = 0; i < plan->files_len; i++) {
			const struct install_file *f = &plan->files[i];
			const bool grows = !f->removed && f->after.len >= f->before.len;
			int r;

			if (!is_changed(f) || grows != putting)
				continue;
			r = files_write(plan->root_fd, f, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

const char *install_state_name(enum install_state state)
{
	static const char *const names[] = { "no such engine", "not installed", "installed",
					     "outdated",       "edited",	"refused" };

	return names[state];
}

static void list_changes(const struct install_plan *plan, struct buf *out)
{
	for (size_t i = 0; i < plan->files_len; i++) {
		if (is_changed(&plan->files[i]))
			buf_printf(out, "%s%s", out->len > 0 ? " " : "", plan->files[i].path);
	}
}

int install_status(size_t engine, const struct install_options *options, enum install_state *ret,
		   struct buf *detail, struct err *err)
{
	AUTO(install_plan_done) struct install_plan take = { .root_fd = -EBADF };
	AUTO(install_plan_done) struct install_plan add = { .root_fd = -EBADF };
	struct err why = { 0 };
	int r = install_engine_is_there(engine, options, err);

	if (r < 0)
		return r;
	if (r == 0) {
		*ret = INSTALL_NO_ENGINE;
		return 0;
	}
	r = install_plan_take(engine, options, &take, &why);
	/* With notes there is something that was not understood: adding says what. */
	if (r == 0 && install_plan_changes(&take) == 0 && take.notes.len == 0) {
		*ret = INSTALL_ABSENT;
		return 0;
	}
	list_changes(&take, detail);
	/* A default that is ours cannot be taken away, but it is there. */
	if (r == 0 || r == -EBUSY)
		r = plan_add(engine, options, true, &add, &why);
	if (r == 0) {
		*ret = install_plan_changes(&add) == 0 ? INSTALL_PRESENT : INSTALL_OUTDATED;
		if (check_programs(&add, &why) < 0)
			buf_printf(detail, " (%s)", why.msg);
		return 0;
	}
	*ret = r == -EUCLEAN ? INSTALL_EDITED : INSTALL_REFUSED;
	buf_done(detail);
	buf_puts(detail, why.msg);
	return 0;
}
