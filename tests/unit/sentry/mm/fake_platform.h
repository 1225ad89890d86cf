/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A platform whose stub is an arena of pages in this process: it keeps what is mapped, with which
 * protection, and the bytes. Files and memfiles are replaced by weak symbols where the rooms are
 * not linked.
 */
#pragma once

#include "sentry/platform/platform.h"

#define ARENA_PAGES 64
#define ARENA_BASE  0x100000000ull

struct fake_page {
	bool mapped, shared;
	int prot;
	uint8_t bytes[4096];
};

struct platform_space {
	unsigned int refs;
	struct fake_page pages[ARENA_PAGES];
};

struct platform_thread {
	struct platform_space *space;
	bool fail_move; /* move() answers EFAULT, as for a range of several host areas */
	int fail_next;	/* the next mapping operation answers this -errno */
	unsigned int operations;
};

struct platform_thread *fake_thread_new(void);
void fake_thread_free(struct platform_thread *t);
extern const struct platform_ops fake_platform;
