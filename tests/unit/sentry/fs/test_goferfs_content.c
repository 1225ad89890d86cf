/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of small files that the client keeps, with a real gofer in a child whose root "rw" is at
 * "e" (exclusive) and "s" (shared). Whatever was kept, a reader gets what the host's file holds.
 */
#include "unit/sentry/fs/goferfs_world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

/* Read an hour from now: no read of the host's moves that. */
static void put_settled(const char *path, const char *text)
{
	const struct timespec times[2] = { { .tv_sec = time(NULL) + 3600 },
					   { .tv_nsec = UTIME_OMIT } };

	put_file(host, path, text);
	assert_int_equal(utimensat(host->dir, path, times, 0), 0);
}

static int64_t atime_of(const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(host->dir, path, &st, 0), 0);
	return (int64_t)st.st_atim.tv_sec * 1000000000 + st.st_atim.tv_nsec;
}

/* It is there, and kept. */
static void put_kept(const char *name, const char *text)
{
	char path[64];
	const uint64_t before = counts().content;

	(void)snprintf(path, sizeof(path), "rw%s", name + 1);
	put_settled(path, text);
	expect_text(name, text);
	assert_true(counts().content >= before + strlen(text));
}

static void do_writers(void *arg)
{
	struct file *f, *g;
	struct path p;
	char got[8];

	(void)arg;
	put_kept("e/f", "first");
	assert_int_equal(w_open("e/f", O_RDONLY, &g), 0);
	assert_int_equal(w_open("e/f", O_RDWR, &f), 0);
	assert_int_equal(counts().content, 0);
	assert_int_equal(f_write(f, "F", 1), 1);
	expect_text("e/f", "First");
	assert_int_equal(counts().content, 0); /* as long as somebody may write */
	assert_int_equal(f_read(g, got, sizeof(got)), 5);
	assert_memory_equal(got, "First", 5);
	file_unref(g);
	file_unref(f);
	/* Nobody has it open: a new size comes by the gofer alone. */
	put_kept("e/cut", "some text");
	assert_int_equal(path_walk(&world.as_root, NULL, "e/cut", 0, &p), 0);
	assert_int_equal(vfs_truncate(&world.as_root, &p, 4), 0);
	path_unref(&p);
	expect_text("e/cut", "some");
	put_kept("e/trunc", "long text");
	assert_int_equal(w_write("e/trunc", "new"), 3);
	expect_text("e/trunc", "new");
	/* Another file takes the name. */
	put_kept("e/a", "a");
	put_kept("e/b", "bb");
	assert_int_equal(vfs_rename(&world.as_root, NULL, "e/a", NULL, "e/b", 0), 0);
	expect_text("e/b", "a");
}

static void a_changed_file_is_read_anew(void **state)
{
	(void)state;
	in_fiber(do_writers, NULL);
}

