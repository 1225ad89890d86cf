/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics/merge.h - figures that another process told as text, put among ours.
 *
 * The text may be a sandbox's, which may be in its container's hands: only what is understood and
 * allowed is taken, line by line, and what is printed in the end is well-formed whatever came.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "metrics/families.h"

#define MERGE_LINES_MAX	   1024u      /* of one text */
#define MERGE_FAMILIES_MAX 128u	      /* new names of one text */
#define MERGE_LABELS_MAX   8u	      /* of one sample */
#define MERGE_BYTES_MAX	   (8u << 20) /* of the samples of all texts, without our own */

/*
 * Names that begin with `from` are taken, with `to` instead of it. The first that fits counts.
 * `own`: our own, for which there is room whatever others tell.
 */
struct merge_rule {
	const char *from, *to;
	bool own;
};

struct merge_options {
	const struct merge_rule *rules; /* ends with a NULL `from` */
	/* Put before the labels of each sample: `name="value",...`; "": none. */
	const char *labels;
	/* Labels that the text may not have itself: NULL-terminated, or NULL. */
	const char *const *reserved;
	/* Its labels make its samples others than those of every other text: it is compared with
	 * itself alone. */
	bool apart;
};

/*
 * Merge. HELP and TYPE count when nobody has said them before; comments and empty lines are
 * skipped; labels are put in order. Returns how many other lines were not taken: malformed (also an
 * empty label, which is the same as none, and a last line without its end), not allowed, the same
 * sample again, or too many.
 */
size_t metrics_merge(struct metrics *m, const char *text, size_t len,
		     const struct merge_options *options);
