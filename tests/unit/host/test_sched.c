/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <linux/ioprio.h>
#include <signal.h>
#include <linux/mempolicy.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/buf.h"
#include "base/fd.h"
#include "host/sched.h"

static void bad_lists_are_refused(void **state)
{
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{ "", -EINVAL },
		{ " ", -EINVAL },
		{ ",", -EINVAL },
		{ "1,", -EINVAL },
		{ ",1", -EINVAL },
		{ "1,,2", -EINVAL },
		{ "3-1", -EINVAL },
		{ "1-", -EINVAL },
		{ "-1", -EINVAL },
		{ "1--2", -EINVAL },
		{ "a", -EINVAL },
		{ "1a", -EINVAL },
		{ "0x1", -EINVAL },
		{ "1 2", -EINVAL },
		{ "64", -ERANGE },
		{ "0-64", -ERANGE },
		{ "1-2-3", -EINVAL },
		{ "+1", -EINVAL },
		{ "99999999999999999999999", -ERANGE },
	};
	unsigned long mask[1];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (cpulist_parse(rows[i].text, mask, 64) != rows[i].error)
			fail_msg("\"%s\": %d", rows[i].text, cpulist_parse(rows[i].text, mask, 64));
	}
}

static void lists_become_bits(void **state)
{
	unsigned long mask[2] = { ~0ul, ~0ul };

	assert_int_equal(cpulist_parse("0-3,8", mask, 128), 0);
	assert_int_equal(mask[0], 0x10f);
	assert_int_equal(mask[1], 0);
	assert_int_equal(cpulist_parse(" 63 - 64 , 127\n", mask, 128), 0);
	assert_true(mask[0] == 1ul << 63);
	assert_true(mask[1] == ((1ul << 63) | 1));
	assert_int_equal(cpulist_parse("5,5,5-5", mask, 64), 0);
	assert_int_equal(mask[0], 32);
}

static int pin(void *arg)
{
	const char *list = arg;
	struct err err = { 0 };
	cpu_set_t set;

	if (affinity_apply(0, list, &err) < 0)
		return strstr(err.msg, list) ? 1 : 2;
	sched_getaffinity(0, sizeof(set), &set);
	return CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set) ? 0 : 3;
}

static void a_process_is_pinned_to_the_list(void **state)
{
	struct err err = { 0 };

	assert_int_equal(in_child(pin, (void *)(uintptr_t) "0"), 0);
	assert_int_equal(in_child(pin, (void *)(uintptr_t) "0,8000-8191"),
			 0); /* absent ones are ignored */
	assert_int_equal(in_child(pin, (void *)(uintptr_t) "8100"), 1);
	assert_int_equal(in_child(pin, (void *)(uintptr_t) "9000"), 1);
	assert_int_equal(in_child(pin, (void *)(uintptr_t) "zero"), 1);
	assert_int_equal(affinity_apply(0, NULL, &err), 0);
	assert_int_equal(affinity_apply(0, "", &err), 0);
}

/* Goal: on this machine root lacks CAP_SYS_RESOURCE as a user does; the error must name the limit.
 */
static int raise_a_limit_without_privilege(void *arg)
{
	const struct oci_rlimit limits[] = { { RLIMIT_CORE, "RLIMIT_CORE", 0, 0 },
					     { RLIMIT_NOFILE, "RLIMIT_NOFILE", 100, 200 },
					     { RLIMIT_NOFILE, "RLIMIT_NOFILE", 100, 300 } };
	struct err err = { 0 };
	struct rlimit now;

	if (setresuid(1234, 1234, 1234) < 0)
		return 1;
	if (rlimits_apply(limits, ARRAY_LEN(limits), 0, &err) != -EPERM)
		return 2;
	if (!strstr(err.msg, "RLIMIT_NOFILE") || !strstr(err.msg, "300") ||
	    !strstr(err.msg, "now 200"))
		return 3;
	getrlimit(RLIMIT_NOFILE, &now);
	return now.rlim_cur == 100 && now.rlim_max == 200 ? 0 : 4;
}

