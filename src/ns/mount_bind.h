/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/mount_bind.h - clones of existing mounts, and attributes of mounts, by descriptors.
 *
 * A clone (open_tree(2) with OPEN_TREE_CLONE) keeps the attributes of its source; options only add
 * and take away. In a user namespace the kernel locks the attributes that came from outside
 * (mount_namespaces(7)): an option that would lift such a lock fails, except "rw" and the
 * access-time words, which engines pass without meaning them: there the stricter attribute stays.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "host/mount_options.h"
#include "oci/spec.h"

/*
 * A detached clone of m->source (relative: below dir_fd) with what o->rbind and o->src_nofollow
 * say; *ret_mount_fd is the caller's.
 */
int mount_bind_open(int dir_fd, const char *source, const struct mount_options *o,
		    int *ret_mount_fd, struct err *err);

/* Whether an entry of mounts[] is a bind mount: by an option or by its type. */
bool mount_is_bind(const struct oci_mount *m, const struct mount_options *o);

/*
 * The same for the parent of the staged child, when the child may not: in a new user namespace a
 * source can lie behind directories that only the host's root may pass, and only the owner of the
 * file system may make an idmapped mount. Relative sources count from bundle. userns_fd gives the
 * mapping of "idmap" and "ridmap", -1: none. The result is a slave of the host's mounts, as all
 * else in the container's mount namespace is, and fits into rootfs.source_fds; its entry in
 * idmap_fds must then be -1.
 */
int mount_source_open(const struct oci_mount *m, const char *bundle, int userns_fd,
		      int *ret_mount_fd, struct err *err);

/*
 * Everything of `o` that mount_setattr(2) can do, on the mount mount_fd: attributes of this mount
 * and recursive ones, propagation. attr_mask takes MOUNT_ATTR_* out of attr_set that come later.
 */
int mount_apply_options(int mount_fd, const struct mount_options *o, uint64_t later,
			struct err *err);

/* Map ids through userns_fd; the mount must be detached (mount_setattr(2)). */
int mount_apply_idmap(int mount_fd, int userns_fd, bool recursive, struct err *err);

/* MOUNT_ATTR_RDONLY for this mount (or all below it too). 0 or -errno. */
int mount_set_readonly(int mount_fd, bool recursive);

/*
 * "copy-symlink": a link of that text at `destination` below root_fd, with what is missing on the
 * way; one that is there already will do. -EEXIST for anything else.
 */
int mount_make_link(int root_fd, const char *destination, const char *text, struct err *err);
