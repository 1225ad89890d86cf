/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/lsm.h - the place of Linux security modules: AppArmor profiles and SELinux labels.
 *
 * Applying them is a later step (CAVEATS.md#ns-apparmor, #ns-selinux). Until then a specification
 * that asks for confinement which would not happen is refused: never silently weaker than written.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "oci/spec.h"

/* Whether the module is enabled on this host. */
bool lsm_apparmor_enabled(void);
bool lsm_selinux_enabled(void);

/*
 * -ENOTSUP naming the field when the process (or, with linux_spec, its mounts) wants a profile or
 * label. "unconfined" is granted where AppArmor is not enabled: that is what the process will be.
 */
int lsm_check(const struct oci_process *process, const struct oci_linux *linux_spec,
	      struct err *err);
