/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's life in the machine: the order is that of src/runtime/create.c, with a channel in
 * place of files: storages, cgroup, process up to its gate, streams.
 */
#include "agent/container.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/disks.h"
#include "agent/network.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/pidfd.h"
#include "ns/hooks.h"
#include "oci/state.h"

#define CGROUP_NAME_MAX 255 /* bytes; NAME_MAX */

/* ---- Records -------------------------------------------------------------------------------- */

struct container *container_find(const struct agent *a, const char *id, struct err *err)
{
	struct container *c;

	list_for_each(c, &a->containers, node)
	{
		if (str_eq(c->id, id))
			return c;
	}
	(void)err_set(err, -ENOENT, "container %.255s: the machine has none of this id", id);
	return NULL;
}

void container_forget_process(struct container *c, const struct process *p)
{
	if (c->init == p)
		c->init = NULL;
}

static void end_starter(struct container *c, const struct err *result)
{
	if (!c->starter)
		return;
	loop_remove(TAKE_PTR(c->starter));
	auto_close_p(&c->starter_fd);
	c->starter_fd = -EBADF;
	agent_answer(c->agent, c->starter_serial, AGENT_START, result->code, NULL, result);
}

static void container_free(struct container *c)
{
	struct err gone = { 0 };
	struct process *p;

	if (!c)
		return;
	(void)err_set(&gone, -ECANCELED, "container %s was deleted", c->id ? c->id : "");
	end_starter(c, &gone);
	list_del(&c->node);
	list_for_each(p, &c->agent->processes, node)
	{
		if (p->container == c)
			p->container = NULL;
	}
	loop_remove(c->oom);
	auto_close_p(&c->oom_fd);
	auto_close_p(&c->starter_fd);
	cgroup_free(c->cgroup);
	for (size_t i = 0; i < c->storages.len; i++)
		free(c->storages.targets[i]);
	c->agent->containers_len--;
	volumes_done(&c->volumes);
	free(c->id);
	free(c);
}
DEFINE_AUTO(struct container *, container_free);

/* The id becomes the name of a cgroup. */
static bool is_id(const char *id)
{
	const size_t len = strlen(id);

	return len > 0 && len <= CGROUP_NAME_MAX && !strchr(id, '/') && !strchr(id, '\n') &&
	       !str_eq(id, ".") && !str_eq(id, "..");
}

static int container_new(struct agent *a, const char *id, struct container **ret, struct err *err)
{
	AUTO_FREE char *cgroups = NULL;
	struct cgroup_options options = { .id = id };
	struct container *c;
	int r = 0;

	if (!is_id(id))
		return err_set(err, -EINVAL, "\"%.255s\" is no id of a container", id);
	list_for_each(c, &a->containers, node)
	{
		if (str_eq(c->id, id))
			return err_set(err, -EEXIST, "container %s is there already", id);
	}
	if (a->containers_len >= AGENT_CONTAINERS_MAX)
		return err_set(err, -EMFILE, "%u containers are the most of a machine",
			       AGENT_CONTAINERS_MAX);
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_sys(err, -ENOMEM, "container %s", id);
	list_add_tail(&c->node, &a->containers);
	a->containers_len++;
	c->agent = a;
	c->number = ++a->numbered;
	c->oom_fd = c->starter_fd = -EBADF;
	c->id = strdup(id);
	if (!c->id || str_printf(&cgroups, "%s/%s", a->cgroups, id) < 0)
		r = err_sys(err, -ENOMEM, "container %s", id);
	options.path = cgroups;
	if (r == 0)
		r = cgroup_new(&options, &c->cgroup, err);
	if (r < 0)
		container_free(c);
	else
		*ret = c;
	return r;
}

/* ---- Creation ------------------------------------------------------------------------------- */

struct creation {
	struct container *c;
	const struct agent_create *call;
	struct oci_spec *loaded;	 /* owned */
	struct oci_spec spec;		 /* *loaded with default devices */
	struct oci_device_rule *devices; /* owned */
	struct disks disks;
	struct process_stdio stdio;
	int gate; /* owned */
};

