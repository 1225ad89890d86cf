/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of templates: what is in it, and how it goes. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/pidfd.h"
#include "runtime/vm/holder.h"

#define END_MS	      5000
#define CGROUP_TEXT   (64u << 10) /* bytes of the file `cgroup` */
#define CGROUP_DIRS   32u
#define TEMPLATES_MAX 1024u
#define BLOCK	      512 /* st_blocks, stat(2) */

/* ---- Removed ---- */

/* Lines "CONTROLLERS PATH", as template_make() wrote them. */
static int read_cgroup(int dir_fd, const char *name, struct cgroup **ret, struct err *err)
{
	AUTO_BUF struct buf text = { .max = CGROUP_TEXT };
	struct cgroup_dir dirs[CGROUP_DIRS];
	char path[HOLDER_NAME_MAX + sizeof(HOLDER_CGROUP)];
	size_t len = 0;
	char *line;
	int r;

	(void)snprintf(path, sizeof(path), "%s/" HOLDER_CGROUP, name);
	r = fd_read_file(dir_fd, path, &text);
	if (r < 0 || text.len == 0)
		return r == -ENOENT ? 0 : r;
	for (char *at = text.data; len < CGROUP_DIRS && (line = strsep(&at, "\n")) != NULL;) {
		char *blank = strchr(line, ' ');

		if (!blank)
			continue;
		*blank = '\0';
		dirs[len++] = (struct cgroup_dir){ .controllers = line, .path = blank + 1 };
	}
	return len > 0 ? cgroup_from_paths(dirs, len, ret, err) : 0;
}

static void remove_cgroup(int dir_fd, const char *name)
{
	struct cgroup *cg = NULL;
	struct err err = { 0 };

	if (read_cgroup(dir_fd, name, &cg, &err) < 0 || !cg)
		return;
	cgroup_thaw_all(cg);
	/* A maker that was killed may have left a QEMU that dies. */
	(void)cgroup_signal_all(cg, SIGKILL, NULL);
	if (cgroup_remove(cg, &err) < 0)
		log_warning("template %s: %s", name, err.msg);
	cgroup_free(cg);
}

static void thaw(int dir_fd, const char *name)
{
	struct cgroup *cg = NULL;

	if (read_cgroup(dir_fd, name, &cg, NULL) == 0 && cg)
		cgroup_thaw_all(cg);
	cgroup_free(cg);
}

/* Whether somebody holds the template cannot be told by this error. */
static bool says_nothing(int r)
{
	return r == -ETIMEDOUT || r == -EAGAIN || r == -EMFILE || r == -ENFILE || r == -ENOMEM ||
	       r == -ENOBUFS;
}

static int end_holder(int dir_fd, const char *name, struct err *err)
{
	AUTO_HOLDER struct holder h = HOLDER_INIT, again = HOLDER_INIT;
	struct err why = { 0 };
	int r;

	r = holder_ask(dir_fd, name, TEMPLATE_TAKE_MS, &h, &why);
	if (h.pidfd < 0 && (r == 0 || says_nothing(r)))
		return err_set(err, -EBUSY, "template %s: its process cannot be named: %s", name,
			       r < 0 ? why.msg : "it is none of ours");
	if (h.pidfd < 0)
		return 0;
	/* Who listens still has lived since: the number is nobody else's. */
	r = holder_ask(dir_fd, name, TEMPLATE_TAKE_MS, &again, &why);
	if (again.pid != h.pid)
		return says_nothing(r) ? err_set(err, -EBUSY, "template %s: %s", name, why.msg) : 0;
	thaw(dir_fd, name);
	(void)pidfd_kill(h.pidfd, SIGKILL);
	if (pidfd_wait(h.pidfd, END_MS) < 0)
		return err_set(err, -EBUSY, "template %s: process %d does not end", name,
			       (int)h.pid);
	return 0;
}

/* Of files alone: what a killed creation was writing has a name of its own. */
static int empty_directory(int fd)
{
	const int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	const struct dirent *entry;

	if (!dir) {
		const int r = -errno;

		if (own >= 0)
			(void)close(own);
		return r;
	}
	while ((entry = readdir(dir))) {
		if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
			(void)unlinkat(fd, entry->d_name, 0);
	}
	(void)closedir(dir);
	return 0;
}

int holder_discard(int dir_fd, const char *name, struct err *err)
{
	AUTO_CLOSE int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, -errno, "template %s", name);
	r = end_holder(dir_fd, name, err);
	if (r < 0)
		return r;
	remove_cgroup(dir_fd, name);
	r = empty_directory(fd);
	if (r < 0)
		return err_sys(err, r, "empty the directory of template %s", name);
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, -errno, "remove the directory of template %s", name);
	return 0;
}

/* ---- Listed ---- */

