/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/settings.h - what flags and configuration say of a sandbox, and a container's
 * annotations that replace it where allowed_annotations lists them.
 */
#pragma once

#include "base/err.h"
#include "oci/spec.h"
#include "runtime/runtime.h"

#define STUB_PROFILE_ANNOTATION "io.caisson.stub-profile"

/* --stub-profile: SENTRY_PROFILE_*. -EPERM, -EINVAL. */
int sentry_setting_profile(const struct runtime *rt, const struct oci_spec *spec, uint32_t *ret,
			   struct err *err);
