/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI runtime specification, config.md "Mounts" and config-linux.md "Default Devices", "Masked
 * Paths", "Readonly Paths": done with the calls that a guest would use, as root of the container.
 */
#include "sentry/boot/mounts.h"

#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include <linux/magic.h>

#include "base/proc_guard.h"
#include "base/str.h"
#include "sentry/boot/copyup.h"
#include "sentry/core/cred.h"
#include "sentry/fs/devtmpfs/devtmpfs.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/vfs/mount.h"

/* <sys/mount.h> of this libc does not have it. */
#define MS_NOSYMFOLLOW_BIT 256u

static boot_bind_fn *bind_root;

void boot_set_bind(boot_bind_fn *fn)
{
	bind_root = fn;
}

struct tree {
	const struct sentry_container *c;
	struct mount_ns *ns;
	struct pid_ns *pid_ns;
	struct path root;
	struct cred *cred;
	struct vfs_ctx ctx;
	/* Nobody's but ours, detached: what an image has in their place is not trusted. */
	struct mount *devices; /* owned, once it is needed */
	struct mount *proc;    /* likewise */
};

static const char *const type_names[SENTRY_MOUNT_TYPES] = {
	[SENTRY_MOUNT_PROC] = "proc",	    [SENTRY_MOUNT_SYSFS] = "sysfs",
	[SENTRY_MOUNT_TMPFS] = "tmpfs",	    [SENTRY_MOUNT_DEVPTS] = "devpts",
	[SENTRY_MOUNT_MQUEUE] = "mqueue",   [SENTRY_MOUNT_CGROUP] = "cgroup",
	[SENTRY_MOUNT_CGROUP2] = "cgroup2", [SENTRY_MOUNT_RAMFS] = "ramfs",
};

static uint32_t mount_flags_of(uint64_t ms)
{
	static const struct {
		uint64_t ms;
		uint32_t flag;
	} map[] = {
		{ MS_RDONLY, MOUNT_RDONLY },	 { MS_NOSUID, MOUNT_NOSUID },
		{ MS_NODEV, MOUNT_NODEV },	 { MS_NOEXEC, MOUNT_NOEXEC },
		{ MS_NOATIME, MOUNT_NOATIME },	 { MS_NODIRATIME, MOUNT_NODIRATIME },
		{ MS_RELATIME, MOUNT_RELATIME }, { MS_NOSYMFOLLOW_BIT, MOUNT_NOSYMFOLLOW },
	};
	uint32_t flags = 0;

	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		flags |= ms & map[i].ms ? map[i].flag : 0;
	if (!(ms & (MS_NOATIME | MS_STRICTATIME)))
		flags |= MOUNT_RELATIME;
	return flags;
}

static int make_parents(struct tree *t, const char *destination)
{
	AUTO_FREE char *path = strdup(destination);
	int r = 0;

	if (!path)
		return -ENOMEM;
	for (char *slash = strchr(path + 1, '/'); r == 0 && slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = vfs_mkdir(&t->ctx, NULL, path, 0755);
		r = r == -EEXIST || r == -EROFS ? 0 : r;
		*slash = '/';
	}
	return r;
}

/* What is missing of a place: directories, and the last component as a file for a file. */
static int make_place(struct tree *t, const char *destination, bool is_file)
{
	int r = make_parents(t, destination);

	if (r == 0)
		r = is_file ? vfs_mknod(&t->ctx, NULL, destination, S_IFREG | 0644, 0)
			    : vfs_mkdir(&t->ctx, NULL, destination, 0755);
	return r == -EEXIST ? 0 : r;
}

/* proc and sysfs only on an ordinary directory (CVE-2019-19921). */
static int find_place(struct tree *t, const struct sentry_mount *m, struct path *ret,
		      struct err *err)
{
	const bool strict = m->type == SENTRY_MOUNT_PROC || m->type == SENTRY_MOUNT_SYSFS;
	const unsigned int walk =
		(m->nofollow ? 0u : WALK_FOLLOW) | (strict ? WALK_NO_SYMLINKS : 0u);
	int r = path_walk(&t->ctx, NULL, m->destination, walk, ret);

