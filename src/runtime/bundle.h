/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/bundle.h - from a bundle directory to the specification that a creation works on.
 */
#pragma once

#include "base/err.h"
#include "runtime/creation.h"

/*
 * Read config.json (or --config FILE) of the bundle; sets c->bundle, c->rootfs, the text and
 * cr->spec. The directory is resolved once, so that the path in the state is absolute and without
 * links.
 */
int bundle_load(struct creation *cr, struct err *err);

/* LISTEN_FDS and LISTEN_PID for `listen` descriptors, NOTIFY_SOCKET where there is a supervisor. */
int bundle_add_environment(struct creation *cr, unsigned int listen, struct err *err);

/* The bind mount of the container's notify directory; c->dir_fd is open. */
int bundle_add_notify(struct creation *cr, struct err *err);
