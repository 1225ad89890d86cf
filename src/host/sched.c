/* SPDX-License-Identifier: Apache-2.0 */
#include "host/sched.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched/types.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/str.h"

#define BITS_PER_LONG	    (sizeof(unsigned long) * CHAR_BIT)
#define NODES_MAX	    1024u /* MAX_NUMNODES of the largest kernel configuration */
#define IOPRIO_WHO_THREAD   1	  /* IOPRIO_WHO_PROCESS of ioprio_set(2): id 0 is the caller */
#define MPOL_WEIGHTED_VALUE 6	  /* MPOL_WEIGHTED_INTERLEAVE, Linux 6.9 */

int sched_apply(const struct oci_scheduler *s, struct err *err)
{
	const struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = s->policy,
		.sched_flags = s->flags,
		.sched_nice = s->nice,
		.sched_priority = (uint32_t)s->priority,
		.sched_runtime = s->runtime_ns,
		.sched_deadline = s->deadline_ns,
		.sched_period = s->period_ns,
	};

	if (!s->set)
		return 0;
	if (syscall(SYS_sched_setattr, 0, &attr, 0u) < 0)
		return err_sys(err, -errno,
			       "process.scheduler: set policy %u, nice %d, priority %d", s->policy,
			       s->nice, s->priority);
	return 0;
}

int ioprio_apply(const struct oci_ioprio *ioprio, struct err *err)
{
	if (!ioprio->set)
		return 0;
	if (ioprio->class < 0 || ioprio->class > 3 || ioprio->priority < 0 ||
	    ioprio->priority >= IOPRIO_NR_LEVELS)
		return err_set(err, -EINVAL, "process.ioPriority: class %d, priority %d",
			       ioprio->class, ioprio->priority);
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_THREAD, 0,
		    ioprio->class << IOPRIO_CLASS_SHIFT | ioprio->priority) < 0)
		return err_sys(err, -errno, "process.ioPriority: set class %d, priority %d",
			       ioprio->class, ioprio->priority);
	return 0;
}

static int rlimit_refused(const struct oci_rlimit *l, int error, const struct rlimit64 *present,
			  struct err *err)
{
	return err_sys(err, error,
		       "process.rlimits: set %s to soft %llu, hard %llu (hard limit now %llu)",
		       l->name, (unsigned long long)l->soft, (unsigned long long)l->hard,
		       (unsigned long long)present->rlim_max);
}

int rlimits_check(const struct oci_rlimit *rlimits, size_t len, struct err *err)
{
	for (size_t i = 0; i < len; i++) {
		const struct oci_rlimit *l = &rlimits[i];
		const __rlimit_resource_t type = (__rlimit_resource_t)l->type;
		struct rlimit64 present, higher;

		if (prlimit64(0, type, NULL, &present) < 0)
			return rlimit_refused(l, -errno, &(struct rlimit64){ 0 }, err);
		if (l->hard <= present.rlim_max)
			continue;
		/* Raised and at once taken back, which anybody may; the soft limit never moves. */
		higher = present;
		higher.rlim_max = l->hard;
		if (prlimit64(0, type, &higher, NULL) < 0)
			return rlimit_refused(l, -errno, &present, err);
		(void)prlimit64(0, type, &present, NULL);
	}
	return 0;
}

int rlimits_apply(const struct oci_rlimit *rlimits, size_t len, pid_t pid, struct err *err)
{
	for (size_t i = 0; i < len; i++) {
		const struct oci_rlimit *l = &rlimits[i];
		const struct rlimit64 limit = { .rlim_cur = l->soft, .rlim_max = l->hard };
		struct rlimit64 present = { 0 };
		int r;

		if (prlimit64(pid, (enum __rlimit_resource)l->type, &limit, NULL) == 0)
			continue;
		r = -errno;
		(void)prlimit64(pid, (enum __rlimit_resource)l->type, NULL, &present);
		return rlimit_refused(l, r, &present, err);
	}
	return 0;
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t\n");
}

/* One decimal number below `limit`; *text moves behind it. */
static int take_number(const char **text, size_t limit, size_t *ret)
{
	const char *p = skip_blanks(*text);
	size_t value = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (size_t)(*p - '0');
		if (value >= limit)
			return -ERANGE;
	}
	*text = skip_blanks(p);
	*ret = value;
	return 0;
}

