/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's set of cgroup directories: where they are, making them, entering them.
 *
 * The usual case costs one mkdir(2) and one open, write and close of cgroup.procs per hierarchy,
 * and six calls for each of cpuset.cpus and cpuset.mems on v1 (a new cpuset is empty and takes no
 * process). Everything else (missing parents, a directory that is already there) is found out from
 * the errno. memory.use_hierarchy needs no care: since Linux 5.11, which we require, it is
 * always 1.
 */
#include "host/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/cgroup_internal.h"

#define NO_LIMIT_V1	(1ull << 62) /* and above it: how v1 says that there is none */
#define CGROUP_NAME_MAX 255	     /* bytes; NAME_MAX, which cgroupfs keeps */

int cgroup_clean_path(const char *path, char ret[static CGROUP_PATH_MAX])
{
	size_t len = 0;

	for (const char *p = path; *p; p += *p == '/') {
		const size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.') {
			while (len > 0 && ret[--len] != '/')
				;
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			if (n > CGROUP_NAME_MAX || memchr(p, '\n', n))
				return -EINVAL;
			if (len + 1 + n >= CGROUP_PATH_MAX)
				return -ENAMETOOLONG;
			ret[len++] = '/';
			memcpy(ret + len, p, n);
			len += n;
		}
		p += n;
	}
	ret[len] = '\0';
	return 0;
}

void cgroup_free(struct cgroup *cg)
{
	if (!cg)
		return;
	for (size_t i = 0; i < cg->len; i++) {
		free((char *)cg->dirs[i].controllers);
		free((char *)cg->dirs[i].path);
	}
	cgroup_journal_end(cg);
	free(cg);
}
DEFINE_AUTO(struct cgroup *, cgroup_free);

/* Append a directory; takes `path` over, also on failure. */
static int add_dir(struct cgroup *cg, const char *controllers, char *path, size_t base_len)
{
	AUTO_FREE char *owned_path = path;
	AUTO_FREE char *owned_controllers = strdup(controllers);

	if (!owned_controllers || !owned_path)
		return -ENOMEM;
	if (cg->len == CGROUP_DIRS_MAX)
		return -E2BIG;
	cg->dirs[cg->len] = (struct cgroup_dir){ .controllers = TAKE_PTR(owned_controllers),
						 .path = TAKE_PTR(owned_path) };
	cg->base_len[cg->len++] = base_len;
	return 0;
}

/*
 * Where a relative path begins. On v2 that is the parent of our own cgroup: ours has a process in
 * it, and a cgroup with processes cannot give controllers to its children (cgroups(7), "no internal
 * processes").
 */
static size_t own_len(const struct cgroup_hierarchies *h, const struct cgroup_hierarchy *it)
{
	const char *slash;

	if (h->layout != CGROUP_LAYOUT_V2)
		return strlen(it->own_path);
	slash = strrchr(it->own_path, '/');
	return slash ? (size_t)(slash - it->own_path) : 0;
}

/* How much of our own cgroup's path comes before what is asked for. */
static size_t first_len(const struct cgroup *cg, const struct cgroup_hierarchies *h, size_t i,
			bool absolute, bool slice)
{
	if (slice)
		return cg->rootless ? cgroup_slice_base(h->items[i].own_path) : 0;
	return absolute ? 0 : own_len(h, &h->items[i]);
}

static int add_hierarchy_dir(struct cgroup *cg, const struct cgroup_hierarchy *it,
			     const char *clean, size_t own)
{
	const size_t base = strlen(it->mount_point), len = strlen(clean);
	char *path;

	if (base + own + len >= CGROUP_PATH_MAX)
		return -ENAMETOOLONG;
	path = malloc(base + own + len + 1);
	if (path) {
		memcpy(path, it->mount_point, base);
		memcpy(path + base, it->own_path, own);
		memcpy(path + base + own, clean, len + 1);
	}
	return add_dir(cg, it->controllers, path, base);
}

