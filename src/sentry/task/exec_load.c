/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/exec_load.c - the program of an execve: which file, #! lines, credentials, mm_load().
 */
#include "sentry/task/exec_load.h"

#include <linux/securebits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#define SCRIPT_LINE_MAX 256 /* BINPRM_BUF_SIZE of Linux */

void exec_strings_done(struct exec_strings *s)
{
	for (size_t i = 0; i < s->len; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct exec_strings){ 0 };
}

/* Room for one more and the NULL behind it. */
static int strings_grow(struct exec_strings *s)
{
	char **v;

	/* Powers of two, from 16. */
	if (s->v && (s->len + 2 < 16 || ((s->len + 1) & s->len)))
		return 0;
	v = realloc(s->v, sizeof(*v) * (s->len + 1 < 8 ? 16 : 2 * (s->len + 1) + 2));
	if (!v)
		return -ENOMEM;
	s->v = v;
	s->v[s->len] = NULL;
	return 0;
}

static int strings_insert(struct exec_strings *s, size_t at, char *text)
{
	int r = strings_grow(s);

	if (r < 0) {
		free(text);
		return r;
	}
	memmove(&s->v[at + 1], &s->v[at], (s->len - at + 1) * sizeof(*s->v));
	s->v[at] = text;
	s->len++;
	s->bytes += strlen(text) + 1 + sizeof(uaddr_t);
	return 0;
}

int exec_strings_add(struct exec_strings *s, const char *text)
{
	char *copy = strdup(text);

	return copy ? strings_insert(s, s->len, copy) : -ENOMEM;
}

static int import_one(struct exec_strings *s, struct user_memory *um, uaddr_t from, char *scratch,
		      size_t left)
{
	ssize_t n = user_copy_string(um, scratch, from, EXEC_STRING_MAX);
	char *copy;

	if (n == -ENAMETOOLONG)
		return -E2BIG;
	if (n < 0)
		return (int)n;
	if (strlen(scratch) + 1 + sizeof(uaddr_t) > left)
		return -E2BIG;
	copy = strdup(scratch);
	return copy ? strings_insert(s, s->len, copy) : -ENOMEM;
}

int exec_strings_import(struct exec_strings *s, struct user_memory *um, uaddr_t vector,
			size_t bytes_max)
{
	AUTO_FREE char *scratch = malloc(EXEC_STRING_MAX);
	int r = strings_grow(s);

	if (!scratch || r < 0)
		return -ENOMEM;
	for (; vector; vector += sizeof(uaddr_t)) {
		uaddr_t text;

		r = user_copy_in(um, &text, vector, sizeof(text));
		if (r < 0 || !text)
			return r;
		if (s->bytes >= bytes_max)
			return -E2BIG;
		r = import_one(s, um, text, scratch, bytes_max - s->bytes);
		if (r < 0)
			return r;
		fiber_resched();
	}
	return 0;
}

void loaded_program_done(struct loaded_program *p)
{
	if (p->mm)
		mm_unref(p->mm);
	if (p->thread)
		platform->thread_free(p->thread);
	cred_unref(p->cred);
	*p = (struct loaded_program){ 0 };
}

/* May this be executed? The file can be read, whatever the caller may read. */
static int open_program(const struct vfs_ctx *ctx, const struct path *p, bool *ret_unreadable,
			struct file **ret)
{
	const int r = vfs_open_path(ctx, p, O_RDONLY | VFS_OPEN_EXEC, ret);

	if (r == 0)
		*ret_unreadable = inode_permission(p->dentry->inode, ctx->cred, MAY_READ) < 0;
	return r;
}

/* "#!interpreter [one argument]": both in place of `line`; *ret_arg may be NULL. -ENOEXEC. */
static int parse_script(char *line, size_t len, char **ret_interp, char **ret_arg)
{
	char *end = memchr(line, '\n', len), *p = line + 2, *arg;

	if (!end) {
		/* The interpreter's name must have ended before the line was cut. */
		end = line + len;
		p += strspn(p, " \t");
		if (len == SCRIPT_LINE_MAX - 1 && !p[strcspn(p, " \t")])
			return -ENOEXEC;
		p = line + 2;
	}
	*end = '\0';
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	p += strspn(p, " \t");
	if (!*p)
		return -ENOEXEC;
	*ret_interp = p;
	arg = p + strcspn(p, " \t");
	if (*arg) {
		*arg++ = '\0';
		arg += strspn(arg, " \t");
	}
	*ret_arg = *arg ? arg : NULL;
	return 0;
}

/* argv becomes: interpreter, its argument, the script, the old argv[1...]. */
static int script_argv(struct exec_strings *argv, const char *interp, const char *arg,
		       const char *script)
{
	const char *front[] = { interp, arg, script };
	size_t at = 0;

	if (argv->len) {
		argv->bytes -= strlen(argv->v[0]) + 1 + sizeof(uaddr_t);
		free(argv->v[0]);
		memmove(&argv->v[0], &argv->v[1], argv->len * sizeof(*argv->v));
		argv->len--;
	}
	for (size_t i = 0; i < 3; i++) {
		char *copy = front[i] ? strdup(front[i]) : NULL;
		int r;

		if (!front[i])
			continue;
		if (!copy)
			return -ENOMEM;
		r = strings_insert(argv, at++, copy);
		if (r < 0)
			return r;
	}
	return 0;
}

