/* SPDX-License-Identifier: Apache-2.0 */
/* times(2), getrusage(2), acct(2) and other calls about the use of the machine. */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/times.h>

#include "harness.h"

static int64_t micros(struct timeval tv)
{
	return tv.tv_sec * 1000000LL + tv.tv_usec;
}

TEST(own_time_grows)
{
	struct rusage a, b;

	OK(getrusage(RUSAGE_SELF, &a));
	burn_ms(80);
	OK(getrusage(RUSAGE_SELF, &b));
	CHECK(micros(b.ru_utime) + micros(b.ru_stime) >
	      micros(a.ru_utime) + micros(a.ru_stime) + 5000);
	CHECK(b.ru_maxrss > 100);
}

TEST(children_count_when_waited_for)
{
	struct rusage a, b;
	pid_t pid;

	CHILD (pid)
		burn_ms(80);
	OK(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT));
	OK(getrusage(RUSAGE_CHILDREN, &a));
	CHECK_EQ(micros(a.ru_utime) + micros(a.ru_stime), 0);
	wait_ok(pid);
	OK(getrusage(RUSAGE_CHILDREN, &b));
	CHECK(micros(b.ru_utime) + micros(b.ru_stime) > 5000);
}

static void *burns(void *arg)
{
	struct rusage ru;

	burn_ms(60);
	OK(getrusage(RUSAGE_THREAD, &ru));
	CHECK(micros(ru.ru_utime) + micros(ru.ru_stime) > 4000);
	return arg;
}

TEST(threads_count_for_the_process)
{
	struct rusage self, thread;
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, burns, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	OK(getrusage(RUSAGE_THREAD, &thread));
	OK(getrusage(RUSAGE_SELF, &self));
	CHECK(micros(self.ru_utime) + micros(self.ru_stime) >
	      micros(thread.ru_utime) + micros(thread.ru_stime) + 3000);
}

TEST(page_faults_are_counted)
{
	struct rusage a, b;
	char *p;

	OK(getrusage(RUSAGE_SELF, &a));
	p = OK(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	OK(madvise(p, 1 << 20, MADV_NOHUGEPAGE));
	for (int i = 0; i < 1 << 20; i += 4096)
		p[i] = 1;
	OK(getrusage(RUSAGE_SELF, &b));
	CHECK(b.ru_minflt > a.ru_minflt);
}

static void *touch(void *arg)
{
	struct rusage a, b;
	char *p;

	OK(getrusage(RUSAGE_THREAD, &a));
	p = OK(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	OK(madvise(p, 1 << 20, MADV_NOHUGEPAGE));
	for (int i = 0; i < 1 << 20; i += 4096)
		p[i] = 1;
	OK(getrusage(RUSAGE_THREAD, &b));
	CHECK(b.ru_minflt > a.ru_minflt);
	CHECK(b.ru_maxrss > 0);
	return arg;
}

TEST(page_faults_of_a_thread)
{
	struct rusage a, b;
	pthread_t t;

	OK(getrusage(RUSAGE_THREAD, &a));
	CHECK_EQ(pthread_create(&t, NULL, touch, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	OK(getrusage(RUSAGE_THREAD, &b));
	/* What the other thread did is not ours. */
	CHECK(b.ru_minflt < a.ru_minflt + 128);
}

TEST(errors)
{
	struct rusage ru;

	CHECK_ERRNO(syscall(SYS_getrusage, 77, &ru), EINVAL);
	CHECK_ERRNO(syscall(SYS_getrusage, RUSAGE_SELF, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_times, BAD_PTR), EFAULT);
}

TEST(ticks)
{
	struct tms a, b;
	clock_t begin = OK((clock_t)syscall(SYS_times, &a)), end;

	burn_ms(150);
	end = OK((clock_t)syscall(SYS_times, &b));
	CHECK(end - begin >= 14 && end - begin < 60000);
	CHECK(b.tms_utime + b.tms_stime >= a.tms_utime + a.tms_stime + 1);
	CHECK_EQ(b.tms_cutime + b.tms_cstime, 0);
	CHECK(syscall(SYS_times, NULL) >= end);
}

TEST(ticks_of_children)
{
	struct tms t;
	pid_t pid;

	CHILD (pid)
		burn_ms(150);
	wait_ok(pid);
	OK((clock_t)times(&t));
	CHECK(t.tms_cutime + t.tms_cstime >= 1);
}

/* Without the right, or without the call at all. */
#define REFUSED(call)                                                    \
	do {                                                             \
		if ((call) != -1 || (errno != EPERM && errno != ENOSYS)) \
			FAIL("%s: %s", #call, test_errno_name(errno));   \
	} while (0)

TEST(calls_of_the_machine_are_refused)
{
	need_root();
	become_nobody();
	REFUSED(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x89abcdef, NULL));
	REFUSED(syscall(SYS_swapon, "none", 0));
	REFUSED(syscall(SYS_swapoff, "none"));
	REFUSED(syscall(SYS_init_module, NULL, 0, ""));
	REFUSED(syscall(SYS_delete_module, "none", 0));
	REFUSED(syscall(SYS_settimeofday, &(struct timeval){ 1, 0 }, NULL));
	REFUSED(syscall(SYS_acct, "none"));
	REFUSED(syscall(SYS_vhangup));
}

TEST(kernel_log)
{
	long r = syscall(SYS_syslog, 10, NULL, 0);

	if (r == -1)
		CHECK(errno == EPERM || errno == ENOSYS);
	CHECK(syscall(SYS_syslog, 99, NULL, 0) == -1);
}