static void a_refused_limit_is_named(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(raise_a_limit_without_privilege, NULL), 0);
}

/* Goal: what would be refused is, and the judge's own limits stay. */
static int ask_for_a_limit_without_privilege(void *arg)
{
	const struct oci_rlimit limits[] = { { RLIMIT_CORE, "RLIMIT_CORE", 0, 0 },
					     { RLIMIT_NOFILE, "RLIMIT_NOFILE", 100, 200 },
					     { RLIMIT_NOFILE, "RLIMIT_NOFILE", 100, 300 } };
	const struct rlimit own = { 150, 200 };
	struct err err = { 0 };
	struct rlimit now;

	if (setrlimit(RLIMIT_NOFILE, &own) < 0 || setresuid(1234, 1234, 1234) < 0)
		return 1;
	if (rlimits_check(limits, 2, &err) != 0)
		return 2;
	if (rlimits_check(limits, 3, &err) != -EPERM || !strstr(err.msg, "RLIMIT_NOFILE") ||
	    !strstr(err.msg, "300") || !strstr(err.msg, "now 200"))
		return 3;
	getrlimit(RLIMIT_NOFILE, &now);
	return now.rlim_cur == 150 && now.rlim_max == 200 ? 0 : 4;
}

static void a_limit_that_would_be_refused_is_named(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(ask_for_a_limit_without_privilege, NULL), 0);
}

static void limits_of_another_process_are_set(void **state)
{
	const struct oci_rlimit limits[] = { { RLIMIT_NOFILE, "RLIMIT_NOFILE", 10, 20 } };
	const struct oci_rlimit reversed[] = { { RLIMIT_NOFILE, "RLIMIT_NOFILE", 20, 10 } };
	struct err err = { 0 };
	struct rlimit now;
	const pid_t pid = fork();

	if (pid == 0) {
		for (;;)
			pause();
	}
	assert_int_equal(rlimits_apply(reversed, 1, pid, &err), -EINVAL);
	assert_int_equal(rlimits_apply(limits, 1, pid, &err), 0);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &now), 0);
	assert_int_equal(now.rlim_cur, 10);
	assert_int_equal(now.rlim_max, 20);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(rlimits_apply(limits, 1, pid, &err), -ESRCH);
	assert_int_equal(rlimits_apply(NULL, 0, 0, &err), 0);
}

static int schedule(void *arg)
{
	const struct oci_scheduler batch = { .set = true, .policy = SCHED_BATCH, .nice = 7 };
	const struct oci_scheduler unset = { .policy = 99 };
	const struct oci_scheduler wrong = { .set = true, .policy = 99 };
	struct err err = { 0 };

	if (sched_apply(&unset, &err) < 0)
		return 1;
	if (sched_apply(&wrong, &err) != -EINVAL || !strstr(err.msg, "process.scheduler"))
		return 2;
	if (sched_apply(&batch, &err) < 0)
		return 3;
	return sched_getscheduler(0) == SCHED_BATCH && getpriority(PRIO_PROCESS, 0) == 7 ? 0 : 4;
}

static int schedule_unprivileged(void *arg)
{
	const struct oci_scheduler fifo = { .set = true, .policy = SCHED_FIFO, .priority = 5 };
	const struct rlimit none = { 0 };
	struct err err = { 0 };

	if (setrlimit(RLIMIT_RTPRIO, &none) < 0 || setresuid(1234, 1234, 1234) < 0)
		return 1;
	return sched_apply(&fifo, &err) == -EPERM ? 0 : 2;
}

static void scheduling_is_set_or_named(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(schedule, NULL), 0);
	assert_int_equal(in_child(schedule_unprivileged, NULL), 0);
}

