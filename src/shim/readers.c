/* SPDX-License-Identifier: Apache-2.0 */
/* shim/readers.c - calls whose processes write to a client that opens its ends in its own time. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "shim/service.h"

#define READERS_MAX_MS	 10000
#define READERS_CHECK_MS 5

static void on_readers_timer(void *arg);

/* Whether there is anything to begin still. */
static int check_begin(const struct operation *o, struct err *err)
{
	const struct task *t = o->task;

	if (!operation_is_wanted(o))
		return err_set(err, -ECANCELED, "it was given up meanwhile");
	if (t->init.ended || t->deleting)
		return err_set(err, -EBUSY, "container %s has stopped", t->id);
	return 0;
}

/* False: it has waited for long enough. */
static bool goes_on_waiting(struct operation *o)
{
	struct loop *loop = o->task->shim->loop;

	if (clock_ms() >= o->readers_ms)
		return false;
	return (o->readers_timer ? loop_set_timer(o->readers_timer, READERS_CHECK_MS)
				 : loop_add_timer(loop, READERS_CHECK_MS, on_readers_timer, o,
						  &o->readers_timer)) == 0;
}

static void on_readers_timer(void *arg)
{
	struct operation *o = arg;
	struct streams *streams = &o->proc->streams;
	const struct settings *settings = o->task->settings;
	struct err err = { 0 };
	int r = check_begin(o, &err);

	if (r == 0)
		r = streams_open(streams, true, &err);
	if (r == -EAGAIN && goes_on_waiting(o))
		return;
	loop_remove(TAKE_PTR(o->readers_timer));
	if (r == -EAGAIN)
		r = streams_open(streams, false, &err);
	if (r == 0 && (settings->io_uid || settings->io_gid))
		r = streams_own(streams, settings->io_uid, settings->io_gid, &err);
	o->begin(o, r, &err);
}

void operation_when_read(struct operation *o, operation_begin_fn *begin)
{
	o->begin = begin;
	o->readers_ms = clock_ms() + READERS_MAX_MS;
	on_readers_timer(o);
}
