/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns_create(): the parent's side of a new container.
 */
#include "ns/ns.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "host/ids.h"
#include "host/lsm.h"
#include "host/pidfd.h"
#include "host/sched.h"
#include "ns/child.h"
#include "ns/idmap.h"
#include "ns/sources.h"
#include "ns/stage.h"

struct create {
	const struct ns_create_options *options;
	struct ns_joined joined;
	struct idmap_fds idmaps;
	struct source_fds sources;
	int sock[2];
	int init_fd;
	bool late_pid; /* struct child */
	int cgroup_fd; /* the cgroup2 directory that the child is born in, or negative */
};

static void create_done(struct create *c)
{
	namespaces_close(&c->joined);
	idmap_fds_done(&c->idmaps);
	source_fds_done(&c->sources);
	auto_close_p(&c->sock[0]);
	auto_close_p(&c->sock[1]);
	auto_close_p(&c->init_fd);
	auto_close_p(&c->cgroup_fd);
}

/* Cgroup and time namespaces are made by the child itself, after it was placed. */
static unsigned long long clone_flags(unsigned int new_flags)
{
	return new_flags & ~((unsigned int)namespace_flag(OCI_NS_CGROUP) |
			     (unsigned int)namespace_flag(OCI_NS_TIME));
}

/* The intermediate process reports the staged child, which is our child by CLONE_PARENT. */
static int adopt(struct create *c, pid_t intermediate, struct ns_child *ret, struct err *err)
{
	struct stage_msg msg;
	int fd = -EBADF;
	int r = stage_recv_from(c->sock[0], ret->pidfd, &msg, &fd, err);

	auto_close_p(&fd);
	while (waitpid(intermediate, NULL, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(err, -EPROTO, "the process that joins namespaces died");
	if (msg.head.type != STAGE_CLONED)
		return stage_report_error(&msg, err);
	ret->pid = msg.head.value;
	auto_close_p(&ret->pidfd);
	ret->pidfd = pidfd_get(ret->pid);
	if (ret->pidfd < 0)
		return err_sys(err, ret->pidfd, "pidfd_open %d", (int)ret->pid);
	return 0;
}

/*
 * A joined pid namespace is entered last, by a fork of caisson-init: its processes may be allowed
 * to trace what they see (CAP_SYS_PTRACE in a pod), and would get at the host through the staged
 * child. Procfs can be told since Linux 6.17 to show a namespace from outside. Where it cannot, or
 * a new user namespace has no power over the pid namespace, the staged child is born there.
 */
static bool can_fork_late(const struct create *c)
{
	const int pidns = c->joined.fd[OCI_NS_PID];
	AUTO_CLOSE int fs = -EBADF;

	/* With startContainer hooks the staged child waits at the gate: it must be the final
	 * process. */
	if (pidns < 0 || c->options->on_start ||
	    namespaces_new(&c->options->spec->linux) & CLONE_NEWUSER)
		return false;
	fs = fsopen("proc", FSOPEN_CLOEXEC);
	return fs >= 0 &&
	       (fsconfig(fs, FSCONFIG_SET_FD, "pidns", NULL, pidns) == 0 || errno == EPERM);
}

static int spawn(struct create *c, struct ns_child *ret, struct err *err)
{
	const struct oci_linux *linux_spec = &c->options->spec->linux;
	struct child child = {
		.options = c->options,
		.joined = &c->joined,
		.new_flags = namespaces_new(linux_spec),
		.idmap_fds = c->idmaps.fds,
		.source_fds = c->sources.fds,
		.init_fd = c->init_fd,
		.sock = c->sock[1],
		.late_pid = c->late_pid,
	};
	const unsigned long long flags = clone_flags(child.new_flags);
	const bool indirect = c->joined.fd[OCI_NS_USER] >= 0 ||
			      (c->joined.fd[OCI_NS_PID] >= 0 && !child.late_pid);
	pid_t pid;

	if (c->options->cgroup) {
		c->cgroup_fd = cgroup_clone_fd(c->options->cgroup, err);
		if (c->cgroup_fd < 0 && c->cgroup_fd != -ENOENT)
			return c->cgroup_fd;
	}
	pid = stage_clone(indirect ? 0 : flags, c->cgroup_fd, &ret->pidfd);
	if (pid < 0)
		return err_sys(err, pid, "clone the container's first process");
	if (pid == 0) {
		(void)close(c->sock[0]);
		if (indirect)
			child_intermediate(&child, flags);
		child_main(&child);
	}
	auto_close_p(&c->sock[1]);
	c->sock[1] = -EBADF;
	if (indirect)
		return adopt(c, pid, ret, err);
	ret->pid = pid;
	return 0;
}

/*
 * A user namespace cannot raise hard limits, so the parent does; the child sets them all, exactly
 * and last, when nothing of the set-up can suffer from them.
 */
static int raise_rlimits(const struct oci_process *process, pid_t pid, struct err *err)
{
	for (size_t i = 0; i < process->rlimits_len; i++) {
		struct oci_rlimit raised = process->rlimits[i];
		struct rlimit now;
		int r;

		if (getrlimit((__rlimit_resource_t)raised.type, &now) < 0 ||
		    raised.hard <= now.rlim_max)
			continue;
		raised.soft = now.rlim_cur;
		r = rlimits_apply(&raised, 1, pid, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What needs the host's privileges and the child's pid, before anything of the container exists. */
static int place(struct create *c, struct ns_child *child, struct err *err)
{
	const struct ns_create_options *o = c->options;
	const struct oci_linux *linux_spec = &o->spec->linux;
	int r = 0;

	if (linux_spec->ns[OCI_NS_USER].set && !linux_spec->ns[OCI_NS_USER].path) {
		r = ids_write_maps(child->pid, &linux_spec->uid_maps, &linux_spec->gid_maps,
				   o->unprivileged, err);
		if (r == 0)
			r = stage_tell(c->sock[0], STAGE_MAPPED, err);
	}
	if (r == 0 && linux_spec->ns[OCI_NS_USER].set)
		r = raise_rlimits(&o->spec->process, child->pid, err);
	if (r == 0 && o->on_namespaces)
		r = o->on_namespaces(o->arg, child->pid, err);
	if (r == 0)
		r = stage_tell_placed(c->sock[0], o->cgroup, c->cgroup_fd >= 0, err);
	return r;
}

/* Serve the child until nothing more is needed of us before the gate. */
static int serve(struct create *c, struct ns_child *child, struct err *err)
{
	const struct ns_create_options *o = c->options;
	bool environment = o->on_environment != NULL;
	bool terminal = o->terminal.wanted && o->terminal.console_socket < 0;
	bool ready = o->gate == NS_GATE_LISTEN;
	bool forked = c->late_pid;

	while (environment || terminal || ready || forked) {
		struct stage_msg msg;
		AUTO_CLOSE int fd = -EBADF;
		int r = forked ? stage_recv_from(c->sock[0], child->pidfd, &msg, &fd, err)
			       : stage_recv(c->sock[0], &msg, &fd, err);

		if (r < 0)
			return r;
		if (r == 0)
			return err_set(err, -EPROTO,
				       "the container's first process died during its set-up");
		switch (msg.head.type) {
		case STAGE_ENVIRONMENT:
			r = o->on_environment ? o->on_environment(o->arg, child->pid, err) : 0;
			if (r == 0)
				r = stage_tell(c->sock[0], STAGE_ENVIRONED, err);
			if (r < 0)
				return r;
			environment = false;
			break;
		case STAGE_TERMINAL:
			auto_close_p(&child->master);
			child->master = TAKE_FD(fd);
			terminal = false;
			break;
		case INIT_REPORT_FORKED:
			r = stage_adopt_forked(child, msg.head.value, err);
			if (r == 0 && o->on_forked)
				r = o->on_forked(o->arg, child->pid, err);
			if (r < 0)
				return r;
			forked = false;
			break;
		case INIT_REPORT_READY:
			ready = false;
			break;
		default:
			return stage_report_error(&msg, err);
		}
	}
	return 0;
}

int ns_create(const struct ns_create_options *options, struct ns_child *ret, struct err *err)
{
	AUTO(create_done)
	struct create c = { .options = options,
			    .joined = NS_JOINED_INIT,
			    .sock = { -EBADF, -EBADF },
			    .init_fd = -EBADF,
			    .cgroup_fd = -EBADF };
	struct ns_child child = NS_CHILD_INIT;
	int r;

	if (!options->spec->linux.ns[OCI_NS_MOUNT].set)
		return err_set(err, -EINVAL,
			       "linux.namespaces: a container needs a mount namespace");
	if (options->spec->process.args.len == 0)
		return err_set(err, -EINVAL, "process.args must not be empty");
	r = lsm_check(&options->spec->process, &options->spec->linux, err);
	if (r == 0)
		r = namespaces_open(&options->spec->linux, &c.joined, err);
	if (r == 0)
		r = idmap_fds_open(options->spec, &c.idmaps, err);
	if (r == 0 && options->spec->linux.ns[OCI_NS_USER].set && !options->unprivileged)
		r = source_fds_open(options->spec, options->bundle, &c.idmaps, &c.sources, err);
	if (r == 0)
		r = stage_socketpair(c.sock, err);
	if (r < 0)
		return r;
	c.late_pid = can_fork_late(&c);
	c.init_fd = stage_init_image(err);
	if (c.init_fd < 0)
		return c.init_fd;
	r = spawn(&c, &child, err);
	if (r == 0)
		r = place(&c, &child, err);
	if (r == 0)
		r = serve(&c, &child, err);
	if (r < 0) {
		stage_abandon(&child);
		return r;
	}
	child.report = TAKE_FD(c.sock[0]);
	*ret = child;
	return 0;
}
