/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/sentry/fs/goferfs_world.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#include "sentry/vfs/mount.h"

struct fixture *host;
struct gofer_conn *gofer;

void mount_at(const char *place, bool exclusive)
{
	struct superblock *sb;
	struct path at;

	assert_int_equal(w_mkdir(place), 0);
	assert_int_equal(goferfs_mount(gofer, ROOT_RW, exclusive, &sb), 0);
	assert_int_equal(path_walk(&world.as_root, NULL, place, 0, &at), 0);
	assert_int_equal(vfs_attach(world.ns, sb, &at, 0, "none"), 0);
	path_unref(&at);
	superblock_unref(sb);
}

static void mount_both(void *arg)
{
	(void)arg;
	mount_at("e", true);
	mount_at("s", false);
}

int goferfs_world_setup(void **state)
{
	void *fixture = NULL;

	if (world_setup(state) < 0 || fixture_setup(&fixture) < 0)
		return -1;
	host = fixture;
	if (goferfs_connect(dup(host->sock), &gofer) < 0)
		return -1;
	in_fiber(mount_both, NULL);
	return 0;
}

void end_connection(void *arg)
{
	(void)arg;
	(void)shutdown(host->sock, SHUT_RDWR);
	goferfs_disconnect(TAKE_PTR(gofer));
}

int goferfs_world_teardown(void **state)
{
	void *fixture = host;

	in_fiber(end_connection, NULL);
	return world_teardown(state) < 0 || fixture_teardown(&fixture) < 0 ? -1 : 0;
}

struct goferfs_counts counts(void)
{
	struct goferfs_counts c;

	goferfs_counts(&c);
	return c;
}

void expect_text(const char *name, const char *text)
{
	static char got[16384];
	struct file *f;

	assert_int_equal(w_open(name, O_RDONLY, &f), 0);
	assert_int_equal(f_read(f, got, sizeof(got)), strlen(text));
	assert_memory_equal(got, text, strlen(text));
	assert_int_equal(f_read(f, got, sizeof(got)), 0);
	file_unref(f);
}

uint64_t requests(void)
{
	return counts().requests;
}

struct stat host_stat(const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(host->dir, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

int access_of_mapping(struct file *f, int flags)
{
	struct mmap_source source = { .host_fd = -1 };

	assert_int_equal(f->ops->mmap(f, PROT_READ, flags, 4096, 4096, &source), 0);
	assert_int_equal(source.offset, 4096);
	return fcntl(source.host_fd, F_GETFL) & O_ACCMODE;
}

int goferfs_world_run(const char *name, const struct CMUnitTest *tests, size_t len)
{
	const struct rlimit tight = { 600, 600 };
	cpu_set_t here;

	/* Requests are counted: none is to be for a gofer that follows us from CPU to CPU. */
	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	(void)sched_setaffinity(0, sizeof(here), &here);
	/* Descriptors run out on both sides all the time, and nobody may notice. */
	if (getenv("GOFERFS_TIGHT"))
		(void)setrlimit(RLIMIT_NOFILE, &tight);
	return _cmocka_run_group_tests(name, tests, len, NULL, NULL);
}
