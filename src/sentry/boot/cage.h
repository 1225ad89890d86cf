/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/cage.h - when the kernel is up: from here on only what seccomp/sentry.list says.
 *
 * The runtime has taken identity, capabilities and root directory away before the program was
 * executed (src/runtime/sentry/stage.c); this closes what the start needed and installs the filter
 * in every thread, before a byte of the container is parsed. Platform ptrace traces, forks and
 * waits: it is for tests and hosts without seccomp traps, and gets everything but the filter.
 */
#pragma once

#include "base/err.h"
#include "wire/sentry_msg.h"

/* 0 or a sentence; after a failure the process must end. */
int cage_close(const struct sentry_container *c, struct err *err);
