/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/pause.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "host/cgroup.h"
#include "runtime/container.h"
#include "runtime/sandbox/client.h"

static int ask(const struct container *c, uint32_t type, enum sentry_freeze what, int *ret_hold,
	       struct err *err)
{
	AUTO_CLOSE int file = cgroup_open_freezer(c->cgroup, err);
	const struct client_call call = {
		.of = c, .request = { .type = type, .value = what }, .fds = &file, .fds_len = 1
	};

	return file < 0 ? file : client_hold(c, &call, ret_hold, err);
}

int pause_ask(const struct container *c, uint32_t type, bool frozen, int *ret_hold, struct err *err)
{
	enum sentry_freeze what = frozen ? SENTRY_FREEZE_HOLD : SENTRY_FREEZE_THAW;

	if (!c->cgroup)
		return err_set(err, -ENOTSUP, "container %s has no cgroup to %s", c->id,
			       frozen ? "freeze" : "thaw");
	/* Of several that wait until it goes on none may be true for a moment. */
	if (container_sandbox_is_paused(c))
		what = SENTRY_FREEZE_FOLLOW;
	return ask(c, type, what, ret_hold, err);
}

static void settle(const struct container *listed, uint32_t type)
{
	AUTO(container_free_p) struct container *c = NULL;
	AUTO_CLOSE int hold = -EBADF;
	struct err problem = { 0 };

	/* One that is being made answers when it is, which may last, and cannot be paused. */
	if (container_load(listed->runtime, listed->id, false, &c, &problem) < 0 || c->pid == 0 ||
	    c->status == OCI_CREATING || !c->cgroup)
		return;
	if (ask(c, type, SENTRY_FREEZE_FOLLOW, &hold, &problem) < 0)
		log_warning("container %s: %s", c->id, problem.msg);
}

void pause_settle(const struct container *sandbox, uint32_t type)
{
	struct container **list = NULL;
	struct err problem = { 0 };
	size_t len = 0;

	if (container_list(sandbox->runtime, &list, &len, &problem) < 0)
		log_warning("container %s: %s", sandbox->id, problem.msg);
	for (size_t i = 0; i < len; i++) {
		if (str_eq(list[i]->sandbox, sandbox->id))
			settle(list[i], type);
	}
	container_list_free(list, len);
}
