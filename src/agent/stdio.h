/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/stdio.h - the standard streams of a process that is being made: pipes with carriers
 * (agent/carrier.h), which belong to its container's user. Terminals are made inside, by room ns.
 */
#pragma once

#include "agent/agent.h"
#include "oci/spec.h"

/* Sockets for the carriers of the process being made, and our ends of them. */
struct process_stdio {
	int theirs[3], ours[3]; /* owned, or -EBADF: /dev/null */
};

/* For the streams of `io` (none for a terminal's). */
int process_stdio_open(const struct agent_io *io, struct process_stdio *ret, struct err *err);
void process_stdio_done(struct process_stdio *stdio);
/*
 * 0, 1, 2 of who calls ns_create() or ns_exec(), whose process inherits them: pipes, whose carriers
 * begin here. NULL: /dev/null.
 */
int process_stdio_place(const struct agent *a, const struct process_stdio *stdio,
			pid_t ret_carriers[3], struct err *err);

/*
 * In the same process, before ns lets the new one go on: the pipes among 0, 1, 2 get the root of
 * the user namespace of process `pid` as their owner, or `user` where that has no id 0: what has no
 * number in there can neither be opened again nor be given on to process.user, which ns does.
 * -ESRCH: `pid` has ended. Where neither is mapped nothing is done: ns has the sentence.
 */
int process_stdio_give(pid_t pid, const struct oci_user *user, struct err *err);
