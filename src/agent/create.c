/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CREATE: the order is that of src/runtime/create.c, with a channel in place of files: storages,
 * cgroup, process up to its gate. A worker does it; record and streams are there before.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/container_internal.h"
#include "agent/disks.h"
#include "agent/network.h"
#include "agent/siblings.h"
#include "agent/worker.h"
#include "base/log.h"
#include "base/str.h"
#include "host/oom_score.h"
#include "ns/hooks.h"
#include "oci/state.h"

struct creation {
	struct container *c;
	struct process *process;
	const struct agent_create *call;
	struct oci_spec *loaded;	 /* owned */
	struct oci_spec spec;		 /* *loaded with default devices */
	struct oci_device_rule *devices; /* owned */
	struct siblings siblings;	 /* into which *spec leads */
	struct disks disks;
	struct process_stdio stdio;
	pid_t carriers[3];	     /* in the worker */
	struct storage_list mounted; /* in the worker */
	int gate;		     /* owned */
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
	int r = siblings_live(&cr->siblings, err);

	if (r == 0)
		r = oom_score_apply(&cr->spec.process, pid, err);
	if (r == 0 && cr->c->user_namespace)
		r = process_stdio_give(pid, &cr->spec.process.user, err);
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
		.terminal = container_terminal(&cr->call->io),
		.on_namespaces = on_namespaces,
		.on_start = cr->spec.hooks.start_container.len > 0 ? on_start : NULL,
		.arg = cr,
	};
	char name[GATE_NAME_MAX];
	int r = container_seccomp(&cr->call->seccomp, cr->call->seccomp_flags, &seccomp, err);

	if (r < 0)
		return r;
	options.seccomp = seccomp.len ? &seccomp : NULL;
	container_gate(c, name);
	cr->gate = ns_listen(c->agent->gates, name, NS_GATE_BACKLOG, err);
	if (cr->gate < 0)
		return cr->gate;
	options.gate_fd = cr->gate;
	r = process_stdio_place(c->agent, &cr->stdio, cr->carriers, err);
	return r < 0 ? r : ns_create(&options, child, err);
}

static int make(struct worker *w, struct creation *cr, struct err *err)
{
	const struct agent_create *call = cr->call;
	struct ns_child child = NS_CHILD_INIT;
	int r = storage_mount_all(call->storages, call->storages_len, &cr->mounted, err);

	if (r == 0)
		r = volumes_fill(call->storages, call->storages_len, err);
	if (r == 0)
		r = disks_take(call->storages, call->storages_len, &cr->spec, &cr->disks, err);
	if (r == 0)
		r = add_default_devices(cr, err);
	if (r == 0)
		r = make_process(cr, &child, err);
	if (r == 0)
		r = worker_tell(w, &child, cr->carriers, err);
	if (r == 0)
		r = ns_release(&child, err);
	ns_child_done(&child);
	return r;
}

static int run_create(struct worker *w, void *arg, struct err *err)
{
	struct creation *cr = arg;
	struct err ignored;
	char name[GATE_NAME_MAX];
	const int r = make(w, cr, err);

	if (r == 0)
		return 0;
	container_gate(cr->c, name);
	(void)unlinkat(cr->c->agent->gates, name, 0);
	/* Others who live in a cgroup of its name are nobody's to end. */
	if (cgroup_abandon_taken(cr->c->cgroup))
		(void)storage_unmount_all(&cr->mounted, &ignored);
	else
		(void)container_clean(cr->c, &cr->mounted, &ignored);
	return r;
}

/*
 * The kernel counts before it kills, and may tell inotify(7) later. v1 has no count that can be
 * trusted: what its eventfd says counts.
 */
void container_tell_oom(struct container *c)
{
	const struct agent_container event = { .id = c->id };
	bool told = cgroup_layout() == CGROUP_LAYOUT_V2;
	char words[4096];

	if (!c->oom)
		return;
	while (read(c->oom_fd, words, sizeof(words)) > 0)
		told = true;
	if (told && cgroup_oom_confirm(c->cgroup, &c->oom_kills))
		agent_tell(c->agent, AGENT_OOM, &event);
}

