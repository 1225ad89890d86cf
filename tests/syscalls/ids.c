/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of processes, threads, groups, sessions and users, as a process sees its own and others'.
 */
#include <grp.h>
#include <pthread.h>

#include "harness.h"

TEST(pid_and_tid_of_the_first_thread)
{
	CHECK(getpid() > 0);
	CHECK_EQ(gettid(), getpid());
	CHECK_EQ(syscall(SYS_getpid), getpid());
}

TEST(parent_of_a_child)
{
	pid_t pid, self = getpid();

	CHILD (pid) {
		CHECK(getpid() != self);
		CHECK_EQ(getppid(), self);
		CHECK_EQ(gettid(), getpid());
	}
	CHECK(pid != self);
	wait_ok(pid);
}

TEST(orphan_gets_another_parent)
{
	struct gate parent_gone = gate_new(), done = gate_new();
	pid_t pid, grandchild;

	CHILD (pid) {
		pid_t middle = getpid();

		grandchild = OK(fork());
		if (!grandchild) {
			gate_pass(&parent_gone);
			CHECK(getppid() != middle);
			CHECK(getppid() >= 0);
			gate_open(&done);
			_exit(0);
		}
	}
	wait_ok(pid);
	gate_open(&parent_gone);
	gate_close_writer(&done);
	gate_pass(&done);
}

static void *thread_ids(void *arg)
{
	pid_t *ids = arg;

	ids[0] = getpid();
	ids[1] = gettid();
	ids[2] = getppid();
	return NULL;
}

TEST(thread_has_own_tid_and_same_pid)
{
	pid_t ids[3];
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, thread_ids, ids), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(ids[0], getpid());
	CHECK(ids[1] != getpid());
	CHECK_EQ(ids[2], getppid());
}

TEST(real_and_effective_users_agree)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	OK(getresuid(&r, &e, &s));
	OK(getresgid(&rg, &eg, &sg));
	CHECK_EQ(r, getuid());
	CHECK_EQ(e, geteuid());
	CHECK_EQ(s, e);
	CHECK_EQ(rg, getgid());
	CHECK_EQ(eg, getegid());
	CHECK_EQ(sg, eg);
}

TEST(getresuid_bad_address)
{
	uid_t a;

	CHECK_ERRNO(syscall(SYS_getresuid, BAD_PTR, &a, &a), EFAULT);
	CHECK_ERRNO(syscall(SYS_getresgid, &a, &a, BAD_PTR), EFAULT);
}

TEST(getgroups_sizes)
{
	gid_t groups[256];
	int n = OK(getgroups(0, NULL));

	CHECK(n <= 256);
	CHECK_EQ(getgroups(256, groups), n);
	CHECK_ERRNO(getgroups(-1, groups), EINVAL);
	if (n > 0)
		CHECK_ERRNO(syscall(SYS_getgroups, n, BAD_PTR), EFAULT);
}

TEST(session_and_group_of_the_case)
{
	/* The frame made this process a session leader. */
	CHECK_EQ(getsid(0), getpid());
	CHECK_EQ(getpgrp(), getpid());
	CHECK_EQ(getpgid(0), getpid());
	CHECK_EQ(getpgid(getpid()), getpid());
	CHECK_EQ(getsid(getpid()), getpid());
}

TEST(ids_of_nobody)
{
	CHECK_ERRNO(getpgid(0x3fffffff), ESRCH);
	CHECK_ERRNO(getsid(0x3fffffff), ESRCH);
	CHECK_ERRNO(getpgid(-1), ESRCH);
	CHECK_ERRNO(getsid(-7), ESRCH);
}

TEST(child_inherits_group_and_session)
{
	pid_t pid, sid = getsid(0), pgid = getpgrp();

	CHILD (pid) {
		CHECK_EQ(getsid(0), sid);
		CHECK_EQ(getpgrp(), pgid);
	}
	wait_ok(pid);
}

TEST(pids_are_not_reused_at_once)
{
	pid_t seen[50];

	for (int i = 0; i < 50; i++) {
		CHILD (seen[i])
			;
		wait_ok(seen[i]);
		for (int j = 0; j < i; j++)
			CHECK(seen[j] != seen[i]);
	}
}
