/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install/templates.c - those that make containerd's file themselves from a template: MicroK8s
 * (args/containerd-template.toml) and K3s (config.toml.tmpl, config-v3.toml.tmpl).
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "install/containerd.h"
#include "install/toml.h"

#define MICROK8S_DIR  "/var/snap/microk8s"
#define MICROK8S_FILE MICROK8S_DIR "/current/args/containerd-template.toml"

#define K3S_DIR	       "/var/lib/rancher/k3s"
#define K3S_ETC	       K3S_DIR "/agent/etc/containerd/"
#define K3S_TEMPLATE_2 K3S_ETC "config.toml.tmpl"
#define K3S_TEMPLATE_3 K3S_ETC "config-v3.toml.tmpl"
#define K3S_MADE       K3S_ETC "config.toml"
#define K3S_BASE       "{{ template \"base\" . }}\n\n"

/* ---- MicroK8s: a TOML file with ${VARIABLES} in strings ---- */

static int microk8s_load(struct install_plan *plan, struct err *err)
{
	struct install_file *file;
	int r = plan_read(plan, MICROK8S_FILE, &file, err);

	if (r == 0 && !file->existed)
		return err_set(err, -ENOENT, "%s: MicroK8s has no such file here", MICROK8S_FILE);
	return r;
}

static const char *const microk8s_signs[] = { MICROK8S_DIR, NULL };

const struct engine engine_microk8s = {
	.name = "microk8s",
	.signs = microk8s_signs,
	.restart = "snap restart microk8s.daemon-containerd",
	.load = microk8s_load,
	.add = containerd_add,
	.take = plan_cut_blocks,
};

/* ---- K3s: a template of Go around TOML, which nobody can read before it is filled in ---- */

enum { TEMPLATE_3, TEMPLATE_2 };

static int k3s_load(struct install_plan *plan, struct err *err)
{
	struct install_file *file;
	int r = plan_read(plan, K3S_TEMPLATE_3, &file, err);

	return r < 0 ? r : plan_read(plan, K3S_TEMPLATE_2, &file, err);
}

/* The version that K3s made its file of the last time; 3 where it made none. */
static int made_version(const struct install_plan *plan, unsigned int *ret, struct err *err)
{
	struct install_plan scratch = { .root_fd = plan->root_fd };
	struct install_file file = { 0 }, *read = &file;
	struct toml_statement s;
	struct toml_cursor c;
	int r;

	*ret = 3;
	scratch.files = &file;
	r = plan_read(&scratch, K3S_MADE, &read, err);
	toml_begin(&c, file.before.data ? file.before.data : "", file.before.len, K3S_MADE);
	while (r == 0 && toml_next(&c, &s, NULL) == 1 && s.kind == TOML_VALUE) {
		if (s.key.len == 1 && str_eq(s.key.part[0], "version")) {
			r = toml_number(&c, &s, ret, err);
			break;
		}
	}
	free(file.path);
	buf_done(&file.before);
	buf_done(&file.after);
	return r;
}

/*
 * Whether there is something in the template besides our lines. -EEXIST: our names are in it, and
 * we have not written them.
 */
static int has_others(const struct install_file *file, struct err *err)
{
	AUTO_BUF struct buf rest = { .max = TOML_FILE_MAX };
	int r = block_cut(&file->before, file->path, &rest, err);

	if (r < 0)
		return r;
	if (rest.data && strstr(rest.data, "runtimes.caisson"))
		return err_set(err, -EEXIST,
			       "%s names runtimes of ours, and caisson install has not written it",
			       file->path);
	return rest.data && strspn(rest.data, " \t\r\n") < rest.len;
}

/* Whether others' lines stand around ours, which alone bring K3s's own settings in. */
static bool others_need_base(const struct install_file *file, struct block *ret)
{
	AUTO_BUF struct buf rest = { .max = TOML_FILE_MAX };
	const char *text = file->before.data;

	return block_find(text, file->before.len, file->path, ret, NULL) == 1 &&
	       memmem(text + ret->start, ret->end - ret->start, K3S_BASE, strlen(K3S_BASE)) &&
	       block_cut(&file->before, file->path, &rest, NULL) == 1 && rest.data &&
	       strspn(rest.data, " \t\r\n") < rest.len && !strstr(rest.data, "template \"base\"");
}

static int k3s_add(struct install_plan *plan, struct err *err)
{
	struct containerd_tables tables = { .version = 3 };
	AUTO_BUF struct buf body = { 0 };
	size_t at = TEMPLATE_3;
	struct block block;
	int others = has_others(&plan->files[at], err);
	int r = others;

	/* A template that somebody has written counts; a new one beside it would hide it. */
	if (others == 0) {
		others = r = has_others(&plan->files[TEMPLATE_2], err);
		if (others > 0)
			tables.version = 2;
		else if (others == 0)
			r = made_version(plan, &tables.version, err);
		at = tables.version < 3 ? TEMPLATE_2 : TEMPLATE_3;
	}
	if (r < 0)
		return r;
	if (others == 0 || others_need_base(&plan->files[at], &block))
		buf_puts(&body, K3S_BASE);
	r = containerd_body(plan, &tables, &body, err);
	return r < 0 ? r : plan_put_block(plan, at, body.data, err);
}

/* What others' lines need stays with them. */
static int k3s_take(struct install_plan *plan, struct err *err)
{
	int r = plan_cut_blocks(plan, err);

	for (size_t i = 0; r == 0 && i < plan->files_len; i++) {
		struct install_file *file = &plan->files[i];
		struct block block;

		if (!others_need_base(file, &block))
			continue;
		buf_done(&file->after);
		buf_append(&file->after, file->before.data, block.start);
		buf_puts(&file->after, K3S_BASE);
		buf_append(&file->after, file->before.data + block.end,
			   file->before.len - block.end);
		r = buf_error(&file->after);
		if (r < 0)
			return err_sys(err, r, "%s", file->path);
	}
	return r;
}

static const char *const k3s_signs[] = { K3S_DIR, "/etc/rancher/k3s", NULL };

const struct engine engine_k3s = {
	.name = "k3s",
	.signs = k3s_signs,
	.restart = "systemctl restart k3s (of an agent: k3s-agent)",
	.load = k3s_load,
	.add = k3s_add,
	.take = k3s_take,
};
