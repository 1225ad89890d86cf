/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/mount_target.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/str.h"

#define LINKS_MAX    40	   /* path_resolution(7) */
#define LINK_MAX     4096  /* bytes of one link's text, with the NUL */
#define PATH_LIMIT   65536 /* bytes of what is still to walk: 40 links may make it long */
#define RETRIES_MAX  128   /* a component that somebody swaps under us */
#define DIR_MODE     0755
#define FILE_MODE    0644
#define RESOLVE_ROOT (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

struct walk {
	int root_fd; /* borrowed */
	unsigned int flags;
	int fd;		 /* owned: the directory reached */
	struct buf done; /* its path, "" at the root */
	struct buf todo; /* what is left */
	size_t todo_at;	 /* how much of todo is done */
	unsigned int links;
	unsigned int retries;
	bool created; /* the component made last */
};

static void walk_done(struct walk *w)
{
	auto_close_p(&w->fd);
	buf_done(&w->done);
	buf_done(&w->todo);
}

void mount_target_done(struct mount_target *target)
{
	auto_close_p(&target->fd);
	target->fd = -EBADF;
	buf_done(&target->path);
}

/*
 * "/a//b/./c/" -> "/a/b/c", "/" -> "/". Returns false when a component is "..": whether it may be
 * cut off together with its predecessor depends on links.
 */
static bool clean_path(const char *path, struct buf *ret)
{
	for (const char *p = path; *p;) {
		const size_t len = strcspn(p, "/");

		if (len == 2 && p[0] == '.' && p[1] == '.')
			return false;
		if (len > 0 && !(len == 1 && p[0] == '.')) {
			(void)buf_append(ret, "/", 1);
			(void)buf_append(ret, p, len);
		}
		p += len;
		p += *p == '/';
	}
	if (ret->len == 0)
		(void)buf_append(ret, "/", 1);
	return true;
}

/* Take the next component out of todo. False at the end. *ret_last: nothing but slashes follow. */
static bool next_component(struct walk *w, const char **ret_name, bool *ret_last)
{
	char *p;
	char *end;

	if (!w->todo.data)
		return false;
	p = w->todo.data + w->todo_at;
	p += strspn(p, "/");
	if (!*p)
		return false;
	end = p + strcspn(p, "/");
	*ret_last = end[strspn(end, "/")] == '\0';
	w->todo_at = (size_t)(end - w->todo.data);
	if (*end) {
		*end = '\0';
		w->todo_at++;
	}
	*ret_name = p;
	return true;
}

static int go_to(struct walk *w, int fd)
{
	if (fd < 0)
		return fd;
	auto_close_p(&w->fd);
	w->fd = fd;
	return 0;
}

static int go_root(struct walk *w)
{
	if (w->done.data)
		w->done.data[0] = '\0';
	w->done.len = 0;
	return go_to(w, fd_open_resolve(w->root_fd, ".", O_PATH | O_DIRECTORY, 0, RESOLVE_ROOT));
}

/* "..": from the real path, which has no links, resolved afresh: a moved directory leads nowhere.
 */
static int go_up(struct walk *w)
{
	char *slash = w->done.data ? strrchr(w->done.data, '/') : NULL;

	if (!slash || slash == w->done.data)
		return go_root(w);
	*slash = '\0';
	w->done.len = (size_t)(slash - w->done.data);
	return go_to(w, fd_open_resolve(w->root_fd, w->done.data, O_PATH | O_DIRECTORY, 0,
					RESOLVE_ROOT | RESOLVE_NO_SYMLINKS));
}

