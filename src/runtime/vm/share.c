/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/share.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/mount_options.h"
#include "ns/mount_bind.h"
#include "ns/mount_fs.h"
#include "ns/mount_target.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/vm/share_cover.h"
#include "runtime/vm/share_memory.h"
#include "runtime/vm/share_source.h"
#include "runtime/vm/share_volume.h"
#include "runtime/vm/share_watch.h"

#define GUARD_ATTRIBUTES (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID)
/* Twice the largest ConfigMap and more: old and new are there together for a moment. */
#define COPY_OPTIONS   "mode=755,size=8m,nr_inodes=4k"
#define TOO_MANY_DISKS "a machine has %u disks at most"
#define NAME_MAX_BYTES 24 /* "rootfs", an index */
/* Of those that join, 64 at one time, and of what was made under another name before. */
#define ENTRIES_MAX (64 * (1 + SHARE_VOLUMES_MAX) + 1024)

void share_done(struct share *share)
{
	for (size_t i = 0; i < share->mounts_len; i++) {
		free(share->mounts[i].path);
		free(share->mounts[i].from);
		share_below_free(share->mounts[i].below, share->mounts[i].below_len);
		share_volume_free(share->mounts[i].volume);
	}
	for (unsigned int i = 0; i < share->disks_len; i++)
		auto_close_p(&share->disks[i].fd);
	if (share->watches)
		auto_close_p(&share->watch);
	if (share->top > 0)
		auto_close_p(&share->top);
	if (share->tree > 0)
		auto_close_p(&share->tree);
	free(share->mounts);
	*share = (struct share){ 0 };
}

/* ---- the tree ------------------------------------------------------------------------------- */

