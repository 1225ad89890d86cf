/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/fd.h - descriptors: whole reads and writes, safe path resolution, descriptor passing.
 *
 * Every descriptor that is made here is close-on-exec. Functions return 0 (or a count, or a
 * descriptor) or -errno; interrupted calls are restarted.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"

struct buf;

/* openat2(2); resolve is RESOLVE_*. Returns a descriptor or -errno (-ENOSYS before Linux 5.6). */
int fd_open_resolve(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve);

/* Read to the end of file into `b` (respecting b->max: -E2BIG). */
int fd_read_all(int fd, struct buf *b);
/* The same of a pipe or a socket, blocking or not, within wait_ms in all: -ETIMEDOUT. */
int fd_read_within(int fd, int64_t wait_ms, struct buf *b);

/* Open `path` below dirfd for reading and read it whole into `b`. */
int fd_read_file(int dirfd, const char *path, struct buf *b);

/* The same of a regular file only: -ELOOP for a symbolic link, -EINVAL for what else is there. */
int fd_read_regular(int dirfd, const char *path, struct buf *b);

/* Write all bytes (write(2) until done). */
int fd_write_all(int fd, const void *bytes, size_t len);

/*
 * Write `text` to an existing file with exactly one write(2), as files of /proc and cgroupfs
 * demand. Does not create, follows no symbolic link in the last component. A short write is -EIO.
 */
int fd_write_file(int dirfd, const char *path, const char *text);

/*
 * Replace `path` below dirfd by a file with these bytes: written to a temporary name in the same
 * directory and renamed, so that a reader or a killed writer never leaves half a file.
 */
int fd_replace_file(int dirfd, const char *path, const void *bytes, size_t len, mode_t mode);

/* Send len bytes (1 or more) with nfds (0..FD_PASS_MAX) descriptors over a unix socket. */
int fd_send(int sock, const void *bytes, size_t len, const int *fds, size_t nfds);

/*
 * Receive up to len bytes and up to *nfds descriptors; *nfds becomes their number and each is the
 * caller's. Returns the bytes read, 0 at end of file, -EPROTO if more descriptors came, -EMFILE if
 * our table has no room for those that came; `bytes` holds what came with them.
 */
ssize_t fd_recv(int sock, void *bytes, size_t len, int *fds, size_t *nfds);

#define FD_PASS_MAX 32

/* "/proc/self/fd/N" in a caller's buffer, for calls that only take a path. */
#define FD_PATH_MAX 32
const char *fd_path(int fd, char path[static FD_PATH_MAX]);

/*
 * Make *fd one that is none of 0, 1 and 2, which a container may have closed: the old number is
 * closed then, also on failure, when *fd is -errno. A negative one stays as it is.
 */
int fd_lift(int *fd);

/* close_range(2) with CLOSE_RANGE_CLOEXEC or 0; falls back to nothing: Linux 5.11 is required. */
int fd_close_range(unsigned int first, unsigned int last, unsigned int flags);

/*
 * Close all from `first` on but these (negative ones are none), which are sorted on the way. For a
 * child that goes on with few of its maker's. 0 or -errno.
 */
int fd_keep_only(unsigned int first, int *fds, size_t len);
