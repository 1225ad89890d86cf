/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/idmap.h - user namespaces for idmapped mounts (mount_setattr(2)). Private to the room.
 */
#pragma once

#include "base/err.h"
#include "oci/spec.h"

/* One descriptor for each of spec->mounts, or -EBADF; fds is NULL when no mount is idmapped. */
struct idmap_fds {
	int *fds;
	size_t len;
};

/*
 * Open one for every mount with mappings of its own, or with the option idmap or ridmap: its
 * uidMappings and gidMappings, the maps of "idmap=uids=..;gids=..", else those of the container.
 * Mounts with the same mappings of the container share one namespace. -EINVAL names the mount.
 */
int idmap_fds_open(const struct oci_spec *spec, struct idmap_fds *ret, struct err *err);
void idmap_fds_done(struct idmap_fds *maps);
