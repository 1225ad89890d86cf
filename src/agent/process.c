/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/process.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "host/console.h"
#include "host/pidfd.h"

/* ---- The end -------------------------------------------------------------------------------- */

void process_free(struct process *p)
{
	if (!p)
		return;
	list_del(&p->node);
	if (p->container)
		container_forget_process(p->container, p);
	loop_remove(p->look);
	pump_free(p->in);
	pump_free(p->out);
	pump_free(p->err);
	auto_close_p(&p->pidfd);
	agent_close(p->master);
	free(p->id);
	free(p);
}

/* Tell the host once everything that it was to hear before has been said. */
static void tell_exited(struct process *p)
{
	const struct agent_exited event = { .id = p->id, .pid = p->pid, .code = p->code };

	if (!p->exited || p->out || p->err)
		return;
	/* The kernel's event comes later than the end of whom it killed. */
	if (p->code == 128 + SIGKILL && p->container)
		container_tell_oom(p->container);
	agent_tell(p->agent, AGENT_EXITED, &event);
	process_free(p);
}

static void pump_is_done(void *arg, struct pump *pump)
{
	struct process *p = arg;

	for (struct pump **at = &p->in; at <= &p->err; at++) {
		if (*at == pump)
			*at = NULL;
	}
	pump_free(pump);
	/* What has hung up outside has so inside. */
	if (!p->out && !p->in)
		agent_close(TAKE_FD(p->master));
	tell_exited(p);
}

/* What lies in the pipe of a carrier that is stuck is lost. */
static void on_look(void *arg)
{
	struct process *p = arg;
	struct pump *out = p->out && carrier_is_stuck(&p->carriers[1]) ? p->out : NULL;
	struct pump *err = p->err && carrier_is_stuck(&p->carriers[2]) ? p->err : NULL;

	(void)loop_set_timer(p->look, CARRIER_LOOK_MS);
	/* The last of both frees the process. */
	if (err)
		pump_drain(err);
	if (out)
		pump_drain(out);
}

static void finish_output(struct process *p, struct pump *pump, const struct carrier *carrier)
{
	if (pump && carrier->pid != 0 && p->look)
		carrier_finish(pump_fd(pump));
	else if (pump)
		pump_drain(pump);
}

static void process_ended(struct process *p, int status)
{
	p->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	pump_free(TAKE_PTR(p->in));
	if ((p->carriers[1].pid || p->carriers[2].pid) &&
	    loop_add_timer(p->agent->loop, CARRIER_LOOK_MS, on_look, p, &p->look) < 0)
		p->look = NULL;
	finish_output(p, p->err, &p->carriers[2]);
	finish_output(p, p->out, &p->carriers[1]);
	p->exited = true;
	tell_exited(p);
}

static void carrier_ended(const struct agent *a, pid_t pid)
{
	struct process *p;

	list_for_each(p, &a->processes, node)
	{
		for (size_t i = 0; i < ARRAY_LEN(p->carriers); i++) {
			if (p->carriers[i].pid == pid)
				p->carriers[i].pid = 0;
		}
	}
}

static struct process *find_pid(const struct agent *a, pid_t pid)
{
	struct process *p;

	list_for_each(p, &a->processes, node)
	{
		if (p->pid == pid && !p->exited)
			return p;
	}
	return NULL;
}

void process_reap_all(struct agent *a)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0 || (pid < 0 && errno == EINTR)) {
		struct process *p;

		if (pid < 0)
			continue;
		/* It may be what a worker has made. */
		worker_hear_all(a);
		p = worker_ended(a, pid) ? NULL : find_pid(a, pid);
		if (p)
			process_ended(p, status);
		else
			carrier_ended(a, pid);
	}
}

void process_forget_streams(struct agent *a)
{
	struct process *p, *next;

	list_for_each_safe(p, next, &a->processes, node)
	{
		pump_free(TAKE_PTR(p->in));
		pump_free(TAKE_PTR(p->out));
		pump_free(TAKE_PTR(p->err));
		tell_exited(p);
	}
}

/* ---- The beginning -------------------------------------------------------------------------- */

static int add_pump(struct process *p, uint32_t stream, int fd, enum pump_direction direction,
		    struct pump **ret, struct err *err)
{
	if (!stream)
		return 0;
	if (fd < 0)
		return pump_new_open(p->agent->loop, p->agent->mux, stream, direction, pump_is_done,
				     p, ret, err);
	return pump_new(p->agent->loop, p->agent->mux, stream, fd, direction, pump_is_done, p, ret,
			err);
}

static int add_streams(struct process *p, const struct agent_io *io, struct process_stdio *stdio,
		       struct err *err)
{
	int r;