static void creation_done(struct creation *cr)
{
	process_stdio_done(&cr->stdio);
	auto_close_p(&cr->gate);
	oci_spec_free(cr->loaded);
	free(cr->devices);
	disks_done(&cr->disks);
}

/* Every container may use the default devices, whatever its own rules say, as on the host. */
static int add_default_devices(struct creation *cr, struct err *err)
{
	struct oci_resources *resources = &cr->spec.linux.resources;
	int r;

	r = cgroup_add_default_devices(resources, &cr->devices);
	return r < 0 ? err_sys(err, r, "linux.resources.devices") : 0;
}

static int apply_oom_score(const struct oci_process *process, pid_t pid, struct err *err)
{
	char path[64], text[24];
	int r;

	if (!process->oom_score_adj.set)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	(void)snprintf(text, sizeof(text), "%" PRId64, process->oom_score_adj.v);
	r = fd_write_file(AT_FDCWD, path, text);
	return r < 0 ? err_sys(err, r, "process.oomScoreAdj: write %s to %s", text, path) : 0;
}

/* The devices of the machine, where they are to be the container's own. */
static int give_network(const struct creation *cr, pid_t pid, struct err *err)
{
	const struct oci_namespace *net = &cr->spec.linux.ns[OCI_NS_NETWORK];
	const struct buf *body = &cr->c->agent->network;
	AUTO_FREE struct agent_network *network = NULL;
	int r;

	if (!net->set || net->path || body->len == 0)
		return 0;
	network = calloc(1, sizeof(*network));
	if (!network)
		return err_sys(err, -ENOMEM, "network");
	r = agent_request_decode(AGENT_NETWORK, body->data, body->len, network, err);
	return r < 0 ? r : agent_network_give(network, pid, err);
}

static int on_namespaces(void *arg, pid_t pid, struct err *err)
{
	struct creation *cr = arg;
	int r = apply_oom_score(&cr->spec.process, pid, err);

	if (r == 0)
		r = give_network(cr, pid, err);
	if (r == 0)
		r = cgroup_create(cr->c->cgroup, err);
	if (r == 0)
		r = cgroup_apply(cr->c->cgroup, &cr->spec.linux.resources, false, err);
	return r;
}

/* In the container, when its gate has opened. */
static int on_start(void *arg, pid_t pid, struct err *err)
{
	const struct creation *cr = arg;
	const struct oci_state state = { .version = cr->spec.version,
					 .id = cr->c->id,
					 .status = OCI_CREATED,
					 .pid = pid,
					 .bundle = cr->call->bundle,
					 .annotations = cr->spec.annotations };
	AUTO_BUF struct buf text = { 0 };
	struct hooks_io io = { .out_fd = -EBADF, .err_fd = -EBADF };
	int r = oci_state_hook_print(&state, &text, err);

	if (r < 0)
		return r;
	io.state_json = text.data;
	return hooks_run(&cr->spec.hooks.start_container, "startContainer", &io, err);
}

static void gate_name(const struct container *c, char name[static 16])
{
	(void)snprintf(name, 16, "%u", c->number);
}

static int seccomp_of(const struct agent_bytes *bytes, uint32_t flags, struct seccomp_program *ret,
		      struct err *err)
{
	*ret = (struct seccomp_program){ .flags = flags };
	if (bytes->len % sizeof(struct sock_filter))
		return err_set(err, -EINVAL, "seccomp: %u bytes are no whole instructions",
			       bytes->len);
	ret->len = bytes->len / sizeof(struct sock_filter);
	if (ret->len == 0)
		return 0;
	/* The bytes lie anywhere in the frame. */
	ret->insns = malloc(bytes->len);
	if (!ret->insns)
		return err_sys(err, -ENOMEM, "seccomp");
	memcpy(ret->insns, bytes->bytes, bytes->len);
	return 0;
}

