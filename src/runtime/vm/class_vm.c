/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class vm behind struct isolation_ops. The container's pid is its supervisor's (caisson-vm), which
 * ends with the container's exit code and passes on the signals that it gets; an exec's is its
 * waiter's. What is frozen is QEMU with its vCPUs, what is limited on the host is QEMU, virtiofsd
 * and the supervisor together; the container's own limits hold inside.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "runtime/container.h"
#include "runtime/creation.h"
#include "runtime/isolation.h"
#include "runtime/sandbox/client.h"
#include "runtime/sandbox/pause.h"
#include "runtime/sandbox/process.h"
#include "runtime/vm/describe.h"
#include "runtime/vm/host_devices.h"
#include "runtime/vm/launch.h"
#include "runtime/vm/member.h"
#include "runtime/vm/net.h"
#include "runtime/vm/resize.h"
#include "wire/vmm_msg.h"

static int class_vm_create(struct creation *cr, struct err *err)
{
	return sandbox_process_create(cr, launch_vm, err);
}

static int class_vm_create_member(struct creation *cr, struct err *err)
{
	return sandbox_process_create(cr, member_launch, err);
}

/* startContainer hooks are the agent's to run, as a part of the container's start. */
static int class_vm_open(struct process *process, const struct oci_spec *spec, struct container *c,
			 struct err *err)
{
	struct sandbox_process *p = process->data;

	(void)spec;
	(void)c;
	return p->is_exec ? waiter_open(&p->waiter, err)
			  : sandbox_go(&p->sandbox, SENTRY_GO_START, err);
}

static int class_vm_start(struct container *c, struct err *err)
{
	const struct client_call call = { .of = c, .request = { .type = SENTRY_START } };
	/* Files of the program, hooks of the container: it takes as long as they do. */
	AUTO_CLOSE int sock = client_connect_patient(c, err);
	struct sentry_reply reply;
	int r = sock < 0 ? sock : client_call(sock, &call, &reply, NULL, NULL, err);

	/* As in class ns, where a failed start ends its first process. */
	if (r < 0)
		(void)container_end_processes(c, NULL);
	return r;
}

static int class_vm_exec(struct container *c, const struct exec_request *request,
			 struct process *ret, struct err *err)
{
	const struct describe_vm d = { .id = c->id,
				       .spec = request->spec,
				       .seccomp = request->seccomp,
				       .shell = request->shell,
				       .rows = request->terminal.rows,
				       .cols = request->terminal.cols };
	const char *const *cgroups = request->cgroups;
	AUTO_CLOSE int description = -EBADF;
	int r = describe_vm_check_process(request->spec, err);

	if (r < 0)
		return r;
	if (request->preserve_fds > 0)
		return err_set(err, -ENOTSUP,
			       "--preserve-fds: descriptors above 2 do not reach into a machine");
	if (cgroups && cgroups[0] && (cgroups[1] || strchr(cgroups[0], ':')))
		return err_set(err, -ENOTSUP,
			       "--cgroup %s: a machine of class vm has one hierarchy of cgroups",
			       cgroups[1] ? cgroups[1] : cgroups[0]);
	description = describe_vm_exec(&d, cgroups && cgroups[0] ? cgroups[0] : "", err);
	if (description < 0)
		return description;
	return sandbox_process_exec(c, request, description, ret, err);
}

/* SIGKILL ends the machine and needs nobody's help; the rest is for the guest's processes. */
static int class_vm_signal(struct container *c, int sig, bool all, struct err *err)
{
	const struct client_call call = { .of = c,
					  .request = { .type = SENTRY_SIGNAL,
						       .value = (uint32_t)sig,
						       .flags = all ? SENTRY_SIGNAL_ALL : 0 } };

	return client_tell(c, &call, err);
}

static int class_vm_freeze_member(struct container *c, bool frozen, int *ret_hold, struct err *err)
{
	return pause_ask(c, VMM_FREEZE, frozen, ret_hold, err);
}

static uint64_t or_zero(uint64_t value)
{
	return value == UINT64_MAX ? 0 : value;
}

/* Of one that has joined a machine the host knows nothing. */
static void take_joined(const struct agent_stats *inside, struct cgroup_stats *stats)
{
	stats->cpu.total_ns = or_zero(inside->cpu_usage_ns);
	stats->cpu.user_ns = or_zero(inside->cpu_user_ns);
	stats->cpu.kernel_ns = or_zero(inside->cpu_system_ns);
	stats->cpu.periods = or_zero(inside->cpu_periods);
	stats->cpu.throttled_periods = or_zero(inside->cpu_throttled);
	stats->cpu.throttled_ns = or_zero(inside->cpu_throttled_ns);
}

/*
 * Memory and tasks are the container's own, as its kernel counts them; CPU time and I/O are what it
 * costs the host.
 */
