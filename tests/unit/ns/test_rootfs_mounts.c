/* SPDX-License-Identifier: Apache-2.0 */
/* mounts[] with a type: each file system, its options, and what its errors say. */
#include "rootfs_fixture.h"

#include <fcntl.h>
#include <sys/mount.h>

#define PROC "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}"

static int prepare(struct fixture *fx)
{
	return rootfs_prepare(&fx->rootfs, &fx->err);
}

static void expect_refused(struct fixture *fx, const char *mounts, int code, const char *words)
{
	given_mounts(fx, mounts);
	EXPECT_ERROR(fx, prepare(fx), code, words);
	rootfs_done(&fx->rootfs);
}

static void errors_body(struct fixture *fx)
{
	make_file(fx, "rootfs/file", "");
	expect_refused(fx, "{\"destination\":\"/x\",\"type\":\"nosuchfs\"}", -ENODEV,
		       "mount nosuchfs at /x: No such device");
	expect_refused(fx,
		       "{\"destination\":\"/x\",\"type\":\"tmpfs\",\"options\":[\"size=many\"]}",
		       -EINVAL, "mount tmpfs at /x: option size=many");
	expect_refused(fx, "{\"destination\":\"/x\",\"type\":\"tmpfs\",\"options\":[\"nonsense\"]}",
		       -EINVAL, "mount tmpfs at /x: option nonsense");
	expect_refused(fx, "{\"destination\":\"/x\",\"source\":\"/\"}", -EINVAL,
		       "at /x: neither a type nor \"bind\"");
	expect_refused(fx, "{\"destination\":\"/file\",\"type\":\"tmpfs\"}", -ENOTDIR,
		       "mount tmpfs at /file");
	expect_refused(fx, "{\"destination\":\"/x\",\"type\":\"proc\",\"options\":[\"tmpcopyup\"]}",
		       -EINVAL, "tmpcopyup is for a tmpfs");
	expect_refused(fx,
		       "{\"destination\":\"/none\",\"type\":\"tmpfs\",\"options\":[\"remount\"]},"
		       "{\"destination\":\"/gone\",\"type\":\"tmpfs\",\"options\":[\"remount\"]}",
		       -ENOENT, "/none");
}

static void errors_name_the_mount(void **state)
{
	(void)state;
	in_child(errors_body);
}

