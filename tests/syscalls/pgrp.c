/* SPDX-License-Identifier: Apache-2.0 */
/* setpgid(2), setsid(2), getpgrp(2): groups and sessions. */
#include "harness.h"

static pid_t waits(struct gate *g)
{
	pid_t pid;

	CHILD (pid) {
		close(g->fd[1]);
		gate_pass(g);
	}
	return pid;
}

int test_subject(int argc, char **argv)
{
	char c;

	(void)!write(atoi(argv[1]), "x", 1);
	return read(atoi(argv[2]), &c, 1) < 0;
}

TEST(new_group)
{
	struct gate g = gate_new();
	pid_t pid = waits(&g);

	OK(setpgid(pid, pid));
	CHECK_EQ(getpgid(pid), pid);
	CHECK_EQ(getsid(pid), getsid(0));
	OK(setpgid(pid, getpgrp()));
	CHECK_EQ(getpgid(pid), getpgrp());
	OK(setpgid(pid, 0));
	CHECK_EQ(getpgid(pid), pid);
	gate_open(&g);
	wait_ok(pid);
}

TEST(join_another)
{
	struct gate g = gate_new();
	pid_t a = waits(&g), b = waits(&g);

	OK(setpgid(a, a));
	OK(setpgid(b, a));
	CHECK_EQ(getpgid(b), a);
	gate_open(&g);
	gate_open(&g);
	wait_ok(a);
	wait_ok(b);
}

TEST(group_outlives_its_leader)
{
	struct gate a = gate_new(), b = gate_new();
	pid_t leader = waits(&a), member = waits(&b), other;

	OK(setpgid(leader, leader));
	OK(setpgid(member, leader));
	gate_open(&a);
	wait_ok(leader);
	OK(kill(-leader, 0));
	CHECK_EQ(getpgid(member), leader);
	other = waits(&a);
	OK(setpgid(other, leader));
	OK(kill(-leader, SIGTERM));
	wait_signal(member, SIGTERM);
	wait_signal(other, SIGTERM);
	CHECK_ERRNO(kill(-leader, 0), ESRCH);
}

TEST(errors)
{
	struct gate g = gate_new();
	pid_t pid = waits(&g), other;

	CHECK_ERRNO(setpgid(pid, -1), EINVAL);
	CHECK_ERRNO(setpgid(0x3fffffff, 0), ESRCH);
	CHECK_ERRNO(setpgid(getppid(), 0), ESRCH);
	CHECK_ERRNO(setpgid(pid, 0x3fffffff), EPERM);
	/* A session leader stays in its group. */
	CHECK_ERRNO(setpgid(0, 0), EPERM);
	CHILD (other) {
		OK(setsid());
		gate_pass(&g);
	}
	for (int i = 0; i < 2000 && getsid(other) != other; i++)
		sleep_ms(1);
	CHECK_ERRNO(setpgid(other, other), EPERM);
	CHECK_ERRNO(setpgid(pid, other), EPERM);
	gate_open(&g);
	gate_open(&g);
	wait_ok(pid);
	wait_ok(other);
}

TEST(not_after_exec)
{
	struct gate ready = gate_new(), g = gate_new();
	char out[8], in[8];
	pid_t pid;

	CHILD (pid) {
		snprintf(out, sizeof(out), "%d", OK(dup(ready.fd[1])));
		snprintf(in, sizeof(in), "%d", OK(dup(g.fd[0])));
		execl(test_self(), "subject", out, in, NULL);
	}
	gate_pass(&ready);
	CHECK_ERRNO(setpgid(pid, pid), EACCES);
	gate_open(&g);
	wait_ok(pid);
}

TEST(new_session)
{
	pid_t pid;

	CHECK_ERRNO(setsid(), EPERM);
	CHILD (pid) {
		CHECK_EQ(setsid(), getpid());
		CHECK_EQ(getsid(0), getpid());
		CHECK_EQ(getpgrp(), getpid());
		CHECK_ERRNO(setsid(), EPERM);
	}
	wait_ok(pid);
}

TEST(group_leader_makes_no_session)
{
	pid_t pid;

	CHILD (pid) {
		OK(setpgid(0, 0));
		CHECK_ERRNO(setsid(), EPERM);
	}
	wait_ok(pid);
}

TEST(child_of_a_group_leader_makes_one)
{
	pid_t pid, inner;

	CHILD (pid) {
		OK(setpgid(0, 0));
		CHILD (inner)
			CHECK_EQ(setsid(), getpid());
		wait_ok(inner);
	}
	wait_ok(pid);
}

TEST(pid_of_a_living_group_is_not_used_again)
{
	struct gate b = gate_new(), a = gate_new();
	pid_t leader = waits(&a), member = waits(&b), pid;

	OK(setpgid(leader, leader));
	OK(setpgid(member, leader));
	gate_open(&a);
	wait_ok(leader);
	for (int i = 0; i < 200; i++) {
		CHILD (pid)
			;
		CHECK(pid != leader);
		wait_ok(pid);
	}
	gate_open(&b);
	wait_ok(member);
}

TEST(raw_getpgrp)
{
	CHECK_EQ(syscall(SYS_getpgrp), getpgid(0));
}
