/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics/families.h - figures as Prometheus reads them (its text format, version 0.0.4).
 *
 * Samples of one name stand together behind one HELP and one TYPE, wherever they come from, so they
 * are collected first and printed at the end. Errors are kept: fill it, then ask metrics_print().
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

#define METRICS_FAMILIES_MAX 1024u
#define METRICS_FAMILIES_OWN 128u	 /* of them, those that no other's text takes (merge.h) */
#define METRICS_NAME_MAX     128u	 /* bytes of a name with its NUL */
#define METRICS_HELP_MAX     256u	 /* with its NUL */
#define METRICS_VALUE_MAX    1024u	 /* bytes of a label's value; the rest is cut off */
#define METRICS_TEXT_MAX     (16u << 20) /* bytes of all samples of one name */

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_UNTYPED };

/* A name with its type and its help: one line of printable ASCII without a backslash. */
struct metrics_kind {
	const char *name;
	enum metrics_type type;
	const char *help;
};

struct metrics;

struct metrics *metrics_new(void); /* NULL: out of memory */
void metrics_free(struct metrics *m);

static inline void metrics_free_auto(struct metrics **m)
{
	metrics_free(*m);
}
#define AUTO_METRICS AUTO(metrics_free_auto)

/*
 * Append `name="value"`, escaped, behind a comma unless it is the first. What is no UTF-8 becomes
 * a question mark.
 */
void metrics_label(struct buf *labels, const char *name, const char *value);

/* A sample. `labels` as metrics_label() made them, or "". */
void metrics_add(struct metrics *m, const struct metrics_kind *kind, const char *labels,
		 uint64_t value);
/* The same of a time, told in seconds. */
void metrics_add_ns(struct metrics *m, const struct metrics_kind *kind, const char *labels,
		    uint64_t ns);

/* The whole text. 0, -ENOMEM, -E2BIG. */
int metrics_print(const struct metrics *m, struct buf *out);
