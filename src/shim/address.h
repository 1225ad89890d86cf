/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/address.h - where a shim listens: a unix socket with a name made of containerd's own socket,
 * the namespace and the group that the shim serves, so that every `start` of a pod finds the one.
 *
 * The sockets are files of mode 0600 in a directory of mode 0700 (CVE-2020-15257).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

#define ADDRESS_SCHEME "unix://"
#define ADDRESS_FILE   "address" /* in a bundle */
#define ADDRESS_MAX    108	 /* with the NUL, as sockaddr_un.sun_path */

/* The path of a group's socket below `dir`; -ENAMETOOLONG. */
int address_path(const char *dir, const char *containerd, const char *ns, const char *group,
		 char ret[static ADDRESS_MAX], struct err *err);

/*
 * Who shares a shim with container `id`: the pod's sandbox by the annotations of config.json
 * (containerd's CRI plugin, CRI-O), else the container alone. `config` is its document.
 */
const char *address_group(const json_t *config, const char *id);

/*
 * A listening socket at `path`: its descriptor; or -EEXIST, without a message, when somebody
 * listens there already. What a dead shim left is replaced. One caller at a time for a directory:
 * it is locked meanwhile.
 */
int address_listen(const char *path, struct err *err);

/* Remove what a dead shim left; one that lives keeps its socket. The directory is locked meanwhile.
 */
int address_remove(const char *path, struct err *err);

/* A connection to who listens, which does not block; -EAGAIN: so many wait that there is somebody.
 */
int address_connect(const char *path);

/*
 * Remove the sockets in the directory of `path` with names as address_path() and manage_path() make
 * them at which nobody listens: of shims that were killed when containerd did not know them yet, or
 * no more. One is dead that the kernel does not list, and refuses to connect to; where that cannot
 * be told it stays. The directory is locked meanwhile. Those that it lists are not connected to.
 */
void address_sweep(const char *path);

/* Whether somebody listens. */
bool address_answers(const char *path);

/* Write ADDRESS_FILE into the bundle, and read the path from it. -ENOENT. */
int address_save(int bundle_fd, const char *path, struct err *err);
int address_load(int bundle_fd, char ret[static ADDRESS_MAX], struct err *err);
