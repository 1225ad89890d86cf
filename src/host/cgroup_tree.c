/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking and removing cgroup trees.
 *
 * A container with a writable cgroup mount decides what lies below its directory: any depth, any
 * number. So the walk keeps one descriptor and a list of names per level, goes down with openat(2)
 * and up with "..", and counts. kernfs has no symbolic links and no way to move a directory under
 * another parent, hence ".." leads back to where we came from.
 *
 * Removal first tries rmdir(2) on every directory, which is all that is needed after the last
 * process has died: it leaves its cgroups in do_exit(), before its parent can see it dead. EBUSY
 * means children or processes. Children are removed bottom up; for processes cgroup2 has an event
 * (cgroup.events, "populated"), which covers the v1 hierarchies too, as a task leaves all at once.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>

#include <linux/magic.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/cgroup_internal.h"

#define REMOVE_WAIT_NS 1000000000ll /* how long exiting processes may take */
#define PAUSE_FIRST_US 50
#define PAUSE_LAST_US  10000

int64_t cgroup_clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool cgroup_pause(unsigned int *wait_us, int64_t deadline_ns)
{
	struct timespec t;

	if (cgroup_clock_ns() >= deadline_ns)
		return false;
	if (*wait_us == 0)
		*wait_us = PAUSE_FIRST_US;
	t = (struct timespec){ .tv_nsec = (long)*wait_us * 1000 };
	(void)nanosleep(&t, NULL);
	if (*wait_us < PAUSE_LAST_US)
		*wait_us *= 2;
	return true;
}

/* "key value" of cgroup.events: 0 or 1, or -errno. */
static int read_event(int events_fd, const char *key)
{
	char text[256];
	const ssize_t n = pread(events_fd, text, sizeof(text) - 1, 0);
	char *at;

	if (n < 0)
		return -errno;
	text[n] = '\0';
	at = strstr(text, key);
	if (!at || at[strlen(key)] != ' ')
		return -EPROTO;
	return at[strlen(key) + 1] == '1';
}

