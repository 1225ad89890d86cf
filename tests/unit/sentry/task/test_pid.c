/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of processes in nested namespaces. */
#include "lib/unit.h"

#include <errno.h>

#include "sentry/task/pid.h"

/* A number that is used as a task's would be. */
static struct pid *take(struct pid_ns *ns)
{
	struct pid *pid;

	assert_int_equal(pid_alloc(ns, &pid), 0);
	pid->task = (struct task *)pid;
	return pid;
}

static void give(struct pid *pid)
{
	pid->task = NULL;
	pid_release(pid);
	pid_unref(pid);
}

static void numbers_go_up_and_come_back_late(void **state)
{
	struct pid *a, *b, *c;
	struct pid_ns *ns;

	assert_int_equal(pid_ns_new(NULL, &ns), 0);
	a = take(ns);
	b = take(ns);
	assert_int_equal(pid_nr(a, ns), 1);
	assert_int_equal(pid_nr(b, ns), 2);
	give(b);
	c = take(ns);
	assert_int_equal(pid_nr(c, ns), 3);
	give(a);
	give(c);
	assert_int_equal(pid_ns_count(ns), 0);
	pid_ns_unref(ns);
}

static void numbers_wrap_to_the_first_that_is_free(void **state)
{
	struct pid *first, *second, *third;
	struct pid_ns *ns;

	assert_int_equal(pid_ns_new(NULL, &ns), 0);
	pid_ns_set_last(ns, PID_RESERVED - 1);
	first = take(ns); /* 300 */
	pid_ns_set_last(ns, PID_MAX - 2);
	second = take(ns);
	third = take(ns);
	assert_int_equal(pid_nr(second, ns), PID_MAX - 1);
	assert_int_equal(pid_nr(third, ns), PID_RESERVED + 1);
	give(first);
	give(second);
	give(third);
	pid_ns_unref(ns);
}

static void every_number_taken_is_eagain(void **state)
{
	static struct pid *all[PID_MAX];
	struct pid_ns *ns;
	struct pid *more;
	int n = 0;

	assert_int_equal(pid_ns_new(NULL, &ns), 0);
	while (pid_alloc(ns, &all[n]) == 0)
		n++;
	assert_int_equal(n, PID_MAX - 1);
	assert_int_equal(pid_alloc(ns, &more), -EAGAIN);
	pid_unref(all[1000]);
	pid_ns_set_last(ns, PID_MAX - 1);
	assert_int_equal(pid_alloc(ns, &all[1000]), 0);
	assert_int_equal(pid_nr(all[1000], ns), 1001);
	while (n > 0)
		pid_unref(all[--n]);
	pid_ns_unref(ns);
}

static void an_inner_number_is_seen_from_outside_only(void **state)
{
	struct pid_ns *outer, *inner;
	struct pid *a, *b;

	assert_int_equal(pid_ns_new(NULL, &outer), 0);
	a = take(outer);
	assert_int_equal(pid_ns_new(outer, &inner), 0);
	b = take(inner);
	assert_int_equal(pid_nr(b, inner), 1);
	assert_int_equal(pid_nr(b, outer), 2);
	assert_int_equal(pid_nr(a, inner), 0);
	assert_ptr_equal(pid_find(inner, 1), b);
	assert_ptr_equal(pid_find(outer, 2), b);
	assert_null(pid_find(inner, 2));
	assert_null(pid_find(inner, -1));
	assert_ptr_equal(pid_next(outer, 0), a);
	assert_ptr_equal(pid_next(outer, 2), b);
	assert_null(pid_next(outer, 3));
	assert_true(pid_ns_inside(inner, outer));
	assert_false(pid_ns_inside(outer, inner));
	give(b);
	give(a);
	pid_ns_unref(inner);
	pid_ns_unref(outer);
}

static void the_depth_is_limited(void **state)
{
	struct pid_ns *ns[PID_NS_LEVELS_MAX + 1];
	int n = 0;

	assert_int_equal(pid_ns_new(NULL, &ns[n]), 0);
	while (pid_ns_new(ns[n], &ns[n + 1]) == 0)
		n++;
	assert_int_equal(n + 1, PID_NS_LEVELS_MAX);
	for (; n >= 0; n--)
		pid_ns_unref(ns[n]);
}

static void a_closed_namespace_has_no_new_processes(void **state)
{
	struct pid_ns *outer, *inner;
	struct pid *a, *b;

	assert_int_equal(pid_ns_new(NULL, &outer), 0);
	assert_int_equal(pid_ns_new(outer, &inner), 0);
	a = take(inner);
	pid_ns_close(inner);
	assert_int_equal(pid_alloc(inner, &b), -ENOMEM);
	assert_int_equal(pid_ns_count(outer), 1); /* nothing half taken */
	give(a);
	pid_ns_unref(inner);
	pid_ns_unref(outer);
}

static void chosen_numbers_are_free_or_refused(void **state)
{
	const int wanted[] = { 1, 77 }, taken[] = { 1 }, bad[] = { 0x7fffffff },
		  not_first[] = { 5 };
	struct pid_ns *outer, *inner;
	struct pid *a, *b;

	assert_int_equal(pid_ns_new(NULL, &outer), 0);
	a = take(outer);
	pid_ns_set_init(outer, (struct thread_group *)a);
	assert_int_equal(pid_ns_new(outer, &inner), 0);
	assert_int_equal(pid_alloc_at(inner, not_first, 1, &b), -EINVAL);
	assert_int_equal(pid_alloc_at(inner, wanted, 2, &b), 0);
	assert_int_equal(pid_nr(b, inner), 1);
	assert_int_equal(pid_nr(b, outer), 77);
	assert_int_equal(pid_alloc_at(outer, taken, 1, &a), -EEXIST);
	assert_int_equal(pid_alloc_at(outer, bad, 1, &a), -EINVAL);
	assert_int_equal(pid_alloc_at(outer, wanted, 2, &a), -EINVAL);
	pid_unref(b);
	give(a);
	pid_ns_unref(inner);
	pid_ns_unref(outer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_go_up_and_come_back_late),
		cmocka_unit_test(numbers_wrap_to_the_first_that_is_free),
		cmocka_unit_test(every_number_taken_is_eagain),
		cmocka_unit_test(an_inner_number_is_seen_from_outside_only),
		cmocka_unit_test(the_depth_is_limited),
		cmocka_unit_test(a_closed_namespace_has_no_new_processes),
		cmocka_unit_test(chosen_numbers_are_free_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
