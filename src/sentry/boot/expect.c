/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/expect.h"

#include <string.h>

#include "sentry/fs/goferfs/goferfs.h"
#include "wire/gofer_msg.h"

/* Of one start at a time: goferfs_expect() copies them before it parks. */
static char names[GOFER_LOOKUP_MAX][GOFER_NAME_MAX + 1];
static const char *pointers[GOFER_LOOKUP_MAX];
static uint32_t len;

/* The first component of a path, if it is new. */
static void add(const char *path)
{
	const char *name = path + strspn(path, "/");
	const size_t n = strcspn(name, "/");

	if (path[0] != '/' || n == 0 || n > GOFER_NAME_MAX || len == GOFER_LOOKUP_MAX)
		return;
	memcpy(names[len], name, n);
	names[len][n] = '\0';
	if (strcmp(names[len], ".") == 0 || strcmp(names[len], "..") == 0)
		return;
	for (uint32_t i = 0; i < len; i++) {
		if (strcmp(names[i], names[len]) == 0)
			return;
	}
	pointers[len] = names[len];
	len++;
}

void boot_expect(const struct sentry_container *c, struct superblock *root)
{
	len = 0;
	for (uint32_t i = 0; i < c->mounts_len; i++)
		add(c->mounts[i].destination);
	if (c->process.args.len > 0)
		add(c->process.args.items[0]);
	add("/etc/passwd"); /* for HOME */
	goferfs_expect(root, pointers, len);
}

void boot_expect_end(struct superblock *root)
{
	goferfs_expect_end(root);
}
