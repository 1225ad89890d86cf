/* SPDX-License-Identifier: Apache-2.0 */
/* open_tree(2), move_mount(2), fsopen(2), fsconfig(2), fsmount(2), fspick(2). */
#include <linux/mount.h>
#include <sys/statfs.h>

#include "harness.h"

/* <sys/mount.h> and <linux/mount.h> do not go together in every C library. */
extern int mount(const char *source, const char *target, const char *type, unsigned long flags,
		 const void *data);
extern int umount2(const char *target, int flags);

#define MNT_DETACH_FLAG	  2
#define MS_RECURSIVE	  16384
#define MS_PRIVATE_FLAG	  (1 << 18)
#define AT_RECURSIVE_FLAG 0x8000

static int open_tree_(int dir, const char *path, unsigned int flags)
{
	return (int)syscall(SYS_open_tree, dir, path, flags);
}

static int move_mount_(int from, const char *from_path, int to, const char *to_path,
		       unsigned int flags)
{
	return (int)syscall(SYS_move_mount, from, from_path, to, to_path, flags);
}

static int fsopen_(const char *type, unsigned int flags)
{
	return (int)syscall(SYS_fsopen, type, flags);
}

static int fsconfig_(int fd, unsigned int command, const char *key, const void *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fd, command, key, value, aux);
}

static int fsmount_(int fd, unsigned int flags, unsigned int attr)
{
	return (int)syscall(SYS_fsmount, fd, flags, attr);
}

static int fspick_(int dir, const char *path, unsigned int flags)
{
	return (int)syscall(SYS_fspick, dir, path, flags);
}

static bool is_tmpfs(const char *path)
{
	struct statfs fs;

	OK(statfs(path, &fs));
	return fs.f_type == 0x01021994;
}

/* A mount namespace of one's own, in which nothing spreads. */
static void apart(void)
{
	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	OK(unshare(CLONE_NEWNS));
	OK(mount(NULL, "/", NULL, MS_RECURSIVE | MS_PRIVATE_FLAG, NULL));
	OK(mkdir("at", 0755));
	OK(mkdir("dir", 0755));
	write_file("dir/file", "x");
}

