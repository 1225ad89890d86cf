/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/first.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/str.h"
#include "sentry/boot/full.h"
#include "sentry/boot/program.h"
#include "sentry/fs/devtmpfs/host_file.h"

#define STDIO_FDS 3u

static struct cred *make_cred(const struct sentry_process *p)
{
	struct cred *cred = cred_new_root();

	if (!cred)
		return NULL;
	cred->uid = cred->euid = cred->suid = cred->fsuid = p->uid;
	cred->gid = cred->egid = cred->sgid = cred->fsgid = p->gid;
	cred->cap_bounding = p->cap_bounding;
	cred->cap_effective = p->cap_effective;
	cred->cap_inheritable = p->cap_inheritable;
	cred->cap_permitted = p->cap_permitted;
	cred->cap_ambient = p->cap_ambient;
	cred->no_new_privs = p->no_new_privs;
	if (cred_set_groups(cred, p->groups, p->groups_len) < 0) {
		cred_unref(cred);
		return NULL;
	}
	return cred;
}

static bool is_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* The container's own null device serves as well as the host's, and has a name there. */
static int open_null(const struct first_options *o, struct file **ret)
{
	const struct path root = { o->mounts->root, o->mounts->root->root };
	struct cred *cred = cred_new_root();
	const struct vfs_ctx ctx = { .cred = cred, .root = &root, .cwd = &root };
	int r = cred ? vfs_open(&ctx, NULL, "/dev/null", O_RDWR, 0, WALK_NO_MAGIC, ret) : -ENOMEM;

	cred_unref(cred);
	if (r == 0 && (!S_ISCHR((*ret)->inode->mode) || (*ret)->inode->rdev != makedev(1, 3))) {
		file_unref(*ret);
		r = -ENODEV;
	}
	return r;
}

/* The host's descriptors become the guest's 0, 1, 2 ...; those that are not there are -1. */
static int make_files(const struct first_options *o, struct fd_table **ret, struct err *err)
{
	const unsigned int count = STDIO_FDS + o->process->preserve_fds;
	struct fd_table *table = NULL;
	int r = fd_table_new(&table);

	for (unsigned int i = 0; i < count; i++) {
		struct file *f;

		if (o->host_fds[i] < 0)
			continue;
		/* All three are the host's terminal; the first is enough for the pump. */
		if (o->process->terminal && i < STDIO_FDS) {
			if (i > 0)
				(void)close(o->host_fds[i]);
			continue;
		}
		if (r == 0 && is_null(o->host_fds[i]) && open_null(o, &f) == 0)
			(void)close(o->host_fds[i]);
		else if (r == 0)
			r = host_file_new(o->host_fds[i], o->process->uid, o->process->gid, &f);
		if (r < 0) {
			(void)close(o->host_fds[i]);
			continue;
		}
		r = fd_replace(table, (int)i, f, false, count);
	}
	if (r < 0) {
		fd_table_unref(table);
		return err_sys(err, r, "descriptors of the process");
	}
	*ret = table;
	return 0;
}

static int make_terminal(const struct first_options *o, const struct vfs_ctx *ctx,
			 struct fd_table *files, struct file **ret_slave, struct err *err)
{
	int r;

	if (!o->process->terminal)
		return 0;
	r = terminal_new(o->process, ctx, o->host_fds[0], ret_slave, o->ret_terminal, err);
	if (r < 0)
		return r;
	if (o->is_first)
		terminal_make_console(*o->ret_terminal, ctx);
	for (int i = 0; r == 0 && i < (int)STDIO_FDS; i++)
		r = fd_replace(files, i, file_ref(*ret_slave), false, STDIO_FDS);
	return r < 0 ? err_sys(err, r, "terminal of the process") : 0;
}

static void make_limits(const struct sentry_process *p, struct rlimit limits[RLIM_NLIMITS])
{
	/* include/asm-generic/resource.h of Linux: what init starts with. */
	static const struct rlimit defaults[RLIM_NLIMITS] = {
		[RLIMIT_CPU] = { RLIM_INFINITY, RLIM_INFINITY },
		[RLIMIT_FSIZE] = { RLIM_INFINITY, RLIM_INFINITY },
		[RLIMIT_DATA] = { RLIM_INFINITY, RLIM_INFINITY },
		[RLIMIT_STACK] = { 8 << 20, RLIM_INFINITY },
		[RLIMIT_CORE] = { 0, RLIM_INFINITY },
		[RLIMIT_RSS] = { RLIM_INFINITY, RLIM_INFINITY },
		[RLIMIT_NPROC] = { RLIM_INFINITY, RLIM_INFINITY },
		[RLIMIT_NOFILE] = { 1024, 1048576 },
		[RLIMIT_MEMLOCK] = { 8 << 20, 8 << 20 },
		[RLIMIT_AS] = { RLIM_INFINITY, RLIM_INFINITY },
		[RLIMIT_LOCKS] = { RLIM_INFINITY, RLIM_INFINITY },
		[RLIMIT_SIGPENDING] = { 16384, 16384 },
		[RLIMIT_MSGQUEUE] = { 819200, 819200 },
		[RLIMIT_RTTIME] = { RLIM_INFINITY, RLIM_INFINITY },
	};

	memcpy(limits, defaults, sizeof(defaults));
	for (uint32_t i = 0; i < p->rlimits_len; i++) {
		if (p->rlimits[i].resource < RLIM_NLIMITS)
			limits[p->rlimits[i].resource] =
				(struct rlimit){ p->rlimits[i].soft, p->rlimits[i].hard };
	}
}

