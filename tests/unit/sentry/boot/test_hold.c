/* SPDX-License-Identifier: Apache-2.0 */
/* The pauses of one container and of its whole pod, where they meet; the platform is a stand-in. */
#include "unit/sentry/vfs/world.h"

#include "sentry/boot/member.h"
#include "sentry/core/fiber.h"
#include "sentry/platform/platform.h"
#include "sentry/task/container.h"

static char nursery; /* stands for a struct platform_nursery */
static bool held;

/* As the real one: it waits where it holds. */
static void nursery_hold(struct platform_nursery *n, bool asked)
{
	assert_ptr_equal(n, &nursery);
	if (asked && !fiber_self())
		fail_msg("a nursery is held where nothing may wait");
	held = asked;
}

static int setup(void **state)
{
	static const struct platform_ops ops = { .name = "stand-in", .nursery_hold = nursery_hold };

	platform = &ops;
	held = false;
	sandbox = (struct member){ .container = container_new("pod", 0) };
	assert_non_null(sandbox.container);
	sandbox.container->nursery = (struct platform_nursery *)(void *)&nursery;
	members_init();
	return world_setup(state);
}

static int teardown(void **state)
{
	container_unref(sandbox.container);
	return world_teardown(state);
}

static void hold_both(void *arg)
{
	(void)arg;
	assert_int_equal(members_hold(), 0);
	assert_int_equal(member_hold(&sandbox), 0);
}

/* Who does not leave its code is let go by a timer, be it held with its whole pod as well. */
static void who_is_held_twice_is_let_go_without_a_wait(void **state)
{
	in_fiber(hold_both, NULL);
	assert_true(held);
	member_let_go(&sandbox);
	assert_true(held);
	assert_int_equal(sandbox.container->frozen, CONTAINER_FROZEN_POD);
	members_let_go();
	assert_false(held);
	assert_int_equal(sandbox.container->frozen, 0);

	in_fiber(hold_both, NULL);
	members_let_go();
	assert_true(held);
	assert_int_equal(sandbox.container->frozen, CONTAINER_FROZEN_ALONE);
	member_let_go(&sandbox);
	assert_false(held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_is_held_twice_is_let_go_without_a_wait, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("sentry/boot/hold", tests, NULL, NULL);
}
