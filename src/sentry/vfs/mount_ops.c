/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/mount_ops.c - mount(2), umount2(2), pivot_root(2), mount_setattr(2): the checks of
 * Linux fs/namespace.c.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/vfs/internal.h"
#include "sentry/core/klog.h"
#include "sentry/vfs/mount.h"

/* <sys/mount.h> and <linux/mount.h> do not go together: what umount2(2) adds. */
#define UMOUNT_DETACH	2
#define UMOUNT_NOFOLLOW 8
#define UMOUNT_KNOWN	(1 | UMOUNT_DETACH | 4 | UMOUNT_NOFOLLOW)

#define ATIME_FLAGS	   (MOUNT_NOATIME | MOUNT_NODIRATIME | MOUNT_RELATIME)
#define MS_NOSYMFOLLOW_BIT 256u
#define TYPE_FLAGS	   (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)

static uint32_t mount_flags(uint64_t ms)
{
	static const struct {
		uint64_t ms;
		uint32_t flag;
	} map[] = {
		{ MS_RDONLY, MOUNT_RDONLY },
		{ MS_NOSUID, MOUNT_NOSUID },
		{ MS_NODEV, MOUNT_NODEV },
		{ MS_NOEXEC, MOUNT_NOEXEC },
		{ MS_NOATIME, MOUNT_NOATIME },
		{ MS_NODIRATIME, MOUNT_NODIRATIME },
		{ MS_NOSYMFOLLOW_BIT, MOUNT_NOSYMFOLLOW },
	};
	uint32_t flags = 0;

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (ms & map[i].ms)
			flags |= map[i].flag;
	if (!(ms & (MS_NOATIME | MS_STRICTATIME)))
		flags |= MOUNT_RELATIME;
	return flags;
}

static bool is_mount_root(const struct path *p)
{
	return p->dentry == p->mnt->root;
}

