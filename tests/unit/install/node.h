/* SPDX-License-Identifier: Apache-2.0 */
/* A node in a directory, for the tests of its files. */
#pragma once

#include "lib/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"

static char node[] = "/tmp/caisson-node-XXXXXX";

static inline const char *node_path(const char *path, char full[static PATH_MAX])
{
	(void)snprintf(full, PATH_MAX, "%s%s", node, path);
	return full;
}

static inline void node_make_dirs(const char *path)
{
	char full[PATH_MAX];
	const size_t root = strlen(node);

	(void)node_path(path, full);
	for (char *slash = strchr(full + root + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(full, 0755);
		*slash = '/';
	}
}

static inline void node_write(const char *path, const char *text)
{
	char full[PATH_MAX];
	FILE *file;

	node_make_dirs(path);
	file = fopen(node_path(path, full), "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* The text of a file, or NULL; good until the next call. */
static inline const char *node_read(const char *path)
{
	static struct buf text;
	char full[PATH_MAX];

	buf_done(&text);
	if (fd_read_file(AT_FDCWD, node_path(path, full), &text) < 0)
		return NULL;
	return text.data ? text.data : "";
}

static inline int node_remove_one(const char *path, const struct stat *st, int flag,
				  struct FTW *ftw)
{
	return remove(path);
}

static inline int node_set_up(void **state)
{
	strcpy(node, "/tmp/caisson-node-XXXXXX");
	return mkdtemp(node) ? 0 : -1;
}

static inline int node_tear_down(void **state)
{
	return nftw(node, node_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
