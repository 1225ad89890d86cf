/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/warm.h - what a template does before it is saved.
 */
#pragma once

#include "agent/agent.h"

/*
 * Make, run and delete a container that does nothing: whatever the kernel and the agent do once, at
 * the first container, is done for all clones. The program of the default device rules stays
 * (a->program). Waits until the kernel is done with what it does later, 3.3 s at most. What fails
 * is logged, and the template is a slower one; but if something of the container stays, clones
 * would tell their hosts of it: -EBUSY.
 */
int warm_up(struct agent *a, struct err *err);
