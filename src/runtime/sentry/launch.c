/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sentry/launch.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/ids.h"
#include "host/pidfd.h"
#include "ns/ns.h"
#include "ns/stage.h"
#include "runtime/container.h"
#include "runtime/sentry/describe.h"
#include "runtime/sentry/events.h"
#include "runtime/sentry/oom.h"
#include "runtime/sentry/settings.h"
#include "runtime/store.h"
#include "wire/sentry_msg.h"

#define LAUNCH_INIT                                                                                \
	{                                                                                          \
		.sentry_fd = -EBADF, .gofer_fd = -EBADF, .stub_fd = -EBADF, .control = -EBADF,     \
		.stage = { -EBADF, -EBADF }, .report = { -EBADF, -EBADF }, .gofer_userns = -EBADF, \
		.events = -EBADF, .joined = NS_JOINED_INIT, .ids = SANDBOX_IDS_INIT                \
	}

static void launch_done(struct launch *l)
{
	auto_close_p(&l->sentry_fd);
	auto_close_p(&l->gofer_fd);
	auto_close_p(&l->stub_fd);
	auto_close_p(&l->control);
	for (int i = 0; i < 2; i++) {
		auto_close_p(&l->stage[i]);
		auto_close_p(&l->report[i]);
	}
	auto_close_p(&l->events);
	auto_close_p(&l->gofer_userns);
	auto_close_p(&l->ids.held_fd);
	idmap_fds_done(&l->idmaps);
	namespaces_close(&l->joined);
}

void sandbox_done(struct sandbox *s)
{
	auto_close_p(&s->pidfd);
	auto_close_p(&s->report);
	auto_close_p(&s->master);
	*s = (struct sandbox)SANDBOX_INIT;
}

int launch_program(const struct runtime *rt, const char *name, struct err *err)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", rt->libexec ? rt->libexec : "", name);
	fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_sys(err, -errno, "class sentry: program %s", path) : fd;
}

static int open_programs(struct launch *l, struct err *err)
{
	const struct runtime *rt = l->cr->rt;

	l->sentry_fd = launch_program(rt, "caisson-sentry", err);
	if (l->sentry_fd < 0)
		return l->sentry_fd;
	l->gofer_fd = launch_program(rt, "caisson-gofer", err);
	if (l->gofer_fd < 0)
		return l->gofer_fd;
	/* The ptrace platform has none. */
	if (rt->sentry.platform == SENTRY_PLATFORM_PTRACE)
		l->stub_fd = open("/dev/null", O_PATH | O_CLOEXEC);
	else
		l->stub_fd = launch_program(rt, "caisson-stub", err);
	return l->stub_fd < 0 ? l->stub_fd : 0;
}

static int prepare(struct launch *l, struct err *err)
{
	const struct creation *cr = l->cr;
	const struct oci_linux *linux_spec = &cr->spec.linux;
	int r = namespaces_open(linux_spec, &l->joined, err);

	if (r == 0)
		r = describe_check(&cr->spec, err);
	if (r == 0)
		r = sentry_setting_profile(cr->rt, &cr->spec, &l->profile, err);
	if (r == 0)
		r = open_programs(l, err);
	if (r == 0)
		r = events_open(cr->rt, &cr->spec, &l->event_mask, &l->events, err);
	if (r == 0)
		r = idmap_fds_open(&cr->spec, &l->idmaps, err);
	if (r == 0 && linux_spec->ns[OCI_NS_USER].set && !l->unprivileged) {
		l->gofer_userns =
			ids_userns_open(&linux_spec->uid_maps, &linux_spec->gid_maps, err);
		r = l->gofer_userns < 0 ? l->gofer_userns : 0;
	}
	if (r == 0)
		r = sandbox_ids_take(cr->rt, cr->c->root_fd, &l->ids, err);
	if (r == 0) {
		l->control = ns_listen(cr->c->dir_fd, STORE_CONTROL, err);
		r = l->control < 0 ? l->control : 0;
	}
	if (r == 0)
		r = stage_socketpair(l->stage, err);
	if (r == 0)
		r = stage_socketpair(l->report, err);
	return r;
}

/*
 * With --network=host the sandbox stays in our network namespace, or enters the one that
 * config.json names. The child makes its namespaces itself, beside our work for the cgroups, unless
 * we move a network interface there.
 */
static unsigned long long clone_flags(struct launch *l)
{
	const struct oci_linux *linux_spec = &l->cr->spec.linux;
	const struct oci_namespace *net = &linux_spec->ns[OCI_NS_NETWORK];
	unsigned long long flags = CLONE_NEWPID;

	l->unshare = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
	if (l->cr->rt->sentry.network != SENTRY_NETWORK_HOST || (net->set && !net->path))
		l->unshare |= CLONE_NEWNET;
	if (l->unprivileged)
		flags |= CLONE_NEWUSER;
	if (linux_spec->net_devices_len > 0) {
		flags |= (unsigned long long)l->unshare;
		l->unshare = 0;
	}
	return flags;
}

