/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create, and what it shares with run (creation.h).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/oom_score.h"
#include "host/netdev.h"
#include "host/pidfd.h"
#include "host/rdt.h"
#include "host/seccomp_cache.h"
#include "ns/ns.h"
#include "runtime/bundle.h"
#include "runtime/container.h"
#include "runtime/creation.h"
#include "runtime/foreground.h"
#include "runtime/inherit.h"
#include "runtime/life_hooks.h"
#include "runtime/notify.h"
#include "runtime/sandbox/pod.h"
#include "runtime/state.h"
#include "runtime/store.h"
#include "runtime/terminal.h"

/* A network namespace that is joined may be the one we are in, whose sysctls are the host's (runc).
 */
static int check_sysctls(const struct creation *cr, struct err *err)
{
	const struct oci_linux *linux_spec = &cr->spec.linux;
	const char *path = linux_spec->ns[OCI_NS_NETWORK].path;
	struct stat joined, own;

	if (!path || stat(path, &joined) < 0 || stat("/proc/self/ns/net", &own) < 0 ||
	    joined.st_dev != own.st_dev || joined.st_ino != own.st_ino)
		return 0;
	for (size_t i = 0; i < linux_spec->sysctl.len; i++) {
		const char *key = linux_spec->sysctl.items[i].key;

		if (str_after(key, "net.") || str_after(key, "net/"))
			return err_set(
				err, -EINVAL,
				"linux.sysctl.%s: not allowed in the host's network namespace",
				key);
	}
	return 0;
}

/* Step 1: everything that can be judged before anything exists. */
static int judge(struct creation *cr, struct err *err)
{
	const unsigned int listen = inherit_listen_fds();
	int r;

	r = isolation_choose(cr->rt, cr->loaded, &cr->c->isolation, err);
	if (r == 0)
		r = isolation_ops_get(cr->c->isolation, &cr->ops, err);
	if (r == 0)
		r = terminal_check(&cr->spec.process, cr->detached, cr->options->console_socket,
				   err);
	if (r == 0 && cr->spec.linux.sysctl.len > 0)
		r = check_sysctls(cr, err);
	if (r == 0)
		r = inherit_check(listen, cr->options->preserve_fds, err);
	if (r < 0)
		return r;
	cr->preserve_fds = listen + cr->options->preserve_fds;
	return bundle_add_environment(cr, listen, err);
}

/* Every container may use the default devices, whatever the rules of its own say; as in runc and
 * crun. */
static int add_default_devices(struct creation *cr, struct err *err)
{
	struct oci_resources *resources = &cr->spec.linux.resources;
	int r;

	/* Where nobody asked and nobody enforces, there is nothing to say. */
	if (!resources->devices_len && cgroup_layout() != CGROUP_LAYOUT_V2 &&
	    !cgroup_path(cr->c->cgroup, "devices"))
		return 0;
	r = cgroup_add_default_devices(resources, &cr->devices);
	return r < 0 ? err_sys(err, r, "linux.resources.devices") : 0;
}

static int set_cgroup(struct creation *cr, struct err *err)
{
	const struct cgroup_options options = { .manager = cr->rt->cgroup_manager,
						.path = cr->spec.linux.cgroups_path,
						.id = cr->c->id,
						.rootless = cr->rt->rootless };
	int r;

	if (options.manager == CGROUP_MANAGER_DISABLED)
		return 0;
	r = cgroup_new(&options, &cr->c->cgroup, err);
	if (r < 0 || !cr->c->cgroup)
		return r;
	/* Before state.json names it: whoever deletes the container ends what lives there. */
	r = cgroup_check_free(cr->c->cgroup, err);
	return r < 0 ? r : add_default_devices(cr, err);
}

