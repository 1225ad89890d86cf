/* SPDX-License-Identifier: Apache-2.0 */
/* hypervisor/qemu_root.h - the root directory that QEMU sees; private to the room. */
#pragma once

#include "base/err.h"
#include "hypervisor/machine.h"

/*
 * A mount namespace of the process's own whose root is read-only and has: the libraries and
 * firmware for `program` (and whatever lies beside those: they are directories of the host),
 * QEMU_KERNEL, QEMU_IMAGE unless there is none, /dev/null, /dev/kvm if it is accelerated, QEMU_FDS
 * of a template and its clones. Files are bound where they lie in the caller's mount namespace now;
 * -ESTALE: something else is there.
 */
int qemu_root_enter(int program, const struct machine *m, struct err *err);
