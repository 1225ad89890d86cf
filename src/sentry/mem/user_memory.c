/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mem/user_memory.c - copies to and from guest memory, and data on its way (uio).
 */
#include "sentry/mem/user_memory.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define STRING_CHUNK 256u
#define ZERO_CHUNK   4096u

static const char zeros[ZERO_CHUNK];

static bool range_is_guest(uaddr_t addr, size_t len)
{
	return addr <= PLATFORM_GUEST_TOP && len <= PLATFORM_GUEST_TOP - addr;
}

/* The bytes of [addr, addr + len) that a guest can own. */
static size_t range_clip(uaddr_t addr, size_t len)
{
	if (addr >= PLATFORM_GUEST_TOP)
		return 0;
	return len < PLATFORM_GUEST_TOP - addr ? len : (size_t)(PLATFORM_GUEST_TOP - addr);
}

int user_copy_in(struct user_memory *um, void *dst, uaddr_t src, size_t len)
{
	if (len == 0)
		return 0;
	if (!range_is_guest(src, len))
		return -EFAULT;
	return um->ops->copy_in(um, dst, src, len) == len ? 0 : -EFAULT;
}

int user_copy_out(struct user_memory *um, uaddr_t dst, const void *src, size_t len)
{
	if (len == 0)
		return 0;
	if (!range_is_guest(dst, len))
		return -EFAULT;
	return um->ops->copy_out(um, dst, src, len) == len ? 0 : -EFAULT;
}

int user_zero(struct user_memory *um, uaddr_t dst, size_t len)
{
	while (len > 0) {
		const size_t n = len < ZERO_CHUNK ? len : ZERO_CHUNK;
		const int r = user_copy_out(um, dst, zeros, n);

		if (r < 0)
			return r;
		dst += n;
		len -= n;
	}
	return 0;
}

ssize_t user_copy_string(struct user_memory *um, char *dst, uaddr_t src, size_t max)
{
	size_t done = 0;

	while (done < max) {
		/* Up to the next page boundary, so that a fault behind the NUL does no harm. */
		size_t n = STRING_CHUNK - (size_t)(src + done) % STRING_CHUNK;
		size_t got;
		char *nul;

		if (n > max - done)
			n = max - done;
		n = range_clip(src + done, n);
		got = n ? um->ops->copy_in(um, dst + done, src + done, n) : 0;
		nul = memchr(dst + done, '\0', got);
		if (nul)
			return nul - dst;
		if (got < n || n == 0)
			return -EFAULT;
		done += got;
	}
	return -ENAMETOOLONG;
}

void uio_init(struct uio *u, struct user_memory *um, struct iovec *single, uint64_t addr,
	      size_t len)
{
	if (len > UIO_BYTES_MAX)
		len = UIO_BYTES_MAX;
	single->iov_base = (void *)(uintptr_t)addr;
	single->iov_len = len;
	*u = (struct uio){ .um = um, .iov = single, .iov_len = 1, .left = len };
}

int uio_import(struct uio *u, struct user_memory *um, uaddr_t iov_uaddr, uint64_t count,
	       struct iovec **ret_iov)
{
	AUTO_FREE struct iovec *iov = NULL;
	size_t total = 0;
	int r;

	if (count > IOV_MAX)
		return -EINVAL;
	iov = calloc(count ? count : 1, sizeof(*iov));
	if (!iov)
		return -ENOMEM;
	r = user_copy_in(um, iov, iov_uaddr, count * sizeof(*iov));
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		if ((ssize_t)iov[i].iov_len < 0)
			return -EINVAL;
		if (!range_is_guest((uintptr_t)iov[i].iov_base, iov[i].iov_len))
			return -EFAULT;
		if (iov[i].iov_len > UIO_BYTES_MAX - total)
			iov[i].iov_len = UIO_BYTES_MAX - total;
		total += iov[i].iov_len;
	}
	*u = (struct uio){ .um = um, .iov = iov, .iov_len = count, .left = total };
	*ret_iov = TAKE_PTR(iov);
	return 0;
}

static void uio_advance(struct uio *u, size_t n)
{
	u->iov->iov_base = (char *)u->iov->iov_base + n;
	u->iov->iov_len -= n;
	u->left -= n;
}

/* Skips what is used up; false at the end. */
static bool uio_front(struct uio *u)
{
	while (u->iov_len > 0 && u->iov->iov_len == 0) {
		u->iov++;
		u->iov_len--;
	}
	return u->iov_len > 0 && u->left > 0;
}

static size_t copy_one(struct uio *u, char *kernel, size_t n, bool put)
{
	const uaddr_t addr = (uintptr_t)u->iov->iov_base;

	if (!u->um) {
		if (put)
			memcpy(u->iov->iov_base, kernel, n);
		else
			memcpy(kernel, u->iov->iov_base, n);
		return n;
	}
	n = range_clip(addr, n);
	if (n == 0)
		return 0;
	return put ? u->um->ops->copy_out(u->um, addr, kernel, n)
		   : u->um->ops->copy_in(u->um, kernel, addr, n);
}

static ssize_t uio_move(struct uio *u, char *kernel, size_t len, bool put)
{
	size_t done = 0;

	while (done < len && uio_front(u)) {
		size_t n = len - done;
		size_t got;

		if (n > u->iov->iov_len)
			n = u->iov->iov_len;
		got = copy_one(u, kernel + done, n, put);
		uio_advance(u, got);
		done += got;
		if (got < n)
			return done ? (ssize_t)done : -EFAULT;
	}
	return (ssize_t)done;
}

ssize_t uio_put(struct uio *u, const void *src, size_t len)
{
	return uio_move(u, (char *)(uintptr_t)src, len, true);
}

ssize_t uio_get(struct uio *u, void *dst, size_t len)
{
	return uio_move(u, dst, len, false);
}

ssize_t uio_zero(struct uio *u, size_t len)
{
	size_t done = 0;

	while (done < len) {
		const size_t n = len - done < ZERO_CHUNK ? len - done : ZERO_CHUNK;
		const ssize_t got = uio_put(u, zeros, n);

		if (got < 0)
			return done ? (ssize_t)done : got;
		done += (size_t)got;
		if ((size_t)got < n)
			break;
	}
	return (ssize_t)done;
}
