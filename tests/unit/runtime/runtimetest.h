/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtimetest.h - what the unit tests of room runtime share: a state directory of their own.
 */
#pragma once

#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "runtime/runtime.h"

/* A runtime whose root is a new empty directory; test_root_remove() takes both away. */
struct test_root {
	char path[64];
	struct runtime rt;
};

static inline void test_root_make(struct test_root *root)
{
	(void)snprintf(root->path, sizeof(root->path), "/tmp/caisson-unit-XXXXXX");
	assert_non_null(mkdtemp(root->path));
	assert_int_equal(chmod(root->path, 0711), 0);
	root->rt = (struct runtime){ .root = root->path,
				     .isolation = ISOLATION_UNSET,
				     .default_isolation = ISOLATION_NS,
				     .cgroup_manager = CGROUP_MANAGER_DISABLED };
}

static inline void test_root_remove(struct test_root *root)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf -- %s", root->path);
	assert_int_equal(system(command), 0);
}

/* A container directory ROOT/ID with this text as state.json. */
static inline void test_root_add(const struct test_root *root, const char *id, const char *state)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", root->path, id);
	assert_int_equal(mkdir(path, 0711), 0);
	if (!state)
		return;
	(void)snprintf(path, sizeof(path), "%s/%s/state.json", root->path, id);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(state, 1, strlen(state), file), strlen(state));
	assert_int_equal(fclose(file), 0);
}

static inline void test_root_touch(const struct test_root *root, const char *id, const char *name)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", root->path, id, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
}
