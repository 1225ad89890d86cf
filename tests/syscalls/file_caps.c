/* SPDX-License-Identifier: Apache-2.0 */
/* File capabilities: security.capability of programs, and what execve(2) makes of it. */
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/xattr.h>

#include "harness.h"

#define NAME	 "security.capability"
#define BIT(cap) (1ULL << (cap))

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

static void set(struct caps c)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = {
		{ (uint32_t)c.effective, (uint32_t)c.permitted, (uint32_t)c.inheritable },
		{ (uint32_t)(c.effective >> 32), (uint32_t)(c.permitted >> 32),
		  (uint32_t)(c.inheritable >> 32) },
	};

	OK(syscall(SYS_capset, &head, d));
}

/* An attribute of version 2 or 3. */
static struct vfs_ns_cap_data attribute(int version, bool effective, uint64_t permitted,
					uint64_t inheritable, uint32_t root)
{
	return (struct vfs_ns_cap_data){
		.magic_etc = (version == 2 ? VFS_CAP_REVISION_2 : VFS_CAP_REVISION_3) |
			     (effective ? VFS_CAP_FLAGS_EFFECTIVE : 0),
		.data = { { (uint32_t)permitted, (uint32_t)inheritable },
			  { (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32) } },
		.rootid = root,
	};
}

static long give(const char *path, int version, bool effective, uint64_t permitted,
		 uint64_t inheritable)
{
	struct vfs_ns_cap_data d = attribute(version, effective, permitted, inheritable, 0);

	return setxattr(path, NAME, &d, version == 2 ? XATTR_CAPS_SZ_2 : XATTR_CAPS_SZ_3, 0);
}

/* A program ./p of ours, in a directory that anybody may pass. Skips where no file has caps. */
static void prepare(void)
{
	int fd;

	need_root();
	need_cap(CAP_SETFCAP, "CAP_SETFCAP");
	need_cap(CAP_KILL, "CAP_KILL");
	OK(chmod(".", 0755));
	copy_self("p");
	fd = OK(open(".", O_RDONLY | O_DIRECTORY));
	OK(fchdir(fd));
	if (give("p", 2, true, BIT(CAP_KILL), 0) < 0 && (errno == EOPNOTSUPP || errno == EPERM))
		SKIP("no file capabilities here: %s", test_errno_name(errno));
}

/* Exit code: 1 effective CAP_KILL, 2 permitted, 4 AT_SECURE, 8 anything else permitted, 16
 * dumpable, 32 effective user root. */
int test_subject(int argc, char **argv)
{
	const struct caps c = get();

	return (c.effective & BIT(CAP_KILL) ? 1 : 0) | (c.permitted & BIT(CAP_KILL) ? 2 : 0) |
	       (getauxval(AT_SECURE) ? 4 : 0) | (c.permitted & ~BIT(CAP_KILL) ? 8 : 0) |
	       (prctl(PR_GET_DUMPABLE) ? 16 : 0) | (geteuid() == 0 ? 32 : 0);
}

enum {
	EFFECTIVE = 1,
	PERMITTED = 2,
	SECURE = 4,
	MORE = 8,
	DUMPABLE = 16,
	EUID_ROOT = 32,
};

static int run_p(void)
{
	execl("p", "subject", NULL);
	return errno;
}

TEST(permitted_and_effective)
{
	pid_t pid;

	prepare();
	CHILD (pid) {
		become_nobody();
		run_p();
	}
	wait_exit(pid, EFFECTIVE | PERMITTED | SECURE);
	OK(give("p", 2, false, BIT(CAP_KILL), 0));
	CHILD (pid) {
		become_nobody();
		run_p();
	}
	wait_exit(pid, PERMITTED | SECURE);
	OK(removexattr("p", NAME));
	CHILD (pid) {
		become_nobody();
		run_p();
	}
	wait_exit(pid, DUMPABLE);
}

TEST(inheritable_meets_inheritable)
{
	pid_t pid;

	prepare();
	OK(give("p", 2, true, 0, BIT(CAP_KILL) | BIT(CAP_CHOWN)));
	CHILD (pid) {
		become_nobody();
		run_p();
	}
	wait_exit(pid, SECURE | DUMPABLE);
	CHILD (pid) {
		OK(prctl(PR_SET_KEEPCAPS, 1));
		OK(syscall(SYS_setresuid, 1000, 1000, 1000));
		set((struct caps){ 0, BIT(CAP_KILL), BIT(CAP_KILL) });
		run_p();
	}
	wait_exit(pid, EFFECTIVE | PERMITTED | SECURE | DUMPABLE);
}

TEST(an_empty_set_clears_the_ambient_one)
{
	pid_t pid;

	prepare();
	OK(give("p", 2, false, 0, 0));
	CHILD (pid) {
		OK(prctl(PR_SET_KEEPCAPS, 1));
		OK(syscall(SYS_setresuid, 1000, 1000, 1000));
		set((struct caps){ 0, BIT(CAP_KILL), BIT(CAP_KILL) });
		OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
		run_p();
	}
	wait_exit(pid, DUMPABLE);
}

