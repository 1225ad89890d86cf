/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/exec_process.h"

#include <fcntl.h>
#include <linux/capability.h>

#include "base/log.h"
#include "base/str.h"
#include "runtime/container.h"

void exec_process_done(struct exec_process *p)
{
	oci_spec_free(TAKE_PTR(p->container));
	oci_spec_free(TAKE_PTR(p->file));
	free(TAKE_PTR(p->env));
	free(TAKE_PTR(p->gids));
	free(TAKE_PTR(p->listen));
}

static int parse_id(const char *text, const char *what, uint32_t *ret, struct err *err)
{
	uint64_t value;

	/* (uint32_t)-1 means "leave it" to setuid(2) and is no id. */
	if (str_to_u64(text, UINT32_MAX - 1, &value) < 0)
		return err_set(err, -EINVAL, "parsing %s as int for %s failed", text, what);
	*ret = (uint32_t)value;
	return 0;
}

int exec_parse_user(const char *text, uint32_t *uid, uint32_t *gid, struct err *err)
{
	const char *colon = strchr(text, ':');
	AUTO_FREE char *user = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);
	int r;

	if (!user)
		return err_sys(err, -ENOMEM, "--user");
	r = parse_id(user, "uid", uid, err);
	if (r == 0 && colon)
		r = parse_id(colon + 1, "gid", gid, err);
	return r;
}

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* Put NAME=VALUE at the end of a list of `len`, or in place of what has its name. The new length.
 */
static size_t set_env(const char **list, size_t len, const char *text)
{
	const size_t name = strcspn(text, "=");

	for (size_t i = 0; i < len; i++) {
		if (strncmp(list[i], text, name) == 0 && (list[i][name] == '=' || !list[i][name])) {
			list[i] = text;
			return len;
		}
	}
	list[len] = text;
	return len + 1;
}

/* process.env, then `added`, then LISTEN_FDS; the last one of a name counts. */
static int make_env(struct exec_process *p, const char *const *added, unsigned int listen,
		    struct err *err)
{
	struct oci_strs *env = &p->spec.process.env;
	const size_t more = count(added);
	size_t len = 0;

	if (more == 0 && listen == 0)
		return 0;
	p->env = calloc(env->len + more + 3, sizeof(*p->env));
	if (!p->env)
		return err_sys(err, -ENOMEM, "--env");
	for (size_t i = 0; i < env->len; i++)
		p->env[len++] = env->items[i];
	for (size_t i = 0; i < more; i++)
		len = set_env(p->env, len, added[i]);
	if (listen > 0) {
		if (str_printf(&p->listen, "LISTEN_FDS=%u", listen) < 0)
			return err_sys(err, -ENOMEM, "LISTEN_FDS");
		len = set_env(p->env, len, p->listen);
		len = set_env(p->env, len, "LISTEN_PID=1");
	}
	env->items = p->env;
	env->len = len;
	return 0;
}

static int add_gids(struct exec_process *p, const struct exec_options *options, struct err *err)
{
	struct oci_user *user = &p->spec.process.user;
	const size_t len = user->additional_gids_len + options->additional_gids_len;

	if (options->additional_gids_len == 0)
		return 0;
	p->gids = calloc(len, sizeof(*p->gids));
	if (!p->gids)
		return err_sys(err, -ENOMEM, "--additional-gids");
	for (size_t i = 0; i < len; i++)
		p->gids[i] = i < user->additional_gids_len
				     ? user->additional_gids[i]
				     : options->additional_gids[i - user->additional_gids_len];
	user->additional_gids = p->gids;
	user->additional_gids_len = len;
	return 0;
}

static int add_caps(struct oci_caps *caps, const char *const *names, struct err *err)
{
	for (size_t i = 0; names && names[i]; i++) {
		const int cap = oci_cap_number(names[i]);

		if (cap < 0)
			return err_set(err, -EINVAL, "--cap %s: unknown capability", names[i]);
		caps->set = true;
		caps->bounding |= UINT64_C(1) << cap;
		caps->effective |= UINT64_C(1) << cap;
		caps->permitted |= UINT64_C(1) << cap;
	}
	return 0;
}

/* The container's own process, changed by flags. */
static int apply_flags(struct exec_process *p, const struct exec_options *options, struct err *err)
{
	struct oci_process *process = &p->spec.process;
	int r;

	process->args.items = (const char **)options->argv;
	process->args.len = count(options->argv);
	process->set = true;
	process->terminal = options->tty;
	if (options->cwd)
		process->cwd = options->cwd;
	if (options->apparmor)
		process->apparmor_profile = options->apparmor;
	if (options->process_label)
		process->selinux_label = options->process_label;
	if (options->no_new_privs)
		process->no_new_privileges = true;
	r = add_caps(&process->caps, options->caps, err);
	if (r == 0 && options->user)
		r = exec_parse_user(options->user, &process->user.uid, &process->user.gid, err);
	if (r == 0)
		r = add_gids(p, options, err);
	return r;
}

/* Nothing of what confines the container, but its environment. */
static void become_shell(struct exec_process *p)
{
	const struct oci_process own = p->spec.process;
	const uint64_t all = UINT64_MAX >> (63 - CAP_LAST_CAP);

	p->spec.process = (struct oci_process){
		.set = true,
		.terminal = own.terminal,
		.args = own.args,
		.env = own.env,
		.cwd = "/",
		.caps = { .set = true, .bounding = all, .effective = all, .permitted = all },
	};
	p->spec.linux.seccomp.set = false;
	p->spec.linux.personality_set = false;
}

int exec_process_make(const struct container *c, const struct exec_options *options,
		      unsigned int listen, struct exec_process *p, struct err *err)
{
	struct oci_process *process = &p->spec.process;
	int r;

	*p = (struct exec_process){ 0 };
	r = container_load_spec(c, &p->container, err);
	if (r < 0)
		return r;
	p->spec = *p->container;
	if (options->process) {
		r = oci_process_load(AT_FDCWD, options->process, &p->file, err);
		if (r < 0)
			return r;
		for (size_t i = 0; i < p->file->warnings.len; i++)
			log_warning("%s", p->file->warnings.items[i]);
		*process = p->file->process;
		/* podman gives both: a process file and --tty. */
		process->terminal = process->terminal || options->tty;
	} else {
		r = apply_flags(p, options, err);
		if (r < 0)
			return r;
	}
	if (options->shell)
		become_shell(p);
	if (process->args.len == 0)
		return err_set(err, -EINVAL, "process args cannot be empty");
	if (!process->cwd || process->cwd[0] != '/')
		return err_set(err, -EINVAL, "cwd must be an absolute path");
	return make_env(p, options->process ? NULL : options->env, listen, err);
}
