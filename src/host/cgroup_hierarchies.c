/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cgroup hierarchies are mounted where, and where this process is in them: proc(5) mountinfo
 * and cgroups(7) /proc/self/cgroup.
 *
 * /proc/self/cgroup names the hierarchies; a v1 mount belongs to one if its options carry every
 * controller of the line, so flags such as xattr or clone_children need no list here. A mount
 * counts only if a path walk really reaches it: engines and test lanes put a tmpfs over
 * /sys/fs/cgroup and mountinfo goes on to list what lies below. The root of a mount (field 4) is
 * cut off the process's path, so that a bind mount or a container's view works.
 */
#include "host/cgroup_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

#define PROBE_PATH_MAX 320    /* "/sys/fs/cgroup/" and one name */
#define MOUNTS_MAX     100000 /* lines; fs.mount-max is 100,000 by default */

/* A line of mountinfo; strings point into the text, which is cut up. */
struct mount_line {
	uint64_t id, parent;
	char *root, *point, *type, *options;
	size_t point_len;
};

struct mount_lines {
	struct mount_line *items; /* owned */
	size_t len, cap;
};

static void mount_lines_done(struct mount_lines *l)
{
	free(l->items);
	*l = (struct mount_lines){ 0 };
}

/* Undo the octal escapes of mangle_path() in place: \040 \011 \012 \134 and the like. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* The next space-separated field, or NULL. */
static char *next_field(char **rest)
{
	char *field = *rest, *end;

	if (!field || !*field)
		return NULL;
	end = strchr(field, ' ');
	if (end)
		*end++ = '\0';
	*rest = end;
	return field;
}

static int parse_mount_line(char *line, struct mount_line *m)
{
	char *rest = line, *field, *id, *parent;

	id = next_field(&rest);
	parent = next_field(&rest);
	if (!next_field(&rest)) /* major:minor */
		return -EINVAL;
	m->root = next_field(&rest);
	m->point = next_field(&rest);
	/* Mount options, then optional fields up to "-". */
	do {
		field = next_field(&rest);
	} while (field && strcmp(field, "-") != 0);
	m->type = next_field(&rest);
	(void)next_field(&rest); /* source */
	m->options = rest;
	if (!m->type || str_to_u64(id, UINT64_MAX, &m->id) < 0 ||
	    str_to_u64(parent, UINT64_MAX, &m->parent) < 0)
		return -EINVAL;
	unescape(m->root);
	unescape(m->point);
	if (m->point[0] != '/')
		return -EINVAL;
	m->point_len = strcmp(m->point, "/") == 0 ? 0 : strlen(m->point);
	return 0;
}

/* Cut `text` into lines; -EINVAL names nothing: the kernel wrote it. */
static int parse_mount_lines(char *text, struct mount_lines *ret)
{
	char *line = text;

	while (*line) {
		char *end = strchr(line, '\n');
		struct mount_line m;
		int r;

		if (end)
			*end = '\0';
		r = parse_mount_line(line, &m);
		if (r < 0)
			return r;
		if (ret->len == ret->cap) {
			const size_t cap = ret->cap ? ret->cap * 2 : 64;
			struct mount_line *items;

			if (ret->len >= MOUNTS_MAX)
				return -E2BIG;
			items = reallocarray(ret->items, cap, sizeof(*items));
			if (!items)
				return -ENOMEM;
			ret->items = items;
			ret->cap = cap;
		}
		ret->items[ret->len++] = m;
		if (!end)
			break;
		line = end + 1;
	}
	return 0;
}

/* Whether mount `m` is on the way to `path`. */
static bool covers(const struct mount_line *m, const char *path)
{
	return strncmp(m->point, path, m->point_len) == 0 &&
	       (path[m->point_len] == '/' || path[m->point_len] == '\0');
}

static bool is_listed(const struct mount_lines *l, uint64_t id)
{
	for (size_t i = 0; i < l->len; i++) {
		if (l->items[i].id == id)
			return true;
	}
	return false;
}

/*
 * The mount that a walk to `path` ends in: from the root of the tree always into the child mount
 * with the shortest mount point on the way. Each step goes to a mount not visited before.
 */
static const struct mount_line *mount_at(const struct mount_lines *l, const char *path)
{
	const struct mount_line *at = NULL;

	for (size_t steps = 0; steps < l->len; steps++) {
		const struct mount_line *next = NULL;

		for (size_t i = 0; i < l->len; i++) {
			const struct mount_line *m = &l->items[i];

			if (at ? m->parent != at->id || m == at : is_listed(l, m->parent))
				continue;
			if (covers(m, path) && (!next || m->point_len < next->point_len))
				next = m;
		}
		if (!next)
			break;
		at = next;
	}
	return at;
}

