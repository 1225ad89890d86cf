/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/report.h - what the runtime that makes the container is told, until it lets go of it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* On VMM_FD_REPORT, if it is open still. `err` of FAILED, or NULL. */
void report_say(uint32_t type, const struct err *err);
/* Nothing more is said. */
void report_close(void);
bool report_is_open(void);
