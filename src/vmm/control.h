/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/control.h - the control server (wire/sentry_msg.h, with the differences of wire/vmm_msg.h)
 * on VMM_FD_CONTROL and the sockets of those that joined: at most SENTRY_CLIENTS_MAX connections of
 * those who may, and then SENTRY_CLIENTS_KEPT for each container; others wait in its socket's
 * queue. One thing at a time each. Nobody is waited for: what a client does not read waits in its
 * own queue, and meanwhile it is not served.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct container;
struct vm;

/* For the first container, on VMM_FD_CONTROL. */
int control_start(struct vm *vm, struct err *err);
/* For another one; `fd` becomes the server's, also on failure. */
int control_listen(struct container *c, int fd, struct err *err);
/* It is over: nobody listens for it, and its connections are told as by control_flush() and end. */
void control_stop(struct container *c, int code, const char *sentence);
/* Whether a connection is about it. */
bool control_speaks_of(const struct container *c);
/* The agent can be asked again. */
void control_go_on(struct vm *vm);
/* The guest's kernel has killed a process of the container for want of memory. */
void control_tell_oom(const struct container *c);
/*
 * The end of the machine: who waits is told the first container's code, or what is known of
 * another's; who has asked the sentence.
 */
void control_flush(struct vm *vm, int code, const char *sentence);
