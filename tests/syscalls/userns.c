/* SPDX-License-Identifier: Apache-2.0 */
/* user_namespaces(7): maps and who may write them, what capabilities count for, overflow ids. */
#include <grp.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>

#include "harness.h"

#define OVERFLOW 65534

static void enter(void)
{
	OK(unshare(CLONE_NEWUSER));
}

/* Before anybody waits for anybody. */
static void need_user_namespaces(void)
{
	pid_t pid;
	int status;

	CHILD (pid)
		_exit(unshare(CLONE_NEWUSER) ? errno : 0);
	status = wait_status(pid);
	if (status)
		SKIP("no user namespace: %s", test_errno_name(WEXITSTATUS(status)));
}

static int put(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY);
	ssize_t n;
	int error;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	error = errno;
	close(fd);
	errno = error;
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

static int put_map(const char *path, unsigned int inside, unsigned int outside, unsigned int count)
{
	char text[64];

	snprintf(text, sizeof(text), "%u %u %u", inside, outside, count);
	return put(path, text);
}

/* A user namespace in which the caller is `uid`, without any privilege outside. */
static void become(unsigned int uid)
{
	const unsigned int outer_uid = geteuid(), outer_gid = getegid();

	enter();
	OK(put("/proc/self/setgroups", "deny"));
	OK(put_map("/proc/self/uid_map", uid, outer_uid, 1));
	OK(put_map("/proc/self/gid_map", uid, outer_gid, 1));
}

static ino_t ns(const char *pid, const char *name)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, name);
	OK(stat(path, &st));
	return st.st_ino;
}

TEST(an_unmapped_process_is_the_overflow_user)
{
	const ino_t before = ns("self", "user");
	struct stat st;
	char text[256];
	uid_t r, e, s;
	pid_t pid;

	need_user_namespaces();
	write_file("mine", "x");
	CHILD (pid) {
		enter();
		CHECK(ns("self", "user") != before);
		CHECK_EQ(getuid(), OVERFLOW);
		CHECK_EQ(geteuid(), OVERFLOW);
		CHECK_EQ(getgid(), OVERFLOW);
		OK(getresuid(&r, &e, &s));
		CHECK_EQ(s, OVERFLOW);
		OK(stat("mine", &st));
		CHECK_EQ(st.st_uid, OVERFLOW);
		CHECK_EQ(st.st_gid, OVERFLOW);
		read_file("/proc/self/uid_map", text, sizeof(text));
		CHECK_STR(text, "");
		CHECK(have_cap(CAP_SYS_ADMIN));
		/* No id has a name, so none can be taken. */
		CHECK_ERRNO(setuid(0), EINVAL);
		CHECK_ERRNO(setresgid(0, 0, 0), EINVAL);
		CHECK_ERRNO(chown("mine", 0, 0), EINVAL);
		OK(chown("mine", -1, -1));
	}
	wait_ok(pid);
	CHECK_EQ(ns("self", "user"), before);
}

TEST(a_map_names_the_ids)
{
	const unsigned int outer = geteuid();
	struct stat st;
	char text[256], want[64];
	pid_t pid;

	need_user_namespaces();
	write_file("mine", "x");
	CHILD (pid) {
		become(0);
		CHECK_EQ(getuid(), 0);
		CHECK_EQ(getegid(), 0);
		OK(stat("mine", &st));
		CHECK_EQ(st.st_uid, 0);
		read_file("/proc/self/uid_map", text, sizeof(text));
		snprintf(want, sizeof(want), "%10u %10u %10u\n", 0, outer, 1);
		CHECK_STR(text, want);
		read_file("/proc/self/setgroups", text, sizeof(text));
		CHECK_STR(text, "deny\n");
		read_file("/proc/self/status", text, sizeof(text));
		write_file("inside", "x");
		OK(chown("inside", 0, 0));
		CHECK_ERRNO(chown("inside", 1, 0), EINVAL);
		CHECK_ERRNO(setuid(1), EINVAL);
		CHECK_ERRNO(setgroups(0, NULL), EPERM);
	}
	wait_ok(pid);
	OK(stat("inside", &st));
	CHECK_EQ(st.st_uid, outer);
}