struct program {
	struct path path;
	struct file *file;
	bool unreadable;
};

static void program_done(struct program *p)
{
	file_unref(p->file);
	path_unref(&p->path);
	*p = (struct program){ 0 };
}

static int program_open(const struct vfs_ctx *ctx, const struct path *at, const char *name,
			unsigned int walk, struct program *p)
{
	int r = path_walk(ctx, at, name, walk, &p->path);

	return r < 0 ? r : open_program(ctx, &p->path, &p->unreadable, &p->file);
}

/* Follow #! lines until there is a program. */
static int resolve_scripts(const struct vfs_ctx *ctx, struct exec_request *req, struct program *p)
{
	AUTO_FREE char *script = strdup(req->shown);
	int r;

	if (!script)
		return -ENOMEM;
	for (int level = 0; level <= EXEC_SCRIPT_LEVELS; level++) {
		char line[SCRIPT_LINE_MAX] = "", *interp, *arg;
		ssize_t n = file_read_kernel(p->file, line, sizeof(line) - 1, 0);
		struct program next = { 0 };

		if (n < 2 || line[0] != '#' || line[1] != '!')
			return n < 0 ? (int)n : 0;
		if (req->inaccessible)
			return -ENOENT;
		r = parse_script(line, strnlen(line, (size_t)n), &interp, &arg);
		if (r == 0)
			r = script_argv(&req->argv, interp, arg, script);
		if (r == 0)
			r = program_open(ctx, NULL, interp, WALK_FOLLOW, &next);
		if (r < 0) {
			program_done(&next);
			return r;
		}
		free(script);
		script = strdup(interp);
		program_done(p);
		*p = next;
		if (!script)
			return -ENOMEM;
	}
	return -ELOOP;
}

static void set_comm(char comm[16], const char *shown)
{
	const char *slash = strrchr(shown, '/');

	memset(comm, 0, 16);
	memcpy(comm, slash ? slash + 1 : shown, strnlen(slash ? slash + 1 : shown, 15));
}

static int load_space(const struct vfs_ctx *ctx, const struct load_options *o,
		      struct exec_request *req, struct program *p, struct loaded_program *ret)
{
	const struct exec_image image = {
		.file = p->file,
		.path = req->shown,
		.argv = req->argv.v,
		.envp = req->envp.v,
		.cred = ret->cred,
		.secure = ret->secure,
		.ctx = ctx,
		.limits = o->limits,
	};
	int r = platform->space_new(o->container->nursery, &ret->thread);

	if (r < 0)
		return r == -ESRCH ? -EAGAIN : r;
	ret->mm = mm_new(platform->thread_space(ret->thread));
	if (!ret->mm)
		return -ENOMEM;
	ret->mm->personality = o->personality;
	r = mm_load(ret->mm, ret->thread, &image, &ret->regs);
	if (r == 0)
		ret->mm->dumpable = !p->unreadable && !ret->raised;
	return r == -ESRCH ? -EAGAIN : r;
}

/* Set-id bits count for those whose ids the caller's namespace knows, on its own files. */
static int read_privileges(const struct cred *cred, const struct load_options *o,
			   const struct path *p, struct exec_privileges *ret)
{
	struct inode *inode = p->dentry->inode;
	const bool trusted = o->allow_setid && !(p->mnt->flags & MOUNT_NOSUID) &&
			     user_ns_inside(cred->user_ns, p->mnt->sb->user_ns);

	*ret = (struct exec_privileges){
		.mode = inode->mode,
		.uid = inode->uid,
		.gid = inode->gid,
		.honoured = trusted && !cred->no_new_privs &&
			    user_ns_uid_raw(cred->user_ns, inode->uid) != ID_INVALID &&
			    user_ns_gid_raw(cred->user_ns, inode->gid) != ID_INVALID,
		.unsafe = o->unsafe,
	};
	return trusted ? file_caps_read(inode, cred, &ret->caps) : 0;
}

int program_load(const struct vfs_ctx *ctx, const struct load_options *o, struct exec_request *req,
		 struct loaded_program *ret)
{
	AUTO(program_done) struct program p = { 0 };
	struct exec_privileges privileges;
	int r;

	*ret = (struct loaded_program){ 0 };
	if (!req->shown)
		req->shown = req->name;
	r = program_open(ctx, req->at, req->name, req->walk, &p);
	if (r < 0)
		return r;
	if (!req->argv.len) {
		r = exec_strings_add(&req->argv, ""); /* as Linux since 5.18 */
		if (r < 0)
			return r;
	}
	if (!req->envp.v && strings_grow(&req->envp) < 0)
		return -ENOMEM;
	set_comm(ret->comm, req->shown);
	r = resolve_scripts(ctx, req, &p);
	if (r < 0)
		return r;
	r = read_privileges(ctx->cred, o, &p.path, &privileges);
	if (r == 0)
		r = cred_for_exec(ctx->cred, &privileges, &ret->cred, &ret->secure);
	if (r < 0)
		return r;
	ret->raised = ret->cred->euid != ctx->cred->euid || ret->cred->egid != ctx->cred->egid ||
		      ret->cred->cap_permitted & ~ctx->cred->cap_permitted;
	r = load_space(ctx, o, req, &p, ret);
	if (r < 0)
		loaded_program_done(ret);
	return r;
}