	if (r == -ENOENT) {
		r = make_place(t, m->destination, m->is_file);
		if (r == 0)
			r = path_walk(&t->ctx, NULL, m->destination, walk, ret);
	}
	if (r == -ELOOP && strict)
		return err_set(err, r,
			       "mount %s at %s: must be mounted on an ordinary directory, not a "
			       "link",
			       type_names[m->type], m->destination);
	return r < 0 ? err_sys(err, r, "mount at %s: find the place", m->destination) : 0;
}

static bool is_proc(struct superblock *sb)
{
	struct statfs st = { 0 };

	return sb->ops->statfs && sb->ops->statfs(sb, &st) == 0 && st.f_type == PROC_SUPER_MAGIC;
}

static int judge_place(struct tree *t, const struct sentry_mount *m, struct superblock *sb,
		       const struct path *at, struct err *err)
{
	AUTO_FREE char *path = NULL;
	int r = path_to_text(at, &t->root, &path);

	if (r < 0)
		return err_sys(err, r, "mount %s at %s", m->source, m->destination);
	switch (proc_place_of(path)) {
	case PROC_PLACE_FREE:
		return 0;
	case PROC_PLACE_PROC:
		if (m->type == SENTRY_MOUNT_PROC || is_proc(sb))
			return 0;
		return err_set(err, -EPERM,
			       "mount %s at %s: only a proc file system may be mounted at /proc",
			       m->source, m->destination);
	default:
		return err_set(err, -EPERM,
			       "mount %s at %s: cannot be mounted because it is inside /proc",
			       m->source, m->destination);
	}
}

static int new_superblock(struct tree *t, const struct sentry_mount *m, struct superblock **ret)
{
	struct filesystem_type *type;

	if (m->type == SENTRY_MOUNT_BIND)
		return bind_root ? bind_root(t->c, m->root, m->is_file, ret) : -ENODEV;
	if (m->type == SENTRY_MOUNT_PROC)
		return proc_mount_ns(t->pid_ns, m->data, ret);
	type = filesystem_find(type_names[m->type]);
	return type ? type->mount(type, m->source, m->data, t->cred, ret) : -ENODEV;
}

/* A default device makes way for one of config.json; anything else stays what it is. */
static int replace_device(struct tree *t, const struct sentry_device *d, uint32_t type)
{
	const uint64_t rdev = makedev(d->major, d->minor);
	struct path at;
	uint32_t mode;
	uint64_t there;
	int r = path_walk(&t->ctx, NULL, d->path, 0, &at);

	if (r < 0)
		return r;
	mode = at.dentry->inode->mode;
	there = at.dentry->inode->rdev;
	path_unref(&at);
	if ((mode & S_IFMT) == type && (type == S_IFIFO || there == rdev))
		return 0;
	if (!S_ISCHR(mode) && !S_ISBLK(mode))
		return -EEXIST;
	r = vfs_unlink(&t->ctx, NULL, d->path, false);
	return r < 0 ? r : vfs_mknod(&t->ctx, NULL, d->path, type | (d->mode & 07777), rdev);
}

/*
 * Where the host's files are: no device node reaches the host, so one of a file system of ours is
 * bound over an empty file, as runc does in a user namespace.
 */
static int bind_device(struct tree *t, const struct sentry_device *d, uint32_t mode)
{
	static const char hidden[] = "/dev/.caisson-device";
	int r = vfs_mknod(&t->ctx, NULL, hidden, mode, makedev(d->major, d->minor));

	if (r < 0)
		return r;
	r = vfs_mknod(&t->ctx, NULL, d->path, S_IFREG, 0);
	if (r == 0)
		r = vfs_mount(&t->ctx, t->ns, hidden, d->path, NULL, MS_BIND, NULL);
	(void)vfs_unlink(&t->ctx, NULL, hidden, false);
	return r;
}

