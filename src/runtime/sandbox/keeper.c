/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/keeper.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/pidfd.h"
#include "ns/stage.h"
#include "runtime/container.h"
#include "runtime/sandbox/client.h"
#include "runtime/sandbox/limits.h"
#include "runtime/sandbox/oom.h"
#include "runtime/sandbox/stdio.h"
#include "runtime/sandbox/waiter.h"

struct keeping {
	struct creation *cr;
	int control;   /* owned: connected to the sandbox */
	int sandbox;   /* owned: pidfd of its first process */
	int slave;     /* owned, or -EBADF */
	int stage[2];  /* owned: ns/stage.h; [0] the runtime's */
	int report[2]; /* owned: struct sentry_report, and before it what to ask */
};

static void keeping_done(struct keeping *k)
{
	auto_close_p(&k->control);
	auto_close_p(&k->sandbox);
	auto_close_p(&k->slave);
	for (int i = 0; i < 2; i++) {
		auto_close_p(&k->stage[i]);
		auto_close_p(&k->report[i]);
	}
}

/* ---- In the keeper ---- */

static void say(const struct keeping *k, uint32_t type, const struct err *err)
{
	struct sentry_report report = { .type = type, .code = err ? err->code : 0 };

	if (err)
		(void)snprintf(report.text, sizeof(report.text), "%s", err->msg);
	(void)fd_send(k->report[1], &report, sizeof(report), NULL, 0);
}

/* What the runtime has gathered, then 0, 1, 2 or the terminal. */
static int ask(const struct keeping *k, struct err *err)
{
	struct keeper_ask what = { 0 };
	int fds[KEEPER_FDS + 3];
	size_t len = KEEPER_FDS;
	const ssize_t n = fd_recv(k->report[1], &what, sizeof(what), fds, &len);
	struct client_call call = { .of = k->cr->sandbox, .fds = fds, .fds_len = ARRAY_LEN(fds) };
	int r = 0;

	if (n != sizeof(what) || len != KEEPER_FDS)
		return err_set(err, -EPIPE, "the runtime is gone");
	for (int i = 0; i < 3; i++) {
		const int own = stdio_own(-EBADF, k->slave >= 0 ? k->slave : i, 3);

		if (own < 0)
			return err_sys(err, own, "duplicate descriptor %d of the container", i);
		fds[KEEPER_FDS + i] = own; /* waiter_shed() closes them */
	}
	call.request.type = what.type;
	call.request.value = what.value;
	if (k->cr->ops->carries_streams)
		r = waiter_carry(fds + KEEPER_FDS, &call.request, err);
	return r < 0 ? r : client_join(k->control, &call, err);
}

/* The runtime says what next; without a word it has gone, and nobody wants the container. */
static int pass_gate(const struct keeping *k, struct err *err)
{
	const struct client_call start = { .of = k->cr->sandbox,
					   .request = { .type = SENTRY_START } };
	struct sentry_reply reply;
	char go = 0;
	size_t nfds = 0;

	if (fd_recv(k->report[1], &go, 1, NULL, &nfds) != 1)
		return err_set(err, -EPIPE, "the runtime is gone");
	return go == SENTRY_GO_START ? client_call(k->control, &start, &reply, NULL, NULL, err) : 0;
}

/* Where a container of the pod is looked for by its pid, and what is changed there is not the host.
 */
static int enter_sandbox(const struct keeping *k, struct err *err)
{
	return setns(k->sandbox, CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0
		       ? err_sys(err, -errno, "enter the namespaces of sandbox %s",
				 k->cr->sandbox->id)
		       : 0;
}

static int begin(const struct keeping *k, int *ret_signals, struct err *err)
{
	int r = stage_await_placed(k->stage[1], err);

	if (r == 0)
		r = enter_sandbox(k, err);
	if (r < 0)
		return r;
	say(k, SENTRY_REPORT_PLACED, NULL);
	(void)prctl(PR_SET_NAME, "caisson-wait");
	oom_go_last(oom_score());
	*ret_signals = waiter_take_signals(err);
	if (*ret_signals < 0)
		return *ret_signals;
	if (k->slave >= 0 && (setsid() < 0 || ioctl(k->slave, TIOCSCTTY, 0L) < 0))
		return err_sys(err, -errno, "make the console the controlling terminal");
	return 0;
}

__attribute__((noreturn)) static void keep(struct keeping *k)
{
	int signals = -EBADF;
	struct err err = { 0 };
	int r = begin(k, &signals, &err);

	if (r == 0)
		r = ask(k, &err);
	/* From here on the end of our maker's socket ends us, until it has let us go. */
	if (r == 0 && prctl(PR_SET_PDEATHSIG, k->cr->options->tied ? SIGKILL : 0) < 0)
		r = err_sys(&err, -errno, "prctl PR_SET_PDEATHSIG");
	if (r == 0) {
		int kept[] = { k->control, k->slave, k->report[1], signals };

		r = waiter_shed(kept, ARRAY_LEN(kept), &err);
	}
	if (r < 0) {
		say(k, SENTRY_REPORT_FAILED, &err);
		_exit(255);
	}
	say(k, SENTRY_REPORT_READY, NULL);
	r = pass_gate(k, &err);
	say(k, r < 0 ? SENTRY_REPORT_FAILED : SENTRY_REPORT_STARTED, r < 0 ? &err : NULL);
	if (r < 0)
		_exit(255);
	(void)close(k->report[1]);
	waiter_serve(k->control, k->slave, signals);
}

/* ---- In the runtime ---- */

static int spawn(struct keeping *k, int *ret_cgroup_fd, struct sandbox *s, struct err *err)
{
	struct cgroup *cg = k->cr->c->cgroup;
	pid_t pid;

	if (cg) {
		*ret_cgroup_fd = cgroup_clone_fd(cg, err);
		if (*ret_cgroup_fd < 0 && *ret_cgroup_fd != -ENOENT)
			return *ret_cgroup_fd;
	}
	pid = stage_clone(CLONE_NEWPID, *ret_cgroup_fd, &s->pidfd);
	if (pid < 0)
		return err_sys(err, pid, "clone the container's process");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(k->stage[0]);
		(void)close(k->report[0]);
		keep(k);
	}
	auto_close_p(&k->stage[1]);
	auto_close_p(&k->report[1]);
	k->stage[1] = k->report[1] = -EBADF;
	s->report = TAKE_FD(k->report[0]);
	s->pid = pid;
	return 0;
}

