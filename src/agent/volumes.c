/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories are read from their first entry on, which makes the kernel look at every name anew:
 * what it remembers of them may be a second old.
 */
#include "agent/volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"

#define TEMPORARY ".caisson-copy"
#define STEP	  (1u << 20)
#define LOOKS_MAX 8

/* One copy under way. */
struct work {
	unsigned int entries;
	unsigned int copied; /* files, of this look */
};

void volumes_done(struct volumes *volumes)
{
	for (size_t i = 0; i < volumes->len; i++) {
		free(volumes->items[i].source);
		free(volumes->items[i].target);
	}
	volumes->len = 0;
}

/* ---- one entry ------------------------------------------------------------------------------ */

static int open_directory(int at, const char *name)
{
	const int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
	       a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int take_attributes(int fd, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchown(fd, st->st_uid, st->st_gid) < 0 || fchmod(fd, st->st_mode & 07777) < 0 ||
	    futimens(fd, times) < 0)
		return -errno;
	return 0;
}

static int copy_bytes(int from, int to)
{
	ssize_t n;

	do {
		n = sendfile(to, from, NULL, STEP);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

/* Whole, or not there: it gets its name when its bytes are in it. */
static int copy_file(int from, int to, const char *name, const struct stat *st)
{
	AUTO_CLOSE int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	AUTO_CLOSE int target = -EBADF;
	int r;

	if (source < 0)
		return -errno;
	(void)unlinkat(to, TEMPORARY, 0);
	target = openat(to, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (target < 0)
		return -errno;
	r = copy_bytes(source, target);
	if (r == 0)
		r = take_attributes(target, st);
	if (r == 0 && renameat(to, TEMPORARY, to, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(to, TEMPORARY, 0);
	return r;
}

static int copy_link(int from, int to, const char *name)
{
	char text[PATH_MAX], old[PATH_MAX];
	const ssize_t n = readlinkat(from, name, text, sizeof(text) - 1);
	ssize_t m;

	if (n < 0)
		return -errno;
	text[n] = '\0';
	m = readlinkat(to, name, old, sizeof(old) - 1);
	if (m == n && memcmp(text, old, (size_t)n) == 0)
		return 0;
	(void)unlinkat(to, TEMPORARY, 0);
	if (symlinkat(text, to, TEMPORARY) < 0 || renameat(to, TEMPORARY, to, name) < 0)
		return -errno;
	return 0;
}

/* ---- directories ---------------------------------------------------------------------------- */

typedef int entry_fn(struct work *w, int from, int to, const char *name, int depth);

static int each(struct work *w, int dir, int from, int to, int depth, entry_fn *fn)
{
	const int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry;
	int r = 0;

	if (!d) {
		r = -errno;
		if (copy >= 0)
			(void)close(copy);
		return r;
	}
	while (r == 0 && (entry = readdir(d))) {
		if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
			r = fn(w, from, to, entry->d_name, depth);
	}
	(void)closedir(d);
	return r;
}

static int remove_entry(struct work *w, int from, int to, const char *name, int depth)
{
	AUTO_CLOSE int below = -EBADF;
	int r;

	(void)from;
	if (unlinkat(to, name, 0) == 0)
		return 0;
	if (errno != EISDIR || depth > VOLUMES_DEPTH_MAX)
		return errno == ENOENT ? 0 : -errno;
	below = open_directory(to, name);
	r = below < 0 ? below : each(w, below, -EBADF, below, depth + 1, remove_entry);
	if (r == 0 && unlinkat(to, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

static int copy_directory(struct work *w, int from, int to, int depth);

/* Files and directories; a link waits until what it may lead to is there. */
static int take_new(struct work *w, int from, int to, const char *name, int depth)
{
	AUTO_CLOSE int source = -EBADF;
	AUTO_CLOSE int target = -EBADF;
	struct stat st, old;
	bool there;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (++w->entries > VOLUMES_ENTRIES_MAX)
		return -E2BIG;
	there = fstatat(to, name, &old, AT_SYMLINK_NOFOLLOW) == 0;
	if (there && (st.st_mode & S_IFMT) != (old.st_mode & S_IFMT)) {
		const int r = remove_entry(w, from, to, name, depth);

		if (r < 0)
			return r;
		there = false;
	}
	if (S_ISREG(st.st_mode)) {
		if (there && is_same(&st, &old))
			return 0;
		w->copied++;
		return copy_file(from, to, name, &st);
	}
	if (!S_ISDIR(st.st_mode))
		return S_ISLNK(st.st_mode) ? 0 : -EINVAL;
	if (!there && mkdirat(to, name, 0700) < 0)
		return -errno;
	source = open_directory(from, name);
	target = open_directory(to, name);
	if (source < 0 || target < 0)
		return source < 0 ? source : target;
	return copy_directory(w, source, target, depth + 1);
}

static int take_links(struct work *w, int from, int to, const char *name, int depth)
{
	struct stat st;

	(void)w;
	(void)depth;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return S_ISLNK(st.st_mode) ? copy_link(from, to, name) : 0;
}

static int drop_old(struct work *w, int from, int to, const char *name, int depth)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return 0;
	return remove_entry(w, from, to, name, depth);
}

static int copy_directory(struct work *w, int from, int to, int depth)
{
	struct stat st, old;
	int r;

	if (depth > VOLUMES_DEPTH_MAX)
		return -E2BIG;
	/*
	 * A file that is still being written is copied as far as it is: only when a look has found
	 * nothing more to copy may a link lead there.
	 */
	for (int i = 0; i < (depth == 0 ? LOOKS_MAX : 1); i++) {
		if (depth == 0)
			*w = (struct work){ 0 };
		r = each(w, from, from, to, depth, take_new);
		if (r < 0 || !w->copied)
			break;
	}
	if (r == 0 && depth == 0 && w->copied)
		r = -EAGAIN;
	if (r == 0)
		r = each(w, from, from, to, depth, take_links);
	if (r == 0)
		r = each(w, to, from, to, depth, drop_old);
	if (r < 0 || fstat(from, &st) < 0 || fstat(to, &old) < 0)
		return r < 0 ? r : -errno;
	if (st.st_mode == old.st_mode && st.st_uid == old.st_uid && st.st_gid == old.st_gid)
		return 0;
	return take_attributes(to, &st);
}

int volumes_copy(const char *source, const char *target)
{
	AUTO_CLOSE int from = open_directory(AT_FDCWD, source);
	AUTO_CLOSE int to = open_directory(AT_FDCWD, target);
	struct work w = { 0 };

	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	/* One after the other: who comes second sees what is newest. */
	if (flock(to, LOCK_EX) < 0)
		return -errno;
	return copy_directory(&w, from, to, 0);
}

/* ---- all of a container --------------------------------------------------------------------- */

static int use_share(const struct agent_storage *s, int why, struct err *err)
{
	log_warning("%s: no copy in memory, its changes are not told to inotify(7): %s", s->source,
		    strerrordesc_np(-why));
	if (umount2(s->target, UMOUNT_NOFOLLOW) < 0 ||
	    mount(s->source, s->target, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, -errno, "mount %s at %s", s->source, s->target);
	return 0;
}

static int add(struct volumes *list, const struct agent_storage *s, struct err *err)
{
	list->items[list->len].source = strdup(s->source);
	list->items[list->len].target = strdup(s->target);
	if (!list->items[list->len].source || !list->items[list->len++].target)
		return err_sys(err, -ENOMEM, "%s", s->source);
	return 0;
}

int volumes_list(const struct agent_storage *storages, size_t len, struct volumes *ret,
		 struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < len && ret->len < VOLUMES_MAX; i++) {
		if (str_eq(storages[i].type, AGENT_STORAGE_COPY))
			r = add(ret, &storages[i], err);
	}
	return r;
}

/* A share in its place has its changes by itself. */
static bool is_copy(const char *target)
{
	struct statfs fs;

	return statfs(target, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

int volumes_fill(const struct agent_storage *storages, size_t len, struct err *err)
{
	size_t copies = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < len; i++) {
		const struct agent_storage *s = &storages[i];

		if (!str_eq(s->type, AGENT_STORAGE_COPY))
			continue;
		r = copies++ < VOLUMES_MAX ? volumes_copy(s->source, s->target) : -E2BIG;
		if (r < 0)
			r = use_share(s, r, err);
	}
	return r;
}

void volumes_refresh(const struct volumes *volumes)
{
	for (size_t i = 0; i < volumes->len; i++) {
		const char *source = volumes->items[i].source;
		const char *target = volumes->items[i].target;
		const int r = is_copy(target) ? volumes_copy(source, target) : 0;

		if (r < 0)
			log_warning("%s: its copy in memory is not up to date: %s", source,
				    strerrordesc_np(-r));
	}
}