/* Put the text of the link before what is left to walk. */
static int expand_link(struct walk *w, int link_fd)
{
	char text[LINK_MAX];
	AUTO_BUF struct buf todo = { .max = PATH_LIMIT };
	struct statfs fs;
	ssize_t n;

	if (w->flags & TARGET_NO_LINKS || ++w->links > LINKS_MAX)
		return -ELOOP;
	n = readlinkat(link_fd, "", text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	/* The magic links of procfs (/proc/PID/root, cwd, exe, fd/N) are absolute, its plain ones
	 * not. */
	if (text[0] == '/' && fstatfs(link_fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC)
		return -ELOOP;
	(void)buf_puts(&todo, text);
	(void)buf_puts(&todo, "/");
	(void)buf_puts(&todo, w->todo.data + w->todo_at);
	if (buf_error(&todo) < 0)
		return buf_error(&todo) == -E2BIG ? -ENAMETOOLONG : buf_error(&todo);
	buf_done(&w->todo);
	w->todo = todo;
	todo = (struct buf){ 0 };
	w->todo_at = 0;
	return text[0] == '/' ? go_root(w) : 0;
}

/* Make the missing component. An existing one (somebody was faster) is no error. */
static int create(struct walk *w, const char *name, bool last)
{
	AUTO_CLOSE int fd = -EBADF;

	if (!(w->flags & TARGET_CREATE))
		return -ENOENT;
	w->created = last;
	if (!last || !(w->flags & TARGET_FILE))
		return mkdirat(w->fd, name, DIR_MODE) < 0 && errno != EEXIST ? -errno : 0;
	fd = openat(w->fd, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		    FILE_MODE);
	return fd < 0 && errno != EEXIST ? -errno : 0;
}

/* One component below w->fd: enter it, expand it, or make it. */
static int step(struct walk *w, const char *name, bool last)
{
	AUTO_CLOSE int fd = -EBADF;
	struct stat st;
	int r;

	for (;;) {
		fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			break;
		if (errno != ENOENT)
			return -errno;
		if (++w->retries > RETRIES_MAX)
			return -EAGAIN;
		r = create(w, name, last);
		if (r < 0)
			return r;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode) && !(last && w->flags & TARGET_NOFOLLOW))
		return expand_link(w, fd);
	if (!last && !S_ISDIR(st.st_mode))
		return -ENOTDIR;
	(void)buf_puts(&w->done, "/");
	(void)buf_puts(&w->done, name);
	if (buf_error(&w->done) < 0)
		return buf_error(&w->done);
	return go_to(w, TAKE_FD(fd));
}

/*
 * `name` points into w->todo, which expand_link() replaces: it is used before that only, and a link
 * is expanded after its name is no longer needed.
 */
static int walk_all(struct walk *w)
{
	const char *name;
	bool last;
	int r = go_root(w);

	while (r == 0 && next_component(w, &name, &last)) {
		if (strcmp(name, ".") == 0)
			continue;
		r = strcmp(name, "..") == 0 ? go_up(w) : step(w, name, last);
	}
	return r;
}

static int walk_slowly(int root_fd, const char *path, unsigned int flags, struct mount_target *ret)
{
	AUTO(walk_done)
	struct walk w = {
		.root_fd = root_fd,
		.flags = flags,
		.fd = -EBADF,
		.done.max = PATH_LIMIT,
		.todo.max = PATH_LIMIT,
	};
	int r = buf_puts(&w.todo, path);

	if (r < 0)
		return r == -E2BIG ? -ENAMETOOLONG : r;
	r = walk_all(&w);
	if (r < 0)
		return r;
	if (w.done.len == 0 && buf_puts(&w.done, "/") < 0)
		return -ENOMEM;
	ret->fd = TAKE_FD(w.fd);
	ret->path = w.done;
	ret->created = w.created;
	w.done = (struct buf){ 0 };
	return 0;
}

int mount_target_open(int root_fd, const char *path, unsigned int flags, struct mount_target *ret,
		      struct err *err)
{
	AUTO_BUF struct buf clean = { .max = PATH_LIMIT };
	int r = -ELOOP;

	if (clean_path(path, &clean)) {
		if (buf_error(&clean) < 0)
			return err_sys(err, buf_error(&clean), "%s in the root file system", path);
		r = fd_open_resolve(root_fd, clean.data,
				    O_PATH | (flags & TARGET_NOFOLLOW ? O_NOFOLLOW : 0), 0,
				    RESOLVE_ROOT | RESOLVE_NO_SYMLINKS);
		if (r >= 0) {
			ret->fd = r;
			ret->path = clean;
			ret->created = false;
			clean = (struct buf){ 0 };
			return 0;
		}
	}
	if (r == -ELOOP || (r == -ENOENT && flags & TARGET_CREATE))
		r = walk_slowly(root_fd, path, flags, ret);
	if (r < 0)
		return err_sys(err, r, "%s in the root file system", path);
	return 0;
}

int mount_target_open_parent(int root_fd, const char *path, struct mount_target *ret,
			     const char **ret_name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	AUTO_BUF struct buf parent = { .max = PATH_LIMIT };
	int r;

	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(err, -EINVAL, "%s does not end in a file name", path);
	r = buf_append(&parent, path, (size_t)(name - path));
	if (r == 0)
		r = buf_puts(&parent, "/");
	if (r < 0)
		return err_sys(err, r, "%s", path);
	r = mount_target_open(root_fd, parent.data, TARGET_CREATE, ret, err);
	if (r == 0)
		*ret_name = name;
	return r;
}
