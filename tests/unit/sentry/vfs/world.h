/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/sentry/vfs/world.h - a kernel without tasks: one mount namespace with a tmpfs root,
 * and two people who may ask for things.
 */
#pragma once

#include "lib/unit.h"

#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/vfs/namei.h"

struct world {
	struct mount_ns *ns;
	struct path root, cwd;
	struct cred *root_cred, *user_cred;
	struct vfs_ctx as_root, as_user;
};

extern struct world world;

/* For cmocka_unit_test_setup_teardown(): a fresh namespace for each test. */
int world_setup(void **state);
int world_teardown(void **state);

/* Run fn in a fiber and the loop until it is done. */
void in_fiber(void (*fn)(void *arg), void *arg);

/* Short ways, as root: results are those of the calls. */
int w_mkdir(const char *name);
int w_open(const char *name, uint32_t flags, struct file **ret);
int w_write(const char *name, const char *text); /* creates */
int w_unlink(const char *name);
int w_stat(const char *name, struct stat *ret);
ssize_t f_read(struct file *f, void *dst, size_t len);
ssize_t f_write(struct file *f, const void *src, size_t len);