static int load(const struct agent_bytes *config, struct oci_spec **ret, struct err *err)
{
	return oci_spec_parse(config->bytes, config->len, "config.json", ret, err);
}

static struct ns_terminal terminal_of(const struct agent_io *io)
{
	return (struct ns_terminal){ .wanted = io->terminal,
				     .console_socket = -EBADF,
				     .rows = (unsigned short)io->rows,
				     .cols = (unsigned short)io->cols };
}

static int make_process(struct creation *cr, struct ns_child *child, struct err *err)
{
	struct container *c = cr->c;
	AUTO(seccomp_program_done) struct seccomp_program seccomp = { 0 };
	struct ns_create_options options = {
		.spec = &cr->spec,
		.id = c->id,
		.bundle = AGENT_TOP,
		.rootfs = cr->spec.root.path,
		.cgroup = c->cgroup,
		.gate = NS_GATE_LISTEN,
		.terminal = terminal_of(&cr->call->io),
		.on_namespaces = on_namespaces,
		.on_start = c->hooks ? on_start : NULL,
		.arg = cr,
	};
	struct err ignored;
	char name[16];
	int r = seccomp_of(&cr->call->seccomp, cr->call->seccomp_flags, &seccomp, err);

	if (r < 0)
		return r;
	options.seccomp = seccomp.len ? &seccomp : NULL;
	gate_name(c, name);
	cr->gate = ns_listen(c->agent->gates, name, err);
	if (cr->gate < 0)
		return cr->gate;
	options.gate_fd = cr->gate;
	r = process_stdio_place(c->agent, &cr->stdio, err);
	if (r == 0)
		r = ns_create(&options, child, err);
	if (r == 0)
		r = ns_release(child, err);
	(void)process_stdio_place(c->agent, NULL, &ignored);
	return r;
}

static void on_oom(void *arg, int fd, uint32_t events)
{
	struct container *c = arg;
	const struct agent_container event = { .id = c->id };
	char words[4096];

	(void)events;
	while (read(fd, words, sizeof(words)) > 0)
		;
	if (cgroup_oom_confirm(c->cgroup, &c->oom_kills))
		agent_tell(c->agent, AGENT_OOM, &event);
}

/* Without it the host does not hear of it, and the container lives all the same. */
static void watch_memory(struct container *c)
{
	struct err problem = { 0 };

	c->oom_fd = cgroup_oom_fd(c->cgroup, &problem);
	if (c->oom_fd < 0 ||
	    loop_add_fd(c->agent->loop, c->oom_fd, EPOLLIN, on_oom, c, &c->oom) < 0)
		log_warning("container %s: %s", c->id, problem.msg);
}

static int create_in(struct creation *cr, struct err *err)
{
	const struct agent_create *call = cr->call;
	struct ns_child child = NS_CHILD_INIT;
	int r = load(&call->config, &cr->loaded, err);

	if (r < 0)
		return r;
	cr->spec = *cr->loaded;
	cr->c->hooks = cr->spec.hooks.start_container.len > 0;
	if (cr->spec.root.path[0] != '/')
		return err_set(err, -EINVAL, "root.path: %s is not absolute", cr->spec.root.path);
	r = cgroup_check_free(cr->c->cgroup, err);
	if (r == 0)
		r = storage_mount_all(call->storages, call->storages_len, &cr->c->storages, err);
	if (r == 0)
		r = volumes_fill(call->storages, call->storages_len, &cr->c->volumes, err);
	if (r == 0)
		r = disks_take(call->storages, call->storages_len, &cr->spec, &cr->disks, err);
	if (r == 0)
		r = add_default_devices(cr, err);
	if (r == 0)
		r = process_stdio_open(&call->io, &cr->stdio, err);
	if (r == 0)
		r = make_process(cr, &child, err);
	if (r == 0)
		r = process_new(cr->c->agent, cr->c, &call->io, &cr->stdio, &child, &cr->c->init,
				err);
	ns_child_done(&child);
	return r;
}

