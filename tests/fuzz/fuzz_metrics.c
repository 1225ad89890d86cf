/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures that a sandbox tells. What is printed in the end is well-formed: it is all taken when it
 * is merged once more, and every line is of an allowed name.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "metrics/merge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct merge_rule rules[] = {
	{ "caisson_vm_", "caisson_vm_" },
	{ "guest_", "caisson_vm_guest_" },
	{ 0 },
};
static const struct merge_rule again[] = { { "caisson_vm_", "caisson_vm_" }, { 0 } };
static const char *const reserved[] = { "id", NULL };

static void judge(const struct buf *out)
{
	for (const char *line = out->data; line && *line; line = strchr(line, '\n') + 1) {
		assert(str_after(line, "caisson_vm_") || str_after(line, "# HELP caisson_vm_") ||
		       str_after(line, "# TYPE caisson_vm_"));
		assert(*line == '#' || strstr(line, "{id=\"c\""));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct merge_options first = { rules, "id=\"c\"", reserved };
	static const struct merge_options second = { again, "", NULL };
	AUTO_METRICS struct metrics *m = metrics_new();
	AUTO_METRICS struct metrics *n = metrics_new();
	AUTO_BUF struct buf one = { 0 };
	AUTO_BUF struct buf two = { 0 };

	(void)metrics_merge(m, (const char *)data, size, &first);
	assert(metrics_print(m, &one) == 0);
	judge(&one);
	if (one.len == 0)
		return 0;
	/* With our label it may have one more than a text may. */
	if (metrics_merge(n, one.data, one.len, &second) == 0) {
		assert(metrics_print(n, &two) == 0);
		assert(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
	}
	return 0;
}
