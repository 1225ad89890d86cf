/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics/merge.h - figures that another process told as text, put among ours.
 *
 * The text may be a sandbox's, which may be in its container's hands: only what is understood and
 * allowed is taken, line by line, and what is printed in the end is well-formed whatever came.
 */
#pragma once

#include <stddef.h>

#include "metrics/families.h"

#define MERGE_LINES_MAX	   2048u /* of one text */
#define MERGE_FAMILIES_MAX 256u	 /* new names of one text */
#define MERGE_LABELS_MAX   8u	 /* of one sample */

/* Names that begin with `from` are taken, with `to` instead of it. */
struct merge_rule {
	const char *from, *to;
};

struct merge_options {
	const struct merge_rule *rules; /* ends with a NULL `from` */
	/* Put before the labels of each sample: `name="value",...`; "": none. */
	const char *labels;
	/* Labels that the text may not have itself: NULL-terminated, or NULL. */
	const char *const *reserved;
};

/*
 * Merge. HELP and TYPE count when nobody has said them before; comments and empty lines are
 * skipped. Returns how many other lines were not taken: malformed, not allowed, the same sample
 * again, or too many.
 */
size_t metrics_merge(struct metrics *m, const char *text, size_t len,
		     const struct merge_options *options);
