/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/list_as.h - the containers of a root that a user wrote whom root does not trust.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "runtime/runtime.h"

/*
 * container_list() for root, of a directory in another user's hands. A child gives up root for that
 * user, without any group of ours, reads and observes, and tells the rows over a pipe; rt->root
 * itself must be no link. So neither links, devices and file systems below the directory nor the
 * pids and cgroups of its files make root open, read or wait for anything. The owner of all rows is
 * `uid`, whatever they say, and they have no cgroup. What the user cannot read is an empty list.
 *
 * -EINVAL for uid 0 and -1; -ETIMEDOUT, -E2BIG and -EPROTO for a child that has not told all after
 * wait_ms, tells more than LIST_AS_MAX or tells nonsense. Frees with container_list_free().
 */
int container_list_as(const struct runtime *rt, uid_t uid, int64_t wait_ms, struct container ***ret,
		      size_t *ret_len, struct err *err);

#define LIST_AS_MAX (16u << 20) /* bytes of JSON */

/* What the child told, as hostile as the user. -EPROTO, -ENOMEM. */
int list_as_decode(const struct runtime *rt, uid_t uid, const char *text, size_t len,
		   struct container ***ret, size_t *ret_len, struct err *err);
