/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/ptrace_access.h - may one task look into another? (ptrace(2), "Ptrace access mode
 * checking")
 */
#pragma once

#include "sentry/task/task.h"

enum ptrace_access {
	PTRACE_ACCESS_READ,	 /* with the file system ids: /proc files */
	PTRACE_ACCESS_READ_REAL, /* with the real ids */
	PTRACE_ACCESS_ATTACH,	 /* with the real ids: ptrace, process_vm_*, pidfd_getfd */
};

bool ptrace_may_access(const struct task *t, const struct task *target, enum ptrace_access access);
