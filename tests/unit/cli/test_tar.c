/* SPDX-License-Identifier: Apache-2.0 */
/* The archive writer, judged by tar(1). */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "cli/tar.h"

struct fixture {
	char path[64];
	struct tar tar;
	struct err err;
};

static int set_up(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	strcpy(f.path, "/tmp/caisson-tar-XXXXXX");
	f.tar.fd = mkostemp(f.path, O_CLOEXEC);
	f.tar.mtime = 1700000000;
	*state = &f;
	return f.tar.fd < 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	(void)close(f->tar.fd);
	return unlink(f->path);
}

/* What a command prints, with the archive's path in place of %s. */
static void run(const struct fixture *f, const char *format, struct buf *out)
{
	char command[256];
	FILE *pipe;
	int c;

	(void)snprintf(command, sizeof(command), "tar %s -f %s 2>&1", format, f->path);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	while ((c = fgetc(pipe)) != EOF) {
		const char byte = (char)c;

		buf_append(out, &byte, 1);
	}
	assert_int_equal(pclose(pipe), 0);
}

static void tar_reads_names_sizes_and_bytes(void **state)
{
	static const char binary[] = "a\0b\xff\n";
	struct fixture *f = *state;
	AUTO_BUF struct buf list = { 0 };
	AUTO_BUF struct buf text = { 0 };
	char block[513];

	memset(block, 'x', sizeof(block));
	assert_int_equal(tar_add(&f->tar, "empty", "", 0, &f->err), 0);
	assert_int_equal(tar_add(&f->tar, "dir/binary", binary, sizeof(binary) - 1, &f->err), 0);
	assert_int_equal(tar_add(&f->tar, "one", block, 512, &f->err), 0);
	assert_int_equal(tar_add(&f->tar, "more", block, 513, &f->err), 0);
	assert_int_equal(tar_finish(&f->tar, &f->err), 0);
	run(f, "--utc --full-time -tv", &list);
	assert_string_equal(list.data,
			    "-rw------- root/root         0 2023-11-14 22:13:20 empty\n"
			    "-rw------- root/root         5 2023-11-14 22:13:20 dir/binary\n"
			    "-rw------- root/root       512 2023-11-14 22:13:20 one\n"
			    "-rw------- root/root       513 2023-11-14 22:13:20 more\n");
	run(f, "-xO dir/binary", &text);
	assert_int_equal(text.len, 5);
	assert_memory_equal(text.data, binary, 5);
}

static void long_names_are_split_at_a_slash(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf list = { 0 };
	char name[300], expected[302];

	memset(name, 'd', 155);
	name[155] = '/';
	memset(name + 156, 'n', 100);
	name[256] = '\0';
	assert_int_equal(tar_add(&f->tar, name, "x", 1, &f->err), 0);
	assert_int_equal(tar_finish(&f->tar, &f->err), 0);
	run(f, "-t", &list);
	(void)snprintf(expected, sizeof(expected), "%s\n", name);
	assert_string_equal(list.data, expected);
}

static void names_that_do_not_fit_or_escape_are_refused(void **state)
{
	struct fixture *f = *state;
	char long_name[400];
	const char *const bad[] = { "", "/etc/passwd", "..", "../x", "a/../b", "a/..", long_name };

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(tar_add(&f->tar, bad[i], "x", 1, &f->err), -EINVAL);
	assert_int_equal(f->tar.bytes, 0);
	assert_int_equal(tar_add(&f->tar, "a..b", "x", 1, &f->err), 0);
	assert_int_equal(tar_add(&f->tar, "...", "x", 1, &f->err), 0);
}

static void the_archive_has_a_limit(void **state)
{
	static const char bytes[4096];
	struct fixture *f = *state;
	struct stat st;

	f->tar.max = 8192;
	assert_int_equal(tar_add(&f->tar, "one", bytes, sizeof(bytes), &f->err), 0);
	assert_int_equal(tar_add(&f->tar, "two", bytes, sizeof(bytes), &f->err), -ENOSPC);
	assert_int_equal(tar_finish(&f->tar, &f->err), 0);
	assert_int_equal(fstat(f->tar.fd, &st), 0);
	assert_true(st.st_size <= 8192);
}

static void too_large_files_are_refused_before_a_byte_is_read(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(tar_add(&f->tar, "large", "", TAR_FILE_MAX, &f->err), -EFBIG);
	assert_int_equal(f->tar.bytes, 0);
}

static void a_full_disk_is_reported(void **state)
{
	struct fixture *f = *state;
	const int kept = f->tar.fd;

	f->tar.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(f->tar.fd >= 0);
	assert_int_equal(tar_add(&f->tar, "x", "x", 1, &f->err), -ENOSPC);
	(void)close(f->tar.fd);
	f->tar.fd = kept;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tar_reads_names_sizes_and_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(long_names_are_split_at_a_slash, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_that_do_not_fit_or_escape_are_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_archive_has_a_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_large_files_are_refused_before_a_byte_is_read,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_disk_is_reported, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