int cgroup_new_in(const struct cgroup_hierarchies *h, const struct cgroup_options *options,
		  struct cgroup **ret, struct err *err)
{
	AUTO(cgroup_free_p) struct cgroup *cg = calloc(1, sizeof(*cg));
	const char *wanted = options->path && *options->path ? options->path : options->id;
	char clean[CGROUP_PATH_MAX], below[CGROUP_PATH_MAX];
	int r;

	if (!cg)
		return err_sys(err, -ENOMEM, "cgroup %s", wanted);
	cg->rootless = options->rootless;
	cg->program = options->program;
	if (options->manager == CGROUP_MANAGER_SYSTEMD)
		return err_set(err, -ENOTSUP,
			       "the cgroup manager systemd is not built in: use cgroupfs");
	if (options->manager == CGROUP_MANAGER_DISABLED) {
		cg->disabled = true;
		*ret = TAKE_PTR(cg);
		return 0;
	}
	if (h->layout == CGROUP_LAYOUT_NONE && !options->rootless)
		return err_set(err, -ENOTSUP, "no cgroup hierarchy is mounted on this host");
	r = cgroup_slice_path(wanted, below);
	if (r >= 0)
		r = cgroup_clean_path(r > 0 ? below : wanted, clean);
	if (r < 0)
		return err_sys(err, r, "linux.cgroupsPath \"%s\"", wanted);
	/* The top belongs to the host: entering and removing it is never meant. */
	if (!*clean)
		return err_set(err, -EINVAL,
			       "linux.cgroupsPath \"%s\" names the top of the hierarchy", wanted);
	for (size_t i = 0; i < h->len; i++) {
		r = add_hierarchy_dir(cg, &h->items[i], clean,
				      first_len(cg, h, i, *wanted == '/', *below));
		if (r < 0)
			return err_sys(err, r, "linux.cgroupsPath \"%s\"", wanted);
	}
	*ret = TAKE_PTR(cg);
	return 0;
}

int cgroup_new(const struct cgroup_options *options, struct cgroup **ret, struct err *err)
{
	static const struct cgroup_hierarchies none = { .layout = CGROUP_LAYOUT_NONE };
	const struct cgroup_hierarchies *h = &none;

	if (options->manager == CGROUP_MANAGER_CGROUPFS) {
		const int r = cgroup_hierarchies(&h, err);

		if (r < 0)
			return r;
	}
	return cgroup_new_in(h, options, ret, err);
}

int cgroup_from_paths(const struct cgroup_dir *dirs, size_t len, struct cgroup **ret,
		      struct err *err)
{
	AUTO(cgroup_free_p) struct cgroup *cg = calloc(1, sizeof(*cg));
	char clean[CGROUP_PATH_MAX];

	if (!cg)
		return err_sys(err, -ENOMEM, "cgroup");
	cg->disabled = len == 0;
	for (size_t i = 0; i < len; i++) {
		int r = cgroup_clean_path(dirs[i].path, clean);

		/* A state file that was tampered with must not lead a removal elsewhere. */
		if (r < 0 || strcmp(clean, dirs[i].path) != 0 || !*clean)
			return err_set(err, -EINVAL, "cgroup path \"%s\" is not normalised",
				       dirs[i].path);
		r = add_dir(cg, dirs[i].controllers, strdup(clean), 0);
		if (r < 0)
			return err_sys(err, r, "cgroup path \"%s\"", dirs[i].path);
	}
	*ret = TAKE_PTR(cg);
	return 0;
}

int cgroup_subdir(const struct cgroup *cg, const char *controllers, const char *sub,
		  struct cgroup **ret, struct err *err)
{
	AUTO(cgroup_free_p) struct cgroup *below = calloc(1, sizeof(*below));
	char clean[CGROUP_PATH_MAX];
	size_t matched = 0;
	int r;

