/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/control.h - the control server (wire/sentry_msg.h, with the differences of wire/vmm_msg.h)
 * on VMM_FD_CONTROL: at most SENTRY_CLIENTS_MAX connections of those who may, one thing at a time
 * each. Nobody is waited for: what a client does not read waits in its own queue, and meanwhile it
 * is not served.
 */
#pragma once

#include "base/err.h"

struct vm;

int control_start(struct vm *vm, struct err *err);
/* The agent can be asked again. */
void control_go_on(struct vm *vm);
/* The guest's kernel has killed a process of the container for want of memory. */
void control_tell_oom(struct vm *vm);
/* The end: who waits is told the code, who has asked the sentence. */
void control_flush(struct vm *vm, int code, const char *sentence);