static bool is_hash(const char *name, size_t len)
{
	return len == TEMPLATE_HASH - 1 && strspn(name, "0123456789abcdef") >= len;
}

static bool is_making(const char *name)
{
	return strlen(name) > TEMPLATE_HASH - 1 && is_hash(name, TEMPLATE_HASH - 1) &&
	       str_eq(name + TEMPLATE_HASH - 1, HOLDER_MAKING);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(int dir_fd, char ***ret, struct err *err)
{
	AUTO_STRV char **names = NULL;
	const int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	int r = dir ? 0 : -errno;

	while (r == 0 && strv_len(names) < TEMPLATES_MAX && (e = readdir(dir)) != NULL) {
		if (is_hash(e->d_name, strlen(e->d_name)) || is_making(e->d_name))
			r = strv_add(&names, e->d_name);
	}
	if (dir)
		(void)closedir(dir);
	else if (fd >= 0)
		(void)close(fd);
	if (r < 0)
		return err_sys(err, r, "read the directory of templates");
	if (names)
		qsort(names, strv_len(names), sizeof(*names), by_name);
	*ret = TAKE_PTR(names);
	return 0;
}

static uint64_t resident(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * BLOCK : 0;
}

static void look(int dir_fd, const char *name, struct template_info *ret)
{
	AUTO_HOLDER struct holder h = HOLDER_INIT;
	struct err why = { 0 };
	const int r = holder_ask(dir_fd, name, TEMPLATE_TAKE_MS, &h, &why);
	struct stat st;

	*ret = (struct template_info){ .pid = h.pid };
	memcpy(ret->hash, name, TEMPLATE_HASH);
	if (r < 0) {
		log_debug("template %s: %s", name, why.msg);
		ret->state = r == -ENOENT || r == -ECONNREFUSED ? TEMPLATE_STALE : TEMPLATE_SILENT;
		return;
	}
	ret->state = TEMPLATE_READY;
	ret->memory = h.memory;
	ret->resident = resident(h.t.memory);
	ret->device_state = fstat(h.t.state, &st) == 0 ? (uint64_t)st.st_size : 0;
	ret->created_ns = h.t.created_ns;
	ret->text = TAKE_PTR(h.text);
}

/* True: it is to be shown. */
static bool take_entry(int dir_fd, const char *name, bool locked, struct template_info *ret)
{
	struct err err = { 0 };

	*ret = (struct template_info){ 0 };
	if (!is_making(name)) {
		look(dir_fd, name, ret);
		if (ret->state != TEMPLATE_STALE || !locked)
			return true;
	} else if (!locked) {
		return false;
	}
	if (holder_discard(dir_fd, name, &err) < 0)
		log_warning("%s", err.msg);
	return false;
}

void template_list_free(struct template_info *list, size_t len)
{
	for (size_t i = 0; list && i < len; i++)
		free(list[i].text);
	free(list);
}

int template_list(const struct runtime *rt, struct template_info **ret, size_t *ret_len,
		  struct err *err)
{
	AUTO_CLOSE int dir = holder_open_dir(rt, false, err);
	AUTO_STRV char **names = NULL;
	struct template_info *list;
	bool locked;
	int r;

	*ret = NULL;
	*ret_len = 0;
	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	locked = holder_lock_dir(dir, false, NULL) == 0;
	r = read_names(dir, &names, err);
	if (r < 0 || !names)
		return r;
	list = calloc(strv_len(names), sizeof(*list));
	if (!list)
		return err_sys(err, -ENOMEM, "templates");
	for (size_t i = 0; names[i]; i++)
		*ret_len += take_entry(dir, names[i], locked, &list[*ret_len]);
	*ret = list;
	return 0;
}

int template_remove(const struct runtime *rt, const char *hash, size_t *ret_removed,
		    struct err *err)
{
	AUTO_CLOSE int dir = -EBADF;
	AUTO_STRV char **names = NULL;
	struct err why = { 0 };
	int r;

	*ret_removed = 0;
	if (hash && !is_hash(hash, strlen(hash)))
		return err_set(err, -EINVAL, "\"%.64s\" is no template's key", hash);
	dir = holder_open_dir(rt, false, &why);
	if (dir < 0 && dir != -ENOENT)
		return err_set(err, dir, "%s", why.msg);
	r = dir < 0 ? 0 : holder_lock_dir(dir, true, err);
	if (r == 0 && dir >= 0)
		r = read_names(dir, &names, err);
	for (size_t i = 0; r == 0 && names && names[i]; i++) {
		if (hash && strncmp(names[i], hash, TEMPLATE_HASH - 1) != 0)
			continue;
		r = holder_discard(dir, names[i], err);
		*ret_removed += r == 0 && !is_making(names[i]);
	}
	if (r == 0 && hash && *ret_removed == 0)
		return err_set(err, -ENOENT, "there is no template %s", hash);
	return r;
}
