/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths and small data of a call, shown with the request: a host call less for the sentry.
 *
 * It is a hint: what is not shown, or was not whole, the sentry fetches itself.
 */
#include "sentry/platform/systrap/stub/stub.h"

#include <sys/epoll.h>

#define PAGE  4096ull
#define PIECE 256ull /* strings are fetched in pieces that end at multiples of it */

/* Of the kernel's structures: epoll_event, pollfd, sigset, sigaction, timespec. */
#define EPOLL_EVENT_LEN 12
#define POLLFD_LEN	8
#define POLL_FDS_MAX	32
#define SIGSET_LEN	8
#define SIGACTION_LEN	32
#define TIMESPEC_LEN	16

static uint32_t show(struct stub_ctx *c, uint64_t addr, uint64_t len)
{
	if (len == 0 || addr == 0 || addr >= stub_at(STUB_BASE) || len > stub_at(STUB_BASE) - addr)
		return 0;
	c->in_addr = addr;
	c->in_len = stub_copy((uint8_t *)c + STUB_IN, (const void *)addr, len);
	return STUB_REQ_SHOWS;
}

/* Never into the next page, which need not be there. */
static uint32_t show_path(struct stub_ctx *c, uint64_t addr)
{
	uint64_t len = 2 * PIECE - addr % PIECE;

	if (len > PAGE - addr % PAGE)
		len = PAGE - addr % PAGE;
	return show(c, addr, len);
}

uint32_t stub_show(struct stub_ctx *c, uint64_t nr, const uint64_t args[6])
{
	switch (nr) {
	case SYS_open:
	case SYS_stat:
	case SYS_lstat:
	case SYS_access:
	case SYS_chdir:
	case SYS_mkdir:
	case SYS_rmdir:
	case SYS_unlink:
	case SYS_readlink:
		return show_path(c, args[0]);
	case SYS_openat:
	case SYS_newfstatat:
	case SYS_faccessat:
	case SYS_faccessat2:
	case SYS_readlinkat:
	case SYS_unlinkat:
	case SYS_mkdirat:
	case SYS_statx:
		return show_path(c, args[1]);
	case SYS_write:
	case SYS_pwrite64:
	case SYS_sendto:
		return args[2] <= STUB_DATA_LEN ? show(c, args[1], args[2]) : 0;
	case SYS_epoll_ctl:
		return args[1] != EPOLL_CTL_DEL ? show(c, args[3], EPOLL_EVENT_LEN) : 0;
	case SYS_poll:
		return args[1] <= POLL_FDS_MAX ? show(c, args[0], args[1] * POLLFD_LEN) : 0;
	case SYS_rt_sigprocmask:
		return show(c, args[1], SIGSET_LEN);
	case SYS_rt_sigaction:
		return show(c, args[1], SIGACTION_LEN);
	case SYS_clock_nanosleep:
		return show(c, args[2], TIMESPEC_LEN);
	default:
		return 0;
	}
}
