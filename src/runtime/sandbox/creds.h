/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/creds.h - who the sandbox's processes are when they are executed: ids of their
 * own, as few capabilities as they start with, capabilities(7).
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* The capabilities that caisson-gofer has. */
uint64_t creds_gofer_caps(void);

/* Who has never called creds_bound(). */
#define CREDS_ALL UINT64_MAX

/*
 * The capabilities `keep` are all that the bounding set of this process and of its children has;
 * saves them forty calls each.
 */
int creds_bound(uint64_t keep, struct err *err);

/*
 * Become uid and gid `id` (0: stay) without supplementary groups, with the capabilities `caps` of
 * those that the process has; the others leave every set, and all leave the bounding set, which has
 * at most `bound`. They outlive exec(2) as ambient ones. Sets no_new_privs. Clears the parent-death
 * signal.
 */
int creds_become(uint32_t id, uint64_t caps, uint64_t bound, struct err *err);