	if (!below)
		return err_sys(err, -ENOMEM, "cgroup %s", sub);
	below->rootless = cg->rootless;
	below->disabled = cg->disabled;
	r = cgroup_clean_path(sub, clean);
	if (r < 0)
		return err_sys(err, r, "cgroup \"%s\"", sub);
	for (size_t i = 0; i < cg->len; i++) {
		const char *own = cg->dirs[i].controllers;
		bool chosen = !controllers || str_eq(controllers, own);
		char *path = NULL;

		for (const char *p = own; !chosen && *p; p += *p == ',') {
			const size_t n = strcspn(p, ",");
			char name[256];

			if (n < sizeof(name)) {
				memcpy(name, p, n);
				name[n] = '\0';
				chosen = cgroup_has_controller(controllers, name);
			}
			p += n;
		}
		matched += chosen;
		r = str_printf(&path, "%s%s", cg->dirs[i].path, chosen ? clean : "");
		if (r == 0)
			r = add_dir(below, own, path, cg->base_len[i]);
		if (r < 0)
			return err_sys(err, r, "cgroup \"%s\"", sub);
	}
	if (matched == 0)
		return err_set(err, -EINVAL, "the container has no cgroup of the controller \"%s\"",
			       controllers ? controllers : "");
	*ret = TAKE_PTR(below);
	return 0;
}

size_t cgroup_dirs(const struct cgroup *cg, const struct cgroup_dir **ret)
{
	*ret = cg->dirs;
	return cg->len;
}

int cgroup_index(const struct cgroup *cg, const char *controller)
{
	for (size_t i = 0; i < cg->len; i++) {
		const char *own = cg->dirs[i].controllers;

		if (*controller ? cgroup_has_controller(own, controller) : !*own)
			return (int)i;
	}
	return -1;
}

bool cgroup_exists(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->len; i++) {
		if (access(cg->dirs[i].path, F_OK) < 0 && errno == ENOENT)
			return false;
	}
	return cg->len > 0;
}

const char *cgroup_path(const struct cgroup *cg, const char *controller)
{
	const int i = cgroup_index(cg, controller);

	return i < 0 ? NULL : cg->dirs[i].path;
}

bool cgroup_is_v2(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->len; i++) {
		const char *own = cg->dirs[i].controllers;

		if (*own && !str_after(own, "name="))
			return false;
	}
	return cgroup_index(cg, "") >= 0;
}

int cgroup_open_dir(const struct cgroup *cg, const char *controller)
{
	const char *path = cgroup_path(cg, controller);
	int fd;

	if (!path)
		return -ENOENT;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static int memory_fd(const struct cgroup *cg, const char *name_v1, const char *name_v2)
{
	const bool v2 = cgroup_is_v2(cg);
	AUTO_CLOSE int dir = cgroup_open_dir(cg, v2 ? "" : "memory");
	int fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, v2 ? name_v2 : name_v1, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

uint64_t cgroup_memory_above(const struct cgroup *cg)
{
	const char *name = cgroup_is_v2(cg) ? "memory.max" : "memory.limit_in_bytes";
	const char *own = cgroup_path(cg, cgroup_is_v2(cg) ? "" : "memory");
	char path[CGROUP_PATH_MAX + 32];
	uint64_t lowest = UINT64_MAX;

	if (!own || strlen(own) >= CGROUP_PATH_MAX)
		return lowest;
	(void)snprintf(path, sizeof(path), "%s", own);
	for (char *slash = strrchr(path, '/'); slash && slash != path; slash = strrchr(path, '/')) {
		AUTO_BUF struct buf text = { .max = 64 };
		uint64_t limit;

		(void)snprintf(slash, sizeof(path) - (size_t)(slash - path), "/%s", name);
		/* Not there: the top of the hierarchy, or what nobody has made yet. */
		if (fd_read_file(AT_FDCWD, path, &text) == 0 && text.data) {
			text.data[strcspn(text.data, "\n")] = '\0';
			if (str_to_u64(text.data, UINT64_MAX, &limit) == 0 && limit < lowest)
				lowest = limit;
		}
		*slash = '\0';
	}
	return lowest < NO_LIMIT_V1 ? lowest : UINT64_MAX;
}

int cgroup_memory_stat_fd(const struct cgroup *cg)
{
	return memory_fd(cg, "memory.stat", "memory.stat");
}

int cgroup_memory_events_fd(const struct cgroup *cg)
{
	return memory_fd(cg, "memory.oom_control", "memory.events");
}

int cgroup_memory_limit_fd(const struct cgroup *cg)
{
	return memory_fd(cg, "memory.limit_in_bytes", "memory.max");
}

/* -------------------------------------------------------------------------------- creation */

#define CPU_LIST_MAX 4096 /* bytes of cpuset.cpus or cpuset.mems */

/* Read a one-line file: its length without the newline, or -errno. */
static ssize_t read_line(const char *path, char text[static CPU_LIST_MAX])
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, CPU_LIST_MAX - 1);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return (ssize_t)strlen(text);
}

