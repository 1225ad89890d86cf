/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/member.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "vmm/channel.h"
#include "vmm/client.h"
#include "vmm/container.h"
#include "vmm/control.h"
#include "vmm/description.h"
#include "vmm/end.h"
#include "vmm/process.h"
#include "vmm/vm.h"
#include "vmm/watch.h"
#include "wire/agent_codec.h"

/* What comes with VMM_JOIN, and in this order. */
enum join_fd { JOIN_DESCRIPTION, JOIN_CONTROL, JOIN_WATCH, JOIN_STDIO, JOIN_FDS = JOIN_STDIO + 3 };

static void on_init_end(void *arg, int code)
{
	struct container *c = arg;

	c->code = code;
	container_end(c);
}

/* The client may be gone: then DELETE is asked, which the agent answers behind this. */
static void on_created(void *arg, int error, const void *answer)
{
	struct container *c = arg;
	struct client *keeper = c->keeper;
	struct vm *vm = c->vm;
	struct err err = { 0 };

	if (error) {
		const bool over = !c->deleting;

		if (keeper)
			client_answer(keeper, 0, error, answer);
		/* The record may go with it. */
		process_free(c->init);
		if (over)
			container_over(c);
		end_go_on(vm);
		return;
	}
	if (c->phase == CONTAINER_OVER)
		(void)err_set(&err, -EPROTO, "the agent has made a container that it had deleted");
	else
		(void)process_set_pid(c->init, ((const struct agent_pid *)answer)->pid, &err);
	if (err.code) {
		end_failed(vm, &err);
		return;
	}
	if (c->phase == CONTAINER_NEW)
		c->phase = CONTAINER_WAITS;
	log_debug("container %s: waits at its gate as process %d of the machine of %s", c->id,
		  c->init->pid, vm->id);
	if (keeper)
		client_answer(keeper, c->init->pid, 0, NULL);
}

static int take_descriptors(struct container *c, struct request *request, struct err *err)
{
	int r = control_listen(c, TAKE_FD(request->fds[JOIN_CONTROL]), err);

	if (r == 0 && request->head.value & VMM_JOIN_WATCHES)
		r = watch_start(c, TAKE_FD(request->fds[JOIN_WATCH]), err);
	return r;
}

static int make(struct container *c, struct request *request, struct agent_create *create,
		struct err *err)
{
	const struct channel_call call = {
		.call = AGENT_CREATE, .request = create, .fn = on_created, .arg = c
	};
	struct process_stdio stdio = { .carried = request->head.value,
				       .input_waits = request->head.flags & VMM_INPUT_WAITS };
	int r;

	for (size_t i = 0; i < 3; i++)
		stdio.fd[i] = TAKE_FD(request->fds[JOIN_STDIO + i]);
	r = process_new(c, &stdio, &create->io, &c->init, err);
	if (r < 0)
		return r;
	create->flags = c->vm->head.flags & VMM_DEBUG_CONSOLE ? AGENT_CREATE_SHELL : 0;
	c->init->fn = on_init_end;
	c->init->arg = c;
	r = take_descriptors(c, request, err);
	if (r == 0)
		r = channel_ask(c->vm->channel, &call, err);
	if (r < 0)
		process_free(c->init);
	return r;
}

static int begin(struct client *k, struct request *request, struct err *err)
{
	AUTO_FREE char *bytes = NULL;
	AUTO_FREE struct agent_create *create = calloc(1, sizeof(*create));
	struct container *c = NULL;
	size_t len;
	int r = create ? description_read_sealed(request->fds[JOIN_DESCRIPTION],
						 "the description of the container",
						 AGENT_REQUEST_MAX, &bytes, &len, err)
		       : err_sys(err, -ENOMEM, "read the description");

	if (r == 0)
		r = agent_request_decode(AGENT_CREATE, bytes, len, create, err);
	if (r == 0)
		r = container_new(k->vm, create->id, &c, err);
	if (r < 0)
		return r;
	r = make(c, request, create, err);
	if (r < 0) {
		container_over(c);
		return r;
	}
	c->keeper = k;
	k->keeps = true;
	k->container->kept -= k->kept;
	c->kept += k->kept;
	k->container = c;
	return 0;
}

int client_join(struct client *k, struct request *request)
{
	struct err err = { 0 };
	int r;

	if (k->process || k->keeps || k->container != k->vm->first)
		r = err_set(&err, -EBUSY, "this connection has a process");
	else if (k->vm->phase != VM_WAITS && k->vm->phase != VM_RUNS)
		r = err_set(&err, -ESRCH, "container not running");
	else if (request->fds_len != JOIN_FDS)
		r = err_set(&err, -EPROTO, "%zu descriptors came with the container",
			    request->fds_len);
	else
		r = begin(k, request, &err);
	k->busy = r == 0;
	if (r < 0)
		client_answer(k, 0, r, err.msg);
	return 0;
}

/* A directory that can be written to, who serves the files, and how much memory there is. */
static int send_share(int sock, uint64_t memory)
{
	const int fds[] = { VMM_FD_SHARE, VMM_FD_FILES_PROCESS };
	struct sentry_reply reply = { .type = VMM_SHARE, .value = (int32_t)(memory >> 20) };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { &reply, sizeof(reply) };
	const struct msghdr msg = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = &control,
				    .msg_controllen = sizeof(control.bytes) };

	control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(fds)),
					 .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
	return sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int client_share(struct client *k)
{
	if (!(k->vm->head.flags & VMM_SHARES)) {
		client_answer(k, 0, -ENOTSUP,
			      "the machine was not started for a pod: it takes no more files");
		return 0;
	}
	return list_empty(&k->out) ? send_share(k->fd, k->vm->memory) : -EPROTO;
}
