/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/storage.h - what is mounted for a container below AGENT_TOP before it is made.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "wire/agent_msg.h"

/* What was mounted for one container, in order; targets are owned. */
struct storage_list {
	char *targets[AGENT_STORAGES_MAX];
	size_t len;
};

/*
 * The part of a target below AGENT_TOP: "share/1". NULL for a path that is not below it or not
 * normalised.
 */
const char *storage_below(const char *target);

/*
 * Mount one after the other and remember what must be unmounted. After a failure *list has what
 * was mounted until then.
 */
int storage_mount_all(const struct agent_storage *storages, size_t len, struct storage_list *list,
		      struct err *err);
/*
 * Unmount in reverse, and remove the directories; the first failure is told, the others are tried
 * all the same.
 */
int storage_unmount_all(struct storage_list *list, struct err *err);