int container_create(struct agent *a, const struct agent_create *call, struct agent_pid *ret,
		     struct err *err)
{
	AUTO(creation_done)
	struct creation cr = { .call = call,
			       .stdio = { { -EBADF, -EBADF, -EBADF }, { -EBADF, -EBADF, -EBADF } },
			       .gate = -EBADF };
	struct err ignored;
	int r = 0;

	if (!a->prepared && a->guest)
		r = boot_prepare(err);
	if (r < 0)
		return r;
	a->prepared = true;
	r = container_new(a, call->id, &cr.c, err);
	if (r < 0)
		return r;
	r = create_in(&cr, err);
	if (r < 0) {
		(void)container_delete(cr.c, &ignored);
		return r;
	}
	watch_memory(cr.c);
	ret->pid = cr.c->init->pid;
	return 0;
}

/* ---- Start ---------------------------------------------------------------------------------- */

static int knock(struct container *c, struct err *err)
{
	char name[16];
	int r;

	gate_name(c, name);
	r = ns_knock(c->agent->gates, name, NULL, NULL, err);
	if (r == 0)
		(void)unlinkat(c->agent->gates, name, 0);
	return r;
}

static void on_started(void *arg, int fd, uint32_t events)
{
	struct container *c = arg;
	struct err result = { 0 };
	AUTO_BUF struct buf b = { .max = sizeof(result) };
	const int r = fd_read_all(fd, &b);

	(void)events;
	if (r < 0 || b.len != sizeof(result))
		(void)err_set(&result, -EPROTO, "the process that starts container %s died", c->id);
	else
		memcpy(&result, b.data, sizeof(result));
	c->started = result.code == 0;
	end_starter(c, &result);
}

/* startContainer hooks take as long as they like: another process waits for them. */
static int start_aside(struct container *c, uint32_t serial, struct err *err)
{
	AUTO_CLOSE int theirs = -EBADF;
	int pair[2], r;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "make a pipe");
	c->starter_fd = pair[0];
	theirs = pair[1];
	pid = fork();
	if (pid == 0) {
		struct err result = { 0 };

		(void)knock(c, &result);
		(void)fd_write_all(theirs, &result, sizeof(result));
		_exit(0);
	}
	r = pid < 0 ? -errno
		    : loop_add_fd(c->agent->loop, c->starter_fd, EPOLLIN, on_started, c,
				  &c->starter);
	if (r < 0)
		return err_sys(err, r, "start container %s", c->id);
	c->starter_serial = serial;
	return 1;
}

int container_start(struct container *c, uint32_t serial, struct err *err)
{
	int r;

	if (!c->init || c->init->exited)
		return err_set(err, -ESRCH, "container %s has ended", c->id);
	if (c->started || c->starter)
		return err_set(err, -EINVAL, "container %s is started already", c->id);
	if (c->hooks)
		return start_aside(c, serial, err);
	r = knock(c, err);
	c->started = r == 0;
	return r;
}

/* ---- Processes beside the first ------------------------------------------------------------- */

static int on_process(void *arg, pid_t pid, struct err *err)
{
	const struct oci_spec *spec = arg;

	return apply_oom_score(&spec->process, pid, err);
}

static bool leaves(const char *path)
{
	while (*path) {
		const size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.')
			return true;
		path += len + (path[len] == '/');
	}
	return false;
}

struct execution {
	struct oci_spec *spec; /* owned */
	struct seccomp_program seccomp;
	struct cgroup *sub; /* owned; NULL: the container's own */
	struct process_stdio stdio;
	struct ns_child child;
};

static void execution_done(struct execution *e)
{
	process_stdio_done(&e->stdio);
	ns_child_done(&e->child);
	cgroup_free(e->sub);
	seccomp_program_done(&e->seccomp);
	oci_spec_free(e->spec);
}

static int read_exec(struct container *c, const struct agent_exec *call, struct execution *e,
		     struct err *err)
{
	int r = load(&call->config, &e->spec, err);

