/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2): wait, wake, bitset, requeue, wake_op, timeouts, shared and private. */
#include <linux/futex.h>
#include <pthread.h>

#include "harness.h"

static long futex(void *word, int op, unsigned int val, const void *timeout, void *word2,
		  unsigned int val3)
{
	return syscall(SYS_futex, word, op, val, timeout, word2, val3);
}

struct sleeper {
	uint32_t *word;
	int op;
	uint32_t bits;
	pid_t tid;
	struct gate ready;
	long result;
	int error;
};

static void *sleeps(void *arg)
{
	struct sleeper *s = arg;

	s->tid = gettid();
	gate_open(&s->ready);
	s->result = futex(s->word, s->op, *s->word, NULL, NULL, s->bits);
	s->error = errno;
	return NULL;
}

static void start(struct sleeper *s, pthread_t *t, uint32_t *word, int op, uint32_t bits)
{
	*s = (struct sleeper){ .word = word, .op = op, .bits = bits, .ready = gate_new() };
	CHECK_EQ(pthread_create(t, NULL, sleeps, s), 0);
	gate_pass(&s->ready);
	settle(s->tid);
}

TEST(wait_needs_the_value)
{
	uint32_t word = 5;

	CHECK_ERRNO(futex(&word, FUTEX_WAIT, 6, NULL, NULL, 0), EAGAIN);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 6, NULL, NULL, 0), EAGAIN);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 6, NULL, NULL, 1), EAGAIN);
}

TEST(relative_timeout)
{
	uint32_t word = 0;
	struct timespec ts = { 0, 30 * MS_IN_NS };
	int64_t begin = now_ns();

	CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0), ETIMEDOUT);
	CHECK(now_ns() - begin >= 30 * MS_IN_NS);
	ts.tv_nsec = 0;
	CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, &ts, NULL, 0), ETIMEDOUT);
}

TEST(absolute_timeouts)
{
	uint32_t word = 0;
	struct timespec ts, past = { 1, 0 };

	OK(clock_gettime(CLOCK_MONOTONIC, &ts));
	ts.tv_sec += ts.tv_nsec > 900 * MS_IN_NS;
	ts.tv_nsec = (ts.tv_nsec + 50 * MS_IN_NS) % (1000 * MS_IN_NS);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &past, NULL, ~0U), ETIMEDOUT);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 0, &past, NULL, ~0U), ETIMEDOUT);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, NULL, ~0U),
		    ETIMEDOUT);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &ts, NULL, ~0U), ETIMEDOUT);
}