static int set_facts(struct creation *cr, struct err *err)
{
	const struct oci_linux *linux_spec = &cr->spec.linux;
	struct container *c = cr->c;
	struct timespec now;
	char created[CLOCK_TEXT_MAX];

	(void)clock_gettime(CLOCK_REALTIME, &now);
	c->created = strdup(clock_rfc3339(&now, true, created));
	c->oci_version = strdup(cr->spec.version ? cr->spec.version : "");
	c->owner = geteuid();
	c->hooks = (cr->spec.hooks.poststart.len ? CONTAINER_HAS_POSTSTART : 0) |
		   (cr->spec.hooks.poststop.len ? CONTAINER_HAS_POSTSTOP : 0);
	c->private_pid = linux_spec->ns[OCI_NS_PID].set && !linux_spec->ns[OCI_NS_PID].path;
	c->annotations = json_object();
	if (!c->created || !c->oci_version || !c->annotations)
		return err_sys(err, -ENOMEM, "create container %s", c->id);
	for (size_t i = 0; i < cr->spec.annotations.len; i++) {
		const struct oci_kv *kv = &cr->spec.annotations.items[i];

		if (json_object_set_new(c->annotations, kv->key, json_string(kv->value)) < 0)
			return err_sys(err, -ENOMEM, "create container %s", c->id);
	}
	if (linux_spec->intel_rdt.set) {
		const char *clos = linux_spec->intel_rdt.clos_id;

		c->rdt_clos = strdup(clos ? clos : c->id);
		/* Until it is known who made it: the container's own class would be ours. */
		c->rdt_made = !clos;
		if (!c->rdt_clos)
			return err_sys(err, -ENOMEM, "create container %s", c->id);
	}
	return set_cgroup(cr, err);
}

static int compile_seccomp(struct creation *cr, struct err *err)
{
	AUTO_CLOSE int cache = -EBADF;

	if (!cr->spec.linux.seccomp.set)
		return 0;
	cache = store_open_cache(cr->c->root_fd, true);
	return seccomp_compile_cached(cache, &cr->spec, &cr->seccomp, err);
}

/* Open and lock what was just made. Until then `delete --force` may take it for a leftover. */
static int own_directory(struct container *c, struct err *err)
{
	int r;

	c->dir_fd = store_open(c->root_fd, c->id, err);
	if (c->dir_fd < 0)
		return c->dir_fd;
	r = store_lock(c->dir_fd, err);
	if (r < 0)
		return r;
	c->lock_fd = c->dir_fd;
	return 0;
}

/* Step 2. */
static int make_directory(struct creation *cr, struct err *err)
{
	struct container *c = cr->c;
	int r;

	r = store_make(c->root_fd, c->id, err);
	if (r < 0)
		return r;
	r = own_directory(c, err);
	if (r < 0 && r != -ENOENT)
		(void)unlinkat(c->root_fd, c->id, AT_REMOVEDIR);
	if (r < 0)
		return r;
	cr->has_directory = true;
	r = state_save(c, err);
	if (r < 0)
		return r;
	r = fd_replace_file(c->dir_fd, STORE_CONFIG, cr->config.data, cr->config.len, 0600);
	if (r < 0)
		return err_sys(err, r, "copy config.json of container %s", c->id);
	if (notify_host() && !cr->ops->ready_when_started) {
		r = notify_make_dir(c->dir_fd, err);
		if (r == 0)
			r = bundle_add_notify(cr, err);
	}
	return r;
}

static int open_sockets(struct creation *cr, struct err *err)
{
	if (cr->listen) {
		cr->gate_fd = ns_listen(cr->c->dir_fd, STORE_GATE, NS_GATE_BACKLOG, err);
		if (cr->gate_fd < 0)
			return cr->gate_fd;
	}
	return terminal_prepare(&cr->spec.process, cr->detached, cr->options->console_socket,
				&cr->terminal, err);
}

