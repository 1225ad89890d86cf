/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps one after the other, of which most have nothing to do. Between them the loop runs: a guest
 * that takes memory, or lets it go, needs its time, and gets no more than VM_RESIZE_MS.
 */
#include "vmm/resize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "hypervisor/control.h"
#include "vmm/channel.h"
#include "vmm/container.h"
#include "vmm/end.h"
#include "vmm/monitor.h"
#include "vmm/patience.h"
#include "vmm/vm.h"
#include "wire/agent_codec.h"

#define LOOK_MS	    20	/* between two looks at what the guest has taken */
#define WAITING_MAX 64u /* updates behind the one that is under way */

enum step {
	GROW_MEMORY,
	GROW_CPUS,
	INSIDE,
	SHRINK_CPUS,
	UNPLUG_CPUS,
	SHRINK_MEMORY,
	DONE,
};

/* One that was asked for; whoever asked may have gone. */
struct job {
	struct list_head node; /* of waiting */
	char *id;	       /* owned: the container's */
	struct vmm_update want;
	char *body; /* owned */
	size_t len;
	resize_done_fn *fn; /* NULL: nobody waits for it */
	void *arg;
};

static struct list_head waiting = LIST_HEAD_INIT(waiting);
static unsigned int waiting_len;

static struct {
	struct vm *vm;	 /* NULL: none is under way */
	struct job *job; /* owned */
	struct vmm_update want;
	uint64_t was_memory;
	uint32_t was_cpus;
	enum step step;
	bool late;	  /* UPDATE is cancelled */
	int64_t deadline; /* clock_ms() */
	struct loop_source *timer;
} u;

static void go_on(void);
static void begin_next(struct vm *vm);

static void job_free(struct job *job)
{
	if (!job)
		return;
	free(job->id);
	free(job->body);
	free(job);
}

static void done(int error, const char *text)
{
	struct job *job = u.job;
	struct vm *vm = u.vm;

	loop_remove(u.timer);
	memset(&u, 0, sizeof(u));
	if (job->fn)
		job->fn(job->arg, error, text);
	job_free(job);
	begin_next(vm);
}

/* ---- The machine ---- */

static int ask_memory(uint64_t memory, struct err *err)
{
	struct qmp *qmp = monitor_qmp(u.vm->monitor);

	if (!qmp)
		return err_set(err, -EAGAIN, "QEMU does not answer");
	return monitor_called(u.vm->monitor,
			      hypervisor_qemu.plug_memory(qmp, memory - u.vm->head.memory, err),
			      err);
}

static int look_at_memory(uint64_t *ret, struct err *err)
{
	struct qmp *qmp = monitor_qmp(u.vm->monitor);
	int r;

	if (!qmp)
		return err_set(err, -EAGAIN, "QEMU does not answer");
	r = monitor_called(u.vm->monitor, hypervisor_qemu.plugged_memory(qmp, ret, err), err);
	*ret += r == 0 ? u.vm->head.memory : 0;
	return r;
}

static int ask_online(uint32_t cpus, channel_answer_fn *fn, struct err *err)
{
	const struct agent_online request = { .cpus = cpus };
	const struct channel_call call = {
		.call = AGENT_ONLINE, .request = &request, .fn = fn, .arg = &u
	};

	return channel_ask(u.vm->channel, &call, err);
}

/* As it was, as far as that goes without anybody's waiting. */
static void undo(void)
{
	struct err err = { 0 };
	int r = 0;

	if (u.vm->memory != u.was_memory)
		r = ask_memory(u.was_memory, &err);
	u.vm->memory = u.was_memory;
	if (r == 0 && u.vm->cpus_online != u.was_cpus)
		r = ask_online(u.was_cpus, NULL, &err);
	u.vm->cpus_online = u.was_cpus;
	if (r < 0)
		log_warning("container %s: an update that failed is not undone: %s", u.vm->id,
			    err.msg);
}

/* With the machine goes everybody that waits: end.c tells them. */
static void fail(const struct err *why)
{
	if (end_has_failed(u.vm))
		u.job->fn = NULL;
	else
		undo();
	done(why->code, why->msg);
}

static void wait_begins(void)
{
	u.deadline = clock_ms() + vm_limit_ms(u.vm, VM_RESIZE_MS);
}

static void look_again(void)
{
	(void)loop_set_timer(u.timer, LOOK_MS);
}

static void next(void)
{
	(void)loop_set_timer(u.timer, -1);
	u.step++;
	u.deadline = 0;
	go_on();
}

/* ---- Steps ---- */