static int spawn(struct launch *l, int *ret_cgroup_fd, struct sandbox *s, struct err *err)
{
	struct cgroup *cg = l->cr->c->cgroup;
	pid_t pid;

	if (cg) {
		*ret_cgroup_fd = cgroup_clone_fd(cg, err);
		if (*ret_cgroup_fd < 0 && *ret_cgroup_fd != -ENOENT)
			return *ret_cgroup_fd;
	}
	pid = stage_clone(clone_flags(l), *ret_cgroup_fd, &s->pidfd);
	if (pid < 0)
		return err_sys(err, pid, "clone the sandbox's first process");
	if (pid == 0) {
		(void)close(l->stage[0]);
		(void)close(l->report[0]);
		stage_sandbox(l);
	}
	auto_close_p(&l->stage[1]);
	auto_close_p(&l->report[1]);
	l->stage[1] = l->report[1] = -EBADF;
	s->pid = pid;
	return 0;
}

static int place(struct launch *l, bool born_in_cgroup, const struct sandbox *s, struct err *err)
{
	const struct oci_linux *linux_spec = &l->cr->spec.linux;
	int r = 0;

	if (l->unprivileged) {
		r = ids_write_maps(s->pid, &linux_spec->uid_maps, &linux_spec->gid_maps, true, err);
		if (r == 0)
			r = stage_tell(l->stage[0], STAGE_MAPPED, err);
	}
	/* The child has described the limits by its own copy: this is for the cgroup. */
	if (l->cr->spec.linux.resources.pids_limit.set &&
	    l->cr->spec.linux.resources.pids_limit.v > 0)
		l->cr->spec.linux.resources.pids_limit.v += l->cr->ops->extra_pids;
	if (r == 0)
		r = creation_on_process(l->cr, s->pid, err);
	if (r == 0)
		r = stage_tell_placed(l->stage[0], l->cr->c->cgroup, born_in_cgroup, err);
	return r;
}

/* Until the staged child has become caisson-sentry, which ends its socket. */
static int serve_stage(struct launch *l, struct sandbox *s, struct err *err)
{
	for (;;) {
		struct stage_msg msg;
		AUTO_CLOSE int fd = -EBADF;
		int r = stage_recv(l->stage[0], &msg, &fd, err);

		if (r <= 0)
			return r;
		switch (msg.head.type) {
		case STAGE_ENVIRONMENT:
			r = creation_on_environment(l->cr, s->pid, err);
			if (r == 0)
				r = stage_tell(l->stage[0], STAGE_ENVIRONED, err);
			if (r < 0)
				return r;
			break;
		case STAGE_TERMINAL:
			auto_close_p(&s->master);
			s->master = TAKE_FD(fd);
			break;
		default:
			return stage_report_error(&msg, err);
		}
	}
}

/* It ended without a word: how. */
static int died(const struct sandbox *s, struct err *err)
{
	siginfo_t info = { 0 };

	if (pidfd_wait(s->pidfd, 1000) < 0 ||
	    waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED | WNOWAIT | WNOHANG) < 0 ||
	    info.si_pid == 0)
		return err_set(err, -EPROTO, "the sentry closed its socket during its start");
	if (info.si_code == CLD_EXITED)
		return err_set(err, -EPROTO, "the sentry ended during its start with status %d",
			       info.si_status);
	return err_set(err, -EPROTO, "the sentry was killed by signal %d during its start",
		       info.si_status);
}

static int await_report(const struct sandbox *s, uint32_t wanted, struct err *err)
{
	struct sentry_report report = { 0 };
	size_t nfds = 0;
	const ssize_t n = fd_recv(s->report, &report, sizeof(report), NULL, &nfds);

	if (n == 0 || n == -ECONNRESET)
		return died(s, err);
	if (n < 0)
		return err_sys(err, (int)n, "read from the sentry");
	if (n != sizeof(report))
		return err_set(err, -EPROTO, "the sentry sent %zd bytes", n);
	report.text[sizeof(report.text) - 1] = '\0';
	if (report.type == SENTRY_REPORT_FAILED)
		return err_set(err, report.code < 0 ? report.code : -EPROTO, "%s", report.text);
	return report.type == wanted
		       ? 0
		       : err_set(err, -EPROTO, "the sentry said %u where %u was expected",
				 report.type, wanted);
}

int launch_sandbox(struct creation *cr, struct sandbox *ret, struct err *err)
{
	AUTO(launch_done) struct launch l = LAUNCH_INIT;
	AUTO_CLOSE int cgroup_fd = -EBADF;
	struct sandbox s = SANDBOX_INIT;
	int r;

	l.cr = cr;
	l.unprivileged = geteuid() != 0;
	l.oom_score = oom_score();
	l.terminal_stays = cr->terminal.wanted && cr->terminal.console_socket < 0;
	r = prepare(&l, err);
	if (r == 0)
		r = spawn(&l, &cgroup_fd, &s, err);
	if (r == 0)
		r = place(&l, cgroup_fd >= 0, &s, err);
	if (r == 0)
		r = serve_stage(&l, &s, err);
	if (r == 0) {
		log_debug("container %s: its root is entered, its sentry runs", cr->c->id);
		s.report = TAKE_FD(l.report[0]);
		r = await_report(&s, SENTRY_REPORT_READY, err);
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

int sandbox_go(struct sandbox *s, char go, struct err *err)
{
	int r = fd_send(s->report, &go, 1, NULL, 0);

	if (r == -EPIPE || r == -ECONNRESET)
		r = died(s, err);
	else if (r < 0)
		r = err_sys(err, r, "write to the sentry");
	else if (go == SENTRY_GO_START)
		r = await_report(s, SENTRY_REPORT_STARTED, err);
	if (r < 0)
		return r;
	auto_close_p(&s->report);
	s->report = -EBADF;
	return 0;
}
