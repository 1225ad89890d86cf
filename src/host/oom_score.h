/* SPDX-License-Identifier: Apache-2.0 */
/* host/oom_score.h - process.oomScoreAdj (proc_pid_oom_score_adj(5)). */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "oci/spec.h"

/*
 * Of process `pid`; nothing where the specification says nothing. A caller who is not root and may
 * not lower it goes on, as runc and crun do.
 */
int oom_score_apply(const struct oci_process *process, pid_t pid, struct err *err);

/* The same of the process whose directory of /proc this is (O_PATH): no number that comes again. */
int oom_score_apply_in(const struct oci_process *process, int dir, struct err *err);
