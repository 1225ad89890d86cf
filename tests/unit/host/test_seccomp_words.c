/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>

#include "host/seccomp.h"
#include "host/seccomp_internal.h"

static void words_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "",
					   "ALLOW",
					   "scmp_act_allow",
					   "SCMP_ACT_ALLOW ",
					   "SCMP_ACT_",
					   "SCMP_CMP_",
					   "SCMP_ARCH_",
					   "SCMP_ARCH_SH",
					   "SCMP_ARCH_NATIVE",
					   "SECCOMP_FILTER_FLAG_NEW_LISTENER",
					   "LOG" };
	enum seccomp_errno_use use;
	uint32_t number;
	unsigned int flag;
	int op;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(seccomp_action_from_word(bad[i], &number, &use), -EINVAL);
		assert_int_equal(seccomp_op_from_word(bad[i], &op), -EINVAL);
		assert_int_equal(seccomp_arch_from_word(bad[i], &number), -EINVAL);
		assert_int_equal(seccomp_flag_from_word(bad[i], &flag), -EINVAL);
	}
	assert_int_equal(seccomp_action_from_word(NULL, &number, &use), -EINVAL);
	assert_int_equal(seccomp_op_from_word(NULL, &op), -EINVAL);
}

static size_t sorted_len(const char *const *words)
{
	size_t n = 0;

	for (; words[n]; n++)
		assert_true(n == 0 || strcmp(words[n - 1], words[n]) < 0);
	return n;
}

static void every_known_word_is_taken_and_lists_are_sorted(void **state)
{
	enum seccomp_errno_use use;
	uint32_t number;
	unsigned int flag;
	int op;

	assert_int_equal(sorted_len(seccomp_known_actions()), 9);
	assert_int_equal(sorted_len(seccomp_known_operators()), 7);
	assert_int_equal(sorted_len(seccomp_known_archs()), 19);
	assert_int_equal(sorted_len(seccomp_known_flags()), 4);
	for (size_t i = 0; seccomp_known_actions()[i]; i++)
		assert_int_equal(
			seccomp_action_from_word(seccomp_known_actions()[i], &number, &use), 0);
	for (size_t i = 0; seccomp_known_operators()[i]; i++)
		assert_int_equal(seccomp_op_from_word(seccomp_known_operators()[i], &op), 0);
	for (size_t i = 0; seccomp_known_flags()[i]; i++)
		assert_int_equal(seccomp_flag_from_word(seccomp_known_flags()[i], &flag), 0);
}

/* Goal: libseccomp's own resolver says the same for every architecture. */
static void architectures_agree_with_libseccomp(void **state)
{
	for (size_t i = 0; seccomp_known_archs()[i]; i++) {
		char lower[32];
		uint32_t token = 0;
		size_t n = 0;

		for (const char *p = seccomp_known_archs()[i] + strlen("SCMP_ARCH_"); *p; p++)
			lower[n++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
		lower[n] = '\0';
		assert_int_equal(seccomp_arch_from_word(seccomp_known_archs()[i], &token), 0);
		assert_int_equal(token, seccomp_arch_resolve_name(lower));
	}
}

static void supported_flags_are_a_subset_that_the_kernel_takes(void **state)
{
	const char **flags = NULL;
	struct err err = { 0 };
	size_t n = 0;

	assert_int_equal(seccomp_supported_flags(&flags, &err), 0);
	for (; flags[n]; n++) {
		unsigned int flag;

		assert_int_equal(seccomp_flag_from_word(flags[n], &flag), 0);
	}
	assert_int_equal(n, 4); /* Linux 5.19 and newer has all four */
	free(flags);
}

static void the_version_is_that_of_the_library(void **state)
{
	char text[32], expected[32];

	snprintf(expected, sizeof(expected), "%d.%d.%d", SCMP_VER_MAJOR, SCMP_VER_MINOR,
		 SCMP_VER_MICRO);
	assert_string_equal(seccomp_library_version(text), expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_that_are_none_are_refused),
		cmocka_unit_test(every_known_word_is_taken_and_lists_are_sorted),
		cmocka_unit_test(architectures_agree_with_libseccomp),
		cmocka_unit_test(supported_flags_are_a_subset_that_the_kernel_takes),
		cmocka_unit_test(the_version_is_that_of_the_library),
	};

	return cmocka_run_group_tests_name("host/seccomp_words", tests, NULL, NULL);
}