int cgroup_wait_event(int dir_fd, const char *key, bool value, int64_t deadline_ns)
{
	AUTO_CLOSE int fd = openat(dir_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (;;) {
		const int is = read_event(fd, key);
		int64_t left_ns;
		struct pollfd p = { .fd = fd, .events = POLLPRI };

		if (is < 0)
			return is;
		if (is == value)
			return 1;
		left_ns = deadline_ns - cgroup_clock_ns();
		if (left_ns <= 0)
			return 0;
		if (poll(&p, 1, (int)(left_ns / 1000000) + 1) < 0 && errno != EINTR)
			return -errno;
	}
}

/* ------------------------------------------------------------------------------------ walk */

/* The directories of one level that are still to be visited. */
struct level {
	char **names; /* strv, owned */
	size_t next;
};

struct walk_state {
	struct level *levels; /* owned */
	size_t depth, cap;
	size_t total;
};

static void walk_state_done(struct walk_state *s)
{
	for (size_t i = 0; i < s->depth; i++)
		strv_free(s->levels[i].names);
	free(s->levels);
	*s = (struct walk_state){ 0 };
}

/* The names of the directories in dir_fd; a directory that went away has none. */
static int list_children(int dir_fd, char ***ret, size_t *total)
{
	AUTO_STRV char **names = NULL;
	size_t len = 0, cap = 0;
	const int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	int r = 0;

	if (!dir) {
		r = -errno;
		if (fd >= 0)
			(void)close(fd);
		return r == -ENOENT || r == -ENODEV ? 0 : r;
	}
	while (r == 0 && (e = readdir(dir)) != NULL) {
		if (e->d_type != DT_DIR || str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (++*total > CGROUP_TREE_MAX) {
			r = -E2BIG;
			break;
		}
		if (len + 2 > cap) {
			char **grown = reallocarray(names, cap ? cap * 2 : 16, sizeof(*names));

			if (!grown) {
				r = -ENOMEM;
				break;
			}
			names = grown;
			cap = cap ? cap * 2 : 16;
		}
		names[len] = strdup(e->d_name);
		if (!names[len])
			r = -ENOMEM;
		else
			names[++len] = NULL;
	}
	(void)closedir(dir);
	if (r == 0)
		*ret = TAKE_PTR(names);
	return r;
}

/* Enter the directory in dir_fd: call, then list what is below as a new level. */
static int push_level(struct walk_state *s, const struct cgroup_walk *walk, int dir_fd)
{
	int r = walk->enter ? walk->enter(dir_fd, walk->arg) : 0;

	if (r < 0)
		return r;
	if (s->depth == s->cap) {
		const size_t cap = s->cap ? s->cap * 2 : 8;
		struct level *grown = reallocarray(s->levels, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->levels = grown;
		s->cap = cap;
	}
	s->levels[s->depth] = (struct level){ 0 };
	r = list_children(dir_fd, &s->levels[s->depth].names, &s->total);
	if (r == 0)
		s->depth++;
	return r;
}

/* All children done: back to the parent, and tell. */
static int pop_level(struct walk_state *s, const struct cgroup_walk *walk, int *dir_fd)
{
	struct level *parent;
	int up;

	strv_free(s->levels[--s->depth].names);
	if (s->depth == 0)
		return 0;
	up = openat(*dir_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (up < 0)
		return -errno;
	(void)close(*dir_fd);
	*dir_fd = up;
	parent = &s->levels[s->depth - 1];
	return walk->leave ? walk->leave(up, parent->names[parent->next - 1], walk->arg) : 0;
}

int cgroup_walk(const char *path, const struct cgroup_walk *walk)
{
	AUTO(walk_state_done) struct walk_state s = { 0 };
	AUTO_CLOSE int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return -errno;
	r = push_level(&s, walk, fd);
	while (r >= 0 && s.depth > 0) {
		struct level *level = &s.levels[s.depth - 1];
		int child;

		if (!level->names || !level->names[level->next]) {
			r = pop_level(&s, walk, &fd);
			continue;
		}
		child = openat(fd, level->names[level->next++],
			       O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child < 0) {
			r = errno == ENOENT ? 0 : -errno;
			continue;
		}
		(void)close(fd);
		fd = child;
		r = push_level(&s, walk, fd);
	}
	return r < 0 ? r : 0;
}

/* --------------------------------------------------------------------------------- removal */

static int remove_child(int parent_fd, const char *name, void *arg)
{
	(void)arg;
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

/* Only a cgroup's directories may be emptied: files elsewhere are not ours. */
static bool is_cgroupfs(const char *path)
{
	struct statfs s;

	return statfs(path, &s) == 0 &&
	       (s.f_type == CGROUP_SUPER_MAGIC || s.f_type == CGROUP2_SUPER_MAGIC);
}

/* rmdir(2) of one directory and, if it has them, its children: 0 or -errno. */
static int remove_tree(const char *path)
{
	const struct cgroup_walk walk = { .leave = remove_child };
	int r;

	if (rmdir(path) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	if (!is_cgroupfs(path))
		return -EBUSY;
	r = cgroup_walk(path, &walk);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return rmdir(path) == 0 || errno == ENOENT ? 0 : -errno;
}

int cgroup_remove(const struct cgroup *cg, struct err *err)
{
	const int64_t deadline_ns = cgroup_clock_ns() + REMOVE_WAIT_NS;
	unsigned int wait_us = 0;
	int result = 0;

	for (size_t i = 0; i < cg->len; i++) {
		const char *path = cg->dirs[i].path;
		int r;

		while ((r = remove_tree(path)) == -EBUSY) {
			AUTO_CLOSE int v2 = cgroup_open_dir(cg, "");

			if (v2 >= 0)
				(void)cgroup_wait_event(v2, "populated", false, deadline_ns);
			if (!cgroup_pause(&wait_us, deadline_ns))
				break;
		}
		/* One that stays does not keep the others; the first error is told. */
		if (r < 0 && !(cg->rootless && cgroup_is_permission(r)) && result == 0)
			result = err_sys(err, r, "remove the cgroup %s", path);
	}
	return result;
}

static int thaw_one(int dir_fd, void *arg)
{
	(void)arg;
	if (fd_write_file(dir_fd, "freezer.state", "THAWED") < 0)
		(void)fd_write_file(dir_fd, "cgroup.freeze", "0");
	return 0;
}

void cgroup_thaw_all(const struct cgroup *cg)
{
	const struct cgroup_walk walk = { .enter = thaw_one };
	const char *path = cgroup_path(cg, "freezer");

	if (!path)
		path = cgroup_path(cg, "");
	if (path)
		(void)cgroup_walk(path, &walk);
}
