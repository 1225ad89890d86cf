/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/setup.h"
#include "shim/task_options.pb-c.h"
#include "shim/ttrpc_frame.h"
#include "shim/task.pb-c.h"

#define TYPE_PREFIX   "type.googleapis.com/"
#define PROGRAM_START "containerd-shim-"
#define SETTINGS_MAX  (64u << 10) /* bytes of SETTINGS_FILE */

/* What options say; texts point into their message. */
struct wishes {
	const char *isolation; /* a class, or "" */
	const char *root, *config_path, *cgroup_manager;
	const char *config_body; /* of config_body_len bytes */
	size_t config_body_len;
	bool no_pivot, no_new_keyring;
	uint32_t io_uid, io_gid;
	const char *shim_cgroup; /* NULL: not said */
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "ns" of "caisson-ns" and of "containerd-shim-caisson-ns-v2"; "" of one without a class. */
static const char *class_of_program(const char *path)
{
	static const char *const classes[] = { "ns", "sentry", "vm" };
	const char *name = base_name(path);
	const char *rest = str_after(name, PROGRAM_START);

	rest = str_after(rest ? rest : name, "caisson-");
	for (size_t i = 0; rest && i < ARRAY_LEN(classes); i++) {
		const char *end = str_after(rest, classes[i]);

		if (end && (!*end || str_eq(end, "-v2")))
			return classes[i];
	}
	return "";
}

static int read_runc(const Caisson__Shim__RuncOptions *o, struct wishes *ret, struct err *err)
{
	const char *program = base_name(o->binary_name);

	/* Whoever names another runtime would believe that it runs. */
	if (*program && !str_eq(program, "caisson") && !*class_of_program(program))
		return err_set(err, -EINVAL,
			       "options: BinaryName %s: this shim runs caisson and nothing else",
			       o->binary_name);
	*ret = (struct wishes){
		.isolation = class_of_program(program),
		.root = o->root,
		.config_path = "",
		.cgroup_manager = o->systemd_cgroup ? "systemd" : "",
		.no_pivot = o->no_pivot_root,
		.no_new_keyring = o->no_new_keyring,
		.io_uid = o->io_uid,
		.io_gid = o->io_gid,
		.shim_cgroup = o->shim_cgroup,
	};
	return 0;
}

static int read_runc_create(const Caisson__Shim__RuncCreateOptions *o, struct wishes *ret)
{
	*ret = (struct wishes){
		.isolation = "",
		.root = "",
		.config_path = "",
		.cgroup_manager = "",
		.no_pivot = o->no_pivot_root,
		.no_new_keyring = o->no_new_keyring,
		.io_uid = o->io_uid,
		.io_gid = o->io_gid,
		.shim_cgroup = o->shim_cgroup,
	};
	return 0;
}

static int read_ours(const Caisson__Shim__Options *o, struct wishes *ret)
{
	*ret = (struct wishes){
		.isolation = o->isolation,
		.root = o->root,
		.config_path = o->config_path,
		.cgroup_manager = o->cgroup_manager,
		.no_pivot = o->no_pivot_root,
		.no_new_keyring = o->no_new_keyring,
	};
	return 0;
}

static int read_handler(const Caisson__Shim__RuntimeOptions *o, struct wishes *ret, struct err *err)
{
	if (o->config_body.len > SETTINGS_BODY_MAX)
		return err_set(err, -E2BIG, "options: a configuration of %zu bytes",
			       o->config_body.len);
	*ret = (struct wishes){
		.isolation = "",
		.root = "",
		.config_path = o->config_path,
		.cgroup_manager = "",
		.config_body = (const char *)o->config_body.data,
		.config_body_len = o->config_body.len,
	};
	return 0;
}

enum options_type { OPTIONS_RUNC, OPTIONS_RUNC_CREATE, OPTIONS_HANDLER, OPTIONS_OURS };

static const struct {
	const char *name;
	enum options_type type;
	const ProtobufCMessageDescriptor *descriptor;
} types[] = {
	{ "containerd.runc.v1.Options", OPTIONS_RUNC, &caisson__shim__runc_options__descriptor },
	{ "containerd.linux.runc.CreateOptions", OPTIONS_RUNC_CREATE,
	  &caisson__shim__runc_create_options__descriptor },
	{ "runtimeoptions.v1.Options", OPTIONS_HANDLER,
	  &caisson__shim__runtime_options__descriptor },
	/* containerd 1.x before its packages were named anew. */
	{ "cri.runtimeoptions.v1.Options", OPTIONS_HANDLER,
	  &caisson__shim__runtime_options__descriptor },
	{ "caisson.shim.Options", OPTIONS_OURS, &caisson__shim__options__descriptor },
};

/* Namespaces of containerd may hold containers of the same name. */
static int set_root(struct settings *s, const char *above, const char *ns, struct err *err)
{
	AUTO_FREE char *root = NULL;

	if (str_printf(&root, "%s/%s", above, ns) < 0)
		return err_sys(err, -ENOMEM, "root");
	return config_set(&s->config, CONFIG_ROOT, root, CONFIG_FROM_FLAG, err);
}

static int apply(struct settings *s, const char *program, const char *ns, const struct wishes *w,
		 struct err *err)
{
	const char *class = class_of_program(program);
	int r;

