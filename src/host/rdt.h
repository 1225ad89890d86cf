/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/rdt.h - linux.intelRdt on the resctrl file system (OCI config-linux.md#intelrdt).
 *
 * Every function but rdt_open() works below a descriptor of the resctrl root, so that tests can
 * give a plain directory. A class of service is a directory: `closID`, or the container's id. Who
 * made it removes it.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "oci/spec.h"

/* A descriptor of the mounted resctrl root; -ENOTSUP when this host has none. The caller closes it.
 */
int rdt_open(struct err *err);

/* True if this kernel can mount resctrl at all (/proc/filesystems): for `features` and `check`. */
bool rdt_supported(void);

/*
 * Make or join the class, write its schemata (l3CacheSchema, memBwSchema, schemata), make a
 * monitoring group if asked, and put `pid` in. *ret_made tells whether rdt_remove() is due when the
 * container ends. -EINVAL: an id that is no plain name; -ENOENT: closID given with no schema and no
 * such class.
 */
int rdt_apply(int resctrl_fd, const struct oci_intel_rdt *rdt, const char *id, pid_t pid,
	      bool *ret_made, struct err *err);

/* `update --l3-cache-schema --mem-bw-schema`: either may be NULL. */
int rdt_update(int resctrl_fd, const char *clos, const char *l3_schema, const char *mem_bw_schema,
	       struct err *err);

/*
 * Remove the class (made: the whole directory), or the container's monitoring group in a class that
 * stays. Missing is no error.
 */
int rdt_remove(int resctrl_fd, const struct oci_intel_rdt *rdt, const char *id, bool made,
	       struct err *err);
