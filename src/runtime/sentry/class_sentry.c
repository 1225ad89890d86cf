/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class sentry behind struct isolation_ops. The container's pid is its sentry's, which ends with
 * the container's exit code and passes on the signals that it gets; an exec's is its waiter's.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/pidfd.h"
#include "runtime/container.h"
#include "runtime/creation.h"
#include "runtime/isolation.h"
#include "runtime/sentry/client.h"
#include "runtime/sentry/describe.h"
#include "runtime/sentry/launch.h"
#include "runtime/sentry/waiter.h"

/* One of the two. */
struct handle {
	bool is_exec;
	struct sandbox sandbox;
	struct waiter waiter;
};

static struct handle *handle_new(struct err *err)
{
	struct handle *h = malloc(sizeof(*h));

	if (!h) {
		(void)err_sys(err, -ENOMEM, "make a process");
		return NULL;
	}
	*h = (struct handle){ .sandbox = SANDBOX_INIT, .waiter = WAITER_INIT };
	return h;
}

static int class_sentry_create(struct creation *cr, struct err *err)
{
	struct handle *h = handle_new(err);
	int r;

	if (!h)
		return -ENOMEM;
	/* Whatever config.json says of pid namespaces: the sandbox has one, and ends with it. */
	cr->c->private_pid = true;
	r = launch_sandbox(cr, &h->sandbox, err);
	if (r < 0) {
		free(h);
		return r;
	}
	cr->process.data = h;
	cr->process.pid = h->sandbox.pid;
	cr->process.pidfd = h->sandbox.pidfd;
	cr->process.master = h->sandbox.master;
	return 0;
}

static int class_sentry_release(struct process *process, struct err *err)
{
	struct handle *h = process->data;

	return sandbox_go(&h->sandbox, SENTRY_GO_RELEASE, err);
}

static int class_sentry_open(struct process *process, const struct oci_spec *spec,
			     struct container *c, struct err *err)
{
	struct handle *h = process->data;

	if (h->is_exec)
		return waiter_open(&h->waiter, err);
	return sandbox_go(&h->sandbox, SENTRY_GO_START, err);
}

static int class_sentry_start(struct container *c, struct err *err)
{
	const struct sentry_request request = { .type = SENTRY_START };

	return client_simple(c, &request, NULL, err);
}

static int class_sentry_exec(struct container *c, const struct exec_request *request,
			     struct process *ret, struct err *err)
{
	struct handle *h;
	int r = describe_check(request->spec, err);

	if (r < 0)
		return r;
	if (request->cgroups && request->cgroups[0])
		return err_set(err, -ENOTSUP,
			       "--cgroup %s: the processes of a sentry are in one cgroup",
			       request->cgroups[0]);
	h = handle_new(err);
	if (!h)
		return -ENOMEM;
	h->is_exec = true;
	r = waiter_make(c, request, &h->waiter, err);
	if (r < 0) {
		free(h);
		return r;
	}
	ret->data = h;
	ret->pid = h->waiter.pid;
	ret->pidfd = h->waiter.pidfd;
	ret->master = h->waiter.master;
	return 0;
}

/* SIGKILL ends the sandbox and needs nobody's help; the rest is for the guest's processes. */
static int class_sentry_signal(struct container *c, int sig, bool all, struct err *err)
{
	const struct sentry_request request = { .type = SENTRY_SIGNAL,
						.value = (uint32_t)sig,
						.flags = all ? SENTRY_SIGNAL_ALL : 0 };

	return client_simple(c, &request, NULL, err);
}

static int class_sentry_update(struct container *c, const struct oci_resources *resources,
			       struct err *err)
{
	struct sentry_limits limits;
	struct client_call call = { .request = { .type = SENTRY_UPDATE },
				    .tail = &limits,
				    .tail_len = sizeof(limits) };
	struct sentry_reply reply;
	AUTO_CLOSE int sock = client_connect(c, err);

	describe_limits(resources, &limits);
	return sock < 0 ? sock : client_call(sock, &call, &reply, NULL, NULL, err);
}

static void class_sentry_process_done(struct process *process)
{
	struct handle *h = process->data;

	if (h) {
		sandbox_done(&h->sandbox);
		waiter_done(&h->waiter);
	}
	free(h);
	*process = (struct process)PROCESS_INIT;
}

const struct isolation_ops class_sentry = {
	.name = "sentry",
	.create = class_sentry_create,
	.release = class_sentry_release,
	.open = class_sentry_open,
	.start = class_sentry_start,
	.exec = class_sentry_exec,
	.signal = class_sentry_signal,
	.update = class_sentry_update,
	.process_done = class_sentry_process_done,
};