/* Give a new cpuset the parent's value of one file, unless it has one. */
static int inherit_cpuset_file(const char *dir, const char *file, bool is_new, struct err *err)
{
	const int parent_len = (int)(strrchr(dir, '/') - dir);
	char path[CGROUP_PATH_MAX + 32], text[CPU_LIST_MAX];
	ssize_t n;
	int r;

	if (!is_new) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
		n = read_line(path, text);
		if (n != 0)
			return n < 0 ? err_sys(err, (int)n, "cpuset: read %s", path) : 0;
	}
	(void)snprintf(path, sizeof(path), "%.*s/%s", parent_len, dir, file);
	n = read_line(path, text);
	if (n < 0)
		return err_sys(err, (int)n, "cpuset: read %s", path);
	if (n == 0)
		return err_set(err, -ENOSPC, "cpuset: %s is empty", path);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	r = fd_write_file(AT_FDCWD, path, text);
	return r < 0 ? err_sys(err, r, "cpuset: write %s to %s", text, path) : 0;
}

static int inherit_cpuset(const char *path, bool is_new, struct err *err)
{
	const int r = inherit_cpuset_file(path, "cpuset.cpus", is_new, err);

	return r < 0 ? r : inherit_cpuset_file(path, "cpuset.mems", is_new, err);
}

/* A directory was made or found: what its hierarchy needs before a process can enter. */
static int prepare_dir(const char *controllers, const char *path, bool is_new, struct err *err)
{
	if (cgroup_has_controller(controllers, "cpuset"))
		return inherit_cpuset(path, is_new, err);
	return 0;
}

/* Make the directories between the mount point and `path`, top down. */
static int make_parents(struct cgroup *cg, size_t i, struct err *err)
{
	const char *controllers = cg->dirs[i].controllers;
	char path[CGROUP_PATH_MAX];
	size_t at = cg->base_len[i];
	int r;

	if (at == 0)
		return err_set(err, -ENOENT, "the parent of %s does not exist", cg->dirs[i].path);
	(void)snprintf(path, sizeof(path), "%s", cg->dirs[i].path);
	for (char *slash; (slash = strchr(path + at + 1, '/')) != NULL;
	     at = (size_t)(slash - path)) {
		*slash = '\0';
		if (mkdir(path, 0755) == 0) {
			r = prepare_dir(controllers, path, true, err);
			if (r < 0)
				return r;
		} else if (errno != EEXIST) {
			return err_sys(err, -errno, "make the cgroup %s", path);
		}
		*slash = '/';
	}
	return 0;
}

