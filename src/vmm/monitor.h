/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/monitor.h - the processes below the machine: QEMU with its monitor, the guest's console and
 * standard error, virtiofsd. All that they say is read at once, so that QEMU never waits for us.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "vmm/failure.h"

struct vm;
struct monitor;
struct qmp;

int monitor_new(struct vm *vm, struct monitor **ret, struct err *err);
void monitor_free(struct monitor *m); /* accepts NULL */

/* SIGCHLD: reap all; tells end.h of those that count. */
void monitor_reap(struct monitor *m);
/* QEMU has been reaped. */
bool monitor_has_ended(const struct monitor *m);
/* What lies in console, standard error and monitor. */
void monitor_read_all(struct monitor *m);
/*
 * VMM_PLUG_FILES: give a clone virtiofsd's device, once. Not while its state is read: what is
 * plugged then is no part of it. And not while the agent is asked what must not wait, such as the
 * time: QEMU passes nothing to the guest while it talks to virtiofsd.
 */
int monitor_plug_files(struct monitor *m, struct err *err);
/*
 * The client for one call of hypervisor_ops, or NULL while QEMU has not answered its first
 * question or is gone; then monitor_called() with what it returned, which it returns: a client that
 * is of no more use ends the machine.
 */
struct qmp *monitor_qmp(struct monitor *m);
int monitor_called(struct monitor *m, int r, const struct err *err);
const struct failure_facts *monitor_facts(const struct monitor *m);
