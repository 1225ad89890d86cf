/* SPDX-License-Identifier: Apache-2.0 */
/* CREATE: a container is added to the sandbox; its maker holds the connection until it ends. */
#include "sentry/boot/client.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/boot/full.h"
#include "sentry/boot/member.h"
#include "sentry/platform/platform.h"
#include "wire/sentry_codec.h"

static int read_container(int fd, struct sentry_container **ret, struct err *err)
{
	void *bytes;
	size_t len;
	int r = client_read_sealed(fd, &bytes, &len, err);

	if (r < 0)
		return r;
	r = sentry_container_decode(bytes, len, ret, err);
	free(bytes);
	return r;
}

static int judge(const struct client *c, struct err *err)
{
	if (c->process || c->is_maker)
		return err_set(err, -EBUSY, "this connection has a process");
	if (c->member != &sandbox)
		return err_set(err, -EINVAL, "only a sandbox takes containers");
	return sandbox.ended ? err_set(err, -ESRCH, "container not running") : 0;
}

static int make_nursery(struct client *c, int *ret_pidfds, struct err *err)
{
	int r = judge(c, err);

	if (r < 0)
		return r;
	if (c->nursery)
		return err_set(err, -EBUSY, "this connection has a nursery");
	if (!platform->nursery_new)
		return err_set(err, -EOPNOTSUPP, "platform %s has no nurseries", platform->name);
	r = platform->nursery_new(&c->nursery, ret_pidfds);
	return r < 0 ? full_explain(NULL, err_sys(err, r, "make a nursery"), err) : 0;
}

int client_nursery(struct client *c)
{
	const struct sentry_reply reply = { .type = SENTRY_NURSERY };
	struct err err = { 0 };
	int pidfds[SENTRY_NURSERY_FDS], r = make_nursery(c, pidfds, &err);

	return r < 0 ? client_answer(c, SENTRY_NURSERY, 0, r, &err)
		     : client_reply_fds(c, &reply, pidfds, SENTRY_NURSERY_FDS);
}

int client_placed(struct client *c)
{
	struct platform_nursery *n = c->made ? c->made->container->nursery : c->nursery;

	if (!n)
		return -EINVAL;
	platform->nursery_placed(n);
	return 0;
}

static int create(struct client *c, struct control_request *request, struct err *err)
{
	struct sentry_container *description;
	int r = judge(c, err);

	if (r < 0)
		return r;
	if (request->fds_len == 0)
		return err_set(err, -EPROTO, "no description came with the container");
	c->is_maker = true;
	r = read_container(request->fds[0], &description, err);
	if (r < 0)
		return r;
	if (request->fds_len != SENTRY_CREATE_FDS + 3 + description->process.preserve_fds) {
		sentry_container_free(description);
		return err_set(err, -EPROTO, "%zu descriptors came with the container",
			       request->fds_len);
	}
	return member_add(description, request->fds + 1, c, err);
}

int client_create(struct client *c, struct control_request *request)
{
	struct err err = { 0 };
	const int r = create(c, request, &err);

	/* It may ask again. */
	if (r < 0 && !c->made && r != -EBUSY)
		c->is_maker = false;

	return client_answer(c, SENTRY_CREATE, 0, r, &err);
}
