/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/container.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "vmm/channel.h"
#include "vmm/control.h"
#include "vmm/end.h"
#include "vmm/process.h"
#include "vmm/vm.h"
#include "vmm/watch.h"

#define GONE "container not running"

/* ---- Records ---- */

struct container *container_find(const struct vm *vm, const char *id)
{
	struct container *c;

	list_for_each(c, &vm->containers, node)
	{
		if (c->phase != CONTAINER_OVER && str_eq(c->id, id))
			return c;
	}
	return NULL;
}

int container_new(struct vm *vm, const char *id, struct container **ret, struct err *err)
{
	const struct container *each;
	struct container *c;
	unsigned int n = 0;

	if (container_find(vm, id))
		return err_set(err, -EEXIST, "the machine has a container %s already", id);
	list_for_each(each, &vm->containers, node) n++;
	if (n >= CONTAINERS_MAX)
		return err_set(err, -EMFILE, "a machine has %u containers at most", CONTAINERS_MAX);
	c = calloc(1, sizeof(*c));
	if (c)
		c->id = strdup(id);
	if (!c || !c->id) {
		free(c);
		return err_sys(err, -ENOMEM, "container %s", id);
	}
	c->vm = vm;
	c->code = VM_EXIT_LOST;
	list_init(&c->askers);
	c->freezer = -EBADF;
	c->freezing = SENTRY_FREEZE_FOLLOW;
	list_add_tail(&c->node, &vm->containers);
	*ret = c;
	return 0;
}

void container_let_go(struct container *c)
{
	const struct process *p;

	if (c->phase != CONTAINER_OVER || c == c->vm->first || control_speaks_of(c))
		return;
	list_for_each(p, &c->vm->processes, node)
	{
		if (p->container == c)
			return;
	}
	channel_disown(c->vm->channel, c);
	list_del(&c->node);
	free(c->id);
	auto_close_p(&c->freezer);
	/* Whoever still speaks of it shall fall, and not find what it was. */
	explicit_bzero(c, sizeof(*c));
	free(c);
}

/* ---- The gate ---- */

static void on_started(void *arg, int error, const void *answer)
{
	struct container *c = arg;
	container_started_fn *fn = c->started;
	void *fn_arg = c->started_arg;

	c->starting = false;
	c->started = NULL;
	c->started_arg = NULL;
	if (error == 0 && c->phase == CONTAINER_WAITS)
		c->phase = CONTAINER_RUNS;
	if (error == 0 && c == c->vm->first) {
		c->vm->phase = c->vm->phase == VM_WAITS ? VM_RUNS : c->vm->phase;
		c->vm->times.started = vm_now_ns();
	}
	if (error == 0)
		process_open_input(c->init);
	if (fn)
		fn(fn_arg, error, error ? answer : "");
}

int container_start(struct container *c, container_started_fn *fn, void *arg, struct err *err)
{
	const struct agent_container request = { .id = c->id };
	const struct channel_call call = {
		.call = AGENT_START, .request = &request, .fn = on_started, .arg = c
	};
	int r;

	if (c->phase != CONTAINER_WAITS || c->starting)
		return err_set(err, -EINVAL, "the container has been started");
	r = channel_ask(c->vm->channel, &call, err);
	if (r < 0)
		return r;
	c->starting = true;
	c->started = fn;
	c->started_arg = arg;
	return 0;
}

void container_forget(struct vm *vm, const void *arg)
{
	struct container *c;

	list_for_each(c, &vm->containers, node)
	{
		if (c->started_arg == arg) {
			c->started = NULL;
			c->started_arg = NULL;
		}
	}
}

/* ---- The end ---- */

void container_over(struct container *c)
{
	c->phase = CONTAINER_OVER;
	watch_stop(c);
	control_stop(c, c->code, GONE);
	container_let_go(c);
}

static void on_deleted(void *arg, int error, const void *answer)
{
	struct container *c = arg;
	struct vm *vm = c->vm;

	if (error)
		log_warning("container %s: DELETE in its machine: %s", c->id, (const char *)answer);
	else
		log_debug("container %s: has left its machine", c->id);
	container_over(c);
	end_go_on(vm);
}

static void ask_delete(struct container *c)
{
	const struct agent_container request = { .id = c->id };
	const struct channel_call call = {
		.call = AGENT_DELETE, .request = &request, .fn = on_deleted, .arg = c
	};
	struct err err = { 0 };

	if (!channel_has_room(c->vm->channel))
		return; /* container_go_on() */
	c->deleting = channel_ask(c->vm->channel, &call, &err) == 0;
	if (!c->deleting)
		log_warning("container %s: %s", c->id, err.msg);
}

void container_end(struct container *c)
{
	if (c->phase == CONTAINER_OVER)
		return;
	c->phase = CONTAINER_ENDS;
	if (!c->deleting)
		ask_delete(c);
}

void container_go_on(struct vm *vm)
{
	struct container *c;

	list_for_each(c, &vm->containers, node)
	{
		if (c->phase == CONTAINER_ENDS && !c->deleting && c != vm->first)
			ask_delete(c);
	}
}