static int make_device(struct tree *t, const struct sentry_device *d)
{
	const uint32_t type = d->type == 'c' ? S_IFCHR : d->type == 'b' ? S_IFBLK : S_IFIFO;
	const uint32_t mode = type | (d->mode & 07777);
	struct setattr attr = { .mask = SETATTR_UID | SETATTR_GID | SETATTR_MODE,
				.mode = d->mode & 07777,
				.uid = d->uid,
				.gid = d->gid };
	struct path at;
	int r = make_parents(t, d->path);

	if (r == 0)
		r = vfs_mknod(&t->ctx, NULL, d->path, mode, makedev(d->major, d->minor));
	if (r == -EEXIST)
		r = replace_device(t, d, type);
	else if (r == -EPERM)
		r = bind_device(t, d, mode);
	if (r == 0)
		r = path_walk(&t->ctx, NULL, d->path, 0, &at);
	if (r < 0)
		return r;
	r = vfs_setattr(&t->ctx, &at, &attr);
	path_unref(&at);
	return r;
}

static int make_devices(struct tree *t, struct err *err)
{
	const struct sentry_container *c = t->c;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < c->devices_len; i++) {
		r = make_device(t, &c->devices[i]);
		if (r < 0)
			return err_sys(err, r, "linux.devices: device %s", c->devices[i].path);
	}
	return 0;
}

/* What the new mount covers is what `covered` leads to, seen from below. */
static int copy_up(struct tree *t, const struct sentry_mount *m, const struct path *covered,
		   struct err *err)
{
	struct path to;
	int r = path_walk(&t->ctx, NULL, m->destination, WALK_FOLLOW | WALK_DIRECTORY, &to);

	if (r < 0)
		return r;
	/* The directory itself, too, unless the options say what it is like. */
	if (!strstr(m->data, "mode=")) {
		const struct inode *top = covered->dentry->inode;
		const struct setattr attr = { .mask = SETATTR_MODE | SETATTR_UID | SETATTR_GID,
					      .mode = top->mode & 07777,
					      .uid = top->uid,
					      .gid = top->gid };

		r = vfs_setattr(&t->ctx, &to, &attr);
	}
	if (r == 0)
		r = boot_copy_up(&t->ctx, covered, &to, err);
	path_unref(&to);
	return r;
}

/* After the mount: what is written first is read-only then, and its propagation. */
static int finish_mount(struct tree *t, const struct sentry_mount *m, struct path *at)
{
	int r = 0;

	path_follow_mounts(at);
	if (m->copy_up && m->flags & MS_RDONLY)
		r = vfs_mount_setattr(at, t->ns, false, MOUNT_RDONLY, 0, 0);
	if (r == 0 && m->propagation)
		r = vfs_mount_setattr(at, t->ns, m->propagation & MS_REC, 0, 0,
				      m->propagation & ~(uint64_t)MS_REC);
	return r;
}

/* copy-symlink: one that is there already will do. */
static int make_link(struct tree *t, const struct sentry_mount *m)
{
	AUTO_FREE char *there = NULL;
	struct path at;
	int r = make_parents(t, m->destination);

	if (r == 0)
		r = vfs_symlink(&t->ctx, NULL, m->destination, m->source);
	if ((r != -EEXIST && r != -EROFS) || path_walk(&t->ctx, NULL, m->destination, 0, &at) < 0)
		return r;
	if (vfs_readlink(&t->ctx, &at, &there) == 0 && str_eq(there, m->source))
		r = 0;
	path_unref(&at);
	return r;
}

static int remount(struct tree *t, const struct sentry_mount *m, struct err *err)
{
	const int r = vfs_mount(&t->ctx, t->ns, NULL, m->destination, NULL,
				MS_REMOUNT | MS_BIND | m->flags, NULL);

	/* The words of ns/mount_target.c. */
	return r < 0 ? err_sys(err, r, "mount at %s: %s in the root file system", m->destination,
			       m->destination)
		     : 0;
}

