/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/oom.h - whom the host's OOM killer takes first when the container's memory is
 * used up (proc(5), /proc/PID/oom_score_adj): the guest's processes, whose stubs have what
 * config.json says, before the processes that serve them.
 */
#pragma once

/* The value of this process; 0 if nobody knows. */
int oom_score(void);

/* What a process gets that is to be taken after those with `score`. */
int oom_score_below(int score);

/*
 * This process and those that it makes from now on are taken last: far below where they are now,
 * or, without CAP_SYS_RESOURCE over the host, at `inherited`, which was its maker's, if that is
 * lower.
 */
void oom_go_last(int inherited);

/*
 * Undoes oom_go_last() for this process and those that it makes from now on. `proc`: a directory
 * descriptor of /proc; it need not be reachable any more.
 */
void oom_go_back(int proc, int score);
