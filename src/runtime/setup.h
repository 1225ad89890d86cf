/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/setup.h - from the settings that were said (config.h) to the struct runtime of an
 * invocation, with defaults for what nobody said.
 */
#pragma once

#include <limits.h>

#include "base/err.h"
#include "runtime/config.h"
#include "runtime/runtime.h"

/* *rt points into `config`, which gets the defaults and outlives it. -EINVAL names the key. */
int runtime_set_up(struct config *config, struct runtime *rt, struct err *err);

/* The helper programs stand beside our own file, DIR/../libexec/caisson, or where they are
 * installed.
 */
void runtime_default_libexec(char dir[static PATH_MAX]);
