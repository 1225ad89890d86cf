/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/seccomp_profile.h - the system calls of untrusted programs: of `do` sandboxes, and of the
 * document of `spec --hardened`.
 */
#pragma once

#include "base/json.h"

/* linux.seccomp as a new reference; NULL when out of memory. */
json_t *seccomp_profile(void);
