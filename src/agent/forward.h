/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/forward.h - FORWARD: a connection to a port of the loopback device that a container of the
 * machine has, and the two streams behind which it is.
 */
#pragma once

#include "agent/agent.h"
#include "wire/pump.h"

struct container;

/*
 * To 127.0.0.1, and where nobody listens there to ::1. 1: answered later, within FORWARD_MS; what
 * comes for the streams until then is kept. -ESRCH: the container's first process has ended,
 * -EMFILE: AGENT_FORWARDS_MAX are open.
 */
int forward_begin(struct container *c, uint32_t serial, const struct agent_forward *call,
		  struct err *err);

/* Its pump of a stream: NULL: nobody's. *ret tells forward_end() whose it is. */
struct forward *forward_of_stream(const struct agent *a, uint32_t stream, struct pump **ret_pump);
void forward_end(struct forward *f, struct pump *pump, int error);
/* The mux has room for every stream again. */
void forward_room(const struct agent *a);
/* The host forgot all streams (a HELLO of a new one). */
void forward_forget(struct agent *a);
