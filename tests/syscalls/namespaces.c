/* SPDX-License-Identifier: Apache-2.0 */
/* unshare(2), setns(2), clone flags of namespaces: what a container may and what not. */
#include <grp.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "harness.h"

static ino_t ns(const char *name)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	OK(stat(path, &st));
	return st.st_ino;
}

TEST(unshare_of_process_parts)
{
	int fd = OK(open("/dev/null", O_RDONLY));
	pid_t pid;

	if (unshare(0) && errno == EPERM && filtered())
		SKIP("the filter refuses unshare");
	/* What clone shared is apart again. */
	pid = (pid_t)OK(syscall(SYS_clone, CLONE_FILES | CLONE_FS | SIGCHLD, 0, 0, 0, 0));
	if (!pid) {
		if (unshare(CLONE_FILES | CLONE_FS))
			_exit(1);
		close(fd);
		_exit(chdir("/") ? 2 : 0);
	}
	wait_ok(pid);
	OK(fcntl(fd, F_GETFD));
	OK(unshare(0));
	CHECK_ERRNO(unshare(0x1000), EINVAL);
	CHECK_ERRNO(unshare(CLONE_VFORK), EINVAL);
}

TEST(rights)
{
	need_root();
	become_nobody();
	CHECK_ERRNO(unshare(CLONE_NEWUTS), EPERM);
	CHECK_ERRNO(unshare(CLONE_NEWNS), EPERM);
	CHECK_ERRNO(unshare(CLONE_NEWPID), EPERM);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0), EPERM);
}

TEST(uts)
{
	struct utsname u;
	pid_t pid;
	ino_t before = ns("uts");

	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	CHILD (pid) {
		OK(unshare(CLONE_NEWUTS));
		CHECK(ns("uts") != before);
		OK(sethostname("other", 5));
	}
	wait_ok(pid);
	OK(uname(&u));
	CHECK(strcmp(u.nodename, "other"));
	CHECK_EQ(ns("uts"), before);
}

TEST(ipc)
{
	key_t key = 0x5eed1111;
	pid_t pid;
	int id;

	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	id = OK(shmget(key, 4096, IPC_CREAT | 0600));
	CHILD (pid) {
		OK(unshare(CLONE_NEWIPC));
		CHECK_ERRNO(shmget(key, 4096, 0), ENOENT);
	}
	wait_ok(pid);
	OK(shmctl(id, IPC_RMID, NULL));
}

TEST(pid)
{
	pid_t pid, inner;

	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	CHILD (pid) {
		pid_t mine = getpid();

		OK(unshare(CLONE_NEWPID));
		CHECK_EQ(getpid(), mine);
		inner = OK(fork());
		if (!inner) {
			CHECK_EQ(getpid(), 1);
			CHECK_EQ(getppid(), 0);
			CHECK_ERRNO(kill(mine, 0), ESRCH);
			/* The first process is deaf to signals it has no handler for. */
			OK(kill(1, SIGTERM));
			_exit(5);
		}
		CHECK(inner > 1);
		wait_exit(inner, 5);
		CHECK_ERRNO(fork(), ENOMEM);
	}
	wait_ok(pid);
}

TEST(end_of_the_first_process_ends_all)
{
	struct gate g = gate_new();
	pid_t pid, inner;
	char c;

	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	pid = (pid_t)OK(syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0));
	if (!pid) {
		inner = fork();
		if (!inner) {
			for (;;)
				pause();
		}
		_exit(inner == 2 ? 0 : 1);
	}
	gate_close_writer(&g);
	wait_ok(pid);
	/* Nobody of it holds the pipe any more. */
	CHECK_EQ(read(g.fd[0], &c, 1), 0);
}

TEST(network)
{
	pid_t pid;

	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	CHILD (pid) {
		char text[4096];

		OK(unshare(CLONE_NEWNET));
		read_file("/proc/self/net/dev", text, sizeof(text));
		CHECK(strstr(text, "lo:"));
		CHECK(!strstr(text, "eth0:"));
	}
	wait_ok(pid);
}

TEST(setns_back)
{
	int fd;
	pid_t pid;
	ino_t before = ns("uts");

	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	fd = OK(open("/proc/self/ns/uts", O_RDONLY));
	CHILD (pid) {
		OK(unshare(CLONE_NEWUTS));
		OK(setns(fd, CLONE_NEWUTS));
		CHECK_EQ(ns("uts"), before);
		OK(unshare(CLONE_NEWUTS));
		OK(setns(fd, 0));
		CHECK_EQ(ns("uts"), before);
		CHECK_ERRNO(setns(fd, CLONE_NEWNET), EINVAL);
	}
	wait_ok(pid);
}

TEST(setns_errors)
{
	int null = OK(open("/dev/null", O_RDONLY));

	CHECK(setns(99, 0) == -1);
	CHECK(errno == EBADF || errno == EPERM);
	CHECK(setns(null, 0) == -1);
	CHECK(errno == EINVAL || errno == EPERM);
}

TEST(user)
{
	pid_t pid;
	uid_t uid = geteuid();

	CHILD (pid) {
		char map[64];
		int fd;

		if (unshare(CLONE_NEWUSER))
			SKIP("no user namespace: %s", test_errno_name(errno));
		CHECK_EQ(getuid(), 65534);
		CHECK(have_cap(CAP_SYS_ADMIN));
		fd = OK(open("/proc/self/setgroups", O_WRONLY));
		CHECK_EQ(write(fd, "deny", 4), 4);
		fd = OK(open("/proc/self/uid_map", O_WRONLY));
		snprintf(map, sizeof(map), "0 %u 1", uid);
		CHECK_EQ(write(fd, map, strlen(map)), strlen(map));
		CHECK_EQ(getuid(), 0);
		fd = OK(open("/proc/self/uid_map", O_WRONLY));
		CHECK_ERRNO(write(fd, map, strlen(map)), EPERM);
		CHECK_ERRNO(setgroups(0, NULL), EPERM);
		OK(unshare(CLONE_NEWUTS));
		OK(sethostname("userns", 6));
	}
	wait_ok(pid);
}

TEST(links_name_their_kind)
{
	static const char *const kinds[] = { "mnt", "uts", "ipc", "pid", "net", "user", "cgroup" };
	char path[64], link[64], want[32];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		n = OK(readlink(path, link, sizeof(link) - 1));
		link[n] = 0;
		snprintf(want, sizeof(want), "%s:[", kinds[i]);
		CHECK(!strncmp(link, want, strlen(want)));
	}
}