/* -EBUSY if the directory, should it be there, is in use. */
static int refuse_in_use(const struct cgroup *cg, size_t i, struct err *err)
{
	const struct cgroup only = { .len = 1, .dirs = { cg->dirs[i] } };
	AUTO_FREE pid_t *pids = NULL;
	size_t len = 0;
	int r;

	r = cgroup_pids(&only, true, &pids, &len, err);
	if (r < 0)
		return r;
	if (len > 0)
		return err_set(err, -EBUSY,
			       "the container's cgroup is not empty: %zu process(es) in %s", len,
			       cg->dirs[i].path);
	if (cgroup_is_frozen(&only) == 1)
		return err_set(err, -EBUSY, "the container's cgroup %s is frozen",
			       cg->dirs[i].path);
	return 0;
}

int cgroup_check_free(const struct cgroup *cg, struct err *err)
{
	int i = cgroup_index(cg, "freezer"), r;

	if (i < 0)
		i = cgroup_index(cg, "");
	if (cg->len == 0)
		return 0;
	r = refuse_in_use(cg, i < 0 ? 0 : (size_t)i, err);
	return cg->rootless && cgroup_is_permission(r) ? 0 : r;
}

bool cgroup_abandon_taken(struct cgroup *cg)
{
	if (!cg->taken)
		return false;
	for (size_t i = 0; i < cg->len; i++) {
		if (cg->made[i])
			(void)rmdir(cg->dirs[i].path);
	}
	return true;
}

static int create_dir(struct cgroup *cg, size_t i, struct err *err)
{
	const char *path = cg->dirs[i].path;
	bool is_new = true;
	int r = mkdir(path, 0755) < 0 ? -errno : 0;

	cg->taken = false;
	if (r == -ENOENT) {
		r = make_parents(cg, i, err);
		if (r < 0)
			return r;
		r = mkdir(path, 0755) < 0 ? -errno : 0;
	}
	if (r == -EEXIST) {
		is_new = false;
		r = refuse_in_use(cg, i, err);
		cg->taken = r == -EBUSY;
		if (r < 0)
			return r;
	}
	if (r < 0)
		return err_sys(err, r, "make the cgroup %s", path);
	cg->made[i] = is_new;
	return prepare_dir(cg->dirs[i].controllers, path, is_new, err);
}

/* Below a threaded cgroup a new one is "domain invalid" until it becomes threaded too. */
static void settle_v2_type(int dir_fd)
{
	AUTO_BUF struct buf type = { .max = 256 };

	if (fd_read_file(dir_fd, "cgroup.type", &type) == 0 &&
	    str_eq(type.data, "domain invalid\n"))
		(void)fd_write_file(dir_fd, "cgroup.type", "threaded");
}

