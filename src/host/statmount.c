/* SPDX-License-Identifier: Apache-2.0 */
#include "host/statmount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* linux/mount.h of 6.8 and later; the build host's headers may be older. */
#ifndef SYS_statmount
#define SYS_statmount 457
#define SYS_listmount 458
#endif
#define MNT_ID_UNIQUE  0x00004000u /* STATX_MNT_ID_UNIQUE */
#define LISTMOUNT_ROOT UINT64_MAX  /* LSMT_ROOT */
#define PAGE_IDS       256

struct mount_request { /* struct mnt_id_req, first version */
	uint32_t size, spare;
	uint64_t mnt_id, param;
};

/* Not there, or not for us (a filter of system calls). */
static int no_call(void)
{
	return errno == ENOSYS || errno == EPERM ? -ENODATA : -errno;
}

int statmount_id(int dir_fd, const char *path, bool root, uint64_t *ret)
{
	struct statx x;

	if (statx(dir_fd, path, AT_EMPTY_PATH | AT_STATX_DONT_SYNC, MNT_ID_UNIQUE, &x) < 0)
		return -errno;
	if (!(x.stx_mask & MNT_ID_UNIQUE))
		return -ENODATA;
	if (root && !(x.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return -EXDEV;
	*ret = x.stx_mnt_id;
	return 0;
}

int statmount_ask(uint64_t id, uint64_t want, struct statmount_reply *ret)
{
	const struct mount_request request = { .size = sizeof(request),
					       .mnt_id = id,
					       .param = want };

	if (syscall(SYS_statmount, &request, ret, sizeof(*ret), 0) < 0)
		return no_call();
	ret->text[STATMOUNT_TEXT_MAX - 1] = '\0';
	/* A place that the root directory does not lead to has no name: the last byte is an empty
	 * one. */
	if (!(ret->mask & STATMOUNT_WANT_MNT_POINT) || ret->mnt_point >= STATMOUNT_TEXT_MAX)
		ret->mnt_point = STATMOUNT_TEXT_MAX - 1;
	if (want & ~STATMOUNT_WANT_MNT_POINT & ~ret->mask || ret->mnt_root >= STATMOUNT_TEXT_MAX ||
	    ret->mnt_opts >= STATMOUNT_TEXT_MAX)
		return -ENODATA;
	return 0;
}

/* ---- What lies below ------------------------------------------------------------------------ */

void mounts_below_free(struct mount_below *mounts, size_t len)
{
	for (size_t i = 0; i < len; i++)
		free(mounts[i].point);
	free(mounts);
}

/* The next ids of the mount namespace behind `last`: how many, or -errno. */
static ssize_t next_ids(uint64_t last, uint64_t ids[static PAGE_IDS])
{
	const struct mount_request request = { .size = sizeof(request),
					       .mnt_id = LISTMOUNT_ROOT,
					       .param = last };
	const long n = syscall(SYS_listmount, &request, ids, PAGE_IDS, 0);

	return n < 0 ? no_call() : n;
}

/* One that is gone meanwhile is left out. */
static int add(uint64_t id, struct statmount_reply *reply, struct mount_below *list, size_t *len)
{
	const int r = statmount_ask(id, STATMOUNT_WANT_SB_BASIC | STATMOUNT_WANT_MNT_BASIC, reply);

	if (r == 0)
		list[(*len)++] = (struct mount_below){ .id = id,
						       .parent = reply->mnt_parent_id,
						       .magic = reply->sb_magic };
	return r == -ENOENT ? 0 : r;
}

/* All of the mount namespace, without points. */
static int list_all(struct statmount_reply *reply, struct mount_below **list, size_t *len)
{
	uint64_t ids[PAGE_IDS], last = 0;
	ssize_t n;

	while ((n = next_ids(last, ids)) > 0) {
		struct mount_below *grown;

		if (*len > MOUNTS_BELOW_MAX)
			return -E2BIG;
		grown = realloc(*list, (*len + (size_t)n) * sizeof(**list));
		if (!grown)
			return -ENOMEM;
		*list = grown;
		for (ssize_t i = 0; i < n; i++) {
			const int r = add(ids[i], reply, *list, len);

			if (r < 0)
				return r;
		}
		last = ids[n - 1];
	}
	return (int)n;
}

static int by_id(const void *a, const void *b)
{
	const struct mount_below *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static bool is_below(const struct mount_below *list, size_t len, const struct mount_below *m,
		     uint64_t id)
{
	for (size_t steps = 0; m && steps <= len; steps++) {
		const struct mount_below key = { .id = m->parent };

		if (m->parent == id)
			return true;
		m = len ? bsearch(&key, list, len, sizeof(*list), by_id) : NULL;
	}
	return false;
}

/* It is told of by where it is. */
static int take_point(struct statmount_reply *reply, struct mount_below *m)
{
	const int r = statmount_ask(m->id, STATMOUNT_WANT_MNT_POINT, reply);

	m->point = strdup(r == 0 ? reply->text + reply->mnt_point : "");
	return m->point ? (r == -ENOENT ? 0 : r) : -ENOMEM;
}

/*
 * listmount(2) of the mount itself would leave out those in it that have been moved out of what it
 * shows.
 */
int mounts_below_list(uint64_t id, struct mount_below **ret, size_t *ret_len)
{
	AUTO_FREE struct statmount_reply *reply = malloc(sizeof(*reply));
	AUTO_FREE struct mount_below *list = NULL;
	size_t len = 0, kept = 0;
	struct mount_below *below;
	int r = reply ? list_all(reply, &list, &len) : -ENOMEM;

	if (r < 0)
		return r;
	below = calloc(len + 1, sizeof(*below));
	if (!below)
		return -ENOMEM;
	if (len)
		qsort(list, len, sizeof(*list), by_id);
	for (size_t i = 0; r == 0 && i < len; i++) {
		if (!is_below(list, len, &list[i], id))
			continue;
		below[kept] = list[i];
		r = take_point(reply, &below[kept++]);
	}
	if (r < 0) {
		mounts_below_free(below, kept);
		return r;
	}
	*ret = below;
	*ret_len = kept;
	return 0;
}
