/* SPDX-License-Identifier: Apache-2.0 */
/* cli/do_sweep.h - what a `caisson do` that was killed could not remove: its state and cgroups. */
#pragma once

#include "runtime/runtime.h"

#define DO_ID_MAX 48

/* "do-PID-RANDOM" of the calling process: nobody else's id. 0, -errno. */
int do_id_make(char ret[static DO_ID_MAX], struct err *err);

/* The process of an id of that form; 0: it has another form. */
pid_t do_id_pid(const char *id);

/*
 * Delete the sandboxes of this root whose `do` is gone. Only what was made from this bundle, has
 * stopped and has no process left; what cannot be deleted stays for the next one.
 */
void do_sweep(const struct runtime *rt, const char *bundle);
