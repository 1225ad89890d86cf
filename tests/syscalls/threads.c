/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: what they share, set_tid_address(2), thread-local storage, many of them, signals among
 * them. */
#include <pthread.h>
#include <sys/resource.h>

#include "harness.h"

static __thread int local = 5;
static volatile int shared;

static void *changes(void *arg)
{
	CHECK_EQ(local, 5);
	local = 6;
	shared = 7;
	OK(chdir("/"));
	umask(0123);
	CHECK_EQ(dup2(1, 77), 77);
	return &local;
}

TEST(shared_and_local)
{
	pthread_t t;
	void *where;
	char cwd[64];

	CHECK_EQ(pthread_create(&t, NULL, changes, NULL), 0);
	CHECK_EQ(pthread_join(t, &where), 0);
	CHECK(where != &local);
	CHECK_EQ(local, 5);
	CHECK_EQ(shared, 7);
	CHECK(getcwd(cwd, sizeof(cwd)));
	CHECK_STR(cwd, "/");
	CHECK_EQ(umask(0), 0123);
	OK(fcntl(77, F_GETFD));
}

TEST(set_tid_address_returns_the_tid)
{
	static int word;

	CHECK_EQ(syscall(SYS_set_tid_address, &word), gettid());
}

static void *counts(void *arg)
{
	for (int i = 0; i < 20000; i++)
		__atomic_fetch_add((long *)arg, 1, __ATOMIC_RELAXED);
	return NULL;
}

TEST(hundred_threads)
{
	pthread_attr_t attr;
	pthread_t t[100];
	long sum = 0;

	CHECK_EQ(pthread_attr_init(&attr), 0);
	CHECK_EQ(pthread_attr_setstacksize(&attr, 65536), 0);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(pthread_create(&t[i], &attr, counts, &sum), 0);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_EQ(sum, 100 * 20000);
}

static void *nothing(void *arg)
{
	return arg;
}

TEST(thousand_in_sequence)
{
	pthread_t t;

	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(pthread_create(&t, NULL, nothing, NULL), 0);
		CHECK_EQ(pthread_join(t, NULL), 0);
	}
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long guarded;
static int turn;

static void *locks(void *arg)
{
	for (int i = 0; i < 5000; i++) {
		pthread_mutex_lock(&mutex);
		long v = guarded;

		if (i % 64 == 0)
			sched_yield();
		guarded = v + 1;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

TEST(mutex_excludes)
{
	pthread_t t[8];

	for (int i = 0; i < 8; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, locks, NULL), 0);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_EQ(guarded, 8 * 5000);
}

static void *takes_turns(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % 3 != me)
			pthread_cond_wait(&cond, &mutex);
		turn++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

TEST(condition_variable_hands_over)
{
	pthread_t t[3];

	for (intptr_t i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, takes_turns, (void *)i), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_EQ(turn, 1500);
}

TEST(condition_variable_times_out)
{
	struct timespec ts;

	OK(clock_gettime(CLOCK_REALTIME, &ts));
	ts.tv_nsec += 20 * MS_IN_NS;
	if (ts.tv_nsec >= 1000 * MS_IN_NS) {
		ts.tv_nsec -= 1000 * MS_IN_NS;
		ts.tv_sec++;
	}
	pthread_mutex_lock(&mutex);
	CHECK_EQ(pthread_cond_timedwait(&cond, &mutex, &ts), ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
}

static pthread_barrier_t barrier;

static void *meets(void *arg)
{
	int serial = 0;

	for (int i = 0; i < 200; i++)
		serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
	return (void *)(intptr_t)serial;
}

TEST(barrier_meets)
{
	pthread_t t[6];
	intptr_t serial = 0;
	void *got;

	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 6), 0);
	for (int i = 0; i < 6; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, meets, NULL), 0);
	for (int i = 0; i < 6; i++) {
		CHECK_EQ(pthread_join(t[i], &got), 0);
		serial += (intptr_t)got;
	}
	CHECK_EQ(serial, 200);
}

static void *sleeps_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

