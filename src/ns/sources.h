/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/sources.h - sources of bind mounts that only the parent can reach. Private to the room.
 *
 * Root of a user namespace is nobody special on the host: a volume below a directory that only the
 * host's root may enter could not be mounted by the staged child. So the parent clones the source
 * as a detached mount (open_tree(2)) and the child moves it to its place.
 */
#pragma once

#include "base/err.h"
#include "ns/idmap.h"
#include "oci/spec.h"

/* One detached mount for each of spec->mounts, or -EBADF; fds is NULL when there are none. */
struct source_fds {
	int *fds;
	size_t len;
};

/*
 * A source that cannot be opened is left to the child, which names the mount in its error; one that
 * cannot be mapped is an error here. What has been mapped is taken out of idmaps (closed).
 */
int source_fds_open(const struct oci_spec *spec, const char *bundle, struct idmap_fds *idmaps,
		    struct source_fds *ret, struct err *err);
void source_fds_done(struct source_fds *sources);
