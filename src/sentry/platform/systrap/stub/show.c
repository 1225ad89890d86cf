/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths and small data of a call, shown with the request: a host call less for the sentry.
 *
 * It is a hint: what is not shown, or was not whole, the sentry fetches itself.
 */
#include "sentry/platform/systrap/stub/stub.h"

#define PAGE  4096ull
#define PIECE 256ull /* strings are fetched in pieces that end at multiples of it */

static uint32_t show(struct stub_ctx *c, uint64_t addr, uint64_t len)
{
	if (len == 0 || addr == 0 || addr >= STUB_BASE || len > STUB_BASE - addr)
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
		return args[2] <= STUB_DATA_LEN ? show(c, args[1], args[2]) : 0;
	default:
		return 0;
	}
}
