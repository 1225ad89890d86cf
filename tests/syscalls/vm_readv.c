/* SPDX-License-Identifier: Apache-2.0 */
/* process_vm_readv(2), process_vm_writev(2), kcmp(2). */
#include <linux/kcmp.h>
#include <sys/uio.h>

#include "harness.h"

static char area[8192];
static pid_t child;
static struct gate ready, end;

/* A child whose `area` reads "child". */
static void start(void)
{
	ready = gate_new();
	end = gate_new();
	strcpy(area, "parent");
	CHILD (child) {
		strcpy(area, "child");
		gate_open(&ready);
		gate_pass(&end);
		_exit(area[0] == 'C' ? 7 : 0);
	}
	gate_pass(&ready);
}

static void need_access(void)
{
	char c;
	struct iovec l = { &c, 1 }, r = { area, 1 };

	if (process_vm_readv(child, &l, 1, &r, 1, 0) == -1 && (errno == EPERM || errno == ENOSYS)) {
		kill(child, SIGKILL);
		SKIP("process_vm_readv of a child: %s", test_errno_name(errno));
	}
}

TEST(read)
{
	char a[3], b[10] = "";
	struct iovec local[2] = { { a, 3 }, { b, 10 } },
		     remote[2] = { { area, 2 }, { area + 2, 4 } };

	start();
	need_access();
	CHECK_EQ(process_vm_readv(child, local, 2, remote, 2, 0), 6);
	CHECK(!memcmp(a, "chi", 3));
	CHECK_STR(b, "ld");
	CHECK_STR(area, "parent");
	gate_open(&end);
	wait_ok(child);
}

TEST(write)
{
	struct iovec local = { "C", 1 }, remote = { area, 1 };

	start();
	need_access();
	CHECK_EQ(process_vm_writev(child, &local, 1, &remote, 1, 0), 1);
	CHECK_STR(area, "parent");
	gate_open(&end);
	wait_exit(child, 7);
}

TEST(errors)
{
	char buf[8];
	struct iovec local = { buf, 8 }, remote = { area, 8 }, wild = { BAD_PTR, 8 };

	start();
	need_access();
	CHECK_ERRNO(process_vm_readv(0x3fffffff, &local, 1, &remote, 1, 0), ESRCH);
	CHECK_ERRNO(process_vm_readv(child, &local, 1, &remote, 1, 1), EINVAL);
	CHECK_ERRNO(process_vm_readv(child, &local, 1, &wild, 1, 0), EFAULT);
	CHECK_ERRNO(process_vm_readv(child, &wild, 1, &remote, 1, 0), EFAULT);
	CHECK_ERRNO(process_vm_readv(child, BAD_PTR, 1, &remote, 1, 0), EFAULT);
	CHECK_ERRNO(process_vm_readv(child, &local, 1025, &remote, 1, 0), EINVAL);
	CHECK_EQ(process_vm_readv(child, &local, 0, &remote, 1, 0), 0);
	gate_open(&end);
	wait_ok(child);
}

TEST(partial)
{
	char buf[16];
	struct iovec local = { buf, 16 }, remote[2] = { { area, 8 }, { BAD_PTR, 8 } };

	start();
	need_access();
	CHECK_EQ(process_vm_readv(child, &local, 1, remote, 2, 0), 8);
	gate_open(&end);
	wait_ok(child);
}

TEST(foreign_user)
{
	char buf[8];
	struct iovec local = { buf, 8 }, remote = { area, 8 };

	need_root();
	start();
	need_access();
	become_nobody();
	CHECK_ERRNO(process_vm_readv(child, &local, 1, &remote, 1, 0), EPERM);
}

TEST(oneself)
{
	char buf[8];
	struct iovec local = { buf, 7 }, remote = { "myself", 7 };

	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == -1 && errno == EPERM)
		SKIP("not allowed here");
	CHECK_STR(buf, "myself");
}

TEST(compare)
{
	int a = OK(open("/dev/null", O_RDONLY)), b = OK(dup(a)),
	    c = OK(open("/dev/null", O_RDONLY));
	long r = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b);

	if (r == -1 && (errno == ENOSYS || errno == EPERM))
		SKIP("no kcmp: %s", test_errno_name(errno));
	CHECK_EQ(r, 0);
	r = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, c);
	CHECK(r == 1 || r == 2);
	CHECK_ERRNO(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, 199), EBADF);
	CHECK_ERRNO(syscall(SYS_kcmp, getpid(), getpid(), 999, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_kcmp, getpid(), 0x3fffffff, KCMP_FILE, a, b), ESRCH);
	CHECK_EQ(syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0), 0);
}
