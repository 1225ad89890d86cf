/* SPDX-License-Identifier: Apache-2.0 */
/* mmap(2) and munmap(2): anonymous and file mappings, fixed addresses, errors. */
#include <sys/resource.h>
#include <setjmp.h>

#include "harness.h"

enum { PAGE = 4096, ANON = MAP_PRIVATE | MAP_ANONYMOUS };
static sigjmp_buf jump;
static volatile int fault_code;
static void *volatile fault_addr;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	fault_code = info->si_code;
	fault_addr = info->si_addr;
	siglongjmp(jump, sig);
}

/* The signal that a read or write of one byte raises, 0 if none. */
static int touch(volatile char *p, bool write)
{
	int sig;

	on_siginfo(SIGSEGV, on_fault, 0);
	on_siginfo(SIGBUS, on_fault, 0);
	sig = sigsetjmp(jump, 1);
	if (!sig) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	return sig;
}

static char *map(size_t pages, int prot)
{
	return OK(mmap(NULL, pages * PAGE, prot, ANON, -1, 0));
}

TEST(anonymous_is_zero_and_writable)
{
	char *p = map(8, PROT_READ | PROT_WRITE);

	CHECK_EQ((uintptr_t)p % PAGE, 0);
	for (int i = 0; i < 8 * PAGE; i++)
		CHECK(!p[i]);
	memset(p, 1, 8 * PAGE);
	OK(munmap(p, 8 * PAGE));
	CHECK_EQ(touch(p, false), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_MAPERR);
	CHECK(fault_addr == p);
}

TEST(length_is_rounded_up)
{
	char *p = OK(mmap(NULL, 1, PROT_READ | PROT_WRITE, ANON, -1, 0));

	p[PAGE - 1] = 1;
	OK(munmap(p, 1));
	CHECK_EQ(touch(p + PAGE - 1, false), SIGSEGV);
}

TEST(protections_hold)
{
	char *p = map(1, PROT_READ), *none = map(1, PROT_NONE);

	CHECK_EQ(touch(p, false), 0);
	CHECK_EQ(touch(p + 5, true), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
	CHECK(fault_addr == p + 5);
	CHECK_EQ(touch(none, false), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
}

TEST(errors)
{
	CHECK_ERRNO(mmap(NULL, 0, PROT_READ, ANON, -1, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
	CHECK_ERRNO(mmap((void *)1, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, 1UL << 62, PROT_READ, ANON, -1, 0), ENOMEM);
	CHECK_ERRNO(mmap(NULL, SIZE_MAX, PROT_READ, ANON, -1, 0), ENOMEM);
	CHECK_ERRNO(syscall(SYS_mmap, 0, PAGE, PROT_READ, ANON, -1, 1), EINVAL);
	CHECK_ERRNO(mmap((void *)0x7ffffffff000, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0), ENOMEM);
	CHECK_ERRNO(munmap((void *)1, PAGE), EINVAL);
	CHECK_ERRNO(munmap((void *)PAGE, 0), EINVAL);
	CHECK_ERRNO(munmap((void *)0x7ffffffff000, 1UL << 50), EINVAL);
}

TEST(munmap_of_nothing_is_fine)
{
	char *p = map(4, PROT_READ);

	OK(munmap(p, 4 * PAGE));
	OK(munmap(p, 4 * PAGE));
}

TEST(munmap_splits)
{
	char *p = map(5, PROT_READ | PROT_WRITE);

	memset(p, 3, 5 * PAGE);
	OK(munmap(p + PAGE, PAGE));
	OK(munmap(p + 3 * PAGE, PAGE));
	CHECK_EQ(touch(p, false), 0);
	CHECK_EQ(touch(p + PAGE, false), SIGSEGV);
	CHECK_EQ(p[2 * PAGE], 3);
	CHECK_EQ(touch(p + 3 * PAGE, false), SIGSEGV);
	CHECK_EQ(p[4 * PAGE], 3);
	OK(munmap(p, 5 * PAGE));
	CHECK_EQ(touch(p + 4 * PAGE, false), SIGSEGV);
}

TEST(fixed_replaces)
{
	char *p = map(3, PROT_READ | PROT_WRITE);

	memset(p, 7, 3 * PAGE);
	CHECK(mmap(p + PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) == p + PAGE);
	CHECK_EQ(p[0], 7);
	CHECK_EQ(p[PAGE], 0);
	CHECK_EQ(p[2 * PAGE], 7);
	CHECK_EQ(touch(p + PAGE, true), SIGSEGV);
}

TEST(fixed_noreplace)
{
	char *p = map(3, PROT_READ);

	CHECK_ERRNO(mmap(p + PAGE, PAGE, PROT_READ, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	OK(munmap(p + PAGE, PAGE));
	CHECK(mmap(p + PAGE, PAGE, PROT_READ, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + PAGE);
}

TEST(hint_is_taken_when_free)
{
	char *p = map(4, PROT_READ);

	OK(munmap(p, 4 * PAGE));
	CHECK(mmap(p, PAGE, PROT_READ, ANON, -1, 0) == p);
	CHECK(mmap(p, PAGE, PROT_READ, ANON, -1, 0) != p);
}

TEST(map_32bit)
{
	uintptr_t p = (uintptr_t)OK(mmap(NULL, PAGE, PROT_READ, ANON | MAP_32BIT, -1, 0));

	CHECK(p < 0x80000000UL);
}

TEST(populate_and_noreserve)
{
	char *p = OK(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, ANON | MAP_POPULATE, -1, 0));

	CHECK_EQ(p[15 * PAGE], 0);
	p = OK(mmap(NULL, 1UL << 36, PROT_READ | PROT_WRITE, ANON | MAP_NORESERVE, -1, 0));
	p[1UL << 35] = 1;
	OK(munmap(p, 1UL << 36));
}

TEST(private_file_mapping)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	char buf[4];
	char *p;

	CHECK_EQ(write(fd, "abcdef", 6), 6);
	p = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	OK(close(fd));
	CHECK(!memcmp(p, "abcdef\0\0", 8));
	p[0] = 'X';
	CHECK_EQ(p[PAGE - 1], 0);
	fd = OK(open("f", O_RDONLY));
	CHECK_EQ(read(fd, buf, 4), 4);
	CHECK(!memcmp(buf, "abcd", 4));
}

TEST(shared_file_mapping)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	char buf[8] = "";
	char *p, *q;

	OK(ftruncate(fd, 2 * PAGE));
	p = OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	q = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE));
	memcpy(p + PAGE, "shared", 6);
	CHECK(!memcmp(q, "shared", 6));
	CHECK_EQ(pread(fd, buf, 6, PAGE), 6);
	CHECK(!memcmp(buf, "shared", 6));
	CHECK_EQ(pwrite(fd, "W", 1, 0), 1);
	CHECK_EQ(p[0], 'W');
}

TEST(behind_the_files_end)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	char *p;

	CHECK_EQ(write(fd, "x", 1), 1);
	p = OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	CHECK_EQ(touch(p + PAGE - 1, false), 0);
	CHECK_EQ(touch(p + PAGE, false), SIGBUS);
	CHECK_EQ(fault_code, BUS_ADRERR);
	CHECK(fault_addr == p + PAGE);
}

TEST(file_rights)
{
	int w = OK(open("f", O_WRONLY | O_CREAT, 0600)), r, fds[2];

	OK(ftruncate(w, PAGE));
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, w, 0), EACCES);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, w, 0), EACCES);
	r = OK(open("f", O_RDONLY));
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r, 0), EACCES);
	OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, r, 0));
	OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, r, 0));
	OK(pipe(fds));
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fds[0], 0), ENODEV);
	r = OK(open(".", O_RDONLY | O_DIRECTORY));
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, r, 0), ENODEV);
	r = OK(open("f", O_PATH));
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, r, 0), EBADF);
}

