/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a subuid(5) file. */
#include <assert.h>
#include <stdint.h>

#include "host/ids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ids_range ranges[4];
	const size_t n = ids_subid_parse((const char *)data, size, "a", ranges, 4);

	assert(n <= 4);
	for (size_t i = 0; i < n; i++) {
		assert(ranges[i].count > 0);
		assert((uint64_t)ranges[i].first + ranges[i].count <= UINT32_MAX);
	}
	return 0;
}
