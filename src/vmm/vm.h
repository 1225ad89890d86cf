/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/vm.h - the one virtual machine of this process: what the room's files share, and the order of
 * its life.
 *
 * main() reads the description and closes the cage; then everything runs in one event loop. boot.c
 * brings the first container to its gate and reports it; control.c and signals.c serve it; member.c
 * takes in others; end.c ends the machine, in order (the first process of the first container has
 * ended) or with a sentence (anything else), once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "base/list.h"
#include "base/loop.h"
#include "hypervisor/machine.h"
#include "wire/agent_msg.h"
#include "wire/vmm_msg.h"

/*
 * How long the agent may take for an answer, in milliseconds of the time that counts (patience.h).
 * Whatever counts, an emulated guest has VM_TCG_FACTOR times as much, and no more: a second of it
 * may take many of a busy host. A silence during a call that waits is noticed after VM_QUIET_MS and
 * VM_PING_MS: within 5 s.
 */
#define VM_ANSWER_MS  5000
#define VM_RESIZE_MS  5000 /* a guest takes memory and CPUs, or lets them go */
#define VM_QUIET_MS   1000
#define VM_PING_MS    3500
#define VM_DELETE_MS  60000 /* what was written goes to its files; nobody waits who could cancel */
#define VM_UPDATE_MS  30000 /* limits are set inside, memory is taken; then it is cancelled */
#define VM_TCG_FACTOR 6

#define VM_EXIT_BOOT 125 /* ended before the container was at its gate */
#define VM_EXIT_LOST 137 /* the machine ended under the container */

struct channel;
struct container;
struct control;
struct description;
struct monitor;

enum vm_phase {
	VM_BOOTS, /* until the agent has made the container */
	VM_WAITS, /* at the gate */
	VM_RUNS,  /* or its first process has ended, and its last words are under way */
	VM_ENDS,  /* end.c has it */
};

/* CLOCK_MONOTONIC, ns; 0: not yet. */
struct vm_times {
	uint64_t entered;  /* main() */
	uint64_t monitor;  /* QEMU's first answer */
	uint64_t restored; /* a clone runs */
	uint64_t hello;	   /* the agent's */
	uint64_t created, started;
};

struct vm {
	const char *id; /* the first container's */
	struct vmm_head head;
	enum vm_phase phase;
	bool told;			 /* the machine has heard of the container */
	struct description *description; /* until CREATE is asked */
	struct loop *loop;
	struct channel *channel;
	struct monitor *monitor;
	struct control *control;
	int stdio[3];		 /* its descriptors; negative: none */
	struct container *first; /* with which the machine begins and ends */
	struct list_head containers;
	struct list_head processes; /* all of CREATE and EXEC */
	struct agent_hello hello;   /* checked */
	struct vm_times times;
	/* What the machine has now (resize.h). */
	uint64_t memory;
	uint32_t cpus_there, cpus_online;
};

static inline uint64_t vm_now_ns(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline int64_t vm_limit_ms(const struct vm *vm, int64_t ms)
{
	return vm->head.accel == MACHINE_TCG ? ms * VM_TCG_FACTOR : ms;
}
