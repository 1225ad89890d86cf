/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <linux/mount.h>

#include "host/mount_options.h"

static struct mount_options parse(struct oci_strs words)
{
	struct mount_options o;
	struct err err = { 0 };

	if (mount_options_parse(&words, &o, &err) < 0)
		fail_msg("%s", err.msg);
	return o;
}

static void empty_words_and_mappings_are_refused(void **state)
{
	static const char *const bad[] = { "", "idmap=", "ridmap=" };
	struct mount_options o = { .flags = 77 };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct oci_strs words = STRS("size=1k", bad[i]);
		struct err err = { 0 };

		assert_int_equal(mount_options_parse(&words, &o, &err), -EINVAL);
		assert_int_equal(err.code, -EINVAL);
		assert_true(err.msg[0]);
	}
	assert_int_equal(o.flags, 77); /* set on success only */
	mount_options_done(NULL);
}

static void no_options_mean_nothing(void **state)
{
	const struct oci_strs none = { 0 };
	AUTO_MOUNT_OPTIONS struct mount_options o = parse(none);
	const struct mount_options empty = { 0 };

	assert_memory_equal(&o, &empty, sizeof(o));
}

static void later_words_override_earlier_ones(void **state)
{
	AUTO_MOUNT_OPTIONS struct mount_options a = parse(STRS("ro", "nosuid", "rw"));
	AUTO_MOUNT_OPTIONS struct mount_options b = parse(STRS("rw", "dev", "ro", "nodev"));

	assert_int_equal(a.flags, MS_NOSUID);
	assert_int_equal(a.clear_flags, MS_RDONLY);
	assert_int_equal(a.attr_set, MOUNT_ATTR_NOSUID);
	assert_int_equal(a.attr_clr, MOUNT_ATTR_RDONLY);
	assert_int_equal(b.flags, MS_RDONLY | MS_NODEV);
	assert_int_equal(b.clear_flags, 0);
	assert_int_equal(b.attr_clr, 0);
}

static void unknown_words_go_to_the_file_system_in_order(void **state)
{
	AUTO_MOUNT_OPTIONS struct mount_options o =
		parse(STRS("mode=755", "nosuid", "size=64k", "RO", "ro=x"));

	assert_string_equal(o.data, "mode=755,size=64k,RO,ro=x");
	assert_int_equal(o.flags, MS_NOSUID);
}

static void words_for_mount_8_alone_are_dropped(void **state)
{
	AUTO_MOUNT_OPTIONS struct mount_options o =
		parse(STRS("nofail", "_netdev", "x-systemd.automount", "X-mount.mkdir", "auto",
			   "noauto", "user", "nouser", "defaults", "comment=a"));

	assert_null(o.data);
	assert_int_equal(o.flags | o.clear_flags, 0);
}

static void bind_and_propagation_are_flags_of_their_own(void **state)
{
	AUTO_MOUNT_OPTIONS struct mount_options a = parse(STRS("rbind", "rprivate", "rslave"));
	AUTO_MOUNT_OPTIONS struct mount_options b = parse(STRS("bind", "shared"));

	assert_true(a.bind && a.rbind);
	assert_int_equal(a.flags, MS_BIND | MS_REC);
	assert_int_equal(a.propagation, MS_SLAVE | MS_REC);
	assert_true(b.bind && !b.rbind);
	assert_int_equal(b.propagation, MS_SHARED);
}

static void switches_are_found(void **state)
{
	AUTO_MOUNT_OPTIONS struct mount_options o = parse(
		STRS("tmpcopyup", "copy-symlink", "src-nofollow", "dest-nofollow", "remount"));

	assert_true(o.tmpcopyup && o.copy_symlink && o.src_nofollow && o.dest_nofollow &&
		    o.remount);
	assert_null(o.data);
	assert_false(o.idmap || o.bind);
}

static void idmap_carries_its_text(void **state)
{
	AUTO_MOUNT_OPTIONS struct mount_options a = parse(STRS("idmap"));
	AUTO_MOUNT_OPTIONS struct mount_options b = parse(STRS("ridmap=uids=0-1-2;gids=0-1-2"));

	assert_true(a.idmap && !a.ridmap && !a.idmap_spec);
	assert_true(b.idmap && b.ridmap);
	assert_string_equal(b.idmap_spec, "uids=0-1-2;gids=0-1-2");
}

/* Goal: mount_setattr(2) wants MOUNT_ATTR__ATIME whole in attr_clr when the access time changes. */
static void access_times_are_one_choice(void **state)
{
	AUTO_MOUNT_OPTIONS struct mount_options a =
		parse(STRS("relatime", "noatime", "strictatime"));
	AUTO_MOUNT_OPTIONS struct mount_options b = parse(STRS("rnoatime", "rstrictatime"));
	AUTO_MOUNT_OPTIONS struct mount_options c =
		parse(STRS("rstrictatime", "rnoatime", "rnostrictatime"));
	AUTO_MOUNT_OPTIONS struct mount_options d = parse(STRS("rnoatime", "ratime"));

	assert_int_equal(a.flags, MS_STRICTATIME);
	assert_int_equal(a.attr_set, MOUNT_ATTR_STRICTATIME);
	assert_int_equal(a.attr_clr, MOUNT_ATTR__ATIME);
	assert_int_equal(b.rec_attr_set, MOUNT_ATTR_STRICTATIME);
	assert_int_equal(b.rec_attr_clr, MOUNT_ATTR__ATIME);
	assert_int_equal(c.rec_attr_set, MOUNT_ATTR_NOATIME);
	assert_int_equal(d.rec_attr_set, 0);
	assert_int_equal(d.rec_attr_clr, MOUNT_ATTR__ATIME);
}

