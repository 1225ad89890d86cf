/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking up ahead: of a directory whose listing is known, names that were not asked for yet come
 * along with one that is, and wait on the directory. How many depends on how many of the last ones
 * were wanted. Programs go through a listing in its own order, or, with many names, in the order of
 * the inodes (tar, cp): which of the two it is shows in the last two names.
 */
#include "sentry/fs/goferfs/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_LEAST 2u
#define SCAN_MAX    16384u /* entries of a directory that are looked through for the next inode */

struct gofer_ahead {
	uint32_t batch;	      /* names of the next request, the wanted one included */
	uint32_t last;	      /* entry of the last wanted name */
	uint32_t hits;	      /* since the last request */
	uint32_t opens;	      /* files of the next OPEN_MANY */
	uint32_t opened_last; /* entry of the last one that was asked for */
	uint32_t held_len;
	struct {
		uint32_t entry;
		struct inode *inode; /* one reference */
	} held[GOFERFS_AHEAD_MAX];
	struct list_head node;
};

/* Directories that have one; the first is the oldest. */
static struct list_head all = LIST_HEAD_INIT(all);

void gofer_ahead_drop(struct gofer_inode *gi)
{
	struct gofer_ahead *a = gi->ahead;

	if (!a)
		return;
	gi->ahead = NULL;
	list_del(&a->node);
	for (uint32_t i = 0; i < a->held_len; i++)
		inode_unref(a->held[i].inode);
	free(a);
}

static void let_go(struct gofer_ahead *a)
{
	while (a->held_len)
		inode_unref(a->held[--a->held_len].inode);
}

void gofer_ahead_drop_all(void)
{
	struct gofer_ahead *a;

	list_for_each(a, &all, node) let_go(a);
}

static bool is_held(const struct gofer_ahead *a, uint32_t entry)
{
	for (uint32_t i = 0; i < a->held_len; i++) {
		if (a->held[i].entry == entry)
			return true;
	}
	return false;
}

static struct inode *take(struct gofer_ahead *a, uint32_t entry)
{
	for (uint32_t i = 0; i < a->held_len; i++) {
		struct inode *inode = a->held[i].inode;

		if (a->held[i].entry != entry)
			continue;
		a->held[i] = a->held[--a->held_len];
		return inode;
	}
	return NULL;
}

/* Which entries count: the next ones are chosen among them. */
typedef bool (*entry_fn)(const struct gofer_inode *gi, uint32_t entry, struct gofer_dirent_view *e);

/* Worth asking for: there, and not here in any way. */
static bool is_wanted(const struct gofer_inode *gi, uint32_t entry, struct gofer_dirent_view *e)
{
	return gofer_listing_entry(gi->listing, entry, e) &&
	       !gofer_inode_known(gi->fs, gi->dev, e->ino) && !is_held(gi->ahead, entry);
}

/* Worth opening: a regular file that is here and has no descriptor. */
static bool is_openable(const struct gofer_inode *gi, uint32_t entry, struct gofer_dirent_view *e)
{
	const struct gofer_inode *file;

	if (!gofer_listing_entry(gi->listing, entry, e))
		return false;
	file = gofer_inode_find(gi->fs, gi->dev, e->ino);
	return file && S_ISREG(file->inode.mode) && file->inode.nlink > 0 &&
	       !gofer_handle_any(file) && !file->content;
}

static uint32_t next_in_order(const struct gofer_inode *gi, entry_fn counts, uint32_t from,
			      uint32_t *entries, uint32_t max)
{
	struct gofer_dirent_view e;
	uint32_t n = 0;

	for (uint32_t i = from + 1; i < gi->listing->count && n < max; i++) {
		if (counts(gi, i, &e))
			entries[n++] = i;
	}
	return n;
}

