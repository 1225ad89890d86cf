/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

static void prepare_child(struct fixture *fx)
{
	EXPECT(unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET) == 0);
	EXPECT(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0);
	EXPECT(mount("tmpfs", fx->dir, "tmpfs", 0, "mode=755") == 0);
	(void)snprintf(fx->root, sizeof(fx->root), "%s/rootfs", fx->dir);
	make_dir(fx, "rootfs");
	make_dir(fx, "host");
}

void in_child(void (*body)(struct fixture *fx))
{
	struct fixture fx = { .dir = "/tmp/caisson-rootfs.XXXXXX", .rootfs = ROOTFS_INIT };
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("skipped: mounting needs root: CAVEATS.md#unit-root\n");
		skip();
	}
	assert_non_null(mkdtemp(fx.dir));
	pid = fork();
	if (pid == 0) {
		prepare_child(&fx);
		body(&fx);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)rmdir(fx.dir);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("the child's status is %#x", status);
}

void given(struct fixture *fx, const char *members)
{
	AUTO_BUF struct buf text = { 0 };

	EXPECT(buf_printf(&text, "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"}%s%s}",
			  *members ? "," : "", members) == 0);
	EXPECT_OK(fx, oci_spec_parse(text.data, text.len, "test", &fx->spec, &fx->err));
	fx->rootfs = (struct rootfs)ROOTFS_INIT;
	fx->rootfs.spec = fx->spec;
	fx->rootfs.bundle = fx->dir;
	fx->rootfs.path = fx->root;
}

void given_mounts(struct fixture *fx, const char *mounts)
{
	AUTO_BUF struct buf text = { 0 };

	EXPECT(buf_printf(&text, "\"mounts\":[%s]", mounts) == 0);
	given(fx, text.data);
}

/* Nothing that the steps open stays open, but what the caller of rootfs_done() keeps. */
static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

void enter(struct fixture *fx)
{
	const int before = open_descriptors();

	EXPECT_OK(fx, rootfs_prepare(&fx->rootfs, &fx->err));
	EXPECT_OK(fx, rootfs_enter(&fx->rootfs, &fx->err));
	EXPECT_OK(fx, rootfs_finish(&fx->rootfs, &fx->err));
	rootfs_done(&fx->rootfs);
	EXPECT(open_descriptors() == before);
}

void enter_userns(void)
{
	EXPECT(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	EXPECT(fd_write_file(AT_FDCWD, "/proc/self/uid_map", "0 0 1") == 0);
	EXPECT(fd_write_file(AT_FDCWD, "/proc/self/setgroups", "deny") == 0);
	EXPECT(fd_write_file(AT_FDCWD, "/proc/self/gid_map", "0 0 1") == 0);
}

static const char *full_path(const struct fixture *fx, const char *path, char full[256])
{
	EXPECT(snprintf(full, 256, "%s/%s", fx->dir, path) < 256);
	return full;
}

void make_dir(const struct fixture *fx, const char *path)
{
	char full[256];

	EXPECT(mkdir(full_path(fx, path, full), 0755) == 0);
}

void make_file(const struct fixture *fx, const char *path, const char *text)
{
	char full[256];
	AUTO_CLOSE int fd = open(full_path(fx, path, full), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	EXPECT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

void make_link(const struct fixture *fx, const char *text, const char *path)
{
	char full[256];

	EXPECT(symlink(text, full_path(fx, path, full)) == 0);
}

bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

bool is_mount(const char *path)
{
	struct statx stx;

	EXPECT(statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx) == 0);
	EXPECT(stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT);
	return (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

bool has_text(const char *path, const char *text)
{
	AUTO_BUF struct buf b = { 0 };

	return fd_read_file(AT_FDCWD, path, &b) == 0 && b.len == strlen(text) &&
	       (b.len == 0 || memcmp(b.data, text, b.len) == 0);
}

bool mount_says(const char *point, const char *words)
{
	AUTO_BUF struct buf b = { 0 };
	char place[256];
	char *rest;
	char *line;

	EXPECT(fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &b) == 0);
	(void)snprintf(place, sizeof(place), " %s ", point);
	rest = b.data;
	while (rest && (line = strsep(&rest, "\n"))) {
		if (strstr(line, place) && strstr(line, words))
			return true;
	}
	return false;
}

int race_seconds(void)
{
	const char *soak = getenv("CAISSON_SOAK");
	const int seconds = soak ? atoi(soak) : 0;

	return seconds > 0 ? seconds : 1;
}