/* Controllers on all the way down. The parent tells whether that was done before. */
static int prepare_v2(const struct cgroup *cg, size_t i, struct err *err)
{
	AUTO_CLOSE int dir_fd = open(cg->dirs[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_BUF struct buf here = { .max = CGROUP_FILE_MAX };
	AUTO_BUF struct buf top = { .max = CGROUP_FILE_MAX };
	AUTO_CLOSE int top_fd = -EBADF;
	AUTO_FREE char *mount_point = NULL;

	if (dir_fd < 0)
		return err_sys(err, -errno, "open the cgroup %s", cg->dirs[i].path);
	mount_point = strndup(cg->dirs[i].path, cg->base_len[i]);
	if (!mount_point)
		return err_sys(err, -ENOMEM, "cgroup");
	top_fd = open(*mount_point ? mount_point : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top_fd >= 0 && fd_read_file(top_fd, "cgroup.controllers", &top) == 0 &&
	    fd_read_file(dir_fd, "cgroup.controllers", &here) == 0 && !str_eq(top.data, here.data))
		cgroup_v2_enable(cg, i, top.data);
	settle_v2_type(dir_fd);
	return 0;
}

void cgroup_v2_enable(const struct cgroup *cg, size_t i, const char *controllers)
{
	AUTO_BUF struct buf all = { 0 };
	AUTO_FREE char *names = strdup(controllers);
	char path[CGROUP_PATH_MAX];
	size_t at = cg->base_len[i];
	char *save = NULL;

	if (!names || at == 0)
		return;
	for (char *n = strtok_r(names, " \n", &save); n; n = strtok_r(NULL, " \n", &save))
		(void)buf_printf(&all, "%s+%s", all.len ? " " : "", n);
	if (all.len == 0 || buf_error(&all) < 0)
		return;
	(void)snprintf(path, sizeof(path), "%s", cg->dirs[i].path);
	for (char *slash; (slash = strchr(path + at, '/')) != NULL;
	     at = (size_t)(slash - path) + 1) {
		AUTO_CLOSE int fd = -EBADF;

		*slash = '\0';
		fd = open(*path ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && fd_write_file(fd, "cgroup.subtree_control", all.data) < 0) {
			/* One that cannot be had spoils the line: the others one by one. */
			AUTO_FREE char *each = strdup(all.data);

			save = NULL;
			for (char *n = each ? strtok_r(each, " ", &save) : NULL; n;
			     n = strtok_r(NULL, " ", &save))
				(void)fd_write_file(fd, "cgroup.subtree_control", n);
		}
		*slash = '/';
	}
}

/* Forget a directory that this user may not make. */
static void drop_dir(struct cgroup *cg, size_t i)
{
	free((char *)cg->dirs[i].controllers);
	free((char *)cg->dirs[i].path);
	cg->len--;
	memmove(&cg->dirs[i], &cg->dirs[i + 1], (cg->len - i) * sizeof(cg->dirs[0]));
	memmove(&cg->base_len[i], &cg->base_len[i + 1], (cg->len - i) * sizeof(cg->base_len[0]));
	memmove(&cg->made[i], &cg->made[i + 1], (cg->len - i) * sizeof(cg->made[0]));
}

bool cgroup_is_permission(int r)
{
	return r == -EACCES || r == -EPERM || r == -EROFS;
}

static int create_and_prepare(struct cgroup *cg, size_t i, struct err *err)
{
	int r = create_dir(cg, i, err);

	if (r == 0 && cgroup_is_v2(cg))
		r = prepare_v2(cg, i, err);
	return r;
}

int cgroup_clone_fd(struct cgroup *cg, struct err *err)
{
	const int i = cgroup_index(cg, "");
	int r;

	if (i < 0)
		return -ENOENT;
	r = create_and_prepare(cg, (size_t)i, err);
	if (cg->rootless && cgroup_is_permission(r)) {
		drop_dir(cg, (size_t)i);
		return -ENOENT;
	}
	if (r < 0)
		return r;
	cg->v2_made = true;
	r = cgroup_open_dir(cg, "");
	return r < 0 ? err_sys(err, r, "open the cgroup %s", cg->dirs[i].path) : r;
}

int cgroup_create(struct cgroup *cg, struct err *err)
{
	for (size_t i = 0; i < cg->len;) {
		const bool made = cg->v2_made && !*cg->dirs[i].controllers;
		const int r = made ? 0 : create_and_prepare(cg, i, err);

		if (cg->rootless && cgroup_is_permission(r)) {
			drop_dir(cg, i);
			continue;
		}
		if (r < 0)
			return r;
		i++;
	}
	return 0;
}

/* --------------------------------------------------------------------------------- entering */

/* Write a pid to cgroup.procs of a directory: 0 or -errno. */
static int enter_dir(const char *path, const char *pid_text)
{
	char procs[CGROUP_PATH_MAX + sizeof("/cgroup.procs")];

	(void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	return fd_write_file(AT_FDCWD, procs, pid_text);
}

static int enter_error(const struct cgroup_dir *dir, pid_t pid, int r, struct err *err)
{
	return err_sys(err, r, "%s: write %d to cgroup.procs of %s",
		       *dir->controllers ? dir->controllers : "cgroup2", (int)pid, dir->path);
}

/* The path in cgroup2 of another process, as /proc/PID/cgroup tells; *ret is the caller's. */
static int v2_path_of(pid_t pid, char **ret)
{
	AUTO_BUF struct buf text = { .max = CGROUP_FILE_MAX };
	char name[32];
	char *line, *end;
	int r;

	(void)snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)pid);
	r = fd_read_file(AT_FDCWD, name, &text);
	if (r < 0)
		return r;
	line = text.data && str_after(text.data, "0::") ? text.data
	       : text.data				? strstr(text.data, "\n0::")
							: NULL;
	if (!line)
		return -ENOENT;
	line = strstr(line, "0::") + 3;
	end = strchr(line, '\n');
	*ret = strndup(line, end ? (size_t)(end - line) : strlen(line));
	return *ret ? 0 : -ENOMEM;
}

/*
 * The directory of `beside` in cgroup2, if it is at or below our own. The tail of our path that is
 * also the end of a prefix of its path says where ours begins there.
 */
static int enter_beside(const struct cgroup *cg, size_t i, const char *pid_text, pid_t beside)
{
	const struct cgroup_hierarchies *h;
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *full = NULL;
	const size_t ours = strlen(cg->dirs[i].path);
	int r = v2_path_of(beside, &path);

	if (r == 0)
		r = cgroup_hierarchies(&h, NULL);
	for (size_t k = 0; r == 0 && k < h->len; k++) {
		if (!*h->items[k].controllers)
			r = str_printf(&full, "%s%s", h->items[k].mount_point, path);
	}
	if (r < 0)
		return r;
	if (!full || strstr(full, "/..") || strncmp(full, cg->dirs[i].path, ours) != 0 ||
	    (full[ours] != '/' && full[ours] != '\0') || strlen(full) >= CGROUP_PATH_MAX)
		return -ENOENT;
	return enter_dir(full, pid_text);
}

/* skip: index of a directory, or -1. beside: as cgroup_enter_beside(), or 0: nobody. */
static int enter_all(const struct cgroup *cg, pid_t pid, pid_t beside, int skip, struct err *err)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < cg->len; i++) {
		int r = (int)i == skip ? 0 : enter_dir(cg->dirs[i].path, text);

		if (beside > 0 && (r == -EBUSY || r == -ENOENT || r == -EOPNOTSUPP) &&
		    !*cg->dirs[i].controllers && enter_beside(cg, i, text, beside) == 0)
			r = 0;
		if (r < 0 && !(cg->rootless && cgroup_is_permission(r)))
			return enter_error(&cg->dirs[i], pid, r, err);
	}
	return 0;
}

int cgroup_enter_beside(const struct cgroup *cg, pid_t pid, pid_t beside, struct err *err)
{
	return enter_all(cg, pid, beside, -1, err);
}

int cgroup_move(const struct cgroup *cg, pid_t pid, struct err *err)
{
	return enter_all(cg, pid, 0, cgroup_index(cg, "freezer"), err);
}

static int hand_over(pid_t pid, void *to)
{
	char text[16];
	int r;

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	r = enter_dir(to, text);
	return r == -ESRCH ? 0 : r;
}

int cgroup_hand_over(const struct cgroup *from, const struct cgroup *to)
{
	int r = 0;

	for (size_t i = 0; i < from->len; i++) {
		const int k = cgroup_index(to, from->dirs[i].controllers);
		AUTO_CLOSE int dir = open(from->dirs[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		AUTO_BUF struct buf text = { 0 };
		int q = k < 0 || dir < 0 ? 0 : fd_read_file(dir, "cgroup.procs", &text);

		if (q == 0 && text.data)
			q = cgroup_parse_pids(text.data, hand_over,
					      (void *)(uintptr_t)to->dirs[k].path);
		r = r < 0 ? r : q;
	}
	return r;
}
