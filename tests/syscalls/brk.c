/* SPDX-License-Identifier: Apache-2.0 */
/* brk(2): the heap's end. The raw call returns the end in all cases. */
#include <sys/resource.h>

#include "harness.h"

static uintptr_t raw_brk(uintptr_t to)
{
	return (uintptr_t)syscall(SYS_brk, to);
}

TEST(query)
{
	uintptr_t end = raw_brk(0);

	CHECK(end != 0);
	CHECK_EQ(raw_brk(0), end);
	CHECK_EQ(raw_brk(1), end);
}

TEST(grow_gives_zeroed_pages)
{
	uintptr_t end = raw_brk(0);
	unsigned char *p = (unsigned char *)end;

	CHECK_EQ(raw_brk(end + 5 * 4096), end + 5 * 4096);
	for (size_t i = 0; i < 5 * 4096; i++)
		CHECK(!p[i]);
	memset(p, 0xaa, 5 * 4096);
	CHECK_EQ(raw_brk(end), end);
}

TEST(shrink_then_grow_forgets)
{
	uintptr_t start = (raw_brk(0) + 4095) & ~4095UL;
	unsigned char *p = (unsigned char *)start;

	CHECK_EQ(raw_brk(start + 4 * 4096), start + 4 * 4096);
	memset(p, 0x55, 4 * 4096);
	CHECK_EQ(raw_brk(start + 4096), start + 4096);
	CHECK_EQ(p[0], 0x55);
	CHECK_EQ(raw_brk(start + 4 * 4096), start + 4 * 4096);
	CHECK_EQ(p[0], 0x55);
	CHECK_EQ(p[4096], 0);
	CHECK_EQ(p[4 * 4096 - 1], 0);
}

TEST(unaligned_ends)
{
	uintptr_t end = raw_brk(0);

	CHECK_EQ(raw_brk(end + 1), end + 1);
	CHECK_EQ(raw_brk(end + 123), end + 123);
	*(volatile char *)(end + 122) = 1;
}

TEST(too_much_changes_nothing)
{
	uintptr_t end = raw_brk(0);

	CHECK_EQ(raw_brk(UINTPTR_MAX), end);
	CHECK_EQ(raw_brk(0x7fffffffffffUL), end);
	CHECK_EQ(raw_brk(0), end);
}

TEST(not_over_a_mapping)
{
	uintptr_t end = (raw_brk(0) + 4095) & ~4095UL;
	void *wall = mmap((void *)(end + 16 * 4096), 4096, PROT_READ,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (wall == MAP_FAILED)
		SKIP("something lies behind the heap");
	uintptr_t now = raw_brk(0);

	CHECK_EQ(raw_brk(end + 32 * 4096), now);
	CHECK_EQ(raw_brk(end + 8 * 4096), end + 8 * 4096);
}

TEST(limit_of_data)
{
	struct rlimit lim = { 0, 0 };
	uintptr_t end = raw_brk(0);

	OK(setrlimit(RLIMIT_DATA, &lim));
	CHECK_EQ(raw_brk(end + 1024 * 4096), end);
}

TEST(access_behind_the_end_faults)
{
	uintptr_t end = (raw_brk(0) + 4095) & ~4095UL;
	pid_t pid;

	CHILD (pid) {
		raw_brk(end + 4096);
		raw_brk(end);
		*(volatile char *)end = 1;
	}
	wait_signal(pid, SIGSEGV);
}

TEST(child_has_its_own_heap)
{
	uintptr_t end = raw_brk(0);
	pid_t pid;

	CHILD (pid) {
		CHECK_EQ(raw_brk(0), end);
		CHECK_EQ(raw_brk(end + 64 * 4096), end + 64 * 4096);
	}
	wait_ok(pid);
	CHECK_EQ(raw_brk(0), end);
}
