/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/propagate.c - shared subtrees (mount_namespaces(7)): a change under a shared mount
 * happens under each of its peers and slaves, and under the peers and slaves of those.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/vfs/internal.h"
#include "sentry/vfs/mount.h"

static int next_group_id = 1;

static struct peer_group *group_new(void)
{
	struct peer_group *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->id = next_group_id++;
	list_init(&g->members);
	list_init(&g->slaves);
	return g;
}

static void group_unref(struct peer_group *g)
{
	if (--g->refs == 0)
		free(g);
}

void mount_join_peers(struct mount *m, struct peer_group *group)
{
	group->refs++;
	m->peers = group;
	list_add_tail(&m->peer_node, &group->members);
}

void mount_enslave(struct mount *m, struct peer_group *master)
{
	master->refs++;
	m->master = master;
	list_add_tail(&m->slave_node, &master->slaves);
}

void mount_leave_master(struct mount *m)
{
	struct peer_group *master = TAKE_PTR(m->master);

	if (!master)
		return;
	list_del(&m->slave_node);
	group_unref(master);
}

void mount_leave_peers(struct mount *m)
{
	struct peer_group *g = TAKE_PTR(m->peers);

	if (!g)
		return;
	list_del(&m->peer_node);
	/* Nobody is left to follow: its slaves follow who the last member followed. */
	while (list_empty(&g->members) && !list_empty(&g->slaves)) {
		struct mount *slave = list_first(&g->slaves, struct mount, slave_node);

		g->refs++;
		mount_leave_master(slave);
		if (m->master)
			mount_enslave(slave, m->master);
		group_unref(g);
	}
	group_unref(g);
}

int mount_make_shared(struct mount *m)
{
	struct peer_group *g;

	m->unbindable = false;
	if (m->peers)
		return 0;
	g = group_new();
	if (!g)
		return -ENOMEM;
	mount_join_peers(m, g);
	return 0;
}

void mount_make_slave(struct mount *m)
{
	struct peer_group *g = m->peers;

	m->unbindable = false;
	if (!g)
		return;
	if (g->members.next->next == &g->members) { /* the only member: nobody to follow */
		mount_leave_peers(m);
		return;
	}
	g->refs++;
	mount_leave_peers(m);
	mount_leave_master(m);
	mount_enslave(m, g);
	group_unref(g);
}

void mount_make_private(struct mount *m)
{
	mount_leave_peers(m);
	mount_leave_master(m);
	m->unbindable = false;
}

void mount_make_unbindable(struct mount *m)
{
	mount_make_private(m);
	m->unbindable = true;
}

/* Everyone who hears of a change under a mount, without the mount itself. */
struct audience {
	struct mount **who;
	size_t len, capacity;
};

static void audience_done(struct audience *a)
{
	free(a->who);
}

static int audience_add(struct audience *a, struct mount *m)
{
	if (m->heard)
		return 0;
	if (a->len == a->capacity) {
		const size_t capacity = a->capacity ? a->capacity * 2 : 16;
		struct mount **who = realloc(a->who, capacity * sizeof(struct mount *));

		if (!who)
			return -ENOMEM;
		a->who = who;
		a->capacity = capacity;
	}
	m->heard = true;
	a->who[a->len++] = m;
	return 0;
}

static int audience_add_group(struct audience *a, struct peer_group *g)
{
	struct mount *m;
	int r = 0;

	if (!g || g->heard)
		return 0;
	g->heard = true;
	list_for_each(m, &g->members, peer_node) if (r == 0) r = audience_add(a, m);
	list_for_each(m, &g->slaves, slave_node) if (r == 0) r = audience_add(a, m);
	return r;
}

/* The list grows while it is walked: slaves of peers, peers of slaves. */
static int audience_fill(struct audience *a, struct mount *origin)
{
	int r = audience_add(a, origin);

	for (size_t i = 0; i < a->len && r == 0; i++)
		r = audience_add_group(a, a->who[i]->peers);
	for (size_t i = 0; i < a->len; i++) {
		a->who[i]->heard = false;
		if (a->who[i]->peers)
			a->who[i]->peers->heard = false;
	}
	return r;
}

