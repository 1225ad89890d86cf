/* SPDX-License-Identifier: Apache-2.0 */
#include "host/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

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

uint64_t caps_own(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return 0;
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

struct oci_caps caps_grant(const struct oci_caps *want)
{
	const uint64_t can = caps_own();
	const uint64_t all = want->bounding | want->permitted | want->effective |
			     want->inheritable | want->ambient;
	struct oci_caps ret = *want;

	for (unsigned int cap = 0; cap < 64; cap++) {
		const char *name = all & ~can & 1ull << cap ? oci_cap_name(cap) : NULL;

		if (name)
			log_warning("capability %s cannot be granted: the runtime does not have it",
				    name);
	}
	ret.bounding &= can;
	ret.permitted &= can;
	ret.effective &= ret.permitted;
	ret.inheritable &= can;
	ret.ambient &= ret.permitted & ret.inheritable;
	return ret;
}
