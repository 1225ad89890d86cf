/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/mount_guard.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>

#include "base/str.h"
#include "host/procfs.h"

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

int mount_guard_check(const char *path, const char *type, int mount_fd, struct err *err)
{
	const char *below = str_after(path, "/proc");

	if (!below || (*below && *below != '/'))
		return 0;
	if (!*below) {
		if (type ? strcmp(type, "proc") == 0 : procfs_verify_root(mount_fd) == 0)
			return 0;
		return err_set(err, -EPERM, "only a proc file system may be mounted at /proc");
	}
	if (may_be_replaced(below + 1))
		return 0;
	return err_set(err, -EPERM, "cannot be mounted because it is inside /proc");
}
