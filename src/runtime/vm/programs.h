/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/vm/programs.h - what a machine is started from: QEMU, kernel, image, accelerator. */
#pragma once

#include "base/err.h"
#include "runtime/vm/settings.h"

struct vm_programs {
	int qemu, kernel, image; /* owned */
};
#define VM_PROGRAMS_INIT                                           \
	{                                                          \
		.qemu = -EBADF, .kernel = -EBADF, .image = -EBADF, \
	}
void vm_programs_done(struct vm_programs *p);
#define AUTO_VM_PROGRAMS AUTO(vm_programs_done)

/* On failure *ret is to be done, too. The sentence names the setting. */
int vm_programs_open(const struct vm_config *config, struct vm_programs *ret, struct err *err);

/*
 * "auto" is KVM where it has run our kernel since the host booted; which is known for all roots of
 * the runtime, as it has nothing to do with containers. `uid`: QEMU's user.
 */
int vm_accel_choose(const struct vm_config *config, const struct vm_programs *p, uint32_t uid,
		    enum machine_accel *ret, struct err *err);