TEST(bounding_set_limits)
{
	pid_t pid;

	prepare();
	need_cap(CAP_SETPCAP, "CAP_SETPCAP");
	CHILD (pid) {
		OK(prctl(PR_CAPBSET_DROP, CAP_KILL));
		become_nobody();
		/* A program that believes to have it all is not begun with less. */
		CHECK_ERRNO(execve("p", (char *[]){ "subject", NULL }, NULL), EPERM);
		_exit(77);
	}
	wait_exit(pid, 77);
	OK(give("p", 2, false, BIT(CAP_KILL), 0));
	CHILD (pid) {
		OK(prctl(PR_CAPBSET_DROP, CAP_KILL));
		become_nobody();
		run_p();
	}
	wait_exit(pid, DUMPABLE);
}

TEST(no_new_privs_keeps_them_away)
{
	pid_t pid;

	prepare();
	CHILD (pid) {
		become_nobody();
		OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		run_p();
	}
	wait_exit(pid, SECURE | DUMPABLE);
}

TEST(set_uid_root_with_capabilities)
{
	pid_t pid;

	prepare();
	OK(chmod("p", 04755));
	CHILD (pid) {
		become_nobody();
		run_p();
	}
	wait_exit(pid, EFFECTIVE | PERMITTED | SECURE | EUID_ROOT);
	/* Root itself is not limited by them. */
	CHILD (pid) {
		run_p();
	}
	wait_exit(pid, EFFECTIVE | PERMITTED | MORE | DUMPABLE | EUID_ROOT);
}

TEST(a_sharer_of_directories_keeps_them_away)
{
	struct gate end = gate_new();
	pid_t pid, sharer;

	prepare();
	CHILD (pid) {
		become_nobody();
		sharer = OK(syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0));
		if (sharer == 0) {
			gate_pass(&end);
			_exit(0);
		}
		run_p();
	}
	wait_exit(pid, SECURE | DUMPABLE);
	gate_open(&end);
}

TEST(a_tracer_without_rights_keeps_them_away)
{
	int status;
	pid_t pid;

	prepare();
	become_nobody();
	CHILD (pid) {
		OK(ptrace(PTRACE_TRACEME, 0, 0, 0));
		run_p();
	}
	CHECK_EQ(OK(waitpid(pid, &status, 0)), pid);
	CHECK(WIFSTOPPED(status));
	OK(ptrace(PTRACE_CONT, pid, 0, 0));
	wait_exit(pid, SECURE | DUMPABLE);
}

TEST(nosuid_mount)
{
	pid_t pid;

	prepare();
	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	OK(unshare(CLONE_NEWNS));
	OK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	OK(mkdir("m", 0755));
	OK(mount("m", "m", "tmpfs", MS_NOSUID, NULL));
	OK(chdir("m"));
	OK(chmod(".", 0755));
	copy_self("p");
	OK(give("p", 2, true, BIT(CAP_KILL), 0));
	CHILD (pid) {
		become_nobody();
		run_p();
	}
	wait_exit(pid, DUMPABLE);
}

TEST(writing_and_changing_the_owner_remove_them)
{
	char buf[64];
	int fd;

	prepare();
	write_file("f", "text");
	OK(give("f", 2, true, BIT(CAP_KILL), 0));
	fd = OK(open("f", O_WRONLY));
	CHECK_EQ(getxattr("f", NAME, buf, sizeof(buf)), XATTR_CAPS_SZ_2);
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_ERRNO(getxattr("f", NAME, buf, sizeof(buf)), ENODATA);
	OK(give("f", 2, true, BIT(CAP_KILL), 0));
	OK(ftruncate(fd, 1));
	CHECK_ERRNO(getxattr("f", NAME, buf, sizeof(buf)), ENODATA);
	OK(give("f", 2, true, BIT(CAP_KILL), 0));
	OK(chown("f", 1, 1));
	CHECK_ERRNO(getxattr("f", NAME, buf, sizeof(buf)), ENODATA);
	OK(give("f", 2, true, BIT(CAP_KILL), 0));
	OK(chmod("f", 0700));
	CHECK_EQ(getxattr("f", NAME, buf, sizeof(buf)), XATTR_CAPS_SZ_2);
}

TEST(forms)
{
	struct vfs_ns_cap_data d = attribute(2, true, 1, 0, 0), got = { 0 };

	prepare();
	CHECK_ERRNO(setxattr("p", NAME, &d, 4, 0), EINVAL);
	CHECK_ERRNO(setxattr("p", NAME, &d, XATTR_CAPS_SZ_3, 0), EINVAL);
	d.magic_etc = VFS_CAP_REVISION_1;
	CHECK_ERRNO(setxattr("p", NAME, &d, XATTR_CAPS_SZ_1, 0), EINVAL);
	d.magic_etc = 0x05000000;
	CHECK_ERRNO(setxattr("p", NAME, &d, XATTR_CAPS_SZ_2, 0), EINVAL);
	CHECK_EQ(getxattr("p", NAME, NULL, 0), XATTR_CAPS_SZ_2);
	CHECK_ERRNO(getxattr("p", NAME, &got, 8), ERANGE);
	CHECK_EQ(getxattr("p", NAME, &got, sizeof(got)), XATTR_CAPS_SZ_2);
	CHECK_EQ(got.magic_etc, VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE);
	CHECK_EQ(got.data[0].permitted, BIT(CAP_KILL));
	become_nobody();
	CHECK_EQ(getxattr("p", NAME, &got, sizeof(got)), XATTR_CAPS_SZ_2);
	d = attribute(2, true, 1, 0, 0);
	CHECK_ERRNO(setxattr("p", NAME, &d, XATTR_CAPS_SZ_2, 0), EPERM);
	CHECK_ERRNO(removexattr("p", NAME), EPERM);
}

