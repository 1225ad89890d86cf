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
	{ .from = "caisson_vm_", .to = "caisson_vm_" },
	{ .from = "guest_", .to = "caisson_vm_guest_" },
	{ 0 },
};
static const struct merge_rule again[] = { { .from = "caisson_vm_", .to = "caisson_vm_" }, { 0 } };
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
	static const struct merge_options first = { .rules = rules,
						    .labels = "id=\"c\"",
						    .reserved = reserved };
	static const struct merge_options second = { .rules = again, .labels = "" };
	AUTO_METRICS struct metrics *m = metrics_new();
	AUTO_METRICS struct metrics *n = metrics_new();
	AUTO_METRICS struct metrics *o = metrics_new();
	AUTO_BUF struct buf one = { 0 };
	AUTO_BUF struct buf two = { 0 };
	AUTO_BUF struct buf three = { 0 };

	(void)metrics_merge(m, (const char *)data, size, &first);
	assert(metrics_print(m, &one) == 0);
	judge(&one);
	if (one.len == 0)
		return 0;
	/* With our label it may have one more than a text may. */
	if (metrics_merge(n, one.data, one.len, &second) == 0) {
		/* Our label comes to its place among the others; then nothing changes any more. */
		assert(metrics_print(n, &two) == 0);
		assert(one.len == two.len);
		assert(metrics_merge(o, two.data, two.len, &second) == 0);
		assert(metrics_print(o, &three) == 0);
		assert(two.len == three.len && memcmp(two.data, three.data, two.len) == 0);
	}
	return 0;
}
