/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/capability.h>

#include "lib/unit.h"
#include "sentry/core/cred.h"

static int parse(const char *text, struct id_map *ret)
{
	char copy[8192];

	assert_true(strlen(text) < sizeof(copy));
	strcpy(copy, text);
	return id_map_parse(copy, ret);
}

static void broken_maps_are_refused(void **state)
{
	static const char *const broken[] = {
		"",
		"\n",
		"x",
		"0",
		"0 0",
		"0 0 0",
		"0 0 1 1",
		"-1 0 1",
		"0 0 4294967296",
		"0 0 0x10",
		"4294967295 0 1",
		"0 4294967290 6",
		"0 0 1\n\n",
		"0 0 2\n1 9 1",
		"0 9 1\n9 9 1",
		"5 0 5\n0 5 6",
		"0 0 99999999999999",
		"0 0 1 \n 1 1",
	};
	struct id_map map;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert_int_equal(parse(broken[i], &map), -EINVAL);
}

static void a_map_has_340_lines_at_most(void **state)
{
	char text[8192];
	struct id_map map;
	size_t len = 0;

	for (unsigned int i = 0; i < ID_MAP_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%u %u 1\n", i * 2, i * 2);
	assert_int_equal(parse(text, &map), 0);
	assert_int_equal(map.len, ID_MAP_MAX);
	id_map_done(&map);
	(void)snprintf(text + len, sizeof(text) - len, "9999 9999 1\n");
	assert_int_equal(parse(text, &map), -EINVAL);
}

static struct user_ns *enter(struct cred *cred, const char *text)
{
	struct user_ns *ns;

	assert_int_equal(user_ns_new(cred, 1, &ns), 0);
	assert_int_equal(parse(text, &ns->uid), 0);
	assert_int_equal(id_map_translate(&ns->uid, ns->parent, false), 0);
	assert_int_equal(parse(text, &ns->gid), 0);
	assert_int_equal(id_map_translate(&ns->gid, ns->parent, true), 0);
	cred_enter_user_ns(cred, ns);
	return ns;
}

static void ids_go_through_every_level(void **state)
{
	struct cred *cred = cred_new_root();
	struct user_ns *outer = enter(cred, "0 1000 10\n100 2000 5\n");
	struct user_ns *inner;
	struct id_map map;

	assert_int_equal(user_ns_uid_in(outer, 3), 1003);
	assert_int_equal(user_ns_uid_in(outer, 10), ID_INVALID);
	assert_int_equal(user_ns_uid_out(outer, 2004), 104);
	assert_int_equal(user_ns_uid_out(outer, 0), ID_OVERFLOW);
	assert_int_equal(user_ns_gid_raw(outer, 0), ID_INVALID);
	/* Nobody is who is not mapped: no further namespace. */
	assert_int_equal(user_ns_new(cred, 2, &inner), -EPERM);
	cred->euid = 1001;
	cred->egid = 1001;
	inner = enter(cred, "7 100 2\n");
	assert_int_equal(user_ns_uid_in(inner, 8), 2001);
	assert_int_equal(parse("0 9 2\n", &map), 0);
	assert_int_equal(id_map_translate(&map, outer, false), -EPERM);
	id_map_done(&map);
	assert_true(user_ns_inside(inner, outer));
	assert_true(user_ns_inside(inner, NULL));
	assert_false(user_ns_inside(outer, inner));
	cred_unref(cred);
}

static void capabilities_count_for_ones_own_and_what_is_below(void **state)
{
	struct cred *root = cred_new_root(), *user = cred_new_root();
	struct user_ns *mine, *other;

	user->uid = user->euid = 5;
	user->cap_effective = 0;
	mine = enter(user, "0 5 1\n");
	assert_true(cred_own_capable(user, CAP_CHOWN));
	assert_true(cred_ns_capable(user, mine, CAP_CHOWN));
	assert_false(cred_capable(user, CAP_CHOWN));
	assert_true(cred_ns_capable(root, mine, CAP_CHOWN));
	root->cap_effective = 0;
	assert_false(cred_ns_capable(root, mine, CAP_CHOWN));
	root->euid = 5; /* its owner, from the parent */
	assert_true(cred_ns_capable(root, mine, CAP_CHOWN));
	other = enter(root, "0 5 1\n");
	assert_false(cred_ns_capable(user, other, CAP_CHOWN));
	assert_false(cred_ns_capable(root, mine, CAP_CHOWN));
	cred_unref(root);
	cred_unref(user);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_maps_are_refused),
		cmocka_unit_test(a_map_has_340_lines_at_most),
		cmocka_unit_test(ids_go_through_every_level),
		cmocka_unit_test(capabilities_count_for_ones_own_and_what_is_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
