/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of containers, their start, their limits and their end.
 */
#include "agent/container.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/container_internal.h"
#include "agent/shell.h"
#include "agent/worker.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/pidfd.h"

#define CGROUP_NAME_MAX 255  /* bytes; NAME_MAX */
#define MAKER_MS	1000 /* for who was making it; who hangs in the kernel makes nothing there */

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

void container_free(struct container *c)
{
	struct process *p;

	if (!c)
		return;
	list_del(&c->node);
	list_for_each(p, &c->agent->processes, node)
	{
		if (p->container == c)
			p->container = NULL;
	}
	loop_remove(c->oom);
	auto_close_p(&c->oom_fd);
	cgroup_free(c->cgroup);
	cgroup_free(c->shells);
	for (size_t i = 0; i < c->storages.len; i++)
		free(c->storages.targets[i]);
	c->agent->containers_len--;
	volumes_done(&c->volumes);
	free(c->root);
	free(c->id);
	free(c);
}

/* The id becomes the name of a cgroup. */
static bool is_id(const char *id)
{
	const size_t len = strlen(id);

	return len > 0 && len <= CGROUP_NAME_MAX && !strchr(id, '/') && !strchr(id, '\n') &&
	       !str_eq(id, ".") && !str_eq(id, "..");
}

static int new_cgroup(const struct agent *a, const char *suffix, const char *id,
		      struct cgroup **ret, struct err *err)
{
	AUTO_FREE char *path = NULL;
	struct cgroup_options options = { .id = id, .program = a->program };

	if (str_printf(&path, "%s%s/%s", a->cgroups, suffix, id) < 0)
		return err_sys(err, -ENOMEM, "container %s", id);
	options.path = path;
	return cgroup_new(&options, ret, err);
}

int container_allow_shell(struct container *c, const char *root, struct err *err)
{
	c->root = strdup(root);
	return c->root ? new_cgroup(c->agent, "-shells", c->id, &c->shells, err)
		       : err_sys(err, -ENOMEM, "root.path");
}

int container_new(struct agent *a, const char *id, struct container **ret, struct err *err)
{
	struct container *c;
	int r;

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
	c->oom_fd = -EBADF;
	c->id = strdup(id);
	r = c->id ? new_cgroup(a, "", id, &c->cgroup, err)
		  : err_sys(err, -ENOMEM, "container %s", id);
	if (r < 0)
		container_free(c);
	else
		*ret = c;
	return r;
}

void container_gate(const struct container *c, char name[static GATE_NAME_MAX])
{
	(void)snprintf(name, GATE_NAME_MAX, "%u", c->number);
}

/* ---- Start ---------------------------------------------------------------------------------- */

typedef void (*deleted_fn)(void *owner, const struct err *result);
static int begin_delete(struct container *c, deleted_fn done, struct err *err);
static void delete_done(void *owner, const struct err *result);

static int run_start(struct worker *w, void *arg, struct err *err)
{
	struct container *c = arg;
	char name[GATE_NAME_MAX];
	int r;

	(void)w;
	container_gate(c, name);
	r = ns_knock(c->agent->gates, name, NULL, NULL, err);
	if (r == 0)
		(void)unlinkat(c->agent->gates, name, 0);
	return r;
}

static void start_done(void *owner, const struct err *result)
{
	struct container *c = owner;

	struct err err = { 0 };

	c->started = result->code == 0;
	agent_answer(c->agent, c->start_serial, AGENT_START, result->code, NULL, result);
	if (c->deleting && !c->cleaned && begin_delete(c, delete_done, &err) < 0)
		delete_done(c, &err);
}

int container_start(struct container *c, uint32_t serial, struct err *err)
{
	const struct worker_job job = { .call = AGENT_START,
					.serial = serial,
					.container = c,
					.run = run_start,
					.arg = c,
					.done = start_done,
					.owner = c };

	if (!c->init || c->init->exited)
		return err_set(err, -ESRCH, "container %s has ended", c->id);
	if (c->started || worker_serves(c->agent, c, AGENT_START))
		return err_set(err, -EINVAL, "container %s is started already", c->id);
	c->start_serial = serial;
	return worker_start(c->agent, &job, err);
}

/* ---- Limits --------------------------------------------------------------------------------- */

struct update {
	struct container *container;
	uint32_t serial;
	struct oci_spec *spec; /* owned */
};

static int run_update(struct worker *w, void *arg, struct err *err)
{
	const struct update *u = arg;
	const struct container *c = u->container;
	int r = cgroup_apply(c->cgroup, &u->spec->linux.resources, true, err);

	(void)w;
	/* Those that run have the container's limits, too. */
	if (r == 0 && c->shells && cgroup_exists(c->shells))
		r = shell_cgroup(c->cgroup, c->shells, err);
	return r;
}

