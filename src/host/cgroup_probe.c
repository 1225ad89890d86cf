/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quick way to the cgroup hierarchies, without mountinfo.
 *
 * Generating /proc/self/mountinfo costs the kernel 60 to 100 us on an empty host and milliseconds
 * on one with a thousand containers. Nearly always each hierarchy of /proc/self/cgroup is mounted
 * at /sys/fs/cgroup/NAME; statx(2) and statmount(2) (Linux 6.8) then tell what it is, about 4 us
 * each. Whatever is not as expected is -ENODATA, and the caller reads mountinfo.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <linux/magic.h>

#include "base/str.h"
#include "host/cgroup_internal.h"
#include "host/statmount.h"

/*
 * What is mounted at `path`, as far as `want` asks: 0, -ENOENT, -ENODATA for no mount point, an
 * answer without one of the parts, or no statmount(2).
 */
static int ask_mount(const char *path, uint64_t want, struct statmount_reply *reply)
{
	uint64_t id;
	const int r = statmount_id(AT_FDCWD, path, true, &id);

	if (r < 0)
		return r == -ENOENT ? -ENOENT : -ENODATA;
	return statmount_ask(id, want, reply) < 0 ? -ENODATA : 0;
}

/* Whether cgroup2 is mounted at the top: v1 hierarchies are then mounted nowhere. */
static bool top_is_v2(struct statmount_reply *reply)
{
	return ask_mount("/sys/fs/cgroup", STATMOUNT_WANT_SB_BASIC | STATMOUNT_WANT_MNT_ROOT,
			 reply) == 0 &&
	       reply->sb_magic == CGROUP2_SUPER_MAGIC;
}

/*
 * "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/systemd". A controller that is not there may be
 * somewhere else (RHEL 7 has "cpuacct,cpu" there): mountinfo knows.
 */
static int probe_v1(const char *controllers, char *path, size_t size, const char **ret_root)
{
	static struct statmount_reply reply;
	const char *name = str_after(controllers, "name=");
	int r;

	(void)snprintf(path, size, "/sys/fs/cgroup/%s", name ? name : controllers);
	if (strchr(path + strlen("/sys/fs/cgroup/"), '/'))
		return -ENODATA;
	r = ask_mount(path,
		      STATMOUNT_WANT_SB_BASIC | STATMOUNT_WANT_MNT_ROOT | STATMOUNT_WANT_MNT_OPTS,
		      &reply);
	if (r == -ENOENT && (name || top_is_v2(&reply)))
		return -ENOENT;
	if (r < 0 || reply.sb_magic != CGROUP_SUPER_MAGIC ||
	    !cgroup_carries_all(reply.text + reply.mnt_opts, controllers))
		return -ENODATA;
	*ret_root = reply.text + reply.mnt_root;
	return 0;
}

/* cgroup2 is at the top, or beside the v1 ones; beside them it may also be missing (-ENOENT). */
static int probe_v2(char *path, size_t size, const char **ret_root)
{
	static struct statmount_reply reply;
	int r = 0;

	(void)snprintf(path, size, "/sys/fs/cgroup");
	if (!top_is_v2(&reply)) {
		(void)snprintf(path, size, "/sys/fs/cgroup/unified");
		r = ask_mount(path, STATMOUNT_WANT_SB_BASIC | STATMOUNT_WANT_MNT_ROOT, &reply);
		if (r == -ENOENT)
			return r;
	}
	if (r < 0 || reply.sb_magic != CGROUP2_SUPER_MAGIC)
		return -ENODATA;
	*ret_root = reply.text + reply.mnt_root;
	return 0;
}

int cgroup_probe_mount(const char *controllers, char *path, size_t size, const char **ret_root)
{
	return *controllers ? probe_v1(controllers, path, size, ret_root)
			    : probe_v2(path, size, ret_root);
}
