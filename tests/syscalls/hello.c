/* SPDX-License-Identifier: Apache-2.0 */
/* write(2), exit(2), exit_group(2) and what a new program finds on its stack: needed by all the
 * rest. */
#include <elf.h>
#include <sys/auxv.h>

#include "harness.h"

extern char **environ;

TEST(write_to_standard_output)
{
	CHECK_EQ(write(1, "# hello\n", 8), 8);
}

TEST(write_of_nothing)
{
	CHECK_EQ(write(1, "", 0), 0);
}

TEST(write_to_closed_descriptor)
{
	CHECK_ERRNO(write(199, "x", 1), EBADF);
	CHECK_ERRNO(write(-1, "x", 1), EBADF);
}

TEST(write_from_bad_address)
{
	CHECK_ERRNO(write(1, BAD_PTR, 1), EFAULT);
	CHECK_ERRNO(write(1, KERNEL_PTR, 1), EFAULT);
}

TEST(unknown_call)
{
	CHECK_ERRNO(syscall(1023), ENOSYS);
	CHECK_ERRNO(syscall(-1), ENOSYS);
}

TEST(call_number_is_32_bits)
{
	long ret;

	/* Linux takes eax only; the upper half of rax does not make another number. */
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(0x100000000L | SYS_getpid)
			 : "rcx", "r11", "memory");
	CHECK_EQ(ret, getpid());
}

TEST(registers_survive_a_call)
{
	register long r10 __asm__("r10") = 10, r8 __asm__("r8") = 8, r9 __asm__("r9") = 9;
	register long r12 __asm__("r12") = 12, r13 __asm__("r13") = 13;
	long ret, rdi = 1, rsi = 2, rdx = 3;

	__asm__ volatile("syscall"
			 : "=a"(ret), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8),
			   "+r"(r9), "+r"(r12), "+r"(r13)
			 : "a"((long)SYS_getuid)
			 : "rcx", "r11", "memory");
	CHECK(rdi == 1 && rsi == 2 && rdx == 3);
	CHECK(r10 == 10 && r8 == 8 && r9 == 9 && r12 == 12 && r13 == 13);
	CHECK_EQ(ret, getuid());
}

TEST(vector_registers_survive_a_call)
{
	unsigned char in[16], out[16];

	memset(in, 0x5a, sizeof(in));
	__asm__ volatile("movdqu (%1), %%xmm7\n\tmovdqu (%1), %%xmm15\n\t"
			 "movl %3, %%eax\n\tsyscall\n\t"
			 "pxor %%xmm7, %%xmm15\n\tmovdqu %%xmm15, (%2)"
			 :
			 : "D"(0), "r"(in), "r"(out), "i"(SYS_getppid)
			 : "rax", "rcx", "r11", "xmm7", "xmm15", "memory");
	for (size_t i = 0; i < sizeof(out); i++)
		CHECK_EQ(out[i], 0);
}

TEST(auxiliary_vector)
{
	const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
	unsigned int sum = 0;

	CHECK_EQ(getauxval(AT_PAGESZ), 4096);
	CHECK_EQ(getauxval(AT_UID), getuid());
	CHECK_EQ(getauxval(AT_EUID), geteuid());
	CHECK_EQ(getauxval(AT_GID), getgid());
	CHECK_EQ(getauxval(AT_EGID), getegid());
	CHECK_EQ(getauxval(AT_SECURE), 0);
	CHECK_EQ(getauxval(AT_CLKTCK), 100);
	CHECK_EQ(getauxval(AT_PHENT), sizeof(Elf64_Phdr));
	CHECK(getauxval(AT_PHNUM) > 2);
	CHECK(getauxval(AT_ENTRY) != 0);
	CHECK_STR((const char *)getauxval(AT_PLATFORM), "x86_64");
	CHECK(random);
	for (int i = 0; i < 16; i++)
		sum |= random[i];
	CHECK(sum != 0);
}

TEST(execfn_and_environment)
{
	const char *name = (const char *)getauxval(AT_EXECFN);

	CHECK(name && *name);
	CHECK(environ);
}

TEST(stack_is_aligned_and_grows)
{
	volatile char deep[256 * 1024];

	for (size_t i = 0; i < sizeof(deep); i += 1024)
		deep[sizeof(deep) - 1 - i] = (char)i;
	CHECK_EQ(deep[sizeof(deep) - 1 - 1024], 0);
}

TEST(zeroed_data)
{
	static char zero[3 * 4096];

	for (size_t i = 0; i < sizeof(zero); i++)
		CHECK(!zero[i]);
	memset(zero, 1, sizeof(zero));
}