TEST(errors)
{
	uint32_t words[2] = { 0, 0 };
	struct timespec bad = { 0, 1000000000 }, negative = { -1, 0 };

	CHECK_ERRNO(futex(BAD_PTR, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(KERNEL_PTR, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex((char *)words + 1, FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex((char *)words + 2, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(words, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(words, FUTEX_WAIT, 0, &negative, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(words, FUTEX_WAIT, 0, BAD_PTR, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(words, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(words, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(words, 99, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERRNO(futex(words, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
	/* A relative time is of no clock. */
	CHECK_ERRNO(futex(words, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS);
	CHECK_ERRNO(futex(words, FUTEX_CMP_REQUEUE, 1, (void *)1, words + 1, 9), EAGAIN);
	CHECK_ERRNO(futex(words, FUTEX_CMP_REQUEUE, 1, (void *)1, (char *)words + 5, 0), EINVAL);
	CHECK_ERRNO(futex(words, FUTEX_REQUEUE, (unsigned int)-1, (void *)1, words + 1, 0), EINVAL);
}

TEST(wake_of_nobody)
{
	uint32_t word = 0;

	CHECK_EQ(futex(&word, FUTEX_WAKE, 100, NULL, NULL, 0), 0);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0), 0);
}

TEST(wakes_as_many_as_asked)
{
	uint32_t word = 0;
	struct sleeper s[4];
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		start(&s[i], &t[i], &word, FUTEX_WAIT_PRIVATE, 0);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0), 2);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(pthread_join(t[i], NULL), 0);
		CHECK_EQ(s[i].result, 0);
	}
}

TEST(waiters_are_woken_in_order)
{
	uint32_t word = 0, line = 0;
	struct sleeper s[3];
	pthread_t t[3];

	/* Each is moved behind those before it: then it waits for certain. */
	for (int i = 0; i < 3; i++) {
		start(&s[i], &t[i], &word, FUTEX_WAIT, 0);
		while (futex(&word, FUTEX_CMP_REQUEUE, 0, (void *)10, &line, 0) != 1)
			sleep_ms(1);
	}
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(futex(&line, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	}
}

TEST(bits_choose)
{
	uint32_t word = 0;
	struct sleeper a, b;
	pthread_t ta, tb;

	start(&a, &ta, &word, FUTEX_WAIT_BITSET_PRIVATE, 1);
	start(&b, &tb, &word, FUTEX_WAIT_BITSET_PRIVATE, 2);
	CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 4), 0);
	CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 2 | 4), 1);
	CHECK_EQ(pthread_join(tb, NULL), 0);
	/* A plain wake takes all bits. */
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	CHECK_EQ(pthread_join(ta, NULL), 0);
}

TEST(requeue)
{
	uint32_t a = 0, b = 0;
	struct sleeper s[3];
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		start(&s[i], &t[i], &a, FUTEX_WAIT_PRIVATE, 0);
	CHECK_EQ(futex(&a, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &b, 0), 2);
	CHECK_EQ(futex(&a, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	CHECK_EQ(futex(&b, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	start(&s[0], &t[0], &a, FUTEX_WAIT_PRIVATE, 0);
	CHECK_EQ(futex(&a, FUTEX_REQUEUE_PRIVATE, 0, (void *)10, &b, 0), 1);
	CHECK_EQ(futex(&a, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 0);
	CHECK_EQ(futex(&b, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	CHECK_EQ(pthread_join(t[0], NULL), 0);
}

TEST(wake_op)
{
	uint32_t a = 0, b = 0;
	struct sleeper s[2];
	pthread_t t[2];

	start(&s[0], &t[0], &a, FUTEX_WAIT_PRIVATE, 0);
	start(&s[1], &t[1], &b, FUTEX_WAIT_PRIVATE, 0);
	/* b += 5; wakes waiters of a, and those of b as its old value was 0. */
	CHECK_EQ(futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &b,
		       FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)),
		 2);
	CHECK_EQ(b, 5);
	CHECK_EQ(pthread_join(t[0], NULL), 0);
	CHECK_EQ(pthread_join(t[1], NULL), 0);
	CHECK_EQ(futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &b,
		       FUTEX_OP(FUTEX_OP_SET, 9, FUTEX_OP_CMP_GT, 5)),
		 0);
	CHECK_EQ(b, 9);
	futex(&a, FUTEX_WAKE_OP, 1, (void *)1, &b, FUTEX_OP(FUTEX_OP_OR, 6, FUTEX_OP_CMP_LT, 0));
	CHECK_EQ(b, 15);
	futex(&a, FUTEX_WAKE_OP, 1, (void *)1, &b, FUTEX_OP(FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_LT, 0));
	CHECK_EQ(b, 14);
	futex(&a, FUTEX_WAKE_OP, 1, (void *)1, &b, FUTEX_OP(FUTEX_OP_XOR, 3, FUTEX_OP_CMP_LT, 0));
	CHECK_EQ(b, 13);
	CHECK_ERRNO(futex(&a, FUTEX_WAKE_OP, 1, (void *)1, BAD_PTR, 0), EFAULT);
}

TEST(shared_memory_of_two_mappings)
{
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
	uint32_t *a, *b;
	pid_t pid;

	OK(ftruncate(fd, 4096));
	a = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	b = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	CHECK(a != b);
	CHILD (pid)
		OK(futex(a + 3, FUTEX_WAIT, 0, NULL, NULL, 0));
	settle(pid);
	for (int i = 0; i < 5000 && futex(b + 3, FUTEX_WAKE, 1, NULL, NULL, 0) != 1; i++)
		sleep_ms(1);
	wait_ok(pid);
}

TEST(private_is_not_seen_by_other_processes)
{
	uint32_t *word =
		OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	struct timespec ts = { 0, 200 * MS_IN_NS };
	pid_t pid;

	CHILD (pid)
		CHECK_ERRNO(futex(word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0), ETIMEDOUT);
	settle(pid);
	CHECK_EQ(futex(word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
	wait_ok(pid);
}

TEST(private_memory_after_fork_is_apart)
{
	uint32_t *word =
		OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	struct timespec ts = { 0, 200 * MS_IN_NS };
	pid_t pid;

	CHILD (pid)
		CHECK_ERRNO(futex(word, FUTEX_WAIT, 0, &ts, NULL, 0), ETIMEDOUT);
	settle(pid);
	CHECK_EQ(futex(word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	wait_ok(pid);
}

TEST(interrupted)
{
	uint32_t word = 0;
	struct sleeper s;
	pthread_t t;

	on_signal(SIGUSR1, count_signal, 0);
	start(&s, &t, &word, FUTEX_WAIT_PRIVATE, 0);
	CHECK_EQ(pthread_kill(t, SIGUSR1), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(s.result, -1);
	CHECK_EQ(s.error, EINTR);
}

TEST(thread_exit_wakes)
{
	/* pthread_join(3) waits for the word that CLONE_CHILD_CLEARTID clears. */
	pthread_t t;
	uint32_t word = 0;
	struct sleeper s;

	start(&s, &t, &word, FUTEX_WAIT_PRIVATE, 0);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

static uint32_t ping, pong;

static void *answers(void *arg)
{
	for (uint32_t i = 1; i <= 3000; i++) {
		while (__atomic_load_n(&ping, __ATOMIC_ACQUIRE) != i)
			futex(&ping, FUTEX_WAIT_PRIVATE, i - 1, NULL, NULL, 0);
		__atomic_store_n(&pong, i, __ATOMIC_RELEASE);
		futex(&pong, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	return NULL;
}

TEST(ping_pong_loses_no_wake_up)
{
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, answers, NULL), 0);
	for (uint32_t i = 1; i <= 3000; i++) {
		__atomic_store_n(&ping, i, __ATOMIC_RELEASE);
		futex(&ping, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
		while (__atomic_load_n(&pong, __ATOMIC_ACQUIRE) != i)
			futex(&pong, FUTEX_WAIT_PRIVATE, i - 1, NULL, NULL, 0);
	}
	CHECK_EQ(pthread_join(t, NULL), 0);
}

struct waitv {
	uint64_t val, uaddr;
	uint32_t flags, reserved;
};

static void *wakes_later(void *arg)
{
	settle(getpid());
	while (futex(arg, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) != 1)
		sleep_ms(1);
	return NULL;
}

TEST(waiting_for_several)
{
	uint32_t a = 0, b = 0;
	struct waitv w[2] = { { 0, (uintptr_t)&a, 2 | 128, 0 }, { 1, (uintptr_t)&b, 2 | 128, 0 } };
	struct timespec past = { 1, 0 };
	pthread_t t;

	if (syscall(SYS_futex_waitv, w, 2, 0, NULL, 0) == -1 && errno == ENOSYS)
		SKIP("no futex_waitv");
	CHECK_ERRNO(syscall(SYS_futex_waitv, w, 2, 0, NULL, 0), EAGAIN);
	CHECK_ERRNO(syscall(SYS_futex_waitv, w, 0, 0, NULL, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_futex_waitv, w, 2, 1, NULL, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_futex_waitv, w, 129, 0, NULL, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_futex_waitv, BAD_PTR, 1, 0, NULL, 0), EFAULT);
	w[1].val = 0;
	CHECK_ERRNO(syscall(SYS_futex_waitv, w, 2, 0, &past, CLOCK_MONOTONIC), ETIMEDOUT);
	/* The answer is the number of the one that was woken. */
	CHECK_EQ(pthread_create(&t, NULL, wakes_later, &b), 0);
	CHECK_EQ(syscall(SYS_futex_waitv, w, 2, 0, NULL, 0), 1);
	CHECK_EQ(pthread_join(t, NULL), 0);
	w[0].flags = 1;
	CHECK(syscall(SYS_futex_waitv, w, 1, 0, NULL, 0) == -1 && errno == EINVAL);
}

static void *sleeps_for_a_lock(void *arg)
{
	struct sleeper *s = arg;
	struct timespec soon;

	s->tid = gettid();
	OK(clock_gettime(CLOCK_MONOTONIC, &soon));
	soon.tv_sec += 2;
	gate_open(&s->ready);
	s->result = futex(s->word, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, &soon, s->word + 1, 0);
	return NULL;
}

TEST(requeue_ends_at_who_waits_for_a_lock)
{
	static uint32_t words[3]; /* the first one's lock behind it */
	struct sleeper plain, locker = { .word = words, .ready = gate_new() };
	pthread_t t[2];

	start(&plain, &t[0], words, FUTEX_WAIT_PRIVATE, 0);
	CHECK_EQ(pthread_create(&t[1], NULL, sleeps_for_a_lock, &locker), 0);
	gate_pass(&locker.ready);
	settle(locker.tid);
	CHECK_ERRNO(futex(words, FUTEX_REQUEUE_PRIVATE, 0, (void *)10, &words[2], 0), EINVAL);
	/* Who was moved before that can be woken where it is now. */
	CHECK_EQ(futex(&words[2], FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	CHECK_EQ(pthread_join(t[0], NULL), 0);
	CHECK_EQ(plain.result, 0);
	CHECK_EQ(pthread_join(t[1], NULL), 0);
}
