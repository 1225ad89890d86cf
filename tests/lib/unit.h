/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/lib/unit.h - the one includer of cmocka, whose header needs these four before it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The message of a struct err contains these words. */
#define assert_says(err, words)                                                   \
	do {                                                                      \
		if (!strstr((err).msg, words))                                    \
			fail_msg("\"%s\" does not say \"%s\"", (err).msg, words); \
	} while (0)
