/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "base/fd.h"
#include "base/log.h"
#include "host/pidfd.h"
#include "host/seccomp_cache.h"
#include "runtime/container.h"
#include "runtime/exec_process.h"
#include "runtime/foreground.h"
#include "runtime/inherit.h"
#include "runtime/isolation.h"
#include "runtime/store.h"
#include "runtime/terminal.h"

struct exec {
	struct container *c;
	const struct exec_options *options;
	const struct isolation_ops *ops;
	struct exec_process what;
	struct exec_request request;
	struct seccomp_program seccomp;
	int container_pidfd; /* owned */
	struct process process;
	int signals; /* owned */
};

static void exec_done(struct exec *x)
{
	if (x->ops)
		x->ops->process_done(&x->process);
	exec_process_done(&x->what);
	seccomp_program_done(&x->seccomp);
	auto_close_p(&x->request.terminal.console_socket);
	auto_close_p(&x->container_pidfd);
	auto_close_p(&x->signals);
}

static int check_status(const struct container *c, const struct exec_options *options,
			struct err *err)
{
	if (c->status == OCI_STOPPED)
		return err_set(err, -EINVAL, "cannot exec in a stopped container");
	if (c->status == OCI_CREATING)
		return err_set(err, -EINVAL, "cannot exec in a container that is being created");
	if (c->status == OCI_PAUSED && !options->ignore_paused)
		return err_set(
			err, -EINVAL,
			"cannot exec in a paused container (use --ignore-paused to override)");
	return 0;
}

static int compile_seccomp(struct exec *x, struct err *err)
{
	AUTO_CLOSE int cache = -EBADF;
	int r;

	if (!x->what.spec.linux.seccomp.set)
		return 0;
	cache = store_open_cache(x->c->root_fd, true);
	r = seccomp_compile_cached(cache, &x->what.spec, &x->seccomp, err);
	if (r == 0 && x->seccomp.insns)
		x->request.seccomp = &x->seccomp;
	return r;
}

/* Under the lock, so that the container is neither half-made nor going away. */
static int prepare(struct exec *x, struct err *err)
{
	const struct oci_process *process = &x->what.spec.process;
	const unsigned int listen = inherit_listen_fds();
	int r = container_lock(x->c, err);

	if (r == 0)
		r = check_status(x->c, x->options, err);
	if (r == 0)
		r = isolation_ops_get(x->c->isolation, &x->ops, err);
	if (r == 0 && x->options->shell && !x->ops->has_shell)
		r = err_set(err, -ENOTSUP, "a container of class %s has no machine of its own",
			    x->ops->name);
	if (r == 0)
		r = inherit_check(listen, x->options->preserve_fds, err);
	if (r == 0)
		r = exec_process_make(x->c, x->options, listen, &x->what, err);
	if (r == 0)
		r = terminal_check(process, x->options->detach, x->options->console_socket, err);
	if (r == 0)
		r = terminal_prepare(process, x->options->detach, x->options->console_socket,
				     &x->request.terminal, err);
	if (r == 0)
		r = compile_seccomp(x, err);
	if (r < 0)
		return r;
	x->container_pidfd = container_open_init(x->c, err);
	if (x->container_pidfd < 0)
		return x->container_pidfd;
	x->request.spec = &x->what.spec;
	x->request.container_pidfd = x->container_pidfd;
	x->request.preserve_fds = listen + x->options->preserve_fds;
	x->request.cgroups = x->options->cgroups;
	x->request.shell = x->options->shell;
	return 0;
}

static void abandon(struct exec *x)
{
	int status;

	if (x->process.pidfd < 0)
		return;
	(void)pidfd_kill(x->process.pidfd, SIGKILL);
	(void)pidfd_reap(x->process.pidfd, &status);
}

static int begin(struct exec *x, struct err *err)
{
	int r;

	foreground_unblock();
	r = x->ops->exec(x->c, &x->request, &x->process, err);
	if (r < 0)
		return r;
	log_debug("container %s: process %d is made for exec", x->c->id, (int)x->process.pid);
	if (!x->options->detach) {
		x->signals = foreground_signals(err);
		r = x->signals < 0 ? x->signals : 0;
	}
	if (r == 0)
		r = x->ops->open(&x->process, &x->what.spec, x->c, err);
	if (r == 0)
		log_debug("container %s: the program of exec is executed", x->c->id);
	if (r == 0 && x->options->pidfd_socket)
		r = pidfd_send(x->options->pidfd_socket, x->process.pidfd, err);
	if (r == 0 && x->options->pid_file)
		r = pid_file_write(x->options->pid_file, x->process.pid, err);
	if (r < 0)
		abandon(x);
	return r;
}

int container_exec(struct container *c, const struct exec_options *options, int *ret_status,
		   struct err *err)
{
	AUTO(exec_done)
	struct exec x = { .c = c,
			  .options = options,
			  .request = { .terminal = { .console_socket = -EBADF } },
			  .container_pidfd = -EBADF,
			  .process = PROCESS_INIT,
			  .signals = -EBADF };
	struct foreground fg = { .notify = -EBADF };
	int r = prepare(&x, err);

	/*
	 * Not longer: in a paused container (--ignore-paused) the new process stops until somebody
	 * resumes, who needs the lock.
	 */
	container_unlock(c);
	if (r == 0)
		r = begin(&x, err);
	if (r < 0)
		return r;
	*ret_status = 0;
	if (options->ret_pid)
		*options->ret_pid = x.process.pid;
	if (options->detach)
		return 0;
	fg.process = &x.process;
	fg.signals = x.signals;
	return foreground_wait(&fg, ret_status, err);
}
