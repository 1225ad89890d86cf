/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/platform/platform.h"

#include <stddef.h>

const struct platform_ops *platform;
