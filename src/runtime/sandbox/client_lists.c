/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of many messages, the last of which has no items: processes, text. Both are a guest's in
 * parts; nothing in them moves a terminal's cursor.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "runtime/sandbox/client.h"

#define PROCESSES_MAX 65536u /* more than a supervisor serves */

static void take_process(const struct sentry_ps *from, struct container_process *ret)
{
	*ret = (struct container_process){ .pid = from->pid,
					   .ppid = from->ppid,
					   .uid = from->uid,
					   .threads = from->threads,
					   .start_ns = from->start_ns,
					   .cpu_ns = from->cpu_ns,
					   .state = from->state >= 'A' && from->state <= 'Z'
							    ? from->state
							    : '?' };
	for (size_t i = 0; i < sizeof(from->command) && from->command[i]; i++)
		ret->command[i] =
			from->command[i] >= ' ' && from->command[i] < 0x7f ? from->command[i] : '?';
}

int client_processes(struct container *c, struct container_process **ret, size_t *ret_len,
		     struct err *err)
{
	const struct client_call call = { .of = c, .request = { .type = SENTRY_PS } };
	AUTO_FREE struct sentry_ps *items = malloc(SENTRY_FRAME_MAX);
	AUTO_FREE struct container_process *all = NULL;
	AUTO_CLOSE int sock = client_connect(c, err);
	struct sentry_reply reply;
	size_t len = SENTRY_FRAME_MAX, count = 0;
	int r = sock;

	if (!items)
		return err_sys(err, -ENOMEM, "processes of container %s", c->id);
	if (r >= 0)
		r = client_call(sock, &call, &reply, items, &len, err);
	while (r == 0 && reply.count > 0) {
		struct container_process *grown;

		if (reply.count * sizeof(*items) != len || count + reply.count > PROCESSES_MAX)
			return client_wrong(&call, err);
		grown = realloc(all, (count + reply.count) * sizeof(*all));
		if (!grown)
			return err_sys(err, -ENOMEM, "processes of container %s", c->id);
		all = grown;
		for (uint32_t i = 0; i < reply.count; i++)
			take_process(&items[i], &all[count++]);
		len = SENTRY_FRAME_MAX;
		r = client_recv(sock, &call, &reply, items, &len, err);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(all);
	*ret_len = count;
	return 0;
}

static void append_printable(struct buf *to, char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((text[i] < ' ' || text[i] >= 0x7f) && text[i] != '\n')
			text[i] = '?';
	}
	(void)buf_append(to, text, len);
}

int client_debug(struct container *c, uint32_t what, struct buf *ret, struct err *err)
{
	const struct client_call call = { .of = c,
					  .request = { .type = SENTRY_DEBUG, .value = what } };
	AUTO_FREE char *text = malloc(SENTRY_FRAME_MAX);
	struct sentry_reply reply = { .count = 0 };
	size_t len = SENTRY_FRAME_MAX;
	AUTO_CLOSE int sock = -EBADF;
	int r;

	if (!text)
		return err_sys(err, -ENOMEM, "debug");
	sock = client_connect(c, err);
	r = sock < 0 ? sock : client_call(sock, &call, &reply, text, &len, err);
	while (r == 0 && reply.count > 0 && buf_error(ret) == 0) {
		append_printable(ret, text, len);
		len = SENTRY_FRAME_MAX;
		r = client_recv(sock, &call, &reply, text, &len, err);
	}
	return r < 0 || buf_error(ret) == 0 ? r : err_sys(err, -ENOMEM, "debug");
}
