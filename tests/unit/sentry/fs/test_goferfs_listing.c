/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories and many files, with a real gofer in a child (goferfs_world.h): listings, and how
 * many requests and descriptors they and what follows them cost.
 */
#include "unit/sentry/fs/goferfs_world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

struct counter {
	struct dir_sink sink;
	unsigned int room, got, dots;
	char last[64];
	uint64_t ino_of_parent;
};

static bool count_entry(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
			unsigned int type, uint64_t next_pos)
{
	struct counter *c = container_of(sink, struct counter, sink);

	(void)type;
	(void)next_pos;
	if (c->room == 0)
		return false;
	c->room--;
	c->got++;
	c->dots += name[0] == '.';
	if (len == 2 && name[0] == '.')
		c->ino_of_parent = ino;
	memcpy(c->last, name, len);
	c->last[len] = '\0';
	return true;
}

static unsigned int list_some(struct file *f, unsigned int room, struct counter *c)
{
	*c = (struct counter){ .sink = { count_entry }, .room = room };
	assert_int_equal(file_iterate(f, &c->sink), 0);
	return c->got;
}

static void do_listing(void *arg)
{
	struct counter c;
	struct file *f;
	uint64_t before;
	unsigned int total = 0;
	char name[32];

	(void)arg;
	assert_int_equal(mkdirat(host->dir, "rw/d", 0755), 0);
	for (int i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "rw/d/file-with-a-name-%d", i);
		put_file(host, name, "");
	}
	assert_int_equal(w_open("e/d", O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(list_some(f, 100000, &c), 502);
	assert_int_equal(c.dots, 2);
	before = requests();
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(list_some(f, 100000, &c), 502);
	assert_int_equal(list_some(f, 100000, &c), 0);
	assert_int_equal(requests(), before);
	/* rm -r: what was read goes while the rest is still to come. */
	assert_int_equal(file_seek(f, 2, SEEK_SET), 2);
	while (list_some(f, 1, &c) == 1) {
		(void)snprintf(name, sizeof(name), "e/d/%.24s", c.last);
		assert_int_equal(w_unlink(name), 0);
		total++;
	}
	assert_int_equal(total, 500);
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(list_some(f, 100000, &c), 2);
	file_unref(f);
	/* Shared: another's file is there at the next rewind. */
	assert_int_equal(w_open("s/d", O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(list_some(f, 100000, &c), 2);
	put_file(host, "rw/d/x", "");
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(list_some(f, 100000, &c), 3);
	file_unref(f);
}

static void listings_are_whole_and_stable(void **state)
{
	(void)state;
	in_fiber(do_listing, NULL);
}

static void do_complete(void *arg)
{
	struct counter c;
	struct stat st;
	struct file *f;
	uint64_t before;
	char name[32], other[32];

	(void)arg;
	assert_int_equal(w_mkdir("e/n"), 0);
	assert_int_equal(w_mkdir("e/m"), 0);
	assert_int_equal(w_open("e/n", O_RDONLY | O_DIRECTORY, &f), 0);
	before = requests();
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "e/n/%d", i);
		assert_int_equal(w_stat(name, &st), -ENOENT);
	}
	assert_int_equal(requests(), before);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "e/n/%d", i);
		assert_int_equal(w_write(name, "x"), 1);
	}
	/* One request per file: made, opened and written; none to see it. */
	assert_true(requests() <= before + 310);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "e/n/%d", i);
		assert_int_equal(w_stat(name, &st), 0);
		assert_int_equal(st.st_size, 1);
	}
	if (!getenv("GOFERFS_TIGHT"))
		assert_true(requests() <= before + 310);
	assert_int_equal(list_some(f, 1000, &c), 302);
	for (int i = 0; i < 300; i += 3) {
		(void)snprintf(name, sizeof(name), "e/n/%d", i);
		(void)snprintf(other, sizeof(other), "e/m/%d", i);
		assert_int_equal(w_unlink(name), 0);
		(void)snprintf(name, sizeof(name), "e/n/%d", i + 1);
		assert_int_equal(vfs_rename(&world.as_root, NULL, name, NULL, other, 0), 0);
	}
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(list_some(f, 1000, &c), 102);
	file_unref(f);
	assert_int_equal(w_open("e/m", O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(list_some(f, 1000, &c), 102);
	file_unref(f);
	assert_int_equal(w_stat("e/m/0", &st), 0);
	assert_int_equal(w_stat("e/m/1", &st), -ENOENT);
	/* A failed change changes nothing. */
	assert_int_equal(w_mkdir("e/m/0"), -EEXIST);
	assert_int_equal(vfs_unlink(&world.as_root, NULL, "e/m", true), -ENOTEMPTY);
	assert_int_equal(w_stat("e/m/0", &st), 0);
}

static void what_we_made_is_known_without_asking(void **state)
{
	(void)state;
	in_fiber(do_complete, NULL);
}

struct numbered {
	ino_t ino;
	int i;
};

static int by_ino(const void *a, const void *b)
{
	const ino_t p = ((const struct numbered *)a)->ino, q = ((const struct numbered *)b)->ino;

	return p < q ? -1 : p > q;
}

static void do_ahead(void *arg)
{
	static struct numbered sorted[1000];
	struct counter c;
	struct stat st;
	struct file *f;
	uint64_t before;
	char name[32];

	(void)arg;
	assert_int_equal(mkdirat(host->dir, "rw/d", 0755), 0);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "rw/d/%d", i);
		put_file(host, name, "");
		sorted[i] = (struct numbered){ host_stat(name).st_ino, i };
	}
	qsort(sorted, 1000, sizeof(sorted[0]), by_ino);
	assert_int_equal(w_open("e/d", O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(list_some(f, 2, &c), 2);
	before = requests();
	for (int i = 0; i < 500; i++) {
		assert_int_equal(list_some(f, 1, &c), 1);
		(void)snprintf(name, sizeof(name), "e/d/%.24s", c.last);
		assert_int_equal(w_stat(name, &st), 0);
		(void)snprintf(name, sizeof(name), "rw/d/%.24s", c.last);
		assert_int_equal(st.st_ino, host_stat(name).st_ino);
	}
	assert_true(requests() - before < 50);
	/* The other half in the order of the inodes. */
	before = requests();
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "e/d/%d", sorted[i].i);
		assert_int_equal(w_stat(name, &st), 0);
	}
	if (requests() - before >= 100)
		fail_msg("%u requests", (unsigned int)(requests() - before));
	file_unref(f);
}

