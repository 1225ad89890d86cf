/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/boot.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/channel.h"
#include "vmm/container.h"
#include "vmm/control.h"
#include "vmm/description.h"
#include "vmm/end.h"
#include "vmm/forward.h"
#include "vmm/monitor.h"
#include "vmm/patience.h"
#include "vmm/process.h"
#include "vmm/report.h"
#include "vmm/text.h"
#include "vmm/vm.h"
#include "vmm/watch.h"
#include "wire/agent_codec.h"

#define ENTROPY_BYTES 64

static struct loop_source *patience; /* with HELLO */
static uint64_t patience_due;	     /* vm_now_ns() */
static struct loop_source *go_source;

static void refused(struct vm *vm, enum agent_call call, int error, const char *text)
{
	struct err err = { 0 };

	/* Of the container itself the sentence is the user's. */
	if (!text[0])
		(void)err_sys(&err, error, "agent: %s", agent_call_name(call));
	else if (call == AGENT_CREATE || call == AGENT_START)
		(void)err_set(&err, error, "%s", text);
	else
		(void)err_set(&err, error, "agent: %s: %s", agent_call_name(call), text);
	end_refused(vm, &err);
}

/* ---- The gate ---- */

static void on_run(void *arg, int error, const char *text)
{
	struct vm *vm = arg;

	if (error) {
		refused(vm, AGENT_START, error, text);
		return;
	}
	report_say(SENTRY_REPORT_STARTED, NULL);
	report_close();
}

/* READY has been said: what next? */
static void on_go(void *arg, int fd, uint32_t events)
{
	struct vm *vm = arg;
	char go = 0;
	const ssize_t n = recv(fd, &go, 1, MSG_DONTWAIT);
	struct err err = { 0 };

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	loop_remove(go_source);
	go_source = NULL;
	if (n == 1 && go == SENTRY_GO_RELEASE && vm->phase == VM_WAITS) {
		report_close();
		return;
	}
	if (n == 1 && go == SENTRY_GO_START && vm->phase == VM_WAITS) {
		if (container_start(vm->first, on_run, vm, &err) < 0)
			end_refused(vm, &err);
		return;
	}
	/* Nobody wants the container any more, or it is spoken for before it is there. */
	report_close();
	(void)err_set(&err, -ECANCELED, "the runtime has gone during the start");
	end_refused(vm, &err);
}

/* ---- The container ---- */

static void on_init_end(void *arg, int code)
{
	end_exited(arg, code);
}

static void on_created(void *arg, int error, const void *answer)
{
	struct vm *vm = arg;
	const struct agent_pid *pid = answer;
	struct err err = { 0 };
	int r;

	if (error) {
		process_free(vm->first->init);
		refused(vm, AGENT_CREATE, error, answer);
		return;
	}
	if (process_set_pid(vm->first->init, pid->pid, &err) < 0) {
		end_failed(vm, &err);
		return;
	}
	vm->times.created = vm_now_ns();
	vm->phase = VM_WAITS;
	vm->first->phase = CONTAINER_WAITS;
	r = control_start(vm, &err);
	if (r == 0 && vm->head.flags & VMM_WATCHES)
		r = watch_start(vm->first, VMM_FD_WATCH, &err);
	if (r == 0 && vm->head.flags & VMM_FORWARDS)
		r = forward_start(vm, &err);
	if (r < 0) {
		end_refused(vm, &err);
		return;
	}
	log_debug("container %s: waits at its gate as process %d of its machine", vm->id, pid->pid);
	report_say(SENTRY_REPORT_READY, NULL);
}

static int create(struct vm *vm, struct err *err)
{
	struct agent_create *request = &vm->description->create;
	const struct channel_call call = {
		.call = AGENT_CREATE, .request = request, .fn = on_created, .arg = vm
	};
	const struct process_stdio stdio = { .fd = { vm->stdio[0], vm->stdio[1], vm->stdio[2] },
					     .carried = vm->head.flags,
					     .input_waits = true };
	int r = container_new(vm, vm->id, &vm->first, err);

	if (r == 0)
		r = process_new(vm->first, &stdio, &request->io, &vm->first->init, err);
	if (r < 0)
		return r;
	request->flags = vm->head.flags & VMM_DEBUG_CONSOLE ? AGENT_CREATE_SHELL : 0;
	vm->first->init->fn = on_init_end;
	vm->first->init->arg = vm;
	return channel_ask(vm->channel, &call, err);
}

/* ---- The machine ---- */

