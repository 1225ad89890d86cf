/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The staged child of class vm. ps shows the stage: caisson:[1:machine], caisson:[2:files], then
 * caisson-vm, virtiofsd and QEMU.
 */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "host/loopback.h"
#include "hypervisor/qemu.h"
#include "hypervisor/tsc.h"
#include "jail/jail.h"
#include "ns/rootfs_enter.h"
#include "ns/stage.h"
#include "runtime/container.h"
#include "runtime/sandbox/carriers.h"
#include "runtime/sandbox/creds.h"
#include "runtime/sandbox/oom.h"
#include "runtime/sandbox/stdio.h"
#include "runtime/vm/describe.h"
#include "runtime/vm/launch.h"
#include "runtime/vm/net.h"
#include "wire/vmm_msg.h"

/* What the processes of a machine are joined by; the exec closes all that stays. */
struct parts {
	struct machine machine; /* QEMU's ends */
	int fd[VMM_FD_STDIO];	/* what becomes caisson-vm's descriptors, from 3 on */
	int slave;		/* the terminal, or -EBADF */
	int stdio[3];		/* of caisson-vm, above its numbers; -EBADF: closed */
	struct carriers carriers;
	int null;
	int words; /* write end */
	struct share share;
	struct vm_net *net;
	pid_t files_pid, qemu_pid;
	int files_pidfd;	     /* or -EBADF */
	int forwards, forwards_link; /* or -EBADF */
	uint64_t machine_ns;	     /* when QEMU's process was made */
	struct tsc_reading tsc;	     /* when the stage began */
	bool restored;		     /* the machine is a clone */
	bool plugged;		     /* ... that gets its files when it runs */
	char dir[PATH_MAX];	     /* of the share */
};

static int enter_namespaces(const struct launch_vm *l, struct err *err)
{
	const unsigned long word =
		rootfs_propagation_flags(l->box.cr->spec.linux.rootfs_propagation);
	const unsigned long closed = word & (MS_PRIVATE | MS_UNBINDABLE) ? MS_PRIVATE : MS_SLAVE;
	int r = sandbox_stage_begin(&l->box, err);

	if (r == 0)
		r = namespace_enter(&l->box.joined, OCI_NS_NETWORK, err);
	/* Of what the host mounts later nothing comes in where config.json says so. */
	if (r == 0 && mount(NULL, "/", NULL, closed | MS_REC, NULL) < 0)
		r = err_sys(err, -errno, "propagation of /");
	return r;
}

/* Over the container's own directory, of which nothing is opened by its name from here on. */
static int build_share(const struct launch_vm *l, struct parts *p, struct err *err)
{
	const struct creation *cr = l->box.cr;
	const struct share_options options = { .spec = &cr->spec,
					       .bundle = cr->c->bundle,
					       .rootfs = cr->c->rootfs,
					       .idmap_fds = l->idmaps.fds,
					       .dir = p->dir,
					       .watch = l->watch,
					       .pmem = l->config.type == MACHINE_Q35 &&
						       l->template.memory < 0,
					       .memory = l->size.memory,
					       .pod = l->pod,
					       .open = !l->box.unprivileged,
					       .mode = l->rootfs };

	if (snprintf(p->dir, sizeof(p->dir), "%s/%s", cr->rt->root, cr->c->id) >=
	    (int)sizeof(p->dir))
		return err_set(err, -ENAMETOOLONG, "the container's directory");
	return share_build(&options, &p->share, err);
}

