/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/store.h - the directory of container directories: names, owners, modes, locks.
 *
 * The root belongs to the runtime's user and nobody else may write there: state.json names
 * processes to kill and directories to remove. Descriptors that are returned are the caller's.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "runtime/runtime.h"

#define STORE_STATE   "state.json"
#define STORE_CONFIG  "config.json" /* a copy of what the container was made from */
#define STORE_GATE    "start.sock"  /* there: created, waits for start */
#define STORE_NOTIFY  "notify"	    /* directory of notify.sock, bound into the container */
#define STORE_CONTROL "sentry.sock" /* the control server of classes sentry and vm */
#define STORE_IDS     "@ids"	    /* below the root: locks of sandbox_ids */
#define STORE_CACHE   "@seccomp"    /* below the root; '@' is in no container id */

/*
 * Open the root. `make`: with its parents, mode 0711. -EPERM for a directory that belongs to
 * somebody else or that others may write to; -ENOENT when it is not there and `make` is false.
 */
int store_open_root(const struct runtime *rt, bool make, struct err *err);

/*
 * Make ROOT/ID, mode 0711 and, until store_finish(), the sticky bit: the mark of a container in the
 * making, which costs no file. -EEXIST: "container with given ID already exists".
 */
int store_make(int root_fd, const char *id, struct err *err);
int store_finish(int dir_fd, struct err *err);
/* True from store_make() to store_finish(). */
bool store_is_unfinished(int dir_fd);

/* Open ROOT/ID for reading. -ENOENT: "container does not exist". */
int store_open(int root_fd, const char *id, struct err *err);

/* Wait for the exclusive lock of a container's directory. -ENOENT if it was removed meanwhile. */
int store_lock(int dir_fd, struct err *err);
void store_unlock(int dir_fd);

/* True if somebody else holds the lock now. */
bool store_is_locked(int root_fd, const char *id);

/* Remove ROOT/ID and what is in it, state.json last. Missing parts are no error. */
int store_remove(int root_fd, const char *id, int dir_fd, struct err *err);

/* ROOT/@seccomp, made on demand with mode 0700; -EBADF if it cannot be had (nobody needs it). */
int store_open_cache(int root_fd, bool make);