int creation_make(struct creation *cr, const struct runtime *rt,
		  const struct create_options *options, bool listen, struct err *err)
{
	int r;

	*cr = (struct creation){ .rt = rt,
				 .options = options,
				 .listen = listen,
				 .detached = listen || options->detach,
				 .config = { .max = OCI_CONFIG_MAX },
				 .terminal = { .console_socket = -EBADF },
				 .gate_fd = -EBADF,
				 .netns = -EBADF,
				 .process = PROCESS_INIT };
	r = container_id_check(options->id, err);
	if (r < 0)
		return r;
	cr->c = container_new(rt, options->id);
	if (!cr->c)
		return err_sys(err, -ENOMEM, "create container %s", options->id);
	r = bundle_load(cr, err);
	if (r == 0)
		r = judge(cr, err);
	if (r == 0)
		r = set_facts(cr, err);
	if (r < 0)
		return r;
	if (cr->ops->create_member)
		r = pod_join(cr->c, &cr->spec, &cr->sandbox, err);
	if (r < 0)
		return r;
	log_debug("container %s: bundle %s is loaded, class %s", cr->c->id, cr->c->bundle,
		  cr->ops->name);
	cr->c->root_fd = store_open_root(rt, true, err);
	if (cr->c->root_fd < 0)
		return cr->c->root_fd;
	r = compile_seccomp(cr, err);
	if (r == 0)
		r = make_directory(cr, err);
	if (r == 0)
		r = open_sockets(cr, err);
	if (r == 0) {
		foreground_unblock();
		r = cr->sandbox ? cr->ops->create_member(cr, err) : cr->ops->create(cr, err);
	}
	if (r < 0)
		creation_undo(cr);
	return r;
}

void creation_undo(struct creation *cr)
{
	struct err problem = { 0 };

	if (cr->c->cgroup && cgroup_abandon_taken(cr->c->cgroup))
		cgroup_free(TAKE_PTR(cr->c->cgroup));
	if (cr->process.pidfd >= 0) {
		const int r = container_kill_process(cr->c->cgroup, cr->process.pidfd);
		int status;

		if (r < 0)
			log_warning("end process %d of container %s: %s", (int)cr->process.pid,
				    cr->c->id, strerrordesc_np(-r));
		else
			(void)pidfd_reap(cr->process.pidfd, &status);
	}
	if (!cr->has_directory)
		return;
	if (cr->c->cgroup && cr->c->pid && !cr->c->private_pid)
		(void)cgroup_signal_all(cr->c->cgroup, SIGKILL, NULL);
	cr->c->pid = 0;
	if (container_destroy(cr->c, &cr->spec, &problem) < 0)
		log_warning("remove what is left of container %s: %s", cr->c->id, problem.msg);
	cr->has_directory = false;
}

void creation_done(struct creation *cr)
{
	if (cr->ops)
		cr->ops->process_done(&cr->process);
	auto_close_p(&cr->gate_fd);
	auto_close_p(&cr->terminal.console_socket);
	seccomp_program_done(&cr->seccomp);
	free(cr->listen_fds);
	free(cr->notify_dir);
	free(cr->env);
	free(cr->mounts);
	free(cr->devices);
	buf_done(&cr->config);
	oci_spec_free(cr->loaded);
	container_free(cr->sandbox);
	container_free(cr->c);
}

static int move_network_devices(const struct creation *cr, pid_t pid, struct err *err)
{
	const struct oci_linux *linux_spec = &cr->spec.linux;
	AUTO_CLOSE int own = -EBADF;
	char path[64];

	if (linux_spec->net_devices_len == 0)
		return 0;
	if (cr->netns < 0) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
		own = open(path, O_RDONLY | O_CLOEXEC);
		if (own < 0)
			return err_sys(err, -errno, "open %s", path);
	}
	return netdev_move(linux_spec->net_devices, linux_spec->net_devices_len,
			   cr->netns >= 0 ? cr->netns : own, err);
}

static int join_rdt(struct creation *cr, pid_t pid, struct err *err)
{
	AUTO_CLOSE int resctrl = -EBADF;
	bool made = false;
	int r;

	if (!cr->spec.linux.intel_rdt.set)
		return 0;
	resctrl = rdt_open(err);
	if (resctrl < 0)
		return resctrl;
	r = rdt_apply(resctrl, &cr->spec.linux.intel_rdt, cr->c->id, pid, &made, err);
	/* A process before this one, of a clone that did not come up, may have made the class. */
	made = made || cr->rdt_made;
	cr->rdt_made = made;
	if (r == 0 && made != cr->c->rdt_made) {
		cr->c->rdt_made = made;
		r = state_save(cr->c, err);
	}
	return r;
}

