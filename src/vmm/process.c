/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "vmm/channel.h"
#include "vmm/container.h"
#include "vmm/streams.h"
#include "vmm/vm.h"
#include "wire/mux.h"
#include "wire/pump.h"

#define DRAIN_MS 2000 /* for a slow reader of a terminal whose processes are gone */

#define PROCESS_OUT 1u
#define PROCESS_ERR 2u

static struct pump **pump_of(struct process *p, uint32_t stream)
{
	struct pump **const all[] = { &p->in, &p->out, &p->err };

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (*all[i] && pump_stream(*all[i]) == stream)
			return all[i];
	}
	return NULL;
}

static uint32_t bit_of(const struct process *p, struct pump *const *pump)
{
	return pump == &p->out ? PROCESS_OUT : pump == &p->err ? PROCESS_ERR : 0;
}

static void free_pump(struct pump **pump)
{
	if (!*pump)
		return;
	stream_leave(pump_stream(*pump));
	pump_free(*pump);
	*pump = NULL;
}

/* ---- The end ---- */

void process_free(struct process *p)
{
	struct container *c = p ? p->container : NULL;

	if (!p)
		return;
	list_del(&p->node);
	if (p->container->init == p)
		p->container->init = NULL;
	loop_remove(p->drain);
	free_pump(&p->in);
	free_pump(&p->out);
	free_pump(&p->err);
	free(p);
	container_let_go(c);
}

static void end_if_over(struct process *p)
{
	process_end_fn *fn = p->fn;
	void *arg = p->arg;
	const int code = p->code;

	if (!p->exited || p->out || p->err)
		return;
	/* The container's record may go with it. */
	if (fn)
		fn(arg, code);
	process_free(p);
}

static void on_pump_done(void *arg, struct pump *pump)
{
	struct process *p = arg;
	struct pump **own = pump_of(p, pump_stream(pump));

	/* Its reader is gone: what else the agent says there is thrown away. */
	if (own)
		p->waits_for &= ~bit_of(p, own);
	if (own)
		free_pump(own);
	end_if_over(p);
}

static void on_stream_end(void *arg, struct pump **pump, int error)
{
	struct process *p = arg;

	p->waits_for &= ~bit_of(p, pump);
	pump_end(*pump, error);
}

static void on_drain(void *arg)
{
	struct process *p = arg;

	free_pump(&p->out);
	end_if_over(p);
}

/* A pipe's reader has all the time: the process would have waited for him as well. */
static void await_terminal(struct process *p)
{
	if (!p->terminal || !p->out)
		return;
	if (loop_add_timer(p->vm->loop, DRAIN_MS, on_drain, p, &p->drain) < 0)
		free_pump(&p->out);
}

int process_on_exited(struct vm *vm, const struct agent_exited *exited, struct err *err)
{
	struct process *p = process_find(vm, exited->pid);

	if (!p || p->exited || !str_eq(exited->id, p->container->id))
		return err_set(err, -EPROTO, "the agent tells the end of process %d, which is none",
			       exited->pid);
	if (p->waits_for)
		return err_set(err, -EPROTO,
			       "the agent tells the end of process %d before that of its output",
			       exited->pid);
	p->exited = true;
	p->code = exited->code & 0xff;
	log_debug("container %s: process %d has ended: %d", exited->id, p->pid, p->code);
	free_pump(&p->in);
	if (p->kill) {
		process_free(p);
		return 0;
	}
	await_terminal(p);
	end_if_over(p);
	return 0;
}

/* ---- The beginning ---- */

static bool is_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}

struct wanted {
	int fd; /* owned */
	enum pump_direction direction;
	bool carried; /* ... out */
	struct pump **pump;
	uint32_t *stream;
};

static int open_stream(struct process *p, struct wanted *w, struct err *err)
{
	AUTO_CLOSE int fd = TAKE_FD(w->fd);
	uint32_t stream;
	int r;

	*w->stream = 0;
	if (fd < 0 || is_null(fd))
		return 0;
	r = stream_take(w->pump, on_stream_end, p, &stream);
	if (r < 0)
		return err_set(err, r, "%u streams are open", AGENT_STREAMS_MAX);
	r = pump_new(p->vm->loop, channel_mux(p->vm->channel), stream, TAKE_FD(fd), w->direction,
		     on_pump_done, p, w->pump, err);
	if (r < 0) {
		stream_leave(stream);
		return r;
	}
	if (w->carried)
		pump_await_carrier(*w->pump);
	*w->stream = stream;
	return 0;
}