/* Ask once, then look until the guest has followed. */
static void change_memory(uint64_t memory)
{
	struct err err = { 0 };
	uint64_t there = 0;
	int r = 0;

	if (!u.deadline) {
		wait_begins();
		r = ask_memory(memory, &err);
		u.vm->memory = memory;
	}
	if (r == 0)
		r = look_at_memory(&there, &err);
	if (r == 0 && there != memory && clock_ms() > u.deadline)
		r = err_set(&err, -EBUSY,
			    "the machine's kernel does not follow: it has %llu bytes of memory "
			    "where %llu are asked for",
			    (unsigned long long)there, (unsigned long long)memory);
	if (r < 0)
		fail(&err);
	else if (there == memory)
		next();
	else
		look_again();
}

/* A CPU that was plugged is seen inside some time after. */
static void on_online(void *arg, int error, const void *answer)
{
	struct err err = { .code = error };

	if (error == -ENOENT && clock_ms() < u.deadline) {
		look_again();
		return;
	}
	if (error) {
		(void)err_set(&err, error, "%s", (const char *)answer);
		fail(&err);
		return;
	}
	u.vm->cpus_online = u.want.cpus;
	next();
}

/* Whether they are there QEMU knows: one that was to go may go late, and while this is asked. */
static int plug_cpus(struct err *err)
{
	struct qmp *qmp = monitor_qmp(u.vm->monitor);
	int r;

	if (!qmp)
		return err_set(err, -EAGAIN, "QEMU does not answer");
	r = monitor_called(u.vm->monitor, hypervisor_qemu.plug_cpus(qmp, u.want.cpus, err), err);
	if (r == 0 && u.want.cpus > u.vm->cpus_there)
		u.vm->cpus_there = u.want.cpus;
	return r;
}

static void change_cpus(void)
{
	struct err err = { 0 };
	int r = 0;

	if (!u.deadline)
		wait_begins();
	if (u.step == GROW_CPUS && u.want.cpus > u.vm->head.cpus)
		r = plug_cpus(&err);
	if (r == 0)
		r = ask_online(u.want.cpus, on_online, &err);
	if (r < 0)
		fail(&err);
}

static uint32_t cpus_to_keep(void)
{
	return u.want.cpus > u.vm->head.cpus ? u.want.cpus : u.vm->head.cpus;
}

/* An emulated machine has one thread for all, and QEMU cannot do it there (hypervisor/control.h).
 */
static bool can_unplug_cpus(void)
{
	return u.vm->head.accel == MACHINE_KVM && u.vm->cpus_there > cpus_to_keep();
}

/*
 * Off line they are already: that their threads end at the host is worth a wait, and no error where
 * the guest does not let them go.
 */
static void unplug_cpus(void)
{
	struct qmp *qmp = monitor_qmp(u.vm->monitor);
	struct err err = { 0 };
	unsigned int there = u.vm->cpus_there;
	int r = qmp ? 0 : err_set(&err, -EAGAIN, "QEMU does not answer");

	if (r == 0 && !u.deadline) {
		wait_begins();
		r = monitor_called(u.vm->monitor,
				   hypervisor_qemu.unplug_cpus(qmp, cpus_to_keep(), &err), &err);
	}
	if (r == 0)
		r = monitor_called(u.vm->monitor, hypervisor_qemu.plugged_cpus(qmp, &there, &err),
				   &err);
	if (r < 0 && r != -EREMOTEIO) {
		fail(&err);
		return;
	}
	u.vm->cpus_there = there;
	if (r == 0 && there > cpus_to_keep() && clock_ms() <= u.deadline) {
		look_again();
		return;
	}
	if (there > cpus_to_keep())
		log_warning("container %s: %u CPUs are off line, and stay: %s", u.vm->id,
			    there - cpus_to_keep(),
			    r < 0 ? err.msg : "the machine's kernel does not let them go");
	next();
}

static int64_t limit_ms(void)
{
	return vm_limit_ms(u.vm, VM_UPDATE_MS);
}

static void on_inside(void *arg, int error, const void *answer)
{
	struct err err = { .code = error };

	if (!error) {
		next();
		return;
	}
	if (u.late)
		(void)err_set(&err, -ETIMEDOUT,
			      "the limits inside are not set after %lld s, and the update was "
			      "cancelled: what was set until then holds",
			      (long long)limit_ms() / 1000);
	else
		(void)err_set(&err, error, "%s", (const char *)answer);
	fail(&err);
}

/* Who waits for memory in the kernel may wait for ever, and nobody else could update anything. */
static void on_late(void)
{
	const int64_t now = clock_ms();
	int64_t again = VM_ANSWER_MS;

	/* It was stopped, with the machine. */
	if (now - u.deadline > PATIENCE_STOPPED_MS) {
		again = limit_ms();
	} else if (channel_cancel(u.vm->channel, &u)) {
		u.late = true;
		return;
	}
	/* Without room among the calls: soon. */
	u.deadline = now + again;
	(void)loop_set_timer(u.timer, again);
}

