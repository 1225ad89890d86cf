/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/version.h - the Linux that guests see in uname(2) and /proc.
 */
#pragma once

#define SENTRY_RELEASE	  "6.6.0"
#define SENTRY_RELEASE_26 "2.6.66" /* with UNAME26 of personality(2) */
#define SENTRY_VERSION	  "#1 SMP PREEMPT_DYNAMIC Caisson " CAISSON_VERSION
