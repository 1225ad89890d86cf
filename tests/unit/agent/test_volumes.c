/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/volumes.h"

/* The working directory of the test: from and to. */
static char top[] = "/tmp/caisson-volumes-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	strcpy(top + strlen(top) - 6, "XXXXXX");
	if (!mkdtemp(top) || chdir(top) < 0)
		return -1;
	return mkdir("from", 0755) < 0 || mkdir("to", 0755) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -r %s", top);
	return chdir("/") < 0 || system(command) ? -1 : 0;
}

static void put(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static void has(const char *path, const char *text)
{
	char got[64] = "";
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	(void)close(fd);
	assert_string_equal(got, text);
}

static void what_is_not_there_is_no_source(void **state)
{
	(void)state;
	assert_int_equal(volumes_copy("nothing", "to"), -ENOENT);
	put("file", "");
	assert_int_equal(volumes_copy("file", "to"), -ENOTDIR);
	assert_int_equal(symlink("from", "link"), 0);
	assert_true(volumes_copy("link", "to") < 0);
}

static void too_many_entries_and_too_deep_ones_are_an_error(void **state)
{
	char path[64];

	(void)state;
	for (int i = 0; i <= VOLUMES_ENTRIES_MAX; i++) {
		(void)snprintf(path, sizeof(path), "from/%d", i);
		put(path, "");
	}
	assert_int_equal(volumes_copy("from", "to"), -E2BIG);
	assert_int_equal(mkdir("deep", 0755), 0);
	assert_int_equal(chdir("deep"), 0);
	for (int i = 0; i < VOLUMES_DEPTH_MAX + 2; i++)
		assert_true(mkdir("d", 0755) == 0 && chdir("d") == 0);
	assert_int_equal(chdir(top), 0);
	assert_int_equal(volumes_copy("deep", "to"), -E2BIG);
}

static void what_is_no_file_is_an_error_and_nothing_goes(void **state)
{
	(void)state;
	put("to/old", "old");
	assert_int_equal(mkfifo("from/fifo", 0644), 0);
	assert_int_equal(volumes_copy("from", "to"), -EINVAL);
	has("to/old", "old");
}

static void a_copy_has_files_directories_links_and_their_attributes(void **state)
{
	struct stat a, b;

	(void)state;
	assert_int_equal(mkdir("from/..1", 0750), 0);
	put("from/..1/key", "text");
	assert_int_equal(chmod("from/..1/key", 0640), 0);
	assert_int_equal(symlink("..1", "from/..data"), 0);
	assert_int_equal(symlink("..data/key", "from/key"), 0);
	assert_int_equal(volumes_copy("from", "to"), 0);
	has("to/key", "text");
	assert_int_equal(stat("from/..1/key", &a), 0);
	assert_int_equal(stat("to/..1/key", &b), 0);
	assert_int_equal(a.st_mode, b.st_mode);
	assert_int_equal(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
	assert_int_equal(stat("to/..1", &b), 0);
	assert_int_equal(b.st_mode & 07777, 0750);
}

static void a_file_that_became_a_directory_is_one(void **state)
{
	(void)state;
	put("to/entry", "file");
	assert_int_equal(mkdir("from/entry", 0755), 0);
	put("from/entry/below", "new");
	assert_int_equal(volumes_copy("from", "to"), 0);
	has("to/entry/below", "new");
}

/* The order in which who watches a directory is told of a change. */
static void the_new_comes_before_the_link_and_the_old_goes_last(void **state)
{
	char events[4096] __attribute__((aligned(8))), names[256] = "";
	ssize_t n;
	int fd;

	(void)state;
	assert_int_equal(mkdir("from/..1", 0755), 0);
	assert_int_equal(symlink("..1", "from/..data"), 0);
	assert_int_equal(volumes_copy("from", "to"), 0);
	assert_int_equal(mkdir("from/..2", 0755), 0);
	assert_int_equal(unlink("from/..data"), 0);
	assert_int_equal(symlink("..2", "from/..data"), 0);
	assert_int_equal(rmdir("from/..1"), 0);
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	assert_true(inotify_add_watch(fd, "to", IN_CREATE | IN_MOVED_TO | IN_DELETE) >= 0);
	assert_int_equal(volumes_copy("from", "to"), 0);
	n = read(fd, events, sizeof(events));
	(void)close(fd);
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(events + at);

		if (e->name[1] == '.') {
			(void)strcat(names, e->mask & IN_DELETE ? "-" : "+");
			(void)strcat(names, e->name);
		}
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	assert_string_equal(names, "+..2+..data-..1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_not_there_is_no_source, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_many_entries_and_too_deep_ones_are_an_error,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_file_is_an_error_and_nothing_goes,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_copy_has_files_directories_links_and_their_attributes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_that_became_a_directory_is_one, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_new_comes_before_the_link_and_the_old_goes_last,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
