/* SPDX-License-Identifier: Apache-2.0 */
/* utimensat(2), futimesat(2), utimes(2), utime(2). */
#include <sys/time.h>
#include <utime.h>

#include "harness.h"

static void times_are(const char *path, time_t a, long an, time_t m, long mn)
{
	struct stat st;

	OK(lstat(path, &st));
	CHECK_EQ(st.st_atim.tv_sec, a);
	CHECK_EQ(st.st_atim.tv_nsec, an);
	CHECK_EQ(st.st_mtim.tv_sec, m);
	CHECK_EQ(st.st_mtim.tv_nsec, mn);
}

TEST(nanoseconds)
{
	struct timespec ts[2] = { { 1000, 123456789 }, { 2000, 987654321 } };

	write_file("f", "");
	OK(utimensat(AT_FDCWD, "f", ts, 0));
	times_are("f", 1000, 123456789, 2000, 987654321);
}

TEST(old_and_far_times)
{
	struct timespec ts[2] = { { -1000, 5 }, { 4000000000LL, 7 } };
	struct stat st;

	write_file("f", "");
	OK(utimensat(AT_FDCWD, "f", ts, 0));
	OK(stat("f", &st));
	CHECK_EQ(st.st_atim.tv_sec, -1000);
	CHECK_EQ(st.st_mtim.tv_sec, 4000000000LL);
}

TEST(now_and_omit)
{
	struct timespec ts[2] = { { 1000, 0 }, { 2000, 0 } }, now;
	struct stat st;

	write_file("f", "");
	OK(utimensat(AT_FDCWD, "f", ts, 0));
	ts[0] = (struct timespec){ 0, UTIME_OMIT };
	ts[1] = (struct timespec){ 3000, 0 };
	OK(utimensat(AT_FDCWD, "f", ts, 0));
	times_are("f", 1000, 0, 3000, 0);
	ts[0] = (struct timespec){ 0, UTIME_NOW };
	ts[1] = (struct timespec){ 0, UTIME_OMIT };
	OK(utimensat(AT_FDCWD, "f", ts, 0));
	OK(stat("f", &st));
	OK(clock_gettime(CLOCK_REALTIME, &now));
	CHECK(llabs(st.st_atim.tv_sec - now.tv_sec) < 60);
	CHECK_EQ(st.st_mtim.tv_sec, 3000);
	OK(utimensat(AT_FDCWD, "f", NULL, 0));
	OK(stat("f", &st));
	CHECK(llabs(st.st_mtim.tv_sec - now.tv_sec) < 60);
}

TEST(links)
{
	struct timespec ts[2] = { { 11, 0 }, { 22, 0 } }, other[2] = { { 33, 0 }, { 44, 0 } };

	write_file("f", "");
	OK(symlink("f", "l"));
	OK(utimensat(AT_FDCWD, "l", ts, 0));
	times_are("f", 11, 0, 22, 0);
	OK(utimensat(AT_FDCWD, "l", other, AT_SYMLINK_NOFOLLOW));
	times_are("l", 33, 0, 44, 0);
	times_are("f", 11, 0, 22, 0);
}

TEST(by_descriptor)
{
	struct timespec ts[2] = { { 11, 0 }, { 22, 0 } };
	int fd = OK(open("f", O_CREAT | O_RDONLY, 0600));

	OK(futimens(fd, ts));
	times_are("f", 11, 0, 22, 0);
	CHECK_ERRNO(futimens(99, ts), EBADF);
	CHECK_ERRNO(utimensat(fd, "x", ts, 0), ENOTDIR);
	CHECK_ERRNO(utimensat(99, "x", ts, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_utimensat, fd, NULL, ts, AT_SYMLINK_NOFOLLOW), EINVAL);
}

TEST(errors)
{
	struct timespec ts[2] = { { 0, 1000000000 }, { 0, 0 } };

	write_file("f", "");
	CHECK_ERRNO(utimensat(AT_FDCWD, "f", ts, 0), EINVAL);
	ts[0].tv_nsec = -1;
	CHECK_ERRNO(utimensat(AT_FDCWD, "f", ts, 0), EINVAL);
	ts[0].tv_nsec = 0;
	CHECK_ERRNO(utimensat(AT_FDCWD, "none", ts, 0), ENOENT);
	CHECK_ERRNO(utimensat(AT_FDCWD, "f", ts, 0x8000), EINVAL);
	CHECK_ERRNO(utimensat(AT_FDCWD, "f", BAD_PTR, 0), EFAULT);
	CHECK_ERRNO(utimensat(AT_FDCWD, "f/x", ts, 0), ENOTDIR);
	/* Both to be left alone: not even the name is looked at. */
	ts[0].tv_nsec = ts[1].tv_nsec = UTIME_OMIT;
	OK(utimensat(AT_FDCWD, "none", ts, 0));
}

TEST(permissions)
{
	struct timespec ts[2] = { { 1, 0 }, { 2, 0 } },
			now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	struct timespec half[2] = { { 0, UTIME_NOW }, { 0, UTIME_OMIT } };

	need_root();
	write_file("ro", "");
	write_file("rw", "");
	OK(chmod("rw", 0666));
	become_nobody();
	/* Who may write may set the present time; only the owner any other. */
	OK(utimensat(AT_FDCWD, "rw", now, 0));
	OK(utimensat(AT_FDCWD, "rw", NULL, 0));
	CHECK_ERRNO(utimensat(AT_FDCWD, "rw", ts, 0), EPERM);
	CHECK_ERRNO(utimensat(AT_FDCWD, "rw", half, 0), EPERM);
	CHECK_ERRNO(utimensat(AT_FDCWD, "ro", now, 0), EACCES);
	CHECK_ERRNO(utimensat(AT_FDCWD, "ro", ts, 0), EPERM);
}

TEST(old_calls)
{
	struct timeval tv[2] = { { 100, 500000 }, { 200, 250000 } };
	struct utimbuf ut = { 300, 400 };
	int d = OK(open(".", O_RDONLY));

	write_file("f", "");
	OK(syscall(SYS_utimes, "f", tv));
	times_are("f", 100, 500000000, 200, 250000000);
	OK(syscall(SYS_utime, "f", &ut));
	times_are("f", 300, 0, 400, 0);
	OK(syscall(SYS_futimesat, d, "f", tv));
	times_are("f", 100, 500000000, 200, 250000000);
	tv[0].tv_usec = 1000000;
	CHECK_ERRNO(syscall(SYS_utimes, "f", tv), EINVAL);
	CHECK_ERRNO(syscall(SYS_utime, "none", &ut), ENOENT);
	CHECK_ERRNO(syscall(SYS_utime, "f", BAD_PTR), EFAULT);
}

TEST(ctime_is_now)
{
	struct timespec ts[2] = { { 1, 0 }, { 2, 0 } }, now;
	struct stat st;

	write_file("f", "");
	OK(utimensat(AT_FDCWD, "f", ts, 0));
	OK(stat("f", &st));
	OK(clock_gettime(CLOCK_REALTIME, &now));
	CHECK(llabs(st.st_ctim.tv_sec - now.tv_sec) < 60);
}