	if (r == 0)
		r = seccomp_of(&call->seccomp, call->seccomp_flags, &e->seccomp, err);
	if (r == 0 && *call->cgroup && leaves(call->cgroup))
		r = err_set(err, -EINVAL, "cgroup %s: it must stay below the container's",
			    call->cgroup);
	if (r == 0 && *call->cgroup)
		r = cgroup_subdir(c->cgroup, NULL, call->cgroup, &e->sub, err);
	if (r == 0)
		r = process_stdio_open(&call->io, &e->stdio, err);
	return r;
}

static int run_exec(struct container *c, const struct agent_exec *call, struct execution *e,
		    struct err *err)
{
	const struct ns_exec_options options = {
		.spec = e->spec,
		.container_pid = c->init->pid,
		.container_pidfd = c->init->pidfd,
		.seccomp = e->seccomp.len ? &e->seccomp : NULL,
		.cgroup = e->sub ? e->sub : c->cgroup,
		.terminal = terminal_of(&call->io),
		.on_process = on_process,
		.arg = e->spec,
	};
	struct err ignored;
	int r = process_stdio_place(c->agent, &e->stdio, err);

	if (r == 0)
		r = ns_exec(&options, &e->child, err);
	(void)process_stdio_place(c->agent, NULL, &ignored);
	return r;
}

int container_exec(struct container *c, const struct agent_exec *call, struct agent_pid *ret,
		   struct err *err)
{
	AUTO(execution_done)
	struct execution e = { .stdio = { { -EBADF, -EBADF, -EBADF }, { -EBADF, -EBADF, -EBADF } },
			       .child = NS_CHILD_INIT };
	struct process *p = NULL;
	int r;

	if (!c->init || c->init->exited)
		return err_set(err, -ESRCH, "container %s has ended", c->id);
	r = read_exec(c, call, &e, err);
	if (r == 0)
		r = run_exec(c, call, &e, err);
	if (r < 0)
		return r;
	ret->pid = e.child.pid;
	r = process_new(c->agent, c, &call->io, &e.stdio, &e.child, &p, err);
	if (r == 0)
		r = ns_open_gate(&e.child, NULL, NULL, err);
	if (r < 0) {
		const int pidfd = p ? p->pidfd : e.child.pidfd;

		(void)pidfd_kill(pidfd, SIGKILL);
		process_free(p);
	}
	return r;
}

/* ---- Limits and the end --------------------------------------------------------------------- */

int container_update(struct container *c, const struct agent_update *call, struct err *err)
{
	struct oci_spec *spec = NULL;
	int r = load(&call->config, &spec, err);

	if (r == 0)
		r = cgroup_apply(c->cgroup, &spec->linux.resources, true, err);
	oci_spec_free(spec);
	return r;
}

int container_delete(struct container *c, struct err *err)
{
	AUTO(container_free_p) struct container *owned = c;
	struct agent *a = c->agent;
	struct err problem = { 0 };
	char name[16];
	int r, unmounted;

	gate_name(c, name);
	/* Its first process has ended: who starts it has the result, or will in a moment. */
	if (c->starter && !c->init)
		on_started(c, c->starter_fd, EPOLLIN);
	(void)unlinkat(a->gates, name, 0);
	if (c->init && !c->init->exited)
		(void)pidfd_kill(c->init->pidfd, SIGKILL);
	r = cgroup_exists(c->cgroup) ? cgroup_signal_all(c->cgroup, SIGKILL, &problem) : 0;
	if (r == 0 || r == -ENOENT)
		r = cgroup_remove(c->cgroup, &problem);
	process_reap_all(a);
	/*
	 * What its processes wrote is at the host: virtio-fs writes through, dirty maps were
	 * written when the last process let go of them, and an unmounted file system is written
	 * back.
	 */
	unmounted = storage_unmount_all(&owned->storages, r < 0 ? NULL : &problem);
	if (r == 0)
		r = unmounted;
	if (r < 0)
		return err_set(err, r, "%s", problem.msg);
	return 0;
}
