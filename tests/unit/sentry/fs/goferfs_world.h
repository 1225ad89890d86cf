/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit/sentry/fs/goferfs_world.h - a world (unit/sentry/vfs/world.h) in which the root "rw" of a
 * real gofer in a child is mounted at "e" (exclusive) and "s" (shared). Whoever writes through
 * `host` is "somebody else on the host".
 */
#pragma once

#include <sys/stat.h>

#include "unit/gofer/fixture.h"
#include "unit/sentry/vfs/world.h"

#include "sentry/fs/goferfs/goferfs.h"

extern struct fixture *host;
extern struct gofer_conn *gofer; /* NULL: it has gone */

/* For cmocka_unit_test_setup_teardown(). */
int goferfs_world_setup(void **state);
int goferfs_world_teardown(void **state);

/* In a fiber: the same root once more. */
void mount_at(const char *place, bool exclusive);

/* In a fiber: the gofer goes. */
void end_connection(void *arg);

struct goferfs_counts counts(void);
uint64_t requests(void);

/* In a fiber: the file holds this text and nothing more. */
void expect_text(const char *name, const char *text);

/* Of a file of the gofer's directory; a link is none of its target's. */
struct stat host_stat(const char *path);

/* How the descriptor is opened that a mapping (MAP_PRIVATE, MAP_SHARED) of it gets: O_RDONLY, ...
 */
int access_of_mapping(struct file *f, int flags);

#define GOFERFS_TEST(name) \
	cmocka_unit_test_setup_teardown(name, goferfs_world_setup, goferfs_world_teardown)

/*
 * What main() returns. On one CPU; with GOFERFS_TIGHT in the environment with hardly any
 * descriptors.
 */
int goferfs_world_run(const char *name, const struct CMUnitTest *tests, size_t len);
