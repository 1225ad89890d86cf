/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The staged child: everything between clone3(2) and caisson-init, in the container's namespaces
 * but with the runtime's memory. It runs while the parent makes and enters cgroups, and waits for
 * it only where it must: for the id maps, and before anything that depends on the cgroup.
 *
 * ps shows the stage: caisson:[1:mounts], caisson:[2:init].
 */
#include "ns/child.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>
#include <linux/openat2.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/netdev.h"
#include "host/procfs.h"
#include "ns/stage.h"
#include "ns/start_hooks.h"

#define CONTAINER_ID_MAX 1024 /* container_id_check() of room runtime */

static bool is_new(const struct child *c, enum oci_ns kind)
{
	return c->new_flags & (unsigned int)namespace_flag(kind);
}

static int die_with_parent(struct err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(err, -errno, "prctl PR_SET_PDEATHSIG");
	return 0;
}

/* Root of the user namespace; its maps are written by now. */
static int become_userns_root(const struct child *c, struct err *err)
{
	const int r = namespace_become_root(&c->options->spec->process.user, err);

	/* Changing ids has cleared it. */
	return r < 0 ? r : die_with_parent(err);
}

static int enter_joined(const struct child *c, struct err *err)
{
	static const enum oci_ns order[] = { OCI_NS_IPC,    OCI_NS_UTS,	 OCI_NS_NETWORK,
					     OCI_NS_CGROUP, OCI_NS_TIME, OCI_NS_MOUNT };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(order); i++)
		r = namespace_enter(c->joined, order[i], err);
	return r;
}

static int name_host(const struct oci_spec *spec, struct err *err)
{
	if (spec->hostname && sethostname(spec->hostname, strlen(spec->hostname)) < 0)
		return err_sys(err, -errno, "hostname: sethostname %s", spec->hostname);
	if (spec->domainname && setdomainname(spec->domainname, strlen(spec->domainname)) < 0)
		return err_sys(err, -errno, "domainname: setdomainname %s", spec->domainname);
	return 0;
}

/*
 * The kernel shows each process its own namespaces' values below /proc/sys, so the host's procfs,
 * which no container has touched, serves for the container's sysctls (CVE-2025-52881).
 */
static int write_sysctls(const struct oci_spec *spec, struct err *err)
{
	const struct oci_kvs *sysctl = &spec->linux.sysctl;
	AUTO_CLOSE int proc = -EBADF;
	int r = 0;

	if (sysctl->len == 0)
		return 0;
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0 || procfs_verify_root(proc) < 0)
		return err_set(err, -EXDEV, "linux.sysctl: /proc is not procfs");
	for (size_t i = 0; r == 0 && i < sysctl->len; i++)
		r = procfs_write_sysctl(proc, sysctl->items[i].key, sysctl->items[i].value, err);
	return r;
}

static int setup_namespaces(struct child *c, struct err *err)
{
	const struct oci_spec *spec = c->options->spec;
	int r = die_with_parent(err);

	stage_default_signals();

	if (r == 0 && is_new(c, OCI_NS_USER))
		r = stage_await(c->sock, STAGE_MAPPED, err);
	if (r == 0 && (is_new(c, OCI_NS_USER) || c->joined->fd[OCI_NS_USER] >= 0))
		r = become_userns_root(c, err);
	/*
	 * For children only: this process, with the runtime's power and the host's root, never
	 * appears in a pid namespace whose processes may be allowed to trace.
	 */
	if (r == 0 && c->late_pid)
		r = namespace_enter(c->joined, OCI_NS_PID, err);
	if (r == 0)
		r = enter_joined(c, err);
	if (r == 0 && is_new(c, OCI_NS_TIME))
		r = namespace_new_time(&spec->linux, err);
	if (r == 0 && is_new(c, OCI_NS_NETWORK))
		r = netdev_loopback_up(err);
	if (r == 0)
		r = name_host(spec, err);
	return r;
}

/*
 * process.cwd is made when it is missing, as runc and crun do: component by component on
 * descriptors, and never through a magic link, behind which the host's directories lie. Whatever is
 * left undone here is for chdir(2) to judge.
 */
static int make_cwd(const char *cwd, struct err *err)
{
	const size_t len = strlen(cwd);
	AUTO_FREE char *prefix = strdup(cwd);
	AUTO_CLOSE int dir =
		fd_open_resolve(AT_FDCWD, cwd, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_MAGICLINKS);

	if (!prefix)
		return err_sys(err, -ENOMEM, "process.cwd");
	if (dir != -ENOENT)
		return 0;
	dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t start = 1, end; start < len && dir >= 0; start = end + 1) {
		int next;

		end = start + strcspn(cwd + start, "/");
		if (end == start)
			continue;
		prefix[end] = '\0';
		next = fd_open_resolve(AT_FDCWD, prefix, O_PATH | O_DIRECTORY, 0,
				       RESOLVE_NO_MAGICLINKS);
		if (next == -ENOENT && mkdirat(dir, prefix + start, 0755) == 0)
			next = openat(dir, prefix + start,
				      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		(void)close(dir);
		dir = next;
		if (end < len)
			prefix[end] = '/';
	}
	return 0;
}