static int new_tmpfs(void)
{
	const int fs = OK(fsopen_("tmpfs", FSOPEN_CLOEXEC));

	OK(fsconfig_(fs, FSCONFIG_SET_STRING, "source", "mine", 0));
	OK(fsconfig_(fs, FSCONFIG_SET_STRING, "mode", "700", 0));
	OK(fsconfig_(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	return fs;
}

TEST(a_file_system_step_by_step)
{
	char text[8192];
	struct stat st;
	int fs, mnt;

	apart();
	fs = new_tmpfs();
	CHECK_EQ(fcntl(fs, F_GETFD), FD_CLOEXEC);
	mnt = OK(fsmount_(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME));
	CHECK_EQ(fcntl(mnt, F_GETFD), FD_CLOEXEC);
	CHECK(fcntl(mnt, F_GETFL) & O_PATH);
	/* It can be used before anybody sees it. */
	close(OK(openat(mnt, "early", O_CREAT | O_WRONLY, 0600)));
	CHECK(!is_tmpfs("at") || access("at/early", F_OK));
	OK(move_mount_(mnt, "", AT_FDCWD, "at", MOVE_MOUNT_F_EMPTY_PATH));
	OK(access("at/early", F_OK));
	OK(stat("at", &st));
	CHECK_EQ(st.st_mode & 07777, 0700);
	read_file("/proc/self/mountinfo", text, sizeof(text));
	CHECK(strstr(text, " mine "));
	/* A second time it is like any mount. */
	OK(mkdir("next", 0755));
	OK(move_mount_(mnt, "", AT_FDCWD, "next", MOVE_MOUNT_F_EMPTY_PATH));
	OK(access("next/early", F_OK));
	CHECK_ERRNO(access("at/early", F_OK), ENOENT);
	close(mnt);
	OK(access("next/early", F_OK));
	OK(umount2("next", 0));
}

TEST(what_nobody_attached_goes_with_its_file)
{
	int mnt, again;

	apart();
	mnt = OK(fsmount_(new_tmpfs(), 0, 0));
	close(OK(openat(mnt, "file", O_CREAT | O_WRONLY, 0600)));
	again = OK(openat(mnt, "file", O_RDONLY));
	close(mnt);
	/* The open file stays, the tree is nothing to mount any more. */
	CHECK_EQ(lseek(again, 0, SEEK_END), 0);
	close(again);
	close(OK(fsopen_("tmpfs", 0)));
	close(new_tmpfs());
}

TEST(phases)
{
	int fs, mnt;

	apart();
	fs = OK(fsopen_("tmpfs", 0));
	CHECK_EQ(fcntl(fs, F_GETFD), 0);
	CHECK(fsmount_(fs, 0, 0) == -1);
	CHECK(errno == EINVAL || errno == EBUSY);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0), EBUSY);
	OK(fsconfig_(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0));
	OK(fsconfig_(fs, FSCONFIG_SET_STRING, "source", "a", 0));
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_SET_STRING, "source", "b", 0), EINVAL);
	OK(fsconfig_(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), EBUSY);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_SET_FLAG, "rw", NULL, 0), EBUSY);
	mnt = OK(fsmount_(fs, 0, 0));
	CHECK_ERRNO(fsmount_(fs, 0, 0), EBUSY);
	CHECK_ERRNO(openat(mnt, "file", O_CREAT | O_WRONLY, 0600), EROFS);
	/* From now on it can be changed by the same description. */
	OK(fsconfig_(fs, FSCONFIG_SET_FLAG, "rw", NULL, 0));
	OK(fsconfig_(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
	close(OK(openat(mnt, "file", O_CREAT | O_WRONLY, 0600)));
}

TEST(errors_of_descriptions)
{
	char c, huge[300];
	int fs, null = OK(open("/dev/null", O_RDONLY));

	apart();
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = 0;
	CHECK_ERRNO(fsopen_("nosuchfs", 0), ENODEV);
	CHECK_ERRNO(fsopen_("tmpfs", 2), EINVAL);
	CHECK_ERRNO(fsopen_(BAD_PTR, 0), EFAULT);
	CHECK_ERRNO(fsopen_(huge, 0), ENODEV);
	fs = OK(fsopen_("tmpfs", 0));
	CHECK_ERRNO(fsconfig_(fs, 99, NULL, NULL, 0), EOPNOTSUPP);
	CHECK_ERRNO(fsconfig_(-1, FSCONFIG_SET_FLAG, "ro", NULL, 0), EINVAL);
	CHECK_ERRNO(fsconfig_(99, FSCONFIG_SET_FLAG, "ro", NULL, 0), EBADF);
	CHECK_ERRNO(fsconfig_(null, FSCONFIG_SET_FLAG, "ro", NULL, 0), EINVAL);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_SET_FLAG, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_SET_FLAG, "ro", "x", 0), EINVAL);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_SET_STRING, "size", NULL, 0), EINVAL);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_SET_STRING, "size", "1m", 1), EINVAL);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_SET_STRING, BAD_PTR, "1m", 0), EFAULT);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_SET_STRING, huge, "1m", 0), EINVAL);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_SET_BINARY, "size", "x", 0), EINVAL);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_SET_PATH, "size", "x", -5), EINVAL);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_SET_FD, "size", "x", 0), EINVAL);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_CMD_CREATE, "x", NULL, 0), EINVAL);
	CHECK_ERRNO(fsmount_(fs, 2, 0), EINVAL);
	CHECK_ERRNO(fsmount_(fs, 0, 0x80000000u), EINVAL);
	CHECK_ERRNO(fsmount_(null, 0, 0), EINVAL);
	CHECK_ERRNO(fsmount_(99, 0, 0), EBADF);
	CHECK_ERRNO(read(fs, &c, 1), ENODATA);
	/* What cannot be is refused at the option or when it is made. */
	fs = OK(fsopen_("tmpfs", 0));
	CHECK(fsconfig_(fs, FSCONFIG_SET_STRING, "size", "many", 0) == -1 ||
	      fsconfig_(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == -1);
	CHECK_EQ(errno, EINVAL);
}