/* The entries with the least inode numbers above `from`'s, sorted as they are found. */
static uint32_t next_by_inode(const struct gofer_inode *gi, entry_fn counts, uint32_t from,
			      uint32_t *entries, uint32_t max)
{
	const struct gofer_listing *l = gi->listing;
	uint64_t inos[GOFER_LOOKUP_MAX], least;
	struct gofer_dirent_view e;
	uint32_t n = 0;

	if (l->count > SCAN_MAX || max == 0)
		return 0;
	(void)gofer_listing_entry(l, from, &e);
	least = e.ino;
	for (uint32_t i = 0; i < l->count; i++) {
		uint32_t at = n;

		if (!gofer_listing_entry(l, i, &e) || e.ino <= least ||
		    (n == max && e.ino >= inos[n - 1]) || !counts(gi, i, &e))
			continue;
		if (n == max)
			at = n - 1;
		else
			n++;
		for (; at > 0 && inos[at - 1] > e.ino; at--) {
			inos[at] = inos[at - 1];
			entries[at] = entries[at - 1];
		}
		inos[at] = e.ino;
		entries[at] = i;
	}
	return n;
}

/* The wanted entry first, then the others. */
static uint32_t choose(struct gofer_inode *gi, uint32_t entry, uint32_t *entries)
{
	struct gofer_ahead *a = gi->ahead;
	const bool in_order = entry > a->last && entry - a->last <= GOFER_LOOKUP_MAX;
	uint32_t room = a->batch - 1;

	if (a->held_len + room > GOFERFS_AHEAD_MAX)
		let_go(a); /* they were not wanted so far */
	entries[0] = entry;
	return 1 + (in_order ? next_in_order(gi, is_wanted, entry, entries + 1, room)
			     : next_by_inode(gi, is_wanted, entry, entries + 1, room));
}

static void hold(struct gofer_ahead *a, uint32_t entry, struct inode *inode)
{
	a->held[a->held_len].entry = entry;
	a->held[a->held_len++].inode = inode;
}

/* Result 0 is the caller's; the others are kept if they are there and the listing still is. */
static int sort_out(struct gofer_inode *gi, const struct gofer_answer *answer,
		    const uint32_t *entries, const struct gofer_listing *l, struct inode **ret)
{
	struct gofer_lookup_result result;
	int r = -EIO;

	for (uint32_t i = 0; i < answer->lookup.count; i++) {
		struct inode *inode;
		int here;

		gofer_answer_result(answer, i, &result);
		here = result.error ? gofer_errno(result.error)
				    : gofer_inode_get(gi->fs, &result.entry, &inode);
		if (i == 0)
			r = here;
		if (here < 0)
			continue;
		/*
		 * Of the others only what is new: a gofer that fell may name this directory itself
		 * or one above it, which would keep each other and go while they are let go.
		 */
		if (i == 0)
			*ret = inode;
		else if (inode->refs == 1 && gi->listing == l && gi->ahead &&
			 gi->ahead->held_len < GOFERFS_AHEAD_MAX)
			hold(gi->ahead, entries[i], inode);
		else
			inode_unref(inode);
	}
	return r;
}

static int ask(struct gofer_inode *gi, uint32_t entry, struct inode **ret)
{
	GOFER_CALL(call, gi->fs->conn, .type = GOFER_LOOKUP, .lookup = { .dir = gi->node });
	struct gofer_listing *l = gi->listing;
	uint32_t entries[GOFER_LOOKUP_MAX];
	const uint32_t n = choose(gi, entry, entries);
	struct gofer_dirent_view e;
	int r;

	call.request.lookup.count = n;
	for (uint32_t i = 0; i < n; i++) {
		(void)gofer_listing_entry(l, entries[i], &e);
		call.request.names[i] = e.name;
	}
	gi->ahead->last = entry;
	gi->ahead->hits = 0;
	/* The names lie in the listing, which stays as it is: the VFS holds the directory. */
	r = gofer_call(&call);
	if (r < 0)
		return r;
	if (call.answer.lookup.count != n)
		return -EIO;
	return sort_out(gi, &call.answer, entries, l, ret);
}