TEST(maps_are_written_once_and_well)
{
	const unsigned int uid = geteuid(), gid = getegid();
	char text[64];
	pid_t pid;

	need_user_namespaces();
	CHILD (pid) {
		enter();
		CHECK_ERRNO(put("/proc/self/uid_map", "x"), EINVAL);
		CHECK_ERRNO(put("/proc/self/uid_map", "0 0"), EINVAL);
		CHECK_ERRNO(put("/proc/self/uid_map", "0 0 0"), EINVAL);
		CHECK_ERRNO(put("/proc/self/uid_map", "0 0 1 2"), EINVAL);
		CHECK_ERRNO(put("/proc/self/uid_map", "0 4294967295 1"), EINVAL);
		CHECK_ERRNO(put("/proc/self/uid_map", "0 4294967290 10"), EINVAL);
		CHECK_ERRNO(put("/proc/self/uid_map", "0 0 2\n1 5 2\n"), EINVAL);
		CHECK_ERRNO(put("/proc/self/uid_map", "0 0 2\n5 1 2\n"), EINVAL);
		/* More than oneself wants a capability outside. */
		CHECK_ERRNO(put_map("/proc/self/uid_map", 0, uid, 2), EPERM);
		CHECK_ERRNO(put_map("/proc/self/uid_map", 0, uid + 1, 1), EPERM);
		/* Groups: only when setgroups(2) is given up. */
		CHECK_ERRNO(put_map("/proc/self/gid_map", 0, gid, 1), EPERM);
		CHECK_ERRNO(put("/proc/self/setgroups", "never"), EINVAL);
		OK(put("/proc/self/setgroups", "allow\n"));
		OK(put("/proc/self/setgroups", "deny\n"));
		CHECK_ERRNO(put("/proc/self/setgroups", "allow"), EPERM);
		snprintf(text, sizeof(text), "  7\t%u 1  \n", uid);
		OK(put("/proc/self/uid_map", text));
		CHECK_EQ(getuid(), 7);
		CHECK_ERRNO(put("/proc/self/uid_map", text), EPERM);
		OK(put_map("/proc/self/gid_map", 9, gid, 1));
		CHECK_EQ(getgid(), 9);
		CHECK_ERRNO(put("/proc/self/setgroups", "deny"), EPERM);
	}
	wait_ok(pid);
	CHECK_ERRNO(put_map("/proc/self/uid_map", 0, 0, 1), EPERM);
}

/* The parent with privileges writes the child's maps. */
TEST(a_parent_maps_many)
{
	struct gate inside = gate_new(), mapped = gate_new();
	char path[64];
	struct stat st;
	pid_t pid;

	need_user_namespaces();
	need_cap(CAP_SETUID, "CAP_SETUID");
	need_cap(CAP_SETGID, "CAP_SETGID");
	need_cap(CAP_SETFCAP, "CAP_SETFCAP");
	need_root();
	write_file("roots", "x");
	CHILD (pid) {
		const gid_t groups[] = { 5, 6 };
		gid_t got[4];

		enter();
		gate_open(&inside);
		gate_pass(&mapped);
		/* Our own id is not in the map; any that is can be taken. */
		CHECK_EQ(getuid(), OVERFLOW);
		OK(setresgid(0, 0, 0));
		OK(setresuid(0, 0, 0));
		CHECK_EQ(getuid(), 0);
		OK(setgroups(2, groups));
		CHECK_EQ(getgroups(4, got), 2);
		CHECK_EQ(got[1], 6);
		OK(stat("roots", &st));
		CHECK_EQ(st.st_uid, OVERFLOW);
		CHECK_ERRNO(open("roots", O_WRONLY), EACCES);
		CHECK_ERRNO(chmod("roots", 0777), EPERM);
		OK(mkdir("made/d", 0700));
		OK(chown("made/d", 3, 4));
		/* A capability of the namespace counts for files of its ids. */
		OK(chmod("made/d", 0755));
		OK(setresuid(3, 3, 3));
		CHECK(!have_cap(CAP_SETUID));
		CHECK_EQ(getuid(), 3);
	}
	OK(mkdir("made", 0777));
	OK(chmod("made", 0777));
	gate_pass(&inside);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	OK(put_map(path, 0, 1000, 10));
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	OK(put_map(path, 0, 1000, 10));
	gate_open(&mapped);
	wait_ok(pid);
	OK(stat("made/d", &st));
	CHECK_EQ(st.st_uid, 1003);
	CHECK_EQ(st.st_gid, 1004);
}

