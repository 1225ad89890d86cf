/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/waiter.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/pidfd.h"
#include "jail/jail.h"
#include "ns/stage.h"
#include "runtime/sandbox/carriers.h"
#include "runtime/sandbox/client.h"
#include "runtime/sandbox/creds.h"
#include "runtime/sandbox/oom.h"
#include "runtime/sandbox/stdio.h"
#include "wire/vmm_msg.h"

#define CARRIERS_MS 500 /* for the last words of a sandbox that is gone */

/* What the waiter works with; it has the runtime's memory at the clone. */
struct wait {
	struct container *c;
	int control; /* connected */
	int gate;    /* its end */
	int description;
	int slave; /* of the terminal, or -EBADF */
	int signals;
	unsigned int preserve_fds;
	bool carries;		 /* isolation_ops.carries_streams */
	struct cgroup_join join; /* what it enters by itself */
};

void waiter_done(struct waiter *w)
{
	auto_close_p(&w->pidfd);
	auto_close_p(&w->gate);
	auto_close_p(&w->master);
	*w = (struct waiter)WAITER_INIT;
}

static void say(const struct wait *w, const struct err *err)
{
	(void)fd_send(w->gate, err, sizeof(*err), NULL, 0);
}

/* Our maker has gone, or does not want the process after all. */
static bool gate_opens(const struct wait *w)
{
	char byte;
	size_t nfds = 0;

	return fd_recv(w->gate, &byte, 1, NULL, &nfds) == 1;
}

static int shed_rights(struct err *err)
{
	int r = creds_become(0, 0, CREDS_ALL, err);

	if (r < 0)
		return r;
	r = jail_no_dump();
	/* Nor keeps it a mount of its maker's busy, if it can. */
	(void)!chdir("/");
	return r < 0 ? err_sys(err, r, "prctl PR_SET_DUMPABLE") : 0;
}

/* A carrier has the rights of who makes it. */
int waiter_carry(int fds[3], struct sentry_request *request, struct err *err)
{
	AUTO(carriers_done) struct carriers carriers = CARRIERS_INIT;
	int r = carriers_open(&carriers, fds, 3, err);

	if (r < 0 || !carriers.carried)
		return r;
	r = shed_rights(err);
	/* It may have gone with them. */
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		r = err_sys(err, -errno, "prctl PR_SET_PDEATHSIG");
	request->value |= carriers.carried;
	if (carriers.carried & VMM_CARRIED(0))
		request->flags |= VMM_INPUT_WAITS;
	return r < 0 ? r : carriers_start(&carriers, err);
}

static int ask(const struct wait *w, struct err *err)
{
	int fds[SENTRY_EXEC_FDS_MAX + 1];
	struct client_call call = { .of = w->c, .request = { .type = SENTRY_EXEC }, .fds = fds };
	struct sentry_reply reply;
	int r = 0;

	fds[call.fds_len++] = w->description;
	for (unsigned int i = 0; i < 3 + w->preserve_fds; i++) {
		const int own = stdio_own(-EBADF, i < 3 && w->slave >= 0 ? w->slave : (int)i, 3);

		if (own < 0)
			return err_sys(err, own, "duplicate descriptor %u of the process", i);
		fds[call.fds_len++] = own; /* shed() closes them */
	}
	if (w->carries)
		r = waiter_carry(fds + 1, &call.request, err);
	return r < 0 ? r : client_call(w->control, &call, &reply, NULL, NULL, err);
}

/* ---- Its life ------------------------------------------------------------------------------- */

/* Whether a carrier is left. */
static bool reap(void)
{
	pid_t pid;

	do
		pid = waitpid(-1, NULL, WNOHANG);
	while (pid > 0);
	return pid == 0;
}

static void send_request(const struct wait *w, uint32_t type, uint32_t value, uint32_t flags)
{
	const struct sentry_request request = {
		.version = SENTRY_MSG_VERSION, .type = type, .value = value, .flags = flags
	};

	(void)fd_send(w->control, &request, sizeof(request), NULL, 0);
}

