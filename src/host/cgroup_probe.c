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
#include <sys/syscall.h>

#include <linux/magic.h>

#include "base/str.h"
#include "host/cgroup_internal.h"

/* linux/mount.h of 6.8 and later; the build host's headers may be older. */
#ifndef SYS_statmount
#define SYS_statmount 457
#endif
#define MNT_ID_UNIQUE	   0x00004000u /* STATX_MNT_ID_UNIQUE */
#define WANT_SB_BASIC	   0x00000001u
#define WANT_MNT_ROOT	   0x00000008u
#define WANT_MNT_OPTS	   0x00000080u
#define STATMOUNT_TEXT_MAX 1024

struct mount_request { /* struct mnt_id_req, first version */
	uint32_t size, spare;
	uint64_t mnt_id, param;
};

struct mount_reply { /* struct statmount */
	uint32_t size, mnt_opts;
	uint64_t mask;
	uint32_t sb_dev_major, sb_dev_minor;
	uint64_t sb_magic;
	uint32_t sb_flags, fs_type;
	uint64_t mnt_id, mnt_parent_id;
	uint32_t mnt_id_old, mnt_parent_id_old;
	uint64_t mnt_attr, mnt_propagation, mnt_peer_group, mnt_master, propagate_from;
	uint32_t mnt_root, mnt_point;
	uint64_t spare[50];
	char text[STATMOUNT_TEXT_MAX]; /* strings; the fields above are offsets into it */
};
_Static_assert(offsetof(struct mount_reply, text) == 512, "strings of statmount(2) begin at 512");

/*
 * What is mounted at `path`, as far as `want` asks: 0, -ENOENT, -ENODATA for no mount point, an
 * answer without one of the parts, or no statmount(2).
 */
static int ask_mount(const char *path, uint64_t want, struct mount_reply *reply)
{
	struct statx x;
	struct mount_request request = { .size = sizeof(request) };

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, MNT_ID_UNIQUE, &x) < 0)
		return errno == ENOENT ? -ENOENT : -ENODATA;
	if (!(x.stx_mask & MNT_ID_UNIQUE) || !(x.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return -ENODATA;
	request.mnt_id = x.stx_mnt_id;
	request.param = want;
	if (syscall(SYS_statmount, &request, reply, sizeof(*reply), 0) < 0 ||
	    (reply->mask & want) != want || reply->mnt_root >= STATMOUNT_TEXT_MAX ||
	    reply->mnt_opts >= STATMOUNT_TEXT_MAX)
		return -ENODATA;
	reply->text[STATMOUNT_TEXT_MAX - 1] = '\0';
	return 0;
}

/* Whether cgroup2 is mounted at the top: v1 hierarchies are then mounted nowhere. */
static bool top_is_v2(struct mount_reply *reply)
{
	return ask_mount("/sys/fs/cgroup", WANT_SB_BASIC | WANT_MNT_ROOT, reply) == 0 &&
	       reply->sb_magic == CGROUP2_SUPER_MAGIC;
}

/*
 * "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/systemd". A controller that is not there may be
 * somewhere else (RHEL 7 has "cpuacct,cpu" there): mountinfo knows.
 */
static int probe_v1(const char *controllers, char *path, size_t size, const char **ret_root)
{
	static struct mount_reply reply;
	const char *name = str_after(controllers, "name=");
	int r;

	(void)snprintf(path, size, "/sys/fs/cgroup/%s", name ? name : controllers);
	if (strchr(path + strlen("/sys/fs/cgroup/"), '/'))
		return -ENODATA;
	r = ask_mount(path, WANT_SB_BASIC | WANT_MNT_ROOT | WANT_MNT_OPTS, &reply);
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
	static struct mount_reply reply;
	int r = 0;

	(void)snprintf(path, size, "/sys/fs/cgroup");
	if (!top_is_v2(&reply)) {
		(void)snprintf(path, size, "/sys/fs/cgroup/unified");
		r = ask_mount(path, WANT_SB_BASIC | WANT_MNT_ROOT, &reply);
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
