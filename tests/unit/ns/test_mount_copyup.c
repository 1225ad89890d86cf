/* SPDX-License-Identifier: Apache-2.0 */
/* tmpcopyup: what it copies, and images that put traps there. */
#include "rootfs_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>

#include "ns/mount_copyup.h"

#define COPY_UP                                                                           \
	"{\"destination\":\"/d\",\"type\":\"tmpfs\",\"options\":[\"tmpcopyup\",\"ro\"]}," \
	"{\"destination\":\"/proc\",\"type\":\"proc\"}"

/* Without following a link: is it a file with this text? */
static bool has_regular_text(const char *path, const char *text)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && has_text(path, text);
}

static void full_body(struct fixture *fx)
{
	char big[65536];
	char path[128];
	int fd;

	make_dir(fx, "rootfs/d");
	(void)snprintf(path, sizeof(path), "%s/d/big", fx->root);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	memset(big, 'x', sizeof(big));
	for (int i = 0; i < 4; i++)
		EXPECT(write(fd, big, sizeof(big)) == (ssize_t)sizeof(big));
	given_mounts(fx, "{\"destination\":\"/d\",\"type\":\"tmpfs\",\"options\":[\"tmpcopyup\","
			 "\"size=64k\"]}");
	EXPECT_ERROR(fx, rootfs_prepare(&fx->rootfs, &fx->err), -ENOSPC,
		     "mount tmpfs at /d: copy big: No space left");
}

static void a_tree_that_does_not_fit_is_an_error(void **state)
{
	(void)state;
	in_child(full_body);
}

/* A chain of directories: as deep as allowed, and one more. */
static void make_chain(const struct fixture *fx, int depth)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/rootfs/d", fx->dir);
	EXPECT((mkdir(path, 0755) == 0 || errno == EEXIST) && chdir(path) == 0);
	for (int i = 0; i < depth; i++)
		EXPECT((mkdir("n", 0755) == 0 || errno == EEXIST) && chdir("n") == 0);
	EXPECT(chdir("/") == 0);
}

static void deep_body(struct fixture *fx)
{
	make_chain(fx, COPYUP_DEPTH_MAX + 1);
	given_mounts(fx, COPY_UP);
	EXPECT_ERROR(fx, rootfs_prepare(&fx->rootfs, &fx->err), -ELOOP,
		     "mount tmpfs at /d: copy n");
	rootfs_done(&fx->rootfs);
}

static void depth_body(struct fixture *fx)
{
	make_chain(fx, COPYUP_DEPTH_MAX);
	given_mounts(fx, COPY_UP);
	enter(fx);
	EXPECT(chdir("/d") == 0);
	for (int i = 0; i < COPYUP_DEPTH_MAX; i++)
		EXPECT(chdir("n") == 0);
}

static void depth_is_limited(void **state)
{
	(void)state;
	in_child(deep_body);
	in_child(depth_body);
}

/* Goal: nothing is opened that could block or act, nothing outside is read. */
static void hostile_body(struct fixture *fx)
{
	char path[256];
	char text[64] = "";
	struct stat st;

	make_dir(fx, "rootfs/d");
	(void)umask(0);
	make_dir(fx, "host/secret");
	make_file(fx, "host/secret/key", "s3cret");
	(void)snprintf(path, sizeof(path), "%s/host/secret", fx->dir);
	make_link(fx, path, "rootfs/d/absolute");
	make_link(fx, "../../host/secret", "rootfs/d/climbing");
	make_link(fx, "/nowhere", "rootfs/d/dangling");
	(void)snprintf(path, sizeof(path), "%s/d/fifo", fx->root);
	EXPECT(mkfifo(path, 0640) == 0);
	(void)snprintf(path, sizeof(path), "%s/d/tty", fx->root);
	EXPECT(mknod(path, S_IFCHR | 0640, makedev(5, 0)) == 0);
	(void)snprintf(path, sizeof(path), "%s/d/socket", fx->root);
	EXPECT(mknod(path, S_IFSOCK | 0600, 0) == 0);
	given_mounts(fx, COPY_UP);
	(void)alarm(20); /* a blocked open would end here */
	enter(fx);
	EXPECT(readlink("/d/climbing", text, sizeof(text)) == 17 &&
	       !strcmp(text, "../../host/secret"));
	EXPECT(lstat("/d/absolute", &st) == 0 && S_ISLNK(st.st_mode) && exists("/d/dangling"));
	EXPECT(lstat("/d/fifo", &st) == 0 && st.st_mode == (S_IFIFO | 0640));
	EXPECT(lstat("/d/socket", &st) == 0 && st.st_mode == (S_IFSOCK | 0600));
	EXPECT(lstat("/d/tty", &st) == 0 && st.st_mode == (S_IFCHR | 0640));
	EXPECT(st.st_rdev == makedev(5, 0));
	EXPECT(!exists("/d/absolute/key"));
}

static void links_fifos_and_devices_are_copied_not_used(void **state)
{
	(void)state;
	in_child(hostile_body);
}

/*
 * A thread that makes one name a file, a link to a secret, a fifo, a directory, in turn, while the
 * directory is copied: no copy ever holds the secret, blocks, or fails for another reason than the
 * change.
 */
