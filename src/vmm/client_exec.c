/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXEC: the description comes in a sealed memfd, the process's 0, 1, 2 with it. The connection is
 * the process's life from then on, and it is told its end.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "vmm/channel.h"
#include "vmm/client.h"
#include "vmm/container.h"
#include "vmm/description.h"
#include "vmm/end.h"
#include "vmm/process.h"
#include "vmm/vm.h"
#include "wire/agent_codec.h"

static void on_exited(void *arg, int code)
{
	struct client *c = arg;

	c->process = NULL;
	client_send(c, &(struct sentry_reply){ .type = SENTRY_EXITED, .value = code }, NULL, 0);
}

/* The process outlives a client that goes before the answer: so that it can be killed. */
static void on_answer(void *arg, int error, const void *answer)
{
	struct process *p = arg;
	struct client *c = p->arg;
	struct vm *vm = p->vm;
	struct err err = { 0 };

	if (error) {
		process_free(p);
		if (c) {
			c->process = NULL;
			client_answer(c, 0, error, answer);
		}
		return;
	}
	if (process_set_pid(p, ((const struct agent_pid *)answer)->pid, &err) < 0) {
		end_failed(vm, &err);
		return;
	}
	process_open_input(p);
	if (c)
		client_answer(c, p->pid, 0, NULL);
}

static int begin(struct client *c, struct request *request, struct err *err)
{
	AUTO_FREE char *bytes = NULL;
	struct agent_exec exec;
	struct channel_call call = { .call = AGENT_EXEC, .request = &exec, .fn = on_answer };
	struct process_stdio stdio = { .carried = request->head.value,
				       .input_waits = request->head.flags & VMM_INPUT_WAITS };
	size_t len;
	int r = description_read_sealed(request->fds[0], "the description of the process",
					AGENT_REQUEST_MAX, &bytes, &len, err);

	if (r == 0)
		r = agent_request_decode(AGENT_EXEC, bytes, len, &exec, err);
	if (r < 0)
		return r;
	if (exec.flags & AGENT_EXEC_SHELL && !(c->vm->head.flags & VMM_DEBUG_CONSOLE))
		return err_set(err, -EPERM,
			       "a debug shell is not allowed: the container was started without "
			       "vm.debug_console");
	exec.id = c->container->id;
	for (size_t i = 0; i < 3; i++)
		stdio.fd[i] = TAKE_FD(request->fds[1 + i]);
	r = process_new(c->container, &stdio, &exec.io, &c->process, err);
	if (r < 0)
		return r;
	c->process->fn = on_exited;
	c->process->arg = c;
	call.arg = c->process;
	r = channel_ask(c->vm->channel, &call, err);
	if (r < 0) {
		process_free(c->process);
		c->process = NULL;
	}
	return r;
}

int client_exec(struct client *c, struct request *request)
{
	struct err err = { 0 };
	int r;

	if (c->process || c->keeps)
		r = err_set(&err, -EBUSY, "this connection has a process");
	else if (c->vm->phase == VM_ENDS || c->container->phase >= CONTAINER_ENDS)
		r = err_set(&err, -ESRCH, "container not running");
	else if (request->fds_len != CLIENT_EXEC_FDS)
		r = err_set(&err, -EPROTO, "%zu descriptors came with the process",
			    request->fds_len);
	else
		r = begin(c, request, &err);
	c->busy = r == 0;
	c->is_exec = c->is_exec || r == 0;
	if (r < 0)
		client_answer(c, 0, r, err.msg);
	return 0;
}
