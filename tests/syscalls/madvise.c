/* SPDX-License-Identifier: Apache-2.0 */
/* madvise(2): advice that changes contents, inheritance, and the errors. */
#include "harness.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE };

static char *map(size_t pages, int flags)
{
	char *p = OK(mmap(NULL, pages * PAGE, RW, flags | MAP_ANONYMOUS, -1, 0));

	memset(p, 'm', pages * PAGE);
	return p;
}

TEST(dontneed_zeroes_anonymous_memory)
{
	char *p = map(3, MAP_PRIVATE);

	OK(madvise(p + PAGE, PAGE, MADV_DONTNEED));
	CHECK_EQ(p[0], 'm');
	CHECK_EQ(p[PAGE], 0);
	CHECK_EQ(p[2 * PAGE - 1], 0);
	CHECK_EQ(p[2 * PAGE], 'm');
}

TEST(dontneed_reads_private_file_pages_again)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	char *p;

	CHECK_EQ(write(fd, "file", 4), 4);
	p = OK(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0));
	p[0] = 'X';
	OK(madvise(p, PAGE, MADV_DONTNEED));
	CHECK_EQ(p[0], 'f');
}

TEST(dontneed_keeps_shared_memory)
{
	char *p = map(1, MAP_SHARED);

	OK(madvise(p, PAGE, MADV_DONTNEED));
	CHECK_EQ(p[0], 'm');
}

TEST(remove_punches_shared_memory)
{
	char *p = map(2, MAP_SHARED);

	if (madvise(p, PAGE, MADV_REMOVE) && errno == EOPNOTSUPP)
		SKIP("no MADV_REMOVE here");
	CHECK_EQ(p[0], 0);
	CHECK_EQ(p[PAGE], 'm');
}

TEST(free_keeps_or_zeroes)
{
	char *p = map(1, MAP_PRIVATE);

	OK(madvise(p, PAGE, MADV_FREE));
	CHECK(p[0] == 'm' || p[0] == 0);
	p[0] = 'w';
	CHECK_EQ(p[0], 'w');
	p = map(1, MAP_SHARED);
	CHECK_ERRNO(madvise(p, PAGE, MADV_FREE), EINVAL);
}

TEST(dontfork_leaves_a_hole_in_the_child)
{
	char *p = map(2, MAP_PRIVATE);
	pid_t pid;

	OK(madvise(p, PAGE, MADV_DONTFORK));
	CHILD (pid) {
		CHECK_EQ(p[PAGE], 'm');
		(void)*(volatile char *)p;
	}
	wait_signal(pid, SIGSEGV);
	OK(madvise(p, PAGE, MADV_DOFORK));
	CHILD (pid)
		CHECK_EQ(p[0], 'm');
	wait_ok(pid);
}

TEST(wipeonfork_zeroes_in_the_child)
{
	char *p = map(2, MAP_PRIVATE);
	pid_t pid;

	OK(madvise(p, PAGE, MADV_WIPEONFORK));
	CHILD (pid) {
		CHECK_EQ(p[0], 0);
		CHECK_EQ(p[PAGE], 'm');
	}
	wait_ok(pid);
	CHECK_EQ(p[0], 'm');
	OK(madvise(p, PAGE, MADV_KEEPONFORK));
	CHILD (pid)
		CHECK_EQ(p[0], 'm');
	wait_ok(pid);
	p = map(1, MAP_SHARED);
	CHECK_ERRNO(madvise(p, PAGE, MADV_WIPEONFORK), EINVAL);
}

TEST(hints_are_accepted)
{
	static const int hints[] = { MADV_NORMAL,   MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
				     MADV_DONTDUMP, MADV_DODUMP, MADV_COLD,	  MADV_PAGEOUT };
	char *p = map(2, MAP_PRIVATE);

	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		if (madvise(p, 2 * PAGE, hints[i]))
			FAIL("advice %d: %s", hints[i], test_errno_name(errno));
	}
	CHECK_EQ(p[PAGE], 'm');
}

TEST(huge_page_hints)
{
	char *p = map(2, MAP_PRIVATE);

	if (madvise(p, 2 * PAGE, MADV_HUGEPAGE) && errno == EINVAL)
		SKIP("no transparent huge pages");
	OK(madvise(p, 2 * PAGE, MADV_NOHUGEPAGE));
	CHECK_EQ(p[0], 'm');
}

TEST(populate)
{
	char *p = OK(mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned char vec[4];

	if (madvise(p, 2 * PAGE, MADV_POPULATE_WRITE) && errno == EINVAL)
		SKIP("no MADV_POPULATE_WRITE");
	OK(mincore(p, 4 * PAGE, vec));
	CHECK(vec[0] & 1);
	CHECK(vec[1] & 1);
	OK(madvise(p, 4 * PAGE, MADV_POPULATE_READ));
	OK(mprotect(p, PAGE, PROT_READ));
	CHECK_ERRNO(madvise(p, PAGE, MADV_POPULATE_WRITE), EINVAL);
}

TEST(errors)
{
	char *p = map(3, MAP_PRIVATE);

	CHECK_ERRNO(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	CHECK_ERRNO(madvise(p, PAGE, 9999), EINVAL);
	CHECK_ERRNO(madvise(p, SIZE_MAX, MADV_DONTNEED), EINVAL);
	OK(madvise(p, 0, MADV_DONTNEED));
	CHECK_EQ(p[0], 'm');
	OK(munmap(p + PAGE, PAGE));
	CHECK_ERRNO(madvise(p, 3 * PAGE, MADV_DONTNEED), ENOMEM);
	/* The parts that are mapped were advised all the same. */
	CHECK_EQ(p[0], 0);
	CHECK_EQ(p[2 * PAGE], 0);
}
