/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2): priority inheritance locks; robust lists (set_robust_list(2), get_robust_list(2)). */
#include <linux/futex.h>
#include <pthread.h>

#include "harness.h"

static long futex(void *word, int op, unsigned int val, const void *timeout)
{
	return syscall(SYS_futex, word, op, val, timeout, NULL, 0);
}

TEST(lock_and_unlock)
{
	uint32_t word = 0;

	OK(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	CHECK_EQ(word & FUTEX_TID_MASK, gettid());
	CHECK_ERRNO(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL), EDEADLK);
	CHECK_ERRNO(futex(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL), EDEADLK);
	OK(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL));
	CHECK_EQ(word, 0);
	OK(futex(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL));
	CHECK_EQ(word & FUTEX_TID_MASK, gettid());
	OK(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL));
}

TEST(errors)
{
	uint32_t word = 0;

	CHECK_ERRNO(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL), EPERM);
	word = 0x3fffffff;
	CHECK_ERRNO(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL), ESRCH);
	CHECK_ERRNO(futex(BAD_PTR, FUTEX_LOCK_PI_PRIVATE, 0, NULL), EFAULT);
	CHECK_ERRNO(futex((char *)&word + 1, FUTEX_LOCK_PI_PRIVATE, 0, NULL), EINVAL);
}

struct holder {
	uint32_t *word;
	struct gate locked, release;
};

static void *holds(void *arg)
{
	struct holder *h = arg;

	OK(futex(h->word, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	gate_open(&h->locked);
	gate_pass(&h->release);
	OK(futex(h->word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL));
	return NULL;
}

TEST(contended)
{
	uint32_t word = 0;
	struct holder h = { &word, gate_new(), gate_new() };
	struct timespec past = { 1, 0 };
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, holds, &h), 0);
	gate_pass(&h.locked);
	CHECK_ERRNO(futex(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL), EAGAIN);
	CHECK_ERRNO(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL), EPERM);
	/* The time is absolute, of CLOCK_REALTIME. */
	CHECK_ERRNO(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, &past), ETIMEDOUT);
	gate_open(&h.release);
	OK(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	CHECK_EQ(word & FUTEX_TID_MASK, gettid());
	OK(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL));
	CHECK_EQ(pthread_join(t, NULL), 0);
}

static pthread_mutex_t pi_mutex;
static long guarded;

static void *locks(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		CHECK_EQ(pthread_mutex_lock(&pi_mutex), 0);
		long v = guarded;

		if (i % 32 == 0)
			sched_yield();
		guarded = v + 1;
		CHECK_EQ(pthread_mutex_unlock(&pi_mutex), 0);
	}
	return arg;
}

TEST(mutex_of_the_library)
{
	pthread_mutexattr_t attr;
	pthread_t t[4];

	CHECK_EQ(pthread_mutexattr_init(&attr), 0);
	CHECK_EQ(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT), 0);
	CHECK_EQ(pthread_mutex_init(&pi_mutex, &attr), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, locks, NULL), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_EQ(guarded, 8000);
}

TEST(robust_list_of_a_thread)
{
	struct robust_list_head head = { { &head.list }, 0, NULL }, *got;
	size_t len = 0;

	OK(syscall(SYS_set_robust_list, &head, sizeof(head)));
	OK(syscall(SYS_get_robust_list, 0, &got, &len));
	CHECK(got == &head);
	CHECK_EQ(len, sizeof(head));
	OK(syscall(SYS_get_robust_list, gettid(), &got, &len));
	CHECK(got == &head);
	CHECK_ERRNO(syscall(SYS_set_robust_list, &head, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_get_robust_list, 0x3fffffff, &got, &len), ESRCH);
	CHECK_ERRNO(syscall(SYS_get_robust_list, 0, BAD_PTR, &len), EFAULT);
}

struct entry {
	struct robust_list list;
	uint32_t word;
};

TEST(death_marks_the_locks)
{
	struct entry *e =
		OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pid;

	CHILD (pid) {
		static struct robust_list_head head;

		head.list.next = &e[0].list;
		head.futex_offset = offsetof(struct entry, word);
		e[0].list.next = &e[1].list;
		e[1].list.next = &head.list;
		e[0].word = (uint32_t)gettid();
		e[1].word = (uint32_t)gettid() | FUTEX_WAITERS;
		e[2].word = (uint32_t)gettid();
		OK(syscall(SYS_set_robust_list, &head, sizeof(head)));
		kill(getpid(), SIGKILL);
	}
	wait_signal(pid, SIGKILL);
	CHECK_EQ(e[0].word, FUTEX_OWNER_DIED);
	CHECK_EQ(e[1].word, FUTEX_OWNER_DIED | FUTEX_WAITERS);
	CHECK_EQ(e[2].word, pid);
}

