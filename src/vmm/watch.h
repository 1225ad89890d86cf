/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/watch.h - volumes that the host changes: the runtime has put watches on them (inotify(7)),
 * and the agent is told to look again when something happens.
 */
#pragma once

#include "base/err.h"
#include "vmm/vm.h"

/* With VMM_WATCHES, once the container is made. -errno with a sentence. */
int watch_start(struct vm *vm, struct err *err);