TEST(capabilities_count_inside_only)
{
	pid_t pid;

	need_user_namespaces();
	CHILD (pid) {
		become(0);
		CHECK_ERRNO(sethostname("x", 1), EPERM);
		CHECK_ERRNO(mount("none", "/", "tmpfs", 0, NULL), EPERM);
		CHECK_ERRNO(unshare(CLONE_NEWTIME | 0x1000), EINVAL);
		CHECK_ERRNO(mknod("null", S_IFCHR | 0666, 0x103), EPERM);
		OK(unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS));
		OK(sethostname("inner", 5));
		OK(chroot("."));
		/* In a chroot nobody makes another one. */
		CHECK_ERRNO(unshare(CLONE_NEWUSER), EPERM);
	}
	wait_ok(pid);
}

TEST(clone_with_others_at_once)
{
	char host[64] = "";
	pid_t pid, inner;

	need_user_namespaces();
	gethostname(host, sizeof(host) - 1);
	CHILD (pid) {
		inner = (pid_t)syscall(SYS_clone,
				       CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWUTS |
					       CLONE_NEWCGROUP | SIGCHLD,
				       0, 0, 0, 0);
		CHECK(inner != -1);
		if (!inner) {
			if (getpid() != 1 || getuid() != OVERFLOW)
				_exit(1);
			_exit(sethostname("cloned", 6) ? 2 : 0);
		}
		wait_ok(inner);
		CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWUSER | CLONE_FS | SIGCHLD, 0, 0, 0, 0),
			    EINVAL);
	}
	wait_ok(pid);
}

