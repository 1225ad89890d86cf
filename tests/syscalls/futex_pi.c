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
