/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/pipe.h - pipe(7) and fifo(7).
 *
 * Data lies in slots of one page, as in Linux: a write of up to PIPE_BUF bytes takes at most one
 * new slot, which makes it atomic. With O_DIRECT each write is a packet of its own.
 */
#pragma once

#include "sentry/vfs/file.h"

#define PIPE_SLOT_BYTES	   4096u
#define PIPE_SLOTS_DEFAULT 16u
#define PIPE_BYTES_MAX	   1048576u /* fs.pipe-max-size */

struct pipe;

/* pipe2(2): flags are O_NONBLOCK and O_DIRECT. 0, -ENOMEM. */
int pipe_open(const struct cred *cred, uint32_t flags, struct file **ret_rd, struct file **ret_wr);

/* The open op of every fifo, also of a pipe's inode through /proc/PID/fd. Parks until the other
 * side is there. 0, -ENXIO, -ERESTARTSYS, -ENOMEM. */
int fifo_open(struct inode *inode, uint32_t flags, struct file **ret);

/* NULL: f is not a pipe. */
struct pipe *pipe_of(const struct file *f);

/* F_GETPIPE_SZ and F_SETPIPE_SZ in bytes: the size, -EINVAL, -EPERM, -EBUSY, -ENOMEM. */
int pipe_get_size(const struct pipe *p);
int pipe_set_size(struct pipe *p, uint64_t bytes, bool may_exceed);

/*
 * For splice(2) and tee(2), between pipe_lock() and pipe_unlock(). Peek copies bytes from `skip` on
 * and takes nothing; a packet is never crossed.
 */
void pipe_lock(struct pipe *p);
void pipe_unlock(struct pipe *p);
size_t pipe_peek(struct pipe *p, size_t skip, void *dst, size_t len);
void pipe_consume(struct pipe *p, size_t len);
/* Bytes written without parking: 0 when it is full, -EPIPE. */
ssize_t pipe_put(struct pipe *p, struct uio *u);
size_t pipe_bytes(const struct pipe *p);
size_t pipe_room(const struct pipe *p); /* bytes that certainly fit */
/* Wait (without the lock) for data or the last writer's end: 0, -EAGAIN, -ERESTARTSYS. */
int pipe_wait_data(struct pipe *p, bool nonblock);
int pipe_wait_room(struct pipe *p, bool nonblock);
bool pipe_has_writers(const struct pipe *p);
bool pipe_has_readers(const struct pipe *p);
