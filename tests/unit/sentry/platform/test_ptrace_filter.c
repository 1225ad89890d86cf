/* SPDX-License-Identifier: Apache-2.0 */
/* What a stub of the ptrace platform may not call, even if its tracer has it do so. */
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include "sentry/core/kloop.h"
#include "sentry/platform/ptrace/ptrace_internal.h"
#include "lib/unit.h"

static const struct {
	uint64_t nr, args[6];
} refused[] = {
	{ SYS_getpid, { 0 } },
	{ SYS_openat, { (uint64_t)-100 } },
	{ SYS_socket, { 1, 1 } },
	{ SYS_execve, { 0 } },
	{ SYS_kill, { 1 } },
	{ SYS_ptrace, { 0 } },
	{ SYS_clone, { CLONE_NEWUSER | SIGCHLD } },
	{ SYS_clone3, { 0 } },
	{ SYS_prctl, { 4, 1 } },
	{ SYS_mmap | 0x40000000, { 0 } },
};

static void do_refused(void *arg)
{
	const uint64_t none[6] = { 0, 4096 };

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct platform_thread *t;

		assert_int_equal(platform->space_new(NULL, &t), 0);
		assert_int_equal(ptrace_inject(t, SYS_munmap, none), 0);
		if (ptrace_inject(t, refused[i].nr, refused[i].args) != -ESRCH)
			fail_msg("call %llu: it lives", (unsigned long long)refused[i].nr);
		platform->thread_free(t);
	}
	kloop_stop(0);
}

static void a_call_that_the_platform_does_not_need_ends_the_stub(void **state)
{
	assert_int_equal(fiber_spawn("test", do_refused, NULL, NULL), 0);
	(void)kloop_run();
}

static int setup(void **state)
{
	platform = &platform_ptrace;
	return kloop_init() < 0 ? -1 : platform->init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_that_the_platform_does_not_need_ends_the_stub),
	};

	return cmocka_run_group_tests_name("sentry/ptrace filter", tests, setup, NULL);
}
