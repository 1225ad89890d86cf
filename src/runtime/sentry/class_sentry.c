/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class sentry behind struct isolation_ops. The container's pid is its sentry's, which ends with
 * the container's exit code and passes on the signals that it gets; an exec's is its waiter's.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/pidfd.h"
#include "runtime/container.h"
#include "runtime/creation.h"
#include "runtime/isolation.h"
#include "runtime/sandbox/client.h"
#include "runtime/sandbox/pause.h"
#include "runtime/sandbox/process.h"
#include "runtime/sentry/describe.h"
#include "runtime/sentry/inner_hooks.h"
#include "runtime/sentry/launch.h"
#include "runtime/sentry/symbols.h"
#include "wire/event_codec.h"

/* Threads of the sentry, the gofer, the zygote and stubs in store, with room for births. */
#define EXTRA_PIDS 64

static int class_sentry_create(struct creation *cr, struct err *err)
{
	return sandbox_process_create(cr, launch_sandbox, err);
}

static int class_sentry_create_member(struct creation *cr, struct err *err)
{
	return sandbox_process_create(cr, launch_member, err);
}

static int class_sentry_open(struct process *process, const struct oci_spec *spec,
			     struct container *c, struct err *err)
{
	struct sandbox_process *p = process->data;
	int r;

	if (p->is_exec)
		return waiter_open(&p->waiter, err);
	r = inner_hooks_run(c, spec, err);
	if (r < 0 || !c->sandbox)
		return r < 0 ? r : sandbox_go(&p->sandbox, SENTRY_GO_START, err);
	/* The gate is the sentry's, not that of the process which we hold. */
	r = client_simple(c, &(struct sentry_request){ .type = SENTRY_START }, NULL, err);
	return r < 0 ? r : sandbox_go(&p->sandbox, SENTRY_GO_RELEASE, err);
}

static int class_sentry_start(struct container *c, struct err *err)
{
	const struct sentry_request request = { .type = SENTRY_START };
	struct oci_spec *spec = NULL;
	int r = container_load_spec(c, &spec, err);

	if (r == 0) {
		r = inner_hooks_run(c, spec, err);
		/* As in class ns, where the hooks are a part of its first process. */
		if (r < 0)
			(void)container_end_processes(c, NULL);
	}
	oci_spec_free(spec);
	return r < 0 ? r : client_simple(c, &request, NULL, err);
}

static int class_sentry_exec(struct container *c, const struct exec_request *request,
			     struct process *ret, struct err *err)
{
	const struct describe_process process = { .spec = request->spec,
						  .seccomp = request->seccomp,
						  .rows = request->terminal.rows,
						  .cols = request->terminal.cols,
						  .preserve_fds = request->preserve_fds,
						  .is_exec = true };
	AUTO_CLOSE int description = -EBADF;
	int r = describe_check(request->spec, err);

	if (r < 0)
		return r;
	if (request->cgroups && request->cgroups[0])
		return err_set(err, -ENOTSUP,
			       "--cgroup %s: the processes of a sentry are in one cgroup",
			       request->cgroups[0]);
	if (request->preserve_fds + 3 > SENTRY_EXEC_FDS_MAX)
		return err_set(err, -E2BIG,
			       "--preserve-fds: class sentry passes at most %u to an exec",
			       SENTRY_EXEC_FDS_MAX - 3);
	description = describe_exec(&process, err);
	if (description < 0)
		return description;
	return sandbox_process_exec(c, request, description, ret, err);
}

static int class_sentry_freeze_member(struct container *c, bool frozen, int *ret_hold,
				      struct err *err)
{
	return pause_ask(c, SENTRY_FREEZE, frozen, ret_hold, err);
}

static int has_members(const struct container *c, struct err *err)
{
	struct container **list = NULL;
	size_t len = 0;
	int r = container_list(c->runtime, &list, &len, err);

	for (size_t i = 0; r == 0 && i < len; i++)
		r = str_eq(list[i]->sandbox, c->id);
	container_list_free(list, len);
	return r;
}

