/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/start.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "host/pidfd.h"
#include "runtime/container.h"
#include "runtime/isolation.h"
#include "runtime/life_hooks.h"
#include "runtime/notify.h"
#include "runtime/store.h"

int start_poststart(struct container *c, const struct oci_spec *spec, struct err *err)
{
	struct life_hooks hooks = {
		.name = "poststart", .status = OCI_RUNNING, .pid = c->pid, .in_bundle = true
	};
	struct oci_spec *loaded = NULL;
	int r = 0;

	if (!(c->hooks & CONTAINER_HAS_POSTSTART))
		return 0;
	if (!spec) {
		r = container_load_spec(c, &loaded, err);
		spec = loaded;
	}
	if (r == 0) {
		hooks.list = &spec->hooks.poststart;
		r = life_hooks_run(c, &hooks, err);
	}
	oci_spec_free(loaded);
	return r;
}

static int check_status(const struct container *c, struct err *err)
{
	switch (c->status) {
	case OCI_CREATED:
		return 0;
	case OCI_STOPPED:
		return err_set(err, -EINVAL, "cannot start a container that has stopped");
	case OCI_RUNNING:
		return err_set(err, -EINVAL, "cannot start an already running container");
	default:
		return err_set(err, -EINVAL, "cannot start a container in the %s state",
			       oci_status_name(c->status));
	}
}

int container_start(struct container *c, struct err *err)
{
	const struct isolation_ops *ops;
	AUTO_CLOSE int notify = -EBADF;
	AUTO_CLOSE int pidfd = -EBADF;
	struct err problem = { 0 };
	int r = container_lock(c, err);

	if (r == 0)
		r = check_status(c, err);
	if (r == 0)
		r = isolation_ops_get(c->isolation, &ops, err);
	if (r < 0)
		return r;
	if (notify_host() && !ops->ready_when_started) {
		notify = notify_bind(c->dir_fd, err);
		if (notify < 0 && notify != -ENOENT)
			return notify;
		pidfd = container_open_init(c, err);
		if (pidfd < 0)
			return pidfd;
	}
	r = ops->start(c, err);
	/* Never reached the gate (no descriptor left, say): the container waits on, for the next
	 * start. */
	if (r < 0 && process_state(c->pid, c->start_time) == PROCESS_RUNNING)
		return r;
	if (unlinkat(c->dir_fd, STORE_GATE, 0) < 0 && errno != ENOENT)
		log_warning("container %s: remove " STORE_GATE ": %s", c->id,
			    strerrordesc_np(errno));
	if (r < 0)
		return r;
	log_debug("container %s: its program is executed", c->id);
	container_unlock(c);
	c->status = OCI_RUNNING;
	r = start_poststart(c, NULL, err);
	if (r < 0) {
		/* A failing poststart hook fails start and stops the container (runtime-spec 1.3).
		 */
		if (container_lock(c, &problem) < 0 || container_end_processes(c, &problem) < 0)
			log_warning("stop container %s: %s", c->id, problem.msg);
		return r;
	}
	/* The container runs, whoever may hear of it. */
	if (ops->ready_when_started && notify_started(c->pid, true, &problem) < 0)
		log_warning("container %s: %s", c->id, problem.msg);
	if (ops->ready_when_started)
		return 0;
	return notify >= 0 ? notify_wait(notify, c->pid, pidfd, err) : 0;
}
