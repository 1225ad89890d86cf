/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/text.h - text of those who are not trusted, before it goes anywhere. */
#pragma once

#include <stddef.h>

/*
 * Up to len bytes and to the first NUL, with '?' for what is not printable ASCII; cut at size bytes
 * (1 or more), NUL included.
 */
void text_printable(char *ret, size_t size, const void *text, size_t len);

/* The same in place, lines stay lines. */
void text_printable_lines(char *text, size_t len);
