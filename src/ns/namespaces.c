/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/namespaces.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "host/caps.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

int namespace_flag(enum oci_ns kind)
{
	static const int flags[OCI_NS_MAX] = {
		[OCI_NS_USER] = CLONE_NEWUSER,	   [OCI_NS_MOUNT] = CLONE_NEWNS,
		[OCI_NS_PID] = CLONE_NEWPID,	   [OCI_NS_NETWORK] = CLONE_NEWNET,
		[OCI_NS_IPC] = CLONE_NEWIPC,	   [OCI_NS_UTS] = CLONE_NEWUTS,
		[OCI_NS_CGROUP] = CLONE_NEWCGROUP, [OCI_NS_TIME] = CLONE_NEWTIME,
	};

	return flags[kind];
}

unsigned int namespaces_new(const struct oci_linux *linux_spec)
{
	unsigned int flags = 0;

	for (enum oci_ns kind = 0; kind < OCI_NS_MAX; kind++) {
		if (linux_spec->ns[kind].set && !linux_spec->ns[kind].path)
			flags |= (unsigned int)namespace_flag(kind);
	}
	return flags;
}

int namespaces_open(const struct oci_linux *linux_spec, struct ns_joined *ret, struct err *err)
{
	for (enum oci_ns kind = 0; kind < OCI_NS_MAX; kind++) {
		const char *path = linux_spec->ns[kind].path;
		int type;

		if (!linux_spec->ns[kind].set || !path)
			continue;
		ret->fd[kind] = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (ret->fd[kind] < 0)
			return err_sys(err, -errno, "linux.namespaces: open %s namespace %s",
				       oci_ns_name(kind), path);
		type = ioctl(ret->fd[kind], NS_GET_NSTYPE);
		if (type != namespace_flag(kind))
			return err_set(err, -EINVAL, "linux.namespaces: %s is not a %s namespace",
				       path, oci_ns_name(kind));
	}
	return 0;
}

void namespaces_close(struct ns_joined *joined)
{
	for (enum oci_ns kind = 0; kind < OCI_NS_MAX; kind++) {
		auto_close_p(&joined->fd[kind]);
		joined->fd[kind] = -EBADF;
	}
}

int namespace_enter(const struct ns_joined *joined, enum oci_ns kind, struct err *err)
{
	if (joined->fd[kind] < 0)
		return 0;
	if (setns(joined->fd[kind], namespace_flag(kind)) < 0)
		return err_sys(err, -errno, "join the %s namespace", oci_ns_name(kind));
	return 0;
}

int namespace_new_time(const struct oci_linux *linux_spec, struct err *err)
{
	const struct {
		const char *clock;
		const struct oci_time_offset *offset;
	} offsets[] = { { "monotonic", &linux_spec->monotonic_offset },
			{ "boottime", &linux_spec->boottime_offset } };
	AUTO_CLOSE int fd = -EBADF;

	if (unshare(CLONE_NEWTIME) < 0)
		return err_sys(err, -errno, "make the time namespace");
	for (size_t i = 0; i < 2; i++) {
		char line[80];
		int r;

		if (!offsets[i].offset->set)
			continue;
		(void)snprintf(line, sizeof(line), "%s %lld %u\n", offsets[i].clock,
			       (long long)offsets[i].offset->secs, offsets[i].offset->nanosecs);
		r = fd_write_file(AT_FDCWD, "/proc/self/timens_offsets", line);
		if (r < 0)
			return err_sys(err, r, "linux.timeOffsets.%s", offsets[i].clock);
	}
	/* Children would be born in it; this process enters it by hand. */
	fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
		return err_sys(err, -errno, "enter the time namespace");
	return 0;
}

/* exec(2) takes the capabilities of everybody but uid 0, except the ambient ones. */
static int keep_caps_over_exec(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		data[i].inheritable = data[i].effective = data[i].permitted;
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	for (unsigned int cap = 0; cap <= caps_last(); cap++) {
		if (data[cap / 32].permitted & 1u << cap % 32 &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long)cap, 0L, 0L) < 0)
			return -errno;
	}
	return 0;
}

int namespace_become_root(const struct oci_user *user, struct err *err)
{
	bool root = true;
	int r;

	/* Denied when an unprivileged user wrote the map alone (user_namespaces(7)): keep the
	 * groups. */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return err_sys(err, -errno, "setgroups in the user namespace");
	/* EINVAL: an id that is not mapped. */
	if (setresgid(0, 0, 0) < 0) {
		if (errno != EINVAL || setresgid(user->gid, user->gid, user->gid) < 0)
			return err_sys(
				err, -errno,
				"enter the user namespace: neither 0 nor process.user.gid %u is "
				"mapped in linux.gidMappings: setresgid",
				user->gid);
	}
	if (setresuid(0, 0, 0) < 0) {
		if (errno != EINVAL || setresuid(user->uid, user->uid, user->uid) < 0)
			return err_sys(
				err, -errno,
				"enter the user namespace: neither 0 nor process.user.uid %u is "
				"mapped in linux.uidMappings: setresuid",
				user->uid);
		root = false;
	}
	r = root ? 0 : keep_caps_over_exec();
	return r < 0 ? err_sys(err, r, "keep the capabilities of the user namespace") : 0;
}
