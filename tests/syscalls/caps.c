/* SPDX-License-Identifier: Apache-2.0 */
/* capget(2), capset(2); prctl(2): bounding and ambient sets, securebits, keepcaps, no_new_privs. */
#include <linux/securebits.h>
#include <pthread.h>
#include <sys/prctl.h>

#include "harness.h"

struct caps {
	uint64_t effective, permitted, inheritable;
};

static struct caps get(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	OK(syscall(SYS_capget, &head, d));
	return (struct caps){ d[0].effective | (uint64_t)d[1].effective << 32,
			      d[0].permitted | (uint64_t)d[1].permitted << 32,
			      d[0].inheritable | (uint64_t)d[1].inheritable << 32 };
}

static long set(struct caps c)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = {
		{ (uint32_t)c.effective, (uint32_t)c.permitted, (uint32_t)c.inheritable },
		{ (uint32_t)(c.effective >> 32), (uint32_t)(c.permitted >> 32),
		  (uint32_t)(c.inheritable >> 32) },
	};

	return syscall(SYS_capset, &head, d);
}

#define BIT(cap) (1ULL << (cap))

TEST(versions)
{
	struct __user_cap_header_struct head = { 0x123, 0 };
	struct __user_cap_data_struct d[2];

	/* An unknown version is answered with the right one; without data that is a probe. */
	CHECK_ERRNO(syscall(SYS_capget, &head, d), EINVAL);
	CHECK_EQ(head.version, _LINUX_CAPABILITY_VERSION_3);
	head.version = 0x123;
	OK(syscall(SYS_capget, &head, NULL));
	CHECK_EQ(head.version, _LINUX_CAPABILITY_VERSION_3);
	head.version = 0x123;
	CHECK_ERRNO(syscall(SYS_capset, &head, d), EINVAL);
	head = (struct __user_cap_header_struct){ _LINUX_CAPABILITY_VERSION_1, 0 };
	OK(syscall(SYS_capget, &head, d));
}

TEST(errors)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0x3fffffff };
	struct __user_cap_data_struct d[2] = { 0 };

	CHECK_ERRNO(syscall(SYS_capget, &head, d), ESRCH);
	head.pid = -1;
	CHECK_ERRNO(syscall(SYS_capget, &head, d), EINVAL);
	head.pid = getppid();
	CHECK_ERRNO(syscall(SYS_capset, &head, d), EPERM);
	CHECK_ERRNO(syscall(SYS_capget, BAD_PTR, d), EFAULT);
	head.pid = 0;
	CHECK_ERRNO(syscall(SYS_capget, &head, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_capset, &head, BAD_PTR), EFAULT);
}

TEST(of_another_process)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];
	struct gate ready = gate_new(), end = gate_new();
	pid_t pid;

	CHILD (pid) {
		OK(set((struct caps){ 0 }));
		gate_open(&ready);
		gate_pass(&end);
	}
	gate_pass(&ready);
	head.pid = pid;
	OK(syscall(SYS_capget, &head, d));
	CHECK_EQ(d[0].permitted | d[1].permitted, 0);
	gate_open(&end);
	wait_ok(pid);
}

TEST(dropping_is_for_good)
{
	struct caps c = get(), less;

	need_root();
	if (!(c.permitted & BIT(CAP_CHOWN)))
		SKIP("no CAP_CHOWN");
	write_file("f", "");
	less = c;
	less.effective &= ~BIT(CAP_CHOWN);
	OK(set(less));
	CHECK_ERRNO(chown("f", 1, 1), EPERM);
	OK(set(c));
	OK(chown("f", 1, 1));
	less.permitted &= ~BIT(CAP_CHOWN);
	OK(set(less));
	CHECK_ERRNO(set(c), EPERM);
	less.effective |= BIT(CAP_CHOWN);
	CHECK_ERRNO(set(less), EPERM);
}

TEST(dac_override_counts)
{
	struct caps c = get();

	need_root();
	write_file("f", "");
	OK(chown("f", 5, 5));
	OK(chmod("f", 0));
	if (c.effective & BIT(CAP_DAC_OVERRIDE))
		OK(open("f", O_RDWR));
	c.effective &= ~(BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH));
	OK(set(c));
	CHECK_ERRNO(open("f", O_RDWR), EACCES);
	CHECK_ERRNO(open("f", O_RDONLY), EACCES);
}

TEST(leaving_root_clears)
{
	need_root();
	OK(syscall(SYS_setresuid, -1, 1000, -1));
	CHECK_EQ(get().effective, 0);
	CHECK(get().permitted != 0);
	OK(syscall(SYS_setresuid, -1, 0, -1));
	CHECK_EQ(get().effective, get().permitted);
	OK(syscall(SYS_setresuid, 1000, 1000, 1000));
	CHECK_EQ(get().permitted, 0);
}

TEST(keepcaps)
{
	uint64_t before = get().permitted;

	need_root();
	CHECK_EQ(prctl(PR_GET_KEEPCAPS), 0);
	OK(prctl(PR_SET_KEEPCAPS, 1));
	CHECK_EQ(prctl(PR_GET_KEEPCAPS), 1);
	OK(syscall(SYS_setresuid, 1000, 1000, 1000));
	CHECK_EQ(get().permitted, before);
	CHECK_EQ(get().effective, 0);
	CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
}

