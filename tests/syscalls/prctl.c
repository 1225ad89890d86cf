/* SPDX-License-Identifier: Apache-2.0 */
/* prctl(2), where no other topic has it. */
#include <pthread.h>
#include <sys/prctl.h>

#include "harness.h"

TEST(unknown_option)
{
	CHECK_ERRNO(prctl(99999, 0, 0, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(-1, 0, 0, 0, 0), EINVAL);
}

TEST(name_of_a_thread)
{
	char name[17] = "", text[64];

	OK(prctl(PR_SET_NAME, "0123456789abcdefXYZ"));
	OK(prctl(PR_GET_NAME, name));
	/* Fifteen bytes and NUL. */
	CHECK_STR(name, "0123456789abcde");
	read_file("/proc/self/comm", text, sizeof(text));
	CHECK_STR(text, "0123456789abcde\n");
	write_file("/proc/self/comm", "written");
	OK(prctl(PR_GET_NAME, name));
	CHECK_STR(name, "written");
	CHECK_ERRNO(prctl(PR_SET_NAME, BAD_PTR), EFAULT);
	CHECK_ERRNO(prctl(PR_GET_NAME, BAD_PTR), EFAULT);
}

static void *named(void *arg)
{
	OK(prctl(PR_SET_NAME, "second"));
	return arg;
}

TEST(names_are_the_threads_own)
{
	char name[16];
	pthread_t t;

	OK(prctl(PR_SET_NAME, "first"));
	CHECK_EQ(pthread_create(&t, NULL, named, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	OK(prctl(PR_GET_NAME, name));
	CHECK_STR(name, "first");
}

TEST(parent_death_signal)
{
	int sig = -1;

	OK(prctl(PR_GET_PDEATHSIG, &sig));
	CHECK_EQ(sig, 0);
	OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
	OK(prctl(PR_GET_PDEATHSIG, &sig));
	CHECK_EQ(sig, SIGUSR1);
	CHECK_ERRNO(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
	CHECK_ERRNO(prctl(PR_GET_PDEATHSIG, BAD_PTR), EFAULT);
}

TEST(parent_death_signal_is_not_inherited)
{
	int sig = -1;
	pid_t pid;

	OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
	CHILD (pid) {
		OK(prctl(PR_GET_PDEATHSIG, &sig));
		CHECK_EQ(sig, 0);
	}
	wait_ok(pid);
}

TEST(dumpable)
{
	OK(prctl(PR_SET_DUMPABLE, 0));
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
	CHECK_ERRNO(prctl(PR_SET_DUMPABLE, 2), EINVAL);
	OK(prctl(PR_SET_DUMPABLE, 1));
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
}

TEST(timer_slack)
{
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 50000);
	OK(prctl(PR_SET_TIMERSLACK, 1000));
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 1000);
	OK(prctl(PR_SET_TIMERSLACK, 0));
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 50000);
}

TEST(timestamp_counter)
{
	int mode = 0;

	OK(prctl(PR_GET_TSC, &mode));
	CHECK_EQ(mode, PR_TSC_ENABLE);
	CHECK_ERRNO(prctl(PR_SET_TSC, 77), EINVAL);
	CHECK_ERRNO(prctl(PR_GET_TSC, BAD_PTR), EFAULT);
}

TEST(seccomp_mode_is_told)
{
	int mode = prctl(PR_GET_SECCOMP);

	CHECK(mode == 0 || mode == 2);
}

TEST(transparent_huge_pages)
{
	CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0);
	OK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
	CHECK_ERRNO(prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0), EINVAL);
}

TEST(subreaper)
{
	int on = -1;

	OK(prctl(PR_GET_CHILD_SUBREAPER, &on));
	CHECK_EQ(on, 0);
	OK(prctl(PR_SET_CHILD_SUBREAPER, 5));
	OK(prctl(PR_GET_CHILD_SUBREAPER, &on));
	CHECK_EQ(on, 1);
	CHECK_ERRNO(prctl(PR_GET_CHILD_SUBREAPER, BAD_PTR), EFAULT);
}

TEST(anonymous_vma_names)
{
	char *p = OK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	if (prctl(0x53564d41, 0, p, 4096, "a name") == -1) {
		CHECK_EQ(errno, EINVAL);
		SKIP("no PR_SET_VMA_ANON_NAME");
	}
	CHECK_ERRNO(prctl(0x53564d41, 0, p + 1, 4096, "a name"), EINVAL);
}

TEST(tid_address)
{
	int *addr = NULL;

	if (prctl(PR_GET_TID_ADDRESS, &addr) == -1 && errno == EINVAL)
		SKIP("no PR_GET_TID_ADDRESS");
	CHECK(addr != NULL);
}

TEST(memory_map_fields_need_a_right)
{
	need_root();
	become_nobody();
	CHECK_ERRNO(prctl(PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0), EPERM);
}

TEST(io_flusher_and_mce_defaults)
{
	CHECK_EQ(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_DEFAULT);
	CHECK_ERRNO(prctl(PR_MCE_KILL_GET, 1, 0, 0, 0), EINVAL);
}
