/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/caps.h - what this kernel knows of capabilities(7). Their names are in oci/spec.h.
 */
#pragma once

#include <stdint.h>

/* The highest capability number that the running kernel knows; asked once (prctl(2)), then cached.
 */
uint32_t caps_last(void);
