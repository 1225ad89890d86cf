/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/clock.h - times as text, and the clock of deadlines. UTC by arithmetic: gmtime(3) would read
 * /etc/localtime first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_TEXT_MAX 40 /* bytes with the NUL */

/*
 * RFC 3339 in UTC: "2026-11-21T23:05:03Z", with `fraction` "2026-11-21T23:05:03.5Z" (nanoseconds
 * without trailing zeros, as Go's RFC3339Nano). Years 0 to 9999; others are shown as the nearest of
 * these.
 */
const char *clock_rfc3339(const struct timespec *when, bool fraction,
			  char text[static CLOCK_TEXT_MAX]);

/* CLOCK_MONOTONIC in milliseconds. */
int64_t clock_ms(void);
