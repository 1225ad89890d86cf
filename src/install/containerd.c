/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install/containerd.c - containerd's config.toml.
 *
 * Until containerd 1.7 an imported file whose settings name a plugin replaces all that other files
 * say of this plugin (containerd issue 5837), and a table `runtimes` replaces the built-in one,
 * runc with it. So in a file of version 2 our tables go into the one file whose settings of the CRI
 * plugin count: the last one that has any, in the order in which they are read. containerd 2.x
 * (version 3) merges: a drop-in in an imported directory is enough.
 */
#include "install/containerd.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "install/toml.h"

#define MAIN_FILE   "/etc/containerd/config.toml"
#define DROPIN_DIR  "/etc/containerd/conf.d"
#define DROPIN_NAME "50-caisson.toml"

#define CRI_2 "io.containerd.grpc.v1.cri"
#define CRI_3 "io.containerd.cri.v1.runtime"

#define TARGET_LEN 4 /* plugins, the plugin, containerd, runtimes */

/* What counts in one file, without our own lines. */
struct facts {
	bool any; /* statements at all */
	unsigned int version;
	char **imports; /* owned */
	bool cri, runtimes, systemd_cgroup;
	bool cri_off;
};

static void facts_done(struct facts *f)
{
	strv_free(f->imports);
}

static const char *plugin_of(unsigned int version)
{
	return version >= 3 ? CRI_3 : CRI_2;
}

/* How many parts of `key` are those of the table of runtimes. */
static size_t on_the_way(const struct toml_key *key, const char *plugin)
{
	const char *const target[TARGET_LEN] = { "plugins", plugin, "containerd", "runtimes" };
	size_t n = 0;

	while (n < TARGET_LEN && n < key->len && str_eq(key->part[n], target[n]))
		n++;
	return n;
}

static int join(const struct toml_key *table, const struct toml_key *key, struct toml_key *ret)
{
	if (table->len + key->len > TOML_PARTS_MAX)
		return -E2BIG;
	*ret = *table;
	for (size_t i = 0; i < key->len; i++)
		memcpy(ret->part[ret->len++], key->part[i], TOML_PART_MAX);
	return 0;
}

static int look_at_disabled(const struct toml_cursor *c, const struct toml_statement *s,
			    struct facts *f, struct err *err)
{
	AUTO_STRV char **names = NULL;
	int r = toml_strings(c, s, &names, err);

	for (size_t i = 0; r == 0 && names && names[i]; i++)
		f->cri_off |= str_eq(names[i], "cri") || str_eq(names[i], CRI_2) ||
			      str_eq(names[i], CRI_3);
	return r;
}

/* A key outside of all tables. */
static int look_at_top(const struct toml_cursor *c, const struct toml_statement *s, struct facts *f,
		       struct err *err)
{
	if (str_eq(s->key.part[0], "version"))
		return toml_number(c, s, &f->version, err);
	if (str_eq(s->key.part[0], "imports") && !f->imports)
		return toml_strings(c, s, &f->imports, err);
	if (str_eq(s->key.part[0], "disabled_plugins"))
		return look_at_disabled(c, s, f, err);
	return 0;
}

/* A table or key under its whole name. */
static int look_at_plugin(const struct toml_cursor *c, const struct toml_statement *s,
			  const struct toml_key *whole, struct facts *f, struct err *err)
{
	const size_t n = on_the_way(whole, plugin_of(f->version));

	f->cri |= n >= 2;
	if (n == whole->len && s->kind != TOML_TABLE)
		return err_set(
			err, -EBADMSG,
			"%s:%u: \"%s\" is written in one line or as a list: tables cannot be "
			"added to it",
			c->name, s->line, whole->part[whole->len - 1]);
	if (n < TARGET_LEN || whole->len == TARGET_LEN)
		return 0;
	f->runtimes = true;
	for (size_t i = 0; i < HANDLERS; i++) {
		if (str_eq(whole->part[TARGET_LEN], handler_names[i]))
			return err_set(err, -EEXIST,
				       "%s:%u: the runtime \"%s\" is there already, and caisson "
				       "install has not written it",
				       c->name, s->line, handler_names[i]);
	}
	if (s->kind == TOML_VALUE && s->value_len == 4 && memcmp(s->value, "true", 4) == 0 &&
	    str_eq(whole->part[TARGET_LEN], "runc") &&
	    str_eq(whole->part[whole->len - 1], "SystemdCgroup"))
		f->systemd_cgroup = true;
	return 0;
}

/* `version` is that of the main file, or 0 for the main file itself. */
static int read_facts(const struct install_file *file, unsigned int version, struct facts *f,
		      struct err *err)
{
	AUTO_BUF struct buf text = { .max = TOML_FILE_MAX };
	struct toml_key table = { 0 }, whole;
	struct toml_statement s;
	struct toml_cursor c;
	int r = block_cut(&file->before, file->path, &text, err);

