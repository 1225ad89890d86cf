/* SPDX-License-Identifier: Apache-2.0 */
/* fork(2) and vfork(2): what a child gets, what it does not. */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

#include "harness.h"

TEST(memory_is_copied)
{
	static int data = 1;
	int stack = 1, *heap = malloc(sizeof(int));
	pid_t pid;

	*heap = 1;
	CHILD (pid) {
		CHECK(data == 1 && stack == 1 && *heap == 1);
		data = stack = *heap = 2;
	}
	wait_ok(pid);
	CHECK(data == 1 && stack == 1 && *heap == 1);
}

TEST(parents_later_writes_are_not_seen)
{
	struct gate go = gate_new();
	char *big = OK(
		mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	pid_t pid;

	memset(big, 'a', 64 * 4096);
	CHILD (pid) {
		gate_pass(&go);
		for (int i = 0; i < 64 * 4096; i++)
			CHECK_EQ(big[i], 'a');
	}
	memset(big, 'b', 64 * 4096);
	gate_open(&go);
	wait_ok(pid);
}

TEST(shared_mappings_stay_shared)
{
	volatile int *shared =
		OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pid;

	CHILD (pid) {
		pid_t grandchild;

		CHILD (grandchild)
			shared[1] = 7;
		wait_ok(grandchild);
		shared[0] = shared[1] + 1;
	}
	wait_ok(pid);
	CHECK_EQ(shared[0], 8);
}

TEST(descriptors_are_copied)
{
	int fds[2];
	pid_t pid;
	char c;

	OK(pipe(fds));
	CHILD (pid) {
		OK(close(fds[0]));
		CHECK_EQ(write(fds[1], "d", 1), 1);
		OK(close(fds[1]));
	}
	wait_ok(pid);
	CHECK_EQ(read(fds[0], &c, 1), 1);
	OK(fcntl(fds[1], F_GETFD));
}

TEST(handlers_and_mask_are_copied_pending_not)
{
	sigset_t set, pending;
	pid_t pid;

	on_signal(SIGUSR1, count_signal, 0);
	on_signal(SIGUSR2, SIG_IGN, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(raise(SIGUSR1));
	CHILD (pid) {
		struct sigaction sa;
		sigset_t mask;

		OK(sigaction(SIGUSR1, NULL, &sa));
		CHECK(sa.sa_handler == count_signal);
		OK(sigaction(SIGUSR2, NULL, &sa));
		CHECK(sa.sa_handler == SIG_IGN);
		OK(sigprocmask(0, NULL, &mask));
		CHECK(sigismember(&mask, SIGUSR1));
		OK(sigpending(&pending));
		CHECK(!sigismember(&pending, SIGUSR1));
	}
	wait_ok(pid);
	OK(sigpending(&pending));
	CHECK(sigismember(&pending, SIGUSR1));
}

TEST(alarms_and_times_are_not_inherited)
{
	struct itimerval it;
	struct tms tms;
	pid_t pid;

	alarm(100);
	CHILD (pid) {
		CHECK_EQ(alarm(0), 0);
		OK(getitimer(ITIMER_REAL, &it));
		CHECK_EQ(it.it_value.tv_sec, 0);
		OK(times(&tms));
		CHECK(tms.tms_utime < 100 && tms.tms_cutime == 0);
	}
	wait_ok(pid);
	CHECK(alarm(0) > 0);
}

static void *sleeper(void *arg)
{
	gate_pass(arg);
	return NULL;
}

TEST(only_the_calling_thread)
{
	struct gate g = gate_new();
	pthread_t t;
	char buf[4096];
	pid_t pid;

	CHECK_EQ(pthread_create(&t, NULL, sleeper, &g), 0);
	CHILD (pid) {
		CHECK_EQ(gettid(), getpid());
		read_file("/proc/self/status", buf, sizeof(buf));
		CHECK(strstr(buf, "\nThreads:\t1\n"));
	}
	wait_ok(pid);
	gate_open(&g);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

static void *forking_thread(void *arg)
{
	pid_t pid;

	(void)arg;
	CHILD (pid)
		CHECK_EQ(getpid(), gettid());
	wait_ok(pid);
	return NULL;
}

TEST(from_several_threads)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, forking_thread, NULL), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
}

TEST(process_limit)
{
	struct rlimit lim = { 0, 0 };
	pid_t pid;

	need_root();
	CHILD (pid) {
		OK(setrlimit(RLIMIT_NPROC, &lim));
		become_nobody();
		CHECK_ERRNO(fork(), EAGAIN);
	}
	wait_ok(pid);
}

TEST(vfork_waits_for_exit)
{
	volatile int order = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		/* The parent sleeps; its memory is ours. */
		order = 1;
		_exit(0);
	}
	CHECK(pid > 0);
	CHECK_EQ(order, 1);
	wait_ok(pid);
}

TEST(vfork_waits_for_exec)
{
	volatile pid_t seen = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		seen = getpid();
		execl(test_self(), "subject", NULL);
		_exit(1);
	}
	CHECK_EQ(seen, pid);
	wait_exit(pid, 33);
}

int test_subject(int argc, char **argv)
{
	return 33;
}

TEST(many_in_sequence)
{
	pid_t pid;

	for (int i = 0; i < 300; i++) {
		CHILD (pid)
			_exit(i & 63);
		wait_exit(pid, i & 63);
	}
}

TEST(many_at_once)
{
	struct gate g = gate_new();
	pid_t pids[100];

	for (int i = 0; i < 100; i++) {
		CHILD (pids[i]) {
			close(g.fd[1]);
			gate_pass(&g);
		}
	}
	OK(close(g.fd[1]));
	for (int i = 0; i < 100; i++)
		wait_ok(pids[i]);
}

TEST(deep_chain)
{
	pid_t pid;
	int depth = 0;

	/* Each process waits for the one it made. */
	while (depth < 30) {
		pid = OK(fork());
		if (pid) {
			wait_exit(pid, depth + 1);
			if (depth)
				_exit(depth);
			return;
		}
		depth++;
	}
	_exit(depth);
}

TEST(uncopied_pages_after_exit_of_parent)
{
	struct gate g = gate_new(), done = gate_new();
	char *p = OK(
		mmap(NULL, 32 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	pid_t pid, inner;
	char c = 0;

	CHILD (pid) {
		memset(p, 'q', 32 * 4096);
		inner = OK(fork());
		if (!inner) {
			gate_pass(&g);
			for (int i = 0; i < 32; i++)
				CHECK_EQ(p[i * 4096], 'q');
			CHECK_EQ(write(done.fd[1], "k", 1), 1);
			_exit(0);
		}
	}
	wait_ok(pid);
	gate_open(&g);
	CHECK_EQ(read(done.fd[0], &c, 1), 1);
	CHECK_EQ(c, 'k');
}