/* The working directory, made if it is not there for the first process, as runc does. */
static int find_cwd(struct vfs_ctx *ctx, const char *path, bool make, struct path *ret)
{
	struct cred *root = NULL;
	struct vfs_ctx as_root = *ctx;
	int r = path_walk(ctx, NULL, path, WALK_FOLLOW | WALK_DIRECTORY, ret);

	if (r != -ENOENT || !make)
		return r;
	root = cred_new_root();
	if (!root)
		return -ENOMEM;
	as_root.cred = root;
	for (const char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		AUTO_FREE char *part = slash ? strndup(path, (size_t)(slash - path)) : strdup(path);

		r = part ? vfs_mkdir(&as_root, NULL, part, 0755) : -ENOMEM;
		if ((r < 0 && r != -EEXIST) || !slash)
			break;
	}
	cred_unref(root);
	return path_walk(ctx, NULL, path, WALK_FOLLOW | WALK_DIRECTORY, ret);
}

/* Without HOME, that of the container's /etc/passwd. */
static int make_env(const struct vfs_ctx *ctx, const struct sentry_process *p,
		    struct task_spec *spec, char ***ret_env, char **ret_home, struct err *err)
{
	int r;

	for (uint32_t i = 0; i < p->env.len; i++) {
		const char *value = str_after(p->env.items[i], "HOME=");

		if (value && *value)
			return 0;
	}
	r = program_home(ctx, p->uid, ret_home);
	*ret_env = r == 0 ? calloc((size_t)p->env.len + 2, sizeof(**ret_env)) : NULL;
	if (!*ret_env)
		return err_sys(err, -ENOMEM, "environment of the process");
	memcpy(*ret_env, p->env.items, p->env.len * sizeof(**ret_env));
	(*ret_env)[p->env.len] = *ret_home;
	spec->envp = *ret_env;
	return 0;
}

static void set_attributes(const struct sentry_process *p, struct task *t)
{
	t->personality = p->personality;
	t->policy = (int)p->sched_policy;
	t->rt_priority = (int)p->sched_priority;
	t->nice = p->nice;
	t->ioprio = p->io_priority;
	for (uint32_t i = 0; i < SENTRY_CPU_WORDS; i++) {
		if (p->affinity[i]) {
			task_set_affinity(t, p->affinity);
			break;
		}
	}
	t->tg->oom_score_adj = t->tg->oom_score_adj_min = p->oom_score_adj;
}

static int spawn(const struct first_options *o, struct task_spec *spec, struct task **ret,
		 struct err *err)
{
	const struct sentry_process *p = o->process;
	struct vfs_ctx ctx = { .cred = spec->cred,
			       .root = &spec->root,
			       .cwd = &spec->root,
			       .umask = p->umask,
			       .fsize_limit = UINT64_MAX };
	AUTO_FREE char *program = NULL, *home = NULL;
	AUTO_FREE char **env = NULL;
	AUTO_FILE struct file *slave = NULL;
	int r = make_terminal(o, &ctx, spec->files, &slave, err);

	if (r < 0)
		return r;
	r = find_cwd(&ctx, p->cwd, o->is_first, &spec->cwd);
	/* Directories of the host that were handed over are none here. */
	if (r < 0 && str_after(p->cwd, "/proc/"))
		return err_set(err, r,
			       "chdir to the working directory (process.cwd) %.256s: current "
			       "working directory is outside of container mount namespace root",
			       p->cwd);
	if (r < 0)
		return err_sys(err, r, "chdir to the working directory (process.cwd) %.256s",
			       p->cwd);
	ctx.cwd = &spec->cwd;
	r = program_find(&ctx, p, &program, err);
	if (r == 0)
		r = make_env(&ctx, p, spec, &env, &home, err);
	if (r == 0) {
		spec->program = program;
		r = task_spawn(spec, ret);
		if (r < 0)
			(void)err_sys(err, r, "exec %s", program);
	}
	if (r == 0)
		set_attributes(p, *ret);
	if (r == 0 && slave)
		terminal_control(*o->ret_terminal, slave, (*ret)->tg);
	path_unref(&spec->cwd);
	return r;
}

int first_load(const struct first_options *o, struct task **ret, struct err *err)
{
	struct rlimit limits[RLIM_NLIMITS];
	const struct sentry_process *p = o->process;
	struct task_spec spec = { .container = o->container,
				  .ns = o->ns,
				  .root = { o->mounts->root, o->mounts->root->root },
				  .limits = limits,
				  .argv = p->args.items,
				  .envp = p->env.items,
				  .umask = p->umask,
				  .parent = o->parent,
				  .new_session = true,
				  .on_exit = o->on_exit,
				  .on_exit_arg = o->on_exit_arg };
	struct fd_table *files = NULL;
	struct cred *cred = make_cred(p);
	int r = make_files(o, &files, err);

	if (r == 0 && !cred)
		r = err_sys(err, -ENOMEM, "credentials of the process");
	make_limits(p, limits);
	spec.cred = cred;
	spec.files = files;
	if (r == 0)
		r = spawn(o, &spec, ret, err);
	else if (p->terminal && o->host_fds[0] >= 0)
		(void)close(o->host_fds[0]); /* what the terminal would have taken */
	fd_table_unref(files);
	cred_unref(cred);
	if (r < 0 && p->terminal && *o->ret_terminal)
		terminal_end(TAKE_PTR(*o->ret_terminal));
	return full_explain(o->container, r, err);
}