	/* The node's own may be missing; one that somebody named would be missed. */
	if (*w->config_path && access(w->config_path, F_OK) < 0)
		return err_sys(err, -errno, "options: configuration %.200s", w->config_path);
	r = config_read_files(&s->config, *w->config_path ? w->config_path : config_path(), err);
	if (r == 0 && w->config_body_len > 0)
		r = config_merge(&s->config, w->config_body, w->config_body_len,
				 "the handler's configuration", err);
	if (r == 0 && *class)
		r = config_set(&s->config, CONFIG_ISOLATION, class, CONFIG_FROM_ARGV0, err);
	else if (r == 0 && *w->isolation)
		r = config_set(&s->config, CONFIG_ISOLATION, w->isolation, CONFIG_FROM_FLAG, err);
	if (r == 0 && *w->cgroup_manager)
		r = config_set(&s->config, CONFIG_CGROUP_MANAGER, w->cgroup_manager,
			       CONFIG_FROM_FLAG, err);
	if (r < 0)
		return r;
	if (*w->root && w->root[0] != '/')
		return err_set(err, -EINVAL, "options: root %s is not absolute", w->root);
	r = set_root(s, *w->root ? w->root : SETTINGS_ROOT, ns, err);
	s->no_pivot = w->no_pivot;
	s->no_new_keyring = w->no_new_keyring;
	s->io_uid = w->io_uid;
	s->io_gid = w->io_gid;
	return r < 0 ? r : runtime_set_up(&s->config, &s->rt, err);
}

static int read_wishes(const Caisson__Shim__Any *any, struct ttrpc_message *message,
		       struct wishes *ret, struct err *err)
{
	const char *name = str_after(any->type_url, TYPE_PREFIX);

	name = name ? name : any->type_url;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (!str_eq(name, types[i].name))
			continue;
		if (ttrpc_unpack(types[i].descriptor, any->value.data, any->value.len, message) < 0)
			return err_set(err, -EINVAL, "options: no %s", name);
		if (types[i].type == OPTIONS_RUNC)
			return read_runc((const void *)message->root, ret, err);
		if (types[i].type == OPTIONS_RUNC_CREATE)
			return read_runc_create((const void *)message->root, ret);
		if (types[i].type == OPTIONS_HANDLER)
			return read_handler((const void *)message->root, ret, err);
		return read_ours((const void *)message->root, ret);
	}
	return err_set(err, -EINVAL, "options of type %.200s: this shim does not know them", name);
}

int settings_new(const char *program, const char *ns, const Caisson__Shim__Any *options,
		 struct settings **ret, struct err *err)
{
	AUTO_TTRPC_MESSAGE struct ttrpc_message message = TTRPC_MESSAGE_INIT;
	struct wishes wishes = {
		.isolation = "", .root = "", .config_path = "", .cgroup_manager = ""
	};
	struct settings *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return err_sys(err, -ENOMEM, "settings");
	if (options && options->type_url[0])
		r = read_wishes(options, &message, &wishes, err);
	if (r == 0)
		r = apply(s, program, ns, &wishes, err);
	if (r < 0) {
		settings_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

char *settings_shim_cgroup(const Caisson__Shim__Any *options)
{
	AUTO_TTRPC_MESSAGE struct ttrpc_message message = TTRPC_MESSAGE_INIT;
	struct wishes wishes = { 0 };
	struct err ignored = { 0 };

	/* What is wrong with them is for Create to say. */
	if (read_wishes(options, &message, &wishes, &ignored) < 0 || !wishes.shim_cgroup ||
	    !*wishes.shim_cgroup)
		return NULL;
	return strdup(wishes.shim_cgroup);
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	config_done(&s->config);
	free(s);
}

int settings_save(const struct settings *s, int bundle_fd, struct err *err)
{
	AUTO_JSON json_t *document = json_pack("{s:s}", "root", s->rt.root);

	if (!document)
		return err_sys(err, -ENOMEM, "write " SETTINGS_FILE);
	return json_replace_file(bundle_fd, SETTINGS_FILE, document, JSON_COMPACT, err);
}

/* As if nothing was configured: what was made is found by its root alone. */
static int built_in(struct settings **ret, struct err *err)
{
	struct settings *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_sys(err, -ENOMEM, "settings");
	r = runtime_set_up(&s->config, &s->rt, err);
	if (r < 0)
		settings_free(s);
	else
		*ret = s;
	return r;
}

int settings_load(const char *program, const char *ns, int bundle_fd, struct settings **ret,
		  struct err *err)
{
	AUTO_JSON json_t *document = NULL;
	struct settings *s = NULL;
	struct err problem = { 0 };
	const char *root;
	int r = bundle_fd < 0
			? -ENOENT
			: json_read_file(bundle_fd, SETTINGS_FILE, SETTINGS_MAX, &document, err);

	if (r < 0 && r != -ENOENT)
		return r;
	root = json_string_value(json_object_get(document, "root"));
	if (document && (!root || root[0] != '/'))
		return err_set(err, -EINVAL, SETTINGS_FILE ": no root");
	r = settings_new(program, ns, NULL, &s, &problem);
	if (r < 0) {
		log_warning("%s: the built-in configuration counts", problem.msg);
		r = built_in(&s, err);
	}
	if (r == 0)
		r = root ? config_set(&s->config, CONFIG_ROOT, root, CONFIG_FROM_FLAG, err)
			 : set_root(s, SETTINGS_ROOT, ns, err);
	if (r < 0) {
		settings_free(s);
		return r;
	}
	s->rt.root = config_text(&s->config, CONFIG_ROOT);
	*ret = s;
	return 0;
}