	if (r < 0)
		return r;
	f->version = version;
	toml_begin(&c, text.data ? text.data : "", text.len, file->path);
	while ((r = toml_next(&c, &s, err)) == 1) {
		f->any = true;
		if (s.kind != TOML_VALUE)
			table.len = 0;
		if (join(&table, &s.key, &whole) < 0)
			return err_set(err, -EBADMSG, "%s:%u: a key has too many parts", c.name,
				       s.line);
		r = s.kind == TOML_VALUE && whole.len == 1 ? look_at_top(&c, &s, f, err) : 0;
		if (r == 0)
			r = look_at_plugin(&c, &s, &whole, f, err);
		if (r < 0)
			return r;
		if (s.kind != TOML_VALUE)
			table = s.key;
		if (version > 0)
			f->version = version; /* the main file's counts */
	}
	return r;
}

/* Our lines are cut out of a file without understanding the others: for that it is only told. */
static int told(struct install_plan *plan, int r, const struct err *err)
{
	if (!plan->taking || (r != -EBADMSG && r != -EEXIST))
		return r;
	plan_note(plan, "%s: lines of ours in files that it imports may have been missed",
		  err ? err->msg : MAIN_FILE);
	return 0;
}

/* All *.toml of a directory, or one file; what else a glob can be is not read here. */
static int read_import(struct install_plan *plan, const char *pattern, struct err *err)
{
	const char *slash = strrchr(pattern, '/');
	AUTO_STRV char **names = NULL;
	struct install_file *file;
	char dir[PATH_MAX], path[PATH_MAX];
	int r;

	(void)snprintf(dir, sizeof(dir), "%s%.*s", *pattern == '/' ? "" : "/etc/containerd/",
		       slash ? (int)(slash - pattern) : 0, pattern);
	slash = slash ? slash + 1 : pattern;
	if (strpbrk(dir, "*?[\\") || (strpbrk(slash, "*?[\\") && !str_eq(slash, "*.toml")))
		return told(plan,
			    err_set(err, -EBADMSG,
				    "%s: imports \"%s\", which is not understood here", MAIN_FILE,
				    pattern),
			    err);
	if (!str_eq(slash, "*.toml")) {
		r = snprintf(path, sizeof(path), "%s/%s", dir, slash);
		if (r < 0 || r >= (int)sizeof(path))
			return err_sys(err, -ENAMETOOLONG, "%s", pattern);
		return plan_read(plan, path, &file, err);
	}
	r = plan_names(plan, dir, ".toml", &names, err);
	for (size_t i = 0; r == 0 && names && names[i]; i++) {
		r = snprintf(path, sizeof(path), "%s/%s", dir, names[i]) < (int)sizeof(path)
			    ? plan_read(plan, path, &file, err)
			    : err_sys(err, -ENAMETOOLONG, "%s", pattern);
	}
	return r;
}

static int load(struct install_plan *plan, struct err *err)
{
	AUTO(facts_done) struct facts f = { 0 };
	struct install_file *file;
	int r = plan_read(plan, MAIN_FILE, &file, err);

	if (r == 0)
		r = told(plan, read_facts(file, 0, &f, err), err);
	for (size_t i = 0; r == 0 && f.imports && f.imports[i]; i++)
		r = read_import(plan, f.imports[i], err);
	plan->counted = plan->files_len;
	/* Ours from before is looked for where it would lie, whatever the main file says today. */
	return r < 0 ? r : read_import(plan, DROPIN_DIR "/*.toml", err);
}

static void add_handler(const struct install_plan *plan, const struct containerd_tables *tables,
			size_t handler, struct buf *out)
{
	const char *const table = tables->version >= 3 ? "plugins.'" CRI_3 "'.containerd.runtimes"
						       : "plugins.\"" CRI_2
							 "\".containerd.runtimes";
	const char *name = handler_names[handler];
	AUTO_BUF struct buf shim = { 0 };

	buf_printf(out, "[%s.%s]\n", table, name);
	if (plan_shim(plan, handler, &shim))
		buf_printf(out,
			   "  runtime_type = \"io.containerd.%s.v2\"\n  runtime_path = \"%s\"\n",
			   name, shim.data);
	else
		buf_puts(out, "  runtime_type = \"io.containerd.runc.v2\"\n");
	buf_puts(out, "  pod_annotations = [\"io.caisson.*\"]\n"
		      "  container_annotations = [\"io.caisson.*\"]\n");
	if (handler == HANDLER_VM)
		buf_puts(out, "  privileged_without_host_devices = true\n");
	if (shim.len > 0)
		return;
	buf_printf(out, "  [%s.%s.options]\n    BinaryName = \"", table, name);
	plan_program(plan, handler, out);
	buf_puts(out, "\"\n");
}

