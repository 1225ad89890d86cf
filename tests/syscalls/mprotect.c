/* SPDX-License-Identifier: Apache-2.0 */
/* mprotect(2): rights of pages, parts of mappings, errors, faults. */
#include <setjmp.h>

#include "harness.h"

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE };
static sigjmp_buf jump;

static void on_fault(int sig)
{
	siglongjmp(jump, sig);
}

static int touch(volatile char *p, bool write)
{
	int sig;

	on_signal(SIGSEGV, on_fault, 0);
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
	return OK(mmap(NULL, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

TEST(take_and_give_rights)
{
	char *p = map(1, RW);

	*p = 5;
	OK(mprotect(p, PAGE, PROT_READ));
	CHECK_EQ(*p, 5);
	CHECK_EQ(touch(p, true), SIGSEGV);
	OK(mprotect(p, PAGE, PROT_NONE));
	CHECK_EQ(touch(p, false), SIGSEGV);
	OK(mprotect(p, PAGE, RW));
	CHECK_EQ(*p, 5);
	CHECK_EQ(touch(p, true), 0);
}

TEST(middle_of_a_mapping)
{
	char *p = map(3, RW);

	OK(mprotect(p + PAGE, PAGE, PROT_READ));
	CHECK_EQ(touch(p, true), 0);
	CHECK_EQ(touch(p + PAGE, true), SIGSEGV);
	CHECK_EQ(touch(p + 2 * PAGE, true), 0);
	OK(mprotect(p, 3 * PAGE, RW));
	CHECK_EQ(touch(p + PAGE, true), 0);
}

TEST(across_two_mappings)
{
	char *p = map(4, PROT_NONE);

	OK(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	OK(mprotect(p, 4 * PAGE, RW));
	for (int i = 0; i < 4; i++)
		CHECK_EQ(touch(p + i * PAGE, true), 0);
}

TEST(hole_is_an_error_after_the_part_before)
{
	char *p = map(3, RW);

	OK(munmap(p + PAGE, PAGE));
	CHECK_ERRNO(mprotect(p, 3 * PAGE, PROT_READ), ENOMEM);
	CHECK_EQ(touch(p, true), SIGSEGV);
	CHECK_EQ(touch(p + 2 * PAGE, true), 0);
}

TEST(errors)
{
	char *p = map(1, RW);

	CHECK_ERRNO(mprotect(p + 1, PAGE, PROT_READ), EINVAL);
	CHECK_ERRNO(mprotect(p, PAGE, 0x1000), EINVAL);
	CHECK_ERRNO(mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP), EINVAL);
	CHECK_ERRNO(mprotect(p, SIZE_MAX - PAGE + 2, PROT_READ), ENOMEM);
	CHECK_ERRNO(mprotect((void *)PAGE, PAGE, PROT_READ), ENOMEM);
	OK(mprotect(p, 0, PROT_READ));
	CHECK_EQ(touch(p, true), 0);
}

TEST(length_is_rounded_up)
{
	char *p = map(2, RW);

	OK(mprotect(p, 1, PROT_READ));
	CHECK_EQ(touch(p + PAGE - 1, true), SIGSEGV);
	CHECK_EQ(touch(p + PAGE, true), 0);
}

TEST(shared_read_only_file_stays_so)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	char *p;

	OK(ftruncate(fd, PAGE));
	OK(close(fd));
	fd = OK(open("f", O_RDONLY));
	p = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	CHECK_ERRNO(mprotect(p, PAGE, RW), EACCES);
	OK(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	p = OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
	OK(mprotect(p, PAGE, RW));
	CHECK_EQ(touch(p, true), 0);
}

TEST(write_then_execute)
{
	static const unsigned char code[] = { 0xb8, 7, 0, 0, 0, 0xc3 };
	char *p = map(1, RW);
	pid_t pid;

	memcpy(p, code, sizeof(code));
	OK(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	CHECK_EQ(((int (*)(void))p)(), 7);
	CHECK_EQ(touch(p, true), SIGSEGV);
	OK(mprotect(p, PAGE, PROT_READ));
	CHILD (pid) {
		on_signal(SIGSEGV, SIG_DFL, 0);
		((void (*)(void))p)();
	}
	wait_signal(pid, SIGSEGV);
}

TEST(code_may_be_rewritten)
{
	static const unsigned char code[] = { 0xb8, 7, 0, 0, 0, 0xc3 };
	char *p = map(1, RW);

	memcpy(p, code, sizeof(code));
	for (int i = 0; i < 20; i++) {
		OK(mprotect(p, PAGE, RW));
		p[1] = (char)i;
		OK(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
		CHECK_EQ(((int (*)(void))p)(), i);
	}
}

TEST(kernel_respects_rights)
{
	char *p = map(1, PROT_READ);
	int zero = OK(open("/dev/zero", O_RDONLY)), fds[2];

	CHECK_ERRNO(read(zero, p, 10), EFAULT);
	OK(mprotect(p, PAGE, PROT_NONE));
	OK(pipe(fds));
	CHECK_ERRNO(write(fds[1], p, 10), EFAULT);
	OK(mprotect(p, PAGE, RW));
	CHECK_EQ(read(zero, p, 10), 10);
}

TEST(rights_are_copied_by_fork)
{
	char *p = map(2, RW);
	pid_t pid;

	OK(mprotect(p, PAGE, PROT_READ));
	CHILD (pid) {
		CHECK_EQ(touch(p, true), SIGSEGV);
		OK(mprotect(p, PAGE, RW));
		CHECK_EQ(touch(p, true), 0);
	}
	wait_ok(pid);
	CHECK_EQ(touch(p, true), SIGSEGV);
}

TEST(protection_keys)
{
	int key = (int)syscall(SYS_pkey_alloc, 0, 0);
	char *p = map(1, RW);

	CHECK_ERRNO(syscall(SYS_pkey_alloc, 1, 0), key < 0 && errno == ENOSYS ? ENOSYS : EINVAL);
	if (key < 0)
		SKIP("no protection keys");
	OK(syscall(SYS_pkey_mprotect, p, PAGE, RW, key));
	CHECK_ERRNO(syscall(SYS_pkey_mprotect, p, PAGE, RW, 15), EINVAL);
	OK(syscall(SYS_pkey_free, key));
	CHECK_ERRNO(syscall(SYS_pkey_free, key), EINVAL);
}
