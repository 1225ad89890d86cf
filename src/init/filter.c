/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp(2), the last call before exec: nothing after it needs to be allowed by the filter but
 * execve(2) itself.
 *
 * A filter that notifies makes a listener that has to reach the host before any notified call,
 * while sendmsg(2) may itself be filtered. So a thread is made first, which the filter does not
 * cover (no TSYNC): it waits for the descriptor in memory, sends it, and says so in memory. Both
 * sides only spin for the few microseconds of one sendmsg(2). exec ends the thread.
 */
#include "init/init.h"

#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include "base/start.h"
#include "base/sys.h"

static struct {
	int report;
	int listener; /* -1 until the filter is installed */
	int sent;     /* 1, or -errno */
} handover;

static uint64_t helper_stack[512] __attribute__((aligned(16)));

__attribute__((noreturn)) static void helper(void)
{
	const struct init_report report = { .type = INIT_REPORT_LISTENER };
	int fd;
	long r;

	while ((fd = __atomic_load_n(&handover.listener, __ATOMIC_ACQUIRE)) == -1)
		(void)SYS0(SYS_sched_yield);
	r = fd < 0 ? 0 : init_report(handover.report, &report, fd);
	__atomic_store_n(&handover.sent, r < 0 ? (int)r : 1, __ATOMIC_RELEASE);
	for (;;)
		(void)SYS1(SYS_exit, 0);
}

static void start_helper(const struct init *init)
{
	const unsigned long flags =
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	uint64_t *top =
		helper_stack + 510; /* 16-byte aligned; the call pushes the return address */
	long r;

	handover.report = init->report;
	handover.listener = -1;
	handover.sent = 0;
	*top = (uint64_t)(uintptr_t)helper;
	r = thread_clone(flags, top);
	if (r < 0)
		init_fail(init, INIT_STEP_SECCOMP, r);
}

void init_filter(const struct init *init)
{
	const struct init_msg *msg = init->msg;
	const struct sock_fprog program = {
		.len = (unsigned short)msg->seccomp_len,
		.filter = (struct sock_filter *)(uintptr_t)init_at(msg, msg->seccomp_off),
	};
	uint32_t flags = msg->seccomp_flags;
	long r;

	if (msg->flags & INIT_SECCOMP_NOTIFY) {
		start_helper(init);
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	}
	r = SYS3(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (r < 0)
		init_fail(init, INIT_STEP_SECCOMP, r);
	if (!(msg->flags & INIT_SECCOMP_NOTIFY))
		return;
	__atomic_store_n(&handover.listener, (int)r, __ATOMIC_RELEASE);
	while ((r = __atomic_load_n(&handover.sent, __ATOMIC_ACQUIRE)) == 0)
		__asm__ volatile("" ::: "memory");
	if (r < 0)
		init_fail(init, INIT_STEP_SECCOMP, r);
}