struct changer {
	char name[160];
	char secret[160];
	atomic_bool stop;
};

static void *change(void *arg)
{
	struct changer *c = arg;

	while (!atomic_load(&c->stop)) {
		(void)close(open(c->name, O_CREAT | O_WRONLY, 0600));
		(void)unlink(c->name);
		if (symlink(c->secret, c->name) == 0)
			(void)unlink(c->name);
		(void)mkfifo(c->name, 0600);
		(void)unlink(c->name);
		(void)mkdir(c->name, 0700);
		(void)rmdir(c->name);
	}
	return NULL;
}

static void copy_once(struct fixture *fx, int from, const char *to)
{
	AUTO_CLOSE int to_fd = -EBADF;
	char copied[256];
	int r;

	EXPECT(mkdir(to, 0755) == 0);
	to_fd = open(to, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = mount_copyup(from, to_fd, false, &fx->err);
	EXPECT(r == 0 || r == -ENOENT || r == -ENOTDIR || r == -ENXIO);
	(void)snprintf(copied, sizeof(copied), "%s/name", to);
	EXPECT(!has_regular_text(copied, "s3cret"));
	EXPECT(unlink(copied) == 0 || rmdir(copied) == 0 || errno == ENOENT || errno == ENOTDIR);
	EXPECT(rmdir(to) == 0);
}

static void race_body(struct fixture *fx)
{
	struct changer c = { 0 };
	const time_t end = time(NULL) + race_seconds() + 1;
	char to[128];
	pthread_t thread;
	int from;
	int rounds = 0;

	make_dir(fx, "rootfs/d");
	make_file(fx, "host/key", "s3cret");
	(void)snprintf(c.name, sizeof(c.name), "%s/d/name", fx->root);
	(void)snprintf(c.secret, sizeof(c.secret), "%s/host/key", fx->dir);
	(void)snprintf(to, sizeof(to), "%s/d", fx->root);
	from = open(to, O_PATH | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(to, sizeof(to), "%s/to", fx->dir);
	EXPECT(from >= 0 && pthread_create(&thread, NULL, change, &c) == 0);
	(void)alarm((unsigned int)race_seconds() + 30); /* a blocked open would end here */
	for (; time(NULL) < end; rounds++)
		copy_once(fx, from, to);
	atomic_store(&c.stop, true);
	EXPECT(pthread_join(thread, NULL) == 0 && rounds > 100);
}

static void a_name_that_changes_kind_leaks_nothing(void **state)
{
	(void)state;
	in_child(race_body);
}

static void attributes_body(struct fixture *fx)
{
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000, .tv_nsec = 5 } };
	char path[128];
	char value[8] = "";
	struct stat st;

	make_dir(fx, "rootfs/d");
	make_dir(fx, "rootfs/d/sub");
	make_file(fx, "rootfs/d/sub/file", "text");
	make_file(fx, "rootfs/d/suid", "#!");
	make_file(fx, "rootfs/d/empty", "");
	(void)snprintf(path, sizeof(path), "%s/d/suid", fx->root);
	EXPECT(chown(path, 12, 34) == 0 && chmod(path, 04711) == 0);
	EXPECT(utimensat(AT_FDCWD, path, old, 0) == 0);
	(void)snprintf(path, sizeof(path), "%s/d/sub", fx->root);
	EXPECT(chown(path, 5, 6) == 0 && chmod(path, 01773) == 0);
	EXPECT(utimensat(AT_FDCWD, path, old, 0) == 0);
	(void)snprintf(path, sizeof(path), "%s/d", fx->root);
	EXPECT(chmod(path, 0711) == 0);
	const bool xattr = setxattr(path, "security.capability", "x", 1, 0) == 0;

	given_mounts(fx, COPY_UP);
	enter(fx);
	EXPECT(!xattr || getxattr("/d", "security.capability", value, 8) == 1);
	EXPECT(has_text("/d/sub/file", "text") && has_text("/d/empty", ""));
	EXPECT(stat("/d/suid", &st) == 0 && (st.st_mode & 07777) == 04711);
	EXPECT(st.st_uid == 12 && st.st_gid == 34 && st.st_mtim.tv_sec == 2000);
	EXPECT(st.st_mtim.tv_nsec == 5);
	EXPECT(stat("/d/sub", &st) == 0 && (st.st_mode & 07777) == 01773 && st.st_uid == 5);
	EXPECT(st.st_mtim.tv_sec == 2000);
	EXPECT(stat("/d", &st) == 0 && (st.st_mode & 07777) == 0711);
	EXPECT(mount_says("/d", " ro,") && is_mount("/d"));
}

static void modes_owners_and_times_are_kept(void **state)
{
	(void)state;
	in_child(attributes_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_that_does_not_fit_is_an_error),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(links_fifos_and_devices_are_copied_not_used),
		cmocka_unit_test(a_name_that_changes_kind_leaks_nothing),
		cmocka_unit_test(modes_owners_and_times_are_kept),
	};

	return cmocka_run_group_tests_name("ns/mount_copyup", tests, NULL, NULL);
}