static void recursive_words_come_in_pairs(void **state)
{
	static const struct {
		const char *set, *clear;
		uint64_t attr;
	} rows[] = {
		{ "rro", "rrw", MOUNT_ATTR_RDONLY },
		{ "rnosuid", "rsuid", MOUNT_ATTR_NOSUID },
		{ "rnodev", "rdev", MOUNT_ATTR_NODEV },
		{ "rnoexec", "rexec", MOUNT_ATTR_NOEXEC },
		{ "rnodiratime", "rdiratime", MOUNT_ATTR_NODIRATIME },
		{ "rnosymfollow", "rsymfollow", 0x00200000 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_MOUNT_OPTIONS struct mount_options s = parse(STRS(rows[i].clear, rows[i].set));
		AUTO_MOUNT_OPTIONS struct mount_options c = parse(STRS(rows[i].set, rows[i].clear));

		assert_int_equal(s.rec_attr_set, rows[i].attr);
		assert_int_equal(s.rec_attr_clr, 0);
		assert_int_equal(c.rec_attr_set, 0);
		assert_int_equal(c.rec_attr_clr, rows[i].attr);
		assert_int_equal(s.flags | s.clear_flags | s.attr_set | s.attr_clr, 0);
	}
}

/* Goal: every word of the table has an effect or is known to have none, and none reaches `data`. */
static void every_known_word_is_found_and_the_table_is_sorted(void **state)
{
	const char *const *known = mount_options_known();

	for (size_t i = 0; known[i]; i++) {
		AUTO_MOUNT_OPTIONS struct mount_options o = parse(STRS(known[i]));

		assert_null(o.data);
		if (i > 0)
			assert_true(strcmp(known[i - 1], known[i]) < 0);
	}
}

/* Goal: every plain word against the flag of mount(2) and the attribute of mount_setattr(2). */
static void plain_words_set_and_clear_their_flag(void **state)
{
	static const struct {
		const char *set, *clear;
		unsigned long flag;
		uint64_t attr;
	} rows[] = {
		{ "ro", "rw", MS_RDONLY, MOUNT_ATTR_RDONLY },
		{ "nosuid", "suid", MS_NOSUID, MOUNT_ATTR_NOSUID },
		{ "nodev", "dev", MS_NODEV, MOUNT_ATTR_NODEV },
		{ "noexec", "exec", MS_NOEXEC, MOUNT_ATTR_NOEXEC },
		{ "sync", "async", MS_SYNCHRONOUS, 0 },
		{ "mand", "nomand", MS_MANDLOCK, 0 },
		{ "nodiratime", "diratime", MS_NODIRATIME, MOUNT_ATTR_NODIRATIME },
		{ "iversion", "noiversion", MS_I_VERSION, 0 },
		{ "lazytime", "nolazytime", MS_LAZYTIME, 0 },
		{ "silent", "loud", MS_SILENT, 0 },
		{ "nosymfollow", "symfollow", 256, 0x00200000 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_MOUNT_OPTIONS struct mount_options s = parse(STRS(rows[i].set));
		AUTO_MOUNT_OPTIONS struct mount_options c = parse(STRS(rows[i].clear));

		assert_int_equal(s.flags, rows[i].flag);
		assert_int_equal(s.attr_set, rows[i].attr);
		assert_int_equal(c.clear_flags, rows[i].flag);
		assert_int_equal(c.attr_clr, rows[i].attr);
		assert_int_equal(c.flags | c.attr_set | s.clear_flags | s.attr_clr, 0);
		assert_int_equal(mount_flags_to_attr(rows[i].flag), rows[i].attr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_words_and_mappings_are_refused),
		cmocka_unit_test(no_options_mean_nothing),
		cmocka_unit_test(later_words_override_earlier_ones),
		cmocka_unit_test(unknown_words_go_to_the_file_system_in_order),
		cmocka_unit_test(words_for_mount_8_alone_are_dropped),
		cmocka_unit_test(bind_and_propagation_are_flags_of_their_own),
		cmocka_unit_test(switches_are_found),
		cmocka_unit_test(idmap_carries_its_text),
		cmocka_unit_test(access_times_are_one_choice),
		cmocka_unit_test(recursive_words_come_in_pairs),
		cmocka_unit_test(every_known_word_is_found_and_the_table_is_sorted),
		cmocka_unit_test(plain_words_set_and_clear_their_flag),
	};

	return cmocka_run_group_tests_name("host/mount_options", tests, NULL, NULL);
}
