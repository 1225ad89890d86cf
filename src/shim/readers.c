/* SPDX-License-Identifier: Apache-2.0 */
/* shim/readers.c - calls whose processes write to a client that opens its ends in its own time. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "shim/service.h"

#define READERS_MAX_MS	 10000
#define READERS_CHECK_MS 5

static void on_readers_timer(void *arg);

/* False: there is nobody to wait for any more. */
static bool goes_on_waiting(struct operation *o)
{
	struct loop *loop = o->task->shim->loop;

	if (clock_ms() >= o->readers_ms || !operation_is_wanted(o))
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
	int r = streams_open(streams, true, &err);

	if (r == -EAGAIN && goes_on_waiting(o))
		return;
	loop_remove(TAKE_PTR(o->readers_timer));
	if (!operation_is_wanted(o))
		r = err_set(&err, -ECANCELED, "it was given up meanwhile");
	else if (r == -EAGAIN)
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