static int open_streams(struct process *p, const struct process_stdio *stdio, struct agent_io *io,
			struct err *err)
{
	const uint32_t carried = stdio->carried;
	struct wanted all[] = {
		{ stdio->fd[0], PUMP_IN, false, &p->in, &io->in },
		{ stdio->fd[1], PUMP_OUT, carried & VMM_CARRIED(1), &p->out, &io->out },
		{ stdio->fd[2], PUMP_OUT, carried & VMM_CARRIED(2), &p->err, &io->err },
	};
	int r = 0;

	if (io->terminal) {
		auto_close_p(&all[1].fd);
		all[1] = (struct wanted){ TAKE_FD(all[0].fd), PUMP_BOTH, false, &p->out, &io->out };
	}
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (r == 0 && !(io->terminal && i == 2))
			r = open_stream(p, &all[i], err);
		auto_close_p(&all[i].fd);
	}
	if (r == 0 && io->terminal && !p->out)
		r = err_set(err, -EBADF, "the process's terminal is not open");
	if (io->terminal) {
		io->in = io->out;
		io->err = 0;
	}
	return r;
}

int process_new(struct container *c, const struct process_stdio *stdio, struct agent_io *io,
		struct process **ret, struct err *err)
{
	struct process *p = calloc(1, sizeof(*p));
	uint32_t rows, cols;
	int r;

	if (!p) {
		for (int i = 0; i < 3; i++) {
			if (stdio->fd[i] >= 0)
				(void)close(stdio->fd[i]);
		}
		return err_sys(err, -ENOMEM, "make a process");
	}
	p->vm = c->vm;
	p->container = c;
	p->terminal = io->terminal != 0;
	list_add_tail(&p->node, &c->vm->processes);
	r = open_streams(p, stdio, io, err);
	if (r < 0) {
		process_free(p);
		return r;
	}
	if (process_terminal_size(p, &rows, &cols) == 0 && rows && cols) {
		io->rows = rows;
		io->cols = cols;
	}
	p->input_waits = p->in && stdio->carried & VMM_CARRIED(0) && stdio->input_waits;
	p->waits_for = (p->out ? PROCESS_OUT : 0) | (p->err ? PROCESS_ERR : 0);
	*ret = p;
	return 0;
}

/* ---- What is asked of one ---- */

struct process *process_find(const struct vm *vm, int32_t pid)
{
	struct process *p;

	list_for_each(p, &vm->processes, node)
	{
		if (p->pid == pid && pid > 0 && !p->exited)
			return p;
	}
	return NULL;
}

static void ask_kill(struct process *p)
{
	const struct agent_signal request = { .id = p->container->id,
					      .pid = p->pid,
					      .signal = SIGKILL };
	const struct channel_call call = { .call = AGENT_SIGNAL, .request = &request };
	struct err err = { 0 };

	if (!channel_has_room(p->vm->channel))
		return; /* process_go_on() */
	if (p->pid == 0)
		p->killed = channel_cancel(p->vm->channel, p);
	else if (channel_ask(p->vm->channel, &call, &err) < 0)
		log_warning("container %s: kill process %d: %s", p->container->id, p->pid, err.msg);
	else
		p->killed = true;
}

void process_go_on(struct vm *vm)
{
	struct process *p;

	list_for_each(p, &vm->processes, node)
	{
		if (p->kill && !p->killed && !p->exited)
			ask_kill(p);
	}
}

int process_set_pid(struct process *p, int32_t pid, struct err *err)
{
	if (pid <= 0 || process_find(p->vm, pid))
		return err_set(err, -EPROTO, "the agent calls a new process %d", pid);
	p->pid = pid;
	/* It was faster than the CANCEL. */
	p->killed = false;
	if (p->kill)
		ask_kill(p);
	return 0;
}

void process_open_input(struct process *p)
{
	if (p && p->in && p->input_waits && !p->kill)
		(void)!write(pump_fd(p->in), "", 1);
}

void process_finish(struct process *p)
{
	if (p->out)
		pump_finish(p->out, PROCESS_FINISH_MS / 2);
	if (p->err)
		pump_finish(p->err, PROCESS_FINISH_MS / 2);
}

void process_abandon(struct process *p)
{
	p->fn = NULL;
	p->arg = NULL;
	if (p->exited) {
		process_free(p);
		return;
	}
	if (p->kill)
		return;
	p->kill = true;
	ask_kill(p);
}

int process_terminal_size(const struct process *p, uint32_t *ret_rows, uint32_t *ret_cols)
{
	struct winsize size;

	if (!p->terminal || !p->out)
		return -ENOTTY;
	if (ioctl(pump_fd(p->out), TIOCGWINSZ, &size) < 0)
		return -errno;
	*ret_rows = size.ws_row;
	*ret_cols = size.ws_col;
	return 0;
}