static int io_priority(void *arg)
{
	const struct oci_ioprio idle = { .set = true, .class = IOPRIO_CLASS_IDLE, .priority = 0 };
	const struct oci_ioprio best = { .set = true, .class = IOPRIO_CLASS_BE, .priority = 6 };
	const struct oci_ioprio wrong[] = { { .set = true, .class = 4 },
					    { .set = true, .class = -1 },
					    { .set = true, .class = 2, .priority = 8 },
					    { .set = true, .class = 2, .priority = -1 } };
	const struct oci_ioprio unset = { .class = 77 };
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		if (ioprio_apply(&wrong[i], &err) != -EINVAL)
			return 1;
	}
	if (ioprio_apply(&unset, &err) < 0 || ioprio_apply(&best, &err) < 0)
		return 2;
	if (syscall(SYS_ioprio_get, 1, 0) != (IOPRIO_CLASS_BE << 13 | 6))
		return 3;
	if (ioprio_apply(&idle, &err) < 0)
		return 4;
	return syscall(SYS_ioprio_get, 1, 0) == IOPRIO_CLASS_IDLE << 13 ? 0 : 5;
}

static void io_priority_is_set(void **state)
{
	assert_int_equal(in_child(io_priority, NULL), 0);
}

static int memory_policy(void *arg)
{
	struct oci_memory_policy p = { .set = true, .mode = "MPOL_NONE" };
	struct err err = { 0 };
	unsigned long nodes[16] = { 0 };
	int mode = -1;

	if (memory_policy_apply(&p, &err) != -EINVAL || !strstr(err.msg, "MPOL_NONE"))
		return 1;
	p.mode = NULL;
	if (memory_policy_apply(&p, &err) != -EINVAL)
		return 2;
	p.mode = "MPOL_BIND";
	p.nodes = "0-";
	if (memory_policy_apply(&p, &err) != -EINVAL)
		return 3;
	p.nodes = "1024";
	if (memory_policy_apply(&p, &err) != -ERANGE)
		return 4;
	p.nodes = NULL;
	if (memory_policy_apply(&p, &err) != -EINVAL) /* the kernel's: bind to nothing */
		return 5;
	p.nodes = "0";
	p.flags = STRS("MPOL_F_BAD");
	if (memory_policy_apply(&p, &err) != -EINVAL || !strstr(err.msg, "MPOL_F_BAD"))
		return 6;
	p.flags = STRS("MPOL_F_STATIC_NODES");
	if (memory_policy_apply(&p, &err) < 0)
		return 7;
	if (syscall(SYS_get_mempolicy, &mode, nodes, 1024ul, NULL, 0ul) < 0)
		return 8;
	if (mode != (MPOL_BIND | MPOL_F_STATIC_NODES) || nodes[0] != 1)
		return 9;
	return 0;
}

static void memory_policy_is_set_or_named(void **state)
{
	const struct oci_memory_policy unset = { .mode = "nonsense" };
	struct err err = { 0 };

	if (syscall(SYS_get_mempolicy, NULL, NULL, 0ul, NULL, 0ul) < 0 && errno == ENOSYS) {
		print_message("needs NUMA policies: CAVEATS.md#unit-numa\n");
		skip();
	}
	assert_int_equal(in_child(memory_policy, NULL), 0);
	assert_int_equal(memory_policy_apply(&unset, &err), 0);
}

static int persona(void *arg)
{
	struct err err = { 0 };

	return personality_apply(PER_LINUX32, &err) == 0 && personality(0xffffffff) == PER_LINUX32
		       ? 0
		       : 1;
}

static void personality_is_set(void **state)
{
	assert_int_equal(in_child(persona, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_lists_are_refused),
		cmocka_unit_test(lists_become_bits),
		cmocka_unit_test(a_process_is_pinned_to_the_list),
		cmocka_unit_test(a_refused_limit_is_named),
		cmocka_unit_test(a_limit_that_would_be_refused_is_named),
		cmocka_unit_test(limits_of_another_process_are_set),
		cmocka_unit_test(scheduling_is_set_or_named),
		cmocka_unit_test(io_priority_is_set),
		cmocka_unit_test(memory_policy_is_set_or_named),
		cmocka_unit_test(personality_is_set),
	};

	return cmocka_run_group_tests_name("host/sched", tests, NULL, NULL);
}
