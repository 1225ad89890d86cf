/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/namespaces.h - which namespaces are new, which are joined (namespaces(7)). Private to the
 * room.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "oci/spec.h"

/* Descriptors of the namespaces to join; -EBADF where there is none. */
struct ns_joined {
	int fd[OCI_NS_MAX];
};
#define NS_JOINED_INIT                                    \
	{                                                 \
		.fd = { [0 ... OCI_NS_MAX - 1] = -EBADF } \
	}

/* CLONE_NEW* of one kind. */
int namespace_flag(enum oci_ns kind);

/* CLONE_NEW* of every namespace that config.json wants new. */
unsigned int namespaces_new(const struct oci_linux *linux_spec);

/*
 * Open every namespace that is joined by path and verify its kind (ioctl_ns(2), NS_GET_NSTYPE), so
 * that a path cannot smuggle in something else. The error names linux.namespaces and the path.
 */
int namespaces_open(const struct oci_linux *linux_spec, struct ns_joined *ret, struct err *err);
void namespaces_close(struct ns_joined *joined);

/*
 * In a user namespace with every capability over it: become its root or, where id 0 is not mapped,
 * `user`, who keeps the capabilities over the exec of caisson-init as ambient ones. -EINVAL when
 * neither is mapped. Clears the parent-death signal.
 */
int namespace_become_root(const struct oci_user *user, struct err *err);

/* Join one if its descriptor is open. */
int namespace_enter(const struct ns_joined *joined, enum oci_ns kind, struct err *err);

/* A new time namespace with the offsets of config.json, entered at once (time_namespaces(7)). */
int namespace_new_time(const struct oci_linux *linux_spec, struct err *err);
