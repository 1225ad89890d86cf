/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REFRESH: answered at once; a worker looks at the container's copies of volumes. There is one of
 * them: all files come from one server, and what is asked while that hangs is one more look, once
 * it does not.
 */
#include "agent/container.h"
#include "agent/worker.h"
#include "base/log.h"

static int begin(struct container *c, struct err *err);

static int run_refresh(struct worker *w, void *arg, struct err *err)
{
	const struct container *c = arg;

	(void)w;
	(void)err;
	volumes_refresh(&c->volumes);
	return 0;
}

static void refresh_done(void *owner, const struct err *result)
{
	struct container *c = owner;
	struct err err = { 0 };
	int r = 0;

	c->refreshing = false;
	if (c->deleting)
		return;
	if (result->code)
		log_warning("container %s: volumes: %s", c->id, result->msg);
	if (c->refresh_again)
		r = begin(c, &err);
	if (r < 0)
		log_warning("container %s: volumes: %s", c->id, err.msg);
}

static int begin(struct container *c, struct err *err)
{
	const struct worker_job job = { .call = AGENT_REFRESH,
					.container = c,
					.run = run_refresh,
					.arg = c,
					.done = refresh_done,
					.owner = c };
	const int r = worker_start(c->agent, &job, err);

	c->refresh_again = false;
	c->refreshing = r > 0;
	return r < 0 ? r : 0;
}

int container_refresh(struct container *c, struct err *err)
{
	if (c->volumes.len == 0)
		return 0;
	c->refresh_again = c->refreshing;
	return c->refreshing ? 0 : begin(c, err);
}