/*
 * Its sentry holds them, since guests of the others may be in cgroups of their own (nursery.h), and
 * lets them go when the connection ends: while it is frozen itself it does not see that. One of
 * before has them all in its cgroup, and does not know the word.
 */
static int class_sentry_hold_pod(struct container *c, int *ret_hold, struct err *err)
{
	const struct client_call call = { .of = c,
					  .request = { .type = SENTRY_FREEZE,
						       .value = SENTRY_FREEZE_HOLD,
						       .flags = SENTRY_FREEZE_POD } };
	struct sentry_reply reply;
	AUTO_CLOSE int sock = -EBADF;
	int r = has_members(c, err);

	if (r <= 0)
		return r;
	sock = client_connect(c, err);
	r = sock < 0 ? sock : client_call(sock, &call, &reply, NULL, NULL, err);
	if (r == 0)
		*ret_hold = TAKE_FD(sock);
	return r == -EPIPE ? 0 : r;
}

/* SIGKILL ends the sandbox and needs nobody's help; the rest is for the guest's processes. */
static int class_sentry_signal(struct container *c, int sig, bool all, struct err *err)
{
	const struct client_call call = { .of = c,
					  .request = { .type = SENTRY_SIGNAL,
						       .value = (uint32_t)sig,
						       .flags = all ? SENTRY_SIGNAL_ALL : 0 } };

	return client_tell(c, &call, err);
}

/*
 * Where a container of a pod has no nursery (nursery.h) its cgroup has what serves it, and the
 * sandbox's what its guests use.
 */
static void take_stats(const struct container *c, bool counted, const struct sentry_stats *inside,
		       struct cgroup_stats *stats)
{
	stats->pids.current = inside->threads;
	if (!c->sandbox || counted)
		return;
	stats->cpu.user_ns += inside->user_ns;
	stats->cpu.kernel_ns += inside->system_ns;
	stats->cpu.total_ns += inside->user_ns + inside->system_ns;
	stats->memory.usage.usage += inside->memory_bytes;
}

/* Tasks: the guest's, not those of the sentry, the gofer and the stubs. */
static void class_sentry_stats(struct container *c, struct cgroup_stats *stats)
{
	const struct client_call call = { .of = c, .request = { .type = SENTRY_STATS } };
	struct err ignored = { 0 };
	struct sentry_stats inside;
	size_t len = sizeof(inside);
	AUTO_CLOSE int sock = -EBADF;
	struct sentry_reply reply;

	if (stats->pids.limit > EXTRA_PIDS && stats->pids.limit != UINT64_MAX)
		stats->pids.limit -= EXTRA_PIDS;
	sock = client_connect(c, &ignored);
	if (sock >= 0 && client_call(sock, &call, &reply, &inside, &len, &ignored) == 0 &&
	    len == sizeof(inside))
		take_stats(c, reply.value == 1, &inside, stats);
}

static int class_sentry_update(struct container *c, const struct oci_resources *resources,
			       struct err *err)
{
	struct sentry_limits limits;
	struct client_call call = { .of = c,
				    .request = { .type = SENTRY_UPDATE },
				    .tail = &limits,
				    .tail_len = sizeof(limits) };

	describe_update(resources, &limits);
	return client_tell(c, &call, err);
}

static int debug_word(const char *what, uint32_t *ret, struct err *err)
{
	static const char *const words[] = {
		[SENTRY_DEBUG_STACKS] = "stacks", [SENTRY_DEBUG_TASKS] = "tasks",
		[SENTRY_DEBUG_MOUNTS] = "mounts", [SENTRY_DEBUG_VMAS] = "vmas",
		[SENTRY_DEBUG_FDS] = "fds",	  [SENTRY_DEBUG_METRICS] = "metrics",
	};

	for (uint32_t i = 1; i < ARRAY_LEN(words); i++) {
		if (str_eq(what, words[i])) {
			*ret = i;
			return 0;
		}
	}
	return err_set(err, -EINVAL,
		       "debug: \"%.64s\" is none of stacks, tasks, mounts, vmas, fds, metrics",
		       what);
}

