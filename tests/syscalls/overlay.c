/* SPDX-License-Identifier: Apache-2.0 */
/* Mounted overlays: what their names lead to while the layers below change. */
#include <sys/mount.h>

#include "harness.h"

/* Directories l, u, w of a tmpfs, and m, where the overlay of them is to be. */
static void own_layers(void)
{
	static const char *const dirs[] = { "l", "u", "w", "m" };

	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	if (unshare(CLONE_NEWNS))
		SKIP("no mount namespace: %s", test_errno_name(errno));
	OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	OK(mkdir("t", 0755));
	OK(mount("none", "t", "tmpfs", 0, NULL));
	OK(chdir("t"));
	for (unsigned int i = 0; i < 4; i++)
		OK(mkdir(dirs[i], 0755));
}

static void mount_overlay(void)
{
	if (mount("o", "m", "overlay", 0, "lowerdir=l,upperdir=u,workdir=w"))
		SKIP("no overlay: %s", test_errno_name(errno));
}

/* Two names of one file below are two files once one of them is written. */
TEST(hard_links_below)
{
	struct stat a, b;
	char buf[16];

	own_layers();
	write_file("l/a", "old");
	OK(link("l/a", "l/b"));
	mount_overlay();
	OK(stat("m/a", &a));
	OK(stat("m/b", &b));
	CHECK_EQ(a.st_ino, b.st_ino);
	write_file("m/b", "new");
	read_file("m/a", buf, sizeof(buf));
	CHECK_STR(buf, "old");
	OK(access("u/b", F_OK));
	CHECK_ERRNO(access("u/a", F_OK), ENOENT);
	OK(rename("m/b", "m/c"));
	OK(unlink("m/a"));
	OK(unlink("m/c"));
	CHECK_ERRNO(access("m/b", F_OK), ENOENT);
}

TEST(hard_link_below_outlives_the_other_name)
{
	struct stat st;
	char buf[16];

	own_layers();
	write_file("l/a", "old");
	OK(link("l/a", "l/b"));
	mount_overlay();
	OK(stat("m/a", &st));
	OK(stat("m/b", &st));
	OK(unlink("m/a"));
	OK(stat("m/b", &st));
	CHECK(st.st_nlink > 0);
	write_file("m/b", "new");
	read_file("u/b", buf, sizeof(buf));
	CHECK_STR(buf, "new");
	OK(link("m/b", "m/d"));
	OK(unlink("m/b"));
	read_file("m/d", buf, sizeof(buf));
	CHECK_STR(buf, "new");
}

/* Who looks into the upper layer sees what came by the overlay, whatever it saw before. */
TEST(the_upper_layer_is_seen)
{
	char buf[16];

	own_layers();
	write_file("l/f", "low");
	OK(mkdir("l/d", 0755));
	mount_overlay();
	CHECK_ERRNO(access("u/f", F_OK), ENOENT);
	CHECK_ERRNO(access("u/n", F_OK), ENOENT);
	CHECK_ERRNO(access("u/d", F_OK), ENOENT);
	write_file("m/f", "high");
	write_file("m/n", "new");
	write_file("m/d/x", "deep");
	read_file("u/f", buf, sizeof(buf));
	CHECK_STR(buf, "high");
	read_file("u/n", buf, sizeof(buf));
	CHECK_STR(buf, "new");
	read_file("u/d/x", buf, sizeof(buf));
	CHECK_STR(buf, "deep");
	OK(rename("m/n", "m/o"));
	CHECK_ERRNO(access("u/n", F_OK), ENOENT);
	OK(access("u/o", F_OK));
	OK(unlink("m/o"));
	CHECK_ERRNO(access("u/o", F_OK), ENOENT);
}
