/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
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
	return hypervisor_tsc_khz(&begin, NULL);
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
		again = hypervisor_tsc_khz(&begin, NULL);
		least = now_ns() - before < least ? now_ns() - before : least;
		assert_true(again < khz + khz / 50 && again > khz - khz / 50);
	}
	assert_true(least < 5000000);
}

/* What is kept is believed where it is of this boot, our own, and what a short measure says. */
static void what_is_kept_is_compared(void **state)
{
	AUTO_BUF struct buf boot = { .max = 64 };
	char file[] = "/tmp/caisson-tsc-XXXXXX";
	AUTO_CLOSE int fd = mkstemp(file);
	const uint64_t khz = rate();
	const struct {
		const char *boot;
		uint64_t khz;
		mode_t mode;
		bool stays;
	} rows[] = {
		{ "", khz + khz / 10000, 0600, true },
		{ "", khz + khz / 100, 0600, false },
		{ "", khz - khz / 100, 0600, false },
		{ "", 0, 0600, false },
		{ "", UINT64_MAX, 0600, false },
		{ "another-boot", khz + khz / 10000, 0600, false },
		{ "", khz + khz / 1000, 0666, true },
	};

	(void)state;
	assert_true(fd >= 0);
	if (!khz) {
		assert_int_equal(unlink(file), 0);
		print_message("no constant rate: CAVEATS.md#unit-tsc\n");
		skip();
	}
	assert_int_equal(fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &boot), 0);
	boot.data[boot.len - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF struct buf kept = { .max = 128 };
		const char *id = *rows[i].boot ? rows[i].boot : boot.data;
		struct tsc_reading begin;
		char text[128];
		const int len =
			snprintf(text, sizeof(text), "%s %09ju\n", id, (uintmax_t)rows[i].khz);
		uint64_t said;

		assert_int_equal(fd_replace_file(AT_FDCWD, file, text, (size_t)len, rows[i].mode),
				 0);
		assert_int_equal(chmod(file, rows[i].mode), 0);
		hypervisor_tsc_begin(&begin);
		said = hypervisor_tsc_khz(&begin, file);
		assert_true(said < khz + khz / 200 && said > khz - khz / 200);
		assert_int_equal(fd_read_file(AT_FDCWD, file, &kept), 0);
		/* Anybody's file is left alone, and not believed. */
		assert_int_equal(strcmp(kept.data, text) == 0, rows[i].stays);
		assert_int_equal(said == rows[i].khz, rows[i].stays && rows[i].mode == 0600);
	}
	assert_int_equal(unlink(file), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rate_is_that_of_the_counter),
		cmocka_unit_test(the_rate_is_always_the_same),
		cmocka_unit_test(what_was_begun_before_is_measured_at_once),
		cmocka_unit_test(what_is_kept_is_compared),
	};

	return cmocka_run_group_tests_name("hypervisor/tsc", tests, NULL, NULL);
}