/* A descriptor of the tmpfs, which covers `dir`. */
static int make_top(const struct share_options *o, struct err *err)
{
	char data[64];
	const struct mount_fs fs = {
		.type = "tmpfs",
		.source = "caisson-share",
		.data = data,
		.attr = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
	};
	AUTO_CLOSE int fd = -EBADF;
	int r;

	(void)snprintf(data, sizeof(data), "mode=755,size=64k,nr_inodes=%zu",
		       o->spec->mounts_len + 8 + (o->open ? ENTRIES_MAX : 0));
	r = mount_fs_create(&fs, &fd, err);
	if (r < 0)
		return err_prefix(err, r, "the share");
	if (move_mount(fd, "", AT_FDCWD, o->dir, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, -errno, "mount the share at %s", o->dir);
	return TAKE_FD(fd);
}

/* Put a clone below the tree under `name`. */
static int put(int top, const char *name, int clone, bool is_directory)
{
	AUTO_CLOSE int place = -EBADF;

	if (is_directory) {
		if (mkdirat(top, name, 0755) < 0)
			return -errno;
	} else {
		place = openat(top, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
		if (place < 0)
			return -errno;
	}
	return move_mount(clone, "", top, name, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_attributes(int fd, uint64_t set, unsigned int flags)
{
	struct mount_attr attr = { .attr_set = set };

	return mount_setattr(fd, "", AT_EMPTY_PATH | flags, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/* ---- mounts --------------------------------------------------------------------------------- */

static int set_path(struct share_mount *m, enum share_kind kind, const char *path)
{
	m->kind = kind;
	m->path = strdup(path);
	return m->path ? 0 : -ENOMEM;
}

static int put_mount(int top, struct share_source *s, size_t index, struct share *share)
{
	char name[NAME_MAX_BYTES], path[sizeof(share->places.files) + NAME_MAX_BYTES];
	struct share_mount *m = &share->mounts[index];
	int r;

	(void)snprintf(name, sizeof(name), "%zu", index);
	(void)snprintf(path, sizeof(path), "%s/%s", share->places.files, name);
	if (s->link)
		r = symlinkat(s->link, top, name) < 0 ? -errno : 0;
	else
		r = put(top, name, s->fd, s->kind == SOURCE_DIRECTORY);
	return r < 0 ? r : set_path(m, SHARE_TREE, path);
}

/* Of a volume whose changes are to be seen the guest has a copy. */
static int watch_mount(const struct share_options *o, const struct share_source *s, size_t index,
		       struct share *share)
{
	struct share_mount *m = &share->mounts[index];
	const struct oci_mount *mount = &o->spec->mounts[index];

	if (s->kind != SOURCE_DIRECTORY || s->made || s->link || m->below_len ||
	    !(s->flags & MS_RDONLY) || !share_watch_wanted(mount, o->watch) ||
	    !share_watch_add(share, mount, s->fd))
		return 0;
	m->from = TAKE_PTR(m->path);
	share->copies_len++;
	return str_printf(&m->path, "%s/%zu", share->places.copies, index);
}

/* The next disk, "/dev/vda" and so on; `named`: the container knows it by the host's numbers. */
static int add_disk(struct share *share, int fd, bool readonly, bool named)
{
	struct share_disk_name *name = &share->names[share->disks_len];
	char letter = 'a';
	struct stat st;

	if (share->disks_len == MACHINE_DISKS_MAX)
		return -E2BIG;
	if (fstat(fd, &st) < 0)
		return -errno;
	for (unsigned int i = 0; i < share->disks_len; i++)
		letter = (char)(letter + (share->disks[i].pmem ? 0 : 1));
	(void)snprintf(name->path, sizeof(name->path), "/dev/vd%c", letter);
	if (named && S_ISBLK(st.st_mode))
		(void)snprintf(name->numbers, sizeof(name->numbers), "%u:%u", major(st.st_rdev),
			       minor(st.st_rdev));
	share->disks[share->disks_len++] = (struct machine_disk){ .fd = fd,
								  .readonly = readonly,
								  .device = S_ISBLK(st.st_mode) };
	return 0;
}

static int take_mount(const struct share_options *o, int top, struct share_source *s, size_t index,
		      struct share *share, struct err *err)
{
	struct share_mount *m = &share->mounts[index];
	int r = 0;

	m->made = s->made;
	switch (s->kind) {
	case SOURCE_NONE:
		break;
	case SOURCE_GUESTS:
		r = set_path(m, SHARE_GUESTS, s->guest);
		break;
	case SOURCE_DISK:
		r = add_disk(share, s->fd, s->readonly, true);
		if (r == -E2BIG)
			return err_set(err, r, "mount %s at %s: " TOO_MANY_DISKS,
				       o->spec->mounts[index].source,
				       o->spec->mounts[index].destination, MACHINE_DISKS_MAX);
		if (r == 0) {
			s->fd = -EBADF;
			r = set_path(m, SHARE_DISK, share->names[share->disks_len - 1].path);
		}
		break;
	default:
		m->flags = s->flags;
		r = s->kind == SOURCE_DIRECTORY && !s->made
			    ? share_memory_take(share, index, &o->spec->mounts[index], s->fd,
						o->memory)
			    : 0;
		if (r > 0)
			return 0;
		if (r == 0)
			r = put_mount(top, s, index, share);
	}
	return r < 0 ? err_sys(err, r, "mount %s at %s", o->spec->mounts[index].source,
			       o->spec->mounts[index].destination)
		     : 0;
}

/* All of them lie in the tree. */
static int settle_mount(const struct share_options *o, struct share_source *s, size_t index,
			struct buf *mountinfo, struct share *share, struct err *err)
{
	const struct oci_mount *mount = &o->spec->mounts[index];
	struct share_mount *m = &share->mounts[index];
	int r;

	if (m->kind == SHARE_MEMORY || (s->kind != SOURCE_DIRECTORY && s->kind != SOURCE_FILE))
		return 0;
	r = share_source_settle(mount, s, mountinfo, err);
	if (r < 0)
		return r;
	m->below = TAKE_PTR(s->below);
	m->below_len = s->below_len;
	s->below_len = 0;
	r = watch_mount(o, s, index, share);
	return r < 0 ? err_sys(err, r, "mount %s at %s", mount->source, mount->destination) : 0;
}

/* ---- the root file system ------------------------------------------------------------------- */

static bool is_below(const char *path, const char *parent)
{
	const size_t len = strlen(parent);

	if (strcmp(parent, "/") == 0)
		return true;
	return strncmp(path, parent, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/*
 * Whether the host itself can keep the guest from writing to the root file system: then all that
 * class ns makes there before it becomes read-only must be there. Device nodes and links go to
 * /dev, which must be a mount.
 */
static bool can_be_read_only(const struct share_options *o)
{
	if (!o->spec->root.readonly)
		return false;
	for (size_t i = 0; i < o->spec->mounts_len; i++) {
		if (str_eq(o->spec->mounts[i].destination, "/dev"))
			return true;
	}
	return false;
}

/* The places of mounts, as class ns makes them, but for those in other mounts. */
static int make_places(const struct share_options *o, int root, const struct share_source *sources,
		       struct err *err)
{
	for (size_t i = 0; i < o->spec->mounts_len; i++) {
		AUTO_MOUNT_TARGET struct mount_target target = MOUNT_TARGET_INIT;
		const struct oci_mount *m = &o->spec->mounts[i];
		const struct share_source *s = &sources[i];
		const bool is_file =
			s->kind == SOURCE_FILE ||
			((s->kind == SOURCE_GUESTS || s->kind == SOURCE_DISK) && !s->is_directory);
		bool covered = s->link || s->remount;
		int r;

		for (size_t j = 0; j < i && !covered; j++)
			covered = is_below(m->destination, o->spec->mounts[j].destination);
		if (covered)
			continue;
		r = mount_target_open(root, m->destination,
				      TARGET_CREATE | (is_file ? TARGET_FILE : 0u) |
					      (s->dest_nofollow ? TARGET_NOFOLLOW : 0u),
				      &target, err);
		if (r < 0)
			return err_prefix(err, r, "mount at %s", m->destination);
	}
	return 0;
}

static int open_rootfs(const struct share_options *o, const struct share_source *sources,
		       int *ret_fd, struct err *err)
{
	AUTO_CLOSE int fd =
		open_tree(AT_FDCWD, o->rootfs, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	uint64_t set = GUARD_ATTRIBUTES;
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, -errno, "root file system %s", o->rootfs);
	if (!S_ISDIR(st.st_mode))
		return err_sys(err, -ENOTDIR, "root file system %s", o->rootfs);
	if (o->mode == SHARE_ROOTFS_OVERLAY) {
		set |= MOUNT_ATTR_RDONLY;
	} else if (can_be_read_only(o)) {
		r = make_places(o, fd, sources, err);
		set |= MOUNT_ATTR_RDONLY;
	}
	if (r < 0)
		return r;
	r = set_attributes(fd, set, AT_RECURSIVE);
	if (r < 0)
		return err_sys(err, r, "root file system %s: mount attributes", o->rootfs);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Where an image has its superblock's magic number: Documentation/filesystems of Linux. */
static const char *image_type(int fd)
{
	uint32_t erofs = 0;
	uint16_t ext4 = 0;

	if (pread(fd, &erofs, sizeof(erofs), 1024) == sizeof(erofs) && erofs == 0xe0f5e1e2u)
		return "erofs";
	if (pread(fd, &ext4, sizeof(ext4), 1080) == sizeof(ext4) && ext4 == 0xef53u)
		return "ext4";
	return NULL;
}

/* linux.devices: engines name block volumes there. */
static int take_devices(const struct share_options *o, struct share *share, struct err *err)
{
	for (size_t i = 0; i < o->spec->linux.devices_len; i++) {
		const struct oci_device *d = &o->spec->linux.devices[i];
		AUTO_CLOSE int fd = -EBADF;
		bool readonly = false;
		int r;

		if (d->type != 'b')
			continue;
		fd = share_device_open(o->spec, d, &readonly, err);
		if (fd < 0)
			return err_prefix(err, fd, "linux.devices: %s", d->path);
		r = add_disk(share, fd, readonly, true);
		if (r == -E2BIG)
			return err_set(err, r, "linux.devices: %s: " TOO_MANY_DISKS, d->path,
				       MACHINE_DISKS_MAX);
		if (r < 0)
			return err_sys(err, r, "linux.devices: %s", d->path);
		(void)TAKE_FD(fd);
	}
	return 0;
}

static void add_storage(struct share *share, const struct agent_storage *storage)
{
	share->storages[share->storages_len++] = *storage;
}

/*
 * Mapped as it is, by a user who is nobody's: whole pages of the guest's, blocks of one page, a
 * file that everybody may read and nobody may write.
 */
static bool image_can_be_memory(int fd, const struct stat *st, const char *type)
{
	const bool erofs = str_eq(type, "erofs");
	uint8_t bits = 0; /* s_blkszbits; s_log_block_size counts from 1024 */

	if (!S_ISREG(st->st_mode) || !(st->st_mode & S_IROTH) || st->st_mode & S_IWOTH ||
	    st->st_size == 0 || (uint64_t)st->st_size % MACHINE_PMEM_GRAIN)
		return false;
	return pread(fd, &bits, 1, erofs ? 1024 + 12 : 1024 + 24) == 1 &&
	       bits + (erofs ? 0 : 10) == 12;
}

static int open_image(const struct share_options *o, struct share *share, const char **ret_type,
		      struct err *err)
{
	/* Looked at before it is opened: to open a device may do something. */
	AUTO_CLOSE int found = open(o->rootfs, O_PATH | O_CLOEXEC);
	AUTO_CLOSE int fd = -EBADF;
	char self[FD_PATH_MAX];
	struct stat st;
	int r;

	if (found < 0 || fstat(found, &st) < 0)
		return err_sys(err, -errno, "root file system %s", o->rootfs);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL, "root file system %s: no image: not a file",
			       o->rootfs);
	r = share_disk_allowed(o->spec, &st, true, err);
	if (r < 0)
		return err_prefix(err, r, "root file system %s", o->rootfs);
	fd = open(fd_path(found, self), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_sys(err, -errno, "root file system %s", o->rootfs);
	*ret_type = image_type(fd);
	if (!*ret_type)
		return err_set(err, -EINVAL,
			       "root file system %s: the image is neither erofs nor ext4",
			       o->rootfs);
	r = add_disk(share, fd, true, false); /* the first one, "/dev/vda" */
	if (r < 0)
		return err_sys(err, r, "root file system %s", o->rootfs);
	if (o->pmem && image_can_be_memory(fd, &st, *ret_type)) {
		share->disks[0].pmem = (uint64_t)st.st_size;
		(void)snprintf(share->names[0].path, sizeof(share->names[0].path), "/dev/pmem0");
	}
	(void)TAKE_FD(fd);
	return 0;
}

#define GUEST_TOP "/run/caisson"

/* "rootfs/" with its slash: a mount of the host is one of the guest once it is entered. */
static void set_places(const struct share_options *o, struct share *share)
{
	const char *slash = o->name ? "/" : "", *name = o->name ? o->name : "";
	struct share_places *p = &share->places;

	(void)snprintf(p->files, sizeof(p->files), SHARE_GUEST "%s%s", slash, name);
	(void)snprintf(p->copies, sizeof(p->copies), GUEST_TOP "%s%s/copies", slash, name);
	(void)snprintf(p->lower, sizeof(p->lower), GUEST_TOP "%s%s/lower", slash, name);
	(void)snprintf(p->upper, sizeof(p->upper), GUEST_TOP "%s%s/upper", slash, name);
	(void)snprintf(p->root, sizeof(p->root), GUEST_TOP "%s%s/root", slash, name);
	(void)snprintf(share->rootfs, sizeof(share->rootfs), "%s/rootfs", p->files);
	(void)snprintf(p->overlay, sizeof(p->overlay),
		       "lowerdir=%s%s,upperdir=%s/files,workdir=%s/work",
		       o->mode == SHARE_ROOTFS_BLOCK ? p->lower : share->rootfs,
		       o->mode == SHARE_ROOTFS_BLOCK ? "" : "/", p->upper, p->upper);
	share->root = o->mode == SHARE_ROOTFS_SHARED ? share->rootfs : p->root;
}

/* What the guest mounts: the share, and what makes its root file system of it or of a disk. */
static void add_storages(const struct share_options *o, const char *image_type, struct share *share)
{
	const struct share_places *p = &share->places;
	const struct agent_storage files = { .source = MACHINE_FILES_TAG,
					     .target = SHARE_GUEST,
					     .type = "virtiofs",
					     .options = "",
					     .flags = AGENT_STORAGE_SHARED };
	const struct agent_storage tree = {
		.source = "none", .target = p->files, .type = AGENT_STORAGE_TREE, .options = ""
	};
	const bool pmem = share->disks_len && share->disks[0].pmem;
	const struct agent_storage image = { .source = pmem ? "/dev/pmem0" : "/dev/vda",
					     .target = p->lower,
					     .type = image_type,
					     .options = pmem ? "dax" : "",
					     .mount_flags = MS_RDONLY };
	const struct agent_storage upper = {
		.source = "tmpfs", .target = p->upper, .type = "tmpfs", .options = "mode=755"
	};
	const struct agent_storage overlay = {
		.source = "overlay", .target = p->root, .type = "overlay", .options = p->overlay
	};

	share->files = o->mode != SHARE_ROOTFS_BLOCK;
	for (size_t i = 0; i < share->mounts_len; i++)
		share->files = share->files || share->mounts[i].kind == SHARE_TREE;
	if (share->files)
		add_storage(share, &files);
	share->files = share->files || o->pod;
	if (o->name)
		add_storage(share, &tree);
	if (o->mode == SHARE_ROOTFS_BLOCK)
		add_storage(share, &image);
	if (o->mode != SHARE_ROOTFS_SHARED) {
		add_storage(share, &upper);
		add_storage(share, &overlay);
	}
	for (size_t i = 0; i < share->mounts_len; i++) {
		const struct agent_storage copy = { .source = share->mounts[i].from,
						    .target = share->mounts[i].path,
						    .type = AGENT_STORAGE_COPY,
						    .options = COPY_OPTIONS,
						    .mount_flags = MS_NOSUID | MS_NODEV };

		if (copy.source)
			add_storage(share, &copy);
	}
	for (unsigned int i = 0; i < share->memories_len; i++) {
		const struct agent_storage memory = { .source = "tmpfs",
						      .target = share->memories[i].path,
						      .type = "tmpfs",
						      .options = share->memories[i].options,
						      .flags = AGENT_STORAGE_SHARED };

		add_storage(share, &memory);
	}
	for (unsigned int i = 0; i < share->disks_len; i++) {
		const struct agent_storage disk = { .source = share->names[i].path,
						    .target = p->lower,
						    .type = AGENT_STORAGE_DEVICE,
						    .options = share->names[i].numbers };

		if (*share->names[i].numbers)
			add_storage(share, &disk);
	}
}

int share_rootfs_mode(const struct runtime *rt, const struct oci_spec *spec, const char *rootfs,
		      enum share_rootfs *ret, struct err *err)
{
	static const struct {
		const char *word;
		enum share_rootfs mode;
	} words[] = {
		{ "shared", SHARE_ROOTFS_SHARED },
		{ "overlay", SHARE_ROOTFS_OVERLAY },
		{ "block", SHARE_ROOTFS_BLOCK },
	};
	const char *word = NULL;
	struct stat st;
	int r = sandbox_setting(rt, spec, SHARE_ROOTFS, NULL, &word, err);

	if (r < 0)
		return r;
	if (!word) {
		const bool file = stat(rootfs, &st) == 0 && !S_ISDIR(st.st_mode);

		*ret = file ? SHARE_ROOTFS_BLOCK : SHARE_ROOTFS_SHARED;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (str_eq(words[i].word, word)) {
			*ret = words[i].mode;
			return 0;
		}
	}
	return err_set(err, -EINVAL,
		       "annotation " SHARE_ROOTFS ": \"%s\" is not shared, overlay or block", word);
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* Directories may have been renamed while each was covered by its path. */
static int cover_again(const struct share_options *o, int top, struct err *err)
{
	static const char why[] = "a file system of the host's kernel lies below: it cannot be "
				  "covered, as directories are renamed, or another mount hides it";
	char name[SHARE_COVER_NAME_MAX] = "";
	const int r = share_cover_again(top, name);
	uint64_t index;

	if (r == 0)
		return 0;
	if (r == -EBUSY && o->spec->mounts_len &&
	    str_to_u64(name, o->spec->mounts_len - 1, &index) == 0)
		return err_set(err, r, "mount %s at %s: %s", o->spec->mounts[index].source,
			       o->spec->mounts[index].destination, why);
	return r == -EBUSY ? err_set(err, r, "root file system %s: %s", o->rootfs, why)
			   : err_sys(err, r, "look for what is of the host's kernel");
}

/* Of a container that joins: what others may have, too. */
static int take_volumes(const struct share_options *o, const struct share_source *sources, int top,
			struct share *share, struct err *err)
{
	AUTO_BUF struct buf mountinfo = { 0 };
	int r = fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &mountinfo);

	if (r < 0)
		return err_sys(err, r, "read /proc/self/mountinfo");
	for (size_t i = 0; r == 0 && i < o->spec->mounts_len; i++) {
		const struct share_mount *m = &share->mounts[i];

		if (m->kind != SHARE_TREE || m->from || sources[i].made ||
		    sources[i].kind != SOURCE_DIRECTORY)
			continue;
		r = share_volume_take(share, i, top, o->dir, sources[i].fd, mountinfo.data);
		if (r < 0)
			return err_sys(err, r, "mount %s at %s", o->spec->mounts[i].source,
				       o->spec->mounts[i].destination);
	}
	share->tree = open_tree(top, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	return share->tree < 0 ? err_sys(err, -errno, "the share") : 0;
}

/* Sources are open: the tree may cover what they were found by. */
static int build(const struct share_options *o, struct share_source *sources, struct share *ret,
		 struct err *err)
{
	AUTO_BUF struct buf mountinfo = { 0 };
	const char *image = NULL;
	AUTO_CLOSE int rootfs = -EBADF;
	AUTO_CLOSE int top = -EBADF;
	int r = o->mode == SHARE_ROOTFS_BLOCK ? open_image(o, ret, &image, err)
					      : open_rootfs(o, sources, &rootfs, err);

	if (r < 0)
		return r;
	top = make_top(o, err);
	if (top < 0)
		return top;
	r = rootfs >= 0 ? put(top, "rootfs", rootfs, true) : 0;
	if (r < 0)
		return err_sys(err, r, "root file system %s", o->rootfs);
	for (size_t i = 0; r == 0 && i < o->spec->mounts_len; i++)
		r = take_mount(o, top, &sources[i], i, ret, err);
	if (r == 0 && rootfs >= 0)
		r = share_cover_kernels(rootfs, o->rootfs, &mountinfo, err);
	for (size_t i = 0; r == 0 && i < o->spec->mounts_len; i++)
		r = settle_mount(o, &sources[i], i, &mountinfo, ret, err);
	if (r == 0)
		r = cover_again(o, top, err);
	if (r == 0 && o->name)
		r = take_volumes(o, sources, top, ret, err);
	if (r < 0)
		return r;
	r = take_devices(o, ret, err);
	if (r < 0)
		return r;
	add_storages(o, image, ret);
	if (o->open && ret->files) {
		ret->top = open_tree(top, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		if (ret->top < 0)
			return err_sys(err, -errno, "the share");
	}
	/* Of the tmpfs alone: entries of the tree are not the guest's to make. */
	r = set_attributes(top, MOUNT_ATTR_RDONLY, 0);
	return r < 0 ? err_sys(err, r, "the share") : 0;
}

int share_build(const struct share_options *o, struct share *ret, struct err *err)
{
	const size_t len = o->spec->mounts_len;
	AUTO_FREE struct share_source *sources = calloc(len ? len : 1, sizeof(*sources));
	int r = 0;

	ret->mounts = calloc(len ? len : 1, sizeof(*ret->mounts));
	if (!sources || !ret->mounts)
		return err_sys(err, -ENOMEM, "mounts");
	ret->mounts_len = len;
	set_places(o, ret);
	for (size_t i = 0; i < len; i++)
		sources[i] = (struct share_source){ .fd = -EBADF, .spec = o->spec };
	for (size_t i = 0; r == 0 && i < len; i++)
		r = share_source_open(&o->spec->mounts[i], o->bundle,
				      o->idmap_fds ? o->idmap_fds[i] : -1, &sources[i], err);
	if (r == 0)
		r = build(o, sources, ret, err);
	for (size_t i = 0; i < len; i++)
		share_source_done(&sources[i]);
	return r;
}
