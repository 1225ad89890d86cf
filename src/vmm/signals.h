/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/signals.h - signals that this process gets: for the container's first process, but for the
 * death of a child and a new size of the terminal.
 */
#pragma once

#include "base/err.h"

struct vm;

int signals_start(struct vm *vm, struct err *err);
/* The agent can be asked again. */
void signals_go_on(struct vm *vm);
