/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of threads that park on their way: a platform whose thread_free() and thread_get_fpu() wait
 * for this test.
 */
#include "lib/unit.h"

#include <stdlib.h>
#include <sys/ptrace.h>

#include "sentry/arch/fpu.h"
#include "sentry/core/cred.h"
#include "sentry/core/waitq.h"
#include "sentry/mm/mm.h"
#include "sentry/platform/platform.h"
#include "sentry/task/answers.h"
#include "sentry/task/container.h"
#include "sentry/task/exec.h"
#include "sentry/task/internal.h"
#include "sentry/task/itimer.h"
#include "sentry/task/pid.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/ptrace_link.h"
#include "sentry/task/sigqueue.h"
#include "sentry/task/task.h"
#include "sentry/task/user_usage.h"

#define GETFPREGS 14

struct platform_thread {
	bool held;
};

static struct waitq gate;
static struct container *container;
static struct pid_ns *ns;

static void slow_free(struct platform_thread *t)
{
	WAIT_EVENT_ALWAYS(&gate, !t->held);
}

static int slow_get_fpu(struct platform_thread *t, void *ret, size_t len)
{
	(void)ret;
	(void)len;
	WAIT_EVENT_ALWAYS(&gate, !t->held);
	return 0;
}

static uint64_t no_time(struct platform_thread *t)
{
	(void)t;
	return 0;
}

static const struct platform_ops slow_platform = {
	.thread_free = slow_free,
	.thread_get_fpu = slow_get_fpu,
	.thread_cpu_ns = no_time,
};

static size_t takes_all(struct user_memory *um, uaddr_t dst, const void *src, size_t len)
{
	(void)um;
	(void)dst;
	(void)src;
	return len;
}

static const struct user_memory_ops memory_ops = { .copy_out = takes_all };

static void run_all(void)
{
	while (fiber_any_ready())
		fiber_run_ready();
}

static void open_gate(struct platform_thread *t)
{
	t->held = false;
	waitq_wake(&gate, WAIT_ALL);
	run_all();
}

/* A thread of tg, or the first one of a new process. */
static struct task *thread_new(struct thread_group *tg, struct platform_thread *thread)
{
	struct task *t = task_alloc(container);
	struct process_group *pgrp;
	struct session *session;
	struct pid *pid;

	assert_non_null(t);
	assert_int_equal(pid_alloc(ns, &pid), 0);
	t->tg = tg ? thread_group_ref(tg) : thread_group_alloc(container);
	t->cred = cred_new_root();
	t->usage = user_usage_get(0);
	t->thread = thread;
	task_publish(t, pid);
	if (tg)
		return t;
	t->tg->sighand = sighand_new();
	t->tg->mm_borrowed = true; /* whose memory nobody counts */
	assert_int_equal(session_new(pid, &session), 0);
	assert_int_equal(process_group_new(pid, session, &pgrp), 0);
	process_group_join(t->tg, pgrp);
	process_group_unref(pgrp);
	session_unref(session);
	return t;
}

static void run(struct task *t, void (*body)(void *arg))
{
	assert_int_equal(fiber_spawn("task", body, t, &t->fiber), 0);
	fiber_set_owner(t->fiber, t);
	run_all();
}

static void ends(void *arg)
{
	task_exit(arg);
}

static void a_thread_that_is_overtaken_by_the_last_one_ends_the_process(void **state)
{
	struct platform_thread slow = { .held = true }, fast = { 0 };
	struct task *leader = thread_new(NULL, &fast);
	struct thread_group *tg = thread_group_ref(leader->tg);
	struct task *other = thread_new(tg, &slow);

	(void)state;
	run(other, ends);
	run(leader, ends);
	assert_true(tg->zombie);
	assert_false(tg->released);
	open_gate(&slow);
	assert_true(tg->released);
	thread_group_unref(tg);
}

static void a_process_that_has_ended_gets_no_timers(void **state)
{
	struct platform_thread thread = { 0 };
	struct task *leader = thread_new(NULL, &thread);
	struct thread_group *tg = thread_group_ref(leader->tg);
	struct thread_group parent = { .sighand = tg->sighand, .leader = leader, .pid = tg->pid };

	(void)state;
	list_init(&parent.children);
	list_init(&parent.tasks);
	waitq_init(&parent.wait_child);
	parent.zombie = true; /* who takes no signal and does not wait */
	tg->parent = &parent;
	tg->limits[RLIMIT_CPU] = (struct rlimit){ 1, RLIM_INFINITY };
	run(leader, ends);
	assert_false(tg->released);
	assert_int_equal(rlimit_cpu_changed(tg), 0);
	assert_null(tg->itimers);
	tg->parent = NULL;
	thread_group_release(tg);
	thread_group_unref(tg);
}

static void asks_for_new_answers(void *arg)
{
	(void)arg;
	task_answers_mapped(NULL);
}

