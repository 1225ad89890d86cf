/* SPDX-License-Identifier: Apache-2.0 */
/* install/diff.h - a change of a file as unified diff. */
#pragma once

#include "base/buf.h"

/*
 * Append the one hunk between the first and the last line that differ, with three lines around it
 * (GNU diff's format; `old_name` and `new_name` are the names of the head). Nothing if the texts
 * are the same.
 */
void diff_append(const char *old_name, const struct buf *old_text, const char *new_name,
		 const struct buf *new_text, struct buf *out);
