/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/namespaces.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/fd.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

int namespace_flag(enum oci_ns kind)
{
	static const int flags[OCI_NS_MAX] = {
		[OCI_NS_USER] = CLONE_NEWUSER, [OCI_NS_MOUNT] = CLONE_NEWNS,
		[OCI_NS_PID] = CLONE_NEWPID,   [OCI_NS_NETWORK] = CLONE_NEWNET,
		[OCI_NS_IPC] = CLONE_NEWIPC,   [OCI_NS_UTS] = CLONE_NEWUTS,
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