TEST(bounding_set)
{
	struct caps c = get();

	CHECK_ERRNO(prctl(PR_CAPBSET_READ, 64), EINVAL);
	need_cap(CAP_SETPCAP, "CAP_SETPCAP");
	CHECK_ERRNO(prctl(PR_CAPBSET_DROP, 64), EINVAL);
	CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 1);
	OK(prctl(PR_CAPBSET_DROP, CAP_CHOWN));
	CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 0);
	/* What one holds is not taken away, but cannot become inheritable. */
	CHECK_EQ(get().permitted, c.permitted);
	c.inheritable |= BIT(CAP_CHOWN);
	c.effective &= ~BIT(CAP_SETPCAP);
	CHECK_ERRNO(set(c), EPERM);
	OK(set((struct caps){ 0, 0, 0 }));
	CHECK_ERRNO(prctl(PR_CAPBSET_DROP, CAP_KILL), EPERM);
}

TEST(ambient_set)
{
	struct caps c = get();

	need_root();
	CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 0);
	CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 64, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_CAP_AMBIENT, 77, CAP_KILL, 0, 0), EINVAL);
	c.inheritable &= ~BIT(CAP_KILL);
	OK(set(c));
	CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0), EPERM);
	if (!(c.permitted & BIT(CAP_KILL)))
		SKIP("no CAP_KILL");
	c.inheritable |= BIT(CAP_KILL);
	OK(set(c));
	OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
	CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 1);
	OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 0);
	OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
	/* Giving up the inheritable one gives up the ambient one. */
	c.inheritable &= ~BIT(CAP_KILL);
	OK(set(c));
	CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 0);
}

int test_subject(int argc, char **argv)
{
	char buf[4096];
	struct caps c = get();

	read_file("/proc/self/status", buf, sizeof(buf));
	if (argc > 1 && !strcmp(argv[1], "nnp"))
		return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
				       strstr(buf, "\nNoNewPrivs:\t1\n")
			       ? 5
			       : 6;
	if (c.effective == BIT(CAP_KILL))
		return 5;
	return c.effective ? 6 : 7;
}

TEST(exec_of_an_ordinary_user_loses_all_but_ambient)
{
	struct caps c = get();
	pid_t pid;

	need_root();
	if (!(c.permitted & BIT(CAP_KILL)))
		SKIP("no CAP_KILL");
	CHILD (pid) {
		OK(prctl(PR_SET_KEEPCAPS, 1));
		OK(syscall(SYS_setresuid, 1000, 1000, 1000));
		c.inheritable = 0;
		OK(set(c));
		execl(test_self(), "subject", NULL);
		FAIL("execl: %s", test_errno_name(errno));
	}
	wait_exit(pid, 7);
	CHILD (pid) {
		OK(prctl(PR_SET_KEEPCAPS, 1));
		OK(syscall(SYS_setresuid, 1000, 1000, 1000));
		c.inheritable = BIT(CAP_KILL);
		OK(set(c));
		OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
		execl(test_self(), "subject", NULL);
		FAIL("execl: %s", test_errno_name(errno));
	}
	wait_exit(pid, 5);
}

TEST(exec_of_root_gets_what_the_bounding_set_allows)
{
	pid_t pid;

	need_root();
	need_cap(CAP_SETPCAP, "CAP_SETPCAP");
	CHILD (pid) {
		for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap) >= 0; cap++) {
			if (cap != CAP_KILL)
				OK(prctl(PR_CAPBSET_DROP, cap));
		}
		execl(test_self(), "subject", NULL);
	}
	wait_exit(pid, 5);
}

TEST(no_new_privs)
{
	pid_t pid;

	CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0), EINVAL);
	CHILD (pid) {
		OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
		CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
		execl(test_self(), "subject", "nnp", NULL);
	}
	wait_exit(pid, 5);
}

TEST(securebits)
{
	int before = OK(prctl(PR_GET_SECUREBITS));

	need_root();
	need_cap(CAP_SETPCAP, "CAP_SETPCAP");
	OK(prctl(PR_SET_SECUREBITS, before | SECBIT_NO_SETUID_FIXUP));
	CHECK_EQ(prctl(PR_GET_SECUREBITS), before | SECBIT_NO_SETUID_FIXUP);
	/* Now a change of user leaves the capabilities alone. */
	uint64_t permitted = get().permitted;

	OK(syscall(SYS_setresuid, 1000, 1000, 1000));
	CHECK_EQ(get().permitted, permitted);
	OK(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED));
	CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0), EPERM);
	CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 1 << 20), EPERM);
}

TEST(shown_in_proc)
{
	char buf[4096];
	struct caps c = get();
	char *line;

	read_file("/proc/self/status", buf, sizeof(buf));
	line = strstr(buf, "\nCapPrm:\t");
	CHECK(line);
	CHECK_EQ(strtoull(line + 9, NULL, 16), c.permitted);
	line = strstr(buf, "\nCapEff:\t");
	CHECK(line);
	CHECK_EQ(strtoull(line + 9, NULL, 16), c.effective);
	CHECK(strstr(buf, "\nCapBnd:\t"));
	CHECK(strstr(buf, "\nCapAmb:\t"));
}
