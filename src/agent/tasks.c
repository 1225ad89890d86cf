/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that concern all processes of a container: a signal, PAUSE, RESUME. They stop them, and who
 * waits for a file cannot be stopped: a worker waits for that, bounded.
 */
#include <signal.h>
#include <stdlib.h>

#include "agent/container.h"
#include "agent/worker.h"

/* So long they may take to stop: the host waits five seconds (vmm/vm.h). */
#define FREEZE_MS 1000

/* The container may be gone when its worker is: that has a copy of it. */
struct task_call {
	struct agent *agent;
	struct container *container;
	uint32_t serial;
	enum agent_call call;
	int signal;
};

static int run_call(struct worker *w, void *arg, struct err *err)
{
	const struct task_call *t = arg;
	const struct cgroup *cg = t->container->cgroup;

	(void)w;
	return t->call == AGENT_SIGNAL
		       ? cgroup_signal_all_within(cg, t->signal, FREEZE_MS, err)
		       : cgroup_freeze_within(cg, t->call == AGENT_PAUSE, FREEZE_MS, err);
}

static void call_done(void *owner, const struct err *result)
{
	struct task_call *t = owner;

	agent_answer(t->agent, t->serial, t->call, result->code, NULL, result);
	free(t);
}

static int begin(struct container *c, uint32_t serial, enum agent_call call, int signal,
		 struct err *err)
{
	struct task_call *t = calloc(1, sizeof(*t));
	const struct worker_job job = { .call = call,
					.serial = serial,
					.container = c,
					.run = run_call,
					.arg = t,
					.done = call_done,
					.owner = t };
	int r;

	if (!t)
		return err_sys(err, -ENOMEM, "%s", agent_call_name(call));
	*t = (struct task_call){
		.agent = c->agent, .container = c, .serial = serial, .call = call, .signal = signal
	};
	r = worker_start(c->agent, &job, err);
	if (r < 0)
		free(t);
	return r;
}

/* cgroup.kill stops nobody, and must not depend on a process more. */
int container_signal_all(struct container *c, uint32_t serial, int signal, struct err *err)
{
	return signal == SIGKILL ? cgroup_signal_all(c->cgroup, SIGKILL, err)
				 : begin(c, serial, AGENT_SIGNAL, signal, err);
}

int container_freeze(struct container *c, uint32_t serial, enum agent_call call, struct err *err)
{
	return begin(c, serial, call, 0, err);
}