static void change_limits(void)
{
	struct agent_update update;
	struct err err = { 0 };
	const struct channel_call call = {
		.call = AGENT_UPDATE, .request = &update, .fn = on_inside, .arg = &u
	};
	int r = agent_request_decode(AGENT_UPDATE, u.job->body, u.job->len, &update, &err);

	update.id = u.job->id;
	if (r == 0)
		r = channel_ask(u.vm->channel, &call, &err);
	if (r < 0) {
		fail(&err);
		return;
	}
	u.deadline = clock_ms() + limit_ms();
	(void)loop_set_timer(u.timer, limit_ms());
}

static void go_on(void)
{
	const struct vm *vm = u.vm;
	const uint64_t memory = u.want.memory;
	const uint32_t cpus = u.want.cpus;

	if (u.step == GROW_MEMORY && (u.deadline || memory > vm->memory))
		change_memory(memory);
	else if (u.step == GROW_CPUS && cpus > vm->cpus_online)
		change_cpus();
	else if (u.step == INSIDE)
		change_limits();
	else if (u.step == SHRINK_CPUS && cpus < vm->cpus_online)
		change_cpus();
	else if (u.step == UNPLUG_CPUS && (u.deadline || can_unplug_cpus()))
		unplug_cpus();
	else if (u.step == SHRINK_MEMORY && (u.deadline || memory < vm->memory))
		change_memory(memory);
	else if (u.step == DONE)
		done(0, "");
	else
		next();
}

static void on_timer(void *arg)
{
	/* Of the round in which the machine ended: who waits is told already, or by end.c. */
	if (end_has_failed(u.vm))
		return;
	if (u.step == INSIDE)
		on_late();
	else
		go_on();
}

/* ---- From outside ---- */

/* What the machine can have of what is wanted. */
static void bound(const struct vm *vm, struct vmm_update *want)
{
	if (want->memory == 0)
		want->memory = vm->memory;
	if (want->memory < vm->head.memory)
		want->memory = vm->head.memory;
	if (want->memory > vm->head.memory_max)
		want->memory = vm->head.memory_max;
	if (want->cpus == 0)
		want->cpus = vm->cpus_online;
	if (want->cpus > vm->head.cpus_max)
		want->cpus = vm->head.cpus_max;
}

/* The machine's size is one for all of its containers: one update after the other. */
static void begin_next(struct vm *vm)
{
	int r;

	/* With the machine goes everybody that waits: end.c tells them. */
	if (u.vm || list_empty(&waiting) || end_has_failed(vm))
		return;
	u.vm = vm;
	u.job = list_first(&waiting, struct job, node);
	list_del(&u.job->node);
	waiting_len--;
	u.want = u.job->want;
	u.was_memory = vm->memory;
	u.was_cpus = vm->cpus_online;
	bound(vm, &u.want);
	r = loop_add_timer(vm->loop, -1, on_timer, NULL, &u.timer);
	if (r < 0)
		done(r, strerrordesc_np(-r));
	else
		go_on();
}

int resize_begin(struct container *c, const struct vmm_update *want, const void *body, size_t len,
		 resize_done_fn *fn, void *arg, struct err *err)
{
	struct agent_update update;
	struct vm *vm = c->vm;
	struct job *job;
	int r = agent_request_decode(AGENT_UPDATE, body, len, &update, err);

	if (r < 0)
		return r;
	if (want->reserved || want->memory % MACHINE_MEMORY_GRAIN)
		return err_set(err, -EPROTO, "an update of %llu bytes of memory",
			       (unsigned long long)want->memory);
	if (want->limit > vm->head.memory_max)
		return err_set(err, -ENOTSUP,
			       "linux.resources.memory.limit: %llu bytes are more than the machine "
			       "has or can get (%llu, vm.machine and vm.max_memory)",
			       (unsigned long long)want->limit,
			       (unsigned long long)vm->head.memory_max);
	if (waiting_len >= WAITING_MAX)
		return err_set(err, -EAGAIN, "%u updates of the machine wait for each other",
			       WAITING_MAX);
	job = calloc(1, sizeof(*job));
	if (job) {
		*job = (struct job){ .id = strdup(c->id),
				     .want = *want,
				     .body = malloc(len),
				     .len = len,
				     .fn = fn,
				     .arg = arg };
	}
	if (!job || !job->id || !job->body) {
		job_free(job);
		return err_sys(err, -ENOMEM, "update");
	}
	memcpy(job->body, body, len);
	list_add_tail(&job->node, &waiting);
	waiting_len++;
	begin_next(vm);
	return 0;
}

void resize_forget(const void *arg)
{
	struct job *job;

	if (u.job && u.job->arg == arg)
		u.job->fn = NULL;
	list_for_each(job, &waiting, node)
	{
		if (job->arg == arg)
			job->fn = NULL;
	}
}
