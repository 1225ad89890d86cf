/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/qemu/vm.h - virtual machines for tests: a machine of hypervisor/machine.h with sockets, a
 * process that becomes QEMU, and guest_init.c as its process 1.
 *
 * Waits end after VM_PATIENCE_MS, far above what a loaded machine needs.
 */
#pragma once

#include <sys/types.h>

#include "hypervisor/console.h"
#include "hypervisor/machine.h"
#include "hypervisor/qmp.h"

#define VM_PATIENCE_MS 60000
#define VM_LINE_MAX    4096

struct vm {
	struct machine machine;		    /* filled by vm_init(); its sockets are QEMU's ends */
	pid_t pid;			    /* 0: none */
	int monitor, agent, console, words; /* our ends, owned; monitor -EBADF once QMP has it */
	const char *program;		    /* in QEMU's place; NULL: QEMU */
	int netns;			    /* where QEMU runs; -EBADF: ours */
	struct vm_console said;		    /* by the kernel */
	struct vm_console complained;	    /* by QEMU */
	char input[VM_LINE_MAX];	    /* of the agent's port */
	size_t input_len;
	int status; /* of the ended QEMU, as wait(2) */
};

/* Whether there is a kernel for tests (make guest); the reason is printed. */
bool vm_possible(void);

/* The smallest machine with the test image; sockets are made, nothing runs. */
void vm_init(struct vm *vm);
void vm_start(struct vm *vm);
/* QEMU is killed; all is closed. Accepts one that never started. */
void vm_done(struct vm *vm);

/* A line of the guest's, which must come: its text is in vm->input, from the beginning. */
const char *vm_hear(struct vm *vm);
void vm_tell(struct vm *vm, const char *line);
/* The guest's answer to a line; fails the test unless it begins with "ok". */
const char *vm_ask(struct vm *vm, const char *line);

/* Until QEMU has ended by itself; its status is in vm->status. False: it did not in time. */
bool vm_await_end(struct vm *vm, int timeout_ms);

/* Descriptors of files for tests: the caller's. */
int vm_kernel(void); /* O_PATH */
int vm_image(void);