TEST(mounts_inside)
{
	struct statfs fs;
	struct stat st;
	pid_t pid;

	need_user_namespaces();
	OK(mkdir("t", 0755));
	OK(mkdir("b", 0755));
	write_file("b/file", "x");
	CHILD (pid) {
		become(0);
		OK(unshare(CLONE_NEWNS));
		OK(mount("tmpfs", "t", "tmpfs", 0, "size=1m,mode=750"));
		OK(statfs("t", &fs));
		CHECK_EQ(fs.f_type, 0x01021994);
		OK(stat("t", &st));
		CHECK_EQ(st.st_uid, 0);
		CHECK_EQ(st.st_mode & 07777, 0750);
		CHECK_ERRNO(mount("tmpfs", "t", "tmpfs", 0, "uid=1"), EINVAL);
		OK(mkdir("t/d", 0755));
		OK(mount("b", "t/d", NULL, MS_BIND, NULL));
		OK(access("t/d/file", R_OK));
		OK(mount(NULL, "t/d", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
		CHECK_ERRNO(open("t/d/new", O_CREAT | O_WRONLY, 0600), EROFS);
		OK(umount("t/d"));
		OK(umount2("t", MNT_DETACH));
		/* What came along is locked. */
		CHECK(umount("/proc") == -1);
		CHECK(errno == EINVAL || errno == EBUSY);
	}
	wait_ok(pid);
}

TEST(kernel_file_systems_belong_to_their_namespace)
{
	pid_t pid;

	need_user_namespaces();
	OK(mkdir("t", 0755));
	CHILD (pid) {
		become(0);
		OK(unshare(CLONE_NEWNS));
		CHECK_ERRNO(mount("proc", "t", "proc", 0, NULL), EPERM);
		CHECK_ERRNO(mount("sysfs", "t", "sysfs", 0, NULL), EPERM);
		CHECK_ERRNO(mount("mqueue", "t", "mqueue", 0, NULL), EPERM);
		CHECK_ERRNO(mount("cgroup2", "t", "cgroup2", 0, NULL), EPERM);
		OK(unshare(CLONE_NEWIPC | CLONE_NEWCGROUP));
		OK(mount("mqueue", "t", "mqueue", 0, NULL));
		OK(umount("t"));
		OK(mount("cgroup2", "t", "cgroup2", 0, NULL));
		OK(access("t/cgroup.procs", F_OK));
	}
	wait_ok(pid);
}

TEST(overlay_inside)
{
	struct stat st;
	char text[16];
	pid_t pid;

	need_user_namespaces();
	OK(mkdir("t", 0755));
	CHILD (pid) {
		become(0);
		OK(unshare(CLONE_NEWNS));
		OK(mount("tmpfs", "t", "tmpfs", 0, NULL));
		OK(chdir("t"));
		OK(mkdir("lower", 0755));
		OK(mkdir("lower/d", 0755));
		OK(mkdir("upper", 0755));
		OK(mkdir("work", 0755));
		OK(mkdir("both", 0755));
		OK(mkdir("ro", 0755));
		write_file("lower/d/file", "old");
		if (mount("overlay", "both", "overlay", 0,
			  "lowerdir=lower,upperdir=upper,workdir=work,userxattr") < 0) {
			CHECK(errno != EPERM);
			SKIP("no overlay here: %s", test_errno_name(errno));
		}
		write_file("both/d/file", "new");
		read_file("lower/d/file", text, sizeof(text));
		CHECK_STR(text, "old");
		read_file("upper/d/file", text, sizeof(text));
		CHECK_STR(text, "new");
		OK(stat("both/d/file", &st));
		CHECK_EQ(st.st_uid, 0);
		OK(umount2("both", MNT_DETACH));
		/* What is hidden below mounts that came along stays hidden. */
		CHECK_ERRNO(mount("overlay", "both", "overlay", 0,
				  "lowerdir=/,upperdir=upper,workdir=work,userxattr"),
			    EINVAL);
		/* What is read-only is not written this way. */
		OK(mount(".", "ro", NULL, MS_BIND, NULL));
		OK(mount(NULL, "ro", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
		CHECK_ERRNO(mount("overlay", "both", "overlay", 0,
				  "lowerdir=lower,upperdir=ro/upper,workdir=ro/work,userxattr"),
			    EINVAL);
	}
	wait_ok(pid);
}

TEST(restrictions_of_mounts_stay)
{
	pid_t pid;

	need_user_namespaces();
	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	CHILD (pid) {
		OK(unshare(CLONE_NEWNS));
		OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
		OK(mkdir("ro", 0755));
		OK(mount("tmpfs", "ro", "tmpfs", MS_RDONLY | MS_NOSUID, NULL));
		OK(chmod(".", 0777));
		become_nobody();
		enter();
		OK(unshare(CLONE_NEWNS));
		CHECK_ERRNO(mount(NULL, "ro", NULL, MS_BIND | MS_REMOUNT | MS_NOSUID, NULL), EPERM);
		CHECK_ERRNO(mount(NULL, "ro", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), EPERM);
		OK(mount(NULL, "ro", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NOEXEC,
			 NULL));
		CHECK_ERRNO(umount("ro"), EINVAL);
	}
	wait_ok(pid);
}

TEST(joining_another)
{
	struct gate ready = gate_new(), done = gate_new();
	char path[64];
	ino_t there;
	pid_t pid, joiner;
	int fd, own;

	need_user_namespaces();
	pid = OK(fork());
	if (!pid) {
		become(0);
		gate_open(&ready);
		gate_pass(&done);
		_exit(0);
	}
	own = OK(open("/proc/self/ns/user", O_RDONLY));
	CHECK_ERRNO(setns(own, CLONE_NEWUSER), EINVAL);
	gate_pass(&ready);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = OK(open(path, O_RDONLY));
	snprintf(path, sizeof(path), "%d", pid);
	there = ns(path, "user");
	CHILD (joiner) {
		int parent;
		uid_t owner;

		CHECK_ERRNO(setns(fd, CLONE_NEWUTS), EINVAL);
		OK(setns(fd, CLONE_NEWUSER));
		CHECK_EQ(ns("self", "user"), there);
		CHECK_EQ(getuid(), 0);
		CHECK(have_cap(CAP_SYS_ADMIN));
		CHECK_ERRNO(setns(fd, 0), EINVAL);
		/* There is no way back. */
		CHECK_ERRNO(setns(own, CLONE_NEWUSER), EPERM);
		CHECK_ERRNO(ioctl(fd, NS_GET_PARENT), EPERM);
		OK(ioctl(fd, NS_GET_OWNER_UID, &owner));
		CHECK_EQ(owner, 0);
		OK(unshare(CLONE_NEWUTS));
		parent = OK(open("/proc/self/ns/uts", O_RDONLY));
		parent = OK(ioctl(parent, NS_GET_USERNS));
		CHECK_EQ(ioctl(parent, NS_GET_NSTYPE), CLONE_NEWUSER);
	}
	wait_ok(joiner);
	gate_open(&done);
	wait_ok(pid);
}

TEST(nested)
{
	char text[256], want[64];
	pid_t pid;

	need_user_namespaces();
	CHILD (pid) {
		become(100);
		become(5);
		CHECK_EQ(getuid(), 5);
		/* The ids outside are those of the parent. */
		read_file("/proc/self/uid_map", text, sizeof(text));
		snprintf(want, sizeof(want), "%10u %10u %10u\n", 5, 100, 1);
		CHECK_STR(text, want);
		enter();
		CHECK_ERRNO(put_map("/proc/self/uid_map", 0, 100, 1), EPERM);
		OK(put_map("/proc/self/uid_map", 0, 5, 1));
		CHECK_EQ(getuid(), 0);
		/* Who made it has no group there yet: no further one. */
		CHECK_ERRNO(unshare(CLONE_NEWUSER), EPERM);
		OK(put_map("/proc/self/gid_map", 0, 5, 1));
		for (int i = 0; i < 40; i++) {
			if (unshare(CLONE_NEWUSER)) {
				CHECK_EQ(errno, ENOSPC);
				CHECK(i > 20);
				_exit(0);
			}
			OK(put_map("/proc/self/uid_map", 0, 0, 1));
			OK(put_map("/proc/self/gid_map", 0, 0, 1));
		}
		FAIL("41 levels");
	}
	wait_ok(pid);
}

TEST(signals_and_files_over_the_border)
{
	struct gate ready = gate_new();
	pid_t pid, parent = getpid();

	need_user_namespaces();
	CHILD (pid) {
		int on = 1, pair[2];
		struct ucred u;
		socklen_t len = sizeof(u);

		OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
		become(0);
		/* The same user outside: allowed. */
		OK(kill(parent, 0));
		OK(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &u, &len));
		CHECK_EQ(u.uid, 0);
		OK(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
		gate_open(&ready);
	}
	gate_pass(&ready);
	wait_ok(pid);
}

TEST(bounds_of_capabilities)
{
	pid_t pid;

	need_user_namespaces();
	CHILD (pid) {
		become(0);
		CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0), 1);
		CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 1 << 20, 0, 0, 0), EPERM);
		OK(prctl(PR_CAPBSET_DROP, CAP_SYS_TIME, 0, 0, 0));
		CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_SYS_TIME, 0, 0, 0), 0);
	}
	wait_ok(pid);
}

