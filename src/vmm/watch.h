/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/watch.h - volumes that the host changes: the runtime has put watches on them (inotify(7)),
 * and the agent is told to look again when something happens.
 */
#pragma once

#include "base/err.h"

struct container;

/*
 * The container is made, or will be. `fd` becomes the watch's, also on failure. -errno with a
 * sentence.
 */
int watch_start(struct container *c, int fd, struct err *err);
/* Accepts a container without one. */
void watch_stop(struct container *c);
