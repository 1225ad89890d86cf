/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Donated host descriptors of regular files. An inode has at most two: one that reads, for files
 * that the guest opened O_RDONLY, and one that also writes. They are shared by all open files of
 * the inode, since positions are the sentry's own, and kept for a while when the last one is closed
 * (exclusive mode): a shared library is opened by every program.
 *
 * What a process maps has no more access than its open file: a descriptor that can write never
 * leaves for a file that was opened for reading (exact). The sentry itself may read with it.
 */
#include "sentry/fs/goferfs/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "sentry/core/hostwork.h"

/* Inodes that keep descriptors though opens is 0; the first is the oldest. */
struct kept {
	struct list_head list;
	uint32_t len;
};

/* Those that were closed, and those that were not opened yet: they came with another, or new. */
static struct kept closed = { .list = LIST_HEAD_INIT(closed.list) };
static struct kept fetched = { .list = LIST_HEAD_INIT(fetched.list) };
static uint32_t turned_away; /* since the last one that was let in though `closed` was full */

uint32_t gofer_idle_count(void)
{
	return closed.len + fetched.len;
}

struct gofer_handle *gofer_handle_ref(struct gofer_handle *h)
{
	h->refs++;
	return h;
}

void gofer_handle_unref(struct gofer_handle *h)
{
	if (!h || --h->refs > 0)
		return;
	(void)close(h->host_fd);
	free(h);
}

struct gofer_handle *gofer_handle_any(const struct gofer_inode *gi)
{
	return gi->handles[HANDLE_WRITE] ? gi->handles[HANDLE_WRITE] : gi->handles[HANDLE_READ];
}

static void idle_remove(struct gofer_inode *gi)
{
	if (list_empty(&gi->idle_node))
		return;
	list_del(&gi->idle_node);
	if (gi->fetched)
		fetched.len--;
	else
		closed.len--;
	gi->fetched = false;
}

void gofer_handles_drop(struct gofer_inode *gi)
{
	/* The last moment at which the attributes cost no request. */
	if (gi->fs->exclusive && gi->stale && gi->inode.refs && gofer_handle_any(gi))
		(void)gofer_inode_refresh(gi, gofer_handle_any(gi));
	idle_remove(gi);
	for (unsigned int i = 0; i < HANDLES; i++) {
		gofer_handle_unref(gi->handles[i]);
		gi->handles[i] = NULL;
	}
}

static void drop_oldest(struct kept *k)
{
	gofer_handles_drop(list_first(&k->list, struct gofer_inode, idle_node));
}

void gofer_idle_drop_all(void)
{
	while (!list_empty(&closed.list))
		drop_oldest(&closed);
	while (!list_empty(&fetched.list))
		drop_oldest(&fetched);
}

void gofer_inode_opened(struct gofer_inode *gi)
{
	gi->opens++;
	idle_remove(gi);
}

/*
 * When it is full the last one goes, and only now and then the oldest: who goes again and again
 * through more files than can be kept would always find those gone that come next.
 */
static bool let_in(void)
{
	if (closed.len + GOFERFS_FETCHED_MAX < gofer_limits.idle)
		return true;
	if (++turned_away < GOFERFS_LET_IN)
		return false;
	turned_away = 0;
	if (closed.len > 0)
		drop_oldest(&closed);
	return true;
}

/* Others may wait for a volume's file to be let go: nothing is kept in shared mode. */
void gofer_inode_closed(struct gofer_inode *gi)
{
	if (--gi->opens > 0 || !gofer_handle_any(gi))
		return;
	if (!gi->fs->exclusive || gi->inode.nlink == 0 || gi->content || !let_in()) {
		gofer_handles_drop(gi);
		return;
	}
	list_add_tail(&gi->idle_node, &closed.list);
	closed.len++;
}

/* It has a descriptor that nobody has asked for yet. */
static void keep_fetched(struct gofer_inode *gi)
{
	gi->fetched = true;
	list_add_tail(&gi->idle_node, &fetched.list);
	if (++fetched.len > GOFERFS_FETCHED_MAX)
		drop_oldest(&fetched);
}