/* A mount that arrives later from outside cannot be taken away either. */
TEST(mounts_that_arrive_are_locked)
{
	struct gate inside = gate_new(), mounted = gate_new();
	pid_t pid, inner;

	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	need_root();
	need_user_namespaces();
	CHILD (pid) {
		OK(unshare(CLONE_NEWNS));
		OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
		OK(chmod(".", 0777));
		OK(mkdir("base", 0755));
		OK(mount("tmpfs", "base", "tmpfs", 0, NULL));
		OK(mount(NULL, "base", NULL, MS_SHARED, NULL));
		OK(mkdir("base/at", 0755));
		CHILD (inner) {
			become_nobody();
			enter();
			OK(unshare(CLONE_NEWNS));
			gate_open(&inside);
			gate_pass(&mounted);
			CHECK_EQ(access("base/at/there", F_OK), 0);
			CHECK_ERRNO(mount(NULL, "base/at", NULL, MS_BIND | MS_REMOUNT, NULL),
				    EPERM);
		}
		gate_pass(&inside);
		OK(mount("tmpfs", "base/at", "tmpfs", MS_NOSUID, NULL));
		write_file("base/at/there", "x");
		gate_open(&mounted);
		wait_ok(inner);
	}
	wait_ok(pid);
}

TEST(groups_of_a_peer_are_told_in_the_namespace_of_the_asker)
{
	const gid_t groups[] = { 1234, 5678 };
	gid_t told[2];
	socklen_t len = sizeof(told);
	pid_t pid;
	int fds[2];

	need_user_namespaces();
	CHILD (pid) {
		OK(setgroups(2, groups));
		OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
		OK(getsockopt(fds[0], SOL_SOCKET, SO_PEERGROUPS, told, &len));
		CHECK_EQ(len, sizeof(told));
		CHECK_EQ(told[1], 5678);
		enter();
		OK(getsockopt(fds[0], SOL_SOCKET, SO_PEERGROUPS, told, &len));
		CHECK_EQ(told[0], OVERFLOW);
		CHECK_EQ(told[1], OVERFLOW);
	}
	wait_ok(pid);
}