static int class_sentry_debug(struct container *c, const char *what, struct buf *ret,
			      struct err *err)
{
	AUTO_BUF struct buf got = { 0 };
	uint32_t value = 0;
	int r = debug_word(what, &value, err);

	if (r < 0)
		return r;
	if (value != SENTRY_DEBUG_STACKS)
		return client_debug(c, value, ret, err);
	r = client_debug(c, value, &got, err);
	if (r == 0 && got.len > 0)
		symbols_append(c, got.data, got.len, ret);
	return r < 0 || buf_error(ret) == 0 ? r : err_sys(err, -ENOMEM, "debug");
}

static int tell_records(const char *bytes, size_t len, container_event_fn *fn, void *arg,
			struct err *err)
{
	while (len > 0) {
		struct event_record record;
		size_t size;
		int r = event_decode(bytes, len, &record, &size);

		if (r < 0)
			return err_set(err, -EPROTO, "the sentry sent no event record");
		if (r > 0)
			r = fn(arg, &record, err);
		if (r < 0)
			return r;
		bytes += size;
		len -= size;
	}
	return 0;
}

/* Until the sandbox ends, or fn fails. */
static int class_sentry_events(struct container *c, uint32_t mask, container_event_fn *fn,
			       void *arg, struct err *err)
{
	const struct client_call call = {
		.of = c,
		.request = { .type = SENTRY_DEBUG, .value = SENTRY_DEBUG_EVENTS, .flags = mask }
	};
	AUTO_FREE char *bytes = malloc(SENTRY_FRAME_MAX);
	AUTO_CLOSE int sock = client_connect(c, err);
	struct sentry_reply reply;
	size_t len = SENTRY_FRAME_MAX;
	int r;

	if (sock < 0)
		return sock;
	if (!bytes)
		return err_sys(err, -ENOMEM, "events of container %s", c->id);
	r = client_call(sock, &call, &reply, bytes, &len, err);
	client_be_patient(sock);
	while (r == 0) {
		r = tell_records(bytes, len, fn, arg, err);
		len = SENTRY_FRAME_MAX;
		if (r == 0)
			r = client_recv(sock, &call, &reply, bytes, &len, err);
	}
	return r == -EPIPE ? 0 : r;
}

/*
 * A sandbox ends with its first process. Of a container in one, whose waiter was killed, the sentry
 * may still hold files: what is deleted is gone from there, too.
 */
static void class_sentry_forget(const struct container *c, const struct oci_spec *spec)
{
	struct err ignored = { 0 };
	AUTO_CLOSE int sock = -EBADF;
	char byte;
	size_t nfds = 0;

	(void)spec;
	/* While that is paused it hears of it when it is resumed. */
	if (c->sandbox && !container_sandbox_is_paused(c))
		sock = client_connect(c, &ignored);
	/* It ends the connection when nothing is left, or at once where it has no room for it. */
	if (sock >= 0 && fd_recv(sock, &byte, 1, NULL, &nfds) == -EAGAIN)
		log_warning("container %s: sandbox %s still has it", c->id, c->sandbox);
}

static void class_sentry_resumed(struct container *c)
{
	pause_settle(c, SENTRY_FREEZE);
}

const struct isolation_ops class_sentry = {
	.name = "sentry",
	.create = class_sentry_create,
	.create_member = class_sentry_create_member,
	.release = sandbox_process_release,
	.open = class_sentry_open,
	.start = class_sentry_start,
	.exec = class_sentry_exec,
	.signal = class_sentry_signal,
	.freeze_member = class_sentry_freeze_member,
	.hold_pod = class_sentry_hold_pod,
	.resumed = class_sentry_resumed,
	.extra_pids = EXTRA_PIDS,
	.stats = class_sentry_stats,
	.update = class_sentry_update,
	.processes = client_processes,
	.debug = class_sentry_debug,
	.events = class_sentry_events,
	.forget = class_sentry_forget,
	.process_done = sandbox_process_done,
};