static void class_vm_stats(struct container *c, struct cgroup_stats *stats)
{
	const struct client_call call = { .of = c, .request = { .type = SENTRY_STATS } };
	struct err ignored = { 0 };
	struct agent_stats inside;
	size_t len = sizeof(inside);
	AUTO_CLOSE int sock = -EBADF;
	struct sentry_reply reply;

	if (stats->pids.limit > VM_HOST_PIDS && stats->pids.limit != UINT64_MAX)
		stats->pids.limit -= VM_HOST_PIDS;
	sock = client_connect(c, &ignored);
	if (sock < 0 || client_call(sock, &call, &reply, &inside, &len, &ignored) < 0 ||
	    len != sizeof(inside))
		return;
	stats->pids.current = or_zero(inside.pids);
	stats->pids.limit = or_zero(inside.pids_limit);
	stats->memory.usage.usage = or_zero(inside.memory_usage);
	stats->memory.usage.limit = inside.memory_limit;
	stats->memory.usage.max = or_zero(inside.memory_peak);
	stats->memory.cache = or_zero(inside.memory_file);
	stats->memory.events.oom_kill += or_zero(inside.oom_kills);
	if (c->sandbox)
		take_joined(&inside, stats);
}

/* Of a start that has looked at all of it before. */
static void class_vm_host_limits(const struct container *c, struct oci_resources *limits)
{
	struct err ignored = { 0 };
	struct vm_config config;
	struct vm_size size;

	if (vm_settings_get(c->runtime, c->annotations, &config, &ignored) < 0)
		return;
	vm_size_bound(&config, c->cgroup);
	if (vm_size_get(&config, c->annotations, limits, &size, &ignored) < 0)
		return;
	/* The machine is in the cgroup of the pod's sandbox. */
	if (c->sandbox)
		size = (struct vm_size){ 0 };
	vm_size_host_limits(&config, &size, limits);
}

static int class_vm_debug(struct container *c, const char *what, struct buf *ret, struct err *err)
{
	static const char *const words[] = {
		[VMM_DEBUG_SERIAL] = "serial", [VMM_DEBUG_METRICS] = "metrics",
		[VMM_DEBUG_TASKS] = "tasks",   [VMM_DEBUG_MOUNTS] = "mounts",
		[VMM_DEBUG_DMESG] = "dmesg",
	};

	for (uint32_t i = 1; i < ARRAY_LEN(words); i++) {
		if (str_eq(what, words[i]))
			return client_debug(c, i, ret, err);
	}
	return err_set(err, -EINVAL,
		       "debug: \"%.64s\" is none of serial, metrics, tasks, mounts, dmesg", what);
}

static int class_vm_oom_fd(struct container *c, struct err *err)
{
	const struct client_call call = {
		.of = c, .request = { .type = SENTRY_DEBUG, .value = VMM_DEBUG_OOM }
	};
	struct sentry_reply reply;
	AUTO_CLOSE int sock = client_connect(c, err);
	int r;

	if (sock < 0)
		return sock;
	r = client_call(sock, &call, &reply, NULL, NULL, err);
	return r < 0 ? r : TAKE_FD(sock);
}

/* A namespace that an engine made outlives the machine, and so does a filter in it. */
static void class_vm_forget(const struct container *c, const struct oci_spec *spec)
{
	const char *netns = spec->linux.ns[OCI_NS_NETWORK].path;
	struct err problem = { 0 };

	if (c->sandbox) {
		if (member_forget(c, &problem) < 0)
			log_warning("container %s: %s", c->id, problem.msg);
		return;
	}
	if (netns && vm_net_forget(netns, &problem) < 0)
		log_warning("container %s: %s", c->id, problem.msg);
}

static void class_vm_resumed(struct container *c)
{
	struct err problem = { 0 };

	pause_settle(c, VMM_FREEZE);
	if (member_sweep(c, &problem) < 0)
		log_warning("container %s: %s", c->id, problem.msg);
}

const struct isolation_ops class_vm = {
	.name = "vm",
	.create = class_vm_create,
	.create_member = class_vm_create_member,
	.release = sandbox_process_release,
	.open = class_vm_open,
	.start = class_vm_start,
	.exec = class_vm_exec,
	.has_shell = true,
	.carries_streams = true,
	.signal = class_vm_signal,
	.freeze_member = class_vm_freeze_member,
	.resumed = class_vm_resumed,
	.ready_when_started = true,
	.host_limits = class_vm_host_limits,
	.host_devices = vm_host_devices,
	.host_devices_len = VM_HOST_DEVICES,
	.stats = class_vm_stats,
	.resize = vm_resize,
	.processes = client_processes,
	.debug = class_vm_debug,
	.oom_fd = class_vm_oom_fd,
	.forget = class_vm_forget,
	.process_done = sandbox_process_done,
};
