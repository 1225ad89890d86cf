/* SPDX-License-Identifier: Apache-2.0 */
/* metrics/internal.h - what families.c and merge.c share. */
#pragma once

#include <stdbool.h>

#include "metrics/families.h"

struct metrics_family {
	char name[METRICS_NAME_MAX];
	char help[METRICS_HELP_MAX];
	enum metrics_type type;
	struct buf samples; /* whole lines */
	/* Of merge.c: the last text that was merged into it, and where that one's samples begin. */
	unsigned int text;
	size_t text_at;
};

struct metrics {
	struct metrics_family **families; /* owned */
	size_t len;
	struct metrics_family *last; /* the one that was asked for last */
	int error;		     /* 0 or -errno of the first failure */
	/* Of merge.c: texts that were merged, bytes of samples whose names are not our own. */
	unsigned int texts;
	size_t merged_bytes;
};

/* The one of this name, or a new one. NULL: -ENOMEM, or -E2BIG: METRICS_FAMILIES_MAX. */
struct metrics_family *metrics_family(struct metrics *m, const struct metrics_kind *kind);
struct metrics_family *metrics_find(struct metrics *m, const char *name); /* NULL: none */

/* Bytes of the UTF-8 sequence that begins at s[0..len); 0: none does. */
size_t metrics_utf8(const char *s, size_t len);
