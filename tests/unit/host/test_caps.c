/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <sys/capability.h>

#include "host/caps.h"
#include "oci/spec.h"

static void unknown_names_are_refused(void **state)
{
	static const char *const bad[] = { "",		 "CAP_",       "CHOWN",	  "cap_chown",
					   "CAP_CHOWN ", "CAP_CHOWNX", "CAP_ALL", "0" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(oci_cap_number(bad[i]), -EINVAL);
}

static void numbers_without_a_name_give_null(void **state)
{
	assert_null(oci_cap_name(41));
	assert_null(oci_cap_name(64));
}

/* Goal: libcap, an independent table, says the same for every number, both ways. */
static void names_agree_with_libcap_both_ways(void **state)
{
	for (unsigned int cap = 0; oci_cap_name(cap); cap++) {
		cap_value_t value;

		assert_int_equal(oci_cap_number(oci_cap_name(cap)), cap);
		assert_int_equal(cap_from_name(oci_cap_name(cap), &value), 0);
		assert_int_equal(value, cap);
	}
	assert_string_equal(oci_cap_name(0), "CAP_CHOWN");
	assert_string_equal(oci_cap_name(40), "CAP_CHECKPOINT_RESTORE");
}

static void last_is_what_the_kernel_says(void **state)
{
	FILE *f = fopen("/proc/sys/kernel/cap_last_cap", "re");
	unsigned int last = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &last), 1);
	fclose(f);
	assert_int_equal(caps_last(), last);
	assert_int_equal(caps_last(), last); /* cached */
}

static int want_what_is_gone(void *arg)
{
	const uint64_t kill = 1 << CAP_KILL, chown = 1 << CAP_CHOWN;
	const struct oci_caps want = { .set = true,
				       .bounding = kill | chown,
				       .permitted = kill | chown,
				       .effective = kill | chown,
				       .inheritable = chown,
				       .ambient = chown };
	struct oci_caps got = caps_grant(&want);
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .permitted = (uint32_t)kill,
						    .effective = (uint32_t)kill } };

	if (got.bounding != want.bounding || got.effective != want.effective ||
	    got.ambient != want.ambient)
		return 1;
	if (capset(&header, data) < 0 || caps_own() != kill)
		return 2;
	/* The warning is no part of the test. */
	(void)close(STDERR_FILENO);
	got = caps_grant(&want);
	return got.set && got.bounding == kill && got.permitted == kill && got.effective == kill &&
			       got.inheritable == 0 && got.ambient == 0
		       ? 0
		       : 3;
}

static void what_the_process_lacks_is_not_granted(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(want_what_is_gone, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_names_are_refused),
		cmocka_unit_test(numbers_without_a_name_give_null),
		cmocka_unit_test(names_agree_with_libcap_both_ways),
		cmocka_unit_test(last_is_what_the_kernel_says),
		cmocka_unit_test(what_the_process_lacks_is_not_granted),
	};

	return cmocka_run_group_tests_name("host/caps", tests, NULL, NULL);
}
