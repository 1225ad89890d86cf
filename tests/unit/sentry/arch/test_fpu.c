/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/sentry/arch/test_fpu.c
 */
#include "lib/unit.h"

#include "sentry/arch/fpu.h"

static void an_image_of_a_guest_keeps_nothing_that_xrstor_refuses(void **state)
{
	uint8_t *image = calloc(1, fpu_size());
	uint64_t word;
	uint32_t mxcsr;

	(void)state;
	assert_non_null(image);
	memset(image, 0xff, fpu_size());
	fpu_image_sanitize(image);
	memcpy(&word, image + FPU_XSTATE_BV, sizeof(word));
	assert_int_equal(word, fpu_features());
	memcpy(&word, image + FPU_XSTATE_BV + 8, sizeof(word));
	assert_int_equal(word, 0); /* XCOMP_BV */
	memcpy(&mxcsr, image + 24, sizeof(mxcsr));
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	fpu_image_reset(image);
	memcpy(&mxcsr, image + 24, sizeof(mxcsr));
	assert_int_equal(mxcsr, 0x1f80);
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	free(image);
}

static void the_size_covers_every_component(void **state)
{
	(void)state;
	assert_true(fpu_size() >= FPU_SIZE_MIN);
	assert_true(fpu_size() <= FPU_SIZE_MAX);
	assert_int_equal(fpu_features() & 3, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_of_a_guest_keeps_nothing_that_xrstor_refuses),
		cmocka_unit_test(the_size_covers_every_component),
	};

	if (fpu_init() < 0)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
