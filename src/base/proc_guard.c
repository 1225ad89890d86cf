/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc_guard.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/str.h"

/* "/proc/PID/net/dev": where /proc/net/dev leads, its links expanded. */
static bool is_net_dev(const char *below_proc)
{
	const char *p = below_proc;

	while (isdigit((unsigned char)*p))
		p++;
	return p != below_proc && strcmp(p, "/net/dev") == 0;
}

static bool may_be_replaced(const char *below_proc)
{
	static const char *const files[] = {
		"cpuinfo",
		"diskstats",
		"meminfo",
		"stat",
		"swaps",
		"uptime",
		"loadavg",
		"slabinfo",
		"net/dev",
		"sys/kernel/ns_last_pid",
		"sys/crypto/fips_enabled",
	};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (strcmp(below_proc, files[i]) == 0)
			return true;
	}
	return is_net_dev(below_proc);
}

enum proc_place proc_place_of(const char *path)
{
	const char *below = str_after(path, "/proc");

	if (!below || (*below && *below != '/'))
		return PROC_PLACE_FREE;
	if (!*below)
		return PROC_PLACE_PROC;
	return may_be_replaced(below + 1) ? PROC_PLACE_FREE : PROC_PLACE_FORBIDDEN;
}
