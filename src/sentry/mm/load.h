/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/mm/load.h - between the two halves of mm_load(): segments, and the stack. */
#pragma once

#include "sentry/mm/mm.h"

/* What the auxiliary vector says about the program. */
struct loaded {
	uaddr_t entry;	     /* of the program */
	uaddr_t phdrs;	     /* AT_PHDR; 0: not in memory */
	unsigned int phnum;  /* AT_PHNUM */
	uaddr_t interp_base; /* AT_BASE; 0: none */
	uaddr_t start;	     /* where execution begins: the interpreter's entry or the program's */
	bool exec_stack;
};

/* Choose the places of stack and mappings (ASLR unless personality(2) forbids it). */
void layout_choose(struct mm *mm, const struct mm_limits *limits);

/* Random bytes below `pages` pages, page-aligned; 0 with ADDR_NO_RANDOMIZE. */
uint64_t layout_random(const struct mm *mm, uint64_t pages);

/* Map the stack and write argv, envp and the auxiliary vector. *ret_sp is rsp at the start.
 * -E2BIG, -ENOMEM, -EFAULT. */
int stack_build(struct mm *mm, struct platform_thread *t, const struct exec_image *image,
		const struct loaded *loaded, uaddr_t *ret_sp);