static int attach(struct tree *t, const struct sentry_mount *m, struct superblock *sb,
		  const struct path *at, struct err *err)
{
	/* Paths of the host are not shown. What is copied up is written before it is read-only. */
	const uint64_t flags = m->copy_up ? m->flags & ~(uint64_t)MS_RDONLY : m->flags;
	struct path over = path_ref(at);
	int r;

	if (m->type != SENTRY_MOUNT_BIND)
		sb->ms_flags = m->flags & SUPERBLOCK_MS_FLAGS;
	r = vfs_attach(t->ns, sb, at, mount_flags_of(flags),
		       m->type == SENTRY_MOUNT_BIND ? "none" : m->source);
	if (r == 0 && m->copy_up)
		r = copy_up(t, m, at, err);
	if (r == 0)
		r = finish_mount(t, m, &over);
	if (r == 0 && m->type == SENTRY_MOUNT_TMPFS && str_eq(m->destination, "/dev"))
		r = devtmpfs_populate(sb);
	path_unref(&over);
	return r;
}

static int mount_one(struct tree *t, const struct sentry_mount *m, struct err *err)
{
	struct superblock *sb = NULL;
	struct path at;
	int r;

	if (m->type == SENTRY_MOUNT_REMOUNT)
		return remount(t, m, err);
	if (m->type == SENTRY_MOUNT_SYMLINK) {
		r = make_link(t, m);
		return r < 0 ? err_sys(err, r, "make the link %s", m->destination) : 0;
	}
	r = find_place(t, m, &at, err);
	if (r < 0)
		return r;
	r = new_superblock(t, m, &sb);
	if (r < 0) {
		path_unref(&at);
		return err_sys(err, r, "mount %s at %s%s%.200s", m->source, m->destination,
			       m->data[0] ? " with " : "", m->data);
	}
	r = judge_place(t, m, sb, &at, err);
	if (r < 0) {
		superblock_unref(sb);
		path_unref(&at);
		return r;
	}
	r = attach(t, m, sb, &at, err);
	superblock_unref(sb);
	path_unref(&at);
	return r < 0 ? err_sys(err, r, "mount %s at %s", m->source, m->destination) : 0;
}

