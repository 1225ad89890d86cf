/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/start_hooks.h - startContainer hooks. Private to the room.
 */
#pragma once

#include "base/err.h"
#include "ns/child.h"
#include "ns/stage.h"

/*
 * In the staged child of a container with such hooks, in its root: wait at the gate in
 * caisson-init's place and speak its protocol (wire/init_msg.h), then run the hooks, which belong
 * to start, not to create (runtime-spec config.md#startcontainer-hooks). Closes every descriptor
 * but those of `process`. On return process->gate_open is set and process->sock and c->sock are the
 * socket of whoever opened the gate, on failures, too.
 */
int start_hooks_at_gate(struct child *c, struct stage_process *process, struct err *err);
