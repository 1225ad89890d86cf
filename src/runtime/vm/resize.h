/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/vm/resize.h - isolation_ops.resize() of class vm. */
#pragma once

#include "base/err.h"
#include "oci/spec.h"
#include "runtime/runtime.h"

/*
 * The host's cgroup before the machine and the container inside, but a lower limit of memory behind
 * them, when the host has got the memory back. -EBUSY when it does not: the limits of memory are
 * then as before. A machine that is frozen is only told.
 */
int vm_resize(struct container *c, const struct oci_resources *resources, struct err *err);
