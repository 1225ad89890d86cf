/* SPDX-License-Identifier: Apache-2.0 */
/* mremap(2). */
#include <setjmp.h>

#include "harness.h"

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };
static sigjmp_buf jump;

static void on_fault(int sig)
{
	siglongjmp(jump, sig);
}

static bool readable(volatile char *p)
{
	on_signal(SIGSEGV, on_fault, 0);
	on_signal(SIGBUS, on_fault, 0);
	if (sigsetjmp(jump, 1))
		return false;
	(void)*p;
	return true;
}

static char *map(size_t pages)
{
	char *p = OK(mmap(NULL, pages * PAGE, RW, ANON, -1, 0));

	for (size_t i = 0; i < pages; i++)
		memset(p + i * PAGE, (int)('a' + i), PAGE);
	return p;
}

TEST(shrink)
{
	char *p = map(4);

	CHECK(mremap(p, 4 * PAGE, 2 * PAGE, 0) == p);
	CHECK_EQ(p[PAGE], 'b');
	CHECK(!readable(p + 2 * PAGE));
}

TEST(grow_in_place)
{
	char *p = map(4);

	OK(munmap(p + 2 * PAGE, 2 * PAGE));
	CHECK(mremap(p, 2 * PAGE, 4 * PAGE, 0) == p);
	CHECK_EQ(p[PAGE], 'b');
	CHECK_EQ(p[2 * PAGE], 0);
	p[4 * PAGE - 1] = 1;
}

TEST(grow_needs_maymove)
{
	char *p = map(3), *q;

	/* The page behind is taken: no room to grow in place. */
	CHECK_ERRNO(mremap(p, 2 * PAGE, 4 * PAGE, 0), ENOMEM);
	OK(mprotect(p + 2 * PAGE, PAGE, PROT_READ));
	q = OK(mremap(p, 2 * PAGE, 6 * PAGE, MREMAP_MAYMOVE));
	CHECK(q != p);
	CHECK_EQ(q[0], 'a');
	CHECK_EQ(q[PAGE], 'b');
	CHECK_EQ(q[2 * PAGE], 0);
	CHECK(!readable(p));
	CHECK_EQ(p[2 * PAGE], 'c');
}

TEST(move_to_a_fixed_place)
{
	char *p = map(2), *to = map(4);

	CHECK(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + PAGE) == to + PAGE);
	CHECK_EQ(to[0], 'a');
	CHECK_EQ(to[PAGE], 'a');
	CHECK_EQ(to[2 * PAGE], 'b');
	CHECK_EQ(to[3 * PAGE], 'd');
	CHECK(!readable(p) && !readable(p + PAGE));
}

TEST(part_of_a_mapping_moves)
{
	char *p = map(3), *q;

	q = OK(mremap(p + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	CHECK_EQ(q[0], 'b');
	CHECK_EQ(p[0], 'a');
	CHECK(!readable(p + PAGE));
	CHECK_EQ(p[2 * PAGE], 'c');
}

TEST(dontunmap)
{
	char *p = map(2);
	char *q = mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);

	if (q == MAP_FAILED && errno == EINVAL)
		SKIP("no MREMAP_DONTUNMAP");
	CHECK(q != MAP_FAILED && q != p);
	CHECK_EQ(q[PAGE], 'b');
	CHECK_EQ(p[0], 0);
	CHECK_EQ(p[PAGE], 0);
	p[0] = 1;
}

TEST(errors)
{
	char *p = map(2);

	CHECK_ERRNO(mremap(p + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERRNO(mremap(p, PAGE, 0, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERRNO(mremap(p, PAGE, PAGE, 64), EINVAL);
	CHECK_ERRNO(mremap(p, PAGE, PAGE, MREMAP_FIXED, p), EINVAL);
	CHECK_ERRNO(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE), EINVAL);
	CHECK_ERRNO(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 5), EINVAL);
	CHECK_ERRNO(mremap(p, PAGE, 1UL << 62, MREMAP_MAYMOVE), EINVAL);
	OK(munmap(p + PAGE, PAGE));
	CHECK_ERRNO(mremap(p + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK_ERRNO(mremap(p, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK_ERRNO(mremap(p, 0, PAGE, MREMAP_MAYMOVE), EINVAL);
}

TEST(old_length_zero_duplicates_a_shared_mapping)
{
	char *p = OK(mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0)), *q;

	*p = 'x';
	q = OK(mremap(p, 0, PAGE, MREMAP_MAYMOVE));
	CHECK(q != p);
	CHECK_EQ(*q, 'x');
	*q = 'y';
	CHECK_EQ(*p, 'y');
}

TEST(file_mapping_keeps_its_place_in_the_file)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	char *p;

	OK(ftruncate(fd, 4 * PAGE));
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pwrite(fd, "0123" + i, 1, i * PAGE), 1);
	p = OK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, PAGE));
	CHECK_EQ(*p, '1');
	p = OK(mremap(p, PAGE, 3 * PAGE, MREMAP_MAYMOVE));
	CHECK_EQ(p[0], '1');
	CHECK_EQ(p[PAGE], '2');
	CHECK_EQ(p[2 * PAGE], '3');
}

TEST(large_area_keeps_its_contents)
{
	size_t pages = 2000;
	uint32_t *p = OK(mmap(NULL, pages * PAGE, RW, ANON, -1, 0));

	for (size_t i = 0; i < pages; i++)
		p[i * 1024] = (uint32_t)i;
	for (int round = 0; round < 4; round++) {
		p = OK(mremap(p, pages * PAGE, 2 * pages * PAGE, MREMAP_MAYMOVE));
		pages *= 2;
	}
	for (size_t i = 0; i < 2000; i++)
		CHECK_EQ(p[i * 1024], i);
}

TEST(duplicate_over_its_own_source)
{
	char *p = OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));

	/* The new place is cleared first, and the old one with it. */
	CHECK_ERRNO(mremap(p, 0, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p), EFAULT);
	CHECK(!readable(p));
	CHECK(readable(p + PAGE));
}

TEST(shrink_goes_across_areas_and_holes)
{
	char *p = map(5);

	OK(mprotect(p + 2 * PAGE, PAGE, PROT_READ));
	OK(munmap(p + 3 * PAGE, PAGE));
	CHECK(mremap(p, 5 * PAGE, 5 * PAGE, 0) == p);
	CHECK(mremap(p, 5 * PAGE, 5 * PAGE, MREMAP_MAYMOVE) == p);
	CHECK_ERRNO(mremap(p, 5 * PAGE, 6 * PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK_EQ(p[4 * PAGE], 'e');
	CHECK(mremap(p, 5 * PAGE, PAGE, 0) == p);
	CHECK_EQ(p[0], 'a');
	CHECK(!readable(p + PAGE) && !readable(p + 2 * PAGE) && !readable(p + 4 * PAGE));
}