/* A key of the terminal comes from the kernel and means the foreground group. */
static void pass_signals(const struct wait *w)
{
	struct signalfd_siginfo info[8];
	ssize_t n;

	while ((n = read(w->signals, info, sizeof(info))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(info[0]); i++) {
			const bool key = w->slave >= 0 && info[i].ssi_code == SI_KERNEL;
			struct winsize size = { 0 };

			switch (info[i].ssi_signo) {
			case SIGCHLD:
				(void)reap();
				break;
			case SIGPIPE:
			case SIGURG:
				break;
			case SIGWINCH:
				if (w->slave >= 0 && ioctl(w->slave, TIOCGWINSZ, &size) == 0)
					send_request(w, SENTRY_RESIZE,
						     (uint32_t)size.ws_row << 16 | size.ws_col, 0);
				break;
			default:
				send_request(w, SENTRY_SIGNAL, info[i].ssi_signo,
					     key ? SENTRY_SIGNAL_TTY : 0);
			}
		}
	}
}

/* Replies to what was passed on say nothing that anybody needs. */
static bool has_exited(const struct wait *w, int *ret_code)
{
	char frame[SENTRY_FRAME_MAX];
	struct sentry_reply reply;
	size_t nfds = 0;
	const ssize_t n = fd_recv(w->control, frame, sizeof(frame), NULL, &nfds);

	if (n < (ssize_t)sizeof(reply)) {
		/* The sandbox is gone, and the process with it. */
		*ret_code = 128 + SIGKILL;
		return true;
	}
	memcpy(&reply, frame, sizeof(reply));
	*ret_code = reply.value & 0xff;
	return reply.type == SENTRY_EXITED;
}

static int serve(const struct wait *w)
{
	struct pollfd p[] = { { .fd = w->signals, .events = POLLIN },
			      { .fd = w->control, .events = POLLIN } };
	int code = 128 + SIGKILL;

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return code;
		if (p[0].revents)
			pass_signals(w);
		if (p[1].revents && has_exited(w, &code))
			return code;
	}
}

/*
 * What a sandbox has said before it went is with its readers then, and they have seen the end. One
 * that waits for a pipe or a file ends when it can.
 */
static void await_carriers(const struct wait *w)
{
	const int64_t end = clock_ms() + CARRIERS_MS;
	struct signalfd_siginfo info[8];

	for (int64_t left = CARRIERS_MS; left > 0 && reap(); left = end - clock_ms()) {
		struct pollfd p = { .fd = w->signals, .events = POLLIN };

		(void)poll(&p, 1, (int)left);
		(void)!read(w->signals, info, sizeof(info));
	}
}

void waiter_serve(int control, int slave, int signals)
{
	const struct wait w = { .control = control, .slave = slave, .signals = signals };
	const int code = serve(&w);

	await_carriers(&w);
	_exit(code);
}

int waiter_shed(int *keep, size_t len, struct err *err)
{
	int r = shed_rights(err);

	if (r < 0)
		return r;
	r = fd_keep_only(0, keep, len);
	return r < 0 ? err_sys(err, r, "give up what serving the process does not need") : 0;
}

int waiter_take_signals(struct err *err)
{
	sigset_t all;
	int fd;

	stage_default_signals();
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_sys(err, -errno, "signalfd") : fd;
}

/* From the moment the process runs: nothing but what serving it needs, and the gate to say so. */
static int shed(const struct wait *w, struct err *err)
{
	int keep[] = { w->control, w->slave, w->signals, w->gate };

	return waiter_shed(keep, ARRAY_LEN(keep), err);
}

__attribute__((noreturn)) static void wait_main(struct wait *w)
{
	struct err err = { 0 };
	int r = cgroup_join(&w->join, NULL);

	if (r < 0)
		r = err_sys(&err, r, "enter the container's cgroups");
	(void)prctl(PR_SET_NAME, "caisson-wait");
	oom_go_last(oom_score());
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (r == 0)
		r = w->signals = waiter_take_signals(&err);
	if (r >= 0 && w->slave >= 0 && (setsid() < 0 || ioctl(w->slave, TIOCSCTTY, 0L) < 0))
		r = err_sys(&err, -errno, "make the console the controlling terminal");
	if (r < 0) {
		say(w, &err);
		_exit(255);
	}
	if (!gate_opens(w))
		_exit(255);
	r = ask(w, &err);
	/* From here on we may outlive our maker. */
	if (r == 0 && prctl(PR_SET_PDEATHSIG, 0) < 0)
		r = err_sys(&err, -errno, "prctl PR_SET_PDEATHSIG");
	if (r == 0)
		r = shed(w, &err);
	say(w, &err);
	if (r < 0)
		_exit(255);
	(void)close(w->gate);
	waiter_serve(w->control, w->slave, w->signals);
}

