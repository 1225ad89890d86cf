/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/boot.h - from the agent's HELLO to the container at its gate, and through it.
 *
 * HELLO, RESET of a clone, NETWORK, CREATE; then READY is reported, the control server runs, and
 * the runtime says what next. What fails here ends the machine with a sentence.
 */
#pragma once

#include "base/err.h"
#include "wire/agent_msg.h"

struct vm;

int boot_begin(struct vm *vm, struct err *err);
void boot_on_hello(struct vm *vm, const struct agent_hello *hello);

/*
 * Open the gate: fn(arg, 0 or -errno, the agent's sentence). -EINVAL: it is open, or being opened.
 */
typedef void boot_started_fn(void *arg, int error, const char *text);
int boot_start(struct vm *vm, boot_started_fn *fn, void *arg, struct err *err);
/* Who asked with `arg` is gone. */
void boot_forget(const void *arg);