int cpulist_parse(const char *text, unsigned long *mask, size_t mask_bits)
{
	memset(mask, 0, (mask_bits + BITS_PER_LONG - 1) / BITS_PER_LONG * sizeof(*mask));
	for (;;) {
		size_t first, last;
		int r = take_number(&text, mask_bits, &first);

		last = first;
		if (r == 0 && *text == '-') {
			text++;
			r = take_number(&text, mask_bits, &last);
		}
		if (r < 0)
			return r;
		if (last < first)
			return -EINVAL;
		for (size_t bit = first; bit <= last; bit++)
			mask[bit / BITS_PER_LONG] |= 1ul << bit % BITS_PER_LONG;
		if (*text == '\0')
			return 0;
		if (*text++ != ',')
			return -EINVAL;
	}
}

int affinity_apply(pid_t pid, const char *cpulist, struct err *err)
{
	unsigned long mask[CPULIST_BITS_MAX / BITS_PER_LONG];
	int r;

	if (!cpulist || !*cpulist)
		return 0;
	r = cpulist_parse(cpulist, mask, CPULIST_BITS_MAX);
	if (r < 0)
		return err_sys(err, r, "list of processors \"%s\"", cpulist);
	/* Processors that are not there are ignored by the kernel; only an empty rest is EINVAL. */
	if (syscall(SYS_sched_setaffinity, pid, sizeof(mask), mask) < 0)
		return err_sys(err, -errno, "set the processors of process %d to \"%s\"", (int)pid,
			       cpulist);
	return 0;
}

/* Index is the value of the mode (set_mempolicy(2)). */
static const char *const mode_words[] = {
	[MPOL_DEFAULT] = "MPOL_DEFAULT",
	[MPOL_PREFERRED] = "MPOL_PREFERRED",
	[MPOL_BIND] = "MPOL_BIND",
	[MPOL_INTERLEAVE] = "MPOL_INTERLEAVE",
	[MPOL_LOCAL] = "MPOL_LOCAL",
	[MPOL_PREFERRED_MANY] = "MPOL_PREFERRED_MANY",
	[MPOL_WEIGHTED_VALUE] = "MPOL_WEIGHTED_INTERLEAVE",
	NULL,
};

static const char *const flag_words[] = {
	"MPOL_F_NUMA_BALANCING",
	"MPOL_F_RELATIVE_NODES",
	"MPOL_F_STATIC_NODES",
	NULL,
};

static const int flag_values[] = {
	MPOL_F_NUMA_BALANCING,
	MPOL_F_RELATIVE_NODES,
	MPOL_F_STATIC_NODES,
};

static int word_index(const char *const *words, const char *word)
{
	for (int i = 0; words[i]; i++) {
		if (str_eq(words[i], word))
			return i;
	}
	return -EINVAL;
}

int memory_policy_apply(const struct oci_memory_policy *policy, struct err *err)
{
	unsigned long nodes[NODES_MAX / BITS_PER_LONG] = { 0 };
	const bool has_nodes = policy->nodes && *policy->nodes;
	int mode, r;

	if (!policy->set)
		return 0;
	mode = word_index(mode_words, policy->mode);
	if (mode < 0)
		return err_set(err, -EINVAL, "linux.memoryPolicy: unknown mode \"%s\"",
			       policy->mode ? policy->mode : "");
	for (size_t i = 0; i < policy->flags.len; i++) {
		const int flag = word_index(flag_words, policy->flags.items[i]);

		if (flag < 0)
			return err_set(err, -EINVAL, "linux.memoryPolicy: unknown flag \"%s\"",
				       policy->flags.items[i]);
		mode |= flag_values[flag];
	}
	r = has_nodes ? cpulist_parse(policy->nodes, nodes, NODES_MAX) : 0;
	if (r < 0)
		return err_sys(err, r, "linux.memoryPolicy: list of nodes \"%s\"", policy->nodes);
	/* The kernel reads one bit less than maxnode says (set_mempolicy(2), BUGS). */
	if (syscall(SYS_set_mempolicy, mode, has_nodes ? nodes : NULL,
		    has_nodes ? NODES_MAX + 1ul : 0ul) < 0)
		return err_sys(err, -errno, "linux.memoryPolicy: set %s on nodes \"%s\"",
			       policy->mode, has_nodes ? policy->nodes : "");
	return 0;
}

int personality_apply(unsigned long persona, struct err *err)
{
	if (personality(persona) < 0)
		return err_sys(err, -errno, "linux.personality: set 0x%lx", persona);
	return 0;
}
