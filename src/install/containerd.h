/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install/containerd.h - the tables of containerd's CRI plugin, for containerd itself and for those
 * that bring their own (MicroK8s, K3s).
 */
#pragma once

#include "install/plan.h"

/* Version 2 of the file is that of containerd 1.x (2.x reads it, too), 3 and more of 2.x. */
struct containerd_tables {
	unsigned int version; /* 2, or 3 for everything after it */
	bool say_version;     /* the file has nothing else in it: it needs the line, too */
	bool runc;	      /* containerd would forget its own runtime: name it */
};

/* The lines of all handlers. */
int containerd_body(const struct install_plan *plan, const struct containerd_tables *tables,
		    struct buf *ret, struct err *err);

/* add for a plan whose first file is the main one and the others what it imports. */
int containerd_add(struct install_plan *plan, struct err *err);