static int place(const struct keeping *k, bool born_in_cgroup, const struct sandbox *s,
		 struct err *err)
{
	AUTO(sandbox_limits_done) struct sandbox_limits limits = { 0 };
	struct creation *cr = k->cr;
	int r = sandbox_limits_keep(cr, &limits, err);

	if (r < 0)
		return r;
	isolation_add_extras(cr->ops, cr->c, &cr->spec.linux.resources);
	r = creation_on_process(cr, s->pid, err);
	sandbox_limits_return(cr, &limits);
	if (r == 0)
		r = stage_tell_placed(k->stage[0], cr->c->cgroup, born_in_cgroup, err);
	if (r == 0)
		r = sandbox_await(s, SENTRY_REPORT_PLACED, err);
	if (r == 0 && (cr->spec.hooks.prestart.len || cr->spec.hooks.create_runtime.len))
		r = creation_on_environment(cr, s->pid, err);
	return r;
}

static int tell(const struct sandbox *s, keeper_gather_fn *gather, void *arg, struct err *err)
{
	struct keeper_ask what = { .fds = { -EBADF, -EBADF, -EBADF } };
	int r = gather(arg, &what, err);

	if (r == 0) {
		r = fd_send(s->report, &what, sizeof(what), what.fds, KEEPER_FDS);
		if (r < 0)
			r = err_sys(err, r, "tell the container's process");
	}
	for (size_t i = 0; i < KEEPER_FDS; i++)
		auto_close_p(&what.fds[i]);
	return r;
}

static int open_all(struct keeping *k, struct sandbox *s, struct err *err)
{
	int r;

	k->control = client_connect_patient(k->cr->sandbox, err);
	if (k->control < 0)
		return err_prefix(err, k->control, "sandbox %s", k->cr->sandbox->id);
	k->sandbox = container_open_init(k->cr->sandbox, err);
	if (k->sandbox < 0)
		return err_prefix(err, k->sandbox, "sandbox %s", k->cr->sandbox->id);
	r = stdio_terminal(&k->cr->terminal, &k->slave, &s->master, err);
	if (r == 0)
		r = stage_socketpair(k->stage, err);
	return r < 0 ? r : stage_socketpair(k->report, err);
}

int keeper_run(struct creation *cr, keeper_gather_fn *gather, void *arg, struct sandbox *ret,
	       struct err *err)
{
	AUTO(keeping_done)
	struct keeping k = { .cr = cr,
			     .control = -EBADF,
			     .sandbox = -EBADF,
			     .slave = -EBADF,
			     .stage = { -EBADF, -EBADF },
			     .report = { -EBADF, -EBADF } };
	AUTO_CLOSE int cgroup_fd = -EBADF;
	struct sandbox s = SANDBOX_INIT;
	int r = open_all(&k, &s, err);

	if (r == 0)
		r = spawn(&k, &cgroup_fd, &s, err);
	if (r == 0)
		r = place(&k, cgroup_fd >= 0, &s, err);
	if (r == 0)
		r = tell(&s, gather, arg, err);
	if (r == 0) {
		log_debug("container %s: sandbox %s is asked for it", cr->c->id, cr->sandbox->id);
		r = sandbox_await(&s, SENTRY_REPORT_READY, err);
	}
	if (r < 0) {
		if (s.pidfd >= 0) {
			int status;

			(void)container_kill_process(cr->c->cgroup, s.pidfd);
			(void)pidfd_reap(s.pidfd, &status);
		}
		sandbox_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}