/*
 * Born into the container's cgroups, so that it ends and counts with the container: cgroup2 by the
 * clone, the others by itself (cgroup_join(), cgroup.h); by us where that cannot be.
 */
static int clone_waiter(struct container *c, struct wait *w, struct waiter *ret, struct err *err)
{
	const bool none = !c->cgroup || (c->runtime->rootless && !cgroup_exists(c->cgroup));
	const char *cgroup2 = none ? NULL : cgroup_path(c->cgroup, "");
	AUTO_CLOSE int fd = cgroup2 ? open(cgroup2, O_PATH | O_DIRECTORY | O_CLOEXEC) : -EBADF;
	bool beside = !none && (c->runtime->rootless || (cgroup2 && fd < 0));
	int r = none || beside ? 0 : cgroup_join_open(c->cgroup, true, &w->join, err);

	if (r < 0)
		return r;
	ret->pid = beside ? -EBUSY : stage_clone(0, fd, &ret->pidfd);
	if (ret->pid < 0 && !none) { /* the container has controllers for children of its own */
		beside = true;
		cgroup_join_done(&w->join);
		ret->pid = stage_clone(0, -EBADF, &ret->pidfd);
	}
	if (ret->pid < 0)
		return err_sys(err, ret->pid, "clone the waiter");
	return ret->pid > 0 && beside ? cgroup_enter_beside(c->cgroup, ret->pid, c->pid, err) : 0;
}

int waiter_make(struct container *c, const struct exec_request *request, int description,
		struct waiter *ret, struct err *err)
{
	AUTO(waiter_done) struct waiter waiter = WAITER_INIT;
	AUTO_CLOSE int control = -EBADF;
	AUTO_CLOSE int slave = -EBADF;
	AUTO_CLOSE int theirs = -EBADF;
	struct wait w = { .c = c, .preserve_fds = request->preserve_fds };
	const struct isolation_ops *ops;
	int pair[2];
	int r = isolation_ops_get(c->isolation, &ops, err);

	if (r < 0)
		return r;
	control = client_connect_patient(c, err);
	if (control < 0)
		return control;
	w.carries = ops->carries_streams;
	r = stdio_terminal(&request->terminal, &slave, &waiter.master, err);
	if (r == 0)
		r = stage_socketpair(pair, err);
	if (r < 0)
		return r;
	waiter.gate = pair[0];
	theirs = pair[1];
	w.control = control;
	w.gate = theirs;
	w.description = description;
	w.slave = slave;
	r = clone_waiter(c, &w, &waiter, err);
	if (r == 0 && waiter.pid == 0) {
		/* Its end would never come while we hold it. */
		(void)close(pair[0]);
		wait_main(&w);
	}
	cgroup_join_done(&w.join);
	if (r < 0 && waiter.pid > 0) {
		int status;

		(void)pidfd_kill(waiter.pidfd, SIGKILL);
		(void)pidfd_reap(waiter.pidfd, &status);
	}
	if (r < 0)
		return r;
	*ret = waiter;
	waiter = (struct waiter)WAITER_INIT;
	return 0;
}

int waiter_open(struct waiter *w, struct err *err)
{
	struct err answer = { 0 };
	size_t nfds = 0;
	ssize_t n;
	int r = fd_send(w->gate, "g", 1, NULL, 0);

	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		return err_sys(err, r, "write to the waiter");
	n = fd_recv(w->gate, &answer, sizeof(answer), NULL, &nfds);
	auto_close_p(&w->gate);
	w->gate = -EBADF;
	if (n != sizeof(answer))
		return err_set(err, -EPROTO, "the waiter of the exec died");
	answer.msg[sizeof(answer.msg) - 1] = '\0';
	return answer.code < 0 ? err_set(err, answer.code, "%s", answer.msg) : 0;
}
