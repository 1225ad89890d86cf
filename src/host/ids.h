/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/ids.h - id mappings of user namespaces: user_namespaces(7), subuid(5), newuidmap(1).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "oci/spec.h"

/* The kernel's limit of lines in uid_map and gid_map. */
#define IDS_MAPS_MAX 340

/* One range of /etc/subuid or /etc/subgid that belongs to a user. */
struct ids_range {
	uint32_t first;
	uint32_t count; /* 1 or more; first + count - 1 fits */
};

#define IDS_SUBID_FILE_MAX   (1u << 20) /* bytes of /etc/subuid that are read */
#define IDS_SUBID_RANGES_MAX 64		/* ranges of one user that are kept */

/*
 * Give the user namespace of process `pid` (a child that waits) its maps. Privileged: written
 * directly. `unprivileged`: a single range of one id that is the caller's own is written directly
 * after "deny" went to setgroups; anything else goes through newuidmap and newgidmap, found in a
 * fixed list of directories (never PATH), run with an empty environment. -EINVAL for no or too many
 * ranges; -ENOENT when a helper program is needed and missing; -EPERM with the helper's first line
 * when it refuses.
 */
int ids_write_maps(pid_t pid, const struct oci_id_maps *uids, const struct oci_id_maps *gids,
		   bool unprivileged, struct err *err);

/*
 * The ranges of `user` (or of `uid` in decimal) in the text of a subuid(5) file. At most `max` go
 * to `ret`. Lines that are not "name:first:count" are skipped, as shadow does. Returns their
 * number; 0: none.
 */
size_t ids_subid_parse(const char *text, size_t len, const char *user, struct ids_range *ret,
		       size_t max);

/*
 * As above for the user id `uid` (its name is asked of /etc/passwd) and the file `path`. Returns
 * the number of ranges (0: none, a missing file too), -E2BIG for a file above IDS_SUBID_FILE_MAX,
 * or -errno.
 */
int ids_subid_ranges(const char *path, uid_t uid, struct ids_range *ret, size_t max,
		     struct err *err);

/*
 * What `inside` is in the namespace of who has read `map`, the text of /proc/PID/uid_map or gid_map
 * (user_namespaces(7)). false: it is not mapped, or into what the reader has not.
 */
bool ids_outside(const char *map, uint32_t inside, uint32_t *ret);

/*
 * A descriptor of a new user namespace with these maps, for mount_setattr(MOUNT_ATTR_IDMAP). The
 * child process that carried it is gone and reaped on return. The caller closes the descriptor.
 */
int ids_userns_open(const struct oci_id_maps *uids, const struct oci_id_maps *gids,
		    struct err *err);

/*
 * Read the text of "idmap=uids=0-1000-10#20-30-1;gids=0-1000-10" (crun: container-host-size, '@'
 * before the first number: relative to the container's own mapping). Ranges go to the caller's
 * arrays. -EINVAL for bad syntax, -E2BIG for more than `max`.
 */
struct ids_mount_maps {
	struct oci_id_map uids[16], gids[16];
	size_t uids_len, gids_len;
	bool uids_relative[16], gids_relative[16];
};
int ids_parse_mount_maps(const char *text, struct ids_mount_maps *ret, struct err *err);
