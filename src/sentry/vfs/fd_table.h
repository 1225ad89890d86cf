/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/fd_table.h - descriptor tables, shared by tasks that were cloned with CLONE_FILES.
 */
#pragma once

#include "sentry/vfs/file.h"

#define FD_TABLE_MAX 1048576 /* fs.nr_open */

struct fd_table;

int fd_table_new(struct fd_table **ret);
/* A copy with the same files (fork). 0, -ENOMEM. */
int fd_table_copy(struct fd_table *table, struct fd_table **ret);
struct fd_table *fd_table_ref(struct fd_table *table);
void fd_table_unref(struct fd_table *table); /* the last one closes all */
unsigned int fd_table_refs(const struct fd_table *table);

/* The file with a reference, or NULL (EBADF). O_PATH files only from fd_get_any(). */
struct file *fd_get(struct fd_table *table, int fd);
struct file *fd_get_any(struct fd_table *table, int fd);

/*
 * Two-phase installation: reserve a number (>= min, < limit = RLIMIT_NOFILE; -EMFILE), then publish
 * a file (takes its reference) or release the number.
 */
int fd_reserve(struct fd_table *table, int min, uint64_t limit);
void fd_publish(struct fd_table *table, int fd, struct file *f, bool cloexec);
void fd_release(struct fd_table *table, int fd);

/* Reserve and publish: the number, or -errno with f unreferenced. */
int fd_install(struct fd_table *table, struct file *f, bool cloexec, uint64_t limit);

/* dup2: put f (takes the reference) at fd, closing what was there. 0, -EBADF, -EBUSY. */
int fd_replace(struct fd_table *table, int fd, struct file *f, bool cloexec, uint64_t limit);

/* close(2): 0, -EBADF, or what flush said. `owner` identifies POSIX locks to drop. */
int fd_close(struct fd_table *table, int fd, const void *owner);
int fd_get_cloexec(struct fd_table *table, int fd); /* 0, 1, -EBADF */
int fd_set_cloexec(struct fd_table *table, int fd, bool cloexec);

/* exec: close what is close-on-exec. */
void fd_table_exec(struct fd_table *table, const void *owner);

/* Iterate for /proc: the first open number >= from, or -1. */
int fd_table_next(struct fd_table *table, int from);
