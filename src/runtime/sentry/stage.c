/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The staged child of class sentry. ps shows the stage: caisson:[1:sandbox], caisson:[2:files],
 * then caisson-sentry and caisson-gofer.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "host/cgroup.h"
#include "host/console.h"
#include "host/netdev.h"
#include "host/procfs.h"
#include "jail/jail.h"
#include "ns/mount_fs.h"
#include "ns/stage.h"
#include "runtime/sandbox/creds.h"
#include "runtime/sandbox/oom.h"
#include "runtime/sandbox/stdio.h"
#include "runtime/sentry/describe.h"
#include "runtime/sentry/launch.h"
#include "runtime/sentry/roots.h"
#include "runtime/sentry/zygote.h"
#include "wire/gofer_msg.h"
#include "wire/sentry_msg.h"

#define ROOT_WORD_MAX 40 /* "12345,ro,xattr,connect,bind", "12345,12345" */

/* What becomes caisson-sentry's descriptors, in the order of enum sentry_fd from 3 on. */
struct sources {
	int fd[SENTRY_FD_STDIO];
	int slave; /* owned: the terminal, or -EBADF */
	int null;  /* owned */
	int proc;  /* owned: the host's /proc */
};

/* Its kernel runs elsewhere: here is what it has on the host. */
static bool is_member(const struct launch *l)
{
	return l->sandbox >= 0;
}

/*
 * In a pod's network namespace, where nobody else is, low ports are for everybody: the sentry has
 * no capability there, and judges by those of its processes. A host that does not let us write
 * keeps them to itself.
 */
static void free_low_ports(const struct launch *l, int proc)
{
	struct err err;

	if (procfs_write_sysctl(proc, "net.ipv4.ip_unprivileged_port_start", "0", &err) < 0)
		log_warning("container %s: it gets no ports below those of everybody: %s",
			    l->box.cr->c->id, err.msg);
}

/* The interfaces of the host's kernel, where they are the container's. */
static int setup_network(struct launch *l, int proc, struct err *err)
{
	const struct oci_namespace *net = &l->box.cr->spec.linux.ns[OCI_NS_NETWORK];
	const bool host = l->network != SENTRY_NETWORK_NONE;
	const bool made = !host || (net->set && !net->path);
	int r = host ? namespace_enter(&l->box.joined, OCI_NS_NETWORK, err) : 0;

	if (r == 0 && made && (host || sandbox_has_hooks(&l->box)))
		r = netdev_loopback_up(err);
	if (r == 0 && l->network == SENTRY_NETWORK_POD)
		free_low_ports(l, proc);
	return r;
}

/*
 * A cookie of its own, which every process of the sandbox inherits: no thread of a core runs
 * anybody else meanwhile (prctl(2), PR_SCHED_CORE). A host without such threads has nothing to do.
 */
static int isolate_cores(const struct launch *l, struct err *err)
{
	if (!l->box.cr->rt->sentry.core_scheduling ||
	    prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PR_SCHED_CORE_SCOPE_THREAD_GROUP, 0) ==
		    0 ||
	    errno == ENODEV)
		return 0;
	return errno == EINVAL ? err_set(err, -ENOTSUP,
					 "--cpu-isolation=core: the host's kernel has no core "
					 "scheduling (CONFIG_SCHED_CORE)")
			       : err_sys(err, -errno, "--cpu-isolation=core");
}