static bool ready(struct gofer_inode *gi)
{
	if (gi->ahead)
		return true;
	gi->ahead = calloc(1, sizeof(*gi->ahead));
	if (!gi->ahead)
		return false;
	gi->ahead->batch = 1;
	list_add_tail(&gi->ahead->node, &all);
	return true;
}

static int lookup(struct gofer_inode *gi, uint32_t entry, struct inode **ret)
{
	struct gofer_ahead *a;

	if (!ready(gi))
		return -ENOMEM;
	a = gi->ahead;
	*ret = take(a, entry);
	if (*ret) {
		a->hits++;
		a->last = entry;
		return 0;
	}
	/* All of the last ones were wanted: more; few of them: fewer. */
	if (a->hits + 1 >= a->batch)
		a->batch = a->batch < BATCH_LEAST ? BATCH_LEAST : a->batch * 2;
	else if (a->hits < a->batch / 4)
		a->batch = a->batch / 2 < BATCH_LEAST ? BATCH_LEAST : a->batch / 2;
	if (a->batch > GOFER_LOOKUP_MAX)
		a->batch = GOFER_LOOKUP_MAX;
	return ask(gi, entry, ret);
}

int gofer_ahead_lookup(struct gofer_inode *gi, uint32_t entry, struct inode **ret)
{
	const int r = lookup(gi, entry, ret);

	if (r == 0) {
		gofer_inode(*ret)->listed_in = gi->host_ino;
		gofer_inode(*ret)->listed_at = entry;
	}
	return r;
}

/* The directory in whose listing gi still is where it was found. */
static struct gofer_inode *listed_in(const struct gofer_inode *gi)
{
	struct gofer_inode *dir =
		gi->listed_in ? gofer_inode_find(gi->fs, gi->dev, gi->listed_in) : NULL;
	struct gofer_dirent_view e;

	return dir && dir->listing && dir->ahead && gi->listed_at < dir->listing->count &&
			       dir->listing->count <= GOFERFS_OPEN_SCAN &&
			       gofer_listing_entry(dir->listing, gi->listed_at, &e) &&
			       e.ino == gi->host_ino
		       ? dir
		       : NULL;
}

unsigned int gofer_ahead_opens(struct gofer_inode *gi,
			       struct gofer_inode *ret[static GOFER_OPEN_MAX])
{
	struct gofer_inode *dir = gi->fs->exclusive ? listed_in(gi) : NULL;
	uint32_t (*next)(const struct gofer_inode *, entry_fn, uint32_t, uint32_t *, uint32_t);
	uint32_t entries[GOFER_OPEN_MAX];
	struct gofer_dirent_view e;
	struct gofer_ahead *a;
	uint32_t n;

	if (!dir)
		return 0;
	a = dir->ahead;
	entries[0] = gi->listed_at;
	next = next_in_order;
	if (next(dir, is_openable, a->opened_last, &n, 1) != 1 || n != entries[0])
		next = next_by_inode;
	/* As the last ones led to expect: more; else whoever opens has another order. */
	if (next(dir, is_openable, a->opened_last, &n, 1) == 1 && n == entries[0])
		a->opens = a->opens ? a->opens * 2 : 2;
	else
		a->opens = 0;
	if (a->opens > GOFER_OPEN_MAX)
		a->opens = GOFER_OPEN_MAX;
	n = a->opens ? 1 + next(dir, is_openable, entries[0], entries + 1, a->opens - 1) : 0;
	a->opened_last = n ? entries[n - 1] : entries[0];
	for (uint32_t i = 0; i < n; i++) {
		(void)gofer_listing_entry(dir->listing, entries[i], &e);
		ret[i] = gofer_inode_find(dir->fs, dir->dev, e.ino);
		(void)inode_ref(&ret[i]->inode);
	}
	return n;
}
