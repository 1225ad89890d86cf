/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/wire/until.h - for tests whose `world` has a loop. */
#pragma once

#include "lib/unit.h"

#include "base/clock.h"
#include "base/loop.h"

/* Serve until the condition holds: 60 s at the most. */
#define UNTIL(condition)                                                    \
	do {                                                                \
		const int64_t end_ = clock_ms() + 60000;                    \
		while (!(condition)) {                                      \
			assert_int_equal(loop_once(world.loop, 100), 0);    \
			if (clock_ms() > end_)                              \
				fail_msg("line %d: " #condition, __LINE__); \
		}                                                           \
	} while (0)
