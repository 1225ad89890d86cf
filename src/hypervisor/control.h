/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypervisor/control.h - what is done to a running machine, whatever runs it: struct
 * hypervisor_ops. QEMU, over its monitor (qmp.h), is the one there is; tests put a program in its
 * place that speaks the monitor's protocol.
 *
 * Each call waits for its answers, timeout_ms in all but for qmp.h's, and needs the client for
 * itself: nothing else may be pending. -EREMOTEIO with QEMU's sentence when it refuses. Descriptors
 * stay the caller's.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "hypervisor/machine.h"
#include "hypervisor/qmp.h"

struct hypervisor_ops {
	const char *name;

	/*
	 * The first words to any monitor, which need not have read them when this returns: of a
	 * clone they set it going, and the event MIGRATION tells when its state is read: the
	 * machine that goes on has said RESUME before "completed". `asked` answers are to come
	 * (qmp_answer()); an error among them says that there is no machine.
	 */
	int (*greet)(struct qmp *monitor, const struct machine *m, unsigned int *ret_asked,
		     struct err *err);

	/*
	 * A template's state into `state`, a memfd. The machine stands still then and is of no more
	 * use; its memory file is whole when the process has ended.
	 */
	int (*save)(struct qmp *monitor, int state, int timeout_ms, struct err *err);

	/*
	 * virtiofsd's socket into one of machine.slots, which nobody has used, of a machine whose
	 * memory is shared (MACHINE_COPY, or FRESH with files): the guest sees it some time after.
	 * greet()'s words about `asked`.
	 */
	int (*ask_files)(struct qmp *monitor, unsigned int slot, int files, unsigned int *ret_asked,
			 struct err *err);

	/*
	 * Of a machine with memory_max: the guest is asked to have so many bytes besides its first
	 * memory, a multiple of MACHINE_MEMORY_GRAIN, and follows some time after, or does not.
	 * plugged_memory(): how much it has of it.
	 */
	int (*plug_memory)(struct qmp *monitor, uint64_t bytes, struct err *err);
	int (*plugged_memory)(struct qmp *monitor, uint64_t *ret, struct err *err);
	/*
	 * Of a machine with cpus_max: CPUs until it has so many; those that are there stay. The
	 * guest sees them some time after and has to take them on line.
	 */
	int (*plug_cpus)(struct qmp *monitor, unsigned int cpus, struct err *err);
	/*
	 * The guest is asked to let go of the CPUs above so many, which plug_cpus() has put there,
	 * and does so some time after, or does not. Not of an emulated machine: with one thread for
	 * all CPUs QEMU 7.2 ends ("qemu_thread_join: Resource deadlock avoided").
	 * plugged_cpus(): how many are there, on line or not.
	 */
	int (*unplug_cpus)(struct qmp *monitor, unsigned int cpus, struct err *err);
	int (*plugged_cpus)(struct qmp *monitor, unsigned int *ret, struct err *err);
};

extern const struct hypervisor_ops hypervisor_qemu;

#define HYPERVISOR_MS 5000 /* for the answers of one call */