/* What a copy is to the original, given how its place is related to the original's place. */
static int relate_copy(struct mount *copy_top, struct mount *tree, const struct mount *at,
		       const struct mount *origin)
{
	struct mount *c = copy_top, *t = tree;

	/* Both trees have the same shape: walk them in step. */
	for (; c && t; c = mount_tree_next(c, copy_top), t = mount_tree_next(t, tree)) {
		if (at->peers == origin->peers)
			continue; /* the clone is a peer already */
		mount_leave_peers(c);
		mount_leave_master(c);
		mount_enslave(c, t->peers);
		if (at->peers && mount_make_shared(c) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* *ret: the copy that hangs there now, or NULL: it is not seen there. */
static int copy_to(struct mount *tree, struct mount *where, const struct path *at,
		   struct mount **ret)
{
	struct path to = { .mnt = where, .dentry = at->dentry };
	struct mount *copy;
	int r;

	*ret = NULL;
	/* The place must be visible there, and free. */
	if (where->sb != at->mnt->sb || !dentry_is_below(at->dentry, where->root) || !where->ns)
		return 0;
	if (mount_on(&to))
		return 0;
	if (where->ns->count + mount_tree_len(tree) > MOUNT_NS_MAX)
		return -ENOSPC;
	r = mount_tree_copy(tree, tree->root, true, &copy);
	if (r < 0)
		return r;
	r = relate_copy(copy, tree, where, at->mnt);
	if (r < 0) {
		mount_tree_detach(copy);
		return r;
	}
	if (at->mnt->ns && where->ns->user_ns != at->mnt->ns->user_ns)
		mount_tree_lock(copy);
	for (struct mount *m = mount_tree_next(copy, copy); m; m = mount_tree_next(m, copy)) {
		m->ns = where->ns;
		list_add_tail(&m->ns_node, &where->ns->mounts);
		where->ns->count++;
	}
	mount_attach(copy, &to);
	*ret = copy;
	return 0;
}

/* To everyone, or to nobody. Afterwards the audience is forgotten: its place has the copies. */
static int copy_to_all(struct mount *tree, struct audience *a, const struct path *at)
{
	size_t i;
	int r = 0;

	for (i = 1; i < a->len && r == 0; i++)
		r = copy_to(tree, a->who[i], at, &a->who[i]);
	if (r == 0)
		return 0;
	while (--i > 0) {
		if (a->who[i])
			mount_tree_detach(a->who[i]);
	}
	return r;
}

int mount_propagate(struct mount *tree, const struct path *at)
{
	AUTO(audience_done) struct audience a = { 0 };
	struct mount_ns *ns = at->mnt->ns;
	int r;

	if (ns && ns->count + mount_tree_len(tree) > MOUNT_NS_MAX)
		return -ENOSPC;
	if (at->mnt->peers) {
		for (struct mount *m = tree; m; m = mount_tree_next(m, tree))
			if (mount_make_shared(m) < 0)
				return -ENOMEM;
		r = audience_fill(&a, at->mnt);
		if (r == 0)
			r = copy_to_all(tree, &a, at);
		if (r < 0)
			return r;
	}
	for (struct mount *m = mount_tree_next(tree, tree); ns && m; m = mount_tree_next(m, tree)) {
		m->ns = ns;
		list_add_tail(&m->ns_node, &ns->mounts);
		ns->count++;
	}
	mount_attach(tree, at);
	return 0;
}

void mount_propagate_umount(struct mount *m)
{
	AUTO(audience_done) struct audience a = { 0 };
	size_t gone = 0;

	if (!m->parent || !m->parent->peers || audience_fill(&a, m->parent) < 0)
		return;
	for (size_t i = 1; i < a.len; i++) {
		const struct path at = { .mnt = a.who[i], .dentry = m->mountpoint };
		struct mount *child = mount_on(&at);

		if (!child || child->root != m->root || !list_empty(&child->children) ||
		    child->flags & MOUNT_LOCKED)
			continue;
		mount_detach(child);
		a.who[gone++] = child;
	}
	/* Not before the end: a child may be one of the audience. */
	while (gone > 0)
		mount_unref(a.who[--gone]);
}