/* Step 4. */
int creation_on_process(void *arg, pid_t pid, struct err *err)
{
	struct creation *cr = arg;
	struct container *c = cr->c;
	int r;

	r = pid_start_time(pid, &c->start_time);
	if (r < 0)
		return err_sys(err, r, "read the start time of process %d", (int)pid);
	c->pid = pid;
	log_debug("container %s: process %d is cloned", c->id, (int)pid);
	r = state_save(c, err);
	if (r == 0)
		r = oom_score_apply(&cr->spec.process, pid, err);
	if (r == 0 && c->cgroup) {
		r = cgroup_create(c->cgroup, err);
		if (r == 0)
			r = cgroup_apply(c->cgroup, &cr->spec.linux.resources, false, err);
		if (r == 0)
			log_debug("container %s: its cgroups are made and limited", c->id);
	}
	if (r == 0)
		r = join_rdt(cr, pid, err);
	if (r == 0)
		r = move_network_devices(cr, pid, err);
	return r;
}

int creation_on_forked(void *arg, pid_t pid, struct err *err)
{
	struct container *c = ((struct creation *)arg)->c;
	const int r = pid_start_time(pid, &c->start_time);

	if (r < 0)
		return err_sys(err, r, "read the start time of process %d", (int)pid);
	c->pid = pid;
	return state_save(c, err);
}

int creation_on_environment(void *arg, pid_t pid, struct err *err)
{
	struct creation *cr = arg;
	struct life_hooks hooks = { .list = &cr->spec.hooks.prestart,
				    .name = "prestart",
				    .status = OCI_CREATING,
				    .pid = pid,
				    .in_bundle = true };
	int r = life_hooks_run(cr->c, &hooks, err);

	if (r < 0)
		return r;
	hooks.list = &cr->spec.hooks.create_runtime;
	hooks.name = "createRuntime";
	return life_hooks_run(cr->c, &hooks, err);
}

int creation_on_container(void *arg, pid_t pid, struct err *err)
{
	const struct creation *cr = arg;
	const struct life_hooks hooks = { .list = &cr->spec.hooks.create_container,
					  .name = "createContainer",
					  .status = OCI_CREATING,
					  .pid = pid };

	return life_hooks_run(cr->c, &hooks, err);
}

int creation_on_start(void *arg, pid_t pid, struct err *err)
{
	const struct creation *cr = arg;
	const struct life_hooks hooks = { .list = &cr->spec.hooks.start_container,
					  .name = "startContainer",
					  .status = OCI_CREATED,
					  .pid = pid };

	return life_hooks_run(cr->c, &hooks, err);
}

int creation_announce(struct creation *cr, struct err *err)
{
	const char *receiver = cr->options->pidfd_socket;
	int r = 0;

	if (!receiver)
		receiver = oci_annotation(&cr->spec, "run.oci.pidfd_receiver");
	if (receiver)
		r = pidfd_send(receiver, cr->process.pidfd, err);
	if (r == 0 && cr->options->pid_file)
		r = pid_file_write(cr->options->pid_file, cr->process.pid, err);
	return r;
}

int container_create(const struct runtime *rt, const struct create_options *options,
		     struct err *err)
{
	AUTO(creation_done) struct creation cr;
	int r = creation_make(&cr, rt, options, true, err);

	if (r < 0)
		return r;
	r = creation_announce(&cr, err);
	if (r == 0)
		r = store_finish(cr.c->dir_fd, err);
	if (r == 0)
		r = cr.ops->release(&cr.process, err);
	if (r < 0)
		creation_undo(&cr);
	else
		log_debug("container %s: process %d is released and waits for start", cr.c->id,
			  (int)cr.process.pid);
	return r;
}
