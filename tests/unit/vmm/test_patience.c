/* SPDX-License-Identifier: Apache-2.0 */
/* What of a time counts against a silent agent. */
#include "lib/unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "vmm/patience.h"
#include "vmm/vm.h"

static int64_t counts(int64_t wall, int64_t late, int64_t cpu)
{
	const struct patience_tick tick = { wall, late, cpu };

	return patience_counts(&tick);
}

static void a_guest_that_idles_has_no_excuse(void **state)
{
	(void)state;
	assert_int_equal(counts(250, 0, 0), 250);
	assert_int_equal(counts(250, PATIENCE_LATE_MS, 12), 250);
}

static void a_guest_that_runs_answers_for_what_it_ran(void **state)
{
	(void)state;
	assert_int_equal(counts(250, 0, 13), 13);
	assert_int_equal(counts(250, 0, 249), 249);
	assert_int_equal(counts(250, 0, 250), 250);
	/* Several CPUs. */
	assert_int_equal(counts(250, 0, 900), 250);
}

static void who_was_late_himself_takes_no_idleness_for_proof(void **state)
{
	(void)state;
	assert_int_equal(counts(500, PATIENCE_LATE_MS + 1, 0), 0);
	assert_int_equal(counts(500, PATIENCE_LATE_MS + 1, 7), 7);
}

static void time_in_which_all_were_stopped_does_not_count(void **state)
{
	(void)state;
	assert_int_equal(counts(10000, PATIENCE_STOPPED_MS + 1, 0), 0);
	assert_int_equal(counts(10000, PATIENCE_STOPPED_MS + 1, 9000), 0);
}

static void without_a_clock_all_time_counts(void **state)
{
	(void)state;
	assert_int_equal(counts(250, 0, -1), 250);
	assert_int_equal(counts(250, 200, -1), 250);
	assert_int_equal(counts(250, PATIENCE_STOPPED_MS + 1, -1), 0);
}

static void what_hangs_on_its_way_out_ends_nobody_else(void **state)
{
	(void)state;
	assert_int_equal(patience_limit_ms(AGENT_DELETE, false, false), 0);
	assert_int_equal(patience_limit_ms(AGENT_DELETE, false, true), VM_DELETE_MS);
	assert_int_equal(patience_limit_ms(AGENT_CREATE, false, false), 0);
	assert_int_equal(patience_limit_ms(AGENT_UPDATE, true, false), VM_ANSWER_MS);
	assert_int_equal(patience_limit_ms(AGENT_STATS, false, false), VM_ANSWER_MS);
	assert_int_equal(patience_limit_ms(AGENT_PING, false, false), VM_PING_MS);
}

static void the_clock_is_that_of_another_process(void **state)
{
	const pid_t pid = fork();
	int64_t before;
	int status;

	(void)state;
	if (pid == 0) {
		(void)alarm(600);
		for (;;)
			;
	}
	before = patience_cpu_ms(pid);
	assert_true(before >= 0);
	while (patience_cpu_ms(pid) < before + 50)
		(void)usleep(1000);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(patience_cpu_ms(pid) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_that_idles_has_no_excuse),
		cmocka_unit_test(a_guest_that_runs_answers_for_what_it_ran),
		cmocka_unit_test(who_was_late_himself_takes_no_idleness_for_proof),
		cmocka_unit_test(time_in_which_all_were_stopped_does_not_count),
		cmocka_unit_test(without_a_clock_all_time_counts),
		cmocka_unit_test(what_hangs_on_its_way_out_ends_nobody_else),
		cmocka_unit_test(the_clock_is_that_of_another_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
