/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/vm/template_boot.h - the machine that becomes a template; private to template.h's files.
 */
#pragma once

#include "base/err.h"
#include "runtime/vm/template.h"

struct template_boot {
	const struct template_plan *plan;
	int memory, state;    /* machine_memory(), borrowed: filled */
	unsigned int boot_ms; /* until the agent has said what it must */
};

/*
 * In a process that does nothing else, and in a pid namespace of its own, so that QEMU ends with
 * it: boot, have the agent take all CPUs but one off line, save, end. 0: both files are whole and
 * nobody maps them. A failure has QEMU's words and what the guest said last.
 */
int template_boot(const struct template_boot *boot, struct err *err);
