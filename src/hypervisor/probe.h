/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypervisor/probe.h - whether this host really runs a Linux guest under KVM.
 *
 * That /dev/kvm opens says little: a host that is a guest itself may run a few instructions and
 * fail on a kernel. So a guest of one instruction is run, then the kernel of class vm without an
 * image, until its panic. Each has a limit of time and is ended by it.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hypervisor/machine.h"

struct probe_plan {
	int program;	   /* of qemu_find() */
	int kernel;	   /* as struct machine has it */
	uint32_t uid, gid; /* as struct qemu_plan has them */
	/*
	 * A file of whoever owns the runtime's state, where the verdict is kept for this boot of
	 * the host, this QEMU and this kernel, beside those of others; NULL: none. Who can write it
	 * can only choose between the two accelerators.
	 */
	const char *memory;
	bool again; /* do not believe it */
};

struct probe {
	enum machine_accel accel;
	char reason[256]; /* why not MACHINE_KVM, for a sentence; "" with it */
	bool remembered;
	bool passing; /* the reason is no verdict (rights, memory, time): it is not kept */
};

#define PROBE_LIMIT_MS 12000

/*
 * Where all that ask for one user keep their verdict: below /run, or the user's own runtime
 * directory. NULL: there is none.
 */
const char *probe_memory(char path[static PATH_MAX]);

/*
 * Takes up to PROBE_LIMIT_MS, once per boot of the host; without /dev/kvm no time at all. Of all
 * who ask for one `memory` one tries (its .lock), the others wait for that, no longer than it may
 * take. A process that does not end when it is killed, as it hangs in the kernel, is left behind.
 * Only a verdict is kept, in a file that is the caller's own and that nobody else can write; one
 * that cannot be kept is none the worse. Clones; reaps only what it has cloned. -errno: no verdict
 * (no memory, no process); never for what KVM does.
 */
int hypervisor_probe(const struct probe_plan *plan, struct probe *ret, struct err *err);
