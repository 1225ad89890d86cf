/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/patience.h"

#include <errno.h>
#include <time.h>

#include "vmm/vm.h"
#include "wire/agent_codec.h"

int64_t patience_counts(const struct patience_tick *t)
{
	const int64_t used = t->cpu_ms < t->wall_ms ? t->cpu_ms : t->wall_ms;

	if (patience_was_stopped(t))
		return 0;
	if (t->cpu_ms < 0)
		return t->wall_ms;
	if (t->late_ms <= PATIENCE_LATE_MS && t->cpu_ms * PATIENCE_IDLE < t->wall_ms)
		return t->wall_ms;
	return used;
}

int64_t patience_limit_ms(enum agent_call call, bool cancelled, bool ends)
{
	if (call == AGENT_DELETE)
		return ends ? VM_DELETE_MS : 0;
	if (call == AGENT_PING)
		return VM_PING_MS;
	return agent_call_waits(call) && !cancelled ? 0 : VM_ANSWER_MS;
}

/* What clock_getcpuclockid(3) makes of a process, which asks the kernel whether it is there. */
static clockid_t cpu_clock(pid_t pid)
{
	return (clockid_t)((~(unsigned int)pid << 3) | 2u /* CPUCLOCK_SCHED */);
}

int64_t patience_cpu_ms(pid_t pid)
{
	struct timespec used;

	if (clock_gettime(cpu_clock(pid), &used) < 0)
		return -errno;
	return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}
