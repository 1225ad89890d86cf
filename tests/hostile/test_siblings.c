/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stub whose filter has fallen: every call that the filter would kill for is let through (the
 * program is linked with another systrap_filter()). What stands behind it is judged here.
 * Arguments: the stub's path, the profile.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/syscall.h>

#include "jail/jail.h"
#include "sentry/core/kclock.h"
#include "sentry/core/kloop.h"
#include "sentry/platform/systrap/systrap_internal.h"
#include "fixture.h"

#define BOUND_NS (30 * NSEC_PER_SEC)

unsigned int __real_systrap_filter(enum systrap_profile profile, struct sock_filter *ret);
unsigned int __wrap_systrap_filter(enum systrap_profile profile, struct sock_filter *ret);

unsigned int __wrap_systrap_filter(enum systrap_profile profile, struct sock_filter *ret)
{
	const unsigned int n = __real_systrap_filter(profile, ret);
	bool found = false;

	for (unsigned int i = 0; i < n; i++) {
		if (ret[i].code == (BPF_RET | BPF_K) && ret[i].k == SECCOMP_RET_KILL_PROCESS) {
			ret[i].k = SECCOMP_RET_ALLOW;
			found = true;
		}
	}
	assert_true(found);
	return n;
}

static bool to_the_end; /* the template's death ends the loop before */

static struct platform_thread *fork_of(struct platform_thread *t)
{
	struct platform_thread *child;

	assert_int_equal(platform->thread_fork(t, &child), 0);
	return child;
}

static void await_death(const struct platform_space *s)
{
	const nsec_t end = kclock_monotonic() + BOUND_NS;

	while (!platform->space_dead(s) && kclock_monotonic() < end)
		(void)fiber_park(kclock_monotonic() + NSEC_PER_SEC / 100, false);
	assert_true(platform->space_dead(s));
}

/* kill(-1): whoever it may signal in its pid namespace, template and siblings before all. */
static void do_kill_all(void)
{
	static const uint64_t all[6] = { (uint64_t)-1, SIGKILL };
	struct platform_thread *killer = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
	struct platform_thread *child = fork_of(killer), *second = fork_of(child);
	struct platform_space *of_child = platform->thread_space(child);
	struct platform_space *of_second = platform->thread_space(second);

	hostile_honest_begins();
	hostile_at(child, STUB_TEXT + hostile_next_syscall(0), SYS_kill, all);
	(void)hostile_run_for(child, NSEC_PER_SEC / 100);
	/* The call was made: its own child is gone, and nobody else. */
	await_death(of_second);
	hostile_honest_lives();
	assert_false(platform->space_dead(platform->thread_space(killer)));
	assert_false(platform->space_dead(of_child));
	platform->thread_free(second);
	platform->thread_free(child);
	platform->thread_free(killer);
	/* The template makes others still. */
	platform->thread_free(hostile_guest(hostile_spin_code, SPIN_CODE_LEN));
	hostile_honest_lives();
	platform->thread_free(hostile_honest);
	to_the_end = true;
}

static void a_stub_without_its_filter_signals_its_own_children_alone(void **state)
{
	(void)state;
	if (jail_landlock_signals() < 0) {
		print_message("CAVEATS.md#unit-landlock\n");
		skip();
	}
	hostile_on_fiber(do_kill_all);
	assert_true(to_the_end);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stub_without_its_filter_signals_its_own_children_alone),
	};

	return hostile_main(argc, argv, "siblings", tests, ARRAY_LEN(tests));
}
