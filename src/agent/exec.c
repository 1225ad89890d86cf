/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXEC: a process beside the first one of a container. Its program is read by a worker's child;
 * CANCEL ends both.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/container_internal.h"
#include "agent/shell.h"
#include "agent/worker.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/oom_score.h"
#include "host/pidfd.h"

/* ---- Parts of CREATE, too ------------------------------------------------------------------- */

int container_config(const struct agent_bytes *config, struct oci_spec **ret, struct err *err)
{
	return oci_spec_parse(config->bytes, config->len, "config.json", ret, err);
}

int container_seccomp(const struct agent_bytes *bytes, uint32_t flags, struct seccomp_program *ret,
		      struct err *err)
{
	*ret = (struct seccomp_program){ .flags = flags };
	if (bytes->len % sizeof(struct sock_filter))
		return err_set(err, -EINVAL, "seccomp: %u bytes are no whole instructions",
			       bytes->len);
	ret->len = bytes->len / sizeof(struct sock_filter);
	if (ret->len == 0)
		return 0;
	/* The bytes lie anywhere in the frame. */
	ret->insns = malloc(bytes->len);
	if (!ret->insns)
		return err_sys(err, -ENOMEM, "seccomp");
	memcpy(ret->insns, bytes->bytes, bytes->len);
	return 0;
}

struct ns_terminal container_terminal(const struct agent_io *io)
{
	return (struct ns_terminal){ .wanted = io->terminal,
				     .console_socket = -EBADF,
				     .rows = (unsigned short)io->rows,
				     .cols = (unsigned short)io->cols };
}

void container_answer_process(struct process *p, enum agent_call call, const struct err *result)
{
	const struct agent_pid pid = { p->pid };

	agent_answer(p->agent, p->serial, call, result->code, &pid, result);
	if (result->code == 0)
		return;
	if (p->pidfd >= 0)
		(void)pidfd_kill(p->pidfd, SIGKILL);
	process_free(p);
}

/* ---- Processes beside the first ------------------------------------------------------------- */

struct execution {
	struct container *container;
	const struct agent_exec *call;
	struct oci_spec *spec; /* owned */
	struct seccomp_program seccomp;
	struct cgroup *sub; /* owned; NULL: the container's own */
	struct process_stdio stdio;
	pid_t carriers[3]; /* in the worker */
	pid_t place;	   /* in the worker: whose namespaces it enters */
};

static void execution_done(struct execution *e)
{
	process_stdio_done(&e->stdio);
	cgroup_free(e->sub);
	seccomp_program_done(&e->seccomp);
	oci_spec_free(e->spec);
}

static int read_exec(struct execution *e, struct err *err)
{
	const struct agent_exec *call = e->call;
	int r = container_config(&call->config, &e->spec, err);

	if (r == 0)
		r = container_seccomp(&call->seccomp, call->seccomp_flags, &e->seccomp, err);
	if (r == 0 && *call->cgroup && str_path_leaves(call->cgroup))
		r = err_set(err, -EINVAL, "cgroup %s: it must stay below the container's",
			    call->cgroup);
	if (r == 0 && *call->cgroup)
		r = cgroup_subdir(e->container->cgroup, NULL, call->cgroup, &e->sub, err);
	if (r == 0)
		r = process_stdio_open(&call->io, &e->stdio, err);
	return r;
}

static int on_process(void *arg, pid_t pid, struct err *err)
{
	const struct execution *e = arg;
	const struct oci_process *process = &e->spec->process;
	const int r = oom_score_apply(process, pid, err);

	if (r < 0 || !e->container->user_namespace)
		return r;
	return process_stdio_give(e->place, &process->user, err);
}

/* Where it runs: beside the container's first process, or in the shell's place. */
static int make_process(struct execution *e, struct ns_child *ret, struct err *err)
{
	const struct container *c = e->container;
	const bool shell = e->call->flags & AGENT_EXEC_SHELL;
	struct ns_child place = NS_CHILD_INIT;
	struct ns_exec_options options = {
		.spec = e->spec,
		.container_pid = c->init->pid,
		.container_pidfd = c->init->pidfd,
		.seccomp = e->seccomp.len ? &e->seccomp : NULL,
		.cgroup = e->sub ? e->sub : c->cgroup,
		.terminal = container_terminal(&e->call->io),
		.on_process = on_process,
		.arg = e,
	};
	int r = shell ? shell_cgroup(c->cgroup, c->shells, err) : 0;

	if (r == 0 && shell)
		r = shell_place(c->root, &place, err);

	if (shell) {
		options.container_pid = place.pid;
		options.container_pidfd = place.pidfd;
		options.cgroup = c->shells;
	}
	e->place = options.container_pid;
	if (r == 0)
		r = process_stdio_place(c->agent, &e->stdio, e->carriers, err);
	if (r == 0)
		r = ns_exec(&options, ret, err);
	/* The process enters it on its way to the gate; it ends with this worker. */
	ns_child_done(&place);
	return r;
}

static int run_exec(struct worker *w, void *arg, struct err *err)
{
	struct execution *e = arg;
	struct ns_child child = NS_CHILD_INIT;
	int r = make_process(e, &child, err);

	if (r < 0)
		return r;
	r = worker_tell(w, &child, e->carriers, err);
	if (r == 0)
		r = ns_open_gate(&child, NULL, NULL, err);
	if (r < 0)
		(void)pidfd_kill(child.pidfd, SIGKILL);
	ns_child_done(&child);
	return r;
}

static int exec_made(void *owner, struct ns_child *child, const pid_t carriers[3], struct err *err)
{
	return process_made(owner, child, carriers, err);
}

static void exec_done(void *owner, const struct err *result)
{
	container_answer_process(owner, AGENT_EXEC, result);
}

int container_exec(struct container *c, uint32_t serial, const struct agent_exec *call,
		   struct err *err)
{
	AUTO(execution_done)
	struct execution e = { .container = c,
			       .call = call,
			       .stdio = { { -EBADF, -EBADF, -EBADF },
					  { -EBADF, -EBADF, -EBADF } } };
	struct process *p = NULL;
	int keep[4], r;

	if (!c->init || c->init->exited)
		return err_set(err, -ESRCH, "container %s has ended", c->id);
	if (call->flags & AGENT_EXEC_SHELL && !c->root)
		return err_set(err, -EPERM, "a debug shell is not allowed in this machine");
	r = read_exec(&e, err);
	if (r == 0)
		r = process_new(c->agent, c, &call->io, &e.stdio, &p, err);
	if (r < 0)
		return r;
	memcpy(keep, e.stdio.theirs, sizeof(e.stdio.theirs));
	keep[3] = c->init->pidfd;
	p->serial = serial;
	r = worker_start(c->agent,
			 &(struct worker_job){ .call = AGENT_EXEC,
					       .serial = serial,
					       .container = c,
					       .run = run_exec,
					       .arg = &e,
					       .keep = keep,
					       .keep_len = 4,
					       .made = exec_made,
					       .done = exec_done,
					       .owner = p },
			 err);
	if (r < 0)
		process_free(p);
	return r;
}
