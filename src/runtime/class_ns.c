/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class ns behind struct isolation_ops: the life cycle's wishes in terms of ns/ns.h.
 */
#include "base/str.h"
#include "host/oom_score.h"
#include "host/seccomp.h"
#include "ns/ns.h"
#include "runtime/container.h"
#include "runtime/creation.h"
#include "runtime/isolation.h"
#include "runtime/store.h"

static struct ns_child *handle_new(struct err *err)
{
	struct ns_child *child = malloc(sizeof(*child));

	if (!child) {
		(void)err_sys(err, -ENOMEM, "make a process");
		return NULL;
	}
	*child = (struct ns_child)NS_CHILD_INIT;
	return child;
}

static void handle_set(struct process *process, struct ns_child *child)
{
	process->data = child;
	process->pid = child->pid;
	process->pidfd = child->pidfd;
	process->master = child->master;
}

static struct ns_terminal terminal_of(const struct process_terminal *terminal)
{
	return (struct ns_terminal){ .wanted = terminal->wanted,
				     .console_socket = terminal->console_socket,
				     .rows = terminal->rows,
				     .cols = terminal->cols };
}

static int class_ns_create(struct creation *cr, struct err *err)
{
	const struct oci_hooks *hooks = &cr->spec.hooks;
	const struct ns_create_options options = {
		.spec = &cr->spec,
		.id = cr->c->id,
		.bundle = cr->c->bundle,
		.rootfs = cr->c->rootfs,
		.cgroup = cr->c->cgroup,
		.seccomp = cr->seccomp.insns ? &cr->seccomp : NULL,
		.gate = cr->listen ? NS_GATE_LISTEN : NS_GATE_STREAM,
		.gate_fd = cr->gate_fd,
		.terminal = terminal_of(&cr->terminal),
		.preserve_fds = cr->preserve_fds,
		.no_pivot = cr->options->no_pivot,
		.no_new_keyring = cr->options->no_new_keyring,
		.keep_original_groups =
			oci_annotation_is_set(&cr->spec, "run.oci.keep_original_groups"),
		.unprivileged = geteuid() != 0,
		.on_namespaces = creation_on_process,
		.on_forked = creation_on_forked,
		/* Each of these costs a round trip: only where there is something to run. */
		.on_environment = hooks->prestart.len || hooks->create_runtime.len
					  ? creation_on_environment
					  : NULL,
		.on_container = hooks->create_container.len ? creation_on_container : NULL,
		.on_start = hooks->start_container.len ? creation_on_start : NULL,
		.arg = cr,
	};
	struct ns_child *child = handle_new(err);
	int r;

	if (!child)
		return -ENOMEM;
	r = ns_create(&options, child, err);
	if (r < 0) {
		free(child);
		return r;
	}
	handle_set(&cr->process, child);
	return 0;
}

static int class_ns_release(struct process *process, struct err *err)
{
	return ns_release(process->data, err);
}

struct listener_arg {
	struct container *c;
	const struct oci_spec *spec; /* NULL: read the container's copy when it is needed */
	pid_t pid;		     /* of the process that the filter is for */
};

static int send_listener(void *data, int listener, struct err *err)
{
	const struct listener_arg *arg = data;
	struct oci_spec *loaded = NULL;
	AUTO_JSON json_t *state = NULL;
	int r;

	r = container_state_json(arg->c, &state, err);
	if (r == 0 && !arg->spec)
		r = container_load_spec(arg->c, &loaded, err);
	if (r == 0)
		r = seccomp_send_listener(arg->spec ? &arg->spec->linux.seccomp
						    : &loaded->linux.seccomp,
					  listener, arg->pid, state, err);
	oci_spec_free(loaded);
	return r;
}

static int class_ns_open(struct process *process, const struct oci_spec *spec, struct container *c,
			 struct err *err)
{
	struct listener_arg arg = { .c = c, .spec = spec, .pid = process->pid };

	/* The container's own process: made and not yet started, which nobody has written down. */
	if (process->pid == c->pid)
		c->status = OCI_CREATED;
	return ns_open_gate(process->data, send_listener, &arg, err);
}

static int class_ns_start(struct container *c, struct err *err)
{
	struct listener_arg arg = { .c = c, .pid = c->pid };

	return ns_knock(c->dir_fd, STORE_GATE, send_listener, &arg, err);
}

/* The cgroup of an exec: the container's, or what --cgroup names below it. */
static int exec_cgroup(struct container *c, const struct exec_request *request, struct cgroup **ret,
		       struct err *err)
{
	struct cgroup *made = NULL;

	*ret = NULL;
	for (size_t i = 0; request->cgroups && request->cgroups[i]; i++) {
		const char *text = request->cgroups[i];
		const char *colon = strchr(text, ':');
		AUTO_FREE char *controllers = colon ? strndup(text, (size_t)(colon - text)) : NULL;
		struct cgroup *next = NULL;
		int r;

		if (colon && !controllers)
			r = err_sys(err, -ENOMEM, "--cgroup %s", text);
		else if (str_path_leaves(colon ? colon + 1 : text))
			r = err_set(err, -EINVAL,
				    "--cgroup %s: it must stay below the container's cgroup", text);
		else if (!c->cgroup)
			r = err_set(err, -EINVAL, "--cgroup %s: the container has no cgroup", text);
		else
			r = cgroup_subdir(made ? made : c->cgroup, controllers,
					  colon ? colon + 1 : text, &next, err);
		cgroup_free(made);
		if (r < 0)
			return r;
		made = next;
	}
	*ret = made;
	return 0;
}

struct exec_place {
	const struct oci_spec *spec;
};

static int place_exec(void *arg, pid_t pid, struct err *err)
{
	const struct exec_place *place = arg;

	return oom_score_apply(&place->spec->process, pid, err);
}

static int class_ns_exec(struct container *c, const struct exec_request *request,
			 struct process *ret, struct err *err)
{
	struct cgroup *sub = NULL;
	struct exec_place place = { .spec = request->spec };
	struct ns_exec_options options = {
		.spec = request->spec,
		.container_pid = c->pid,
		.container_pidfd = request->container_pidfd,
		.seccomp = request->seccomp,
		.terminal = terminal_of(&request->terminal),
		.preserve_fds = request->preserve_fds,
		.unprivileged = geteuid() != 0,
		.on_process = place_exec,
	};
	struct ns_child *child = NULL;
	int r = exec_cgroup(c, request, &sub, err);

	if (r < 0)
		return r;
	options.cgroup = sub;
	if (!sub && c->cgroup && (!c->runtime->rootless || cgroup_exists(c->cgroup)))
		options.cgroup = c->cgroup;
	options.arg = &place;
	child = handle_new(err);
	r = child ? ns_exec(&options, child, err) : -ENOMEM;
	cgroup_free(sub);
	if (r < 0) {
		free(child);
		return r;
	}
	handle_set(ret, child);
	return 0;
}

static void class_ns_process_done(struct process *process)
{
	if (process->data)
		ns_child_done(process->data);
	free(process->data);
	*process = (struct process)PROCESS_INIT;
}

const struct isolation_ops class_ns = {
	.name = "ns",
	.create = class_ns_create,
	.release = class_ns_release,
	.open = class_ns_open,
	.start = class_ns_start,
	.exec = class_ns_exec,
	.process_done = class_ns_process_done,
};
