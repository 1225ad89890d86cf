/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit/sentry/fs/goferfs_world.h - a world (unit/sentry/vfs/world.h) in which the root "rw" of a
 * real gofer in a child is mounted at "e" (exclusive) and "s" (shared). Whoever writes through
 * `host` is "somebody else on the host".
 */
#pragma once

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

/* In a fiber: the file holds this text and nothing more. */
void expect_text(const char *name, const char *text);
