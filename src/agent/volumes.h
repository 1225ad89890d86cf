/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/volumes.h - small volumes that the host changes (ConfigMaps), as copies in the guest's
 * memory: inotify(7) tells of what happens in the guest's own kernel alone.
 *
 * A copy (AGENT_STORAGE_COPY) is a tmpfs that is filled from the share and brought up to date when
 * the host says so: what is new first, then links, by rename(2), then what is gone goes, so that a
 * directory that is replaced as a whole by a link's new target (as kubelet does it) is whole at any
 * time here, too.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "wire/agent_msg.h"

#define VOLUMES_MAX	    16u	 /* of one container */
#define VOLUMES_ENTRIES_MAX 1024 /* of one volume */
#define VOLUMES_DEPTH_MAX   8

struct volumes {
	struct {
		char *source, *target; /* owned */
	} items[VOLUMES_MAX];
	size_t len;
};
void volumes_done(struct volumes *volumes);

/* The copies among storages, for volumes_refresh(): what does not become one is left alone there.
 */
int volumes_list(const struct agent_storage *storages, size_t len, struct volumes *ret,
		 struct err *err);

/*
 * Fill the copies among storages that are mounted. One that cannot be a copy (too large, an entry
 * that nobody may read) becomes a bind mount of its source, with a line in the log.
 */
int volumes_fill(const struct agent_storage *storages, size_t len, struct err *err);

/*
 * Make `target` what `source` is. 0 or -errno: -E2BIG, -ENOSPC, -EAGAIN (a file that never rests);
 * what was copied until then stays, nothing was removed. For tests.
 */
int volumes_copy(const char *source, const char *target);

/* Bring all up to date; what cannot be is a line in the log. Takes as long as their files do. */
void volumes_refresh(const struct volumes *volumes);
