/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/jobs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "oci/spec.h"
#include "shim/console.h"
#include "shim/metrics.h"
#include "shim/rootfs.h"
#include "shim/task.pb-c.h"

static void container_free_auto(struct container **c)
{
	container_free(*c);
}
#define AUTO_CONTAINER AUTO(container_free_auto)

#define CONSOLE_NAME_SIZE 64

static int listen_console(const struct streams *streams, const char *bundle,
			  struct console *console, struct err *err)
{
	char name[CONSOLE_NAME_SIZE];

	if (!streams->terminal)
		return 0;
	(void)snprintf(name, sizeof(name), "console-%d.sock", (int)getpid());
	return console_listen(bundle, name, console, err);
}

/* ---- create ---- */

static int make(const struct create_args *a, struct console *console, struct worker_answer *answer,
		struct err *err)
{
	const struct create_options options = {
		.id = a->request->id,
		.bundle = a->request->bundle,
		.console_socket = console->fd >= 0 ? console->path : NULL,
		.no_pivot = a->settings->no_pivot,
		.no_new_keyring = a->settings->no_new_keyring,
	};
	AUTO_CONTAINER struct container *c = NULL;
	int r = container_create(&a->settings->rt, &options, err);

	if (r < 0)
		return r;
	r = container_load(&a->settings->rt, a->request->id, false, &c, err);
	if (r == 0) {
		answer->pid = c->pid;
		answer->isolation = c->isolation;
		answer->flags = c->private_pid ? 0 : WORKER_SHARED_PID;
		if (c->pid == 0)
			r = err_set(err, -ESRCH, "container %s has ended already", c->id);
	}
	if (r == 0 && console->fd >= 0) {
		answer->fd = console_take(console, err);
		r = answer->fd < 0 ? answer->fd : 0;
	}
	if (r < 0)
		(void)container_delete_force(&a->settings->rt, a->request->id, NULL);
	return r;
}

int job_create(void *arg, struct worker_answer *answer, struct err *err)
{
	const struct create_args *a = arg;
	const Caisson__Shim__CreateTaskRequest *q = a->request;
	AUTO(console_done) struct console console = { .fd = -EBADF };
	int r = streams_start_logger(a->streams, q->id, a->ns, err);

	if (r == 0)
		r = rootfs_mount(q->bundle, q->rootfs, q->n_rootfs, err);
	if (r < 0)
		return r;
	r = listen_console(a->streams, q->bundle, &console, err);
	if (r == 0)
		r = make(a, &console, answer, err);
	if (r < 0 && q->n_rootfs > 0)
		(void)rootfs_unmount(q->bundle, NULL);
	return r;
}

/* ---- With an id alone ---- */

int job_start(void *arg, struct worker_answer *answer, struct err *err)
{
	const struct id_args *a = arg;
	AUTO_CONTAINER struct container *c = NULL;
	struct err ignored = { 0 };
	int r = container_load(&a->settings->rt, a->id, true, &c, err);

	if (r == 0)
		r = container_start(c, err);
	if (r == 0)
		answer->fd = container_oom_fd(c, &ignored);
	if (answer->fd < 0)
		answer->fd = -EBADF;
	return r;
}

int job_pause(void *arg, struct worker_answer *answer, struct err *err)
{
	const struct id_args *a = arg;
	AUTO_CONTAINER struct container *c = NULL;
	const int r = container_load(&a->settings->rt, a->id, true, &c, err);

	(void)answer;
	return r < 0 ? r : container_pause(c, err);
}

int job_resume(void *arg, struct worker_answer *answer, struct err *err)
{
	const struct id_args *a = arg;
	AUTO_CONTAINER struct container *c = NULL;
	const int r = container_load(&a->settings->rt, a->id, true, &c, err);

	(void)answer;
	return r < 0 ? r : container_resume(c, err);
}

int job_delete(void *arg, struct worker_answer *answer, struct err *err)
{
	const struct id_args *a = arg;
	int r = container_delete_force(&a->settings->rt, a->id, err);

	(void)answer;
	return r < 0 ? r : rootfs_unmount(a->bundle, err);
}

int job_stats(void *arg, struct worker_answer *answer, struct err *err)
{
	const struct id_args *a = arg;
	AUTO_CONTAINER struct container *c = NULL;
	struct cgroup_stats stats = { 0 };
	int r = container_load(&a->settings->rt, a->id, false, &c, err);

	if (r == 0)
		r = container_stats(c, &stats, err);
	if (r < 0)
		return r;
	r = metrics_pack(&stats, metrics_version(), answer->payload, sizeof(answer->payload),
			 &answer->payload_len, err);
	cgroup_stats_done(&stats);
	return r;
}

/* ---- exec ---- */

/* The process as a file that the runtime can read: its path is good in this process. */
static int spec_file(const struct exec_args *a, struct err *err)
{
	AUTO_CLOSE int fd = memfd_create("process.json", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return err_sys(err, -errno, "process.json");
	r = fd_write_all(fd, a->spec, a->spec_len);
	return r < 0 ? err_sys(err, r, "process.json") : TAKE_FD(fd);
}

int job_exec(void *arg, struct worker_answer *answer, struct err *err)
{
	const struct exec_args *a = arg;
	AUTO(console_done) struct console console = { .fd = -EBADF };
	AUTO_CONTAINER struct container *c = NULL;
	AUTO_CLOSE int spec = spec_file(a, err);
	struct exec_options options = { .tty = a->streams->terminal,
					.detach = true,
					.ret_pid = &answer->pid };
	char path[FD_PATH_MAX];
	int status;
	int r = spec < 0 ? spec : streams_start_logger(a->streams, a->id, a->ns, err);

	if (r == 0)
		r = listen_console(a->streams, a->bundle, &console, err);
	if (r == 0)
		r = container_load(&a->settings->rt, a->id, false, &c, err);
	if (r < 0)
		return r;
	options.process = fd_path(spec, path);
	options.console_socket = console.fd >= 0 ? console.path : NULL;
	r = container_exec(c, &options, &status, err);
	if (r == 0 && console.fd >= 0) {
		answer->fd = console_take(&console, err);
		/* It runs, and has no terminal that anybody could reach: that is for its caller to
		 * see. */
		if (answer->fd < 0)
			log_warning("container %s: exec %s: %s", a->id, a->exec_id, err->msg);
	}
	return r;
}

/* ---- kill and update ---- */

int job_kill(void *arg, struct worker_answer *answer, struct err *err)
{
	const struct kill_args *a = arg;
	AUTO_CONTAINER struct container *c = NULL;
	int r = container_load(&a->settings->rt, a->id, true, &c, err);

	(void)answer;
	/* Who is at work for so long may be waiting for what is to end. */
	if (r == -EBUSY && a->signal == SIGKILL)
		r = container_load(&a->settings->rt, a->id, false, &c, err);
	return r < 0 ? r : container_kill(c, a->signal, a->all, err);
}

int job_update(void *arg, struct worker_answer *answer, struct err *err)
{
	const struct update_args *a = arg;
	AUTO_CONTAINER struct container *c = NULL;
	struct oci_spec *spec = NULL;
	int r = oci_resources_parse((const char *)a->resources->value.data, a->resources->value.len,
				    "resources", &spec, err);

	(void)answer;
	if (r < 0)
		return r;
	r = container_load(&a->settings->rt, a->id, true, &c, err);
	if (r == 0)
		r = container_update(c, &spec->linux.resources, err);
	oci_spec_free(spec);
	return r;
}
