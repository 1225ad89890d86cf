/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/metrics.h"

#include <inttypes.h>

#include "vmm/channel.h"
#include "vmm/container.h"
#include "vmm/monitor.h"
#include "vmm/process.h"
#include "vmm/vm.h"

static void show(struct buf *b, const char *name, const char *type, const char *help,
		 uint64_t value)
{
	(void)buf_printf(b, "# HELP caisson_vm_%s %s\n# TYPE caisson_vm_%s %s\n", name, help, name,
			 type);
	(void)buf_printf(b, "caisson_vm_%s %" PRIu64 "\n", name, value);
}

/* Nanoseconds since the runtime began; nothing for what has not come. */
static void show_time(struct buf *b, const struct vm *vm, const char *what, uint64_t when)
{
	if (when >= vm->head.begin_ns && when)
		(void)buf_printf(b, "caisson_vm_start_ns{until=\"%s\"} %" PRIu64 "\n", what,
				 when - vm->head.begin_ns);
}

static void show_start(struct buf *b, const struct vm *vm)
{
	const struct vm_times *t = &vm->times;

	(void)buf_puts(b, "# HELP caisson_vm_start_ns Time since the runtime began with the "
			  "container, by the host's clock.\n# TYPE caisson_vm_start_ns gauge\n");
	show_time(b, vm, "machine", vm->head.machine_ns);
	show_time(b, vm, "supervisor", t->entered);
	show_time(b, vm, "monitor", t->monitor);
	show_time(b, vm, "restored", t->restored);
	show_time(b, vm, "agent", t->hello);
	show_time(b, vm, "created", t->created);
	show_time(b, vm, "started", t->started);
	show(b, "guest_kernel_ns", "gauge",
	     "Age of the guest when its kernel ran the agent, by the guest's clock.",
	     vm->hello.kernel_ns);
	show(b, "guest_agent_ns", "gauge", "... when the agent answered.", vm->hello.agent_ns);
}

void metrics_show(const struct vm *vm, struct buf *b)
{
	const struct channel_counts *n = channel_counts(vm->channel);
	const struct failure_facts *facts = monitor_facts(vm->monitor);
	const struct container *c;
	const struct process *p;
	uint64_t processes = 0, containers = 0;

	list_for_each(p, &vm->processes, node) processes++;
	list_for_each(c, &vm->containers, node) containers += c->phase != CONTAINER_OVER;
	show(b, "emulated", "gauge", "Whether the guest's CPUs are emulated (1) or KVM's (0).",
	     vm->head.accel == MACHINE_TCG);
	show(b, "cpus", "gauge", "CPUs of the machine that are on line.", vm->cpus_online);
	show(b, "cpus_plugged", "gauge", "CPUs of the machine, those that are off line, too.",
	     vm->cpus_there);
	show(b, "cpus_max", "gauge", "How many it may get.", vm->head.cpus_max);
	show(b, "memory_bytes", "gauge", "Memory of the machine.", vm->memory);
	show(b, "memory_max_bytes", "gauge", "How much it may get.", vm->head.memory_max);
	show_start(b, vm);
	show(b, "containers", "gauge", "Containers of the machine.", containers);
	show(b, "processes", "gauge", "First processes and those of exec that run.", processes);
	show(b, "agent_calls_total", "counter", "Calls of the agent.", n->calls);
	show(b, "agent_answers_total", "counter", "Its answers.", n->answers);
	show(b, "agent_events_total", "counter", "What it told unasked.", n->events);
	show(b, "oom_kills_total", "counter", "Processes that the guest's kernel has killed.",
	     n->oom_kills);
	show(b, "stream_frames_total", "counter", "Frames of output that came.", n->frames_in);
	show(b, "stream_bytes_total", "counter", "Bytes of output that came.", n->bytes_in);
	show(b, "console_bytes_total", "counter", "What the guest's kernel said.",
	     facts->console.total);
	show(b, "words_bytes_total", "counter", "What QEMU and virtiofsd said.",
	     facts->words.total);
}
