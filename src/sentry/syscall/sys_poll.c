/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll(2), ppoll(2), select(2), pselect(2).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "sentry/core/kclock.h"
#include "sentry/syscall/sys_vfs.h"
#include "sentry/vfs/poll.h"

#define NSEC_PER_MSEC 1000000ull
#define READ_SET      (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define WRITE_SET     (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define EXCEPT_SET    POLLPRI

static void drop_files(struct poll_want *wants, size_t len)
{
	for (size_t i = 0; wants && i < len; i++)
		file_unref(wants[i].file);
	free(wants);
}

/* Only what changed of `revents` is written: `events` belongs to the guest all the time. */
static int put_revents(struct task *t, uaddr_t addr, const struct pollfd *fds,
		       const struct poll_want *wants, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const short revents = (short)wants[i].revents;
		const uaddr_t at = addr + i * sizeof(*fds) + offsetof(struct pollfd, revents);

		if (revents != fds[i].revents &&
		    user_copy_out(task_um(t), at, &revents, sizeof(revents)) < 0)
			return -EFAULT;
	}
	return 0;
}

/* The number of ready ones, 0, -EINTR, or the errno of a bad argument. */
static sysret_t do_poll(struct task *t, uaddr_t addr, uint64_t len, nsec_t deadline)
{
	AUTO_FREE struct pollfd *fds = NULL;
	struct poll_want *wants;
	int r;

	if (len > task_rlimit(t, RLIMIT_NOFILE) || len > FD_TABLE_MAX)
		return -EINVAL;
	fds = calloc(len + 1, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	if (user_copy_in(task_um(t), fds, addr, len * sizeof(*fds)) < 0)
		return -EFAULT;
	wants = calloc(len + 1, sizeof(*wants));
	if (!wants)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		if (fds[i].fd < 0)
			continue;
		wants[i].file = fd_get(t->files, fds[i].fd);
		wants[i].events = (uint16_t)fds[i].events;
		if (!wants[i].file)
			wants[i].revents = POLLNVAL;
	}
	r = poll_many(wants, len, deadline);
	if (r >= 0 && put_revents(t, addr, fds, wants, len) < 0)
		r = -EFAULT;
	drop_files(wants, len);
	return r;
}

static int64_t poll_again(struct task *t, const struct restart_block *block)
{
	const sysret_t r = do_poll(t, block->arg[0], block->arg[1], block->arg[2]);

	return r == -EINTR ? task_restart_block(t, block) : r;
}

sysret_t sys_poll(struct task *t, const struct syscall_args *a)
{
	const int timeout_ms = arg_int(a, 2);
	struct restart_block block = { .fn = poll_again };
	nsec_t deadline = NSEC_NEVER;

	if (timeout_ms == 0)
		deadline = 0;
	else if (timeout_ms > 0)
		deadline = kclock_monotonic() + (uint64_t)timeout_ms * NSEC_PER_MSEC;
	block.arg[0] = arg_uaddr(a, 0);
	block.arg[1] = arg_uint(a, 1);
	block.arg[2] = deadline;
	return poll_again(t, &block);
}

sysret_t sys_ppoll(struct task *t, const struct syscall_args *a)
{
	nsec_t deadline;
	bool masked;
	sysret_t r = sys_get_timeout(t, arg_uaddr(a, 2), &deadline);

	if (r == 0)
		r = sys_enter_sigmask(t, arg_uaddr(a, 3), arg_u64(a, 4), &masked);
	if (r < 0)
		return r;
	r = do_poll(t, arg_uaddr(a, 0), arg_uint(a, 1), deadline);
	if (r == -EINTR)
		r = -ERESTARTNOHAND;
	sys_put_timeout(t, arg_uaddr(a, 2), deadline);
	return sys_leave_sigmask(t, masked, r);
}

/* The three sets of select(2): in, out, ex; n bits each. */
struct sets {
	uaddr_t addr[3];
	unsigned long *bits[3];
	size_t bytes;
};

static const uint32_t set_events[3] = { READ_SET, WRITE_SET, EXCEPT_SET };

static bool bit_of(const struct sets *s, int set, unsigned int fd)
{
	return s->bits[set] && s->bits[set][fd / 64] >> (fd % 64) & 1;
}

static int get_sets(struct task *t, struct sets *s)
{
	for (int i = 0; i < 3; i++) {
		if (!s->addr[i])
			continue;
		s->bits[i] = calloc(1, s->bytes + 8);
		if (!s->bits[i])
			return -ENOMEM;
		if (user_copy_in(task_um(t), s->bits[i], s->addr[i], s->bytes) < 0)
			return -EFAULT;
	}
	return 0;
}

static int put_sets(struct task *t, const struct sets *s)
{
	for (int i = 0; i < 3; i++)
		if (s->addr[i] && user_copy_out(task_um(t), s->addr[i], s->bits[i], s->bytes) < 0)
			return -EFAULT;
	return 0;
}

