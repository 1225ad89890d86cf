/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/boot.h - from the agent's HELLO to the container at its gate, and through it.
 *
 * HELLO, RESET of a clone, then NETWORK and CREATE in one piece; then READY is reported, the
 * control server runs, and the runtime says what next. What fails here ends the machine with a
 * sentence.
 */
#pragma once

#include "base/err.h"
#include "wire/agent_msg.h"

struct vm;

int boot_begin(struct vm *vm, struct err *err);
void boot_on_hello(struct vm *vm, const struct agent_hello *hello);
