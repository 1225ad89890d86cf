/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/creds.h - who the sandbox's processes are when they are executed: ids of their
 * own, as few capabilities as they start with, capabilities(7).
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* The capabilities that caisson-gofer starts with: its four, and what its own cage needs. */
uint64_t creds_gofer_caps(void);

/*
 * Become uid and gid `id` (0: stay) without supplementary groups, with the capabilities `caps` of
 * those that the process has; the others leave every set, the bounding set too. They outlive
 * exec(2) as ambient ones. Sets no_new_privs. Clears the parent-death signal.
 */
int creds_become(uint32_t id, uint64_t caps, struct err *err);
