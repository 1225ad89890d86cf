/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of type cgroup on the layout that this host has, and on v2 as far as a mount shows it. */
#include "rootfs_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#define MOUNTS(options)                                                                     \
	"{\"destination\":\"/proc\",\"type\":\"proc\"},{\"destination\":\"/sys\",\"type\":" \
	"\"tmpfs\"},{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"options\":["  \
	"\"nosuid\",\"noexec\",\"nodev\"" options "]}"

static bool has_v1(void)
{
	return cgroup_layout() == CGROUP_LAYOUT_V1 || cgroup_layout() == CGROUP_LAYOUT_HYBRID;
}

/* A directory of the pids hierarchy at a mount of our own, as the container's cgroup. */
static void given_cgroup(struct fixture *fx, const char *mounts, const struct cgroup_dir *dirs,
			 size_t len)
{
	struct cgroup *cg = NULL;

	given_mounts(fx, mounts);
	EXPECT_OK(fx, cgroup_from_paths(dirs, len, &cg, &fx->err));
	fx->rootfs.cgroup = cg;
}

static void namespace_body(struct fixture *fx)
{
	struct statfs fs;

	EXPECT(unshare(CLONE_NEWCGROUP) == 0);
	given_mounts(fx, MOUNTS(",\"ro\""));
	fx->rootfs.cgroup_ns = true;
	enter(fx);
	EXPECT(mount_says("/sys/fs/cgroup", " ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs "));
	EXPECT(mount_says("/sys/fs/cgroup/pids",
			  " ro,nosuid,nodev,noexec,relatime - cgroup cgroup "));
	EXPECT(statfs("/sys/fs/cgroup/pids", &fs) == 0 && fs.f_type == CGROUP_SUPER_MAGIC);
	EXPECT(exists("/sys/fs/cgroup/pids/cgroup.procs"));
	EXPECT(mkdir("/sys/fs/cgroup/x", 0755) < 0 && errno == EROFS);
	EXPECT(mkdir("/sys/fs/cgroup/pids/x", 0755) < 0 && errno == EROFS);
	/* The namespace is the top of what it shows. */
	EXPECT(mount_says("/sys/fs/cgroup/pids", " / /sys/fs/cgroup/pids "));
}

static void with_a_cgroup_namespace_each_hierarchy_is_mounted(void **state)
{
	(void)state;
	if (!has_v1()) {
		print_message("skipped: no v1 hierarchy: CAVEATS.md#cgroup-v1\n");
		skip();
	}
	in_child(namespace_body);
}

static void bound_body(struct fixture *fx)
{
	const struct cgroup_dir dirs[] = { { "pids", "/sys/fs/cgroup/pids" },
					   { "cpu,cpuacct", "/sys/fs/cgroup/cpu" },
					   { "name=systemd", "/sys/fs/cgroup/pids" },
					   { "", "/sys/fs/cgroup/pids" } };
	char text[32] = "";

	given_cgroup(fx, MOUNTS(",\"ro\",\"rprivate\""), dirs, 4);
	enter(fx);
	EXPECT(mount_says("/sys/fs/cgroup/pids", " ro,nosuid,nodev,noexec,"));
	EXPECT(mount_says("/sys/fs/cgroup/cpu,cpuacct", " ro,nosuid,nodev,noexec,"));
	EXPECT(is_mount("/sys/fs/cgroup/systemd") && is_mount("/sys/fs/cgroup/unified"));
	EXPECT(readlink("/sys/fs/cgroup/cpu", text, 31) == 11 && !strcmp(text, "cpu,cpuacct"));
	EXPECT(readlink("/sys/fs/cgroup/cpuacct", text, 31) == 11);
	EXPECT(mkdir("/sys/fs/cgroup/pids/x", 0755) < 0 && errno == EROFS);
	EXPECT(!exists("/sys/fs/cgroup/memory"));
}

static void without_one_the_own_directories_are_bound(void **state)
{
	(void)state;
	if (!has_v1()) {
		print_message("skipped: no v1 hierarchy: CAVEATS.md#cgroup-v1\n");
		skip();
	}
	in_child(bound_body);
}

/* Goal: the host's whole tree is shown read-only at most (CVE-2023-25809). */
static void host_body(struct fixture *fx)
{
	given_mounts(fx, MOUNTS(",\"rw\""));
	enter(fx);
	EXPECT(mount_says("/sys/fs/cgroup", " ro,") && mount_says("/sys/fs/cgroup/pids", " ro,"));
	EXPECT(mkdir("/sys/fs/cgroup/pids/caisson-must-not-exist", 0755) < 0 && errno == EROFS);
}

