/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acts against the kernel: what needs a capability, a device, or a system call that a sandbox has
 * no business with. Where an act would do harm if it worked, it asks for the least harmful form.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>

#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "acts.h"

enum verdict mount_filesystem(struct report *report)
{
	if (mount("none", "/tmp", "tmpfs", 0, NULL) == 0)
		return verdict(report, ESCAPED, "mounted tmpfs on /tmp");
	if (mount("proc", "/mnt", "proc", 0, NULL) == 0)
		return verdict(report, ESCAPED, "mounted a new procfs");
	if (mount("/", "/mnt", NULL, MS_BIND | MS_REC, NULL) == 0)
		return verdict(report, ESCAPED, "made a bind mount");
	if (syscall(SYS_fsopen, "ext4", 0) >= 0)
		return verdict(report, ESCAPED, "fsopen worked");
	if (errno == ENOSYS)
		errno = EPERM; /* a filter that hides the call */
	return refused(report, "mount, fsopen");
}

enum verdict lift_mask(struct report *report)
{
	static const char *const masked[] = { "/proc/kcore", "/proc/keys", "/proc/timer_list",
					      "/proc/scsi", "/sys/firmware" };

	for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++) {
		if (umount2(masked[i], MNT_DETACH) == 0)
			return verdict(report, ESCAPED, "unmounted the mask of %s", masked[i]);
	}
	if (mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
		return verdict(report, ESCAPED, "remounted /proc/sys writable");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
		return verdict(report, ESCAPED, "remounted / writable");
	return refused(report, "umount, remount");
}

enum verdict load_module(struct report *report)
{
	const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	static char image[4096];

	if (syscall(SYS_finit_module, fd, "", 0) == 0 || errno == ENOEXEC)
		return verdict(report, ESCAPED, "finit_module read the file");
	if (syscall(SYS_init_module, image, sizeof(image), "") == 0 || errno == ENOEXEC)
		return verdict(report, ESCAPED, "init_module read the image");
	return refused(report, "init_module");
}

enum verdict open_raw_socket(struct report *report)
{
	int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	struct if_nameindex *list;
	int links = 0;

	if (sock < 0)
		sock = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1 /* ICMP */);
	if (sock < 0)
		return refused(report, "socket");
	list = if_nameindex();
	for (struct if_nameindex *i = list; i && i->if_name; i++)
		links += strcmp(i->if_name, "lo") != 0;
	if (links)
		return verdict(report, ESCAPED, "a raw socket and %d links", links);
	return verdict(report, CONTAINED, "its network has nothing but loopback");
}

enum verdict open_device(struct report *report)
{
	static const struct {
		mode_t type;
		unsigned int major, minor;
	} nodes[] = { { S_IFCHR, 1, 1 },  { S_IFCHR, 1, 11 },  { S_IFCHR, 10, 232 },
		      { S_IFBLK, 8, 0 },  { S_IFBLK, 254, 0 }, { S_IFBLK, 7, 0 },
		      { S_IFBLK, 259, 0 } };
	int error = ENOENT;

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		(void)unlink("/tmp/node");
		if (mknod("/tmp/node", nodes[i].type | 0600,
			  makedev(nodes[i].major, nodes[i].minor)) < 0) {
			error = errno;
			continue;
		}
		/* ENXIO and ENODEV come from a driver that was reached: the cgroup let it through.
		 */
		if (open("/tmp/node", O_RDONLY | O_NONBLOCK | O_CLOEXEC) >= 0 || errno == ENXIO ||
		    errno == ENODEV)
			return verdict(report, ESCAPED, "opened device %u:%u", nodes[i].major,
				       nodes[i].minor);
		error = errno;
	}
	if (open("/dev/mem", O_RDONLY) >= 0 || open("/dev/kvm", O_RDWR) >= 0)
		return verdict(report, ESCAPED, "opened a node in /dev");
	errno = error;
	return refused(report, "mknod, open");
}

enum verdict write_sysctl(struct report *report)
{
	static const char *const files[] = {
		"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
		"/proc/sysrq-trigger",		 "/proc/sys/vm/overcommit_memory",
		"/sys/kernel/uevent_helper",	 "/proc/sys/fs/binfmt_misc/register"
	};
	int error = ENOENT;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (open(files[i], O_WRONLY | O_CLOEXEC) >= 0)
			return verdict(report, ESCAPED, "opened %s to write", files[i]);
		if (errno != ENOENT)
			error = errno;
	}
	errno = error;
	return refused(report, "open");
}

enum verdict set_clock(struct report *report)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (clock_settime(CLOCK_REALTIME, &now) == 0)
		return verdict(report, ESCAPED, "clock_settime worked");
	return refused(report, "clock_settime");
}

enum verdict reboot_host(struct report *report)
{
	/* Switches Ctrl-Alt-Del to its default; asks for the same right as a restart. */
	if (syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_ON,
		    NULL) == 0)
		return verdict(report, ESCAPED, "reboot worked");
	return refused(report, "reboot");
}

enum verdict gain_userns(struct report *report)
{
	if (unshare(CLONE_NEWUSER) == 0)
		return verdict(report, ESCAPED,
			       "unshare gave a user namespace with all capabilities");
	if (errno != EPERM && errno != ENOSYS && errno != ENOSPC)
		return verdict(report, ESCAPED, "unshare: unexpected errno %d", errno);
	return refused(report, "unshare");
}

enum verdict use_kernel_interfaces(struct report *report)
{
	static char zeros[256];
	const struct {
		const char *name;
		long result;
	} calls[] = {
		{ "bpf", syscall(SYS_bpf, 0, zeros, sizeof(zeros)) },
		{ "perf_event_open", syscall(SYS_perf_event_open, zeros, 0, -1, -1, 0) },
		{ "kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0) },
		{ "io_uring_setup", syscall(SYS_io_uring_setup, 8, zeros) },
		{ "add_key", syscall(SYS_add_key, "user", "caisson", "x", 1, -3) },
		{ "userfaultfd", syscall(SYS_userfaultfd, 0) },
		{ "swapon", syscall(SYS_swapon, "/tmp/none", 0) },
		{ "acct", syscall(SYS_acct, "/tmp/none") },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].result >= 0)
			return verdict(report, ESCAPED, "%s worked", calls[i].name);
	}
	return refused(report, "all eight");
}