TEST(of_another_root)
{
	struct vfs_ns_cap_data d = attribute(3, true, BIT(CAP_KILL), 0, 4242), got = { 0 };
	pid_t pid;

	prepare();
	OK(setxattr("p", NAME, &d, XATTR_CAPS_SZ_3, 0));
	CHECK_EQ(getxattr("p", NAME, &got, sizeof(got)), XATTR_CAPS_SZ_3);
	CHECK_EQ(got.rootid, 4242);
	CHECK_EQ(got.magic_etc, VFS_CAP_REVISION_3 | VFS_CAP_FLAGS_EFFECTIVE);
	/* They count below that root alone. */
	CHILD (pid) {
		become_nobody();
		run_p();
	}
	wait_exit(pid, DUMPABLE);
	/* Version 3 with the root of here is shown as version 2. */
	OK(give("p", 3, true, BIT(CAP_KILL), 0));
	CHECK_EQ(getxattr("p", NAME, &got, sizeof(got)), XATTR_CAPS_SZ_2);
	CHILD (pid) {
		become_nobody();
		run_p();
	}
	wait_exit(pid, EFFECTIVE | PERMITTED | SECURE);
}

/* A child in a user namespace where 0 is 5000 and 1 is 0 outside; it has its capabilities there. */
static void enter_userns(void)
{
	struct gate unshared = gate_new(), mapped = gate_new();
	pid_t pid, maker = getpid();
	char path[64];

	CHILD (pid) {
		gate_pass(&unshared);
		snprintf(path, sizeof(path), "/proc/%d/uid_map", maker);
		write_file(path, "0 5000 1\n1 0 1\n2 65534 1\n");
		snprintf(path, sizeof(path), "/proc/%d/gid_map", maker);
		write_file(path, "0 5000 1\n1 0 1\n2 65534 1\n");
		gate_open(&mapped);
	}
	if (unshare(CLONE_NEWUSER) < 0)
		SKIP("no user namespace: %s", test_errno_name(errno));
	gate_open(&unshared);
	gate_pass(&mapped);
	wait_ok(pid);
	OK(syscall(SYS_setresgid, 0, 0, 0));
	OK(syscall(SYS_setresuid, 0, 0, 0));
}

TEST(the_root_of_a_user_namespace_gives_its_own)
{
	struct vfs_ns_cap_data got = { 0 };
	struct gate done = gate_new(), go = gate_new();
	pid_t pid, inner;

	prepare();
	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	OK(removexattr("p", NAME));
	OK(chown("p", 5000, 5000));
	CHILD (pid) {
		enter_userns();
		/* Version 2 is kept as version 3 with our root, and shown to us as version 2. */
		OK(give("p", 2, true, BIT(CAP_KILL), 0));
		CHECK_EQ(getxattr("p", NAME, &got, sizeof(got)), XATTR_CAPS_SZ_2);
		gate_open(&done);
		gate_pass(&go);
		CHILD (inner) {
			OK(syscall(SYS_setresuid, 2, 2, 2));
			run_p();
		}
		wait_exit(inner, EFFECTIVE | PERMITTED | SECURE);
	}
	gate_pass(&done);
	CHECK_EQ(getxattr("p", NAME, &got, sizeof(got)), XATTR_CAPS_SZ_3);
	CHECK_EQ(got.rootid, 5000);
	gate_open(&go);
	wait_ok(pid);
	/* Outside it gives nothing. */
	CHILD (pid) {
		become_nobody();
		run_p();
	}
	wait_exit(pid, DUMPABLE);
}

/* Whoever comes between the begin and the end of an execve(2) is late: it waits, and may not. */
TEST(a_tracer_that_comes_meanwhile_gets_none)
{
	prepare();
	become_nobody();
	OK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	for (int i = 0; i < 200; i++) {
		struct gate start = gate_new();
		int status, waited = 0;
		bool traced;
		pid_t pid;

		CHILD (pid) {
			gate_open(&start);
			run_p();
		}
		gate_pass(&start);
		for (volatile int n = 0; n < i * 2000; n++)
			;
		traced = ptrace(PTRACE_SEIZE, pid, 0, 0) == 0;
		while (waited != pid)
			waited = OK(waitpid(pid, &status, 0));
		CHECK(WIFEXITED(status));
		if (traced)
			CHECK(!(WEXITSTATUS(status) & (EFFECTIVE | PERMITTED)));
		OK(close(start.fd[0]));
		OK(close(start.fd[1]));
	}
}