TEST(a_tree_is_copied_and_finds_its_place)
{
	int tree;

	apart();
	OK(mount("tmpfs", "at", "tmpfs", 0, NULL));
	OK(mkdir("at/deep", 0755));
	OK(mkdir("there", 0755));
	OK(mount("dir", "at/deep", NULL, 4096, NULL));
	tree = OK(open_tree_(AT_FDCWD, "at", OPEN_TREE_CLONE));
	CHECK_ERRNO(faccessat(tree, "deep/file", F_OK, 0), ENOENT);
	close(tree);
	tree = OK(open_tree_(AT_FDCWD, "at",
			     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE_FLAG));
	CHECK_EQ(fcntl(tree, F_GETFD), FD_CLOEXEC);
	OK(faccessat(tree, "deep/file", F_OK, 0));
	OK(move_mount_(tree, "", AT_FDCWD, "there",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS));
	OK(access("there/deep/file", F_OK));
	OK(umount2("there/deep", 0));
	OK(access("at/deep/file", F_OK));
	/* Without a copy it is a descriptor of the place. */
	close(tree);
	tree = OK(open_tree_(AT_FDCWD, "there", 0));
	CHECK(fcntl(tree, F_GETFL) & O_PATH);
	CHECK_ERRNO(move_mount_(tree, "deep", AT_FDCWD, "dir", 0), EINVAL);
	OK(move_mount_(tree, "", AT_FDCWD, "dir", MOVE_MOUNT_F_EMPTY_PATH));
	CHECK(is_tmpfs("dir"));
	/* A single file. */
	write_file("one", "1");
	write_file("two", "22");
	tree = OK(open_tree_(AT_FDCWD, "one", OPEN_TREE_CLONE));
	CHECK_ERRNO(move_mount_(tree, "", AT_FDCWD, "there", MOVE_MOUNT_F_EMPTY_PATH), EINVAL);
	OK(move_mount_(tree, "", AT_FDCWD, "two", MOVE_MOUNT_F_EMPTY_PATH));
	CHECK_EQ(truncate("two", 1), 0);
}