static void default_body(struct fixture *fx)
{
	struct stat st;

	given_mounts(
		fx, PROC
		",{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":["
		"\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
		"{\"destination\":\"/dev/"
		"pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":["
		"\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},"
		"{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\",\"options\":["
		"\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]},"
		"{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\","
		"\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
		"{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":["
		"\"nosuid\",\"noexec\",\"nodev\",\"ro\"]}");
	enter(fx);
	EXPECT(mount_says("/proc", " - proc proc rw"));
	EXPECT(mount_says("/dev", " rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755"));
	EXPECT(mount_says("/dev/pts",
			  " rw,nosuid,noexec,relatime - devpts devpts rw,gid=5,mode=620,"
			  "ptmxmode=666"));
	EXPECT(mount_says("/dev/shm", " rw,nosuid,nodev,noexec,relatime - tmpfs shm "));
	EXPECT(mount_says("/dev/mqueue", " - mqueue mqueue"));
	EXPECT(mount_says("/sys", " ro,nosuid,nodev,noexec,relatime - sysfs sysfs"));
	EXPECT(stat("/dev/shm", &st) == 0 && (st.st_mode & 07777) == 01777);
	EXPECT(stat("/dev/pts/ptmx", &st) == 0 && S_ISCHR(st.st_mode));
}

static void the_usual_mounts_stand_with_their_options(void **state)
{
	(void)state;
	in_child(default_body);
}

static void flags_body(struct fixture *fx)
{
	given_mounts(
		fx, PROC
		",{\"destination\":\"/a\",\"type\":\"tmpfs\",\"options\":[\"ro\",\"noatime\","
		"\"nodiratime\",\"nosymfollow\"]},"
		"{\"destination\":\"/b\",\"type\":\"tmpfs\",\"options\":[\"ro\",\"rw\",\"nodev\","
		"\"dev\",\"sync\",\"dirsync\",\"lazytime\"]},"
		"{\"destination\":\"/c\",\"type\":\"tmpfs\",\"options\":[\"rro\",\"rnosuid\","
		"\"shared\"]},"
		"{\"destination\":\"/d\",\"type\":\"tmpfs\",\"options\":[\"unbindable\"]},"
		"{\"destination\":\"relative/e\",\"type\":\"tmpfs\",\"source\":\"named\"}");
	enter(fx);
	EXPECT(mount_says("/a", " ro,noatime,nodiratime,nosymfollow "));
	EXPECT(mount_says("/b", " rw,relatime - tmpfs tmpfs rw,sync,dirsync,lazytime"));
	EXPECT(mount_says("/c", " ro,nosuid,relatime shared:"));
	EXPECT(mount_says("/d", " unbindable"));
	EXPECT(mount_says("/relative/e", " - tmpfs named"));
	EXPECT(open("/a/x", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS);
	EXPECT(open("/b/x", O_CREAT | O_WRONLY, 0600) >= 0);
}

static void flags_are_set_and_cleared(void **state)
{
	(void)state;
	in_child(flags_body);
}

/* Goal: read-only waits until the mount points inside are made, for a tmpfs as for /dev. */
static void readonly_body(struct fixture *fx)
{
	given_mounts(fx, PROC ",{\"destination\":\"/run\",\"type\":\"tmpfs\",\"options\":[\"ro\"]},"
			      "{\"destination\":\"/run/inner\",\"type\":\"tmpfs\"},"
			      "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"options\":[\"ro\"]}");
	enter(fx);
	EXPECT(mount_says("/run", " ro,") && mount_says("/dev", " ro,"));
	EXPECT(mount_says("/run/inner", " rw,"));
	EXPECT(exists("/dev/null") && mkdir("/dev/x", 0755) < 0 && errno == EROFS);
}

static void readonly_waits_for_what_is_mounted_inside(void **state)
{
	(void)state;
	in_child(readonly_body);
}

static void mode_body(struct fixture *fx)
{
	struct stat st;
	char path[128];

	make_dir(fx, "rootfs/secret");
	(void)snprintf(path, sizeof(path), "%s/secret", fx->root);
	EXPECT(chmod(path, 02710) == 0);
	given_mounts(fx,
		     "{\"destination\":\"/secret\",\"type\":\"tmpfs\"},"
		     "{\"destination\":\"/new\",\"type\":\"tmpfs\"},"
		     "{\"destination\":\"/said\",\"type\":\"tmpfs\",\"options\":[\"mode=0700\"]}");
	enter(fx);
	EXPECT(stat("/secret", &st) == 0 && (st.st_mode & 07777) == 02710);
	EXPECT(stat("/new", &st) == 0 && (st.st_mode & 07777) == 01777);
	EXPECT(stat("/said", &st) == 0 && (st.st_mode & 07777) == 0700);
}

static void a_tmpfs_takes_the_mode_of_what_it_covers(void **state)
{
	(void)state;
	in_child(mode_body);
}

static void remount_body(struct fixture *fx)
{
	given_mounts(
		fx, PROC
		",{\"destination\":\"/"
		"t\",\"type\":\"tmpfs\",\"options\":[\"size=64k\",\"nosuid\"]},"
		"{\"destination\":\"/t\",\"type\":\"tmpfs\",\"options\":[\"remount\",\"size=128k\","
		"\"noexec\"]},"
		"{\"destination\":\"/u\",\"type\":\"tmpfs\"},"
		"{\"destination\":\"/u\",\"options\":[\"remount\",\"bind\",\"ro\",\"nodev\"]}");
	enter(fx);
	EXPECT(mount_says("/t", " rw,nosuid,noexec,relatime - tmpfs tmpfs rw,size=128k"));
	EXPECT(mount_says("/u", " ro,nodev,relatime - tmpfs tmpfs rw"));
}

static void remount_changes_what_is_there(void **state)
{
	(void)state;
	in_child(remount_body);
}

/* Goal: an option too long for fsconfig(2) (more than 255 bytes) still works. */
static void overlay_body(struct fixture *fx)
{
	char mounts[4096];
	char lower[2048] = "";
	char name[128];

	for (int i = 0; i < 12; i++) {
		(void)snprintf(name, sizeof(name), "lower-directory-number-%d", i);
		make_dir(fx, name);
		(void)snprintf(lower + strlen(lower), sizeof(lower) - strlen(lower), "%s%s/%s",
			       i ? ":" : "", fx->dir, name);
	}
	make_file(fx, "lower-directory-number-11/deep", "found");
	make_dir(fx, "short");
	make_file(fx, "short/shallow", "relative");
	(void)snprintf(mounts, sizeof(mounts),
		       PROC ",{\"destination\":\"/o\",\"type\":\"overlay\",\"source\":\"overlay\","
			    "\"options\":[\"ro\",\"nodev\",\"lowerdir=%s\"]},"
			    "{\"destination\":\"/p\",\"type\":\"overlay\",\"options\":["
			    "\"lowerdir=short:host\"]}",
		       lower);
	EXPECT(strlen(lower) > 255);
	given_mounts(fx, mounts);
	enter(fx);
	EXPECT(has_text("/o/deep", "found"));
	EXPECT(mount_says("/o", " ro,nodev,relatime - overlay overlay ro"));
	/* Relative directories count from the bundle. */
	EXPECT(has_text("/p/shallow", "relative"));
}

static void overlay_takes_many_and_relative_directories(void **state)
{
	(void)state;
	in_child(overlay_body);
}

static void root_body(struct fixture *fx)
{
	make_file(fx, "rootfs/below", "");
	given_mounts(fx,
		     "{\"destination\":\"/\",\"type\":\"tmpfs\",\"options\":[\"size=1m\"]}," PROC);
	enter(fx);
	EXPECT(!exists("/below") && is_mount("/proc"));
	EXPECT(mount_says("/", " - tmpfs tmpfs rw,size=1024k"));
	EXPECT(exists("/dev/null"));
}

static void a_mount_on_the_root_becomes_the_root(void **state)
{
	(void)state;
	in_child(root_body);
}

/* A tmpfs that covers another one on /dev: devices go where they can be seen. */
static void dev_twice_body(struct fixture *fx)
{
	given_mounts(fx, PROC
		     ",{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"options\":[\"size=64k\"]},"
		     "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"options\":[\"size=128k\"]},"
		     "{\"destination\":\"/dev/pts\",\"type\":\"devpts\"}");
	enter(fx);
	EXPECT(exists("/dev/null") && is_mount("/dev/pts"));
}

static void the_last_mount_on_dev_gets_the_devices(void **state)
{
	(void)state;
	in_child(dev_twice_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_name_the_mount),
		cmocka_unit_test(the_usual_mounts_stand_with_their_options),
		cmocka_unit_test(flags_are_set_and_cleared),
		cmocka_unit_test(readonly_waits_for_what_is_mounted_inside),
		cmocka_unit_test(a_tmpfs_takes_the_mode_of_what_it_covers),
		cmocka_unit_test(remount_changes_what_is_there),
		cmocka_unit_test(overlay_takes_many_and_relative_directories),
		cmocka_unit_test(a_mount_on_the_root_becomes_the_root),
		cmocka_unit_test(the_last_mount_on_dev_gets_the_devices),
	};

	return cmocka_run_group_tests_name("ns/rootfs mounts", tests, NULL, NULL);
}