static int setup_namespaces(struct launch *l, int proc, struct err *err)
{
	const struct oci_namespace *time = &l->box.cr->spec.linux.ns[OCI_NS_TIME];
	int r = sandbox_stage_begin(&l->box, err);

	if (is_member(l) && r == 0 && mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		r = err_sys(err, -errno, "propagation of /");
	if (is_member(l))
		return r;
	if (r == 0)
		r = setup_network(l, proc, err);
	/* Its names are what the container starts with. */
	if (r == 0)
		r = namespace_enter(&l->box.joined, OCI_NS_UTS, err);
	/* Sentry and stubs alike: what the clocks say inside is the host's kernel's affair. */
	if (r == 0 && time->set && !time->path)
		r = namespace_new_time(&l->box.cr->spec.linux, err);
	if (r == 0)
		r = namespace_enter(&l->box.joined, OCI_NS_TIME, err);
	if (r == 0 && mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		r = err_sys(err, -errno, "propagation of /");
	return r;
}

/* A procfs of our pid namespace, for the start of the sentry alone. */
static int open_proc(struct err *err)
{
	const struct mount_fs fs = { .type = "proc", .attr = MOUNT_ATTR_RDONLY };
	struct err why;
	int fd = -EBADF;
	int r = mount_fs_create(&fs, &fd, &why);

	/* Where the host's own /proc is not whole, the kernel gives no second one. */
	if (r < 0)
		fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, -errno, "open /proc") : fd;
}

static int keep_over_exec(int fd)
{
	return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
}

/* The links of /proc/self/fd; as a mount of its own where that is allowed, so that nothing of /proc
 * lies around it. */
static int open_links(int proc)
{
	const int fd = open_tree(proc, "self/fd", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	return fd >= 0 ? fd : openat(proc, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* In the gofer's process. Returns on failure only. */
static int become_gofer(const struct launch *l, int sock, const struct sources *s,
			const struct roots *roots, struct err *err)
{
	char words[GOFER_ROOTS_MAX + 1][ROOT_WORD_MAX];
	char name[] = "caisson-gofer";
	char *argv[GOFER_ROOTS_MAX + 3] = { name, words[0] };
	char *const envp[] = { NULL };
	const int log = log_fd();
	AUTO_CLOSE int links = open_links(s->fd[SENTRY_FD_PROC]);
	int r = links < 0 ? -errno : keep_over_exec(links);

	if (r == 0)
		r = keep_over_exec(sock);
	(void)snprintf(words[0], ROOT_WORD_MAX, "%d,%d", sock, links);
	for (size_t i = 0; r == 0 && i < roots->len; i++) {
		const struct root *root = &roots->items[i];

		(void)snprintf(words[i + 1], ROOT_WORD_MAX, "%d%s%s%s%s", root->fd,
			       root->flags & GOFER_ROOT_RO ? ",ro" : "",
			       root->flags & GOFER_ROOT_XATTR ? ",xattr" : "",
			       root->flags & GOFER_ROOT_CONNECT ? ",connect" : "",
			       root->flags & GOFER_ROOT_BIND ? ",bind" : "");
		argv[i + 2] = words[i + 1];
		r = keep_over_exec(root->fd);
	}
	if (r < 0 || dup2(s->null, 0) < 0 || dup2(s->null, 1) < 0 ||
	    dup2(log >= 0 ? log : s->null, 2) < 0)
		return err_sys(err, r < 0 ? r : -errno, "lay out the gofer's descriptors");
	r = sandbox_raise_files(err);
	if (r < 0)
		return r;
	if (l->gofer_userns >= 0) {
		if (setns(l->gofer_userns, CLONE_NEWUSER) < 0)
			return err_sys(err, -errno, "enter the gofer's user namespace");
		r = namespace_become_root(&l->box.cr->spec.process.user, err);
		if (r < 0)
			return r;
	}
	/* Who enters a user namespace has everything there. */
	r = creds_become(l->gofer_userns >= 0 ? 0 : l->box.ids.files, creds_gofer_caps(),
			 l->gofer_userns >= 0 ? CREDS_ALL : creds_gofer_caps(), err);
	if (r == 0)
		r = sandbox_die_with_parent(err);
	if (r < 0)
		return r;
	(void)syscall(SYS_execveat, l->gofer_fd, "", argv, envp, AT_EMPTY_PATH);
	return err_sys(err, -errno, "exec caisson-gofer");
}

/*
 * A network namespace costs half a millisecond. The sandbox's is as good for the gofer as another,
 * as long as nobody else puts interfaces there.
 */
static bool gofer_needs_network(const struct launch *l)
{
	return !is_member(l) && (l->network != SENTRY_NETWORK_NONE || sandbox_has_hooks(&l->box));
}

/* Of the mount namespace that all of the sandbox share. */
static int leave_old_root(struct err *err)
{
	const int r = jail_leave_old_root();

	return r < 0 ? err_sys(err, r, "leave the host's root directory") : 0;
}

/*
 * s->fd[SENTRY_FD_GOFER]: the sentry's end. That the old root goes takes a grace period of RCU: the
 * gofer waits for it, and nobody is served before.
 */
static int start_gofer(const struct launch *l, const struct roots *roots, bool old,
		       struct sources *s, struct err *err)
{
	struct err failure = { 0 };
	int pair[2];
	pid_t pid;
	int r = stage_socketpair(pair, err);

	if (r < 0)
		return r;
	pid = stage_clone(gofer_needs_network(l) ? CLONE_NEWNET : 0, -EBADF, NULL);
	if (pid == 0) {
		if (!old || leave_old_root(&failure) == 0)
			(void)become_gofer(l, pair[1], s, roots, &failure);
		stage_fail(l->box.stage[1], &failure);
	}
	(void)close(pair[1]);
	if (pid < 0) {
		(void)close(pair[0]);
		return err_sys(err, pid, "clone the gofer");
	}
	s->fd[SENTRY_FD_GOFER] = pair[0];
	return 0;
}

/*
 * enum sentry_fd. The sources are lifted above all targets before any is overwritten; the program
 * itself ends up highest.
 */
static int lay_out(const struct launch *l, const struct sources *s, int *ret_image, struct err *err)
{
	const int guest = 3 + (int)l->box.cr->preserve_fds;
	const int end = SENTRY_FD_STDIO + guest;
	int lifted[SENTRY_FD_STDIO];
	int r = 0;

	*ret_image = fcntl(l->sentry_fd, F_DUPFD_CLOEXEC, end);
	for (int i = 0; i < SENTRY_FD_STDIO; i++) {
		lifted[i] = fcntl(i < 3 ? s->null : s->fd[i], F_DUPFD_CLOEXEC, end);
		if (lifted[i] < 0)
			r = -errno;
	}
	if (r < 0 || *ret_image < 0)
		return err_sys(err, r < 0 ? r : -errno, "duplicate descriptors above %d", end);
	/* From the last on: each source is below its target. What is not open stays so. */
	for (int i = guest - 1; i >= 0; i--) {
		AUTO_CLOSE int own = stdio_own(lifted[SENTRY_FD_PROC],
					       i < 3 && s->slave >= 0 ? s->slave : i, end);

		if (own == -EBADF)
			(void)close(SENTRY_FD_STDIO + i);
		else if (own < 0 || dup2(own, SENTRY_FD_STDIO + i) < 0)
			return err_sys(err, own < 0 ? own : -errno,
				       "duplicate descriptor %d of the container", i);
	}
	for (int i = 0; i < SENTRY_FD_STDIO; i++) {
		if (dup2(lifted[i], i) < 0)
			return err_sys(err, -errno, "duplicate a descriptor to %d", i);
	}
	r = fd_close_range((unsigned int)end, ~0u, CLOSE_RANGE_CLOEXEC);
	return r < 0 ? err_sys(err, r, "close_range") : 0;
}

static int become_sentry(const struct launch *l, const struct sources *s, struct err *err)
{
	char name[] = "caisson-sentry";
	char *const argv[] = { name, l->box.cr->c->id, NULL };
	char *const envp[] = { NULL };
	int image;
	int r = lay_out(l, s, &image, err);

	if (r == 0)
		r = sandbox_raise_files(err);
	/* Clears the parent-death signal: until the gate the end of the report socket ends us. */
	if (r == 0)
		r = creds_become(l->box.ids.supervisor, 0, creds_gofer_caps(), err);
	if (r < 0)
		return r;
	(void)prctl(PR_SET_PDEATHSIG, l->box.cr->options->tied ? SIGKILL : 0);
	(void)syscall(SYS_execveat, image, "", argv, envp, AT_EMPTY_PATH);
	return err_sys(err, -errno, "exec caisson-sentry");
}

static int describe(const struct launch *l, const struct roots *roots, struct err *err)
{
	const struct describe_process process = {
		.spec = &l->box.cr->spec,
		.seccomp = &l->box.cr->seccomp,
		.rows = l->box.cr->terminal.rows,
		.cols = l->box.cr->terminal.cols,
		.preserve_fds = l->box.cr->preserve_fds,
		.oom_score = l->box.oom_score,
		.all_caps_unset = true,
		.profile = l->profile,
		.network = l->network,
		.events = l->event_mask,
		.own_namespaces = l->own_namespaces,
		.pid_ns_of = l->pid_ns_of,
	};

	return describe_container(l->box.cr->c, &process, roots, err);
}

static struct zygote_plan zygote_plan(const struct launch *l, const struct sources *s)
{
	return (struct zygote_plan){
		.ids = &l->box.ids, .program = l->stub_fd, .proc = s->proc, .null = s->null
	};
}

/* Without ids, or without user namespaces for them, the sentry starts one as itself. */
static int begin_zygote(const struct launch *l, const struct sources *s, struct zygote *z,
			struct err *err)
{
	const struct zygote_plan plan = zygote_plan(l, s);

	if (is_member(l) || !l->box.ids.guest ||
	    l->box.cr->rt->sentry.platform == SENTRY_PLATFORM_PTRACE)
		return 0;
	if (zygote_clone(&plan, z, err) < 0)
		log_debug("container %s: stubs have the sentry's user: %s", l->box.cr->c->id,
			  err->msg);
	else
		oom_go_last(l->box.oom_score); /* the stubs keep what config.json says */
	return sandbox_die_with_parent(err);
}

/* Not moved (the host's root is an initramfs): the sentry starts one as itself. */
static int end_zygote(const struct launch *l, struct sources *s, struct zygote *z, bool moved,
		      struct err *err)
{
	const struct oci_opt_i64 *score = &l->box.cr->spec.process.oom_score_adj;
	const struct zygote_plan plan = zygote_plan(l, s);
	int r = 0;

	/* Its stubs have the score of the sentry, and may not be the last to be killed. */
	if (z->sock >= 0 && !moved)
		oom_go_back(s->proc, score->set ? (int)score->v : l->box.oom_score);
	if (z->sock >= 0 && moved)
		r = zygote_release(&plan, z, err);
	s->fd[SENTRY_FD_ZYGOTE] = z->sock >= 0 && moved ? TAKE_FD(z->sock) : s->null;
	return r;
}

/*
 * Gofer and zygote see the empty root, as the sentry does: all share the mount namespace, where
 * nobody mounts anything any more. The sentry looks at nothing hostile before the gofer has
 * answered, and so not before the old root is gone. A sentry that starts its zygote itself must
 * not be behind a changed root then: it would get no user namespace (user_namespaces(7), EPERM).
 */
static int enter_empty_root(const struct launch *l, const struct roots *roots, struct sources *s,
			    struct err *err)
{
	AUTO(zygote_done) struct zygote zygote = ZYGOTE_INIT;
	bool old = false, beside;
	int r = begin_zygote(l, s, &zygote, err);

	if (r == 0)
		r = creds_bound(creds_gofer_caps(), err);
	if (r < 0)
		return r;
	r = jail_enter_empty_root(&old);
	if (r < 0)
		return err_sys(err, r, "make an empty root directory");
	beside = old && zygote.sock >= 0;
	r = start_gofer(l, roots, beside, s, err);
	if (r == 0)
		r = end_zygote(l, s, &zygote, old, err);
	return r < 0 || !old || beside ? r : leave_old_root(err);
}

static uint32_t socket_flags(uint32_t host_uds)
{
	return (host_uds & SENTRY_HOST_UDS_OPEN ? GOFER_ROOT_CONNECT : 0u) |
	       (host_uds & SENTRY_HOST_UDS_CREATE ? GOFER_ROOT_BIND : 0u);
}

/* All are open until the exec closes them. */
static int run_stages(struct launch *l, struct err *err)
{
	const struct creation *cr = l->box.cr;
	const struct roots_options options = {
		.spec = &cr->spec,
		.bundle = cr->c->bundle,
		.rootfs = cr->c->rootfs,
		.idmap_fds = l->idmaps.fds,
		.socket_flags = socket_flags(cr->rt->sentry.host_uds),
		.notify_dir = cr->notify_dir,
		.make_places = cr->rt->sentry.overlay == SENTRY_OVERLAY_NONE,
		.read_only = cr->rt->sentry.overlay == SENTRY_OVERLAY_ROOT_MEMORY,
	};
	struct sources s = { .slave = -EBADF };
	struct roots roots = { 0 };
	int r;

	(void)prctl(PR_SET_NAME, "caisson:[1:sandbox]");
	s.null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (s.null < 0)
		return err_sys(err, -errno, "open /dev/null");
	s.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s.proc < 0)
		return err_sys(err, -errno, "open /proc");
	r = isolate_cores(l, err);
	if (r == 0)
		r = setup_namespaces(l, s.proc, err);
	if (r == 0)
		r = sandbox_stage_hooks(&l->box, err);
	if (r == 0)
		log_debug("container %s: namespaces are made", cr->c->id);
	(void)prctl(PR_SET_NAME, "caisson:[2:files]");
	if (r == 0)
		r = roots_open(&options, &roots, err);
	if (r == 0)
		log_debug("container %s: its files are opened", cr->c->id);
	if (r == 0)
		r = sandbox_stage_terminal(&l->box, &s.slave, err);
	if (r == 0)
		r = s.fd[SENTRY_FD_PROC] = open_proc(err);
	if (r >= 0)
		r = s.fd[SENTRY_FD_DESCRIPTION] = describe(l, &roots, err);
	if (r >= 0)
		r = sandbox_stage_place(&l->box, err);
	if (r < 0)
		return r;
	s.fd[SENTRY_FD_CONTROL] = l->box.control;
	s.fd[SENTRY_FD_REPORT] = l->box.report[1];
	s.fd[SENTRY_FD_STUB] = l->stub_fd;
	s.fd[SENTRY_FD_LOG] = log_fd() >= 0 ? log_fd() : s.null;
	s.fd[SENTRY_FD_EVENTS] = l->events >= 0 ? l->events : s.null;
	s.fd[SENTRY_FD_HELD] = l->box.ids.held_fd;
	s.fd[SENTRY_FD_MEMORY] = cr->c->cgroup ? cgroup_memory_stat_fd(cr->c->cgroup) : -ENOENT;
	if (s.fd[SENTRY_FD_MEMORY] < 0)
		s.fd[SENTRY_FD_MEMORY] = s.null;
	if (is_member(l))
		oom_go_last(l->box.oom_score);
	r = enter_empty_root(l, &roots, &s, err);
	if (r == 0 && is_member(l))
		return stage_become_member(
			l,
			&(struct stage_member){ .description = s.fd[SENTRY_FD_DESCRIPTION],
						.gofer = s.fd[SENTRY_FD_GOFER],
						.slave = s.slave,
						.null = s.null,
						.proc = s.proc },
			err);
	return r < 0 ? r : become_sentry(l, &s, err);
}

void stage_sandbox(void *launch)
{
	struct launch *l = launch;
	struct err err = { 0 };

	(void)run_stages(l, &err);
	sandbox_stage_fail(&l->box, &err);
}
