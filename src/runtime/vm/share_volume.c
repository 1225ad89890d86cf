/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/share_volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "ns/mount_fs.h"

#define INNER	   "files"
#define TREE	   'p' /* first letters of names in the share */
#define VOLUME	   'v'
#define PLACE_MAX  (SHARE_NAME_MAX + 8) /* "/vNAME/files", NUL included */
#define FIELDS_MIN 6

struct share_volume {
	int fd;		/* owned: a detached clone */
	char *identity; /* owned */
	bool readonly;
};

void share_volume_free(struct share_volume *volume)
{
	if (!volume)
		return;
	auto_close_p(&volume->fd);
	free(volume->identity);
	free(volume);
}
DEFINE_AUTO(struct share_volume *, share_volume_free);

/* ---- What it is ----------------------------------------------------------------------------- */

/* Fields of a line of mountinfo: of the text, cut. */
struct line {
	const char *id, *parent, *device, *root, *options, *propagation;
};

static char *next_field(char **rest)
{
	return strsep(rest, " ");
}

/* False: it is none. */
static bool cut(char *text, struct line *ret)
{
	char *fields[FIELDS_MIN], *rest = text, *to;

	for (size_t i = 0; i < FIELDS_MIN; i++) {
		fields[i] = next_field(&rest);
		if (!fields[i])
			return false;
	}
	*ret = (struct line){ .id = fields[0],
			      .parent = fields[1],
			      .device = fields[2],
			      .root = fields[3],
			      .options = fields[5],
			      .propagation = rest };
	if (!rest)
		return false;
	/* Up to " - "; whose master is seen from where it is read is no part of what it is. */
	for (to = rest; rest;) {
		char *field = next_field(&rest);

		if (str_eq(field, "-"))
			break;
		if (str_after(field, "propagate_from:"))
			continue;
		memmove(to, field, strlen(field));
		to += strlen(field);
		*to++ = ' ';
	}
	*to = '\0';
	return true;
}

static bool has_word(const char *list, const char *word)
{
	const size_t len = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += len) {
		if ((p == list || p[-1] == ',') && (p[len] == ',' || p[len] == '\0'))
			return true;
	}
	return false;
}

/* Of a directory without a name others may have the name. */
static bool can_be_shared(const struct line *line)
{
	return !has_word(line->options, "idmapped") && !str_ends(line->root, "//deleted") &&
	       !strstr(line->propagation, "unbindable");
}

int share_volume_identify(const char *mountinfo, int fd, char **ret, bool *ret_readonly)
{
	AUTO_FREE char *text = strdup(mountinfo);
	struct line line, found = { 0 };
	char id[24], *rest = text;
	struct statx st;

	if (!text)
		return -ENOMEM;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
		  STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0)
		return -errno;
	if (!(st.stx_mask & STATX_MNT_ID) || !S_ISDIR(st.stx_mode))
		return 0;
	(void)snprintf(id, sizeof(id), "%llu", (unsigned long long)st.stx_mnt_id);
	for (char *next = strsep(&rest, "\n"); next; next = strsep(&rest, "\n")) {
		if (!cut(next, &line))
			continue;
		if (str_eq(line.parent, id) && !str_eq(line.id, id))
			return 0;
		if (str_eq(line.id, id))
			found = line;
	}
	if (!found.id || !can_be_shared(&found))
		return 0;
	if (str_printf(ret, "%u:%u %llu %s %s %s", st.stx_dev_major, st.stx_dev_minor,
		       (unsigned long long)st.stx_ino, found.device, found.root,
		       found.propagation) < 0)
		return -ENOMEM;
	*ret_readonly = has_word(found.options, "ro");
	return 1;
}

/* ---- Out of the tree ------------------------------------------------------------------------ */