static struct gofer_handle *handle_new(int fd, uint32_t access)
{
	struct gofer_handle *h = malloc(sizeof(*h));

	if (!h) {
		(void)close(fd);
		return NULL;
	}
	*h = (struct gofer_handle){ .refs = 1, .host_fd = fd, .access = access };
	return h;
}

void gofer_handle_adopt(struct gofer_inode *gi, int fd)
{
	struct gofer_handle *h;

	if (fd < 0) {
		gofer_idle_drop_all(); /* there was no room for it */
		return;
	}
	h = handle_new(fd, GOFER_OPEN_READ | GOFER_OPEN_WRITE);
	if (!h || gi->handles[HANDLE_WRITE]) {
		gofer_handle_unref(h);
		return;
	}
	gi->handles[HANDLE_WRITE] = h;
	/* Else it waits for the first open. */
	if (gi->fs->exclusive && gi->opens == 0 && list_empty(&gi->idle_node))
		keep_fetched(gi);
}

/* For later: nobody has the file open by it yet. Takes fd over. */
static void keep_reader(struct gofer_inode *gi, int fd)
{
	struct gofer_handle *h;

	if (gofer_handle_any(gi) || gi->opens > 0 || gi->inode.nlink == 0) {
		(void)close(fd);
		return;
	}
	h = handle_new(fd, GOFER_OPEN_READ);
	if (!h)
		return;
	gi->handles[HANDLE_READ] = h;
	keep_fetched(gi);
}

/* The descriptors are in the order of the files that could be opened. *ret_fd: of the first. */
static void share_out(struct gofer_call *call, struct gofer_inode *const *files, int *ret_fd)
{
	unsigned int next = 0;

	for (unsigned int i = 0; i < call->answer.open_many.count; i++) {
		if (gofer_answer_opened(&call->answer, i) != 0)
			continue;
		if (next == call->many_len)
			return; /* there was no room for the others */
		if (i == 0)
			*ret_fd = TAKE_FD(call->many[next]);
		else
			keep_reader(files[i], TAKE_FD(call->many[next]));
		next++;
	}
}

/*
 * Files of a directory that are opened one after the other come many at a time. Whether somebody
 * may open one is decided when he does: until then its descriptor is one that is kept for later,
 * like those of closed files. Nobody else changes the files, so what was opened before the guest
 * asked is what it would get now. False: to be opened alone.
 */
static bool donate_many(struct gofer_inode *gi, struct gofer_handle **ret)
{
	GOFER_CALL(call, gi->fs->conn, .type = GOFER_OPEN_MANY);
	struct gofer_inode *files[GOFER_OPEN_MAX];
	uint64_t nodes[GOFER_OPEN_MAX];
	const unsigned int n = gofer_ahead_opens(gi, files);
	int fd = -EBADF;

	if (n == 0)
		return false;
	for (unsigned int i = 0; i < n; i++)
		nodes[i] = files[i]->node;
	call.request.open_many.count = n;
	call.request.blob = nodes;
	call.request.blob_len = n * sizeof(nodes[0]);
	if (gofer_call(&call) == 0 && call.answer.open_many.count == n)
		share_out(&call, files, &fd);
	for (unsigned int i = 0; i < n; i++)
		inode_unref(&files[i]->inode);
	*ret = fd >= 0 ? handle_new(fd, GOFER_OPEN_READ) : NULL;
	return *ret != NULL;
}

static int donate_once(struct gofer_inode *gi, uint32_t access, struct gofer_handle **ret)
{
	GOFER_CALL(call, gi->fs->conn, .type = GOFER_OPEN, .open = { gi->node, access, 0 });
	const uint32_t seq = gi->seq;
	const int r = gofer_call(&call);

	if (r < 0)
		return r;
	gofer_inode_apply(gi, &call.answer.attr.attr, seq);
	if (call.fd < 0)
		return -EMFILE;
	*ret = handle_new(TAKE_FD(call.fd), access);
	return *ret ? 0 : -ENOMEM;
}

