/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypervisor/verdicts.h - the file in which probe.c keeps what it has found out; private to the
 * room. Two lines for each verdict: what was probed, and "kvm" or "tcg REASON".
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "hypervisor/probe.h"

#define VERDICT_KEY_MAX 512u /* bytes */

/* Of a file that only the caller can have written: the verdict of this key, a line, if it is there.
 */
bool verdicts_recall(const char *path, const struct buf *key, struct probe *ret);

/* In front of the others, of which the oldest go. One that cannot be kept is none the worse. */
void verdicts_keep(const char *path, const struct buf *key, const struct probe *probe);
