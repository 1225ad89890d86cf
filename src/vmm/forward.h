/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/forward.h - connections to the loopback device of the pod's network namespace, which engines
 * make to forward a port (`kubectl port-forward`), are carried to that of the machine.
 *
 * The runtime has made a socket on which all of them arrive, of IPv4 and of IPv6
 * (host/loopback.h); the agent looks in both for who listens (agent/forward.h). Each is an
 * AGENT_FORWARD and two streams; where nobody listens inside it is reset. At most
 * AGENT_FORWARDS_MAX are open, and few are asked at one time: others wait in the socket's queue.
 */
#pragma once

#include "base/err.h"

struct vm;

/* With VMM_FORWARDS, when the first container is made. */
int forward_start(struct vm *vm, struct err *err);
/* Connections that had to wait for room among the calls. */
void forward_go_on(struct vm *vm);
