/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/launch.h"

#include <sched.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "host/cgroup.h"
#include "host/ids.h"
#include "host/pidfd.h"
#include "ns/ns.h"
#include "ns/stage.h"
#include "runtime/container.h"
#include "runtime/sandbox/oom.h"
#include "runtime/store.h"
#include "wire/sentry_msg.h"

void sandbox_launch_done(struct sandbox_launch *l)
{
	auto_close_p(&l->control);
	for (int i = 0; i < 2; i++) {
		auto_close_p(&l->stage[i]);
		auto_close_p(&l->report[i]);
	}
	auto_close_p(&l->ids.held_fd);
	namespaces_close(&l->joined);
	*l = (struct sandbox_launch)SANDBOX_LAUNCH_INIT;
}

int sandbox_launch_open(struct sandbox_launch *l, struct creation *cr, struct err *err)
{
	int r = sandbox_ids_take(cr->rt, cr->c->root_fd, &l->ids, err);

	l->cr = cr;
	l->unprivileged = geteuid() != 0;
	l->oom_score = oom_score();
	if (r == 0) {
		l->control = ns_listen(cr->c->dir_fd, STORE_CONTROL, SENTRY_BACKLOG, err);
		r = l->control < 0 ? l->control : 0;
	}
	if (r == 0)
		r = stage_socketpair(l->stage, err);
	if (r == 0)
		r = stage_socketpair(l->report, err);
	return r;
}

bool sandbox_launch_may_again(const struct sandbox_launch *l)
{
	return !sandbox_has_hooks(l) && l->cr->spec.linux.net_devices_len == 0 &&
	       l->cr->terminal.console_socket < 0;
}

int sandbox_launch_again(struct sandbox_launch *l, struct err *err)
{
	int r;

	for (int i = 0; i < 2; i++) {
		auto_close_p(&l->stage[i]);
		auto_close_p(&l->report[i]);
		l->stage[i] = l->report[i] = -EBADF;
	}
	r = stage_socketpair(l->stage, err);
	return r < 0 ? r : stage_socketpair(l->report, err);
}

/*
 * The child makes its namespaces itself, beside our work for the cgroups, unless we move a network
 * interface there.
 */
static unsigned long long clone_flags(struct sandbox_launch *l)
{
	unsigned long long flags = CLONE_NEWPID;

	if (l->unprivileged)
		flags |= CLONE_NEWUSER;
	if (l->cr->spec.linux.net_devices_len > 0) {
		flags |= (unsigned long long)l->unshare;
		l->unshare = 0;
	}
	return flags;
}

static int spawn(struct sandbox_launch *l, sandbox_child_fn *child, void *arg, int *ret_cgroup_fd,
		 struct sandbox *s, struct err *err)
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
		child(arg);
	}
	auto_close_p(&l->stage[1]);
	auto_close_p(&l->report[1]);
	l->stage[1] = l->report[1] = -EBADF;
	s->pid = pid;
	return 0;
}

static int place(struct sandbox_launch *l, bool born_in_cgroup, const struct sandbox *s,
		 struct err *err)
{
	struct oci_linux *linux_spec = &l->cr->spec.linux;
	int r = 0;

	if (l->unprivileged) {
		r = ids_write_maps(s->pid, &linux_spec->uid_maps, &linux_spec->gid_maps, true, err);
		if (r == 0)
			r = stage_tell(l->stage[0], STAGE_MAPPED, err);
	}
	/* The child has described the limits by its own copy: this is for the cgroup. */
	isolation_add_extras(l->cr->ops, l->cr->c, &linux_spec->resources);
	if (l->devices && linux_spec->resources.devices_len) {
		linux_spec->resources.devices = l->devices;
		linux_spec->resources.devices_len = l->devices_len;
	}
	if (r == 0)
		r = creation_on_process(l->cr, s->pid, err);
	if (r == 0)
		r = stage_tell_placed(l->stage[0], l->cr->c->cgroup, born_in_cgroup, err);
	return r;
}

/* Until the staged child has become the supervisor, which ends its socket. */
static int serve_stage(struct sandbox_launch *l, struct sandbox *s, void *arg, struct err *err)
{
	for (;;) {
		struct stage_msg msg;
		AUTO_CLOSE int fd = -EBADF;
		int r = stage_recv(l->stage[0], &msg, &fd, err);

		if (r <= 0)
			return r;
		switch (msg.head.type) {
		case STAGE_JOINED:
			r = l->on_cgroups ? l->on_cgroups(arg, err) : 0;
			if (r < 0)
				return r;
			break;
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

int sandbox_launch_run(struct sandbox_launch *l, sandbox_child_fn *child, void *arg,
		       struct sandbox *ret, struct err *err)
{
	AUTO_CLOSE int cgroup_fd = -EBADF;
	struct sandbox s = SANDBOX_INIT;
	int r = spawn(l, child, arg, &cgroup_fd, &s, err);

	if (r == 0)
		r = place(l, cgroup_fd >= 0, &s, err);
	if (r == 0)
		r = serve_stage(l, &s, arg, err);
	if (r == 0) {
		log_debug("container %s: its root is entered, its supervisor runs", l->cr->c->id);
		s.report = TAKE_FD(l->report[0]);
		r = sandbox_await(&s, SENTRY_REPORT_READY, err);
	}
	if (r < 0) {
		if (s.pidfd >= 0) {
			int status;

			(void)container_kill_process(l->cr->c->cgroup, s.pidfd);
			(void)pidfd_reap(s.pidfd, &status);
		}
		sandbox_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}
