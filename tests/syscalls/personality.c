/* SPDX-License-Identifier: Apache-2.0 */
/* personality(2). */
#include <sys/personality.h>

#include "harness.h"

TEST(query)
{
	CHECK_EQ(personality(0xffffffff), 0);
}

TEST(set_returns_the_old_one)
{
	if (personality(ADDR_NO_RANDOMIZE) == -1 && errno == EPERM && filtered())
		SKIP("the filter refuses personality");
	CHECK_EQ(personality(0xffffffff), ADDR_NO_RANDOMIZE);
	CHECK_EQ(personality(0), ADDR_NO_RANDOMIZE);
	CHECK_EQ(personality(0xffffffff), 0);
}

TEST(inherited)
{
	pid_t pid;

	if (personality(ADDR_NO_RANDOMIZE) == -1 && errno == EPERM && filtered())
		SKIP("the filter refuses personality");
	CHILD (pid)
		CHECK_EQ(personality(0xffffffff), ADDR_NO_RANDOMIZE);
	wait_ok(pid);
}

int test_subject(int argc, char **argv)
{
	uintptr_t where = (uintptr_t)&argc;

	return (int)syscall(SYS_write, atoi(argv[1]), &where, sizeof(where)) != sizeof(where);
}

static uintptr_t stack_of_a_run(void)
{
	uintptr_t where = 0;
	int fds[2];
	char out[8];
	pid_t pid;

	OK(pipe(fds));
	snprintf(out, sizeof(out), "%d", fds[1]);
	CHILD (pid)
		execl(test_self(), "subject", out, NULL);
	wait_ok(pid);
	CHECK_EQ(read(fds[0], &where, sizeof(where)), sizeof(where));
	OK(close(fds[0]));
	OK(close(fds[1]));
	return where;
}

TEST(stack_moves_unless_told_not_to)
{
	uintptr_t first = stack_of_a_run();
	bool moved = false;

	for (int i = 0; i < 10 && !moved; i++)
		moved = stack_of_a_run() != first;
	CHECK(moved);
	if (personality(ADDR_NO_RANDOMIZE) == -1 && errno == EPERM && filtered())
		SKIP("the filter refuses personality");
	first = stack_of_a_run();
	for (int i = 0; i < 5; i++)
		CHECK_EQ(stack_of_a_run(), first);
}

TEST(uname26)
{
	if (personality(UNAME26) == -1)
		SKIP("no UNAME26: %s", test_errno_name(errno));
	CHECK_EQ(personality(0) & UNAME26, UNAME26);
}
