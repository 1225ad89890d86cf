/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/mount_guard.h"

#include <errno.h>
#include <string.h>

#include "base/proc_guard.h"
#include "host/procfs.h"

int mount_guard_check(const char *path, const char *type, int mount_fd, struct err *err)
{
	switch (proc_place_of(path)) {
	case PROC_PLACE_FREE:
		return 0;
	case PROC_PLACE_PROC:
		if (type ? strcmp(type, "proc") == 0 : procfs_verify_root(mount_fd) == 0)
			return 0;
		return err_set(err, -EPERM, "only a proc file system may be mounted at /proc");
	default:
		return err_set(err, -EPERM, "cannot be mounted because it is inside /proc");
	}
}
