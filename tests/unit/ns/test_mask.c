/* SPDX-License-Identifier: Apache-2.0 */
/* Masked and read-only paths, and images that want them elsewhere (CVE-2025-31133, CVE-2019-16884).
 */
#include "rootfs_fixture.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#define MOUNTS                                                       \
	"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\"}," \
	"{\"destination\":\"/dev\",\"type\":\"tmpfs\"}],"
#define MASKED(list) "\"linux\":{\"namespaces\":[{\"type\":\"mount\"}],\"maskedPaths\":[" list "]}"

/* Up to the point where masks are applied. */
static void enter_only(struct fixture *fx, const char *members)
{
	given(fx, members);
	EXPECT_OK(fx, rootfs_prepare(&fx->rootfs, &fx->err));
	EXPECT_OK(fx, rootfs_enter(&fx->rootfs, &fx->err));
}

static void null_link_body(struct fixture *fx)
{
	make_file(fx, "rootfs/secret", "s3cret");
	enter_only(fx, MOUNTS MASKED("\"/secret\""));
	EXPECT(unlink("/dev/null") == 0 &&
	       symlink("/proc/sys/kernel/core_pattern", "/dev/null") == 0);
	EXPECT_ERROR(fx, rootfs_finish(&fx->rootfs, &fx->err), -ELOOP,
		     "masked path /secret: open /dev/null");
	EXPECT(!is_mount("/secret"));
}

static void null_file_body(struct fixture *fx)
{
	make_file(fx, "rootfs/secret", "s3cret");
	enter_only(fx, MOUNTS MASKED("\"/secret\""));
	EXPECT(unlink("/dev/null") == 0 && close(open("/dev/null", O_CREAT | O_RDWR, 0666)) == 0);
	EXPECT_ERROR(fx, rootfs_finish(&fx->rootfs, &fx->err), -EXDEV,
		     "masked path /secret: /dev/null is not the null device");
	EXPECT(!is_mount("/secret"));
}

static void null_zero_body(struct fixture *fx)
{
	make_file(fx, "rootfs/secret", "s3cret");
	enter_only(fx, MOUNTS MASKED("\"/secret\""));
	EXPECT(unlink("/dev/null") == 0 && mknod("/dev/null", S_IFCHR | 0666, makedev(1, 5)) == 0);
	EXPECT_ERROR(fx, rootfs_finish(&fx->rootfs, &fx->err), -EXDEV, "is not the null device");
	EXPECT(unlink("/dev/null") == 0 && mknod("/dev/null", S_IFBLK | 0666, makedev(1, 3)) == 0);
	EXPECT_ERROR(fx, rootfs_finish(&fx->rootfs, &fx->err), -EXDEV, "is not the null device");
}

static void a_false_null_device_masks_nothing(void **state)
{
	(void)state;
	in_child(null_link_body);
	in_child(null_file_body);
	in_child(null_zero_body);
}

static void magic_body(struct fixture *fx)
{
	given(fx, MOUNTS MASKED("\"/proc/self/root/etc\""));
	EXPECT_OK(fx, rootfs_prepare(&fx->rootfs, &fx->err));
	EXPECT_OK(fx, rootfs_enter(&fx->rootfs, &fx->err));
	EXPECT_ERROR(fx, rootfs_finish(&fx->rootfs, &fx->err), -ELOOP,
		     "masked path /proc/self/root/etc");
}

static void a_magic_link_is_no_path_to_mask(void **state)
{
	(void)state;
	in_child(magic_body);
}

static void masks_body(struct fixture *fx)
{
	struct statfs fs;
	struct stat st;

	make_file(fx, "rootfs/secret", "s3cret");
	make_dir(fx, "rootfs/dir");
	make_file(fx, "rootfs/dir/inner", "");
	make_dir(fx, "rootfs/other");
	make_link(fx, "/secret2", "rootfs/link");
	make_file(fx, "rootfs/secret2", "s3cret");
	given(fx,
	      MOUNTS MASKED("\"/secret\",\"/dir\",\"/missing\",\"/secret/below\",\"/other\","
			    "\"/proc/kcore\",\"/proc/timer_list\",\"/proc/fs\",\"/proc/nothing\","
			    "\"/link\",\"/proc/sys/kernel\""));
	enter(fx);
	EXPECT(has_text("/secret", "") && stat("/secret", &st) == 0 && st.st_rdev == makedev(1, 3));
	EXPECT(!exists("/dir/inner") && mkdir("/dir/x", 0755) < 0 && errno == EROFS);
	EXPECT(statfs("/other", &fs) == 0 && fs.f_type == TMPFS_MAGIC);
	EXPECT(has_text("/proc/timer_list", "") && is_mount("/proc/timer_list"));
	EXPECT(is_mount("/proc/fs") && mount_says("/proc/fs", " ro,nosuid,nodev,noexec,"));
	/* A link of the image is followed inside: the file that it shows is masked. */
	EXPECT(has_text("/secret2", "") && !exists("/proc/sys/kernel/core_pattern"));
}

