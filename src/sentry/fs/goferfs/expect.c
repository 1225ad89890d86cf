/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a start is about to look up in a root directory comes with one request instead of one for
 * each name. An answer is used once: later lookups are for the VFS, which remembers names, or ask.
 */
#include "sentry/fs/goferfs/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gofer_expected {
	uint32_t len;
	struct {
		const char *name; /* one of `asked` */
		int error;
		struct inode *inode; /* one reference, without an error */
	} items[GOFER_LOOKUP_MAX];
	char asked[GOFER_LOOKUP_MAX][GOFER_NAME_MAX + 1];
};

static void keep(struct goferfs *fs, const struct gofer_answer *answer)
{
	struct gofer_expected *e = fs->expected;

	for (uint32_t i = 0; i < answer->lookup.count; i++) {
		struct gofer_lookup_result result;
		struct inode *inode = NULL;
		int r;

		gofer_answer_result(answer, i, &result);
		r = result.error ? gofer_errno(result.error)
				 : gofer_inode_get(fs, &result.entry, &inode);
		if (r < 0 && r != -ENOENT)
			continue; /* the lookup asks again */
		e->items[e->len].name = e->asked[i];
		e->items[e->len].error = r;
		e->items[e->len++].inode = inode;
	}
}

void goferfs_expect(struct superblock *sb, const char *const *names, uint32_t len)
{
	struct goferfs *fs = container_of(sb, struct goferfs, sb);
	GOFER_CALL(call, fs->conn, .type = GOFER_LOOKUP,
		   .lookup = { .dir = fs->root_node, .count = len });

	if (!fs->exclusive || fs->expected || len == 0 || len > GOFER_LOOKUP_MAX ||
	    !S_ISDIR(sb->root->inode->mode))
		return;
	fs->expected = calloc(1, sizeof(*fs->expected));
	if (!fs->expected)
		return;
	for (uint32_t i = 0; i < len; i++) {
		(void)snprintf(fs->expected->asked[i], sizeof(fs->expected->asked[i]), "%s",
			       names[i]);
		call.request.names[i] = fs->expected->asked[i];
	}
	if (gofer_call(&call) == 0 && call.answer.lookup.count == len)
		keep(fs, &call.answer);
}

bool gofer_expected_take(struct gofer_inode *dir, const char *name, int *ret_error,
			 struct inode **ret)
{
	struct gofer_expected *e = dir->fs->expected;

	if (!e || dir->node != dir->fs->root_node)
		return false;
	for (uint32_t i = 0; i < e->len; i++) {
		if (strcmp(e->items[i].name, name) != 0)
			continue;
		*ret_error = e->items[i].error;
		*ret = e->items[i].inode;
		e->items[i] = e->items[--e->len];
		return true;
	}
	return false;
}

void goferfs_expect_end(struct superblock *sb)
{
	struct goferfs *fs = container_of(sb, struct goferfs, sb);
	struct gofer_expected *e = TAKE_PTR(fs->expected);

	for (uint32_t i = 0; e && i < e->len; i++) {
		if (e->items[i].inode)
			inode_unref(e->items[i].inode);
	}
	free(e);
}
