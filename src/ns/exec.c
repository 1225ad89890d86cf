/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns_exec(): a process in a running container.
 *
 * A child of ours enters the container's namespaces, the pid namespace only for its own children.
 * It becomes caisson-init there, which takes on the container's credentials before it forks into
 * the pid namespace (INIT_FORK): what the container's processes can see, signal and trace has never
 * more power than they have, and its /proc/PID/exe is a sealed copy of caisson-init.
 */
#include "ns/ns.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "host/lsm.h"
#include "host/pidfd.h"
#include "host/sched.h"
#include "ns/namespaces.h"
#include "ns/stage.h"

static const char *const ns_files[OCI_NS_MAX] = {
	[OCI_NS_USER] = "user",	    [OCI_NS_MOUNT] = "mnt", [OCI_NS_PID] = "pid",
	[OCI_NS_NETWORK] = "net",   [OCI_NS_IPC] = "ipc",   [OCI_NS_UTS] = "uts",
	[OCI_NS_CGROUP] = "cgroup", [OCI_NS_TIME] = "time",
};

struct exec {
	const struct ns_exec_options *options;
	unsigned int flags; /* CLONE_NEW* in which the container differs from us */
	int sock[2];
	int init_fd;
	bool cloned_into; /* born in the container's cgroup2 directory */
};

static void exec_done(struct exec *e)
{
	auto_close_p(&e->sock[0]);
	auto_close_p(&e->sock[1]);
	auto_close_p(&e->init_fd);
}

/*
 * Joining one's own user namespace is an error and joining others is wasted, so compare. The
 * container's pid is verified by the caller. While the pidfd says that its process lives, the
 * number was nobody else's: otherwise a successor could make the flags empty and the new process
 * would stay on the host.
 */
static int find_namespaces(struct exec *e, struct err *err)
{
	for (enum oci_ns kind = 0; kind < OCI_NS_MAX; kind++) {
		char path[64];
		struct stat ours, theirs;

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", ns_files[kind]);
		if (stat(path, &ours) < 0) {
			if (errno == ENOENT)
				continue; /* a kernel without this kind */
			return err_sys(err, -errno, "stat %s", path);
		}
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)e->options->container_pid,
			       ns_files[kind]);
		if (stat(path, &theirs) < 0)
			return err_sys(err, -errno, "look at the container's %s namespace",
				       oci_ns_name(kind));
		if (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev)
			e->flags |= (unsigned int)namespace_flag(kind);
	}
	if (pidfd_wait(e->options->container_pidfd, 0) != -ETIMEDOUT)
		return err_set(err, -ESRCH, "the container has ended");
	return 0;
}

static int enter_container(const struct exec *e, struct err *err)
{
	const bool userns = e->flags & CLONE_NEWUSER;
	int r;

	if (e->flags && setns(e->options->container_pidfd, (int)e->flags) < 0)
		return err_sys(err, -errno, "join the container's namespaces");
	if (!userns)
		return 0;
	r = namespace_become_root(&e->options->spec->process.user, err);
	if (r < 0)
		return r;
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? err_sys(err, -errno, "prctl") : 0;
}

static int run_exec_stages(struct exec *e, struct err *err)
{
	const struct ns_exec_options *o = e->options;
	const struct stage_process process = {
		.process = &o->spec->process,
		.linux = &o->spec->linux,
		.seccomp = o->seccomp,
		.terminal = &o->terminal,
		.sock = e->sock[1],
		.init_fd = e->init_fd,
		.gate_fd = -EBADF,
		.preserve_fds = o->preserve_fds,
		.fork = e->flags & CLONE_NEWPID,
		.is_exec = true,
	};
	AUTO_CLOSE int slave = -EBADF;
	int r;

	(void)prctl(PR_SET_NAME, "caisson:[exec]");
	stage_default_signals();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(err, -errno, "prctl PR_SET_PDEATHSIG");
	r = stage_await_placed(e->sock[1], err);
	if (r == 0)
		r = enter_container(e, err);
	if (r == 0 && o->terminal.wanted)
		r = stage_open_terminal(&process, &slave, err);
	if (r < 0)
		return r;
	return stage_become_init(&process, err);
}