static void a_look_at_all_processes_keeps_none(void **state)
{
	struct platform_thread thread = { 0 };
	struct task *t = thread_new(NULL, &thread);
	const unsigned int refs = t->tg->refs;

	(void)state;
	run(t, asks_for_new_answers);
	assert_int_equal(t->tg->refs, refs);
	run(t, ends);
}

static bool alone;

static void wants_to_be_alone(void *arg)
{
	alone = thread_group_alone(arg) == 0;
}

static void an_exec_waits_until_the_leader_is_gone(void **state)
{
	struct platform_thread slow = { .held = true }, fast = { 0 };
	struct task *leader = thread_new(NULL, &slow);
	struct thread_group *tg = thread_group_ref(leader->tg);
	struct task *other = thread_new(tg, &fast);

	(void)state;
	run(leader, ends);
	run(other, wants_to_be_alone);
	assert_false(alone);
	open_gate(&slow);
	assert_true(alone);
	assert_ptr_equal(tg->leader, other);
	assert_ptr_equal(tg->pid->task, other);
	run(other, ends);
	assert_true(tg->released);
	thread_group_unref(tg);
}

static void a_parent_that_ends_traces_nobody_any_more(void **state)
{
	struct platform_thread thread = { 0 };
	struct task *parent = thread_new(NULL, &thread), *child = thread_new(NULL, &thread);

	(void)state;
	child->tg->parent = parent->tg;
	child->tg->parent_thread = parent;
	parent->exiting = true;
	assert_int_equal(ptrace_request(child, PTRACE_TRACEME, 0, 0, 0), 0);
	assert_null(child->ptrace);
	child->tg->parent = NULL;
	run(child, ends);
	run(parent, ends);
}

static bool left;
static int traced_nr;

static void stops(void *arg)
{
	ptrace_stop_now(arg);
	left = true;
}

static void asks_for_registers(void *arg)
{
	(void)ptrace_request(arg, GETFPREGS, traced_nr, 0, 0);
}

static void a_tracee_stays_while_its_tracer_uses_its_thread(void **state)
{
	static struct mm memory = { .um = { .ops = &memory_ops }, .refs = 1 };
	struct platform_thread slow = { .held = true }, fast = { 0 };
	struct task *tracer = thread_new(NULL, &fast), *tracee = thread_new(NULL, &slow);

	(void)state;
	tracer->mm = &memory;
	tracee->regs_valid = true;
	traced_nr = task_tid(tracee, ns);
	assert_int_equal(ptrace_link_new(tracee, tracer, true, 0), 0);
	run(tracee, stops);
	run(tracer, asks_for_registers);
	thread_group_exit(tracee->tg, SIGKILL);
	run_all();
	assert_false(left);
	open_gate(&slow);
	assert_true(left);
	tracer->mm = NULL;
	run(tracee, ends);
	run(tracer, ends);
}

static void who_waits_for_its_start_ends_with_its_pid_namespace(void **state)
{
	struct platform_thread first = { 0 }, second = { 0 };
	struct thread_group *init, *waiting;
	struct pid_ns *all = ns;
	struct task *t;

	(void)state;
	assert_int_equal(pid_ns_new(NULL, &ns), 0);
	t = thread_new(NULL, &first);
	init = thread_group_ref(t->tg);
	pid_ns_set_init(ns, init);
	waiting = thread_group_ref(thread_new(NULL, &second)->tg);
	run(t, ends);
	assert_true(waiting->released);
	assert_true(init->released);
	thread_group_unref(waiting);
	thread_group_unref(init);
	pid_ns_unref(ns);
	ns = all;
}

static void whom_a_signal_has_ended_is_not_started_again(void **state)
{
	struct platform_thread thread = { 0 };
	struct task *t = task_ref(thread_new(NULL, &thread));

	(void)state;
	thread_group_exit(t->tg, SIGTERM);
	assert_int_equal(task_start(t), 0);
	run_all();
	assert_true(t->tg->released);
	assert_int_equal(t->tg->exit_status, SIGTERM);
	assert_int_equal(task_start(t), 0);
	run_all();
	task_unref(t);
}

static int setup(void **state)
{
	(void)state;
	platform = &slow_platform;
	waitq_init(&gate);
	container = container_new("test", 100);
	return container && fpu_init() == 0 ? pid_ns_new(NULL, &ns) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_that_is_overtaken_by_the_last_one_ends_the_process),
		cmocka_unit_test(a_process_that_has_ended_gets_no_timers),
		cmocka_unit_test(a_look_at_all_processes_keeps_none),
		cmocka_unit_test(an_exec_waits_until_the_leader_is_gone),
		cmocka_unit_test(a_parent_that_ends_traces_nobody_any_more),
		cmocka_unit_test(a_tracee_stays_while_its_tracer_uses_its_thread),
		cmocka_unit_test(who_waits_for_its_start_ends_with_its_pid_namespace),
		cmocka_unit_test(whom_a_signal_has_ended_is_not_started_again),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