bool cgroup_has_controller(const char *controllers, const char *name)
{
	const size_t len = strlen(name);

	for (const char *p = controllers; *p; p += *p == ',') {
		const size_t n = strcspn(p, ",");

		if (n == len && memcmp(p, name, n) == 0)
			return true;
		p += n;
	}
	return false;
}

bool cgroup_carries_all(const char *options, const char *controllers)
{
	char name[256];

	for (const char *p = controllers; *p; p += *p == ',') {
		const size_t n = strcspn(p, ",");

		if (n >= sizeof(name))
			return false;
		memcpy(name, p, n);
		name[n] = '\0';
		if (!options || !cgroup_has_controller(options, name))
			return false;
		p += n;
	}
	return true;
}

/* The part of `path` below `root`, "" for the same; NULL if it lies elsewhere. */
static const char *path_below(const char *path, const char *root)
{
	const size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(path, root, len) != 0 || (path[len] != '/' && path[len] != '\0'))
		return NULL;
	path += len;
	return strcmp(path, "/") == 0 ? "" : path;
}

static bool has_dotdot(const char *path)
{
	return strstr(path, "/../") || str_ends(path, "/..");
}

/*
 * The mount to use for a hierarchy: one that the process can see itself in, else any (its top is
 * then our place, as after unshare(CLONE_NEWCGROUP) with the old mounts, whose root reads "/..").
 */
static const struct mount_line *choose_mount(const struct mount_lines *l, const char *controllers,
					     const char *path)
{
	const bool v2 = !*controllers;
	const struct mount_line *found = NULL;

	for (size_t i = 0; i < l->len; i++) {
		const struct mount_line *m = &l->items[i];
		bool sees_us;

		if (strcmp(m->type, v2 ? "cgroup2" : "cgroup") != 0)
			continue;
		if (!v2 && !cgroup_carries_all(m->options, controllers))
			continue;
		if (mount_at(l, m->point) != m)
			continue;
		sees_us = !has_dotdot(m->root) && path_below(path, m->root);
		if (!found || sees_us)
			found = m;
		if (sees_us)
			break;
	}
	return found;
}

/* `root` is the root of the mount; `path` the process's own. */
static int add_hierarchy(const char *controllers, const char *point, const char *root,
			 const char *path, struct cgroup_hierarchies *ret)
{
	struct cgroup_hierarchy *h = &ret->items[ret->len];
	const char *below = has_dotdot(path) || has_dotdot(root) ? NULL : path_below(path, root);

	if (ret->len == CGROUP_DIRS_MAX)
		return -E2BIG;
	h->controllers = strdup(controllers);
	h->mount_point = strdup(strcmp(point, "/") == 0 ? "" : point);
	h->own_path = strdup(below ? below : "");
	ret->len++;
	return h->controllers && h->mount_point && h->own_path ? 0 : -ENOMEM;
}

/* Find the mount in mountinfo, or by looking (without `l`); a hierarchy may be mounted nowhere. */
static int place_hierarchy(const struct mount_lines *l, const char *controllers, const char *path,
			   struct cgroup_hierarchies *ret)
{
	char point[PROBE_PATH_MAX];
	const char *root;
	int r;

	if (l) {
		const struct mount_line *m = choose_mount(l, controllers, path);

		return m ? add_hierarchy(controllers, m->point, m->root, path, ret) : 0;
	}
	r = cgroup_probe_mount(controllers, point, sizeof(point), &root);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : add_hierarchy(controllers, point, root, path, ret);
}

/* Lines "ID:controllers:path"; the path is the rest, colons included. */
static int parse_self_cgroup(char *text, const struct mount_lines *l,
			     struct cgroup_hierarchies *ret)
{
	char *line = text;

	while (*line) {
		char *end = strchr(line, '\n'), *controllers, *path;
		uint64_t id;
		int r;

		if (end)
			*end = '\0';
		controllers = strchr(line, ':');
		path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!path)
			return -EINVAL;
		*controllers++ = '\0';
		*path++ = '\0';
		if (str_to_u64(line, UINT64_MAX, &id) < 0 || *path != '/')
			return -EINVAL;
		/* A removed cgroup reads "/path (deleted)": there is no place to make ours in. */
		if (str_ends(path, " (deleted)"))
			path[1] = '\0';
		r = place_hierarchy(l, controllers, path, ret);
		if (r < 0)
			return r;
		if (!end)
			break;
		line = end + 1;
	}
	return 0;
}