TEST(shared_validate_refuses_unknown_flags)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));

	OK(ftruncate(fd, PAGE));
	OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE, fd, 0));
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | (1 << 23), fd, 0),
		    EOPNOTSUPP);
}

TEST(dev_zero_is_anonymous)
{
	int fd = OK(open("/dev/zero", O_RDWR));
	char *p = OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));

	CHECK_EQ(p[PAGE], 0);
	p[PAGE] = 1;
}

TEST(growsdown_grows)
{
	char *area = map(64, PROT_NONE), *p;

	OK(munmap(area, 64 * PAGE));
	p = mmap(area + 60 * PAGE, PAGE, PROT_READ | PROT_WRITE, ANON | MAP_FIXED | MAP_GROWSDOWN,
		 -1, 0);
	CHECK(p == area + 60 * PAGE);
	p[0] = 1;
	CHECK_EQ(touch(p - 1, true), 0);
	CHECK_EQ(touch(p - PAGE - 1, true), 0);
}

TEST(executable_memory_runs)
{
	static const unsigned char code[] = { 0xb8, 0x2a, 0, 0, 0, 0xc3 };
	char *p = map(1, PROT_READ | PROT_WRITE | PROT_EXEC);

	memcpy(p, code, sizeof(code));
	CHECK_EQ(((int (*)(void))p)(), 42);
}

TEST(no_execution_without_prot_exec)
{
	char *p = map(1, PROT_READ | PROT_WRITE);
	pid_t pid;

	*p = (char)0xc3;
	CHILD (pid)
		((void (*)(void))p)();
	wait_signal(pid, SIGSEGV);
}

TEST(address_space_limit)
{
	struct rlimit lim = { 64UL << 20, 64UL << 20 };

	OK(setrlimit(RLIMIT_AS, &lim));
	CHECK_ERRNO(mmap(NULL, 128UL << 20, PROT_READ | PROT_WRITE, ANON, -1, 0), ENOMEM);
	OK(mmap(NULL, 1UL << 20, PROT_READ | PROT_WRITE, ANON, -1, 0));
}

TEST(flags_that_say_what_it_is_for)
{
	char *p = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, ANON | MAP_STACK, -1, 0));

	p[4 * PAGE - 1] = 1;
	p = OK(mmap(NULL, PAGE, PROT_READ, ANON | MAP_NORESERVE | MAP_NONBLOCK, -1, 0));
	CHECK_EQ(*p, 0);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS | 0xf, -1, 0), EINVAL);
}
