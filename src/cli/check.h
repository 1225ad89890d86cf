/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/check.h - what this host can do for each isolation class.
 *
 * A probe tries the thing itself where that is harmless (in a child process, in namespaces of its
 * own) and asks a file otherwise. It changes nothing that outlives it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"
#include "runtime/runtime.h"

#define CHECK_TEXT_MAX 400
#define CHECK_LABELS   "caisson.io/" /* labels of a node begin so */

enum check_result {
	CHECK_OK,
	CHECK_LIMITED, /* works, but something is missing that some containers need */
	CHECK_MISSING,
};

struct check_finding {
	enum check_result result;
	char detail[CHECK_TEXT_MAX]; /* what was found */
	char remedy[CHECK_TEXT_MAX]; /* how to get it; "" when nothing is missing */
};

struct check_probe {
	const char *name;
	bool required; /* class ns does not work without it */
	void (*run)(struct check_finding *finding);
};

/* All probes of class ns, in the order of the report; a NULL name ends them. */
extern const struct check_probe check_probes[];

/*
 * {"classes": {"ns": {"works": ..., "checks": [...]}, "sentry": ..., "vm": ...}}; a new reference,
 * NULL when out of memory. `rt` has the settings, or is NULL where nobody has read them;
 * *ret_ns_works may be NULL.
 */
json_t *check_document(const struct runtime *rt, bool *ret_ns_works);

const char *check_result_name(enum check_result result);

/* Set a finding. */
void check_set(struct check_finding *finding, enum check_result result, const char *detail, ...)
	__attribute__((format(printf, 3, 4)));
void check_remedy(struct check_finding *finding, const char *remedy, ...)
	__attribute__((format(printf, 2, 3)));
