/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/inner_hooks.h - startContainer hooks: programs of the container's file system, run
 * inside the sentry by exec, before the gate opens.
 */
#pragma once

#include "base/err.h"
#include "oci/spec.h"
#include "runtime/runtime.h"

/*
 * Run the hooks of spec in order, as the user and with the capabilities of its process; the state
 * document is their standard input. -ECANCELED, "startContainer hook 0 (/path): exit status 1: LAST
 * LINE OF STDERR", -ETIMEDOUT. Nothing happens without hooks.
 */
int inner_hooks_run(struct container *c, const struct oci_spec *spec, struct err *err);