static void update_free(struct update *u)
{
	if (u)
		oci_spec_free(u->spec);
	free(u);
}
DEFINE_AUTO(struct update *, update_free);

static void update_done(void *owner, const struct err *result)
{
	struct update *u = owner;

	agent_answer(u->container->agent, u->serial, AGENT_UPDATE, result->code, NULL, result);
	update_free(u);
}

/* Memory is taken from who has too much of it before the call returns. */
int container_update(struct container *c, uint32_t serial, const struct agent_update *call,
		     struct err *err)
{
	AUTO(update_free_p) struct update *u = calloc(1, sizeof(*u));
	struct worker_job job = { .call = AGENT_UPDATE,
				  .serial = serial,
				  .container = c,
				  .run = run_update,
				  .arg = u,
				  .done = update_done,
				  .owner = u };
	int r;

	if (!u)
		return err_sys(err, -ENOMEM, "update");
	if (worker_serves(c->agent, c, AGENT_CREATE))
		return err_set(err, -EAGAIN, "container %s is not made yet", c->id);
	u->container = c;
	u->serial = serial;
	r = container_config(&call->config, &u->spec, err);
	if (r == 0)
		r = worker_start(c->agent, &job, err);
	if (r > 0)
		(void)TAKE_PTR(u);
	return r;
}

/* ---- The end -------------------------------------------------------------------------------- */

static int clean_cgroup(struct cgroup *cg, struct err *err)
{
	const int r = cgroup_exists(cg) ? cgroup_signal_all(cg, SIGKILL, err) : 0;

	return r == 0 || r == -ENOENT ? cgroup_remove(cg, err) : r;
}

int container_clean(const struct container *c, struct storage_list *storages, struct err *err)
{
	struct err problem = { 0 };
	int shells = c->shells ? clean_cgroup(c->shells, &problem) : 0;
	int r = clean_cgroup(c->cgroup, shells < 0 ? NULL : &problem);
	int unmounted;

	r = shells < 0 ? shells : r;
	/*
	 * What its processes wrote is at the host: virtio-fs writes through, dirty maps were
	 * written when the last process let go of them, and an unmounted file system is written
	 * back.
	 */
	unmounted = storage_unmount_all(storages, r < 0 ? NULL : &problem);
	if (r == 0)
		r = unmounted;
	return r < 0 ? err_set(err, r, "%s", problem.msg) : 0;
}

struct deletion {
	struct container *container;
	int maker; /* a pidfd, borrowed; or negative */
};

static int run_delete(struct worker *w, void *arg, struct err *err)
{
	const struct deletion *d = arg;

	(void)w;
	/* It was killed, and may be about to make the cgroup. */
	if (d->maker >= 0)
		(void)pidfd_wait(d->maker, MAKER_MS);
	return container_clean(d->container, &d->container->storages, err);
}

static void delete_done(void *owner, const struct err *result)
{
	struct container *c = owner;
	struct agent *a = c->agent;
	const uint32_t serial = c->delete_serial;

	container_free(c);
	agent_answer(a, serial, AGENT_DELETE, result->code, NULL, result);
}

static void drop_done(void *owner, const struct err *result)
{
	struct container *c = owner;

	if (result->code < 0)
		log_warning("container %s: %s", c->id, result->msg);
	container_free(c);
}

static int begin_delete(struct container *c, deleted_fn done, struct err *err)
{
	struct deletion deletion = { .container = c };
	struct worker_job job = { .call = AGENT_DELETE,
				  .serial = c->delete_serial,
				  .container = c,
				  .run = run_delete,
				  .arg = &deletion,
				  .keep = &deletion.maker,
				  .keep_len = 1,
				  .done = done,
				  .owner = c };
	char name[GATE_NAME_MAX];

	c->cleaned = true;
	worker_cancel_all(c->agent, c);
	deletion.maker = worker_given_up(c->agent, c, AGENT_CREATE);
	container_gate(c, name);
	(void)unlinkat(c->agent->gates, name, 0);
	if (c->init && !c->init->exited)
		(void)pidfd_kill(c->init->pidfd, SIGKILL);
	return worker_start(c->agent, &job, err);
}

int container_delete(struct container *c, uint32_t serial, struct err *err)
{
	int r;

	c->deleting = true;
	c->delete_serial = serial;
	/* Its first process has ended: who starts it has the result, or will in a moment. */
	if (!c->init && worker_serves(c->agent, c, AGENT_START))
		return 1;
	r = begin_delete(c, delete_done, err);
	if (r < 0)
		container_free(c);
	return r;
}

void container_drop(struct container *c)
{
	struct err err = { 0 };

	c->deleting = true;
	if (begin_delete(c, drop_done, &err) < 0)
		drop_done(c, &err);
}
