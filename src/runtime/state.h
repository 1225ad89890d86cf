/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/state.h - state.json: what later invocations must know about a container.
 *
 * Version 1. Unknown keys are ignored, so that a newer caisson may add facts; a higher version is
 * refused. The file is ours and in a directory nobody else may write, but a full disk, a crash or a
 * curious administrator may still have damaged it: everything is checked, nothing is trusted to be
 * there.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/json.h"
#include "runtime/runtime.h"

#define STATE_VERSION 1
#define STATE_MAX     (32u << 20) /* bytes; annotations come from config.json and may be long */

/* The document of a container. *ret is the caller's. -ENOMEM. */
int state_encode(const struct container *c, json_t **ret, struct err *err);

/*
 * Fill an empty container from a document: id, bundle, rootfs, isolation, pid and start_time (0
 * while it was being created), created, owner, cgroup, annotations, oci_version, hooks. -EINVAL
 * names the key.
 */
int state_decode(const json_t *document, struct container *c, struct err *err);

/* Write atomically into the container's directory. */
int state_save(const struct container *c, struct err *err);

/*
 * Read and decode; the document must be about c->id. Of another boot of the host: without pid and
 * cgroup. -ENOENT if there is none; a link or what else is no regular file is refused.
 */
int state_load(struct container *c, struct err *err);