static int start_files(const struct launch_vm *l, struct parts *p, struct err *err)
{
	AUTO_CLOSE int listener = -EBADF;
	int client = -EBADF;
	int r;

	if (!p->share.files)
		return 0;
	r = files_socketpair(&listener, &client, err);
	if (r < 0)
		return r;
	p->plugged = p->restored;
	r = fd_lift(&client);
	*(p->plugged ? &p->fd[VMM_FD_FILES] : &p->machine.files) = client;
	if (r < 0)
		return err_sys(err, r, "virtiofsd's socket");
	p->files_pid = stage_clone(CLONE_NEWNS, -EBADF, &p->files_pidfd);
	if (p->files_pid == 0) {
		struct files_plan plan = l->files;
		struct err failure = { 0 };

		plan.dir = p->dir;
		plan.listener = listener;
		plan.words = p->words;
		plan.cache = (enum files_cache)l->config.cache;
		(void)files_become(&plan, &failure);
		stage_fail(l->box.stage[1], &failure);
	}
	return p->files_pid < 0 ? err_sys(err, p->files_pid, "clone virtiofsd's process") : 0;
}

/* One connection between caisson-vm and QEMU. */
static int join(int *ret_ours, int *ret_qemus, struct err *err)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "socketpair for QEMU");
	*ret_ours = pair[0];
	*ret_qemus = pair[1];
	r = fd_lift(ret_ours);
	if (r == 0)
		r = fd_lift(ret_qemus);
	return r < 0 ? err_sys(err, r, "sockets for QEMU") : 0;
}

static int join_all(struct parts *p, struct err *err)
{
	int pair[2];
	int r = join(&p->fd[VMM_FD_MONITOR], &p->machine.monitor, err);

	if (r == 0)
		r = join(&p->fd[VMM_FD_AGENT], &p->machine.agent, err);
	if (r == 0)
		r = join(&p->fd[VMM_FD_CONSOLE], &p->machine.console, err);
	if (r < 0)
		return r;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "pipe for the words of QEMU");
	p->fd[VMM_FD_WORDS] = pair[0];
	p->words = pair[1];
	r = fd_lift(&p->fd[VMM_FD_WORDS]);
	if (r == 0)
		r = fd_lift(&p->words);
	return r < 0 ? err_sys(err, r, "pipe for the words of QEMU") : 0;
}

/*
 * Nobody else sees what a clone has of its template's memory: who serves files maps a copy of it,
 * which is made while QEMU starts (copy_memory()).
 */
