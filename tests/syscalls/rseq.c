/* SPDX-License-Identifier: Apache-2.0 */
/* rseq(2) and membarrier(2). The C library registers an area of its own if it can. */
#include <linux/membarrier.h>
#include <linux/rseq.h>
#include <pthread.h>

#include "harness.h"

#define SIGNATURE 0x53053053

static struct rseq area __attribute__((aligned(32)));

static void *registers(void *arg)
{
	long r;

	/* A thread whose library has done so already is told. */
	area.cpu_id = (uint32_t)-1;
	r = syscall(SYS_rseq, &area, 32, 0, SIGNATURE);
	return (void *)(intptr_t)(r ? errno : 0);
}

TEST(registration)
{
	long r = syscall(SYS_rseq, &area, 32, 0, SIGNATURE);

	if (r == -1 && errno == ENOSYS)
		SKIP("no rseq");
	if (r == -1) {
		/* Another area is registered: by the library. */
		CHECK(errno == EINVAL || errno == EBUSY || errno == EPERM);
		return;
	}
	CHECK(area.cpu_id < 4096);
	CHECK_ERRNO(syscall(SYS_rseq, &area, 32, 0, SIGNATURE), EBUSY);
	CHECK_ERRNO(syscall(SYS_rseq, &area, 32, 1, SIGNATURE + 1), EPERM);
	OK(syscall(SYS_rseq, &area, 32, 1, SIGNATURE));
	CHECK_EQ(area.cpu_id, (uint32_t)-1);
}

TEST(errors)
{
	long r = syscall(SYS_rseq, &area, 32, 77, SIGNATURE);

	if (r == -1 && errno == ENOSYS)
		SKIP("no rseq");
	CHECK_EQ(r, -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_ERRNO(syscall(SYS_rseq, (char *)&area + 4, 32, 0, SIGNATURE), EINVAL);
	CHECK(syscall(SYS_rseq, &area, 7, 0, SIGNATURE) == -1);
}

TEST(second_thread)
{
	pthread_t t;
	void *error;

	if (syscall(SYS_rseq, &area, 32, 77, SIGNATURE) == -1 && errno == ENOSYS)
		SKIP("no rseq");
	CHECK_EQ(pthread_create(&t, NULL, registers, NULL), 0);
	CHECK_EQ(pthread_join(t, &error), 0);
	CHECK((intptr_t)error == 0 || (intptr_t)error == EINVAL || (intptr_t)error == EBUSY ||
	      (intptr_t)error == EPERM);
}

TEST(library_knows_the_processor)
{
	for (int i = 0; i < 1000; i++) {
		unsigned int cpu;

		CHECK(sched_getcpu() >= 0);
		OK(syscall(SYS_getcpu, &cpu, NULL, NULL));
		CHECK(cpu < 4096);
	}
}

TEST(barrier_commands)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (commands == -1 && errno == ENOSYS)
		SKIP("no membarrier");
	CHECK(commands >= 0);
	CHECK_ERRNO(syscall(SYS_membarrier, 1 << 30, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 77, 0), EINVAL);
	if (commands & MEMBARRIER_CMD_GLOBAL)
		OK(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
	if (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
		CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
		OK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
		OK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	}
}

static volatile int x, y, seen_x, seen_y, stop;

static void *stores_and_looks(void *arg)
{
	pthread_barrier_t *b = arg;

	for (;;) {
		pthread_barrier_wait(b);
		if (stop)
			return NULL;
		x = 1;
		__asm__ volatile("" : : : "memory");
		seen_y = y;
		pthread_barrier_wait(b);
	}
}

TEST(barrier_orders)
{
	pthread_barrier_t b;
	pthread_t t;

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0))
		SKIP("no membarrier");
	CHECK_EQ(pthread_barrier_init(&b, NULL, 2), 0);
	CHECK_EQ(pthread_create(&t, NULL, stores_and_looks, &b), 0);
	for (int i = 0; i < 2000; i++) {
		x = y = 0;
		pthread_barrier_wait(&b);
		y = 1;
		OK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
		seen_x = x;
		pthread_barrier_wait(&b);
		/* Not both can have missed the other. */
		CHECK(seen_x || seen_y);
	}
	stop = 1;
	pthread_barrier_wait(&b);
	CHECK_EQ(pthread_join(t, NULL), 0);
}