TEST(networks_of_others_stay_theirs)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(81),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct ifreq lo = { .ifr_name = "lo" };
	int fd, mark = 1;

	need_user_namespaces();
	become_nobody();
	fd = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(unshare(CLONE_NEWUSER | CLONE_NEWNET));
	/* Root over its own network, and nobody over that of the socket that it brought along. */
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EACCES);
	CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), EPERM);
	OK(ioctl(fd, SIOCGIFFLAGS, &lo));
	CHECK_ERRNO(ioctl(fd, SIOCSIFFLAGS, &lo), EPERM);
	fd = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
	lo.ifr_flags |= IFF_UP;
	OK(ioctl(fd, SIOCSIFFLAGS, &lo));
	OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

TEST(namespaces_of_others_are_not_entered_by_pidfd)
{
	int pidfd;
	pid_t pid;

	need_user_namespaces();
	become_nobody();
	enter();
	/* Who is in the same user namespace, and in the first one's other namespaces. */
	pidfd = OK((int)syscall(SYS_pidfd_open, getpid(), 0));
	CHILD (pid) {
		OK(unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET));
		CHECK_ERRNO(setns(pidfd, CLONE_NEWUTS), EPERM);
		CHECK_ERRNO(setns(pidfd, CLONE_NEWIPC), EPERM);
		CHECK_ERRNO(setns(pidfd, CLONE_NEWNET | CLONE_NEWUTS), EPERM);
	}
	wait_ok(pid);
}
