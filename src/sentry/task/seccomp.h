/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/seccomp.h - seccomp(2) filters of the guest, interpreted here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct seccomp_filter;

struct seccomp_filter *seccomp_filter_ref(struct seccomp_filter *f); /* accepts NULL */
void seccomp_filter_unref(struct seccomp_filter *f);		     /* accepts NULL */
