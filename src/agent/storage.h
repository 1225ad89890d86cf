/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/storage.h - what is mounted for a container below AGENT_TOP before it is made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "wire/agent_msg.h"

/*
 * What was mounted for one container, in order; targets are owned. A tree that several have
 * (AGENT_STORAGE_SHARED) is mounted while one of them refers to it, by `number`: each reference is
 * a file below AGENT_TOP, made and removed under a lock, as each container has its own process that
 * mounts.
 */
struct storage_list {
	char *targets[AGENT_STORAGES_MAX];
	bool shared[AGENT_STORAGES_MAX];
	size_t len;
	unsigned int number; /* of the container, that no other one of the machine has */
};

/*
 * The part of a target below AGENT_TOP: "share/1". NULL for a path that is not below it or not
 * normalised.
 */
const char *storage_below(const char *target);

/* Whether DELETE takes it away: it is the container's, or a tree that it has with others. */
bool storage_is_listed(const struct agent_storage *storage);
/* Remember that target; -ENOMEM. The list has room for all of one container. */
int storage_remember(struct storage_list *list, const struct agent_storage *storage);

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