TEST(cancellation_interrupts_a_call)
{
	pthread_t t;
	void *got;

	CHECK_EQ(pthread_create(&t, NULL, sleeps_for_ever, NULL), 0);
	CHECK_EQ(pthread_cancel(t), 0);
	CHECK_EQ(pthread_join(t, &got), 0);
	CHECK(got == PTHREAD_CANCELED);
}

static volatile pid_t handled_by;

static void where(int sig)
{
	handled_by = gettid();
}

struct told {
	struct gate ready;
	pid_t tid;
	volatile int end;
};

static void *is_told(void *arg)
{
	struct told *told = arg;

	told->tid = gettid();
	gate_open(&told->ready);
	while (!told->end)
		sleep_ms(1);
	return NULL;
}

TEST(signal_to_one_thread)
{
	struct told told = { gate_new(), 0, 0 };
	pthread_t t;

	on_signal(SIGUSR1, where, 0);
	CHECK_EQ(pthread_create(&t, NULL, is_told, &told), 0);
	gate_pass(&told.ready);
	CHECK_EQ(pthread_kill(t, SIGUSR1), 0);
	while (!handled_by)
		sleep_ms(1);
	CHECK_EQ(handled_by, told.tid);
	told.end = 1;
	CHECK_EQ(pthread_join(t, NULL), 0);
	/* The word that a join waits for is cleared a little before the thread is gone. */
	for (int i = 0; i < 2000 && !syscall(SYS_tgkill, getpid(), told.tid, 0); i++)
		sleep_ms(1);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), told.tid, 0), ESRCH);
}

TEST(listed_in_proc)
{
	struct told told = { gate_new(), 0, 0 };
	pthread_t t;
	char path[64], buf[64];

	CHECK_EQ(pthread_create(&t, NULL, is_told, &told), 0);
	gate_pass(&told.ready);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", told.tid);
	CHECK_EQ(pthread_setname_np(t, "a-thread"), 0);
	read_file(path, buf, sizeof(buf));
	CHECK_STR(buf, "a-thread\n");
	snprintf(path, sizeof(path), "/proc/self/task/%d", getpid());
	OK(access(path, F_OK));
	told.end = 1;
	CHECK_EQ(pthread_join(t, NULL), 0);
}

static void *stacks(void *arg)
{
	volatile char deep[48 * 1024];

	memset((void *)deep, (int)(intptr_t)arg, sizeof(deep));
	sched_yield();
	for (size_t i = 0; i < sizeof(deep); i += 512)
		CHECK_EQ(deep[i], (char)(intptr_t)arg);
	return NULL;
}

TEST(stacks_are_apart)
{
	pthread_t t[16];

	for (intptr_t i = 0; i < 16; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, stacks, (void *)i), 0);
	for (int i = 0; i < 16; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
}

static void *maps_and_unmaps(void *arg)
{
	for (int i = 0; i < 300; i++) {
		char *p = OK(mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

		for (int k = 0; k < 5; k++)
			CHECK_EQ(p[k * 4096], 0);
		memset(p, 1, 5 * 4096);
		OK(mprotect(p + 4096, 4096, PROT_READ));
		OK(munmap(p, 5 * 4096));
	}
	return NULL;
}

TEST(mappings_from_many_threads)
{
	pthread_t t[6];

	for (int i = 0; i < 6; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, maps_and_unmaps, NULL), 0);
	for (int i = 0; i < 6; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
}

static void *opens_and_closes(void *arg)
{
	for (int i = 0; i < 500; i++) {
		int fds[2];
		char c = (char)i, d = 0;

		OK(pipe(fds));
		CHECK_EQ(write(fds[1], &c, 1), 1);
		CHECK_EQ(read(fds[0], &d, 1), 1);
		CHECK_EQ(c, d);
		OK(close(fds[0]));
		OK(close(fds[1]));
	}
	return NULL;
}

TEST(descriptors_from_many_threads)
{
	pthread_t t[6];

	for (int i = 0; i < 6; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, opens_and_closes, NULL), 0);
	for (int i = 0; i < 6; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
}
