/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/keeper.h - the host's process of a container that lives in another
 * one's sandbox (pod.h).
 *
 * It is what the waiter is to an exec (waiter.h, and ps shows it so), for a container: the pid of
 * state.json, in the container's cgroups, the sandbox's network, ipc and uts namespaces, and a pid
 * namespace of its own, by which others find it. It asks the sandbox's supervisor for the container
 * on a connection that it holds from then on: its end ends the container, and it ends with the
 * container's exit code. Carriers (carriers.h) are its children, and end with its pid namespace. To
 * its maker it speaks as a supervisor does (sandbox.h).
 */
#pragma once

#include "base/err.h"
#include "runtime/creation.h"
#include "runtime/sandbox/sandbox.h"

/* What goes along with the request, before 0, 1, 2: its control socket, and the class's own. */
#define KEEPER_FDS 3

struct keeper_ask {
	uint32_t type, value; /* of struct sentry_request */
	int fds[KEEPER_FDS];  /* owned */
};

/*
 * When hooks of the host have run: what is to be asked. createContainer hooks are the class's to
 * run. *ret is filled with -EBADF before, and what is in it afterwards is closed.
 */
typedef int keeper_gather_fn(void *arg, struct keeper_ask *ret, struct err *err);

/*
 * Make the container of a creation in cr->sandbox, up to its gate: *ret as of sandbox_launch_run().
 * On failure nothing lives.
 */
int keeper_run(struct creation *cr, keeper_gather_fn *gather, void *arg, struct sandbox *ret,
	       struct err *err);
