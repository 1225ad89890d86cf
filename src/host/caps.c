/* SPDX-License-Identifier: Apache-2.0 */
#include "host/caps.h"

#include <errno.h>
#include <sys/prctl.h>

uint32_t caps_last(void)
{
	static uint32_t cached;
	uint32_t known = 0, unknown = 64;

	if (cached)
		return cached;
	/*
	 * PR_CAPBSET_READ is EINVAL for a number above the last one: six calls, no file. Whatever
	 * else it says must not make capabilities unknown, for the unknown are not dropped.
	 */
	while (unknown - known > 1) {
		const uint32_t middle = (known + unknown) / 2;

		if (prctl(PR_CAPBSET_READ, (unsigned long)middle, 0UL, 0UL, 0UL) >= 0 ||
		    errno != EINVAL)
			known = middle;
		else
			unknown = middle;
	}
	cached = known;
	return cached;
}
