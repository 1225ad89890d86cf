/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/metrics.h - DEBUG metrics: counters and gauges in the text form of Prometheus. */
#pragma once

#include "base/buf.h"

struct vm;

void metrics_show(const struct vm *vm, struct buf *b);