static void on_oom(void *arg, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	container_tell_oom(arg);
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

static int create_made(void *owner, struct ns_child *child, const pid_t carriers[3],
		       struct err *err)
{
	return process_made(owner, child, carriers, err);
}

static void create_done(void *owner, const struct err *result)
{
	struct process *p = owner;
	struct container *c = p->container;

	if (result->code == 0) {
		c->init = p;
		watch_memory(c);
	}
	container_answer_process(p, AGENT_CREATE, result);
	/* Who deletes it meanwhile frees it. */
	if (result->code == 0 || c->deleting)
		return;
	c->deleting = true;
	worker_cancel_all(c->agent, c);
	container_free(c);
}

/* It was cancelled or has died: who deletes the container meanwhile cleans, and frees it. */
static void create_lost(void *owner, const struct err *result)
{
	struct process *p = owner;
	struct container *c = p->container;

	container_answer_process(p, AGENT_CREATE, result);
	if (!c->deleting)
		container_drop(c);
}

/* What DELETE unmounts. */
static int list_storages(struct creation *cr, struct err *err)
{
	struct storage_list *list = &cr->c->storages;

	list->number = cr->mounted.number = cr->c->number;
	for (uint32_t i = 0; i < cr->call->storages_len; i++) {
		const struct agent_storage *s = &cr->call->storages[i];

		if (storage_is_listed(s) && storage_remember(list, s) < 0)
			return err_sys(err, -ENOMEM, "%s", s->target);
	}
	return 0;
}

static int begin(struct creation *cr, uint32_t serial, struct err *err)
{
	int keep[3 + SIBLINGS_MAX];
	struct worker_job job = { .call = AGENT_CREATE,
				  .serial = serial,
				  .container = cr->c,
				  .run = run_create,
				  .arg = cr,
				  .keep = keep,
				  .made = create_made,
				  .done = create_done,
				  .lost = create_lost };
	/* From here on the cgroup of this name is its own, to be removed whatever happens. */
	int r = cgroup_check_free(cr->c->cgroup, err);

	if (r == 0)
		r = container_config(&cr->call->config, &cr->loaded, err);
	if (r < 0)
		return r;
	cr->spec = *cr->loaded;
	cr->c->user_namespace = cr->spec.linux.ns[OCI_NS_USER].set;
	if (cr->spec.root.path[0] != '/')
		return err_set(err, -EINVAL, "root.path: %s is not absolute", cr->spec.root.path);
	r = siblings_resolve(cr->c->agent, &cr->spec.linux, &cr->siblings, err);
	if (r == 0 && cr->call->flags & AGENT_CREATE_SHELL)
		r = container_allow_shell(cr->c, cr->spec.root.path, err);
	if (r == 0)
		r = list_storages(cr, err);
	if (r == 0)
		r = volumes_list(cr->call->storages, cr->call->storages_len, &cr->c->volumes, err);
	if (r == 0)
		r = process_stdio_open(&cr->call->io, &cr->stdio, err);
	if (r == 0)
		r = process_new(cr->c->agent, cr->c, &cr->call->io, &cr->stdio, &cr->process, err);
	if (r < 0)
		return r;
	cr->process->serial = serial;
	job.owner = cr->process;
	memcpy(keep, cr->stdio.theirs, sizeof(cr->stdio.theirs));
	memcpy(keep + 3, cr->siblings.pidfds, cr->siblings.len * sizeof(keep[0]));
	job.keep_len = 3 + cr->siblings.len;
	return worker_start(cr->c->agent, &job, err);
}

int container_create(struct agent *a, uint32_t serial, const struct agent_create *call,
		     struct err *err)
{
	AUTO(creation_done)
	struct creation cr = { .call = call,
			       .stdio = { { -EBADF, -EBADF, -EBADF }, { -EBADF, -EBADF, -EBADF } },
			       .gate = -EBADF };
	int r = 0;

	if (!a->prepared && a->guest)
		r = boot_prepare(err);
	if (r < 0)
		return r;
	a->prepared = true;
	r = container_new(a, call->id, &cr.c, err);
	if (r < 0)
		return r;
	r = begin(&cr, serial, err);
	if (r < 0) {
		process_free(cr.process);
		container_free(cr.c);
	}
	return r;
}
