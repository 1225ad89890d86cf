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

int monitor_new(struct vm *vm, struct monitor **ret, struct err *err);
void monitor_free(struct monitor *m); /* accepts NULL */

/* SIGCHLD: reap all; tells end.h of those that count. */
void monitor_reap(struct monitor *m);
/* QEMU has been reaped. */
bool monitor_has_ended(const struct monitor *m);
/* What lies in console, standard error and monitor. */
void monitor_read_all(struct monitor *m);
const struct failure_facts *monitor_facts(const struct monitor *m);
