/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that concern all processes of a container: a signal, PAUSE, RESUME. They stop them, and who
 * waits for a file cannot be stopped: a worker waits for that, bounded.
 */
#include <signal.h>
#include <stdlib.h>

#include "agent/container.h"
#include "agent/worker.h"
#include "base/log.h"

/* So long they may take to stop: the host waits five seconds (vmm/vm.h). */
#define FREEZE_MS 1000

/* The container may be gone when its worker is: that has a copy of it. */
struct task_call {
	struct agent *agent;
	struct container *container;
	uint32_t serial;
	enum agent_call call;
	int signal;
	bool mends; /* nobody has asked */
};

static int begin(const struct task_call *plan, struct err *err);

static int run_call(struct worker *w, void *arg, struct err *err)
{
	const struct task_call *t = arg;
	const struct cgroup *cg = t->container->cgroup;

	(void)w;
	return t->call == AGENT_SIGNAL
		       ? cgroup_signal_all_within(cg, t->signal, FREEZE_MS, err)
		       : cgroup_freeze_within(cg, t->call == AGENT_PAUSE, FREEZE_MS, err);
}

static bool is_listed(const struct agent *a, const struct container *c)
{
	const struct container *each;

	list_for_each(each, &a->containers, node)
	{
		if (each == c)
			return true;
	}
	return false;
}

/* Who stopped the tasks has died, as for want of memory: nobody else lets them go on. */
static void let_run(const struct task_call *died)
{
	struct task_call plan = *died;
	struct err err = { 0 };

	if (!is_listed(died->agent, died->container) || died->container->deleting ||
	    died->container->paused)
		return;
	plan.call = AGENT_RESUME;
	plan.mends = true;
	if (begin(&plan, &err) < 0)
		log_error("container %s may stay frozen: %s", died->container->id, err.msg);
}

static void call_done(void *owner, const struct err *result)
{
	struct task_call *t = owner;

	if (result->code == 0 && t->call != AGENT_SIGNAL && is_listed(t->agent, t->container))
		t->container->paused = t->call == AGENT_PAUSE;
	if (!t->mends)
		agent_answer(t->agent, t->serial, t->call, result->code, NULL, result);
	if (result->code == -EPROTO && t->call != AGENT_RESUME)
		let_run(t);
	free(t);
}

static int begin(const struct task_call *plan, struct err *err)
{
	struct task_call *t = malloc(sizeof(*t));
	const struct worker_job job = { .call = plan->call,
					.serial = plan->serial,
					.container = plan->container,
					.run = run_call,
					.arg = t,
					.done = call_done,
					.owner = t };
	int r;

	if (!t)
		return err_sys(err, -ENOMEM, "%s", agent_call_name(plan->call));
	*t = *plan;
	r = worker_start(plan->agent, &job, err);
	if (r < 0)
		free(t);
	return r;
}

/* cgroup.kill stops nobody, and must not depend on a process more. */
int container_signal_all(struct container *c, uint32_t serial, int signal, struct err *err)
{
	const struct task_call plan = { .agent = c->agent,
					.container = c,
					.serial = serial,
					.call = AGENT_SIGNAL,
					.signal = signal };

	return signal == SIGKILL ? cgroup_signal_all(c->cgroup, SIGKILL, err) : begin(&plan, err);
}

int container_freeze(struct container *c, uint32_t serial, enum agent_call call, struct err *err)
{
	const struct task_call plan = {
		.agent = c->agent, .container = c, .serial = serial, .call = call
	};

	return begin(&plan, err);
}
