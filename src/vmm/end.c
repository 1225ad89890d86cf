/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/end.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/log.h"
#include "vmm/channel.h"
#include "vmm/container.h"
#include "vmm/control.h"
#include "vmm/failure.h"
#include "vmm/monitor.h"
#include "vmm/process.h"
#include "vmm/report.h"
#include "vmm/vm.h"

/* A channel that ends is heard before the process that had its other end is reaped. */
#define BEHIND_MS 500

#define GONE "container not running"

static struct {
	bool failed;
	struct err why; /* of the first that failed */
	struct loop_source *timer;
	bool deleting; /* the first container's first process has ended */
	bool deleted;  /* ... and its DELETE is asked */
	bool over;     /* the loop ends: nothing that is still under way changes the code */
} end;

bool end_has_failed(const struct vm *vm)
{
	return end.failed;
}

bool end_is_known(const struct vm *vm)
{
	return end.failed || end.over;
}

/* ---- With a sentence ---- */

/*
 * A clone that nobody has told anything: another machine can take its place. Whom somebody kills
 * (the host, for want of memory) would be killed again.
 */
static bool is_no_clone(const struct vm *vm)
{
	const struct failure_facts *f = monitor_facts(vm->monitor);

	return vm->head.flags & VMM_RESTORED && !vm->told && !f->files_ended &&
	       !(f->qemu_ended && WIFSIGNALED(f->qemu_status) &&
		 WTERMSIG(f->qemu_status) == SIGKILL);
}

/* The runtime is at the other end until it lets go; later the log is all that is read. */
static void conclude(struct vm *vm, const struct err *sentence)
{
	const bool booting = vm->phase == VM_BOOTS;
	struct process *init = vm->first ? vm->first->init : NULL;
	/* Its output may still have been on its way. */
	const int code = init && init->exited ? init->code : VM_EXIT_LOST;

	vm->phase = VM_ENDS;
	end.over = true;
	report_say(is_no_clone(vm) ? SENTRY_REPORT_NO_CLONE : SENTRY_REPORT_FAILED, sentence);
	if (!booting)
		log_error("container %s: %s", vm->id, sentence->msg);
	if (init)
		process_finish(init);
	control_flush(vm, code, sentence->msg);
	loop_quit(vm->loop, booting ? VM_EXIT_BOOT : code);
}

/* The code is known, and the container's files are with virtiofsd or lost: too late to change it.
 */
static void conclude_late(struct vm *vm, const struct err *sentence)
{
	end.over = true;
	report_say(SENTRY_REPORT_FAILED, sentence);
	log_error("container %s: after its end: %s", vm->id, sentence->msg);
	control_flush(vm, vm->first->code, GONE);
	loop_quit(vm->loop, vm->first->code);
}

static void compose_and_conclude(struct vm *vm)
{
	struct err sentence = { 0 };

	monitor_read_all(vm->monitor);
	failure_compose(&end.why, monitor_facts(vm->monitor), &sentence);
	if (end.deleting)
		conclude_late(vm, &sentence);
	else
		conclude(vm, &sentence);
}

static void on_timer(void *arg)
{
	compose_and_conclude(arg);
}

static bool begin_failure(const struct err *why)
{
	if (end.failed || end.over)
		return false;
	end.failed = true;
	end.why = *why;
	return true;
}

void end_failed(struct vm *vm, const struct err *why)
{
	if (begin_failure(why))
		compose_and_conclude(vm);
}

void end_lost(struct vm *vm, const struct err *why)
{
	if (!begin_failure(why))
		return;
	if (monitor_has_ended(vm->monitor) ||
	    loop_add_timer(vm->loop, BEHIND_MS, on_timer, vm, &end.timer) < 0)
		compose_and_conclude(vm);
}

void end_on_child(struct vm *vm)
{
	if (end.timer && monitor_has_ended(vm->monitor)) {
		loop_remove(end.timer);
		end.timer = NULL;
		compose_and_conclude(vm);
	}
}

void end_refused(struct vm *vm, const struct err *why)
{
	if (begin_failure(why))
		conclude(vm, why);
}

/* ---- In order ---- */

static void on_deleted(void *arg, int error, const void *answer)
{
	struct vm *vm = arg;

	if (end.over)
		return;
	end.over = true;
	if (error)
		log_warning("container %s: DELETE in its machine: %s", vm->id,
			    (const char *)answer);
	control_flush(vm, vm->first->code, GONE);
	loop_quit(vm->loop, vm->first->code);
}

/* The others first: the machine is theirs, too, until their files are home. */
static bool others_live(const struct vm *vm)
{
	struct container *c;
	bool live = false;

	list_for_each(c, &vm->containers, node) live =
		live || (c != vm->first && c->phase != CONTAINER_OVER);
	return live;
}

static void end_others(const struct vm *vm)
{
	struct container *c;

	list_for_each(c, &vm->containers, node)
	{
		if (c != vm->first)
			container_end(c);
	}
}

void end_go_on(struct vm *vm)
{
	const struct agent_container request = { .id = vm->id };
	const struct channel_call call = {
		.call = AGENT_DELETE, .request = &request, .fn = on_deleted, .arg = vm
	};
	struct err err = { 0 };

	if (!end.deleting || end.deleted || end.failed || others_live(vm))
		return;
	end.deleted = true;
	if (channel_ask(vm->channel, &call, &err) < 0)
		end_failed(vm, &err);
}

void end_exited(struct vm *vm, int code)
{
	if (end.over || end.deleting)
		return;
	vm->phase = VM_ENDS;
	vm->first->phase = CONTAINER_ENDS;
	vm->first->code = code;
	end.deleting = true;
	channel_hurry(vm->channel);
	end_others(vm);
	end_go_on(vm);
}
