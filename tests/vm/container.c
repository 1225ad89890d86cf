/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/container.h"

#include "lib/unit.h"

#include <stdio.h>

static void add_process(struct buf *b, const struct container_plan *p, const char *command)
{
	(void)buf_printf(
		b,
		"\"process\":{\"terminal\":%s,\"user\":{\"uid\":%u,\"gid\":%u},\"cwd\":\"/\","
		"\"env\":[\"PATH=/bin\"],\"args\":[\"/bin/sh\",\"-c\",\"%s\"]}",
		p->terminal ? "true" : "false", p->uid, p->gid, command);
}

static void number_streams(struct host *h, struct container_plan *p, struct agent_io *io)
{
	static uint32_t next;

	p->in = next++ % (HOST_STREAMS - 2) + 1;
	host_stream(h, p->in);
	p->out = p->in;
	p->err = 0;
	if (!p->terminal) {
		p->out = next++ % (HOST_STREAMS - 2) + 1;
		p->err = next++ % (HOST_STREAMS - 2) + 1;
		host_stream(h, p->out);
		host_stream(h, p->err);
	}
	*io = (struct agent_io){ .in = p->in,
				 .out = p->out,
				 .err = p->err,
				 .terminal = p->terminal,
				 .rows = p->terminal ? 24 : 0,
				 .cols = p->terminal ? 80 : 0 };
}

uint32_t container_make_begin(struct host *h, struct container_plan *p)
{
	AUTO_BUF struct buf config = { 0 };
	AUTO_FREE struct agent_create *call = calloc(1, sizeof(*call));

	assert_non_null(call);
	(void)buf_printf(&config, "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"%s\"},", p->root);
	add_process(&config, p, p->command);
	(void)buf_printf(&config,
			 ",\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\","
			 "\"source\":\"proc\"},{\"destination\":\"/dev\",\"type\":\"tmpfs\","
			 "\"source\":\"tmpfs\",\"options\":[\"mode=755\"]},{\"destination\":"
			 "\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":["
			 "\"newinstance\",\"ptmxmode=0666\"]},{\"destination\":\"/dev/shm\","
			 "\"type\":\"tmpfs\",\"source\":\"shm\"}],\"linux\":{\"namespaces\":[{"
			 "\"type\":\"mount\"},%s,{\"type\":\"cgroup\"}],\"resources\":{\"memory\":{"
			 "\"limit\":"
			 "67108864}}%s}%s}",
			 p->namespaces ? p->namespaces
				       : "{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}",
			 p->maps ? p->maps : "", p->more ? p->more : "");
	assert_int_equal(buf_error(&config), 0);
	call->id = p->id;
	call->flags = p->shell ? AGENT_CREATE_SHELL : 0;
	call->config = (struct agent_bytes){ config.data, (uint32_t)config.len };
	if (p->storage) {
		call->storages[0] = *p->storage;
		call->storages_len = 1;
	}
	number_streams(h, p, &call->io);
	return host_begin(h, AGENT_CREATE, call);
}

/* What CREATE and EXEC are answered. */
static int await_process(struct host *h, enum agent_call call, uint32_t serial, int32_t *ret_pid)
{
	const int r = host_await(h, serial);
	struct agent_pid pid = { 0 };
	struct err err = { 0 };

	if (r == 0 && agent_answer_decode(call, h->answer.data, h->answer.len, &pid, &err))
		fail_msg("%s", err.msg);
	*ret_pid = pid.pid;
	return r;
}

int container_try(struct host *h, struct container_plan *p, int32_t *ret_pid)
{
	return await_process(h, AGENT_CREATE, container_make_begin(h, p), ret_pid);
}

int32_t container_make(struct host *h, struct container_plan *p)
{
	int32_t pid = 0;

	if (container_try(h, p, &pid) < 0)
		fail_msg("CREATE: %s", h->answer.data);
	assert_true(pid > 1);
	return pid;
}

int container_begin(struct host *h, const struct container_plan *p)
{
	const struct agent_container call = { p->id };

	return host_ask(h, AGENT_START, &call, NULL);
}

uint32_t container_run_begin(struct host *h, struct container_plan *p, const char *command)
{
	AUTO_BUF struct buf config = { 0 };
	struct agent_exec call = { .id = p->id,
				   .cgroup = "",
				   .flags = p->shell ? AGENT_EXEC_SHELL : 0 };

	(void)buf_puts(&config, "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"/\"},");
	add_process(&config, p, command);
	(void)buf_puts(&config, "}");
	assert_int_equal(buf_error(&config), 0);
	call.config = (struct agent_bytes){ config.data, (uint32_t)config.len };
	number_streams(h, p, &call.io);
	return host_begin(h, AGENT_EXEC, &call);
}

int container_run(struct host *h, struct container_plan *p, const char *command, int32_t *ret_pid)
{
	return await_process(h, AGENT_EXEC, container_run_begin(h, p, command), ret_pid);
}

void container_kill(struct host *h, const struct container_plan *p, int signal)
{
	const struct agent_signal call = { .id = p->id, .signal = (uint32_t)signal };

	host_must(h, AGENT_SIGNAL, &call, NULL);
}

void container_end(struct host *h, const struct container_plan *p)
{
	const struct agent_container call = { p->id };

	host_must(h, AGENT_DELETE, &call, NULL);
}