TEST(pending_lock_is_marked)
{
	struct entry *e =
		OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pid;

	CHILD (pid) {
		static struct robust_list_head head;

		head.list.next = &head.list;
		head.futex_offset = offsetof(struct entry, word);
		head.list_op_pending = &e[0].list;
		e[0].word = (uint32_t)gettid();
		OK(syscall(SYS_set_robust_list, &head, sizeof(head)));
	}
	wait_ok(pid);
	CHECK_EQ(e[0].word, FUTEX_OWNER_DIED);
}

TEST(broken_lists_do_no_harm)
{
	struct entry *e =
		OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pid;

	CHILD (pid) {
		static struct robust_list_head head;

		/* A ring that never comes back to its head. */
		head.list.next = &e[0].list;
		head.futex_offset = offsetof(struct entry, word);
		e[0].list.next = &e[0].list;
		OK(syscall(SYS_set_robust_list, &head, sizeof(head)));
	}
	wait_ok(pid);
	CHILD (pid) {
		static struct robust_list_head head;

		head.list.next = BAD_PTR;
		OK(syscall(SYS_set_robust_list, &head, sizeof(head)));
	}
	wait_ok(pid);
	CHILD (pid)
		OK(syscall(SYS_set_robust_list, BAD_PTR, sizeof(struct robust_list_head)));
	wait_ok(pid);
}

TEST(robust_mutex_of_the_library)
{
	pthread_mutex_t *m =
		OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pthread_mutexattr_t attr;
	struct gate locked = gate_new();
	pid_t pid;

	CHECK_EQ(pthread_mutexattr_init(&attr), 0);
	CHECK_EQ(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST), 0);
	CHECK_EQ(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED), 0);
	CHECK_EQ(pthread_mutex_init(m, &attr), 0);
	CHILD (pid) {
		CHECK_EQ(pthread_mutex_lock(m), 0);
		gate_open(&locked);
		settle(getppid());
		kill(getpid(), SIGKILL);
	}
	gate_pass(&locked);
	/* The waiter is woken by the owner's death. */
	CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(m), 0);
	CHECK_EQ(pthread_mutex_unlock(m), 0);
	CHECK_EQ(pthread_mutex_lock(m), 0);
	wait_signal(pid, SIGKILL);
}

struct requeued {
	uint32_t cond, lock;
	struct gate ready;
	volatile int done;
	pid_t tid;
};

static long wait_requeue(struct requeued *q, unsigned int value, const struct timespec *until)
{
	return syscall(SYS_futex, &q->cond, FUTEX_WAIT_REQUEUE_PI_PRIVATE, value, until, &q->lock,
		       0);
}

static long requeue(struct requeued *q, int wake, unsigned int value)
{
	return syscall(SYS_futex, &q->cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, wake, (long)INT_MAX,
		       &q->lock, value);
}

static void *waits_for_the_lock(void *arg)
{
	struct requeued *q = arg;

	q->tid = gettid();
	gate_open(&q->ready);
	OK(wait_requeue(q, 0, NULL));
	CHECK_EQ(q->lock & FUTEX_TID_MASK, gettid());
	__atomic_add_fetch(&q->done, 1, __ATOMIC_SEQ_CST);
	OK(futex(&q->lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL));
	return NULL;
}

TEST(waiters_move_to_a_lock)
{
	struct requeued q = { 0, 0, gate_new() };
	pthread_t t[2];
	long moved = 0, n;

	for (int i = 0; i < 2; i++) {
		CHECK_EQ(pthread_create(&t[i], NULL, waits_for_the_lock, &q), 0);
		gate_pass(&q.ready);
	}
	OK(futex(&q.lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	/* They wait soon, if they do not yet. */
	for (int i = 0; i < 15000 && moved < 2; i++) {
		n = OK(requeue(&q, 1, 0));
		moved += n;
		sleep_ms(1);
	}
	CHECK_EQ(moved, 2);
	CHECK_EQ(q.done, 0);
	CHECK_EQ(q.lock & FUTEX_TID_MASK, gettid());
	OK(futex(&q.lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL));
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_EQ(q.done, 2);
	CHECK_EQ(q.lock & FUTEX_TID_MASK, 0);
}

TEST(moving_to_a_lock_has_rules)
{
	struct requeued q = { 0, 0, gate_new() };
	struct timespec past = { 1, 0 };

	CHECK_ERRNO(wait_requeue(&q, 1, NULL), EAGAIN);
	CHECK_ERRNO(wait_requeue(&q, 0, &past), ETIMEDOUT);
	CHECK_ERRNO(
		syscall(SYS_futex, &q.cond, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, &past, &q.cond, 0),
		EINVAL);
	CHECK_ERRNO(requeue(&q, 1, 1), EAGAIN);
	CHECK_ERRNO(requeue(&q, 2, 0), EINVAL);
	CHECK_EQ(requeue(&q, 1, 0), 0);
}
