/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/limits.h - linux.resources of a creation as config.json has them: what the host's
 * cgroup gets is made of them in place (isolation_add_extras()).
 */
#pragma once

#include "base/err.h"
#include "runtime/creation.h"

struct sandbox_limits {
	struct oci_resources resources;
	struct oci_kv *unified; /* owned */
};

/* -ENOMEM. *ret is the caller's. */
int sandbox_limits_keep(const struct creation *cr, struct sandbox_limits *ret, struct err *err);
void sandbox_limits_return(struct creation *cr, const struct sandbox_limits *limits);
void sandbox_limits_done(struct sandbox_limits *limits);
