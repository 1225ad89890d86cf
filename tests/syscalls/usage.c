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

TEST(waits_are_voluntary_switches)
{
	struct rusage before, after, thread;
	pid_t pid;

	OK(getrusage(RUSAGE_SELF, &before));
	for (int i = 0; i < 20; i++)
		sleep_ms(1);
	OK(getrusage(RUSAGE_SELF, &after));
	OK(getrusage(RUSAGE_THREAD, &thread));
	CHECK(after.ru_nvcsw >= before.ru_nvcsw + 20);
	CHECK(thread.ru_nvcsw >= before.ru_nvcsw + 20);
	CHILD (pid)
		for (int i = 0; i < 20; i++)
			sleep_ms(1);
	wait_ok(pid);
	OK(getrusage(RUSAGE_CHILDREN, &after));
	CHECK(after.ru_nvcsw >= 20);
}

static long long number_after(const char *path, const char *key)
{
	static char buf[1 << 16];
	const char *at;

	buf[0] = '\n';
	read_file(path, buf + 1, sizeof(buf) - 1);
	at = strstr(buf, key);
	if (!at)
		FAIL("no %s in %s", key, path);
	return atoll(at + strlen(key));
}

TEST(switches_in_proc)
{
	const long long before = number_after("/proc/self/status", "\nvoluntary_ctxt_switches:\t");
	const long long all = number_after("/proc/stat", "\nctxt "),
			processes = number_after("/proc/stat", "\nprocesses ");
	pid_t pid;

	for (int i = 0; i < 20; i++)
		sleep_ms(1);
	CHECK(number_after("/proc/self/status", "\nvoluntary_ctxt_switches:\t") >= before + 20);
	CHECK(number_after("/proc/stat", "\nctxt ") >= all + 20);
	CHILD (pid)
		;
	wait_ok(pid);
	CHECK(number_after("/proc/stat", "\nprocesses ") >= processes + 1);
}

TEST(bytes_of_reads_and_writes_are_counted)
{
	const long long wchar = number_after("/proc/self/io", "\nwchar: "),
			syscw = number_after("/proc/self/io", "\nsyscw: "),
			rchar = number_after("/proc/self/io", "\nrchar: "),
			syscr = number_after("/proc/self/io", "\nsyscr: ");
	char buf[1000] = "";
	pid_t pid;
	int fd;

	fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(write(fd, buf, sizeof(buf)), 1000);
	CHECK_EQ(pread(fd, buf, sizeof(buf), 2500), 500);
	CHECK_EQ(number_after("/proc/self/io", "\nwchar: "), wchar + 3000);
	CHECK_EQ(number_after("/proc/self/io", "\nsyscw: "), syscw + 3);
	/* The files of /proc were read, too. */
	CHECK(number_after("/proc/self/io", "\nrchar: ") >= rchar + 500);
	CHECK(number_after("/proc/self/io", "\nsyscr: ") >= syscr + 1);
	CHILD (pid)
		CHECK_EQ(write(fd, buf, sizeof(buf)), 1000);
	CHECK_EQ(number_after("/proc/self/io", "\nwchar: "), wchar + 3000);
	wait_ok(pid);
	CHECK_EQ(number_after("/proc/self/io", "\nwchar: "), wchar + 4000);
	CHECK(number_after("/proc/thread-self/io", "\nwchar: ") >= 3000);
}
