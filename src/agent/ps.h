/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/ps.h - proc(5)'s texts as struct sentry_ps; private to the room and its tests.
 */
#pragma once

#include <stddef.h>

#include "wire/sentry_msg.h"

/*
 * /proc/PID/stat: pid, ppid, state, comm, threads, cpu_ns, and start_ns as time after boot. The
 * name may hold anything, blanks and parentheses too. -EINVAL.
 */
int ps_parse_stat(const char *text, struct sentry_ps *ret);
/* The command from /proc/PID/cmdline, NULs as blanks; without one "[comm]". */
void ps_take_command(const char *bytes, size_t len, struct sentry_ps *ret);
