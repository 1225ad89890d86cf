/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers, wait queues, mutexes, timers and helper threads, in a loop of the test's own. */
#include <unistd.h>

#include "sentry/core/hostwork.h"
#include "sentry/core/kclock.h"
#include "sentry/core/kloop.h"
#include "sentry/core/kmutex.h"
#include "sentry/core/ktimer.h"
#include "lib/unit.h"

static struct waitq q;
static struct kmutex mutex;
static int value, steps, inside, result;
static struct fiber *other;

static int setup(void **state)
{
	static bool once;

	(void)state;
	if (!once) {
		assert_int_equal(kloop_init(), 0);
		assert_int_equal(hostwork_init(HOSTWORK_THREADS), 0);
	}
	once = true;
	waitq_init(&q);
	kmutex_init(&mutex);
	value = steps = inside = result = 0;
	other = NULL;
	return 0;
}

static void waiter(void *arg)
{
	result = WAIT_EVENT(&q, value == 3);
	kloop_stop(0);
}

static void setter(void *arg)
{
	for (int i = 1; i <= 3; i++) {
		value = i;
		waitq_wake(&q, POLLIN);
		fiber_yield();
	}
}

static void a_wait_ends_when_its_condition_is_true(void **state)
{
	result = -1;
	assert_int_equal(fiber_spawn("waiter", waiter, NULL, NULL), 0);
	assert_int_equal(fiber_spawn("setter", setter, NULL, NULL), 0);
	(void)kloop_run();
	assert_int_equal(result, 0);
	assert_int_equal(value, 3);
	assert_true(list_empty(&q.entries));
}

static void interrupter(void *arg)
{
	fiber_interrupt(other);
}

static void an_interrupt_ends_a_wait(void **state)
{
	assert_int_equal(fiber_spawn("waiter", waiter, NULL, &other), 0);
	assert_int_equal(fiber_spawn("interrupter", interrupter, NULL, NULL), 0);
	(void)kloop_run();
	assert_int_equal(result, -ERESTARTSYS);
}

static void timed_waiter(void *arg)
{
	const nsec_t began = kclock_monotonic();

	result = WAIT_EVENT_UNTIL(&q, value == 3, began + 20000000);
	steps = (int)((kclock_monotonic() - began) / 1000000);
	kloop_stop(0);
}

static void a_wait_ends_at_its_deadline(void **state)
{
	assert_int_equal(fiber_spawn("waiter", timed_waiter, NULL, NULL), 0);
	(void)kloop_run();
	assert_int_equal(result, -ETIMEDOUT);
	assert_true(steps >= 20);
}

static void locker(void *arg)
{
	for (int i = 0; i < 100; i++) {
		kmutex_lock(&mutex);
		assert_int_equal(inside++, 0);
		fiber_yield();
		assert_int_equal(--inside, 0);
		kmutex_unlock(&mutex);
		fiber_yield();
	}
	if (++steps == 5)
		kloop_stop(0);
}

static void a_mutex_holds_across_parks(void **state)
{
	for (int i = 0; i < 5; i++)
		assert_int_equal(fiber_spawn("locker", locker, NULL, NULL), 0);
	(void)kloop_run();
	assert_int_equal(steps, 5);
}

static long slow(void *arg)
{
	(void)usleep(20000);
	return *(int *)arg + 1;
}

static void asker(void *arg)
{
	int n = 41;

	assert_int_equal(hostwork_call(slow, &n), 42);
	if (++steps == 8)
		kloop_stop(0);
}

static void counter(void *arg)
{
	while (steps < 8) {
		value++;
		fiber_yield();
	}
}

static void host_work_does_not_stop_other_fibers(void **state)
{
	for (int i = 0; i < 8; i++)
		assert_int_equal(fiber_spawn("asker", asker, NULL, NULL), 0);
	assert_int_equal(fiber_spawn("counter", counter, NULL, NULL), 0);
	(void)kloop_run();
	assert_int_equal(steps, 8);
	assert_true(value > 100);
}

static void nothing(void *arg)
{
	steps++;
	if (steps == 2000)
		kloop_stop(0);
}

static void two_thousand_fibers_come_and_go(void **state)
{
	for (int i = 0; i < 2000; i++)
		assert_int_equal(fiber_spawn("nothing", nothing, NULL, NULL), 0);
	(void)kloop_run();
	assert_int_equal(steps, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_wait_ends_when_its_condition_is_true, setup),
		cmocka_unit_test_setup(an_interrupt_ends_a_wait, setup),
		cmocka_unit_test_setup(a_wait_ends_at_its_deadline, setup),
		cmocka_unit_test_setup(a_mutex_holds_across_parks, setup),
		cmocka_unit_test_setup(host_work_does_not_stop_other_fibers, setup),
		cmocka_unit_test_setup(two_thousand_fibers_come_and_go, setup),
	};

	return cmocka_run_group_tests_name("sentry/core/fiber", tests, NULL, NULL);
}
