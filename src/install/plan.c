/* SPDX-License-Identifier: Apache-2.0 */
/* install/plan.c - the files of a plan, and our block in them. */
#include "install/plan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "install/files.h"
#include "install/toml.h"

#define NAMES_MAX 256 /* files looked at in a directory of drop-ins */

const char *const handler_names[HANDLERS] = { "caisson", "caisson-ns", "caisson-sentry",
					      "caisson-vm" };

static int copy_text(const struct buf *from, struct buf *to)
{
	to->max = TOML_FILE_MAX;
	return from->len > 0 ? buf_append(to, from->data, from->len) : 0;
}

int plan_read(struct install_plan *plan, const char *path, struct install_file **ret,
	      struct err *err)
{
	struct install_file *file;
	int r;

	for (size_t i = 0; i < plan->files_len; i++) {
		if (str_eq(plan->files[i].path, path)) {
			*ret = &plan->files[i];
			return 0;
		}
	}
	if (plan->files_len == INSTALL_FILES_MAX)
		return err_set(err, -E2BIG, "more than %u files of settings", INSTALL_FILES_MAX);
	file = &plan->files[plan->files_len];
	*file = (struct install_file){ .path = strdup(path) };
	if (!file->path)
		return err_sys(err, -ENOMEM, "%s", path);
	plan->files_len++;
	r = files_read(plan->root_fd, file, err);
	if (r == 0 && copy_text(&file->before, &file->after) < 0)
		r = err_sys(err, -ENOMEM, "%s", path);
	if (r == 0)
		*ret = file;
	return r;
}

bool plan_exists(const struct install_plan *plan, const char *path)
{
	AUTO_CLOSE int fd = fd_open_resolve(plan->root_fd, path, O_PATH | O_CLOEXEC, 0,
					    RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

	return fd >= 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int plan_names(const struct install_plan *plan, const char *dir, const char *suffix, char ***ret,
	       struct err *err)
{
	AUTO_STRV char **names = NULL;
	const struct dirent *entry;
	int fd = files_open_dir(plan->root_fd, dir);
	DIR *d;
	int r = 0;

	*ret = NULL;
	if (fd == -ENOENT)
		return 0;
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		r = fd < 0 ? fd : -errno;
		if (fd >= 0)
			(void)close(fd);
		return err_sys(err, r, "open %s", dir);
	}
	while (r == 0 && (entry = readdir(d))) {
		if (entry->d_name[0] == '.' || !str_ends(entry->d_name, suffix))
			continue;
		r = strv_len(names) < NAMES_MAX ? strv_add(&names, entry->d_name) : -E2BIG;
	}
	(void)closedir(d);
	if (r < 0)
		return err_sys(err, r, "read %s", dir);
	if (names)
		qsort(names, strv_len(names), sizeof(*names), compare);
	*ret = TAKE_PTR(names);
	return 0;
}

void plan_note(struct install_plan *plan, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	buf_printf(&plan->notes, "%s\n", text);
}

void plan_note_systemd(struct install_plan *plan, const char *how)
{
	/* sd_booted(3) */
	if (plan_exists(plan, "/run/systemd/system"))
		plan_note(plan,
			  "by default its cgroups are systemd's on this node, which caisson does "
			  "not have: containers start with %s",
			  how);
}

int plan_edited(const struct install_plan *plan, const char *path, struct err *err)
{
	if (plan->options.force)
		return 0;
	return err_set(err, -EUCLEAN,
		       "%s: what caisson install wrote there was edited since: --force replaces or "
		       "removes it all the same",
		       path);
}

/* -EUCLEAN when the block was edited. */
static int check_block(const struct install_plan *plan, const struct install_file *file,
		       struct block *ret, struct err *err)
{
	const int r = block_find(file->before.data, file->before.len, file->path, ret, err);

	return r == 1 && !ret->intact && plan_edited(plan, file->path, err) < 0 ? -EUCLEAN : r;
}

static bool only_blanks(const struct buf *text)
{
	return !text->data || strspn(text->data, " \t\r\n") == text->len;
}

/* The block of one file goes; the file with it, if it is ours and nothing else is in it. */
static int cut_block(const struct install_plan *plan, struct install_file *file, struct err *err)
{
	struct block block;
	int r = check_block(plan, file, &block, err);

	if (r <= 0)
		return r;
	buf_done(&file->after);
	r = block_cut(&file->before, file->path, &file->after, err);
	if (r >= 0 && block.kind == BLOCK_FILE && only_blanks(&file->after)) {
		file->removed = true;
		file->dirs = block.dirs;
	}
	return r < 0 ? r : 0;
}

int plan_cut_blocks(struct install_plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->files_len; i++) {
		const int r = cut_block(plan, &plan->files[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

int plan_put_block(struct install_plan *plan, size_t at, const char *body, struct err *err)
{
	struct install_file *file = &plan->files[at];
	struct block block;
	int r;

	for (size_t i = 0; i < plan->files_len; i++) {
		r = i == at ? 0 : cut_block(plan, &plan->files[i], err);
		if (r < 0)
			return r;
	}
	r = check_block(plan, file, &block, err);
	if (r < 0)
		return r;
	buf_done(&file->after);
	return block_put(&file->before, file->path, body, file->existed ? 0 : 1 + file->dirs,
			 &file->after, err);
}

void plan_program(const struct install_plan *plan, size_t handler, struct buf *out)
{
	buf_printf(out, "%s%s", plan->options.runtime,
		   handler_names[handler] + strlen(handler_names[0]));
}

bool plan_shim(const struct install_plan *plan, size_t handler, struct buf *out)
{
	const char *slash = strrchr(plan->options.runtime, '/');
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%.*s/containerd-shim-%s-v2",
		       (int)(slash - plan->options.runtime), plan->options.runtime,
		       handler_names[handler]);
	if (!plan_exists(plan, path))
		return false;
	buf_puts(out, path);
	return true;
}