static void a_listing_is_looked_up_many_names_at_a_time(void **state)
{
	(void)state;
	in_fiber(do_ahead, NULL);
}

/* How many requests it takes to open and read them in this order. */
static unsigned int read_all_of(const char *directory, const int *order, int n)
{
	char name[64], text[16];
	uint64_t before;

	before = requests();
	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%s/%d", directory, order[i]);
		(void)snprintf(text, sizeof(text), "%d", order[i]);
		expect_text(name, text);
	}
	return (unsigned int)(requests() - before);
}

static void list_and_stat(const char *directory, int *order, unsigned int n)
{
	struct counter c;
	struct stat st;
	struct file *f;
	char name[64];

	assert_int_equal(w_open(directory, O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(list_some(f, 2, &c), 2);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(list_some(f, 1, &c), 1);
		order[i] = atoi(c.last);
		(void)snprintf(name, sizeof(name), "%s/%d", directory, order[i]);
		assert_int_equal(w_stat(name, &st), 0);
	}
	file_unref(f);
}

#define OPENED 200

static void do_opened_ahead(void *arg)
{
	static struct numbered sorted[OPENED];
	int order[OPENED], scattered[OPENED];
	struct file *f;
	char name[32], text[16];

	(void)arg;
	for (const char *d = "dfg"; *d; d++) {
		(void)snprintf(name, sizeof(name), "rw/%c", *d);
		assert_int_equal(mkdirat(host->dir, name, 0755), 0);
		for (int i = 0; i < OPENED; i++) {
			(void)snprintf(name, sizeof(name), "rw/%c/%d", *d, i);
			(void)snprintf(text, sizeof(text), "%d", i);
			put_file(host, name, text);
			sorted[i] = (struct numbered){ host_stat(name).st_ino, i };
		}
	}
	list_and_stat("e/d", order, OPENED);
	assert_true(read_all_of("e/d", order, OPENED) < OPENED / 8);
	/* In an order that nobody can foresee: one request for each, none for nothing. */
	list_and_stat("e/f", order, OPENED);
	for (int i = 0; i < OPENED; i++)
		scattered[i] = order[i * 67 % OPENED];
	assert_true(read_all_of("e/f", scattered, OPENED) > OPENED / 2);
	/* In the order of the inodes. */
	list_and_stat("e/g", order, OPENED);
	qsort(sorted, OPENED, sizeof(sorted[0]), by_ino);
	for (int i = 0; i < OPENED; i++)
		order[i] = sorted[i].i;
	assert_true(read_all_of("e/g", order, OPENED / 2) < OPENED / 8);
	/* One that was opened ahead: for writing it is opened anew, and its last name still frees
	 * it. */
	(void)snprintf(name, sizeof(name), "e/g/%d", order[OPENED / 2]);
	assert_int_equal(w_open(name, O_RDWR, &f), 0);
	assert_int_equal(f_write(f, "new", 3), 3);
	file_unref(f);
	assert_int_equal(w_open(name, O_RDONLY, &f), 0);
	assert_int_equal(access_of_mapping(f, MAP_SHARED), O_RDONLY);
	file_unref(f);
	assert_int_equal(w_unlink(name), 0);
	assert_int_equal(w_open(name, O_RDONLY, &f), -ENOENT);
}

static void files_of_a_listing_are_opened_many_at_a_time(void **state)
{
	(void)state;
	in_fiber(do_opened_ahead, NULL);
}

#define PASSED 600 /* more than may be kept */

static unsigned int open_all_of(const char *directory, const int *order, int n)
{
	const uint64_t before = requests();
	struct file *f;
	char name[64];

	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%s/%d", directory, order[i]);
		assert_int_equal(w_open(name, O_RDONLY, &f), 0);
		file_unref(f);
	}
	return (unsigned int)(requests() - before);
}

