/* SPDX-License-Identifier: Apache-2.0 */
#include "jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/resource.h>

#include "base/sys.h"

/* mount(2), umount2(2); <sys/mount.h> and <linux/mount.h> do not go together. */
#define JAIL_MS_REC	16384
#define JAIL_MS_SLAVE	(1 << 19)
#define JAIL_MNT_DETACH 2

int jail_close_others(const int *keep, size_t keep_len)
{
	unsigned int first = 0;
	long r;

	for (size_t i = 0; i < keep_len; i++) {
		const unsigned int fd = (unsigned int)keep[i];

		if (keep[i] < 0 || fd < first)
			return -EINVAL;
		r = fd > first ? SYS3(SYS_close_range, first, fd - 1, 0) : 0;
		if (r < 0)
			return (int)r;
		first = fd + 1;
	}
	return (int)SYS3(SYS_close_range, first, ~0u, 0);
}

/* A descriptor for an empty file system that is mounted nowhere. */
static long make_empty(void)
{
	const long fs = SYS2(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	long r;

	if (fs < 0)
		return fs;
	r = SYS5(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", "4k", 0);
	if (r == 0)
		r = SYS5(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "nr_inodes", "1", 0);
	if (r == 0)
		r = SYS5(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "555", 0);
	if (r == 0)
		r = SYS5(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0);
	if (r == 0)
		r = SYS3(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
			 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				 MOUNT_ATTR_NOEXEC);
	(void)SYS1(SYS_close, fs);
	return r;
}

/*
 * The new root lies over the old one and becomes the root; the old one is then mounted over it.
 * Where the root cannot be moved (an initramfs), chroot(2): no descriptor of a directory outside is
 * left then but those that the process keeps on purpose.
 */
static long move_root(long mount, bool *ret_old)
{
	long r = SYS5(SYS_move_mount, mount, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);

	if (r == 0)
		r = SYS1(SYS_fchdir, mount);
	if (r < 0)
		return r;
	r = SYS2(SYS_pivot_root, ".", ".");
	*ret_old = r == 0;
	return r == -EINVAL ? SYS1(SYS_chroot, ".") : r;
}

int jail_enter_empty_root(bool *ret_old)
{
	const long mount = make_empty();
	long r;

	if (mount < 0)
		return (int)mount;
	r = move_root(mount, ret_old);
	(void)SYS1(SYS_close, mount);
	return (int)r;
}

int jail_leave_old_root(void)
{
	const long r = SYS2(SYS_umount2, ".", JAIL_MNT_DETACH);

	return (int)(r < 0 ? r : SYS1(SYS_chdir, "/"));
}

int jail_empty_root(void)
{
	bool old;
	long r = SYS1(SYS_unshare, CLONE_NEWNS);

	if (r == 0)
		r = SYS5(SYS_mount, 0, "/", 0, JAIL_MS_REC | JAIL_MS_SLAVE, 0);
	if (r == 0)
		r = jail_enter_empty_root(&old);
	if (r == 0)
		r = old ? jail_leave_old_root() : SYS1(SYS_chdir, "/");
	return (int)r;
}

int jail_no_dump(void)
{
	const struct rlimit64 core = { 1, 1 };
	long r = SYS4(SYS_prlimit64, 0, RLIMIT_CORE, &core, 0);

	/* A hard limit of 0 cannot be raised without CAP_SYS_RESOURCE; not dumpable stands by
	 * itself. */
	if (r == 0 || r == -EPERM)
		r = SYS5(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r == 0)
		r = SYS5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)r;
}

/* Without CAP_SETPCAP the bounding set stays; no_new_privs and the absence of exec make it empty.
 */
static long drop_bounding(void)
{
	long r = 0;

	for (unsigned int cap = 0; r == 0 && cap < 64; cap++)
		r = SYS5(SYS_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
	return r == -EINVAL || r == -EPERM ? 0 : r;
}

int jail_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	long r = SYS5(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);

	if (r == 0)
		r = drop_bounding();
	if (r == 0)
		r = SYS2(SYS_capget, &head, data);
	if (r < 0)
		return (int)r;
	for (unsigned int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return (int)SYS2(SYS_capset, &head, data);
}

int jail_filter(const struct sock_filter *filter, unsigned short len, uint32_t flags)
{
	const struct sock_fprog program = {
		.len = len,
		.filter = (struct sock_filter *)(uintptr_t)filter,
	};
	const long r = SYS3(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);

	return r > 0 ? -ESRCH : (int)r; /* TSYNC: a thread that cannot be taken along */
}

/* No table of pointers: in a program without start files nobody would relocate it. */
#if defined(__clang__)
#define NO_TABLE
#else
#define NO_TABLE __attribute__((optimize("no-tree-switch-conversion")))
#endif

NO_TABLE const char *jail_stage_name(enum jail_stage stage)
{
	switch (stage) {
	case JAIL_DESCRIPTORS:
		return "descriptors";
	case JAIL_ROOT:
		return "empty root";
	case JAIL_DUMP:
		return "dump";
	case JAIL_LANDLOCK:
		return "landlock";
	case JAIL_CAPABILITIES:
		return "capabilities";
	case JAIL_FILTER:
		return "filter";
	}
	return "?";
}

int jail_enter(const struct jail_plan *plan, enum jail_stage *ret_failed)
{
	enum jail_stage stage = JAIL_DESCRIPTORS;
	int r = jail_close_others(plan->keep, plan->keep_len);

	if (r == 0 && !plan->rooted) {
		stage = JAIL_ROOT;
		r = jail_empty_root();
	}
	if (r == 0) {
		stage = JAIL_DUMP;
		r = jail_no_dump();
	}
	if (r == 0) {
		stage = JAIL_LANDLOCK;
		r = jail_landlock(plan->trees, plan->trees_len);
	}
	if (r == 0) {
		stage = JAIL_CAPABILITIES;
		r = jail_capabilities(plan->capabilities);
	}
	if (r == 0) {
		stage = JAIL_FILTER;
		r = jail_filter(plan->filter, plan->filter_len, plan->filter_flags);
	}
	if (r < 0)
		*ret_failed = stage;
	return r;
}
