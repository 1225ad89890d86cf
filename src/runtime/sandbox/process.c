/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/process.h"

#include <stdlib.h>

#include "wire/sentry_msg.h"

static struct sandbox_process *new_process(struct err *err)
{
	struct sandbox_process *p = malloc(sizeof(*p));

	if (!p) {
		(void)err_sys(err, -ENOMEM, "make a process");
		return NULL;
	}
	*p = (struct sandbox_process){ .sandbox = SANDBOX_INIT, .waiter = WAITER_INIT };
	return p;
}

int sandbox_process_create(struct creation *cr, sandbox_launch_fn *launch, struct err *err)
{
	struct sandbox_process *p = new_process(err);
	int r;

	if (!p)
		return -ENOMEM;
	/* Whatever config.json says of pid namespaces: the sandbox has one, and ends with it. */
	cr->c->private_pid = true;
	r = launch(cr, &p->sandbox, err);
	if (r < 0) {
		free(p);
		return r;
	}
	cr->process.data = p;
	cr->process.pid = p->sandbox.pid;
	cr->process.pidfd = p->sandbox.pidfd;
	cr->process.master = p->sandbox.master;
	return 0;
}

int sandbox_process_exec(struct container *c, const struct exec_request *request, int description,
			 struct process *ret, struct err *err)
{
	struct sandbox_process *p = new_process(err);
	int r;

	if (!p)
		return -ENOMEM;
	p->is_exec = true;
	r = waiter_make(c, request, description, &p->waiter, err);
	if (r < 0) {
		free(p);
		return r;
	}
	ret->data = p;
	ret->pid = p->waiter.pid;
	ret->pidfd = p->waiter.pidfd;
	ret->master = p->waiter.master;
	return 0;
}

int sandbox_process_release(struct process *process, struct err *err)
{
	struct sandbox_process *p = process->data;

	return sandbox_go(&p->sandbox, SENTRY_GO_RELEASE, err);
}

void sandbox_process_done(struct process *process)
{
	struct sandbox_process *p = process->data;

	if (p) {
		sandbox_done(&p->sandbox);
		waiter_done(&p->waiter);
	}
	free(p);
	*process = (struct process)PROCESS_INIT;
}
