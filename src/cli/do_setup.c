/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/do_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

static bool passes(const char *variable)
{
	static const char *const names[] = { "PATH=", "HOME=", "USER=",	     "LOGNAME=", "SHELL=",
					     "TERM=", "LANG=", "COLORTERM=", "TZ=",	 "LC_" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_after(variable, names[i]))
			return true;
	}
	return false;
}

/* NAME=VALUE replaces the NAME that is there. */
static int set_variable(char ***env, const char *text)
{
	const size_t name_len = (size_t)(strchrnul(text, '=') - text) + 1;

	for (size_t i = 0; *env && (*env)[i]; i++) {
		if (strncmp((*env)[i], text, name_len) == 0) {
			char *copy = strdup(text);

			if (!copy)
				return -ENOMEM;
			free((*env)[i]);
			(*env)[i] = copy;
			return 0;
		}
	}
	return strv_add(env, text);
}

/* The caller's NAME=VALUE, or NULL. */
static const char *find_variable(char *const *environment, const char *name)
{
	for (; *environment; environment++) {
		const char *rest = str_after(*environment, name);

		if (rest && *rest == '=')
			return *environment;
	}
	return NULL;
}

int do_environment(char *const *environment, const struct option_list *wanted, char ***ret,
		   struct err *err)
{
	AUTO_STRV char **env = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && environment[i]; i++) {
		if (passes(environment[i]))
			r = set_variable(&env, environment[i]);
	}
	for (size_t i = 0; r == 0 && i < wanted->len; i++) {
		const char *text = wanted->items[i];

		if (*text == '=' || *text == '\0')
			return err_set(err, -EINVAL, "--env \"%s\": the name is missing", text);
		if (!strchr(text, '='))
			text = find_variable(environment, text);
		if (text)
			r = set_variable(&env, text);
	}
	if (r < 0)
		return err_sys(err, r, "--env");
	*ret = TAKE_PTR(env);
	return 0;
}

