/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/caps.h - what this kernel knows of capabilities(7). Their names are in oci/spec.h.
 */
#pragma once

#include <stdint.h>

#include "oci/spec.h"

/* The highest capability number that the running kernel knows; asked once (prctl(2)), then cached.
 */
uint32_t caps_last(void);

/* What this process has to give: its permitted set. */
uint64_t caps_own(void);

/*
 * `want` without what this process cannot give. The specification: a capability that cannot be
 * granted is logged, and the container starts without it (config.md, process.capabilities).
 */
struct oci_caps caps_grant(const struct oci_caps *want);