/*
 * Into the container's cgroup: born in its cgroup2 directory where that works, the rest by itself.
 * Where cgroup2 refuses, because the container distributes controllers to children, beside its
 * init.
 */
static int clone_exec(struct exec *e, struct ns_child *child, struct err *err)
{
	const struct cgroup *cg = e->options->cgroup;
	const char *cgroup2 = cg ? cgroup_path(cg, "") : NULL;
	AUTO_CLOSE int fd = cgroup2 ? open(cgroup2, O_PATH | O_DIRECTORY | O_CLOEXEC) : -EBADF;

	if (fd >= 0)
		child->pid = stage_clone(0, fd, &child->pidfd);
	e->cloned_into = fd >= 0 && child->pid >= 0;
	if (!e->cloned_into)
		child->pid = stage_clone(0, -EBADF, &child->pidfd);
	if (child->pid < 0)
		return err_sys(err, child->pid, "clone");
	return 0;
}

static int place_exec(struct exec *e, pid_t pid, struct err *err)
{
	const struct ns_exec_options *o = e->options;
	const bool beside = o->cgroup && cgroup_path(o->cgroup, "") && !e->cloned_into;
	int r = affinity_apply(pid, o->spec->process.exec_cpu_affinity_initial, err);

	if (r == 0 && beside)
		r = cgroup_enter_beside(o->cgroup, pid, o->container_pid, err);
	if (r == 0 && o->on_process)
		r = o->on_process(o->arg, pid, err);
	if (r == 0)
		r = stage_tell_placed(e->sock[0], beside ? NULL : o->cgroup, true, err);
	return r;
}

static int serve_exec(struct exec *e, struct ns_child *child, struct err *err)
{
	const struct ns_terminal *t = &e->options->terminal;
	bool terminal = t->wanted && t->console_socket < 0;
	bool forked = e->flags & CLONE_NEWPID;

	while (terminal || forked) {
		struct stage_msg msg;
		AUTO_CLOSE int fd = -EBADF;
		int r = stage_recv_from(e->sock[0], child->pidfd, &msg, &fd, err);

		if (r < 0)
			return r;
		if (r == 0)
			return err_set(err, -EPROTO, "the process died during its set-up");
		switch (msg.head.type) {
		case STAGE_TERMINAL:
			auto_close_p(&child->master);
			child->master = TAKE_FD(fd);
			terminal = false;
			break;
		case INIT_REPORT_FORKED:
			r = stage_adopt_forked(child, msg.head.value, err);
			if (r < 0)
				return r;
			forked = false;
			break;
		default:
			return stage_report_error(&msg, err);
		}
	}
	return 0;
}

int ns_exec(const struct ns_exec_options *options, struct ns_child *ret, struct err *err)
{
	AUTO(exec_done)
	struct exec e = { .options = options, .sock = { -EBADF, -EBADF }, .init_fd = -EBADF };
	struct ns_child child = NS_CHILD_INIT;
	int r;

	if (options->spec->process.args.len == 0)
		return err_set(err, -EINVAL, "process.args must not be empty");
	r = lsm_check(&options->spec->process, NULL, err);
	if (r == 0)
		r = find_namespaces(&e, err);
	if (r == 0)
		r = stage_socketpair(e.sock, err);
	if (r < 0)
		return r;
	e.init_fd = stage_init_image(err);
	if (e.init_fd < 0)
		return e.init_fd;
	r = clone_exec(&e, &child, err);
	if (r < 0)
		return r;
	if (child.pid == 0) {
		struct err failure = { 0 };

		(void)close(e.sock[0]);
		(void)run_exec_stages(&e, &failure);
		stage_fail(e.sock[1], &failure);
	}
	auto_close_p(&e.sock[1]);
	e.sock[1] = -EBADF;
	r = place_exec(&e, child.pid, err);
	if (r == 0)
		r = serve_exec(&e, &child, err);
	if (r < 0) {
		stage_abandon(&child);
		return r;
	}
	child.report = TAKE_FD(e.sock[0]);
	*ret = child;
	return 0;
}