/* The parent has placed this process; now what depends on the cgroup may be made. */
static int await_placed(void *arg, struct err *err)
{
	struct child *c = arg;
	int r;

	if (c->placed)
		return 0;
	r = stage_await_placed(c->sock, err);
	if (r < 0)
		return r;
	c->placed = true;
	if (is_new(c, OCI_NS_CGROUP) && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(err, -errno, "make the cgroup namespace");
	return 0;
}

static int setup_root(struct child *c, struct rootfs *rootfs, struct err *err)
{
	const struct ns_create_options *o = c->options;
	int r = rootfs_prepare(rootfs, err);

	if (r == 0)
		r = await_placed(c, err);
	if (r == 0 && o->on_environment) {
		if (stage_send(c->sock, STAGE_ENVIRONMENT, 0, -EBADF) < 0)
			return err_set(err, -EPIPE, "the runtime is gone");
		r = stage_await(c->sock, STAGE_ENVIRONED, err);
	}
	if (r == 0 && o->on_container)
		r = o->on_container(o->arg, getpid(), err);
	if (r == 0)
		r = write_sysctls(o->spec, err);
	if (r == 0)
		r = rootfs_enter(rootfs, err);
	return r;
}

static int run_stages(struct child *c, struct err *err)
{
	const struct ns_create_options *o = c->options;
	const struct oci_spec *spec = o->spec;
	struct rootfs rootfs = ROOTFS_INIT;
	char keyring[CONTAINER_ID_MAX + sizeof("_ses.")];
	struct stage_process process = {
		.process = &spec->process,
		.linux = &spec->linux,
		.seccomp = o->seccomp,
		.terminal = &o->terminal,
		.keyring = o->no_new_keyring ? NULL : keyring,
		.sock = c->sock,
		.init_fd = c->init_fd,
		.gate_fd = o->gate_fd,
		.preserve_fds = o->preserve_fds,
		.fork = c->late_pid,
		.keep_original_groups = o->keep_original_groups,
	};
	AUTO_CLOSE int slave = -EBADF;
	int r;

	(void)prctl(PR_SET_NAME, "caisson:[1:ns]");
	(void)snprintf(keyring, sizeof(keyring), "_ses.%s", o->id);
	rootfs.spec = spec;
	rootfs.bundle = o->bundle;
	rootfs.path = o->rootfs;
	rootfs.cgroup = o->cgroup;
	rootfs.no_pivot = o->no_pivot;
	rootfs.new_userns = is_new(c, OCI_NS_USER) || c->joined->fd[OCI_NS_USER] >= 0;
	rootfs.cgroup_ns = spec->linux.ns[OCI_NS_CGROUP].set;
	rootfs.idmap_fds = c->idmap_fds;
	rootfs.source_fds = c->source_fds;
	rootfs.pidns_fd = c->late_pid ? c->joined->fd[OCI_NS_PID] : -EBADF;
	rootfs.before_cgroup = await_placed;
	rootfs.arg = c;
	r = setup_namespaces(c, err);
	if (r < 0)
		return r;
	log_debug("container %s: namespaces are made", o->id);
	(void)prctl(PR_SET_NAME, "caisson:[2:mnt]");
	r = setup_root(c, &rootfs, err);
	if (r == 0 && o->terminal.wanted) {
		r = stage_open_terminal(&process, &slave, err);
		if (r == 0)
			r = rootfs_console(&rootfs, slave, err);
	}
	if (r == 0)
		r = rootfs_finish(&rootfs, err);
	if (r == 0)
		r = make_cwd(spec->process.cwd, err);
	rootfs_done(&rootfs);
	if (r < 0)
		return r;
	log_debug("container %s: mounts are made, its root is entered", o->id);
	(void)prctl(PR_SET_NAME, "caisson:[3:init]");
	if (o->on_start) {
		/* It closes what is not among the process's own. */
		auto_close_p(&slave);
		slave = -EBADF;
		r = start_hooks_at_gate(c, &process, err);
		if (r < 0)
			return r;
	}
	return stage_become_init(&process, err);
}

void child_main(struct child *c)
{
	struct err err = { 0 };

	(void)run_stages(c, &err);
	stage_fail(c->sock, &err);
}

void child_intermediate(struct child *c, unsigned long long flags)
{
	struct err err = { 0 };
	int r = die_with_parent(&err);
	pid_t pid;

	if (r == 0)
		r = namespace_enter(c->joined, OCI_NS_USER, &err);
	if (r == 0 && c->joined->fd[OCI_NS_USER] >= 0)
		r = become_userns_root(c, &err);
	if (r == 0 && !c->late_pid)
		r = namespace_enter(c->joined, OCI_NS_PID, &err);
	if (r < 0)
		stage_fail(c->sock, &err);
	pid = stage_clone(flags | CLONE_PARENT, -EBADF, NULL);
	if (pid == 0)
		child_main(c);
	if (pid < 0) {
		(void)err_sys(&err, pid, "clone the container's first process");
		stage_fail(c->sock, &err);
	}
	_exit(stage_send(c->sock, STAGE_CLONED, pid, -EBADF) < 0 ? 255 : 0);
}
