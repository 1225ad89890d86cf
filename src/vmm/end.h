/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/end.h - how the machine ends: once, by whoever comes first.
 *
 * In order: the first process of the first container has ended; the other containers are ended, all
 * files are brought home (DELETE), who waits is told, and the exit code is the container's.
 * Otherwise with a sentence, to the runtime that is still there or into the log, which says the
 * most telling that is known (failure.h).
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct vm;

/* The first container's first process has ended, and what it said is written. */
void end_exited(struct vm *vm, int code);
/* Another container is over: the last one may be what that waits for. */
void end_go_on(struct vm *vm);

/* The agent lies, or is silent: the guest is not to be trusted with anything any more. */
void end_failed(struct vm *vm, const struct err *why);

/*
 * A channel has ended or a process: what stands behind it may be known in a moment, so long it is
 * waited for.
 */
void end_lost(struct vm *vm, const struct err *why);
/* QEMU has been reaped, or virtiofsd. */
void end_on_child(struct vm *vm);

/* The start has failed for a reason that the sentence says well enough. */
void end_refused(struct vm *vm, const struct err *why);

/* One of the last three has been called: nothing that comes in counts any more. */
bool end_has_failed(const struct vm *vm);
/* ... or it has ended in order. */
bool end_is_known(const struct vm *vm);
