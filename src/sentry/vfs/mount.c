/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/mount.c - the tree of mounts: life, attaching, copying, namespaces.
 *
 * An attached mount is referenced by its namespace, once; a child references its parent. How trees
 * are multiplied over peers is in propagate.c, mount(2) itself in mount_ops.c.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/vfs/internal.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/notify.h"

static unsigned int ns_count;
static int next_mount_id = 20;
static uint64_t next_ns_id = 0xf1000000ull; /* as nsfs numbers look; task/ has those below */

struct mount *mount_new(struct superblock *sb, struct dentry *root, uint32_t flags,
			const char *source)
{
	struct mount *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->source = strdup(source ? source : "none");
	if (!m->source) {
		free(m);
		return NULL;
	}
	m->refs = 1;
	m->id = next_mount_id++;
	m->sb = superblock_ref(sb);
	sb->active++;
	m->root = dentry_ref(root);
	m->flags = flags;
	list_init(&m->child_node);
	list_init(&m->children);
	list_init(&m->ns_node);
	list_init(&m->peer_node);
	list_init(&m->slave_node);
	return m;
}

struct mount *mount_clone(struct mount *m, struct dentry *root)
{
	struct mount *copy = mount_new(m->sb, root, m->flags & ~(uint32_t)MOUNT_LOCKED, m->source);

	if (!copy)
		return NULL;
	copy->unbindable = m->unbindable;
	if (m->peers)
		mount_join_peers(copy, m->peers);
	if (m->master)
		mount_enslave(copy, m->master);
	return copy;
}

struct mount *mount_ref(struct mount *m)
{
	m->refs++;
	return m;
}

/* The last mount of a superblock is gone: its tree of names goes. */
static void superblock_deactivate(struct superblock *sb)
{
	struct dentry *root;

	if (--sb->active > 0)
		return;
	root = TAKE_PTR(sb->root);
	if (!root)
		return;
	notify_unmounted(sb);
	dentry_shrink(root);
	dentry_unref(root);
}

void mount_unref(struct mount *m)
{
	struct superblock *sb;

	if (!m)
		return;
	assert(m->refs > 0);
	if (--m->refs > 0)
		return;
	assert(!m->parent && list_empty(&m->children));
	mount_leave_peers(m);
	mount_leave_master(m);
	sb = m->sb;
	dentry_unref(m->root);
	free(m->source);
	free(m);
	superblock_deactivate(sb);
	superblock_unref(sb);
}

int mount_writable(const struct mount *m)
{
	return m && (m->flags & MOUNT_RDONLY || m->sb->rdonly) ? -EROFS : 0;
}

struct path path_ref(const struct path *p)
{
	if (p->mnt)
		mount_ref(p->mnt);
	if (p->dentry)
		dentry_ref(p->dentry);
	return *p;
}

void path_unref(struct path *p)
{
	struct path gone = *p;

	*p = (struct path){ 0 };
	dentry_unref(gone.dentry);
	mount_unref(gone.mnt);
}

struct mount *mount_on(const struct path *p)
{
	struct mount *child;

	if (p->dentry->mounts == 0)
		return NULL;
	list_for_each(child, &p->mnt->children,
		      child_node) if (child->mountpoint == p->dentry) return child;
	return NULL;
}

void path_follow_mounts(struct path *p)
{
	struct mount *m;

	while ((m = mount_on(p)) != NULL) {
		struct path over = { .mnt = mount_ref(m), .dentry = dentry_ref(m->root) };

		path_unref(p);
		*p = over;
	}
}

void mount_attach(struct mount *m, const struct path *at)
{
	struct mount_ns *ns = at->mnt->ns;

	assert(!m->parent);
	m->parent = mount_ref(at->mnt);
	m->mountpoint = dentry_ref(at->dentry);
	m->mountpoint->mounts++;
	list_add_tail(&m->child_node, &at->mnt->children);
	m->ns = ns;
	if (ns) {
		list_add_tail(&m->ns_node, &ns->mounts);
		ns->count++;
		waitq_wake(&ns->changed, POLLPRI | POLLERR);
	}
}