static int make_readonly(struct tree *t, const char *path)
{
	int r = vfs_mount(&t->ctx, t->ns, path, path, NULL, MS_BIND | MS_REC, NULL);

	if (r == 0)
		r = vfs_mount(&t->ctx, t->ns, NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY,
			      NULL);
	return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

/* The null device over what is at `at`: a node of ours (CVE-2025-31133). */
static int mask_file(struct tree *t, const struct path *at)
{
	struct path devices, null;
	struct mount *m;
	int r = 0;

	if (!t->devices) {
		const struct tmpfs_options options = { .mode = 0755 };
		struct superblock *sb;

		r = tmpfs_new(&options, &sb);
		if (r == 0) {
			r = devtmpfs_populate(sb);
			t->devices = mount_new(sb, sb->root, MOUNT_NOSUID | MOUNT_NOEXEC, "tmpfs");
			superblock_unref(sb);
		}
		if (r == 0 && !t->devices)
			r = -ENOMEM;
	}
	if (r < 0)
		return r;
	devices = (struct path){ t->devices, t->devices->root };
	r = path_walk(&t->ctx, &devices, "null", 0, &null);
	if (r < 0)
		return r;
	m = mount_clone(t->devices, null.dentry);
	path_unref(&null);
	if (!m)
		return -ENOMEM;
	mount_attach(m, at);
	return 0;
}

/* A directory is hidden by an empty read-only tmpfs, anything else by the null device. */
static int mask_path(struct tree *t, const char *path)
{
	struct path at;
	bool directory;
	int r = path_walk(&t->ctx, NULL, path, WALK_FOLLOW, &at);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return r;
	directory = S_ISDIR(at.dentry->inode->mode);
	r = directory ? 0 : mask_file(t, &at);
	path_unref(&at);
	if (directory)
		return vfs_mount(&t->ctx, t->ns, "tmpfs", path, "tmpfs", MS_RDONLY, "size=0k");
	return r;
}

static int open_proc(struct tree *t)
{
	struct superblock *sb;
	int r;

	if (t->proc)
		return 0;
	r = proc_mount_ns(t->pid_ns, "", &sb);
	if (r < 0)
		return r;
	t->proc = mount_new(sb, sb->root, 0, "proc");
	superblock_unref(sb);
	return t->proc ? 0 : -ENOMEM;
}

/*
 * linux.sysctl through a /proc/sys of ours (CVE-2025-52881). What this kernel does not have is left
 * out, the runtime has looked whether Linux does: engines set some of the host's network stack by
 * habit.
 */
static int write_sysctl(struct tree *t, const struct sentry_pair *pair)
{
	AUTO_FILE struct file *f = NULL;
	AUTO_FREE char *path = NULL;
	struct path proc;
	struct iovec iov;
	struct uio u;
	ssize_t n;
	int r;

	/* Of the UTS namespace, which main() makes. */
	if (str_eq(pair->key, "kernel.hostname") || str_eq(pair->key, "kernel.domainname"))
		return 0;
	r = open_proc(t);
	if (r == 0)
		r = str_printf(&path, "sys/%s", pair->key);
	if (r < 0)
		return r;
	proc = (struct path){ t->proc, t->proc->root };
	/* "net.ipv4.ip_forward", or with '/' where a name has dots of its own. */
	for (char *p = path; !strchr(pair->key, '/') && *p; p++)
		*p = *p == '.' ? '/' : *p;
	r = vfs_open(&t->ctx, &proc, path, O_WRONLY, 0, WALK_NO_MAGIC, &f);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	uio_init(&u, NULL, &iov, (uint64_t)(uintptr_t)pair->value, strlen(pair->value));
	n = file_write(f, &u, NULL, UINT64_MAX);
	return n < 0 ? (int)n : 0;
}

static int apply_paths(struct tree *t, struct err *err)
{
	const struct sentry_container *c = t->c;
	int r = make_devices(t, err);

	for (uint32_t i = 0; r == 0 && i < c->sysctls_len; i++) {
		r = write_sysctl(t, &c->sysctls[i]);
		if (r < 0)
			return err_sys(err, r, "linux.sysctl.%s", c->sysctls[i].key);
	}

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < c->readonly_paths.len; i++) {
		r = make_readonly(t, c->readonly_paths.items[i]);
		if (r < 0)
			return err_sys(err, r, "linux.readonlyPaths: %s",
				       c->readonly_paths.items[i]);
	}
	for (uint32_t i = 0; i < c->masked_paths.len; i++) {
		r = mask_path(t, c->masked_paths.items[i]);
		if (r < 0)
			return err_sys(err, r, "linux.maskedPaths: %s", c->masked_paths.items[i]);
	}
	return 0;
}

int boot_mounts(const struct sentry_container *c, struct superblock *root, struct pid_ns *pid_ns,
		struct mount_ns **ret, struct err *err)
{
	struct tree t = { .c = c, .pid_ns = pid_ns, .cred = cred_new_root() };
	int r = t.cred ? mount_ns_new(root, 0, "none", &t.ns) : -ENOMEM;

	superblock_unref(root);
	if (r < 0) {
		cred_unref(t.cred);
		return err_sys(err, r, "make the mount namespace");
	}
	t.root = (struct path){ .mnt = t.ns->root, .dentry = t.ns->root->root };
	t.ctx = (struct vfs_ctx){ .cred = t.cred,
				  .root = &t.root,
				  .cwd = &t.root,
				  .umask = 0,
				  .fsize_limit = UINT64_MAX };
	for (uint32_t i = 0; r == 0 && i < c->mounts_len; i++)
		r = mount_one(&t, &c->mounts[i], err);
	if (r == 0)
		r = apply_paths(&t, err);
	if (r == 0 && c->root_readonly)
		t.ns->root->flags |= MOUNT_RDONLY;
	/* Last: what is unbindable cannot be bound onto itself for linux.readonlyPaths. */
	if (r == 0 && c->root_propagation)
		r = vfs_mount_setattr(&t.root, t.ns, c->root_propagation & MS_REC, 0, 0,
				      c->root_propagation & ~(uint64_t)MS_REC);
	mount_unref(t.devices);
	mount_unref(t.proc);
	cred_unref(t.cred);
	if (r < 0)
		mount_ns_unref(t.ns);
	else
		*ret = t.ns;
	return r;
}
