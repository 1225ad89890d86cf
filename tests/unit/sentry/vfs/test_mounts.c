/* SPDX-License-Identifier: Apache-2.0 */
/* mount(2): binds, propagation, read-only, busy, pivot_root, what /proc shows. */
#include <linux/mount.h>

#include "unit/sentry/vfs/world.h"

#include "sentry/vfs/mount.h"

static int do_mount(const char *source, const char *target, const char *type, uint64_t flags)
{
	return vfs_mount(&world.as_root, world.ns, source, target, type, flags, NULL);
}

static int do_umount(const char *target, int flags)
{
	return vfs_umount(&world.as_root, world.ns, target, flags);
}

static int there(const char *name)
{
	struct stat st;

	return w_stat(name, &st);
}

static void make_dirs(void)
{
	assert_int_equal(w_mkdir("a"), 0);
	assert_int_equal(w_mkdir("b"), 0);
	assert_int_equal(w_mkdir("c"), 0);
	assert_true(w_write("f", "x") > 0);
}

static void mounts_are_refused_as_in_linux(void **state)
{
	make_dirs();
	assert_int_equal(do_mount("x", "nope", "tmpfs", 0), -ENOENT);
	assert_int_equal(do_mount("x", "a", "nofs", 0), -ENODEV);
	assert_int_equal(do_mount("x", "f", "tmpfs", 0), -ENOTDIR);
	assert_int_equal(do_mount("nope", "a", NULL, MS_BIND), -ENOENT);
	assert_int_equal(do_mount("f", "a", NULL, MS_BIND), -ENOTDIR);
	assert_int_equal(do_mount(NULL, "a", NULL, MS_SHARED), -EINVAL);
	assert_int_equal(do_mount(NULL, "a", NULL, MS_REMOUNT), -EINVAL);
	assert_int_equal(do_umount("a", 0), -EINVAL);
	assert_int_equal(do_umount("/", 0), -EBUSY);
}

static void a_mount_hides_and_comes_off_unless_it_is_busy(void **state)
{
	struct path inside;

	make_dirs();
	assert_true(w_write("a/below", "x") > 0);
	assert_int_equal(do_mount("x", "a", "tmpfs", 0), 0);
	assert_int_equal(there("a/below"), -ENOENT);
	assert_true(w_write("a/above", "x") > 0);
	assert_int_equal(vfs_unlink(&world.as_root, NULL, "a", true), -EBUSY);
	assert_int_equal(vfs_rename(&world.as_root, NULL, "a", NULL, "z", 0), -EBUSY);
	assert_int_equal(path_walk(&world.as_root, NULL, "a/above", 0, &inside), 0);
	assert_int_equal(do_umount("a", 0), -EBUSY);
	assert_int_equal(do_umount("a", 2 /* MNT_DETACH */), 0);
	assert_int_equal(there("a/below"), 0);
	assert_int_equal(inside.dentry->inode->nlink, 1);
	path_unref(&inside);
	assert_int_equal(world.ns->count, 1);
}

static void read_only_is_of_the_mount(void **state)
{
	struct file *f;

	make_dirs();
	assert_true(w_write("a/x", "1") > 0);
	assert_int_equal(do_mount("a", "b", NULL, MS_BIND), 0);
	assert_int_equal(do_mount(NULL, "b", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY), 0);
	assert_int_equal(w_open("b/x", O_WRONLY, &f), -EROFS);
	assert_int_equal(w_open("b/y", O_WRONLY | O_CREAT, &f), -EROFS);
	assert_int_equal(w_mkdir("b/y"), -EROFS);
	assert_int_equal(w_mkdir("b/x"), -EEXIST);
	assert_int_equal(w_unlink("b/x"), -EROFS);
	assert_int_equal(w_unlink("a/x"), 0);
}

/* What goes from a peer may be a peer itself, and have no other reference. */
static void peers_that_lie_under_their_peers_go_once(void **state)
{
	unsigned int before;

	make_dirs();
	assert_int_equal(do_mount("x", "a", "tmpfs", 0), 0);
	assert_int_equal(do_mount(NULL, "a", NULL, MS_SHARED), 0);
	assert_int_equal(w_mkdir("a/y"), 0);
	assert_int_equal(do_mount("a", "b", NULL, MS_BIND), 0);
	assert_int_equal(do_mount("a", "c", NULL, MS_BIND), 0);
	before = world.ns->count;
	assert_int_equal(do_mount("a", "a/y", NULL, MS_BIND), 0);
	assert_int_equal(world.ns->count, before + 3);
	assert_int_equal(do_umount("a/y", 0), 0);
	assert_int_equal(world.ns->count, before);
}

static void shared_mounts_tell_their_peers_and_slaves(void **state)
{
	make_dirs();
	assert_int_equal(do_mount("a", "a", NULL, MS_BIND), 0);
	assert_int_equal(do_mount(NULL, "a", NULL, MS_SHARED), 0);
	assert_int_equal(do_mount("a", "b", NULL, MS_BIND), 0);
	assert_int_equal(do_mount("a", "c", NULL, MS_BIND), 0);
	assert_int_equal(do_mount(NULL, "c", NULL, MS_SLAVE), 0);
	assert_int_equal(w_mkdir("a/m"), 0);
	assert_int_equal(do_mount("x", "b/m", "tmpfs", 0), 0);
	assert_true(w_write("b/m/seen", "1") > 0);
	assert_int_equal(there("a/m/seen"), 0);
	assert_int_equal(there("c/m/seen"), 0);
	assert_int_equal(do_umount("a/m", 0), 0);
	assert_int_equal(there("b/m/seen"), -ENOENT);
	assert_int_equal(there("c/m/seen"), -ENOENT);
	/* What a slave does stays with it. */
	assert_int_equal(do_mount("x", "c/m", "tmpfs", 0), 0);
	assert_true(w_write("c/m/own", "1") > 0);
	assert_int_equal(there("a/m/own"), -ENOENT);
}

