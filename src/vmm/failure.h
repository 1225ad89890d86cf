/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/failure.h - the one sentence that says why a machine has ended. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hypervisor/console.h"

#define FAILURE_REASON_MAX 64 /* bytes, NUL included */

/* What is known of the machine. Texts are printable, but not true. */
struct failure_facts {
	bool qemu_ended, files_ended;
	int qemu_status, files_status;	 /* of wait(2) */
	bool panicked;			 /* QEMU said GUEST_PANICKED */
	bool starved;			 /* the host has killed one of them for want of memory */
	uint64_t memory, host_limit;	 /* bytes: of the machine; of the cgroup, or UINT64_MAX */
	char reason[FAILURE_REASON_MAX]; /* of its SHUTDOWN; "": none came */
	struct vm_console console;	 /* of the guest's kernel */
	struct vm_console words;	 /* standard error of QEMU and virtiofsd */
};

/*
 * From what was noticed first and what is known: the guest's panic, else how QEMU or virtiofsd has
 * ended, else `why`; then what QEMU said last and what the guest said last, as far as there is
 * room. The code is that of `why`.
 */
void failure_compose(const struct err *why, const struct failure_facts *facts, struct err *ret);
