/* SPDX-License-Identifier: Apache-2.0 */
/* DEBUG: what supervisor and guest say of themselves. Nothing here changes anything. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "vmm/channel.h"
#include "vmm/client.h"
#include "vmm/metrics.h"
#include "vmm/monitor.h"
#include "vmm/text.h"
#include "vmm/vm.h"

static void answer_buf(struct client *c, struct buf *b)
{
	if (buf_error(b)) {
		client_answer(c, 0, buf_error(b), "debug: there is too little memory");
		return;
	}
	if (b->len)
		text_printable_lines(b->data, b->len);
	client_answer_text(c, b->data, b->len);
}

static void on_text(void *arg, int error, const void *answer)
{
	struct client *c = arg;
	AUTO_BUF struct buf b = { 0 };

	if (error) {
		client_answer(c, 0, error, answer);
		return;
	}
	(void)buf_puts(&b, ((const struct agent_text *)answer)->text);
	answer_buf(c, &b);
}

/* Ours are worth telling also when the agent has none. */
static void on_metrics(void *arg, int error, const void *answer)
{
	struct client *c = arg;
	AUTO_BUF struct buf b = { 0 };

	metrics_show(c->vm, &b);
	if (!error)
		(void)buf_puts(&b, ((const struct agent_text *)answer)->text);
	answer_buf(c, &b);
}

static int ask(struct client *c, const char *what, channel_answer_fn *fn)
{
	const struct agent_debug request = { .what = what };
	const struct channel_call call = {
		.call = AGENT_DEBUG, .request = &request, .fn = fn, .arg = c
	};
	struct err err = { 0 };

	c->busy = true;
	if (channel_ask(c->vm->channel, &call, &err) < 0)
		client_answer(c, 0, err.code, err.msg);
	return 0;
}

static int console_tail(struct client *c)
{
	static char text[VM_CONSOLE_BYTES + 1];
	const size_t len =
		vm_console_tail(&monitor_facts(c->vm->monitor)->console, text, sizeof(text));

	client_answer_text(c, text, len);
	return 0;
}

int client_debug(struct client *c, uint32_t what)
{
	switch (what) {
	case VMM_DEBUG_SERIAL:
		return console_tail(c);
	case VMM_DEBUG_METRICS:
		return ask(c, "metrics", on_metrics);
	case VMM_DEBUG_TASKS:
		return ask(c, "tasks", on_text);
	case VMM_DEBUG_MOUNTS:
		return ask(c, "mounts", on_text);
	case VMM_DEBUG_DMESG:
		return ask(c, "dmesg", on_text);
	case VMM_DEBUG_OOM:
		c->watches = true;
		client_answer(c, 0, 0, NULL);
		return 0;
	default:
		client_answer(c, 0, -ENOTSUP, "debug: class vm does not know this");
		return 0;
	}
}
