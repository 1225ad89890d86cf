/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/ids.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/store.h"

#define PER_SANDBOX 3

int sandbox_ids_parse(const char *text, struct sentry_settings *ret, struct err *err)
{
	const char *colon = strchr(text, ':');
	AUTO_FREE char *first_text = colon ? strndup(text, (size_t)(colon - text)) : NULL;
	uint64_t first, count;

	if (colon && !first_text)
		return err_sys(err, -ENOMEM, "sandbox_ids");
	if (!colon || str_to_u64(first_text, UINT32_MAX - 2, &first) < 0 ||
	    str_to_u64(colon + 1, UINT32_MAX, &count) < 0 || first == 0 || count < PER_SANDBOX ||
	    first + count > UINT32_MAX)
		return err_set(err, -EINVAL,
			       "sandbox_ids \"%.64s\": FIRST:COUNT is expected, three ids for each "
			       "sandbox",
			       text);
	ret->ids_first = (uint32_t)first;
	ret->ids_count = (uint32_t)count;
	return 0;
}

static int lock_byte(int fd, uint32_t n)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = n, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

int sandbox_ids_take(const struct runtime *rt, int root_fd, struct sandbox_ids *ret,
		     struct err *err)
{
	const uint32_t sets = rt->sentry.ids_count / PER_SANDBOX;
	const bool none = rt->rootless || sets == 0;
	AUTO_CLOSE int fd =
		none ? open("/dev/null", O_RDONLY | O_CLOEXEC | O_NOCTTY)
		     : openat(root_fd, STORE_IDS,
			      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	uint32_t start = 0, first;

	if (fd < 0)
		return err_sys(err, -errno, "open %s", none ? "/dev/null" : STORE_IDS);
	if (none) {
		*ret = (struct sandbox_ids){ .held_fd = TAKE_FD(fd) };
		return 0;
	}
	/* Not the lowest: an id that has just come free may still be on a process that dies. */
	if (getrandom(&start, sizeof(start), GRND_NONBLOCK) != sizeof(start))
		start = (uint32_t)getpid();
	for (uint32_t i = 0; i < sets; i++) {
		const uint32_t n = (uint32_t)(((uint64_t)start + i) % sets);
		const int r = lock_byte(fd, n);

		if (r == -EAGAIN || r == -EACCES)
			continue;
		if (r < 0)
			return err_sys(err, r, "lock " STORE_IDS);
		first = rt->sentry.ids_first + PER_SANDBOX * n;
		*ret = (struct sandbox_ids){ .supervisor = first,
					     .files = first + 1,
					     .guest = first + 2,
					     .held_fd = TAKE_FD(fd) };
		return 0;
	}
	return err_set(err, -EAGAIN, "sandbox_ids: all %u are in use", sets);
}