static int detach(int top, const char *dir, const char *name, struct share_volume *v)
{
	AUTO_FREE char *path = NULL;

	v->fd = open_tree(top, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (v->fd < 0)
		return -errno;
	if (str_printf(&path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ||
	    unlinkat(top, name, AT_REMOVEDIR) < 0)
		return -errno;
	return 0;
}

int share_volume_take(struct share *share, size_t index, int top, const char *dir, int fd,
		      const char *mountinfo)
{
	struct share_mount *m = &share->mounts[index];
	AUTO(share_volume_free_p) struct share_volume *v = calloc(1, sizeof(*v));
	char name[24];
	int r;

	if (!v)
		return -ENOMEM;
	v->fd = -EBADF;
	r = share_volume_identify(mountinfo, fd, &v->identity, &v->readonly);
	if (r <= 0)
		return r;
	if (share->volumes_len == SHARE_VOLUMES_MAX) {
		log_warning("%s: one volume too many: sockets and locks in it are the container's "
			    "own",
			    m->path);
		return 0;
	}
	(void)snprintf(name, sizeof(name), "%zu", index);
	r = detach(top, dir, name, v);
	if (r < 0)
		return r;
	share->volumes_len++;
	m->volume = TAKE_PTR(v);
	return 0;
}

/* ---- The share ------------------------------------------------------------------------------ */

/* Names in the directory that begin with `letter`; *ret is the caller's, NULL for none. */
static int list_names(int at, const char *path, char letter, char ***ret)
{
	AUTO_STRV char **names = NULL;
	const int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;
	int r = dir ? 0 : -errno;

	if (!dir && fd >= 0)
		(void)close(fd);
	while (r == 0 && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == letter)
			r = strv_add(&names, e->d_name);
	}
	if (dir)
		(void)closedir(dir);
	*ret = TAKE_PTR(names);
	return r;
}

static void place_of(const char *name, const char *inner, char ret[static PLACE_MAX])
{
	(void)snprintf(ret, PLACE_MAX, "/%.*s%s", SHARE_NAME_MAX - 1, name, inner);
}

static int allow_writing(int fd)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY };

	return mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/* Whether the entry is of that directory, and lets the container do what it may. */
static bool serves(const char *name, const char *mountinfo, const struct share_volume *v)
{
	AUTO_FREE char *identity = NULL;
	AUTO_CLOSE int fd = -EBADF;
	char place[PLACE_MAX];
	bool readonly = false;

	place_of(name, "/" INNER, place);
	fd = open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || share_volume_identify(mountinfo, fd, &identity, &readonly) <= 0 ||
	    !str_eq(identity, v->identity))
		return false;
	return !readonly || v->readonly || allow_writing(fd) == 0;
}

