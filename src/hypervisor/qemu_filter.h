/* SPDX-License-Identifier: Apache-2.0 */
/* hypervisor/qemu_filter.h - the system calls that QEMU has; private to the room. */
#pragma once

#include "base/err.h"
#include "hypervisor/machine.h"

/* Descriptors that QEMU may have at most: its limit, and the number of its program's. */
#define QEMU_DESCRIPTORS 4095u

/*
 * Moves the program (above 2) to a number that nothing can have after the exec, which closes it:
 * the limit of descriptors is lowered to that very number, and no right is left to raise it. Where
 * the caller's limit is lower it is that. -errno with a sentence.
 */
int qemu_filter_lift(int program, int *ret_program, struct err *err);

/*
 * Filters of seccomp/qemu*.list for this process and what it executes, which is the program behind
 * `program` of qemu_filter_lift() and nothing ever after it. Needs no_new_privs.
 */
int qemu_filter(const struct machine *m, int program, struct err *err);