static void make_container(struct vm *vm)
{
	struct err err = { 0 };
	const int r = create(vm, &err);

	description_free(vm->description);
	vm->description = NULL;
	if (r < 0)
		end_refused(vm, &err);
}

static void on_network(void *arg, int error, const void *answer)
{
	if (error)
		refused(arg, AGENT_NETWORK, error, answer);
}

/* In one piece with the container: the agent serves them in this order. */
static void set_network(struct vm *vm)
{
	const struct channel_call call = { .call = AGENT_NETWORK,
					   .body = vm->description->network,
					   .body_len = vm->head.network_len,
					   .fn = on_network,
					   .arg = vm };
	struct err err = { 0 };

	vm->told = true;
	if (vm->description->network && channel_ask(vm->channel, &call, &err) < 0)
		end_refused(vm, &err);
	else
		make_container(vm);
}

static void on_online(void *arg, int error, const void *answer)
{
	if (error)
		refused(arg, AGENT_ONLINE, error, answer);
	else
		set_network(arg);
}

/* A template is saved with one CPU on line. */
static void on_reset(void *arg, int error, const void *answer)
{
	struct vm *vm = arg;
	const struct agent_online request = { .cpus = vm->head.cpus };
	const struct channel_call call = {
		.call = AGENT_ONLINE, .request = &request, .fn = on_online, .arg = vm
	};
	struct err err = { 0 };

	if (error)
		refused(vm, AGENT_RESET, error, answer);
	else if (monitor_plug_files(vm->monitor, &err) < 0)
		end_lost(vm, &err);
	else if (vm->head.cpus == 1)
		set_network(vm);
	else if (channel_ask(vm->channel, &call, &err) < 0)
		end_refused(vm, &err);
}

/* A clone has the template's time, and its random numbers. */
static void reset(struct vm *vm)
{
	unsigned char entropy[ENTROPY_BYTES];
	struct timespec now = { 0 };
	struct agent_reset request = { .entropy = { entropy, sizeof(entropy) }, .hostname = "" };
	const struct channel_call call = {
		.call = AGENT_RESET, .request = &request, .fn = on_reset, .arg = vm
	};
	struct err err = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	request.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
		(void)err_sys(&err, -errno, "draw random numbers for the machine");
	else
		(void)channel_ask(vm->channel, &call, &err);
	explicit_bzero(entropy, sizeof(entropy));
	if (err.code)
		end_refused(vm, &err);
}

void boot_on_hello(struct vm *vm, const struct agent_hello *hello)
{
	struct err err = { 0 };

	loop_remove(patience);
	patience = NULL;
	if (vm->times.hello) {
		(void)err_set(&err, -EPROTO, "the agent has said HELLO twice");
		end_failed(vm, &err);
		return;
	}
	if (hello->version != AGENT_VERSION) {
		(void)err_set(&err, -EPROTO,
			      "the agent in the machine's image has version %u, not %u",
			      hello->version, AGENT_VERSION);
		end_failed(vm, &err);
		return;
	}
	vm->times.hello = vm_now_ns();
	vm->hello = *hello;
	text_printable(vm->hello.release, sizeof(vm->hello.release), hello->release,
		       sizeof(hello->release));
	log_debug("container %s: the agent of its machine answers, Linux %s", vm->id,
		  vm->hello.release);
	if (vm->head.flags & VMM_RESTORED)
		reset(vm);
	else
		set_network(vm);
}

/* If the machine was stopped with us, it has its time again. */
static void on_patience(void *arg)
{
	struct vm *vm = arg;
	const uint64_t now = vm_now_ns();
	struct err err = { 0 };

	if (now > patience_due + PATIENCE_STOPPED_MS * 1000000ull) {
		patience_due = now + vm->head.boot_ms * 1000000ull;
		(void)loop_set_timer(patience, vm->head.boot_ms);
		return;
	}
	(void)err_set(&err, -ETIMEDOUT,
		      "the machine has not come up: its agent has said nothing for %u ms",
		      vm->head.boot_ms);
	end_failed(vm, &err);
}

int boot_begin(struct vm *vm, struct err *err)
{
	int r;

	patience_due = vm_now_ns() + vm->head.boot_ms * 1000000ull;
	r = loop_add_timer(vm->loop, vm->head.boot_ms, on_patience, vm, &patience);
	if (r < 0)
		return err_sys(err, r, "wait for the machine");
	r = loop_add_fd(vm->loop, VMM_FD_REPORT, EPOLLIN, on_go, vm, &go_source);
	return r < 0 ? err_sys(err, r, "wait for the runtime's word") : 0;
}
