/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials after execve(2), as capabilities(7) transforms them. */
#include "lib/unit.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/stat.h>

#include "sentry/task/exec_load.h"

#define CAPS 0xfull

static struct cred *user(uint32_t uid, uint64_t permitted)
{
	struct cred *c = cred_new_root();

	c->uid = c->euid = c->suid = c->fsuid = uid;
	c->gid = c->egid = c->sgid = c->fsgid = uid;
	c->cap_permitted = c->cap_effective = permitted;
	c->cap_bounding = CAPS;
	return c;
}

static const struct cred *after(struct cred *old, uint32_t mode, uint32_t owner, bool honoured,
				bool *secure)
{
	const struct exec_privileges file = {
		.mode = S_IFREG | mode, .uid = owner, .gid = owner, .honoured = honoured
	};
	const struct cred *c;

	assert_int_equal(cred_for_exec(old, &file, &c, secure), 0);
	cred_unref(old);
	return c;
}

static void a_set_uid_bit_that_is_not_honoured_does_nothing(void **state)
{
	bool secure;
	const struct cred *c = after(user(1000, 0), 04755, 0, false, &secure);

	assert_int_equal(c->euid, 1000);
	assert_int_equal(c->cap_permitted, 0);
	assert_false(secure);
	cred_unref(c);
}

static void set_uid_root_has_the_bounding_set_only(void **state)
{
	bool secure;
	const struct cred *c = after(user(1000, 0), 04755, 0, true, &secure);

	assert_int_equal(c->uid, 1000);
	assert_int_equal(c->euid, 0);
	assert_int_equal(c->suid, 0);
	assert_int_equal(c->cap_permitted, CAPS);
	assert_int_equal(c->cap_effective, CAPS);
	assert_true(secure);
	cred_unref(c);
}

static void set_uid_to_a_user_drops_capabilities(void **state)
{
	bool secure;
	const struct cred *c = after(user(1000, CAPS), 04755, 2000, true, &secure);

	assert_int_equal(c->euid, 2000);
	assert_int_equal(c->cap_permitted, 0);
	assert_true(secure);
	cred_unref(c);
}

static void set_gid_without_group_execute_means_locking(void **state)
{
	bool secure;
	const struct cred *c = after(user(1000, 0), 02745 & ~010, 50, true, &secure);

	assert_int_equal(c->egid, 1000);
	cred_unref(c);
}

static void root_keeps_what_is_bounded(void **state)
{
	bool secure;
	const struct cred *c = after(user(0, 1), 0755, 0, true, &secure);

	assert_int_equal(c->cap_permitted, CAPS);
	assert_int_equal(c->cap_effective, CAPS);
	assert_false(secure);
	cred_unref(c);
}

static void root_is_nobody_special_with_noroot(void **state)
{
	struct cred *old = user(0, CAPS);
	const struct cred *c;
	bool secure;

	old->securebits = SECBIT_NOROOT;
	c = after(old, 0755, 0, true, &secure);
	assert_int_equal(c->cap_permitted, 0);
	cred_unref(c);
}

static void ambient_capabilities_survive_without_privilege(void **state)
{
	struct cred *old = user(1000, CAPS);
	const struct cred *c;
	bool secure;

	old->cap_inheritable = old->cap_ambient = 2;
	old->securebits = SECBIT_KEEP_CAPS;
	c = after(old, 0755, 0, true, &secure);
	assert_int_equal(c->cap_permitted, 2);
	assert_int_equal(c->cap_effective, 2);
	assert_int_equal(c->securebits, 0);
	assert_false(secure);
	cred_unref(c);
}

static int by_caps(struct cred *old, struct exec_privileges *file, const struct cred **ret,
		   bool *secure)
{
	int r;

	file->caps.found = true;
	file->mode |= S_IFREG | 0755;
	r = cred_for_exec(old, file, ret, secure);
	cred_unref(old);
	return r;
}

static void a_file_gives_its_capabilities_within_the_bounding_set(void **state)
{
	struct exec_privileges file = { .caps = { .effective = true, .permitted = 3 } };
	const struct cred *c;
	bool secure;

	assert_int_equal(by_caps(user(1000, 0), &file, &c, &secure), 0);
	assert_int_equal(c->cap_permitted, 3);
	assert_int_equal(c->cap_effective, 3);
	assert_true(secure);
	cred_unref(c);
	file.caps.permitted = 0x13; /* one is outside of it */
	assert_int_equal(by_caps(user(1000, 0), &file, &c, &secure), -EPERM);
	file.caps.effective = false;
	assert_int_equal(by_caps(user(1000, 0), &file, &c, &secure), 0);
	assert_int_equal(c->cap_permitted, 3);
	assert_int_equal(c->cap_effective, 0);
	cred_unref(c);
}

static void inheritable_capabilities_meet_and_ambient_ones_end(void **state)
{
	struct exec_privileges file = { .caps = { .inheritable = 6 } };
	struct cred *old = user(1000, CAPS);
	const struct cred *c;
	bool secure;

	old->cap_inheritable = 3;
	old->cap_ambient = 1;
	assert_int_equal(by_caps(old, &file, &c, &secure), 0);
	assert_int_equal(c->cap_permitted, 2);
	assert_int_equal(c->cap_ambient, 0);
	cred_unref(c);
}

static void no_new_privs_and_a_watcher_keep_capabilities_away(void **state)
{
	struct exec_privileges file = { .caps = { .effective = true, .permitted = 3 } };
	struct cred *old = user(1000, 1);
	const struct cred *c;
	bool secure;

	old->no_new_privs = true;
	assert_int_equal(by_caps(old, &file, &c, &secure), 0);
	assert_int_equal(c->cap_permitted, 1);
	cred_unref(c);
	file.unsafe = true;
	file.honoured = true;
	file.mode = S_ISUID;
	assert_int_equal(by_caps(user(1000, 0), &file, &c, &secure), 0);
	assert_int_equal(c->euid, 1000);
	assert_int_equal(c->cap_permitted, 0);
	cred_unref(c);
}

static void set_uid_root_with_capabilities_has_only_those(void **state)
{
	struct exec_privileges file = { .honoured = true,
					.mode = S_ISUID,
					.caps = { .permitted = 2 } };
	const struct cred *c;
	bool secure;

	assert_int_equal(by_caps(user(1000, 0), &file, &c, &secure), 0);
	assert_int_equal(c->euid, 0);
	assert_int_equal(c->cap_permitted, 2);
	cred_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_uid_bit_that_is_not_honoured_does_nothing),
		cmocka_unit_test(set_uid_root_has_the_bounding_set_only),
		cmocka_unit_test(set_uid_to_a_user_drops_capabilities),
		cmocka_unit_test(set_gid_without_group_execute_means_locking),
		cmocka_unit_test(root_keeps_what_is_bounded),
		cmocka_unit_test(root_is_nobody_special_with_noroot),
		cmocka_unit_test(ambient_capabilities_survive_without_privilege),
		cmocka_unit_test(a_file_gives_its_capabilities_within_the_bounding_set),
		cmocka_unit_test(inheritable_capabilities_meet_and_ambient_ones_end),
		cmocka_unit_test(no_new_privs_and_a_watcher_keep_capabilities_away),
		cmocka_unit_test(set_uid_root_with_capabilities_has_only_those),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
