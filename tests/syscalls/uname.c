/* SPDX-License-Identifier: Apache-2.0 */
/* uname(2), sethostname(2), setdomainname(2). */
#include <sys/utsname.h>

#include "harness.h"

TEST(fields)
{
	struct utsname u;
	int major = 0, minor = 0;

	memset(&u, 0xff, sizeof(u));
	OK(uname(&u));
	CHECK_STR(u.sysname, "Linux");
	CHECK_STR(u.machine, "x86_64");
	CHECK(memchr(u.nodename, 0, sizeof(u.nodename)));
	CHECK(memchr(u.release, 0, sizeof(u.release)));
	CHECK(memchr(u.version, 0, sizeof(u.version)));
	CHECK(memchr(u.domainname, 0, sizeof(u.domainname)));
	CHECK_EQ(sscanf(u.release, "%d.%d", &major, &minor), 2);
	CHECK(major > 6 || (major == 6 && minor >= 1));
	CHECK(u.version[0] == '#');
}

TEST(bad_address)
{
	CHECK_ERRNO(syscall(SYS_uname, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_uname, KERNEL_PTR), EFAULT);
}

TEST(same_as_proc_sys_kernel)
{
	struct utsname u;
	char text[256];

	OK(uname(&u));
	if (access("/proc/sys/kernel/osrelease", R_OK))
		SKIP("no /proc/sys/kernel/osrelease");
	read_file("/proc/sys/kernel/osrelease", text, sizeof(text));
	text[strcspn(text, "\n")] = 0;
	CHECK_STR(text, u.release);
	read_file("/proc/sys/kernel/hostname", text, sizeof(text));
	text[strcspn(text, "\n")] = 0;
	CHECK_STR(text, u.nodename);
	read_file("/proc/sys/kernel/ostype", text, sizeof(text));
	CHECK_STR(text, "Linux\n");
}

TEST(set_without_right)
{
	need_root();
	become_nobody();
	CHECK_ERRNO(sethostname("x", 1), EPERM);
	CHECK_ERRNO(setdomainname("x", 1), EPERM);
}

TEST(set_in_a_namespace_of_its_own)
{
	struct utsname u;
	char before[65], name[66];
	pid_t pid;

	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	OK(uname(&u));
	strcpy(before, u.nodename);
	memset(name, 'n', sizeof(name));
	CHILD (pid) {
		if (unshare(CLONE_NEWUTS))
			SKIP("no uts namespace: %s", test_errno_name(errno));
		OK(sethostname("inside", 6));
		OK(setdomainname("domain", 6));
		OK(uname(&u));
		CHECK_STR(u.nodename, "inside");
		CHECK_STR(u.domainname, "domain");
		OK(sethostname(name, 64));
		OK(uname(&u));
		CHECK_EQ(strlen(u.nodename), 64);
		CHECK_ERRNO(sethostname(name, 65), EINVAL);
		CHECK_ERRNO(syscall(SYS_sethostname, name, -1), EINVAL);
		CHECK_ERRNO(syscall(SYS_sethostname, BAD_PTR, 5), EFAULT);
		CHECK_ERRNO(syscall(SYS_setdomainname, BAD_PTR, 5), EFAULT);
		OK(sethostname("", 0));
		OK(uname(&u));
		CHECK_STR(u.nodename, "");
	}
	wait_ok(pid);
	OK(uname(&u));
	CHECK_STR(u.nodename, before);
}