static void the_tree_of_the_host_is_readonly(void **state)
{
	(void)state;
	if (!has_v1()) {
		print_message("skipped: no v1 hierarchy: CAVEATS.md#cgroup-v1\n");
		skip();
	}
	in_child(host_body);
}

static void gone_body(struct fixture *fx)
{
	const struct cgroup_dir dirs[] = { { "pids",
					     "/sys/fs/cgroup/pids/caisson-does-not-exist" } };

	given_cgroup(fx, MOUNTS(",\"rw\""), dirs, 1);
	enter(fx);
	EXPECT(mount_says("/sys/fs/cgroup/pids", " ro,"));
	EXPECT(mkdir("/sys/fs/cgroup/pids/caisson-must-not-exist", 0755) < 0 && errno == EROFS);
}

/* Goal: rootless, without groups of its own, a container sees the tree as anybody would. */
static void groups_that_were_never_made_show_the_tree_readonly(void **state)
{
	(void)state;
	if (!has_v1()) {
		print_message("skipped: no v1 hierarchy: CAVEATS.md#cgroup-v1\n");
		skip();
	}
	in_child(gone_body);
}

static void v2_body(struct fixture *fx)
{
	struct statfs fs;

	EXPECT(unshare(CLONE_NEWCGROUP) == 0);
	given_mounts(
		fx,
		"{\"destination\":\"/proc\",\"type\":\"proc\"},{\"destination\":\"/cg\",\"type\":"
		"\"cgroup2\",\"options\":[\"ro\",\"nosuid\"]}");
	fx->rootfs.cgroup_ns = true;
	enter(fx);
	EXPECT(statfs("/cg", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC);
	EXPECT(mount_says("/cg", " / /cg ro,nosuid,") && exists("/cg/cgroup.procs"));
}

static void cgroup2_is_one_mount(void **state)
{
	(void)state;
	in_child(v2_body);
}

/*
 * Goal: a user namespace without a cgroup namespace may not mount cgroup2; it gets the host's tree,
 * but not writable (CVE-2023-25809). The host is made to look like v2 for that.
 */
static void rootless_body(struct fixture *fx)
{
	struct statfs fs;

	EXPECT(umount2("/sys/fs/cgroup", MNT_DETACH) == 0);
	EXPECT(mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) == 0);
	EXPECT(cgroup_layout() == CGROUP_LAYOUT_V2);
	enter_userns();
	given_mounts(
		fx,
		"{\"destination\":\"/p\",\"source\":\"/proc\",\"options\":[\"rbind\"]},"
		"{\"destination\":\"/cg\",\"type\":\"cgroup\",\"options\":[\"rw\",\"nosuid\"]}");
	fx->rootfs.new_userns = true;
	enter(fx);
	EXPECT(symlink("/p", "/proc") == 0);
	EXPECT(statfs("/cg", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC);
	EXPECT(mount_says("/cg", " ro,nosuid,"));
	EXPECT(mkdir("/cg/caisson-must-not-exist", 0755) < 0 && errno == EROFS);
}

static void a_user_namespace_cannot_write_the_tree_of_the_host(void **state)
{
	(void)state;
	in_child(rootless_body);
}

static int refuse_placing(void *arg, struct err *err)
{
	(void)arg;
	return err_set(err, -EPIPE, "the runtime is gone");
}

/* Goal: the mount waits for the process to be in its cgroup, and fails with it. */
static void wait_body(struct fixture *fx)
{
	given_mounts(fx, MOUNTS(""));
	fx->rootfs.before_cgroup = refuse_placing;
	EXPECT_ERROR(fx, rootfs_prepare(&fx->rootfs, &fx->err), -EPIPE,
		     "mount cgroup at /sys/fs/cgroup: the runtime is gone");
}

static void the_mount_waits_for_the_cgroup(void **state)
{
	(void)state;
	in_child(wait_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: the layout is remembered by the process that asks, and children inherit
		   it. */
		cmocka_unit_test(a_user_namespace_cannot_write_the_tree_of_the_host),
		cmocka_unit_test(groups_that_were_never_made_show_the_tree_readonly),
		cmocka_unit_test(the_mount_waits_for_the_cgroup),
		cmocka_unit_test(with_a_cgroup_namespace_each_hierarchy_is_mounted),
		cmocka_unit_test(without_one_the_own_directories_are_bound),
		cmocka_unit_test(the_tree_of_the_host_is_readonly),
		cmocka_unit_test(cgroup2_is_one_mount),
	};

	return cmocka_run_group_tests_name("ns/mount_cgroup", tests, NULL, NULL);
}
