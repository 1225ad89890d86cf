/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pause image's only program: the first process of a pod. It sleeps,
 * reaps the children that it inherits in a shared pid namespace, and ends
 * with status 0 on SIGTERM or SIGINT.
 *
 * The signals are blocked and waited for rather than handled: as process 1
 * it would otherwise miss those whose disposition is the default.
 *
 * Without a C library, whose 700 KiB would be most of a pod's memory: the
 * engine tests bound what a pause of class ns costs.
 */
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/wait.h>

static long call4(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return ret;
}

#define BIT(sig) (1UL << ((sig)-1))

__attribute__((noreturn, used, force_align_arg_pointer)) void _start(void)
{
	const unsigned long set = BIT(SIGTERM) | BIT(SIGINT) | BIT(SIGCHLD);
	long status = call4(__NR_rt_sigprocmask, SIG_BLOCK, (long)&set, 0, sizeof(set)) < 0;

	while (status == 0) {
		const long sig = call4(__NR_rt_sigtimedwait, (long)&set, 0, 0, sizeof(set));

		if (sig == SIGTERM || sig == SIGINT)
			break;
		while (call4(__NR_wait4, -1, 0, WNOHANG, 0) > 0)
			;
	}
	for (;;)
		call4(__NR_exit_group, status, 0, 0, 0);
}