void mount_detach(struct mount *m)
{
	struct mount *parent = TAKE_PTR(m->parent);
	struct dentry *mountpoint = TAKE_PTR(m->mountpoint);

	if (m->ns) {
		list_del(&m->ns_node);
		m->ns->count--;
		waitq_wake(&m->ns->changed, POLLPRI | POLLERR);
		m->ns = NULL;
	}
	if (!parent)
		return;
	list_del(&m->child_node);
	mountpoint->mounts--;
	dentry_unref(mountpoint);
	mount_unref(parent);
}

struct mount *mount_tree_next(struct mount *m, const struct mount *top)
{
	if (!list_empty(&m->children))
		return list_first(&m->children, struct mount, child_node);
	while (m != top) {
		if (m->child_node.next != &m->parent->children)
			return list_entry(m->child_node.next, struct mount, child_node);
		m = m->parent;
	}
	return NULL;
}

unsigned int mount_tree_len(struct mount *top)
{
	unsigned int n = 0;

	for (struct mount *m = top; m; m = mount_tree_next(m, top))
		n++;
	return n;
}

void mount_tree_detach(struct mount *top)
{
	struct list_head gone = LIST_HEAD_INIT(gone);
	struct mount *m = top, *parent = NULL;

	/* Leaves first; each step takes one away. */
	for (bool more = true; more; m = parent) {
		while (!list_empty(&m->children))
			m = list_last(&m->children, struct mount, child_node);
		parent = m->parent;
		mount_detach(m);
		list_add_tail(&m->child_node, &gone);
		more = m != top;
	}
	/* A superblock's end may park: nobody finds any part of the tree any more. */
	while (!list_empty(&gone)) {
		m = list_first(&gone, struct mount, child_node);
		list_del(&m->child_node);
		mount_unref(m);
	}
}

/* Mounts of a copy in the order of the originals, to find who belongs to whom. */
struct tree_copy {
	struct mount **from, **to;
	size_t len;
};

static void tree_copy_done(struct tree_copy *c)
{
	free(c->from);
	free(c->to);
}

static struct mount *copy_of(const struct tree_copy *c, const struct mount *m)
{
	for (size_t i = c->len; i-- > 0;)
		if (c->from[i] == m)
			return c->to[i];
	return NULL;
}

static int tree_copy_fill(struct tree_copy *c, struct mount *top, struct dentry *root,
			  bool unbindable)
{
	const size_t max = mount_tree_len(top);

	c->from = calloc(max, sizeof(*c->from));
	c->to = calloc(max, sizeof(*c->to));
	if (!c->from || !c->to)
		return -ENOMEM;
	for (struct mount *m = top; m; m = mount_tree_next(m, top)) {
		struct mount *parent = m == top ? NULL : m->parent->copy;
		struct mount *copy;

		if (m != top && (!parent || (m->unbindable && !unbindable) ||
				 !dentry_is_below(m->mountpoint, parent->root)))
			continue;
		copy = mount_clone(m, m == top ? root : m->root);
		if (!copy)
			return -ENOMEM;
		if (parent) {
			const struct path at = { .mnt = parent, .dentry = m->mountpoint };

			mount_attach(copy, &at);
		}
		copy->flags |= m->flags & MOUNT_LOCKED;
		m->copy = copy;
		c->from[c->len] = m;
		c->to[c->len++] = copy;
	}
	return 0;
}

static int tree_copy_make(struct tree_copy *c, struct mount *top, struct dentry *root,
			  bool unbindable)
{
	const int r = tree_copy_fill(c, top, root, unbindable);

	for (size_t i = 0; i < c->len; i++)
		c->from[i]->copy = NULL;
	return r;
}

int mount_tree_copy(struct mount *top, struct dentry *root, bool unbindable, struct mount **ret)
{
	AUTO(tree_copy_done) struct tree_copy c = { 0 };
	const int r = tree_copy_make(&c, top, root, unbindable);

	if (r < 0) {
		if (c.len)
			mount_tree_detach(c.to[0]);
		return r;
	}
	*ret = c.to[0];
	return 0;
}

static struct mount_ns *ns_alloc(void)
{
	struct mount_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return NULL;
	ns->refs = 1;
	ns->id = next_ns_id++;
	list_init(&ns->mounts);
	waitq_init(&ns->changed);
	ns_count++;
	return ns;
}