int containerd_body(const struct install_plan *plan, const struct containerd_tables *tables,
		    struct buf *ret, struct err *err)
{
	int r;

	if (tables->say_version)
		buf_printf(ret, "version = %u\n", tables->version);
	for (size_t i = 0; i < HANDLERS; i++)
		add_handler(plan, tables, i, ret);
	if (tables->runc)
		buf_puts(ret,
			 "# containerd forgets its own runtime as soon as another one is named:\n"
			 "[plugins.\"" CRI_2 "\".containerd.runtimes.runc]\n"
			 "  runtime_type = \"io.containerd.runc.v2\"\n");
	r = buf_error(ret);
	return r < 0 ? err_sys(err, r, "the settings of containerd") : 0;
}

/* The directory that a file of version 3 imports whole: the first one. */
static int dropin_of(const struct facts *f, char path[static PATH_MAX])
{
	for (size_t i = 0; f->imports && f->imports[i]; i++) {
		const char *slash = strrchr(f->imports[i], '/');

		if (f->imports[i][0] == '/' && str_eq(slash + 1, "*.toml") &&
		    snprintf(path, PATH_MAX, "%.*s/" DROPIN_NAME, (int)(slash - f->imports[i]),
			     f->imports[i]) < PATH_MAX)
			return 1;
	}
	return 0;
}

static int put(struct install_plan *plan, const char *path, const struct containerd_tables *tables,
	       struct err *err)
{
	AUTO_BUF struct buf body = { 0 };
	struct install_file *file;
	int r = containerd_body(plan, tables, &body, err);

	if (r == 0)
		r = plan_read(plan, path, &file, err);
	return r < 0 ? r : plan_put_block(plan, (size_t)(file - plan->files), body.data, err);
}

/* Version 3: a drop-in where a directory is imported, else the main file. */
static int add_merged(struct install_plan *plan, const struct facts *f, const char *dropin,
		      struct err *err)
{
	struct containerd_tables tables = { .version = 3 };
	char path[PATH_MAX];

	if (!dropin && !dropin_of(f, path))
		return put(plan, plan->files[0].path, &tables, err);
	tables.say_version = true;
	return put(plan, dropin ? dropin : path, &tables, err);
}

/* Whether somebody has drop-ins, besides ours. */
static bool has_dropins(const struct install_plan *plan)
{
	for (size_t i = 1; i < plan->files_len; i++) {
		if (!str_ends(plan->files[i].path, "/" DROPIN_NAME))
			return true;
	}
	return false;
}

/* Version 2: into the file whose settings of the plugin count. */
static int add_replacing(struct install_plan *plan, const struct facts *f, struct err *err)
{
	struct containerd_tables tables = { .version = 2,
					    .runc = !f->runtimes,
					    .say_version = !f->any };
	bool systemd_cgroup = f->systemd_cgroup;
	size_t at = 0;

	for (size_t i = 1; i < plan->counted; i++) {
		AUTO(facts_done) struct facts imported = { 0 };
		int r = read_facts(&plan->files[i], 2, &imported, err);

		if (r == 0 && imported.imports)
			r = err_set(err, -EBADMSG,
				    "%s imports files itself, which is not followed here",
				    plan->files[i].path);
		if (r < 0)
			return r;
		if (!imported.cri)
			continue;
		at = i;
		tables.runc = !imported.runtimes;
		systemd_cgroup = imported.systemd_cgroup;
	}
	if (systemd_cgroup)
		plan_note(plan,
			  "its own runtime uses the systemd cgroup driver, which caisson does "
			  "not have: caisson makes cgroups itself, below the same slices");
	return put(plan, plan->files[at].path, &tables, err);
}

int containerd_add(struct install_plan *plan, struct err *err)
{
	AUTO(facts_done) struct facts f = { 0 };
	int r = read_facts(&plan->files[0], 0, &f, err);

	if (r < 0)
		return r;
	if (f.cri_off)
		plan_note(plan,
			  "%s disables the CRI plugin (disabled_plugins): no kubelet can use this "
			  "containerd",
			  plan->files[0].path);
	if (!plan->files[0].existed && has_dropins(plan))
		return add_merged(plan, &f, DROPIN_DIR "/" DROPIN_NAME, err);
	if (f.any && f.version < 2)
		return err_set(err, -EBADMSG,
			       "%s has no \"version = 2\" or later: \"containerd config migrate\" "
			       "brings it up to date",
			       plan->files[0].path);
	return f.version >= 3 ? add_merged(plan, &f, NULL, err) : add_replacing(plan, &f, err);
}

static const char *const signs[] = { "/etc/containerd", "/usr/bin/containerd",
				     "/usr/local/bin/containerd", NULL };

const struct engine engine_containerd = {
	.name = "containerd",
	.signs = signs,
	.restart = "systemctl restart containerd (running containers stay)",
	.load = load,
	.add = containerd_add,
	.take = plan_cut_blocks,
};
