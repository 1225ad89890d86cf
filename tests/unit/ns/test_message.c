/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <errno.h>
#include <linux/filter.h>

#include "ns/message.h"

static const char *at(const struct buf *b, uint32_t off)
{
	assert_in_range(off, sizeof(struct init_msg), b->len - 1);
	return b->data + off;
}

static struct init_msg head_of(const struct buf *b)
{
	struct init_msg msg;

	assert_true(b->len >= sizeof(msg));
	memcpy(&msg, b->data, sizeof(msg));
	assert_int_equal(msg.size, b->len);
	assert_int_equal(msg.magic, INIT_MSG_MAGIC);
	return msg;
}

static uint32_t entry(const struct buf *b, uint32_t off, uint32_t i)
{
	uint32_t v;

	assert_int_equal(off % 4, 0);
	assert_in_range(off + i * sizeof(v), sizeof(struct init_msg), b->len - sizeof(v));
	memcpy(&v, b->data + off + i * sizeof(v), sizeof(v));
	return v;
}

static void a_message_past_its_limit_is_refused(void **state)
{
	static char huge[INIT_MSG_MAX + 1];
	const char *args[] = { "x", huge, NULL };
	const struct oci_process process = { .cwd = "/", .args = { args, 2 } };
	const struct message_options o = { .process = &process, .path = "/x" };
	struct buf b = { 0 };

	(void)state;
	memset(huge, 'a', sizeof(huge) - 1);
	assert_int_equal(message_build(&b, &o), -E2BIG);
	buf_done(&b);
}

static void strings_groups_and_filter_are_where_the_offsets_say(void **state)
{
	const char *args[] = { "/bin/prog", "", "two words", NULL };
	const char *env[] = { "A=1", "B=", NULL };
	uint32_t gids[] = { 7, 4294967294u };
	struct sock_filter insns[] = { { 6, 0, 0, 0x7fff0000 } };
	const struct seccomp_program program = { .insns = insns, .len = 1, .flags = 2 };
	const struct oci_process process = {
		.cwd = "/work dir",
		.args = { args, 3 },
		.env = { env, 2 },
		.user = { .uid = 1000,
			  .gid = 100,
			  .additional_gids = gids,
			  .additional_gids_len = 2 },
		.no_new_privileges = true,
	};
	const struct message_options o = { .process = &process,
					   .seccomp = &program,
					   .path = "/bin/prog",
					   .home = "HOME=/h",
					   .flags = INIT_FORK,
					   .may_setgroups = true };
	struct buf b = { 0 };
	struct init_msg msg;

	(void)state;
	assert_int_equal(message_build(&b, &o), 0);
	msg = head_of(&b);
	assert_int_equal(msg.flags, INIT_FORK | INIT_SETID | INIT_CAPS | INIT_SETGROUPS |
					    INIT_SECCOMP | INIT_NO_NEW_PRIVS);
	assert_int_equal(msg.uid, 1000);
	assert_int_equal(msg.gid, 100);
	assert_int_equal(msg.argv_len, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_string_equal(at(&b, entry(&b, msg.argv_off, i)), args[i]);
	assert_int_equal(msg.envp_len, 3);
	assert_string_equal(at(&b, entry(&b, msg.envp_off, 1)), "B=");
	assert_string_equal(at(&b, entry(&b, msg.envp_off, 2)), "HOME=/h");
	assert_int_equal(entry(&b, msg.groups_off, 1), 4294967294u);
	assert_string_equal(at(&b, msg.path_off), "/bin/prog");
	assert_string_equal(at(&b, msg.cwd_off), "/work dir");
	assert_int_equal(msg.seccomp_off % 8, 0);
	assert_memory_equal(at(&b, msg.seccomp_off), insns, sizeof(insns));
	buf_done(&b);
}

/* Goal: no set is ever larger than the specification's, whatever the runtime has. */
static void capabilities_are_exactly_those_asked_for(void **state)
{
	const char *args[] = { "x", NULL };
	const struct oci_process process = {
		.cwd = "/",
		.args = { args, 1 },
		.caps = { .set = true,
			  .bounding = 0x3,
			  .permitted = 0x1,
			  .effective = 0x3,
			  .inheritable = 0,
			  .ambient = 0x1 },
	};
	const struct message_options o = { .process = &process, .path = "/x" };
	struct buf b = { 0 };
	struct init_msg msg;

	(void)state;
	assert_int_equal(message_build(&b, &o), 0);
	msg = head_of(&b);
	assert_true((msg.cap_bounding & ~0x3ull) == 0);
	assert_true((msg.cap_permitted & ~0x1ull) == 0);
	/* Effective needs permitted, ambient needs permitted and inheritable (capabilities(7)). */
	assert_true((msg.cap_effective & ~msg.cap_permitted) == 0);
	assert_true(msg.cap_inheritable == 0 && msg.cap_ambient == 0);
	assert_false(msg.flags & INIT_SETGROUPS);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_past_its_limit_is_refused),
		cmocka_unit_test(strings_groups_and_filter_are_where_the_offsets_say),
		cmocka_unit_test(capabilities_are_exactly_those_asked_for),
	};

	return cmocka_run_group_tests_name("ns/message", tests, NULL, NULL);
}