static int describe_clone(const struct launch_vm *l, struct parts *p, struct err *err)
{
	const struct template_plan plan = launch_plan(l);
	struct machine *m = &p->machine, base;
	int r;

	template_machine(&plan, &base);
	m->type = base.type;
	m->slots = base.slots;
	m->role = p->plugged ? MACHINE_COPY : MACHINE_CLONE;
	m->state = fcntl(l->template.state, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (p->plugged)
		r = machine_memory(m->memory, &m->memory_file);
	else
		r = m->memory_file = fcntl(l->template.memory, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (r < 0 || m->state < 0)
		return err_set(err, -EMFILE, "a template's files");
	r = fd_lift(&m->memory_file);
	return r < 0 ? err_sys(err, r, "a template's memory") : 0;
}

/* Before caisson-vm, who sets the machine going. */
static int copy_memory(const struct launch_vm *l, const struct parts *p, struct err *err)
{
	const int r =
		p->plugged ? machine_copy_into(l->template.memory, p->machine.memory_file) : 0;

	return r < 0 ? err_sys(err, r, "copy a template's memory") : 0;
}

static void describe_machine(const struct launch_vm *l, struct parts *p)
{
	struct machine *m = &p->machine;
	char memory[PATH_MAX];

	m->accel = l->accel;
	m->type = l->config.type;
	m->nested = l->config.nested;
	m->cpus = l->size.cpus;
	m->memory = l->size.memory;
	if (m->type == MACHINE_Q35) {
		m->cpus_max = l->room.cpus;
		m->memory_max = l->room.memory;
	}
	m->kernel = l->from.kernel;
	m->initrd = l->from.image;
	/* A clone's kernel knows it. */
	if (!p->restored)
		m->tsc_khz = hypervisor_tsc_khz(&p->tsc, hypervisor_tsc_memory(memory));
	m->disks_len = p->share.disks_len;
	for (unsigned int i = 0; i < m->disks_len; i++)
		m->disks[i] = p->share.disks[i];
	m->nics_len = p->net->nics_len;
	for (unsigned int i = 0; i < m->nics_len; i++)
		m->nics[i] = p->net->nics[i];
}

static int start_qemu(const struct launch_vm *l, struct parts *p, struct err *err)
{
	const struct qemu_plan plan = { .machine = &p->machine,
					.program = l->from.qemu,
					.uid = l->box.ids.guest,
					.gid = l->box.ids.guest,
					.words = p->words };
	struct err failure = { 0 };

	describe_machine(l, p);
	if (p->restored && describe_clone(l, p, err) < 0)
		return err->code;
	p->machine_ns = launch_now_ns();
	/* Taps are descriptors: it has no business with the pod's sockets. */
	p->qemu_pid = stage_clone(CLONE_NEWNET, -EBADF, NULL);
	if (p->qemu_pid == 0) {
		(void)qemu_become(&plan, &failure);
		stage_fail(l->box.stage[1], &failure);
	}
	return p->qemu_pid < 0 ? err_sys(err, p->qemu_pid, "clone QEMU's process") : 0;
}

static int describe(const struct launch_vm *l, const struct parts *p, struct err *err)
{
	const struct creation *cr = l->box.cr;
	const struct describe_vm d = { .id = cr->c->id,
				       .bundle = cr->c->bundle,
				       .spec = &cr->spec,
				       .seccomp = &cr->seccomp,
				       .share = &p->share,
				       .network = &p->net->network,
				       .unprivileged = l->box.unprivileged,
				       .rows = cr->terminal.rows,
				       .cols = cr->terminal.cols };
	const struct vmm_head head = {
		.qemu_pid = p->qemu_pid,
		.files_pid = p->files_pid,
		.accel = l->accel,
		.cpus = l->size.cpus,
		.memory = l->size.memory,
		.boot_ms = l->config.boot_ms,
		.flags = (p->restored ? VMM_RESTORED : 0u) | (p->plugged ? VMM_PLUG_FILES : 0u) |
			 (l->config.debug_console ? VMM_DEBUG_CONSOLE : 0u) |
			 (p->share.watches ? VMM_WATCHES : 0u) | (p->share.top ? VMM_SHARES : 0u) |
			 (p->forwards >= 0 ? VMM_FORWARDS : 0u) | p->carriers.carried |
			 (log_is_json() ? VMM_LOG_JSON : 0u) |
			 (log_level() == LOG_LEVEL_DEBUG ? VMM_LOG_DEBUG : 0u),
		.begin_ns = l->begin_ns,
		.machine_ns = p->machine_ns,
		.memory_max = l->room.memory,
		.cpus_max = l->room.cpus,
	};

	return describe_vm(&d, &head, err);
}

static int open_stdio(struct parts *p, struct err *err)
{
	for (int i = 0; i < 3; i++) {
		const int own = stdio_own(-EBADF, p->slave >= 0 ? p->slave : i, VMM_FDS);

		if (own < 0 && own != -EBADF)
			return err_sys(err, own, "duplicate descriptor %d of the container", i);
		p->stdio[i] = own;
	}
	return carriers_open(&p->carriers, p->stdio, VMM_FDS, err);
}

/*
 * enum vmm_fd. The sources are lifted above all targets before any is overwritten; the program
 * itself ends up highest.
 */
static int lay_out(const struct launch_vm *l, const struct parts *p, int *ret_image,
		   struct err *err)
{
	int lifted[VMM_FD_STDIO];
	int r = 0;

	*ret_image = fcntl(l->program, F_DUPFD_CLOEXEC, VMM_FDS);
	for (int i = 0; i < VMM_FD_STDIO; i++) {
		const bool nothing = i < 3 || (i == VMM_FD_FILES && !p->plugged);

		lifted[i] = fcntl(nothing ? p->null : p->fd[i], F_DUPFD_CLOEXEC, VMM_FDS);
		if (lifted[i] < 0)
			r = -errno;
	}
	if (r < 0 || *ret_image < 0)
		return err_sys(err, r < 0 ? r : -errno, "duplicate descriptors above %d", VMM_FDS);
	/* What is not open stays so. */
	for (int i = 0; i < 3; i++) {
		if (p->stdio[i] < 0)
			(void)close(VMM_FD_STDIO + i);
		else if (dup2(p->stdio[i], VMM_FD_STDIO + i) < 0)
			return err_sys(err, -errno, "duplicate descriptor %d of the container", i);
	}
	for (int i = 0; i < VMM_FD_STDIO; i++) {
		if (dup2(lifted[i], i) < 0)
			return err_sys(err, -errno, "duplicate a descriptor to %d", i);
	}
	r = fd_close_range(VMM_FDS, ~0u, CLOSE_RANGE_CLOEXEC);
	return r < 0 ? err_sys(err, r, "close_range") : 0;
}

static int become_supervisor(const struct launch_vm *l, struct parts *p, struct err *err)
{
	char name[] = "caisson-vm";
	char *const argv[] = { name, l->box.cr->c->id, NULL };
	char *const envp[] = { NULL };
	int image;
	int r = lay_out(l, p, &image, err);

	if (r == 0)
		r = sandbox_raise_files(err);
	if (r < 0)
		return r;
	/* A mount namespace of its own: virtiofsd and QEMU may still be at work in this one. */
	r = jail_empty_root();
	if (r < 0)
		return err_sys(err, r, "make an empty root directory");
	/* Clears the parent-death signal: until the gate the end of the report socket ends us. */
	r = creds_become(l->box.ids.supervisor, 0, CREDS_ALL, err);
	if (r == 0 && p->carriers.carried) {
		r = jail_no_dump();
		r = r < 0 ? err_sys(err, r, "forbid cores of carriers")
			  : carriers_start(&p->carriers, err);
	}
	if (r < 0)
		return r;
	(void)prctl(PR_SET_PDEATHSIG, l->box.cr->options->tied ? SIGKILL : 0);
	(void)syscall(SYS_execveat, image, "", argv, envp, AT_EMPTY_PATH);
	return err_sys(err, -errno, "exec caisson-vm");
}

/* QEMU is the guest, and is taken first when memory is short: the others go last. */
static int start_all(struct launch_vm *l, struct parts *p, struct err *err)
{
	int r = join_all(p, err);

	/* The first disk of a clone takes the place of one whose size its kernel has seen. */
	p->restored = l->template.memory >= 0 &&
		      (!p->share.disks_len ||
		       (p->share.disks_len == 1 && l->rootfs == SHARE_ROOTFS_BLOCK &&
			!p->share.disks[0].device));
	if (l->template.memory >= 0 && !p->restored)
		log_debug("class vm: no clone of a template: a disk is a block device");
	if (r == 0)
		r = start_files(l, p, err);
	if (r == 0)
		r = start_qemu(l, p, err);
	if (r == 0)
		r = copy_memory(l, p, err);
	/* Before anything of the guest sends: that is told its network by caisson-vm. */
	if (r == 0)
		r = vm_net_connect(p->net, err);
	if (r < 0)
		return r;
	oom_go_last(l->box.oom_score);
	r = open_stdio(p, err);
	if (r < 0)
		return r;
	r = p->fd[VMM_FD_DESCRIPTION] = describe(l, p, err);
	return r < 0 ? r : 0;
}

/* Who kills QEMU for want of memory is asked by the supervisor, which can open nothing. */
static void watch_memory(const struct launch_vm *l, struct parts *p)
{
	const struct cgroup *cg = l->box.cr->c->cgroup;
	const int events = cg ? cgroup_memory_events_fd(cg) : -ENOENT;
	const int limit = cg ? cgroup_memory_limit_fd(cg) : -ENOENT;

	p->fd[VMM_FD_EVENTS] = events >= 0 ? events : p->null;
	p->fd[VMM_FD_LIMIT] = limit >= 0 ? limit : p->null;
}

/*
 * What engines connect to where they forward a port of a pod: the loopback device of its network
 * namespace, on which nobody else listens. A pod without it lacks that alone.
 */
static int take_forwards(const struct launch_vm *l, struct parts *p, struct err *err)
{
	struct err why = { 0 };
	int r;

	if (!l->pod || l->box.joined.fd[OCI_NS_NETWORK] < 0)
		return 0;
	if (loopback_take(&p->forwards, &p->forwards_link, &why) < 0) {
		log_warning("container %s: its ports are not forwarded: %s", l->box.cr->c->id,
			    why.msg);
		return 0;
	}
	r = fd_lift(&p->forwards);
	if (r == 0)
		r = fd_lift(&p->forwards_link);
	return r < 0 ? err_sys(err, r, "the socket of forwarded ports") : 0;
}

static void give_links(struct parts *p)
{
	_Static_assert(AGENT_LINKS_MAX == MACHINE_NICS_MAX, "one list of devices");
	for (unsigned int i = 0; i < 2 * AGENT_LINKS_MAX; i++) {
		const int link = i / 2 < p->net->nics_len ? p->net->pairs[i / 2].links[i % 2] : -1;

		p->fd[VMM_FD_LINKS + i] = link >= 0 ? link : p->null;
	}
}

static int run_stages(struct launch_vm *l, struct parts *p, struct err *err)
{
	int r;

	(void)prctl(PR_SET_NAME, "caisson:[1:machine]");
	hypervisor_tsc_begin(&p->tsc);
	p->null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (p->null < 0)
		return err_sys(err, -errno, "open /dev/null");
	r = enter_namespaces(l, err);
	if (r == 0)
		r = sandbox_stage_hooks(&l->box, err);
	if (r == 0)
		log_debug("container %s: namespaces are made", l->box.cr->c->id);
	(void)prctl(PR_SET_NAME, "caisson:[2:files]");
	/* Directories that are made from here on are for processes of other users to enter. */
	(void)umask(S_IWGRP | S_IWOTH);
	if (r == 0)
		r = build_share(l, p, err);
	if (r == 0)
		log_debug("container %s: its files are gathered", l->box.cr->c->id);
	if (r == 0)
		r = sandbox_stage_terminal(&l->box, &p->slave, err);
	if (r == 0)
		r = sandbox_stage_place(&l->box, err);
	/* Devices that config.json names (netDevices) are here now. */
	if (r == 0) {
		p->net = vm_net_take(l->size.cpus, err);
		r = p->net ? 0 : -EIO;
	}
	if (r == 0)
		r = take_forwards(l, p, err);
	if (r == 0)
		r = start_all(l, p, err);
	if (r < 0)
		return r;
	p->fd[VMM_FD_CONTROL] = l->box.control;
	p->fd[VMM_FD_REPORT] = l->box.report[1];
	p->fd[VMM_FD_LOG] = log_fd() >= 0 ? log_fd() : p->null;
	p->fd[VMM_FD_HELD] = l->box.ids.held_fd;
	watch_memory(l, p);
	p->fd[VMM_FD_SHARE] = p->share.top ? p->share.top : p->null;
	p->fd[VMM_FD_FILES_PROCESS] = p->share.top ? p->files_pidfd : p->null;
	p->fd[VMM_FD_FORWARDS] = p->forwards >= 0 ? p->forwards : p->null;
	p->fd[VMM_FD_FORWARDS_LINK] = p->forwards >= 0 ? p->forwards_link : p->null;
	give_links(p);
	p->fd[VMM_FD_WATCH] = p->share.watches ? p->share.watch : p->null;
	return become_supervisor(l, p, err);
}

void stage_vm(void *launch)
{
	struct launch_vm *l = launch;
	struct parts p = { .slave = -EBADF,
			   .files_pidfd = -EBADF,
			   .forwards = -EBADF,
			   .machine.files = -EBADF,
			   .stdio = { -EBADF, -EBADF, -EBADF },
			   .carriers = CARRIERS_INIT };
	struct err err = { 0 };

	(void)run_stages(l, &p, &err);
	sandbox_stage_fail(&l->box, &err);
}
