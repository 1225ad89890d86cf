/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/cage.h - from here on only what seccomp/vm.list says, before a byte of the guest is looked
 * at. The runtime has taken identity, capabilities and root directory away before the program was
 * executed; this takes what an exec may have given back.
 */
#pragma once

#include "base/err.h"

/* 0 or a sentence; after a failure the process must end. */
int cage_close(struct err *err);