int superblock_reconfigure(const struct vfs_ctx *ctx, struct superblock *sb, uint64_t ms,
			   const char *data)
{
	int r = 0;

	if (!cred_ns_capable(ctx->cred, sb->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	if (ms & MS_RDONLY && sb->writers > 0)
		return -EBUSY;
	if (sb->ops->remount)
		r = sb->ops->remount(sb, data);
	if (r < 0)
		return r;
	sb->rdonly = ms & MS_RDONLY;
	sb->ms_flags = ms & SUPERBLOCK_MS_FLAGS;
	return 0;
}

static int remount(const struct vfs_ctx *ctx, const struct path *p, uint64_t ms, const char *data)
{
	struct mount *m = p->mnt;
	uint32_t flags = mount_flags(ms);
	int r = 0;

	if (!is_mount_root(p))
		return -EINVAL;
	if (!(ms & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)))
		flags = (flags & ~(uint32_t)ATIME_FLAGS) | (m->flags & ATIME_FLAGS);
	if (m->flags & MOUNT_LOCK_FLAGS &&
	    m->flags & ~flags & (MOUNT_RDONLY | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC))
		return -EPERM;
	/* Who has a file open for writing keeps the mount, or all of the filesystem, writable. */
	if (flags & MOUNT_RDONLY && !(m->flags & MOUNT_RDONLY) && m->writers > 0)
		return -EBUSY;
	if (!(ms & MS_BIND))
		r = superblock_reconfigure(ctx, m->sb, ms, data);
	if (r < 0)
		return r;
	m->flags = flags | (m->flags & (MOUNT_LOCKED | MOUNT_LOCK_FLAGS));
	if (m->ns)
		waitq_wake(&m->ns->changed, POLLPRI | POLLERR);
	return 0;
}

static int change_type(const struct path *p, uint64_t ms)
{
	const uint64_t type = ms & TYPE_FLAGS;
	int r = 0;

	if (ms & ~(uint64_t)(TYPE_FLAGS | MS_REC | MS_SILENT) || type & (type - 1))
		return -EINVAL;
	if (!is_mount_root(p))
		return -EINVAL;
	for (struct mount *m = p->mnt; m && r == 0; m = mount_tree_next(m, p->mnt)) {
		if (type == MS_SHARED)
			r = mount_make_shared(m);
		else if (type == MS_SLAVE)
			mount_make_slave(m);
		else if (type == MS_UNBINDABLE)
			mount_make_unbindable(m);
		else
			mount_make_private(m);
		if (!(ms & MS_REC))
			break;
	}
	return r;
}

int mount_graft(struct mount *tree, const struct path *at)
{
	struct path on = path_ref(at);
	int r = 0;

	/* While the tree was made the place may have been covered, or gone with its own mount. */
	path_follow_mounts(&on);
	if (!on.mnt->ns)
		r = -EINVAL;
	else if (S_ISDIR(tree->root->inode->mode) != S_ISDIR(on.dentry->inode->mode))
		r = -ENOTDIR;
	else if (on.dentry->unhashed)
		r = -ENOENT;
	if (r == 0)
		r = mount_propagate(tree, &on);
	if (r < 0)
		mount_tree_detach(tree);
	path_unref(&on);
	return r;
}

static bool has_locked_child(struct mount *top, const struct dentry *root)
{
	struct mount *m;

	list_for_each(m, &top->children,
		      child_node) if (m->flags & MOUNT_LOCKED &&
				      dentry_is_below(m->mountpoint, root)) return true;
	return false;
}

int mount_may_layer(const struct path *p, bool upper)
{
	if (p->mnt->unbindable || has_locked_child(p->mnt, p->dentry))
		return -EINVAL;
	return upper ? mount_writable(p->mnt) : 0;
}

int mount_copy(struct mount_ns *ns, const struct path *from, bool recursive, struct mount **ret)
{
	if (from->mnt->unbindable || (from->mnt->ns != ns && !from->dentry->sb->anonymous) ||
	    (!recursive && has_locked_child(from->mnt, from->dentry)))
		return -EINVAL;
	if (recursive)
		return mount_tree_copy(from->mnt, from->dentry, false, ret);
	*ret = mount_clone(from->mnt, from->dentry);
	return *ret ? 0 : -ENOMEM;
}

static int bind(const struct vfs_ctx *ctx, struct mount_ns *ns, const char *source,
		const struct path *at, bool recursive)
{
	struct path from;
	struct mount *tree = NULL;
	int r;

	if (!source || !*source)
		return -EINVAL;
	r = path_walk(ctx, NULL, source, WALK_FOLLOW, &from);
	if (r < 0)
		return r;
	r = mount_copy(ns, &from, recursive, &tree);
	path_unref(&from);
	return r < 0 ? r : mount_graft(tree, at);
}

static bool is_below(const struct mount *m, const struct mount *top)
{
	for (; m; m = m->parent)
		if (m == top)
			return true;
	return false;
}

static bool has_unbindable(struct mount *top)
{
	for (struct mount *m = top; m; m = mount_tree_next(m, top))
		if (m->unbindable)
			return true;
	return false;
}

/* What a file of open_tree(2) or fsmount(2) holds finds its place. */
static int move_held(struct mount *m, const struct path *at)
{
	int r;

	if (S_ISDIR(m->root->inode->mode) != S_ISDIR(at->dentry->inode->mode) ||
	    (at->mnt->peers && has_unbindable(m)))
		return -EINVAL;
	if (at->dentry->unhashed)
		return -ENOENT;
	r = mount_propagate(m, at);
	if (r == 0)
		m->held = false;
	return r;
}

int mount_move(struct mount_ns *ns, const struct path *from, const struct path *at)
{
	struct mount *m = from->mnt;
	struct path old_place;
	int r;

	if (at->mnt->ns != ns || !is_mount_root(from))
		return -EINVAL;
	if (m->held && !m->ns)
		return move_held(m, at);
	if (m->ns != ns || !m->parent || m->parent->peers || m->flags & MOUNT_LOCKED ||
	    (at->mnt->peers && has_unbindable(m)))
		return -EINVAL;
	if (S_ISDIR(m->root->inode->mode) != S_ISDIR(at->dentry->inode->mode))
		return -EINVAL;
	if (is_below(at->mnt, m))
		return -ELOOP;
	old_place = (struct path){ .mnt = m->parent, .dentry = m->mountpoint };
	old_place = path_ref(&old_place);
	mount_detach(m);
	for (struct mount *c = mount_tree_next(m, m); c; c = mount_tree_next(c, m)) {
		list_del(&c->ns_node);
		c->ns = NULL;
		ns->count--;
	}
	r = mount_propagate(m, at);
	if (r < 0)
		(void)mount_propagate(m, &old_place); /* it fitted there before */
	path_unref(&old_place);
	return r;
}

static int move(const struct vfs_ctx *ctx, struct mount_ns *ns, const char *source,
		const struct path *at)
{
	struct path from;
	int r;

	if (!source || !*source)
		return -EINVAL;
	r = path_walk(ctx, NULL, source, WALK_FOLLOW, &from);
	if (r < 0)
		return r;
	r = mount_move(ns, &from, at);
	path_unref(&from);
	return r;
}

/*
 * mount_too_revealing() of Linux: proc and sysfs show nothing afresh that is hidden where they are
 * mounted already. Hidden by what cannot be unmounted, over more than an empty directory.
 */
static bool is_visible(const struct mount_ns *ns, const struct mount *m, uint32_t flags)
{
	const uint32_t kept = MOUNT_RDONLY;
	struct mount *child;

	if (m->root != m->sb->root || m->flags & ~flags & kept)
		return false;
	list_for_each(child, &m->children, child_node)
	{
		const struct inode *covered = child->mountpoint->inode;

		if (child->flags & MOUNT_LOCKED && !(S_ISDIR(covered->mode) && covered->nlink == 2))
			return false;
	}
	return ns == m->ns;
}

bool mount_is_too_revealing(const struct mount_ns *ns, const struct superblock *sb, uint32_t flags)
{
	struct mount *m;

	if (!ns->user_ns || (strcmp(sb->type, "proc") != 0 && strcmp(sb->type, "sysfs") != 0))
		return false;
	list_for_each(m, &ns->mounts, ns_node)
	{
		if (strcmp(m->sb->type, sb->type) == 0 && is_visible(ns, m, flags))
			return false;
	}
	return true;
}

int superblock_make(const struct vfs_ctx *ctx, const char *type, const char *source,
		    const char *data, uint64_t ms, struct superblock **ret)
{
	struct filesystem_type *fs = filesystem_find(type);
	struct superblock *sb;
	int r;

	if (!fs)
		return -ENODEV;
	if (ctx->cred->user_ns && !fs->user_mount)
		return -EPERM;
	r = fs->mount(fs, source, data, ctx->cred, &sb);
	if (r < 0)
		return r;
	if (sb->active == 0) {
		if (!sb->user_ns)
			sb->user_ns = user_ns_ref(ctx->cred->user_ns);
		sb->rdonly = ms & MS_RDONLY;
		sb->ms_flags = ms & SUPERBLOCK_MS_FLAGS;
	}
	*ret = sb;
	return 0;
}

/* Give back a reference on one that may never have been mounted. */
static void superblock_discard(struct superblock *sb)
{
	struct mount *m;

	/* The names go with the last mount. */
	m = sb->active == 0 && sb->root ? mount_new(sb, sb->root, 0, NULL) : NULL;
	superblock_unref(sb);
	mount_unref(m);
}

static int new_mount(const struct vfs_ctx *ctx, const struct mount_ns *ns, const char *source,
		     const char *type, uint64_t ms, const char *data, const struct path *at)
{
	struct superblock *sb;
	struct mount *m;
	int r;

	if (!type)
		return -EINVAL;
	r = superblock_make(ctx, type, source, data, ms, &sb);
	if (r < 0)
		return r;
	if (mount_is_too_revealing(ns, sb, mount_flags(ms))) {
		superblock_discard(sb);
		return -EPERM;
	}
	if (at->mnt->sb == sb && is_mount_root(at)) {
		superblock_unref(sb);
		return -EBUSY;
	}
	m = mount_new(sb, sb->root, mount_flags(ms), source);
	superblock_unref(sb);
	return m ? mount_graft(m, at) : -ENOMEM;
}

int vfs_mount(const struct vfs_ctx *ctx, struct mount_ns *ns, const char *source,
	      const char *target, const char *type, uint64_t flags, const char *data)
{
	struct path at;
	int r;

	if ((flags & 0xffff0000u) == 0xc0ed0000u) /* MS_MGC_VAL of old */
		flags &= 0xffffu;
	r = path_walk(ctx, NULL, target, WALK_FOLLOW, &at);
	if (r < 0)
		return r;
	if (at.mnt->ns != ns)
		r = -EINVAL;
	else if (flags & MS_REMOUNT)
		r = remount(ctx, &at, flags, data);
	else if (flags & MS_BIND)
		r = bind(ctx, ns, source, &at, flags & MS_REC);
	else if (flags & TYPE_FLAGS)
		r = change_type(&at, flags);
	else if (flags & MS_MOVE)
		r = move(ctx, ns, source, &at);
	else
		r = new_mount(ctx, ns, source, type, flags, data, &at);
	klog(vfs, "mount %s on %s type %s flags %#llx: %d", source ? source : "", target,
	     type ? type : "", (unsigned long long)flags, r);
	path_unref(&at);
	return r;
}

int vfs_umount(const struct vfs_ctx *ctx, struct mount_ns *ns, const char *target, int flags)
{
	struct path p;
	struct mount *m;
	int r;

	/* MNT_EXPIRE wants two calls without use in between; nobody here needs it. */
	if (flags & ~UMOUNT_KNOWN || flags & 4)
		return -EINVAL;
	r = path_walk(ctx, NULL, target, flags & UMOUNT_NOFOLLOW ? 0 : WALK_FOLLOW, &p);
	if (r < 0)
		return r;
	m = p.mnt;
	if (!is_mount_root(&p) || m->ns != ns || m->flags & MOUNT_LOCKED)
		r = -EINVAL;
	else if (m == ctx->root->mnt && !(flags & UMOUNT_DETACH))
		r = -EBUSY;
	else if (!m->parent)
		r = -EINVAL;
	/* the namespace's reference and ours */
	else if (!(flags & UMOUNT_DETACH) && (m->refs > 2 || !list_empty(&m->children)))
		r = -EBUSY;
	if (r == 0) {
		mount_propagate_umount(m);
		mount_tree_detach(m);
	}
	path_unref(&p);
	return r;
}

/* p lies in what is mounted at or below `top`. */
static bool is_reachable(const struct path *p, const struct path *top)
{
	struct path at = *p;

	while (at.mnt != top->mnt && at.mnt->parent)
		at = (struct path){ .mnt = at.mnt->parent, .dentry = at.mnt->mountpoint };
	return at.mnt == top->mnt && dentry_is_below(at.dentry, top->dentry);
}

static int may_pivot(const struct vfs_ctx *ctx, const struct mount_ns *ns, const struct path *new,
		     const struct path *old)
{
	const struct path *root = ctx->root;
	const struct mount *parent = root->mnt->parent;

	if (old->mnt->peers || (new->mnt->parent &&new->mnt->parent->peers) ||
	    (parent && parent->peers))
		return -EINVAL;
	if (root->mnt->ns != ns || new->mnt->ns != ns || new->mnt->flags & MOUNT_LOCKED)
		return -EINVAL;
	if (new->dentry->unhashed)
		return -ENOENT;
	if (new->mnt == root->mnt || old->mnt == root->mnt)
		return -EBUSY;
	if (!is_mount_root(root) || !is_mount_root(new) || !new->mnt->parent)
		return -EINVAL;
	if (!is_reachable(old, new) || !is_reachable(new, root))
		return -EINVAL;
	return 0;
}

static void pivot(struct mount_ns *ns, struct mount *root, struct mount *new,
		  const struct path *put_old)
{
	struct path place = { 0 };

	if (root->parent) {
		const struct path p = { .mnt = root->parent, .dentry = root->mountpoint };

		place = path_ref(&p);
	}
	mount_detach(new);
	mount_detach(root);
	if (place.mnt) {
		mount_attach(new, &place);
	} else {
		ns->root = new;
		new->ns = ns;
		list_add_tail(&new->ns_node, &ns->mounts);
		ns->count++;
	}
	mount_attach(root, put_old);
	path_unref(&place);
}

int vfs_pivot_root(const struct vfs_ctx *ctx, struct mount_ns *ns, const char *new_root,
		   const char *put_old)
{
	struct path new, old;
	int r = path_walk(ctx, NULL, new_root, WALK_FOLLOW | WALK_DIRECTORY, &new);

	if (r < 0)
		return r;
	r = path_walk(ctx, NULL, put_old, WALK_FOLLOW | WALK_DIRECTORY, &old);
	if (r == 0) {
		r = may_pivot(ctx, ns, &new, &old);
		if (r == 0)
			pivot(ns, ctx->root->mnt, new.mnt, &old);
		path_unref(&old);
	}
	path_unref(&new);
	return r;
}

static int may_change(const struct mount *m, uint32_t set, uint32_t clear)
{
	const uint32_t locked = MOUNT_RDONLY | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC;

	if (set & ~m->flags & MOUNT_RDONLY && m->writers > 0)
		return -EBUSY;
	return m->flags & MOUNT_LOCK_FLAGS && m->flags & clear & ~set & locked ? -EPERM : 0;
}

int vfs_mount_setattr(const struct path *p, struct mount_ns *ns, bool recursive, uint32_t set,
		      uint32_t clear, uint64_t propagation)
{
	int r = 0;

	if (!is_mount_root(p) || (p->mnt->ns != ns && !(p->mnt->held && !p->mnt->ns)))
		return -EINVAL;
	for (struct mount *m = p->mnt; m && r == 0; m = mount_tree_next(m, p->mnt)) {
		r = may_change(m, set, clear);
		if (!recursive)
			break;
	}
	for (struct mount *m = p->mnt; m && r == 0; m = mount_tree_next(m, p->mnt)) {
		m->flags = (m->flags & ~clear) | set;
		if (!recursive)
			break;
	}
	if (r == 0 && propagation)
		r = change_type(p, propagation | (recursive ? MS_REC : 0));
	return r;
}