/* "name:x:UID:GID:" in the text of passwd(5). */
static int find_user(const char *passwd, const char *name, uint32_t *ret_uid, uint32_t *ret_gid)
{
	const size_t len = strlen(name);

	for (const char *line = passwd; line && *line;) {
		unsigned int uid, gid;

		if (strncmp(line, name, len) == 0 && line[len] == ':') {
			const char *rest = strchr(line + len + 1, ':');

			if (rest && sscanf(rest, ":%u:%u:", &uid, &gid) == 2) {
				*ret_uid = uid;
				*ret_gid = gid;
				return 0;
			}
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return -ENOENT;
}

int do_user_parse(const char *text, const char *passwd, uint32_t *ret_uid, uint32_t *ret_gid,
		  struct err *err)
{
	const char *colon = strchrnul(text, ':');
	AUTO_FREE char *user = strndup(text, (size_t)(colon - text));
	uint32_t named_uid = 0, named_gid = 0;
	uint64_t uid, gid = *ret_gid;
	int r;

	if (!user)
		return err_sys(err, -ENOMEM, "--user");
	r = str_to_u64(user, UINT32_MAX - 1, &uid);
	if (r < 0 && find_user(passwd ? passwd : "", user, &named_uid, &named_gid) == 0) {
		uid = named_uid;
		gid = named_gid;
		r = 0;
	}
	if (r < 0)
		return err_set(err, -ENOENT, "--user %s: no such user, and no number", text);
	if (*colon && str_to_u64(colon + 1, UINT32_MAX - 1, &gid) < 0)
		return err_set(err, -EINVAL, "--user %s: the group is no number", text);
	*ret_uid = (uint32_t)uid;
	*ret_gid = (uint32_t)gid;
	return 0;
}

/*
 * Everybody stays who they are. An ordinary user has one id to give, which may be called 0 instead.
 */
static int plan_user(struct do_setup *s, const char *user, struct err *err)
{
	AUTO_BUF struct buf passwd = { 0 };
	int r;

	s->host_uid = geteuid();
	s->host_gid = getegid();
	s->plan.uid = s->host_uid;
	s->plan.gid = s->host_gid;
	if (!user)
		return 0;
	(void)fd_read_file(AT_FDCWD, "/etc/passwd", &passwd); /* without it: numbers only */
	r = do_user_parse(user, passwd.data, &s->plan.uid, &s->plan.gid, err);
	if (r < 0 || s->host_uid == 0)
		return r;
	if (s->plan.uid == 0 && s->plan.gid == s->host_gid)
		s->plan.gid = 0;
	if (s->plan.uid == 0 ? s->plan.gid != 0
			     : s->plan.uid != s->host_uid || s->plan.gid != s->host_gid)
		r = err_set(
			err, -EPERM,
			"--user %s: an ordinary user is %u or 0 in the sandbox, and nobody else",
			user, s->host_uid);
	return r;
}

/* Every id of this user namespace stands for itself. */
static int map_all(const char *file, struct oci_id_map maps[static DO_ID_MAPS_MAX], size_t *ret_len,
		   struct err *err)
{
	AUTO_BUF struct buf text = { 0 };
	size_t len = 0;
	int r = fd_read_file(AT_FDCWD, file, &text);

	if (r < 0)
		return err_sys(err, r, "read %s", file);
	for (const char *line = text.data; line && *line && len < DO_ID_MAPS_MAX;) {
		unsigned int inside, outside, size;

		if (sscanf(line, "%u %u %u", &inside, &outside, &size) == 3)
			maps[len++] = (struct oci_id_map){ inside, inside, size };
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	*ret_len = len;
	return len ? 0 : err_set(err, -EINVAL, "%s is empty", file);
}

/* Root: identity. An ordinary user: the one id inside stands for the 0 of do_tree_enter()'s
 * namespace. */
static int plan_maps(struct do_setup *s, struct err *err)
{
	struct do_plan *p = &s->plan;
	int r;

	if (s->host_uid != 0) {
		p->uid_maps[0] = (struct oci_id_map){ .container_id = p->uid, .size = 1 };
		p->gid_maps[0] = (struct oci_id_map){ .container_id = p->gid, .size = 1 };
		p->uid_maps_len = 1;
		p->gid_maps_len = 1;
		return 0;
	}
	r = map_all("/proc/self/uid_map", p->uid_maps, &p->uid_maps_len, err);
	return r < 0 ? r : map_all("/proc/self/gid_map", p->gid_maps, &p->gid_maps_len, err);
}

static int plan_limits(struct do_setup *s, const struct do_options *o, struct err *err)
{
	uint64_t quota;
	int r;

	s->plan.limits.memory = o->memory;
	s->plan.limits.pids_limit = o->pids;
	if (!o->cpus)
		return 0;
	r = do_cpus_parse(o->cpus, &quota, err);
	if (r < 0)
		return r;
	(void)snprintf(s->cpu_quota, sizeof(s->cpu_quota), "%llu", (unsigned long long)quota);
	(void)snprintf(s->cpu_period, sizeof(s->cpu_period), "%u", DO_CPU_PERIOD_US);
	s->plan.limits.cpu_quota = s->cpu_quota;
	s->plan.limits.cpu_period = s->cpu_period;
	return 0;
}

static int plan_network(struct do_setup *s, const char *network, struct err *err)
{
	if (!network || str_eq(network, "none"))
		return 0;
	if (!str_eq(network, "host"))
		return err_set(err, -EINVAL, "--network %s: it is none or host", network);
	s->plan.network_host = true;
	/* Often a link into /run, which the sandbox has afresh. */
	if (realpath("/etc/resolv.conf", s->resolv_conf) && str_after(s->resolv_conf, "/run/"))
		s->plan.resolv_conf = s->resolv_conf;
	return 0;
}

static int add_volume(struct do_setup *s, struct do_volume *volume, struct err *err)
{
	if (s->volumes_len >= DO_VOLUMES_MAX)
		return err_set(err, -E2BIG, "--volume: more than %d", DO_VOLUMES_MAX);
	s->volumes[s->volumes_len++] = *volume;
	*volume = (struct do_volume){ 0 };
	return 0;
}

/* The directory `path` of the host in its own place. */
static int add_same_place(struct do_setup *s, const char *source, const char *destination,
			  struct err *err)
{
	AUTO(do_volume_done)
	struct do_volume volume = { .source = strdup(source), .destination = strdup(destination) };

	if (!volume.source || !volume.destination)
		return err_sys(err, -ENOMEM, "do");
	return add_volume(s, &volume, err);
}

static int plan_volumes(struct do_setup *s, const struct do_options *o, struct err *err)
{
	int r = 0;

	s->volumes = calloc(DO_VOLUMES_MAX, sizeof(*s->volumes));
	if (!s->volumes)
		return err_sys(err, -ENOMEM, "do");
	if (o->rw && str_eq(s->cwd, "/"))
		return err_set(err, -EINVAL,
			       "--rw: the working directory is /: use --volume for what is meant");
	if (o->rw)
		r = add_same_place(s, s->cwd, s->cwd, err);
	for (size_t i = 0; r == 0 && i < o->volumes.len; i++) {
		AUTO(do_volume_done) struct do_volume volume = { 0 };

		r = do_volume_parse(o->volumes.items[i], s->cwd, &volume, err);
		if (r == 0 && access(volume.source, F_OK) < 0)
			r = err_sys(err, -errno, "--volume %s", o->volumes.items[i]);
		if (r == 0)
			r = add_volume(s, &volume, err);
	}
	return r;
}

int do_setup_plan(struct do_setup *s, const struct do_options *o, const char *const *argv,
		  struct err *err)
{
	int r;

	if (!getcwd(s->cwd, sizeof(s->cwd)))
		return err_sys(err, -errno, "do: the working directory");
	if (o->cwd && o->cwd[0] != '/')
		return err_set(err, -EINVAL, "--cwd %s: it is not absolute", o->cwd);
	s->plan.cwd = o->cwd ? o->cwd : s->cwd;
	s->plan.argv = argv;
	s->plan.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	r = plan_user(s, o->user, err);
	if (r == 0)
		r = plan_maps(s, err);
	if (r == 0)
		r = plan_limits(s, o, err);
	if (r == 0)
		r = plan_network(s, o->network, err);
	if (r == 0)
		r = plan_volumes(s, o, err);
	if (r == 0)
		r = do_environment(environ, &o->env, &s->env, err);
	s->plan.env = s->env;
	return r;
}

int do_setup_mounts(struct do_setup *s, const struct do_tree *tree, struct err *err)
{
	int r = 0;

	if (tree->cwd[0]) {
		/* Before the user's volumes, which may lie below it. */
		r = add_same_place(s, tree->cwd, s->cwd, err);
		if (r < 0)
			return r;
		struct do_volume cwd = s->volumes[s->volumes_len - 1];

		cwd.readonly = tree->cwd_readonly;
		memmove(s->volumes + 1, s->volumes, (s->volumes_len - 1) * sizeof(cwd));
		s->volumes[0] = cwd;
	}
	s->plan.volumes = s->volumes;
	s->plan.volumes_len = s->volumes_len;
	s->plan.rootfs = tree->rootfs;
	s->plan.init = tree->init;
	s->plan.rootfs_readonly = tree->readonly;
	return 0;
}

void do_setup_done(struct do_setup *s)
{
	for (size_t i = 0; s->volumes && i < s->volumes_len; i++)
		do_volume_done(&s->volumes[i]);
	free(s->volumes);
	strv_free(s->env);
	*s = (struct do_setup){ 0 };
}
