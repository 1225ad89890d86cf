/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/mm/exe.h - the program that an address space runs, which nobody may write meanwhile. */
#pragma once

#include "sentry/mm/mm.h"

/* Replace mm->exe (NULL: none); takes a reference on exe and denies writing to its inode. */
void mm_set_exe(struct mm *mm, struct file *exe);