static void files_and_directories_are_masked(void **state)
{
	(void)state;
	in_child(masks_body);
}

/* Goal: one superblock serves all masked directories. */
static void shared_body(struct fixture *fx)
{
	struct stat a;
	struct stat b;

	make_dir(fx, "rootfs/a");
	make_dir(fx, "rootfs/b");
	given(fx, MOUNTS MASKED("\"/a\",\"/b\""));
	enter(fx);
	EXPECT(stat("/a", &a) == 0 && stat("/b", &b) == 0 && a.st_dev == b.st_dev);
	EXPECT(mount(NULL, "/a", NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
	EXPECT(mkdir("/a/x", 0755) < 0); /* even writable it takes no file */
}

static void masked_directories_share_one_tmpfs(void **state)
{
	(void)state;
	in_child(shared_body);
}

static void readonly_body(struct fixture *fx)
{
	make_dir(fx, "rootfs/data");
	make_dir(fx, "host/m");
	make_file(fx, "rootfs/file", "");
	given(fx,
	      "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"options\":[\"nosuid\","
	      "\"noexec\"]},{\"destination\":\"/data/rw\",\"source\":\"host/m\",\"options\":["
	      "\"bind\"]}],\"linux\":{\"namespaces\":[{\"type\":\"mount\"}],\"readonlyPaths\":[\"/"
	      "proc/sys\",\"/proc/irq\",\"/data\","
	      "\"/file\",\"/missing/x\",\"/proc/sysrq-trigger\",\"/file/below\"]}");
	enter(fx);
	EXPECT(open("/proc/sys/kernel/hostname", O_WRONLY) < 0 && errno == EROFS);
	EXPECT(mount_says("/proc/sys", " ro,nosuid,noexec,") && mount_says("/proc/irq", " ro,"));
	EXPECT(open("/file", O_WRONLY) < 0 && errno == EROFS);
	EXPECT(mkdir("/data/x", 0755) < 0 && errno == EROFS && mkdir("/data/rw/x", 0755) == 0);
}

static void readonly_paths_keep_other_options_and_mounts_inside(void **state)
{
	(void)state;
	in_child(readonly_body);
}

/* Goal: a /proc that is no procfs (no mount, or a link of the image) is an ordinary path. */
/* Goal: a link of procfs is followed to what it shows, not covered itself. */
static void proc_link_body(struct fixture *fx)
{
	given(fx, MOUNTS MASKED("\"/proc/net\",\"/proc/mounts\""));
	enter(fx);
	EXPECT(!exists("/proc/self/net/dev") && has_text("/proc/self/mounts", ""));
}

static void links_of_procfs_are_followed(void **state)
{
	(void)state;
	in_child(proc_link_body);
}

static void no_proc_body(struct fixture *fx)
{
	make_dir(fx, "rootfs/real");
	make_file(fx, "rootfs/real/kcore", "s3cret");
	make_link(fx, "real", "rootfs/proc");
	given(fx, "\"linux\":{\"namespaces\":[{\"type\":\"mount\"}],\"maskedPaths\":[\"/proc/"
		  "kcore\"],\"readonlyPaths\":[\"/proc/sys\"]}");
	enter(fx);
	EXPECT(has_text("/real/kcore", ""));
}

static void a_proc_that_is_no_procfs_is_an_ordinary_path(void **state)
{
	(void)state;
	in_child(no_proc_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_false_null_device_masks_nothing),
		cmocka_unit_test(a_magic_link_is_no_path_to_mask),
		cmocka_unit_test(files_and_directories_are_masked),
		cmocka_unit_test(masked_directories_share_one_tmpfs),
		cmocka_unit_test(readonly_paths_keep_other_options_and_mounts_inside),
		cmocka_unit_test(links_of_procfs_are_followed),
		cmocka_unit_test(a_proc_that_is_no_procfs_is_an_ordinary_path),
	};

	return cmocka_run_group_tests_name("ns/mask", tests, NULL, NULL);
}