static enum cgroup_layout judge_layout(const struct cgroup_hierarchies *h)
{
	bool v1 = false, v2 = false, named = false;

	for (size_t i = 0; i < h->len; i++) {
		const char *controllers = h->items[i].controllers;

		if (!*controllers)
			v2 = true;
		else if (str_after(controllers, "name="))
			named = true;
		else
			v1 = true;
	}
	if (v1)
		return v2 ? CGROUP_LAYOUT_HYBRID : CGROUP_LAYOUT_V1;
	if (v2)
		return CGROUP_LAYOUT_V2;
	return named ? CGROUP_LAYOUT_V1 : CGROUP_LAYOUT_NONE;
}

static void hierarchy_done(struct cgroup_hierarchy *h)
{
	free(h->controllers);
	free(h->mount_point);
	free(h->own_path);
	*h = (struct cgroup_hierarchy){ 0 };
}

void cgroup_hierarchies_done(struct cgroup_hierarchies *h)
{
	for (size_t i = 0; i < h->len; i++)
		hierarchy_done(&h->items[i]);
	h->len = 0;
}

/* On a cgroup2 host, named v1 hierarchies beside it carry no limits and are left alone. */
static void drop_named(struct cgroup_hierarchies *h)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->len; i++) {
		if (*h->items[i].controllers)
			hierarchy_done(&h->items[i]);
		else
			h->items[kept++] = h->items[i];
	}
	h->len = kept;
}

/* Common end: read the lines, judge, hand over. `l` NULL: probe. */
static int collect(const char *self_cgroup, const struct mount_lines *l,
		   struct cgroup_hierarchies *ret)
{
	AUTO_FREE char *self = strdup(self_cgroup);
	struct cgroup_hierarchies h = { 0 };
	int r = self ? parse_self_cgroup(self, l, &h) : -ENOMEM;

	if (r < 0) {
		cgroup_hierarchies_done(&h);
		return r;
	}
	h.layout = judge_layout(&h);
	if (h.layout == CGROUP_LAYOUT_V2)
		drop_named(&h);
	*ret = h;
	return 0;
}

int cgroup_parse_hierarchies(const char *mountinfo, const char *self_cgroup,
			     struct cgroup_hierarchies *ret)
{
	AUTO_FREE char *mounts = strdup(mountinfo);
	AUTO(mount_lines_done) struct mount_lines lines = { 0 };
	int r = mounts ? parse_mount_lines(mounts, &lines) : -ENOMEM;

	return r < 0 ? r : collect(self_cgroup, &lines, ret);
}

int cgroup_probe_hierarchies(const char *self_cgroup, struct cgroup_hierarchies *ret)
{
	struct cgroup_hierarchies h;
	int r = collect(self_cgroup, NULL, &h);

	/* Nothing found by looking is not yet nothing mounted. */
	if (r == 0 && h.layout == CGROUP_LAYOUT_NONE)
		r = -ENODATA;
	if (r == 0)
		*ret = h;
	return r;
}

int cgroup_hierarchies(const struct cgroup_hierarchies **ret, struct err *err)
{
	static struct cgroup_hierarchies cached;
	static bool is_read;
	AUTO_BUF struct buf mountinfo = { 0 };
	AUTO_BUF struct buf self = { 0 };
	int r;

	if (is_read) {
		*ret = &cached;
		return 0;
	}
	r = fd_read_file(AT_FDCWD, "/proc/self/cgroup", &self);
	/* A kernel without cgroups has no such file: then there is nothing to use. */
	if (r < 0 && r != -ENOENT)
		return err_sys(err, r, "read /proc/self/cgroup");
	r = self.data ? cgroup_probe_hierarchies(self.data, &cached) : -ENODATA;
	if (r == -ENODATA) {
		r = fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &mountinfo);
		if (r < 0)
			return err_sys(err, r, "read /proc/self/mountinfo");
		r = cgroup_parse_hierarchies(mountinfo.data ? mountinfo.data : "",
					     self.data ? self.data : "", &cached);
	}
	if (r < 0)
		return err_sys(err, r, "find the cgroup hierarchies");
	is_read = true;
	*ret = &cached;
	return 0;
}

enum cgroup_layout cgroup_layout(void)
{
	const struct cgroup_hierarchies *h;

	return cgroup_hierarchies(&h, NULL) == 0 ? h->layout : CGROUP_LAYOUT_NONE;
}
