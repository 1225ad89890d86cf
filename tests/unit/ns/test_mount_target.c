/* SPDX-License-Identifier: Apache-2.0 */
/* Where a path of the container leads: always below the root, whatever links say. */
#include "rootfs_fixture.h"

#include <fcntl.h>
#include <sys/mount.h>

#include "ns/mount_target.h"

static int root_of(const struct fixture *fx)
{
	const int fd = open(fx->root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	EXPECT(fd >= 0);
	return fd;
}

/* Resolve and compare; the place must be the directory or file `host` on the host. */
static void expect_at(struct fixture *fx, const char *path, unsigned int flags, const char *real)
{
	AUTO_MOUNT_TARGET struct mount_target t = MOUNT_TARGET_INIT;
	AUTO_CLOSE int root = root_of(fx);
	struct stat want;
	struct stat got;
	char host[512];

	EXPECT_OK(fx, mount_target_open(root, path, flags, &t, &fx->err));
	if (strcmp(t.path.data, real) != 0) {
		(void)fprintf(stderr, "%s leads to %s, not %s\n", path, t.path.data, real);
		_exit(1);
	}
	(void)snprintf(host, sizeof(host), "%s%s", fx->root, real);
	EXPECT(lstat(host, &want) == 0 && fstat(t.fd, &got) == 0);
	EXPECT(want.st_ino == got.st_ino && want.st_dev == got.st_dev);
}

static void expect_fails(struct fixture *fx, const char *path, unsigned int flags, int code)
{
	AUTO_MOUNT_TARGET struct mount_target t = MOUNT_TARGET_INIT;
	AUTO_CLOSE int root = root_of(fx);

	EXPECT_ERROR(fx, mount_target_open(root, path, flags, &t, &fx->err), code, path);
	EXPECT(t.fd == -EBADF && t.path.data == NULL);
}

static void failures_body(struct fixture *fx)
{
	char deep[4200] = "";

	make_file(fx, "rootfs/file", "");
	make_link(fx, "loop2", "rootfs/loop1");
	make_link(fx, "loop1", "rootfs/loop2");
	make_link(fx, "/", "rootfs/plain");
	expect_fails(fx, "/missing", 0, -ENOENT);
	expect_fails(fx, "/missing/..", 0, -ENOENT);
	expect_fails(fx, "/file/below", TARGET_CREATE, -ENOTDIR);
	expect_fails(fx, "/loop1", TARGET_CREATE, -ELOOP);
	expect_fails(fx, "/loop1/x", TARGET_CREATE, -ELOOP);
	expect_fails(fx, "/plain/x", TARGET_CREATE | TARGET_NO_LINKS, -ELOOP);
	EXPECT(!exists("/x"));
	memset(deep, 'n', 300);
	deep[0] = '/';
	expect_fails(fx, deep, TARGET_CREATE, -ENAMETOOLONG);
}

static void failures_leave_the_target_empty(void **state)
{
	(void)state;
	in_child(failures_body);
}

static void plain_body(struct fixture *fx)
{
	make_dir(fx, "rootfs/a");
	make_dir(fx, "rootfs/a/b");
	expect_at(fx, "/a/b", 0, "/a/b");
	expect_at(fx, "a//./b/", 0, "/a/b");
	expect_at(fx, "/", 0, "/");
	expect_at(fx, "", 0, "/");
	expect_at(fx, "/a/../../../..", 0, "/");
	expect_at(fx, "/a/b/../b", 0, "/a/b");
	expect_at(fx, "/x/y/z", TARGET_CREATE, "/x/y/z");
	expect_at(fx, "x/y/file", TARGET_CREATE | TARGET_FILE, "/x/y/file");
	expect_at(fx, "new/../../made", TARGET_CREATE, "/made");
}

static void plain_paths_are_found_or_made(void **state)
{
	(void)state;
	in_child(plain_body);
}

static void links_body(struct fixture *fx)
{
	make_dir(fx, "rootfs/etc");
	make_dir(fx, "rootfs/run");
	make_link(fx, "/etc", "rootfs/absolute");
	make_link(fx, "../../../../../../etc", "rootfs/run/climbing");
	make_link(fx, "/run/climbing/conf", "rootfs/chain");
	make_link(fx, "../run/not/there/resolv.conf", "rootfs/etc/resolv.conf");
	make_link(fx, "/etc/./../run", "rootfs/mixed");
	expect_at(fx, "/absolute", 0, "/etc");
	expect_at(fx, "/run/climbing", 0, "/etc");
	expect_at(fx, "/chain", TARGET_CREATE, "/etc/conf");
	expect_at(fx, "/mixed/x/..", TARGET_CREATE, "/run");
	/* A dangling link of an image: what it names is made, inside. */
	expect_at(fx, "/etc/resolv.conf", TARGET_CREATE | TARGET_FILE,
		  "/run/not/there/resolv.conf");
	EXPECT(!exists("/run/not"));
}

static void links_count_from_the_root_of_the_container(void **state)
{
	(void)state;
	in_child(links_body);
}

static void nofollow_body(struct fixture *fx)
{
	make_link(fx, "/somewhere", "rootfs/link");
	make_link(fx, "/", "rootfs/dir");
	expect_at(fx, "/link", TARGET_NOFOLLOW, "/link");
	expect_at(fx, "/dir/link", TARGET_NOFOLLOW, "/link");
}

static void the_last_link_can_be_the_place_itself(void **state)
{
	(void)state;
	in_child(nofollow_body);
}

/* Goal: procfs offers ways out of any root (/proc/PID/root, cwd, fd): none is taken, even as text.
 */
static void magic_body(struct fixture *fx)
{
	char proc[128];

	make_dir(fx, "rootfs/proc");
	(void)snprintf(proc, sizeof(proc), "%s/proc", fx->root);
	EXPECT(mount("proc", proc, "proc", 0, NULL) == 0);
	expect_fails(fx, "/proc/self/root", TARGET_CREATE, -ELOOP);
	expect_fails(fx, "/proc/self/root/tmp", TARGET_CREATE, -ELOOP);
	expect_fails(fx, "/proc/self/cwd/x", TARGET_CREATE, -ELOOP);
	expect_fails(fx, "/proc/thread-self/fd/0", TARGET_CREATE, -ELOOP);
	make_link(fx, "/proc/self/root", "rootfs/out");
	expect_fails(fx, "/out/tmp", TARGET_CREATE, -ELOOP);
}

static void magic_links_are_refused(void **state)
{
	(void)state;
	in_child(magic_body);
}

static void parent_body(struct fixture *fx)
{
	AUTO_MOUNT_TARGET struct mount_target t = MOUNT_TARGET_INIT;
	AUTO_CLOSE int root = root_of(fx);
	const char *name = NULL;

	EXPECT_ERROR(fx, mount_target_open_parent(root, "/dev/..", &t, &name, &fx->err), -EINVAL,
		     "/dev/..");
	EXPECT_ERROR(fx, mount_target_open_parent(root, "/dev/", &t, &name, &fx->err), -EINVAL,
		     "/dev/");
	EXPECT_ERROR(fx, mount_target_open_parent(root, ".", &t, &name, &fx->err), -EINVAL, ".");
	EXPECT_OK(fx, mount_target_open_parent(root, "/new/dir/node", &t, &name, &fx->err));
	EXPECT(strcmp(name, "node") == 0 && strcmp(t.path.data, "/new/dir") == 0);
}

static void parents_are_made_and_names_judged(void **state)
{
	(void)state;
	in_child(parent_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_leave_the_target_empty),
		cmocka_unit_test(plain_paths_are_found_or_made),
		cmocka_unit_test(links_count_from_the_root_of_the_container),
		cmocka_unit_test(the_last_link_can_be_the_place_itself),
		cmocka_unit_test(magic_links_are_refused),
		cmocka_unit_test(parents_are_made_and_names_judged),
	};

	return cmocka_run_group_tests_name("ns/mount_target", tests, NULL, NULL);
}