static void do_mappings(void *arg)
{
	struct mmap_source source = { .host_fd = -1 };
	struct file *f, *g;
	char got[8];

	(void)arg;
	put_kept("e/f", "text");
	assert_int_equal(w_open("e/f", O_RDONLY, &f), 0);
	assert_int_equal(f->ops->mmap(f, PROT_READ, MAP_PRIVATE, 0, 4096, &source), 0);
	assert_int_equal(pread(source.host_fd, got, sizeof(got), 0), 4);
	assert_int_equal(fcntl(source.host_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(counts().content, 0);
	file_unref(f);
	/* What a mapping writes nobody tells us. */
	expect_text("e/f", "text");
	assert_int_equal(w_open("e/f", O_RDONLY, &g), 0);
	assert_int_equal(w_open("e/f", O_RDWR, &f), 0);
	assert_int_equal(f->ops->mmap(f, PROT_WRITE, MAP_SHARED, 0, 4096, &source), 0);
	assert_int_equal(f_read(g, got, 1), 1);
	assert_int_equal(pwrite(source.host_fd, "TEXT", 4, 0), 4);
	assert_int_equal(f_read(g, got, sizeof(got)), 3);
	assert_memory_equal(got, "EXT", 3);
	expect_text("e/f", "TEXT");
	assert_int_equal(counts().content, 0);
	file_unref(g);
	file_unref(f);
}

static void a_mapping_ends_what_was_kept(void **state)
{
	(void)state;
	in_fiber(do_mappings, NULL);
}

static void do_times(void *arg)
{
	const struct setattr old = { .mask = SETATTR_ATIME, .atime = NSEC_PER_SEC };
	struct statvfs fs;
	struct path p;
	int64_t before;

	(void)arg;
	if (fstatvfs(host->dir, &fs) < 0 || !(fs.f_flag & ST_RELATIME))
		return;
	/* The first read moves it; once it is later than the file's change it stays, and so do the
	 * bytes. */
	put_file(host, "rw/f", "text");
	for (int i = 0; i < 1000000 && counts().content == 0; i++)
		expect_text("e/f", "text");
	assert_true(counts().content > 0);
	before = atime_of("rw/f");
	expect_text("e/f", "text");
	assert_int_equal(atime_of("rw/f"), before);
	/* Older than the file's change: the next read moves it, on the host. */
	assert_int_equal(path_walk(&world.as_root, NULL, "e/f", 0, &p), 0);
	assert_int_equal(vfs_setattr(&world.as_root, &p, &old), 0);
	path_unref(&p);
	assert_int_equal(atime_of("rw/f"), NSEC_PER_SEC);
	expect_text("e/f", "text");
	assert_true(atime_of("rw/f") >= before);
}

static void the_time_of_access_moves_as_the_host_moves_it(void **state)
{
	(void)state;
	in_fiber(do_times, NULL);
}

static void do_not_kept(void *arg)
{
	static char big[8 * 1024 + 2];

	(void)arg;
	memset(big, 'b', sizeof(big) - 1);
	put_settled("rw/big", big);
	expect_text("e/big", big);
	put_settled("rw/empty", "");
	expect_text("e/empty", "");
	/* Others may change a volume's. */
	put_settled("rw/shared", "one");
	expect_text("s/shared", "one");
	assert_int_equal(counts().content, 0);
	put_settled("rw/shared", "two");
	expect_text("s/shared", "two");
	big[sizeof(big) - 2] = '\0';
	put_kept("e/fits", big);
}

static void large_empty_and_shared_files_are_not_kept(void **state)
{
	(void)state;
	in_fiber(do_not_kept, NULL);
}

static void do_cheap(void *arg)
{
	struct file *f;
	struct stat st;
	struct goferfs_counts before;
	char got[4];

	(void)arg;
	put_kept("e/f", "text");
	before = counts();
	assert_int_equal(before.idle, 0);
	for (int i = 0; i < 100; i++) {
		expect_text("e/f", "text");
		assert_int_equal(w_stat("e/f", &st), 0);
		assert_int_equal(st.st_size, 4);
	}
	assert_int_equal(w_open("e/f", O_RDONLY, &f), 0);
	assert_int_equal(file_seek(f, -2, SEEK_END), 2);
	assert_int_equal(f_read(f, got, 1), 1);
	assert_int_equal(f_read(f, got + 1, 3), 1);
	assert_memory_equal(got, "xt", 2);
	assert_int_equal(file_seek(f, 1000, SEEK_SET), 1000);
	assert_int_equal(f_read(f, got, 1), 0);
	assert_int_equal(counts().requests, before.requests);
	assert_int_equal(counts().idle, 0);
	/* The last name goes; who has it open reads on. */
	assert_int_equal(w_unlink("e/f"), 0);
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(f_read(f, got, 4), 4);
	assert_memory_equal(got, "text", 4);
	file_unref(f);
	assert_int_equal(counts().content, 0);
}

static void a_kept_file_costs_neither_requests_nor_descriptors(void **state)
{
	(void)state;
	in_fiber(do_cheap, NULL);
}

#define FILES 100
#define SIZE  8000u
#define LIMIT (256u << 10) /* of a sandbox with little memory */

static void do_many(void *arg)
{
	static char text[SIZE + 1];
	struct file *f;
	char name[32], got[4];
	uint64_t before;

	(void)arg;
	goferfs_set_limits(1, 1024);
	put_kept("e/held", "held");
	assert_int_equal(w_open("e/held", O_RDONLY, &f), 0);
	for (int pass = 0; pass < 3; pass++) {
		for (int i = 0; i < FILES; i++) {
			(void)snprintf(name, sizeof(name), "rw/%d", i);
			(void)snprintf(text, sizeof(text), "%*d", (int)SIZE, i);
			if (pass == 0)
				put_settled(name, text);
			(void)snprintf(name, sizeof(name), "e/%d", i);
			expect_text(name, text);
			assert_true(counts().content <= LIMIT);
		}
		assert_true(counts().content > LIMIT / 2);
	}
	/* It was the oldest all the time, but somebody had it open without a descriptor. */
	before = counts().requests;
	assert_int_equal(f_read(f, got, 4), 4);
	assert_memory_equal(got, "held", 4);
	assert_int_equal(counts().requests, before);
	file_unref(f);
}

static void what_is_kept_has_a_limit(void **state)
{
	(void)state;
	in_fiber(do_many, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GOFERFS_TEST(a_changed_file_is_read_anew),
		GOFERFS_TEST(a_mapping_ends_what_was_kept),
		GOFERFS_TEST(the_time_of_access_moves_as_the_host_moves_it),
		GOFERFS_TEST(large_empty_and_shared_files_are_not_kept),
		GOFERFS_TEST(what_is_kept_has_a_limit),
		GOFERFS_TEST(a_kept_file_costs_neither_requests_nor_descriptors),
	};

	return goferfs_world_run("sentry/fs/goferfs_content", tests, ARRAY_LEN(tests));
}