static void what_does_not_fit_under_all_peers_is_under_none(void **state)
{
	unsigned int before;

	make_dirs();
	assert_int_equal(do_mount("x", "a", "tmpfs", 0), 0);
	assert_int_equal(do_mount(NULL, "a", NULL, MS_SHARED), 0);
	assert_int_equal(do_mount("a", "b", NULL, MS_BIND), 0);
	assert_int_equal(do_mount("a", "c", NULL, MS_BIND), 0);
	assert_int_equal(w_mkdir("a/sub"), 0);
	before = world.ns->count;
	world.ns->count = MOUNT_NS_MAX - 1; /* room for one of the two copies */
	assert_int_equal(do_mount("y", "a/sub", "tmpfs", 0), -ENOSPC);
	assert_int_equal(world.ns->count, MOUNT_NS_MAX - 1);
	world.ns->count = before;
	assert_int_equal(do_mount("y", "a/sub", "tmpfs", 0), 0);
	assert_int_equal(world.ns->count, before + 3);
}

static void unbindable_mounts_are_left_out(void **state)
{
	make_dirs();
	assert_int_equal(w_mkdir("a/in"), 0);
	assert_int_equal(do_mount("x", "a/in", "tmpfs", 0), 0);
	assert_true(w_write("a/in/secret", "1") > 0);
	assert_int_equal(do_mount(NULL, "a/in", NULL, MS_UNBINDABLE), 0);
	assert_int_equal(do_mount("a/in", "b", NULL, MS_BIND), -EINVAL);
	assert_int_equal(do_mount("a", "b", NULL, MS_BIND | MS_REC), 0);
	assert_int_equal(there("b/in/secret"), -ENOENT);
}

static void a_copied_namespace_is_on_its_own(void **state)
{
	struct path root = path_ref(&world.root), cwd = path_ref(&world.cwd), p;
	struct vfs_ctx other = world.as_root;
	struct mount_ns *copy;

	make_dirs();
	assert_int_equal(do_mount("x", "a", "tmpfs", 0), 0);
	assert_int_equal(mount_ns_copy(world.ns, NULL, &root, &cwd, &copy), 0);
	assert_int_equal(copy->count, 2);
	other.root = &root;
	other.cwd = &cwd;
	assert_int_equal(vfs_umount(&other, copy, "a", 0), 0);
	assert_true(w_write("a/still", "1") > 0);
	assert_int_equal(path_walk(&other, NULL, "a/still", 0, &p), -ENOENT);
	path_unref(&root);
	path_unref(&cwd);
	mount_ns_unref(copy);
}

static void pivot_root_changes_the_top(void **state)
{
	struct vfs_ctx ctx = world.as_root;
	struct path new_root;
	char *text;

	make_dirs();
	assert_int_equal(vfs_pivot_root(&ctx, world.ns, "a", "a"), -EBUSY);
	assert_int_equal(do_mount("x", "a", "tmpfs", 0), 0);
	assert_int_equal(w_mkdir("a/old"), 0);
	assert_int_equal(path_walk(&ctx, NULL, "a", 0, &new_root), 0);
	assert_int_equal(vfs_pivot_root(&ctx, world.ns, "a", "a/old"), 0);
	ctx.root = ctx.cwd = &new_root;
	assert_int_equal(path_to_text(&world.root, &new_root, &text), 0);
	assert_string_equal(text, "/old");
	free(text);
	assert_int_equal(vfs_umount(&ctx, world.ns, "/old", 2), 0);
	assert_int_equal(world.ns->count, 1);
	path_unref(&new_root);
}

static void proc_shows_what_is_reached(void **state)
{
	char *text;
	size_t len;

	make_dirs();
	assert_int_equal(w_mkdir("a/with space"), 0);
	assert_int_equal(do_mount("src", "a/with space", "tmpfs", MS_NOSUID | MS_NOEXEC), 0);
	assert_int_equal(mount_ns_show(world.ns, &world.root, false, &text, &len), 0);
	assert_int_equal(len, strlen(text));
	assert_non_null(
		strstr(text, "src /a/with\\040space tmpfs rw,nosuid,noexec,relatime 0 0\n"));
	free(text);
	assert_int_equal(mount_ns_show(world.ns, &world.root, true, &text, &len), 0);
	assert_non_null(
		strstr(text, " / /a/with\\040space rw,nosuid,noexec,relatime - tmpfs src rw"));
	free(text);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(mounts_are_refused_as_in_linux),
		T(a_mount_hides_and_comes_off_unless_it_is_busy),
		T(read_only_is_of_the_mount),
		T(shared_mounts_tell_their_peers_and_slaves),
		T(what_does_not_fit_under_all_peers_is_under_none),
		T(unbindable_mounts_are_left_out),
		T(a_copied_namespace_is_on_its_own),
		T(peers_that_lie_under_their_peers_go_once),
		T(pivot_root_changes_the_top),
		T(proc_shows_what_is_reached),
	};

	return cmocka_run_group_tests_name("sentry/vfs/mounts", tests, NULL, NULL);
}
