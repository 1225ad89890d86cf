/* SPDX-License-Identifier: Apache-2.0 */
/* New instances of file systems: the text of options, and which of the two ways carries them. */
#include "rootfs_fixture.h"

#include <fcntl.h>
#include <sys/mount.h>

#include "ns/mount_fs.h"

static bool is_plain(const char *data)
{
	const struct mount_fs fs = { .type = "tmpfs", .data = data };

	return mount_fs_is_plain(&fs);
}

static void long_values_need_mount2(void **state)
{
	char longest[256 + 2] = "";
	char two[1024];
	const struct mount_fs iversion = { .type = "tmpfs", .flags = MS_I_VERSION };
	const struct mount_fs source = { .type = "tmpfs", .source = longest };

	(void)state;
	assert_true(is_plain(NULL) && is_plain("") && is_plain("mode=755,size=64k"));
	memset(longest, 'v', 255);
	assert_true(is_plain(longest));
	(void)snprintf(two, sizeof(two), "%s,%s", longest, longest);
	assert_true(is_plain(two));
	/* A comma in quotes or behind a backslash ends nothing. */
	(void)snprintf(two, sizeof(two), "a=\"%.200s,%.100s\"", longest, longest);
	assert_false(is_plain(two));
	(void)snprintf(two, sizeof(two), "%.200s\\,%.100s", longest, longest);
	assert_false(is_plain(two));
	assert_true(mount_fs_is_plain(&source));
	longest[255] = 'v';
	assert_false(is_plain(longest));
	assert_false(mount_fs_is_plain(&source));
	assert_false(mount_fs_is_plain(&iversion));
}

static void expect_refused(struct fixture *fx, const struct mount_fs *fs, int code,
			   const char *words)
{
	int fd = -1;

	EXPECT_ERROR(fx, mount_fs_create(fs, &fd, &fx->err), code, words);
	EXPECT(fd == -1);
}

static void errors_body(struct fixture *fx)
{
	const struct mount_fs unknown = { .type = "nosuchfs" };
	const struct mount_fs option = { .type = "tmpfs", .data = "mode=755,what" };
	const struct mount_fs value = { .type = "tmpfs", .data = "size=\"\"" };
	const struct mount_fs create = { .type = "overlay", .data = "upperdir=/gone" };
	const struct mount_fs device = { .type = "ext4", .source = "/nonexistent" };

	expect_refused(fx, &unknown, -ENODEV, "No such device");
	expect_refused(fx, &option, -EINVAL, "option what: tmpfs: Unknown parameter 'what'");
	expect_refused(fx, &value, -EINVAL, "option size=\"\"");
	expect_refused(fx, &create, -ENOENT, "option upperdir=/gone");
	expect_refused(fx, &device, -ENOENT, "No such file");
}

static void failures_carry_the_words_of_the_kernel(void **state)
{
	(void)state;
	in_child(errors_body);
}

static void create_body(struct fixture *fx)
{
	const struct mount_fs fs = {
		.type = "tmpfs",
		.source = "named",
		.data = ",mode=\"0750\",,size=1m,",
		.attr = MOUNT_ATTR_NOSUID,
	};
	struct stat st;
	char place[128];
	int fd;

	EXPECT_OK(fx, mount_fs_create(&fs, &fd, &fx->err));
	EXPECT(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0750);
	(void)snprintf(place, sizeof(place), "%s/host", fx->dir);
	EXPECT(!is_mount(place)); /* nobody sees it yet */
	EXPECT(move_mount(fd, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) == 0);
	EXPECT(mount_says(place, " rw,nosuid,relatime - tmpfs named rw,size=1024k,mode=750"));
}

static void quotes_and_empty_options_are_understood(void **state)
{
	(void)state;
	in_child(create_body);
}

static void at_once_body(struct fixture *fx)
{
	const struct mount_fs fs = { .type = "tmpfs", .data = "mode=0711", .flags = MS_NODEV };
	const int dir = open(fx->dir, O_PATH | O_DIRECTORY);
	const int root = open(fx->root, O_PATH | O_DIRECTORY);

	EXPECT(dir >= 0 && root >= 0);
	EXPECT_ERROR(fx, mount_fs_on(&fs, dir, "missing", &fx->err), -ENOENT, "No such file");
	EXPECT_OK(fx, mount_fs_on(&fs, dir, "host", &fx->err));
	EXPECT_OK(fx, mount_fs_on(&fs, root, ".", &fx->err));
	EXPECT(is_mount(fx->root) && mount_says(fx->root, " rw,nodev,"));
}

static void at_once_means_on_the_descriptor(void **state)
{
	(void)state;
	in_child(at_once_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_values_need_mount2),
		cmocka_unit_test(failures_carry_the_words_of_the_kernel),
		cmocka_unit_test(quotes_and_empty_options_are_understood),
		cmocka_unit_test(at_once_means_on_the_descriptor),
	};

	return cmocka_run_group_tests_name("ns/mount_fs", tests, NULL, NULL);
}
