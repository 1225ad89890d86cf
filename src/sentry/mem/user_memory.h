/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mem/user_memory.h - guest memory as the rooms below mm see it, and where data of a read
 * or write comes from or goes to.
 *
 * struct user_memory is embedded in struct mm. Guest data is copied once into kernel memory and
 * judged there; nothing is read twice.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "sentry/platform/platform.h"

struct user_memory {
	const struct user_memory_ops *ops;
};

struct user_memory_ops {
	/* The bytes copied before a fault (0..len). Never negative; a dead space copies 0. */
	size_t (*copy_in)(struct user_memory *um, void *dst, uaddr_t src, size_t len);
	size_t (*copy_out)(struct user_memory *um, uaddr_t dst, const void *src, size_t len);
};

/* All bytes or -EFAULT. */
int user_copy_in(struct user_memory *um, void *dst, uaddr_t src, size_t len)
	__attribute__((warn_unused_result));
int user_copy_out(struct user_memory *um, uaddr_t dst, const void *src, size_t len)
	__attribute__((warn_unused_result));
int user_zero(struct user_memory *um, uaddr_t dst, size_t len) __attribute__((warn_unused_result));

/*
 * A NUL-terminated string of at most max bytes with its NUL: its length, -EFAULT or -ENAMETOOLONG.
 */
ssize_t user_copy_string(struct user_memory *um, char *dst, uaddr_t src, size_t max)
	__attribute__((warn_unused_result));

#define UIO_BYTES_MAX 0x7ffff000u /* MAX_RW_COUNT of Linux */

/*
 * Data on its way: a list of ranges in guest memory (um set) or kernel memory (um NULL).
 * `left` counts bytes that are still to be moved.
 */
struct uio {
	struct user_memory *um;
	struct iovec *iov; /* borrowed; consumed from the front */
	size_t iov_len;	   /* entries left */
	size_t left;	   /* bytes left */
	uint32_t flags;	   /* O_NONBLOCK, O_APPEND: for this transfer, besides the file's own */
};

/* One range; `single` lives as long as the uio. */
void uio_init(struct uio *u, struct user_memory *um, struct iovec *single, uint64_t addr,
	      size_t len);

/*
 * The iovec array of readv(2) and friends: copied in and judged (-EINVAL, -EFAULT; lengths cut to
 * UIO_BYTES_MAX). *ret_iov is the caller's to free.
 */
int uio_import(struct uio *u, struct user_memory *um, uaddr_t iov_uaddr, uint64_t count,
	       struct iovec **ret_iov);

/*
 * Move bytes into the destination (read) or out of the source (write). Returns the bytes moved,
 * less than len at the end of the uio or at a fault; -EFAULT when a fault moved nothing.
 */
ssize_t uio_put(struct uio *u, const void *src, size_t len);
ssize_t uio_get(struct uio *u, void *dst, size_t len);
ssize_t uio_zero(struct uio *u, size_t len);