/* When the sentry's table is full, descriptors that are only kept for later make way. */
static int donate(struct gofer_inode *gi, uint32_t access, struct gofer_handle **ret)
{
	int r;

	if (access == GOFER_OPEN_READ && donate_many(gi, ret))
		return 0;
	r = donate_once(gi, access, ret);
	if (r == -EMFILE) {
		gofer_idle_drop_all();
		r = donate_once(gi, access, ret);
	}
	return r == -EMFILE ? -ENFILE : r;
}

/*
 * On the host's overlayfs the first opening for writing copies the file up, and descriptors from
 * before go on reading the old one: who has the file open for reading gets a new one.
 */
static void renew_reader(struct gofer_inode *gi)
{
	struct gofer_handle *fresh;

	if (!gi->fs->overlay || !gi->handles[HANDLE_READ] ||
	    donate(gi, GOFER_OPEN_READ, &fresh) < 0)
		return;
	gofer_handle_unref(gi->handles[HANDLE_READ]);
	gi->handles[HANDLE_READ] = fresh;
}

/* A file of one's own that may not be read (an ordinary user's gofer) can still be written. */
static int donate_writer(struct gofer_inode *gi, uint32_t access, struct gofer_handle **ret)
{
	int r = donate(gi, GOFER_OPEN_READ | GOFER_OPEN_WRITE, ret);

	if (r == -EACCES && !(access & GOFER_OPEN_READ))
		r = donate(gi, GOFER_OPEN_WRITE, ret);
	return r;
}

static int get(struct gofer_inode *gi, uint32_t access, bool exact, struct gofer_handle **ret)
{
	const unsigned int which = access & GOFER_OPEN_WRITE ? HANDLE_WRITE : HANDLE_READ;
	struct gofer_handle *h = gi->handles[which];
	int r;

	if (!exact && !h)
		h = gofer_handle_any(gi);
	if (h && (h->access & access) == access) {
		*ret = gofer_handle_ref(h);
		return 0;
	}
	r = which == HANDLE_READ ? donate(gi, access, &h) : donate_writer(gi, access, &h);
	if (r < 0)
		return r;
	/* Another fiber may have been faster while this one waited. */
	if (gi->handles[which] && (gi->handles[which]->access & access) == access) {
		gofer_handle_unref(h);
		*ret = gofer_handle_ref(gi->handles[which]);
		return 0;
	}
	gofer_handle_unref(gi->handles[which]);
	gi->handles[which] = h;
	*ret = gofer_handle_ref(h);
	if (which == HANDLE_WRITE) {
		gofer_content_drop(gi);
		renew_reader(gi);
	}
	return 0;
}

static long sync_data(void *arg)
{
	return fdatasync(((struct gofer_handle *)arg)->host_fd) < 0 ? -errno : 0;
}

/* So many at a time: while one is synced, the others may go. */
#define SYNC_BATCH 64u

static unsigned int writers_from(struct goferfs *fs, unsigned int *bucket,
				 struct gofer_handle *found[SYNC_BATCH])
{
	struct gofer_inode *gi;
	unsigned int n = 0;

	for (; fs->inodes.buckets && *bucket < 1u << fs->inodes.bits && n == 0; ++*bucket) {
		list_for_each(gi, &fs->inodes.buckets[*bucket], hash_node)
		{
			if (gi->handles[HANDLE_WRITE] && n < SYNC_BATCH)
				found[n++] = gofer_handle_ref(gi->handles[HANDLE_WRITE]);
		}
	}
	return n;
}

int gofer_handles_sync(struct goferfs *fs)
{
	struct gofer_handle *found[SYNC_BATCH];
	unsigned int bucket = 0, n;
	int r = 0;

	while ((n = writers_from(fs, &bucket, found)) > 0) {
		for (unsigned int i = 0; i < n; i++) {
			const int one = (int)hostwork_call(sync_data, found[i]);

			r = r ? r : gofer_errno(one);
			gofer_handle_unref(found[i]);
		}
	}
	return r;
}

int gofer_handle_get(struct gofer_inode *gi, uint32_t access, bool exact, struct gofer_handle **ret)
{
	int r;

	/* While it is asked for it may not go to the idle list and be dropped from there. */
	gi->opens++;
	idle_remove(gi);
	r = get(gi, access, exact, ret);
	gofer_inode_closed(gi);
	return r;
}