static void do_passes(void *arg)
{
	static int order[PASSED];
	struct goferfs_counts counts;
	char name[32];

	(void)arg;
	assert_int_equal(mkdirat(host->dir, "rw/d", 0755), 0);
	for (int i = 0; i < PASSED; i++) {
		order[i] = i * 251 % PASSED;
		(void)snprintf(name, sizeof(name), "rw/d/%d", i);
		put_file(host, name, "text");
	}
	assert_true(open_all_of("e/d", order, PASSED) >= PASSED);
	for (int pass = 0; pass < 3; pass++) {
		assert_true(open_all_of("e/d", order, PASSED) < PASSED * 2 / 3);
		goferfs_counts(&counts);
		assert_true(counts.idle > 256 && counts.idle <= 512);
	}
}

static void a_part_of_the_descriptors_outlives_a_pass_over_too_many_files(void **state)
{
	(void)state;
	if (!getenv("GOFERFS_TIGHT")) /* then the table is full before */
		in_fiber(do_passes, NULL);
}

static void do_opened_shared(void *arg)
{
	int order[50];
	char name[32], text[16];

	(void)arg;
	assert_int_equal(mkdirat(host->dir, "rw/d", 0755), 0);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(name, sizeof(name), "rw/d/%d", i);
		(void)snprintf(text, sizeof(text), "%d", i);
		put_file(host, name, text);
	}
	list_and_stat("s/d", order, 50);
	assert_true(read_all_of("s/d", order, 50) >= 50);
}

static void files_that_others_may_change_are_opened_when_asked_for(void **state)
{
	(void)state;
	in_fiber(do_opened_shared, NULL);
}

static void do_many(void *arg)
{
	struct goferfs_counts counts;
	struct stat st;
	/* With few descriptors many files are fewer. */
	const int many = getenv("GOFERFS_TIGHT") ? 1500 : 20000;
	char name[32];

	(void)arg;
	if (!getenv("GOFERFS_TIGHT") && !getenv("CAISSON_SOAK"))
		return;
	for (int i = 0; i < many; i++) {
		(void)snprintf(name, sizeof(name), "e/%d", i);
		assert_int_equal(w_write(name, "x"), 1);
	}
	for (int i = 0; i < many; i++) {
		(void)snprintf(name, sizeof(name), "e/%d", i);
		assert_int_equal(w_stat(name, &st), 0);
	}
	goferfs_counts(&counts);
	assert_true(counts.nodes <= GOFER_NODES_MAX);
	assert_true(counts.idle <= 512);
}

static void more_files_than_the_gofer_holds_can_be_used(void **state)
{
	(void)state;
	in_fiber(do_many, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GOFERFS_TEST(listings_are_whole_and_stable),
		GOFERFS_TEST(what_we_made_is_known_without_asking),
		GOFERFS_TEST(a_listing_is_looked_up_many_names_at_a_time),
		GOFERFS_TEST(files_of_a_listing_are_opened_many_at_a_time),
		GOFERFS_TEST(a_part_of_the_descriptors_outlives_a_pass_over_too_many_files),
		GOFERFS_TEST(files_that_others_may_change_are_opened_when_asked_for),
		GOFERFS_TEST(more_files_than_the_gofer_holds_can_be_used),
	};

	return goferfs_world_run("sentry/fs/goferfs_listing", tests, ARRAY_LEN(tests));
}
