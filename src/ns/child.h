/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/child.h - the staged child of ns_create(). Private to the room.
 */
#pragma once

#include "ns/namespaces.h"
#include "ns/ns.h"
#include "ns/rootfs.h"

/* What the child inherits; all borrowed from the parent's memory at the moment of the clone. */
struct child {
	const struct ns_create_options *options;
	const struct ns_joined *joined;
	unsigned int new_flags; /* CLONE_NEW* of config.json */
	const int *idmap_fds;	/* as in struct rootfs */
	const int *source_fds;
	int init_fd;
	int sock;      /* the child's end */
	bool placed;   /* STAGE_PLACED has been seen */
	bool late_pid; /* the joined pid namespace is entered by a fork at the very end */
};

/* Never returns: becomes caisson-init, or reports its error on child->sock and ends. */
__attribute__((noreturn)) void child_main(struct child *child);

/*
 * The intermediate process where a user namespace is joined, or a pid namespace with a new user
 * namespace: enters them, clones the staged child as a child of the runtime (CLONE_PARENT), tells
 * its pid, and ends.
 */
__attribute__((noreturn)) void child_intermediate(struct child *child, unsigned long long flags);
