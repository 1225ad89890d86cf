/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <time.h>
#include <x86intrin.h>

#include "hypervisor/tsc.h"

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Ticks are read inside of the two times: the true rate is not below what they make of it. */
static void the_rate_is_that_of_the_counter(void **state)
{
	const uint64_t khz = hypervisor_tsc_khz(), outer = now_ns(), begin = __rdtsc();
	uint64_t ticks, inner;

	(void)state;
	if (!khz) {
		print_message("no constant rate: CAVEATS.md#unit-tsc\n");
		skip();
	}
	inner = now_ns();
	while (now_ns() - outer < 50000000)
		;
	ticks = __rdtsc() - begin;
	/* Within 2 %, however long somebody else had the processor meanwhile. */
	assert_true((double)ticks / (double)khz * 1e6 < (double)(now_ns() - outer) * 1.02);
	assert_true((double)ticks / (double)khz * 1e6 > (50e6 - (double)(inner - outer)) * 0.98);
}

static void the_rate_is_always_the_same(void **state)
{
	const uint64_t first = hypervisor_tsc_khz();

	(void)state;
	if (!first) {
		print_message("no constant rate: CAVEATS.md#unit-tsc\n");
		skip();
	}
	for (int i = 0; i < 3; i++) {
		const uint64_t again = hypervisor_tsc_khz();

		assert_true(again < first + first / 50 && again > first - first / 50);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rate_is_that_of_the_counter),
		cmocka_unit_test(the_rate_is_always_the_same),
	};

	return cmocka_run_group_tests_name("hypervisor/tsc", tests, NULL, NULL);
}
