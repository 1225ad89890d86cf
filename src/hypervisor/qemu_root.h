/* SPDX-License-Identifier: Apache-2.0 */
/* hypervisor/qemu_root.h - the root directory that QEMU sees; private to the room. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/*
 * A mount namespace of the process's own whose root is read-only and has: the libraries and
 * firmware for `program` (and whatever lies beside those: they are directories of the host),
 * QEMU_KERNEL, QEMU_IMAGE unless `image` is negative, /dev/null, /dev/kvm if asked for. Files are
 * bound where they lie in the caller's mount namespace now; -ESTALE: something else is there.
 */
int qemu_root_enter(int program, int kernel, int image, bool kvm, struct err *err);
