/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEBUG stacks: what each fiber waits for, a paragraph each. Addresses are offsets in the program
 * ("+0x1234"); the runtime, which may open it, puts names to them.
 */
#include <inttypes.h>

#include "base/buf.h"
#include "sentry/boot/client.h"
#include "sentry/boot/sandbox.h"
#include "sentry/core/kclock.h"
#include "sentry/syscall/syscall.h"

struct show {
	const struct member *m;
	struct buf *b;
};

/* Numbers as the container has them; a task of another one, as it has them itself. */
static void show_task(const struct show *s, const struct task *t)
{
	const bool ours = t->container == s->m->container;
	const struct pid_ns *ns = ours ? s->m->pid_ns : task_pid_ns(t);
	struct buf *b = s->b;
	const char *call = t->in_syscall && !t->call_done ? syscall_name(t->syscall_nr) : NULL;

	if (!ours)
		(void)buf_printf(b, "container %s ", t->container->id);
	(void)buf_printf(b, "pid %d tid %d %.16s: ", task_tgid(t, ns), task_tid(t, ns), t->comm);
	if (t->in_guest)
		(void)buf_puts(b, "guest code");
	else if (call)
		(void)buf_printf(b, "%s", call);
	else
		(void)buf_puts(b, "kernel");
	switch (t->state) {
	case TASK_STOPPED:
		(void)buf_puts(b, ", stopped");
		break;
	case TASK_TRACED:
		(void)buf_puts(b, ", stopped by its tracer");
		break;
	default:
		break;
	}
}

static void show_fiber(void *arg, const struct fiber_view *view)
{
	const struct task *t = view->owner;
	const struct show *s = arg;
	struct buf *b = s->b;

	if (t)
		show_task(s, t);
	else
		(void)buf_printf(b, "kernel fiber %s", view->name);
	(void)buf_printf(b, ", %s", view->state);
	if (view->interruptible)
		(void)buf_puts(b, ", interruptible");
	if (view->deadline != NSEC_NEVER) {
		const int64_t left = (int64_t)(view->deadline - kclock_monotonic());

		(void)buf_printf(b, ", until in %" PRId64 " ms", left / 1000000);
	}
	(void)buf_puts(b, "\n");
	for (unsigned int i = 0; i < view->frames; i++)
		(void)buf_printf(b, "    +0x%" PRIx64 "\n", view->offset[i]);
}

void client_show_stacks(const struct member *m, struct buf *b)
{
	struct show show = { m, b };

	fiber_for_each(show_fiber, &show);
}