static void ns_free(struct mount_ns *ns)
{
	ns_count--;
	free(ns);
}

void mount_tree_set_ns(struct mount *top, struct mount_ns *ns)
{
	for (struct mount *m = top; m; m = mount_tree_next(m, top)) {
		assert(!m->ns);
		m->ns = ns;
		list_add_tail(&m->ns_node, &ns->mounts);
		ns->count++;
	}
	waitq_wake(&ns->changed, POLLPRI | POLLERR);
}

int mount_ns_new(struct superblock *root, uint32_t mount_flags, const char *source,
		 struct mount_ns **ret)
{
	struct mount_ns *ns = ns_alloc();

	if (!ns)
		return -ENOMEM;
	ns->root = mount_new(root, root->root, mount_flags, source);
	if (!ns->root) {
		ns_free(ns);
		return -ENOMEM;
	}
	mount_tree_set_ns(ns->root, ns);
	*ret = ns;
	return 0;
}

/* A path of the old namespace moves to the copy of its mount. */
static void path_translate(struct path *p, const struct tree_copy *c)
{
	struct mount *to = p && p->mnt ? copy_of(c, p->mnt) : NULL;
	struct mount *old;

	if (!to)
		return;
	old = p->mnt;
	p->mnt = mount_ref(to);
	mount_unref(old);
}

/* "Restrictions on mount namespaces" of mount_namespaces(7). */
void mount_tree_lock(struct mount *top)
{
	for (struct mount *m = top; m; m = mount_tree_next(m, top))
		m->flags |= MOUNT_LOCK_FLAGS | (m == top ? 0 : MOUNT_LOCKED);
}

/* A copy for a less privileged namespace is locked, and sends no mounts back. */
static void give_away(struct mount *top)
{
	mount_tree_lock(top);
	for (struct mount *m = top; m; m = mount_tree_next(m, top))
		mount_make_slave(m);
}

int mount_ns_copy(struct mount_ns *ns, struct user_ns *user, struct path *root, struct path *cwd,
		  struct mount_ns **ret)
{
	AUTO(tree_copy_done) struct tree_copy c = { 0 };
	struct mount_ns *copy;
	int r;

	if (ns_count >= MOUNT_NS_COUNT_MAX)
		return -ENOSPC;
	copy = ns_alloc();
	if (!copy)
		return -ENOMEM;
	r = tree_copy_make(&c, ns->root, ns->root->root, true);
	if (r < 0) {
		if (c.len)
			mount_tree_detach(c.to[0]);
		ns_free(copy);
		return r;
	}
	copy->root = c.to[0];
	mount_tree_set_ns(copy->root, copy);
	copy->user_ns = user_ns_ref(user);
	if (user != ns->user_ns)
		give_away(copy->root);
	path_translate(root, &c);
	path_translate(cwd, &c);
	*ret = copy;
	return 0;
}

struct mount_ns *mount_ns_ref(struct mount_ns *ns)
{
	ns->refs++;
	return ns;
}

void mount_ns_unref(struct mount_ns *ns)
{
	if (!ns || --ns->refs > 0)
		return;
	mount_tree_detach(ns->root);
	assert(ns->count == 0);
	user_ns_unref(ns->user_ns);
	ns_free(ns);
}

int vfs_attach(struct mount_ns *ns, struct superblock *sb, const struct path *at,
	       uint32_t mount_flags, const char *source)
{
	struct path where = path_ref(at);
	struct mount *m;

	path_follow_mounts(&where);
	/* A directory over a directory, a file over a file. */
	if (where.mnt->ns != ns || !where.dentry->inode ||
	    S_ISDIR(where.dentry->inode->mode) != S_ISDIR(sb->root->inode->mode) ||
	    ns->count >= MOUNT_NS_MAX) {
		const int r = ns->count >= MOUNT_NS_MAX ? -ENOSPC : -ENOTDIR;

		path_unref(&where);
		return r;
	}
	m = mount_new(sb, sb->root, mount_flags, source);
	if (m)
		mount_attach(m, &where);
	path_unref(&where);
	return m ? 0 : -ENOMEM;
}
