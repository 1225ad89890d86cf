/* SPDX-License-Identifier: Apache-2.0 */
#include "host/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "base/str.h"

#define ROW(cap) [cap] = #cap

static const char *const names[] = {
	ROW(CAP_CHOWN),
	ROW(CAP_DAC_OVERRIDE),
	ROW(CAP_DAC_READ_SEARCH),
	ROW(CAP_FOWNER),
	ROW(CAP_FSETID),
	ROW(CAP_KILL),
	ROW(CAP_SETGID),
	ROW(CAP_SETUID),
	ROW(CAP_SETPCAP),
	ROW(CAP_LINUX_IMMUTABLE),
	ROW(CAP_NET_BIND_SERVICE),
	ROW(CAP_NET_BROADCAST),
	ROW(CAP_NET_ADMIN),
	ROW(CAP_NET_RAW),
	ROW(CAP_IPC_LOCK),
	ROW(CAP_IPC_OWNER),
	ROW(CAP_SYS_MODULE),
	ROW(CAP_SYS_RAWIO),
	ROW(CAP_SYS_CHROOT),
	ROW(CAP_SYS_PTRACE),
	ROW(CAP_SYS_PACCT),
	ROW(CAP_SYS_ADMIN),
	ROW(CAP_SYS_BOOT),
	ROW(CAP_SYS_NICE),
	ROW(CAP_SYS_RESOURCE),
	ROW(CAP_SYS_TIME),
	ROW(CAP_SYS_TTY_CONFIG),
	ROW(CAP_MKNOD),
	ROW(CAP_LEASE),
	ROW(CAP_AUDIT_WRITE),
	ROW(CAP_AUDIT_CONTROL),
	ROW(CAP_SETFCAP),
	ROW(CAP_MAC_OVERRIDE),
	ROW(CAP_MAC_ADMIN),
	ROW(CAP_SYSLOG),
	ROW(CAP_WAKE_ALARM),
	ROW(CAP_BLOCK_SUSPEND),
	ROW(CAP_AUDIT_READ),
	ROW(CAP_PERFMON),
	ROW(CAP_BPF),
	ROW(CAP_CHECKPOINT_RESTORE),
};

int caps_from_name(const char *name)
{
	if (!name)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(names[i], name))
			return (int)i;
	}
	return -EINVAL;
}

const char *caps_name(int cap)
{
	return cap >= 0 && (size_t)cap < ARRAY_LEN(names) ? names[cap] : NULL;
}

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

uint64_t caps_all(void)
{
	const uint32_t last = caps_last();

	return last >= 63 ? UINT64_MAX : (UINT64_C(1) << (last + 1)) - 1;
}
