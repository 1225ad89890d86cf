/* SPDX-License-Identifier: Apache-2.0 */
/* mlock(2), mlock2(2), munlock(2), mlockall(2), munlockall(2), mincore(2), msync(2). */
#include <sys/resource.h>

#include "harness.h"

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE };

static char *map(size_t pages)
{
	return OK(mmap(NULL, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

TEST(lock_makes_resident)
{
	char *p = map(4);
	unsigned char vec[4];

	OK(mlock(p, 4 * PAGE));
	OK(mincore(p, 4 * PAGE, vec));
	CHECK(vec[0] & vec[1] & vec[2] & vec[3] & 1);
	OK(munlock(p, 4 * PAGE));
}

TEST(unaligned_is_rounded)
{
	char *p = map(2);

	OK(mlock(p + 100, PAGE));
	OK(munlock(p + 1, 1));
}

TEST(errors)
{
	char *p = map(3);

	OK(munmap(p + PAGE, PAGE));
	CHECK_ERRNO(mlock(p, 3 * PAGE), ENOMEM);
	CHECK_ERRNO(munlock(p, 3 * PAGE), ENOMEM);
	CHECK_ERRNO(syscall(SYS_mlock2, p, PAGE, 77), EINVAL);
	OK(syscall(SYS_mlock2, p, PAGE, MLOCK_ONFAULT));
	CHECK_ERRNO(mlockall(0), EINVAL);
	CHECK_ERRNO(mlockall(77), EINVAL);
	CHECK_ERRNO(mlockall(MCL_ONFAULT), EINVAL);
	OK(mlock(p, 0));
}

TEST(limit)
{
	struct rlimit lim = { 8 * PAGE, 8 * PAGE };
	char *p = map(32);

	need_root();
	OK(setrlimit(RLIMIT_MEMLOCK, &lim));
	become_nobody();
	OK(mlock(p, 4 * PAGE));
	CHECK_ERRNO(mlock(p, 16 * PAGE), ENOMEM);
	OK(munlock(p, 4 * PAGE));
	OK(mlock(p + 8 * PAGE, 8 * PAGE));
	lim.rlim_cur = lim.rlim_max = 0;
	OK(setrlimit(RLIMIT_MEMLOCK, &lim));
	CHECK_ERRNO(mlock(p, PAGE), EPERM);
	CHECK_ERRNO(mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0), EPERM);
}

TEST(mlockall_and_fork)
{
	pid_t pid;

	if (mlockall(MCL_CURRENT | MCL_FUTURE)) {
		CHECK(errno == ENOMEM || errno == EPERM);
		SKIP("no right to lock all memory");
	}
	CHECK_EQ(map(2)[PAGE], 0);
	CHILD (pid)
		map(1)[0] = 1;
	wait_ok(pid);
	OK(munlockall());
}

TEST(mincore_of_untouched_pages)
{
	char *p = map(4);
	unsigned char vec[4];

	p[PAGE] = 1;
	OK(mincore(p, 4 * PAGE, vec));
	CHECK_EQ(vec[0] & 1, 0);
	CHECK_EQ(vec[1] & 1, 1);
	CHECK_EQ(vec[3] & 1, 0);
}

TEST(mincore_errors)
{
	char *p = map(3);
	unsigned char vec[4];

	CHECK_ERRNO(mincore(p + 1, PAGE, vec), EINVAL);
	CHECK_ERRNO(mincore(p, PAGE, BAD_PTR), EFAULT);
	OK(munmap(p + PAGE, PAGE));
	CHECK_ERRNO(mincore(p, 3 * PAGE, vec), ENOMEM);
	OK(mincore(p, PAGE, vec));
	CHECK_ERRNO(mincore(p, SIZE_MAX, vec), ENOMEM);
}

TEST(msync_writes_back)
{
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
	char *p, c = 0;

	OK(ftruncate(fd, 2 * PAGE));
	p = OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
	p[5] = 's';
	OK(msync(p, 2 * PAGE, MS_SYNC));
	CHECK_EQ(pread(fd, &c, 1, 5), 1);
	CHECK_EQ(c, 's');
	OK(msync(p, 2 * PAGE, MS_ASYNC));
	OK(msync(p, PAGE, MS_SYNC | MS_INVALIDATE));
	OK(msync(map(1), PAGE, MS_SYNC));
}

TEST(msync_errors)
{
	char *p = map(3);

	CHECK_ERRNO(msync(p + 1, PAGE, MS_SYNC), EINVAL);
	CHECK_ERRNO(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	CHECK_ERRNO(msync(p, PAGE, 64), EINVAL);
	OK(munmap(p + PAGE, PAGE));
	CHECK_ERRNO(msync(p, 3 * PAGE, MS_SYNC), ENOMEM);
	OK(msync(p, 0, MS_SYNC));
	OK(mlock(p, PAGE));
	CHECK_ERRNO(msync(p, PAGE, MS_INVALIDATE), EBUSY);
}

TEST(locked_amount_is_shown)
{
	char *p = map(4), buf[4096], *line;

	OK(mlock(p, 4 * PAGE));
	read_file("/proc/self/status", buf, sizeof(buf));
	line = strstr(buf, "\nVmLck:");
	CHECK(line);
	CHECK(atoi(line + 7) >= 16);
}
