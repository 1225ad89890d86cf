/* SPDX-License-Identifier: Apache-2.0 */
/* memfd_create(2) and seals. */
#include <pthread.h>
#include <sched.h>

#include "harness.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif

static int make(void)
{
	return OK(memfd_create("test", MFD_ALLOW_SEALING | MFD_CLOEXEC));
}

TEST(is_a_file)
{
	int fd = OK(memfd_create("name", MFD_CLOEXEC));
	struct stat st;
	char path[64], link[64];
	ssize_t n;

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	OK(fstat(fd, &st));
	CHECK(S_ISREG(st.st_mode));
	CHECK_EQ(st.st_nlink, 0);
	CHECK_EQ(st.st_size, 0);
	CHECK_EQ(write(fd, "data", 4), 4);
	OK(ftruncate(fd, 8192));
	OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 8192);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = OK(readlink(path, link, sizeof(link) - 1));
	link[n] = 0;
	CHECK_STR(link, "/memfd:name (deleted)");
}

TEST(errors)
{
	char name[300];

	memset(name, 'a', sizeof(name));
	name[249] = 0;
	OK(memfd_create(name, 0));
	name[249] = 'a';
	name[250] = 0;
	CHECK_ERRNO(memfd_create(name, 0), EINVAL);
	CHECK_ERRNO(memfd_create("x", 0x8000), EINVAL);
	CHECK_ERRNO(syscall(SYS_memfd_create, BAD_PTR, 0), EFAULT);
	OK(memfd_create("", 0));
}

TEST(reopened_through_proc)
{
	int fd = make(), again;
	char path[64], buf[8] = "";

	CHECK_EQ(write(fd, "shared", 6), 6);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = OK(open(path, O_RDONLY));
	CHECK_EQ(read(again, buf, 8), 6);
	CHECK_STR(buf, "shared");
	CHECK_ERRNO(write(again, "x", 1), EBADF);
}

TEST(no_sealing_unless_allowed)
{
	int fd = OK(memfd_create("x", 0));

	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
}

TEST(seal_of_size)
{
	int fd = make();

	CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
	OK(ftruncate(fd, 4096));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	CHECK_ERRNO(ftruncate(fd, 100), EPERM);
	OK(ftruncate(fd, 8192));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
	CHECK_ERRNO(ftruncate(fd, 9000), EPERM);
	CHECK_ERRNO(pwrite(fd, "x", 1, 8192), EPERM);
	CHECK_EQ(pwrite(fd, "x", 1, 8191), 1);
	CHECK_ERRNO(fallocate(fd, 0, 8192, 4096), EPERM);
}

TEST(seal_of_writing)
{
	int fd = make();
	char *p;

	OK(ftruncate(fd, 4096));
	p = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	OK(munmap(p, 4096));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	CHECK_ERRNO(write(fd, "x", 1), EPERM);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EPERM);
	CHECK_ERRNO(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
	p = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	*p = 1;
}

TEST(seal_of_future_writing)
{
	int fd = make();
	char *p;

	OK(ftruncate(fd, 4096));
	p = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	p[0] = 'k';
	CHECK_ERRNO(write(fd, "x", 1), EPERM);
	CHECK_ERRNO(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
}

TEST(seal_of_seals)
{
	int fd = make();

	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, 0), EPERM);
}

#define LARGE (16u << 20)

static int sealed;
static char *source;

static void *write_all(void *arg)
{
	CHECK_EQ(pwrite(sealed, source, LARGE, 0), LARGE);
	return arg;
}

/* Who finds the seal may rely on what he reads. */
TEST(seal_waits_for_a_write_under_way)
{
	char path[64], *view, seen;
	pthread_t t;

	sealed = make();
	source = OK(mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(source, 'x', LARGE);
	OK(ftruncate(sealed, LARGE));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", sealed);
	view = OK(mmap(NULL, LARGE, PROT_READ, MAP_SHARED, OK(open(path, O_RDONLY)), 0));
	CHECK_EQ(pthread_create(&t, NULL, write_all, NULL), 0);
	while (((volatile char *)view)[0] != 'x')
		sched_yield();
	OK(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE));
	seen = ((volatile char *)view)[LARGE - 1];
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(((volatile char *)view)[LARGE - 1], seen);
}

TEST(seal_errors)
{
	int fd = make(), file = OK(open("f", O_CREAT | O_RDWR, 0600));
	char path[64];

	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, 0x1000), EINVAL);
	CHECK_ERRNO(fcntl(99, F_ADD_SEALS, F_SEAL_WRITE), EBADF);
	if (fcntl(file, F_GET_SEALS) == -1)
		CHECK_EQ(errno, EINVAL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = OK(open(path, O_RDONLY));
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
}

TEST(shared_by_fork_and_mapping)
{
	int fd = make();
	char *p;
	pid_t pid;

	OK(ftruncate(fd, 4096));
	p = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	CHILD (pid) {
		p[10] = 'c';
		CHECK_EQ(pwrite(fd, "w", 1, 11), 1);
	}
	wait_ok(pid);
	CHECK_EQ(p[10], 'c');
	CHECK_EQ(p[11], 'w');
}

TEST(executed)
{
	extern char **environ;
	char *const argv[] = { "subject", NULL };
	char buf[65536];
	int fd = make(), from = OK(open(test_self(), O_RDONLY));
	ssize_t n;
	pid_t pid;

	while ((n = OK(read(from, buf, sizeof(buf)))) > 0)
		CHECK_EQ(write(fd, buf, n), n);
	CHILD (pid)
		syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	/* While it is open for writing it cannot be executed. */
	if (wait_status(pid) == 0) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		from = OK(open(path, O_RDONLY | O_CLOEXEC));
		OK(close(fd));
		CHILD (pid)
			syscall(SYS_execveat, from, "", argv, environ, AT_EMPTY_PATH);
		wait_exit(pid, 55);
	}
}

int test_subject(int argc, char **argv)
{
	return 55;
}