	if (io->terminal) {
		r = add_pump(p, io->out, -EBADF, io->in == io->out ? PUMP_BOTH : PUMP_IN, &p->out,
			     err);
		return r == 0 && io->in != io->out
			       ? add_pump(p, io->in, -EBADF, PUMP_OUT, &p->in, err)
			       : r;
	}
	r = add_pump(p, io->in, TAKE_FD(stdio->ours[0]), PUMP_OUT, &p->in, err);
	if (r == 0)
		r = add_pump(p, io->out, TAKE_FD(stdio->ours[1]), PUMP_IN, &p->out, err);
	if (r == 0)
		r = add_pump(p, io->err, TAKE_FD(stdio->ours[2]), PUMP_IN, &p->err, err);
	return r;
}

int process_new(struct agent *a, struct container *c, const struct agent_io *io,
		struct process_stdio *stdio, struct process **ret, struct err *err)
{
	struct process *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_sys(err, -ENOMEM, "a process");
	p->agent = a;
	p->pidfd = p->master = -EBADF;
	p->container = c;
	list_add_tail(&p->node, &a->processes);
	p->id = strdup(c->id);
	r = p->id ? add_streams(p, io, stdio, err) : err_sys(err, -ENOMEM, "a process");
	if (r < 0) {
		process_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

/* The pumps may be gone already: a new host has forgotten them. */
static int attach_terminal(struct process *p, int master, struct err *err)
{
	struct pump *const pumps[] = { p->out, p->in };
	const bool forgotten = !p->out && !p->in;
	int r = 0;

	(void)fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(pumps); i++) {
		const int fd = pumps[i] ? fcntl(master, F_DUPFD_CLOEXEC, 3) : -EBADF;

		if (pumps[i])
			pump_await_slaves(pumps[i]);
		if (pumps[i] && fd < 0)
			r = err_sys(err, -errno, "duplicate the terminal");
		else if (pumps[i])
			r = pump_attach(pumps[i], fd, err);
	}
	/* It may have hung up meanwhile. */
	if (forgotten || p->out || p->in)
		p->master = master;
	else
		agent_close(master);
	return r;
}

int process_made(struct process *p, struct ns_child *child, const pid_t carriers[3],
		 struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(p->carriers); i++)
		p->carriers[i].pid = carriers[i];
	p->pid = child->pid;
	p->pidfd = TAKE_FD(child->pidfd);
	return child->master >= 0 ? attach_terminal(p, TAKE_FD(child->master), err) : 0;
}

/* ---- Calls ---------------------------------------------------------------------------------- */

struct process *process_find(const struct agent *a, const struct container *c, pid_t pid)
{
	struct process *p;

	if (pid == 0)
		return c->init;
	list_for_each(p, &a->processes, node)
	{
		if (p->container == c && p->pid == pid && !p->exited)
			return p;
	}
	return NULL;
}

struct process *process_of_stream(const struct agent *a, uint32_t stream, struct pump **ret_pump)
{
	struct process *p;

	list_for_each(p, &a->processes, node)
	{
		struct pump *const pumps[] = { p->in, p->out, p->err };

		for (size_t i = 0; i < ARRAY_LEN(pumps); i++) {
			if (pumps[i] && pump_stream(pumps[i]) == stream) {
				*ret_pump = pumps[i];
				return p;
			}
		}
	}
	return NULL;
}

void process_room(const struct agent *a)
{
	struct process *p, *next;

	/* A stream that goes on may be at its end, and the last of its process. */
	list_for_each_safe(p, next, &a->processes, node)
	{
		struct pump *const pumps[] = { p->in, p->out, p->err };

		for (size_t i = 0; i < ARRAY_LEN(pumps); i++) {
			if (pumps[i])
				pump_room(pumps[i]);
		}
	}
}

int process_signal(struct process *p, int signal, bool foreground, struct err *err)
{
	pid_t group = 0;
	int r;

	if (p->exited || p->pid == 0)
		return err_set(err, -ESRCH, "process %d has ended", (int)p->pid);
	if (foreground && (p->master < 0 || ioctl(p->master, TIOCGPGRP, &group) < 0 || group <= 0))
		return err_set(err, -ENOTTY, "process %d has no terminal with a foreground group",
			       (int)p->pid);
	r = foreground ? (kill(-group, signal) < 0 ? -errno : 0) : pidfd_kill(p->pidfd, signal);
	return r < 0 ? err_sys(err, r, "signal process %d", (int)p->pid) : 0;
}

int process_resize(struct process *p, uint32_t rows, uint32_t cols, struct err *err)
{
	const int r = p->master < 0 ? -ENOTTY : console_set_size(p->master, rows, cols);

	return r < 0 ? err_sys(err, r, "set the size of process %d's terminal", (int)p->pid) : 0;
}
