/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/start.h - what start and run share.
 */
#pragma once

#include "oci/spec.h"
#include "runtime/runtime.h"

/* Run the poststart hooks. spec NULL: the container's copy of config.json is read if there are any.
 */
int start_poststart(struct container *c, const struct oci_spec *spec, struct err *err);
