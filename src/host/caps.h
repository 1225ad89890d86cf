/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/caps.h - capability names and what this kernel knows; capabilities(7).
 *
 * Sets are bit masks: bit N is capability number N (linux/capability.h). Nothing here changes the
 * process; caisson-init applies the sets.
 */
#pragma once

#include <stdint.h>

/* "CAP_CHOWN" -> 0. The exact spelling of the specification (upper case); -EINVAL otherwise. */
int caps_from_name(const char *name);

/* The name of a capability number, or NULL if this program has no name for it. */
const char *caps_name(int cap);

/* The highest capability number that the running kernel knows; asked once (prctl(2)), then cached.
 */
uint32_t caps_last(void);

/* Every capability of the running kernel: bits 0..caps_last(). */
uint64_t caps_all(void);
