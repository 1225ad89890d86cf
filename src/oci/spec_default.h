/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/spec_default.h - the document that the verb `spec` writes: runc's example, so that scripts
 * that edit it with jq find what they expect.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct oci_spec_default {
	bool rootless;		     /* a user namespace for the caller instead of root's rights */
	uint32_t host_uid, host_gid; /* the caller's, for rootless */
	bool cgroup_namespace;	     /* runc adds one on a host with cgroup2 only */
};

/* Append the document, indented by tabs, no final newline (as runc writes it). */
int oci_spec_default_print(const struct oci_spec_default *options, struct buf *out,
			   struct err *err);