static int make_entry(const struct share_volumes_at *at, const char *name,
		      const struct share_volume *v, struct err *err)
{
	const struct mount_fs fs = { .type = "tmpfs",
				     .source = "caisson-share",
				     .data = "mode=755,size=4k,nr_inodes=4" };
	struct mount_attr closed = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV |
						 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC };
	AUTO_CLOSE int outer = -EBADF;
	char place[PLACE_MAX];
	int r = mount_fs_create(&fs, &outer, err);

	if (r < 0)
		return r;
	place_of(name, "", place);
	if (mkdirat(outer, INNER, 0755) < 0 ||
	    mount_setattr(outer, "", AT_EMPTY_PATH, &closed, sizeof(closed)) < 0 ||
	    mkdirat(at->top, name, 0755) < 0 ||
	    move_mount(outer, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
	    move_mount(v->fd, "", outer, INNER, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, -errno, "make %s", name);
	return 0;
}

/* *ret_name: of the entry. */
static int put_one(const struct share_volumes_at *at, size_t index, const struct share_volume *v,
		   char ret_name[static SHARE_NAME_MAX], struct err *err)
{
	AUTO_STRV char **names = NULL;
	AUTO_BUF struct buf mountinfo = { 0 };
	int r = list_names(at->top, ".", VOLUME, &names);

	if (r == 0)
		r = fd_read_file(at->proc, "self/mountinfo", &mountinfo);
	if (r < 0)
		return err_sys(err, r, "look at what is there");
	for (size_t i = 0; names && names[i]; i++) {
		if (serves(names[i], mountinfo.data, v)) {
			(void)snprintf(ret_name, SHARE_NAME_MAX, "%s", names[i]);
			return 0;
		}
	}
	/* As the tree's, one that the guest has not seen before. */
	if (snprintf(ret_name, SHARE_NAME_MAX, "%c%s.%zu", VOLUME, at->name + 1, index) >=
	    SHARE_NAME_MAX)
		return err_set(err, -E2BIG, "mounts: too many");
	return make_entry(at, ret_name, v, err);
}

/* Mounted twice it is one. */
static void add_storage(struct share *share, const char *target)
{
	for (uint32_t i = 0; i < share->storages_len; i++) {
		if (str_eq(share->storages[i].target, target))
			return;
	}
	share->storages[share->storages_len++] =
		(struct agent_storage){ .source = INNER,
					.target = target,
					.type = AGENT_STORAGE_TREE,
					.options = "",
					.flags = AGENT_STORAGE_SHARED };
}

int share_volumes_put(struct share *share, const struct share_volumes_at *at, struct err *err)
{
	size_t taken = 0;

	for (size_t i = 0; i < share->mounts_len; i++) {
		struct share_mount *m = &share->mounts[i];
		char name[SHARE_NAME_MAX], reference[24];
		char *target;
		int r;

		if (!m->volume)
			continue;
		r = put_one(at, i, m->volume, name, err);
		if (r < 0)
			return err_prefix(err, r, "the share");
		(void)snprintf(reference, sizeof(reference), "%c%zu", VOLUME, i);
		if (symlinkat(name, share->tree, reference) < 0)
			return err_sys(err, -errno, "the share: refer to %s", name);
		target = share->volumes[taken++];
		(void)snprintf(target, sizeof(share->volumes[0]), SHARE_GUEST "/%s", name);
		free(m->path);
		m->path = NULL;
		if (str_printf(&m->path, "%s/" INNER, target) < 0)
			return err_sys(err, -ENOMEM, "the share");
		add_storage(share, target);
	}
	return 0;
}

/* ---- The end -------------------------------------------------------------------------------- */

/* What the trees refer to: texts of their links. */
static int list_references(int top, char ***ret)
{
	AUTO_STRV char **trees = NULL;
	int r = list_names(top, ".", TREE, &trees);

	for (size_t i = 0; r == 0 && trees && trees[i]; i++) {
		AUTO_STRV char **links = NULL;
		char place[PLACE_MAX];

		place_of(trees[i], "", place);
		r = list_names(AT_FDCWD, place, VOLUME, &links);
		for (size_t k = 0; r == 0 && links && links[k]; k++) {
			char path[PLACE_MAX + NAME_MAX + 2], text[SHARE_NAME_MAX];
			ssize_t n;

			(void)snprintf(path, sizeof(path), "%s/%s", place, links[k]);
			n = readlink(path, text, sizeof(text) - 1);
			if (n >= 0)
				text[n] = '\0';
			r = n < 0 ? -errno : strv_add(ret, text);
		}
		/* A tree goes without the lock. */
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

static bool contains(char *const *list, const char *text)
{
	for (size_t i = 0; list && list[i]; i++) {
		if (str_eq(list[i], text))
			return true;
	}
	return false;
}

int share_volumes_sweep(int top, struct err *err)
{
	AUTO_STRV char **references = NULL;
	AUTO_STRV char **names = NULL;
	int r = list_references(top, &references);

	if (r == 0)
		r = list_names(top, ".", VOLUME, &names);
	if (r < 0)
		return err_sys(err, r, "look at what the share has");
	for (size_t i = 0; names && names[i]; i++) {
		char place[PLACE_MAX];

		if (contains(references, names[i]))
			continue;
		place_of(names[i], "", place);
		if (umount2(place, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL &&
		    errno != ENOENT)
			return err_sys(err, -errno, "unmount %s of the share", names[i]);
		if (unlinkat(top, names[i], AT_REMOVEDIR) < 0 && errno != ENOENT)
			return err_sys(err, -errno, "remove %s of the share", names[i]);
	}
	return 0;
}