/* A want per descriptor that is in a set; fds[] says which. */
static int fill_wants(struct task *t, const struct sets *s, unsigned int n, struct poll_want *wants,
		      unsigned int *fds, size_t *ret_len)
{
	size_t len = 0;

	for (unsigned int fd = 0; fd < n; fd++) {
		uint32_t events = 0;

		for (int i = 0; i < 3; i++)
			if (bit_of(s, i, fd))
				events |= set_events[i];
		if (!events)
			continue;
		wants[len].file = fd_get(t->files, (int)fd);
		wants[len].events = events;
		fds[len] = fd;
		*ret_len = len + 1;
		if (!wants[len++].file)
			return -EBADF;
	}
	return 0;
}

/* Ready bits replace the asked ones; their number. */
static int answer_sets(struct sets *s, const struct poll_want *wants, const unsigned int *fds,
		       size_t len)
{
	int bits = 0;

	for (size_t i = 0; i < len; i++)
		for (int set = 0; set < 3; set++) {
			const unsigned long bit = 1ul << (fds[i] % 64);

			if (!bit_of(s, set, fds[i]))
				continue;
			if (wants[i].revents & set_events[set])
				bits++;
			else
				s->bits[set][fds[i] / 64] &= ~bit;
		}
	return bits;
}

static sysret_t select_sets(struct task *t, struct sets *s, unsigned int n, nsec_t deadline)
{
	struct poll_want *wants;
	AUTO_FREE unsigned int *fds = NULL;
	size_t len = 0, max = 0;
	int r = get_sets(t, s);

	if (r < 0)
		return r;
	for (unsigned int fd = 0; fd < n; fd++)
		max += bit_of(s, 0, fd) || bit_of(s, 1, fd) || bit_of(s, 2, fd);
	wants = calloc(max + 1, sizeof(*wants));
	fds = calloc(max + 1, sizeof(*fds));
	r = wants && fds ? fill_wants(t, s, n, wants, fds, &len) : -ENOMEM;
	if (r == 0)
		r = poll_many(wants, len, deadline);
	if (r >= 0) {
		r = answer_sets(s, wants, fds, len);
		if (put_sets(t, s) < 0)
			r = -EFAULT;
	}
	drop_files(wants, len);
	return r == -EINTR ? -ERESTARTNOHAND : r;
}

static sysret_t do_select(struct task *t, const struct syscall_args *a, nsec_t deadline)
{
	struct sets s = { .addr = { arg_uaddr(a, 1), arg_uaddr(a, 2), arg_uaddr(a, 3) } };
	int n = arg_int(a, 0);
	sysret_t r;

	if (n < 0)
		return -EINVAL;
	if (n > (int)FD_TABLE_MAX)
		n = FD_TABLE_MAX;
	s.bytes = ((size_t)n + 63) / 64 * 8;
	r = select_sets(t, &s, (unsigned int)n, deadline);
	for (int i = 0; i < 3; i++)
		free(s.bits[i]);
	return r;
}

sysret_t sys_select(struct task *t, const struct syscall_args *a)
{
	const uaddr_t addr = arg_uaddr(a, 4);
	nsec_t deadline = NSEC_NEVER, now;
	struct timeval tv;
	sysret_t r;

	if (addr) {
		if (user_copy_in(task_um(t), &tv, addr, sizeof(tv)) < 0)
			return -EFAULT;
		if (tv.tv_sec < 0 || tv.tv_usec < 0)
			return -EINVAL;
		deadline = nsec_add((uint64_t)tv.tv_usec * 1000,
				    timespec_to_nsec(&(struct timespec){ .tv_sec = tv.tv_sec }));
		if (deadline)
			deadline = nsec_add(kclock_monotonic(), deadline);
	}
	r = do_select(t, a, deadline);
	if (addr && deadline != NSEC_NEVER) {
		now = kclock_monotonic();
		now = deadline > now ? deadline - now : 0;
		tv = (struct timeval){ .tv_sec = (time_t)(now / NSEC_PER_SEC),
				       .tv_usec = (suseconds_t)(now % NSEC_PER_SEC / 1000) };
		if (user_copy_out(task_um(t), addr, &tv, sizeof(tv)) < 0 && r == -ERESTARTNOHAND)
			r = -EINTR;
	}
	return r;
}

sysret_t sys_pselect6(struct task *t, const struct syscall_args *a)
{
	struct {
		uint64_t addr, size;
	} mask = { 0 };
	nsec_t deadline;
	bool masked;
	sysret_t r = 0;

	if (arg_uaddr(a, 5) && user_copy_in(task_um(t), &mask, arg_uaddr(a, 5), sizeof(mask)) < 0)
		return -EFAULT;
	r = sys_get_timeout(t, arg_uaddr(a, 4), &deadline);
	if (r == 0)
		r = sys_enter_sigmask(t, mask.addr, mask.size, &masked);
	if (r < 0)
		return r;
	r = do_select(t, a, deadline);
	sys_put_timeout(t, arg_uaddr(a, 4), deadline);
	return sys_leave_sigmask(t, masked, r);
}
