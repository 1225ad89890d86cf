/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/full.h"

#include <errno.h>
#include <string.h>

#include "sentry/core/hostfd.h"
#include "sentry/platform/platform.h"
#include "sentry/task/container.h"

static int set_reason(const struct container *c, int r, struct err *ret)
{
	const enum hostfd_for what = r == -EAGAIN ? HOSTFD_PROCESS : HOSTFD_GUEST;
	unsigned int most = 0;

	if (r == -EAGAIN && c && c->tasks >= c->tasks_max)
		return err_set(ret, r, "container %s has all %u tasks that it may have", c->id,
			       c->tasks_max);
	if (hostfd_is_full(what, &most))
		return err_set(ret, r, "its sandbox has all %u descriptors open that %s may use",
			       most, what == HOSTFD_GUEST ? "guests" : "processes");
	if (r != -EAGAIN)
		return 0;
	if (platform->threads && platform->threads(&most) >= most)
		return err_set(ret, r, "its sandbox has all %u threads that it may have", most);
	return err_set(ret, r,
		       "its sandbox has room, and is given no process by the host (pids.max of its "
		       "cgroup?)");
}

int full_explain(const struct container *c, int r, struct err *err)
{
	struct err reason = { 0 };
	char first[ERR_MSG_MAX];

	if ((r != -EAGAIN && r != -EMFILE && r != -ENFILE) || set_reason(c, r, &reason) == 0)
		return r;
	memcpy(first, err->msg, sizeof(first));
	first[sizeof(first) - 1] = '\0';
	return err_set(err, r, "%.240s: %.240s", first, reason.msg);
}