TEST(errors_of_trees)
{
	int tree, dir;

	apart();
	dir = OK(open(".", O_RDONLY | O_DIRECTORY));
	OK(symlink("dir", "link"));
	CHECK_ERRNO(open_tree_(AT_FDCWD, "dir", 0x40000000), EINVAL);
	CHECK_ERRNO(open_tree_(AT_FDCWD, "dir", AT_RECURSIVE_FLAG), EINVAL);
	CHECK_ERRNO(open_tree_(AT_FDCWD, "none", 0), ENOENT);
	CHECK_ERRNO(open_tree_(AT_FDCWD, "", 0), ENOENT);
	CHECK_ERRNO(open_tree_(99, "dir", 0), EBADF);
	CHECK_ERRNO(open_tree_(AT_FDCWD, "dir/file/x", 0), ENOTDIR);
	CHECK_ERRNO(open_tree_(AT_FDCWD, BAD_PTR, 0), EFAULT);
	close(OK(open_tree_(dir, "", AT_EMPTY_PATH)));
	close(OK(open_tree_(dir, "link", AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)));
	tree = OK(open_tree_(dir, "dir", OPEN_TREE_CLONE));
	CHECK_ERRNO(move_mount_(tree, "", dir, "at", 0), ENOENT);
	CHECK_ERRNO(move_mount_(tree, "", dir, "none", MOVE_MOUNT_F_EMPTY_PATH), ENOENT);
	CHECK_ERRNO(move_mount_(tree, "", dir, "at", 0x8000), EINVAL);
	CHECK_ERRNO(move_mount_(tree, "", 99, "at", MOVE_MOUNT_F_EMPTY_PATH), EBADF);
	CHECK_ERRNO(move_mount_(99, "", dir, "at", MOVE_MOUNT_F_EMPTY_PATH), EBADF);
	CHECK_ERRNO(move_mount_(dir, "dir", dir, "at", 0), EINVAL);
	OK(move_mount_(tree, "", OK(open("at", O_PATH)), "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
	OK(access("at/file", F_OK));
	OK(mkdir("at/below", 0755));
	CHECK_ERRNO(move_mount_(dir, "at", dir, "at/below", 0), ELOOP);
}

TEST(a_mounted_one_is_picked_and_changed)
{
	int fs;

	apart();
	OK(symlink("at", "link"));
	CHECK_ERRNO(fspick_(AT_FDCWD, "at", 0), EINVAL);
	OK(mount("tmpfs", "at", "tmpfs", 0, NULL));
	CHECK_ERRNO(fspick_(AT_FDCWD, "at", 0x100), EINVAL);
	CHECK_ERRNO(fspick_(AT_FDCWD, "none", 0), ENOENT);
	CHECK_ERRNO(fspick_(AT_FDCWD, "", 0), ENOENT);
	CHECK_ERRNO(fspick_(99, "at", 0), EBADF);
	CHECK_ERRNO(fspick_(AT_FDCWD, "link", FSPICK_SYMLINK_NOFOLLOW), EINVAL);
	close(OK(fspick_(AT_FDCWD, "link", FSPICK_NO_AUTOMOUNT)));
	fs = OK(fspick_(OK(open("at", O_PATH)), "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC));
	CHECK_EQ(fcntl(fs, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), EBUSY);
	CHECK_ERRNO(fsmount_(fs, 0, 0), EBUSY);
	OK(fsconfig_(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0));
	OK(fsconfig_(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
	CHECK_ERRNO(open("at/x", O_CREAT | O_WRONLY, 0600), EROFS);
	OK(fsconfig_(fs, FSCONFIG_SET_FLAG, "rw", NULL, 0));
	OK(fsconfig_(fs, FSCONFIG_SET_STRING, "size", "1m", 0));
	OK(fsconfig_(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
	close(OK(open("at/x", O_CREAT | O_WRONLY, 0600)));
}

TEST(attributes_before_it_is_seen)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int tree;

	apart();
	tree = OK(open_tree_(AT_FDCWD, "dir", OPEN_TREE_CLONE));
	OK(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
	OK(move_mount_(tree, "", AT_FDCWD, "at", MOVE_MOUNT_F_EMPTY_PATH));
	CHECK_ERRNO(open("at/new", O_CREAT | O_WRONLY, 0600), EROFS);
	close(OK(open("dir/new", O_CREAT | O_WRONLY, 0600)));
}

TEST(kinds)
{
	static const char *const kinds[] = { "tmpfs", "proc", "sysfs", "devpts", "mqueue" };

	apart();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const int fs = OK(fsopen_(kinds[i], 0));
		int mnt;

		OK(fsconfig_(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
		mnt = OK(fsmount_(fs, 0, MOUNT_ATTR_RDONLY));
		OK(move_mount_(mnt, "", AT_FDCWD, "at", MOVE_MOUNT_F_EMPTY_PATH));
		close(fs);
		close(mnt);
		OK(umount2("at", MNT_DETACH_FLAG));
	}
}

TEST(rights)
{
	int fs;

	apart();
	fs = OK(fsopen_("tmpfs", 0));
	OK(chmod(".", 0777));
	need_root();
	become_nobody();
	CHECK_ERRNO(fsopen_("tmpfs", 0), EPERM);
	CHECK_ERRNO(fsconfig_(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), EPERM);
	CHECK_ERRNO(fsmount_(fs, 0, 0), EPERM);
	CHECK_ERRNO(fspick_(AT_FDCWD, "/", 0), EPERM);
	CHECK_ERRNO(open_tree_(AT_FDCWD, "dir", OPEN_TREE_CLONE), EPERM);
	CHECK_ERRNO(move_mount_(AT_FDCWD, "dir", AT_FDCWD, "at", 0), EPERM);
	close(OK(open_tree_(AT_FDCWD, "dir", 0)));
}
