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

static uint64_t rate(void)
{
	struct tsc_reading begin;

	hypervisor_tsc_begin(&begin);
	return hypervisor_tsc_khz(&begin);
}

/* Ticks are read inside of the two times: the true rate is not below what they make of it. */
static void the_rate_is_that_of_the_counter(void **state)
{
	const uint64_t khz = rate(), outer = now_ns(), begin = __rdtsc();
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
	const uint64_t first = rate();

	(void)state;
	if (!first) {
		print_message("no constant rate: CAVEATS.md#unit-tsc\n");
		skip();
	}
	for (int i = 0; i < 3; i++) {
		const uint64_t again = rate();

		assert_true(again < first + first / 50 && again > first - first / 50);
	}
}

/* Who has begun before need not wait, and learns the same. */
static void what_was_begun_before_is_measured_at_once(void **state)
{
	const uint64_t khz = rate();
	struct tsc_reading begin;
	uint64_t again, before, least = UINT64_MAX;

	(void)state;
	if (!khz) {
		print_message("no constant rate: CAVEATS.md#unit-tsc\n");
		skip();
	}
	hypervisor_tsc_begin(&begin);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	/* The best of ten: anybody may have the processor meanwhile. */
	for (int i = 0; i < 10; i++) {
		before = now_ns();
		again = hypervisor_tsc_khz(&begin);
		least = now_ns() - before < least ? now_ns() - before : least;
		assert_true(again < khz + khz / 50 && again > khz - khz / 50);
	}
	assert_true(least < 5000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rate_is_that_of_the_counter),
		cmocka_unit_test(the_rate_is_always_the_same),
		cmocka_unit_test(what_was_begun_before_is_measured_at_once),
	};

	return cmocka_run_group_tests_name("hypervisor/tsc", tests, NULL, NULL);
}
