/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a logger's command line, and its start. */
#include "shim/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "lib/unit.h"

static void expect_error(const char *uri, int code)
{
	AUTO_STRV char **words = NULL;
	struct err err = { 0 };

	assert_int_equal(logger_words(uri, &words, &err), code);
	assert_null(words);
	assert_true(err.msg[0]);
}

static void a_path_that_is_not_absolute_is_refused(void **state)
{
	(void)state;
	expect_error("binary://logger", -EINVAL);
	expect_error("fifo:///bin/x", -EINVAL);
}

static void a_bad_escape_is_refused(void **state)
{
	(void)state;
	expect_error("binary:///l?a=%", -EINVAL);
	expect_error("binary:///l?a=%4", -EINVAL);
	expect_error("binary:///l?a=%4g", -EINVAL);
	expect_error("binary:///l%00", -EINVAL);
}

static void too_many_words_are_refused(void **state)
{
	char uri[4096] = "binary:///l?";

	(void)state;
	for (int i = 0; i < LOGGER_ARGS_MAX; i++)
		(void)strcat(uri, "a&");
	expect_error(uri, -E2BIG);
}

static void keys_and_values_are_words(void **state)
{
	static const char *const expected[] = { "/a b/l", "key", "v=w", "flag", "x", "A b" };
	AUTO_STRV char **words = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(
		logger_words("binary:///a%20b/l?key=v%3Dw&flag&x=%41+b#rest", &words, &err), 0);
	assert_int_equal(strv_len(words), ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_string_equal(words[i], expected[i]);
}

static void a_missing_logger_is_named(void **state)
{
	const int none[2] = { -EBADF, -EBADF };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(logger_start("binary:///nowhere/logger", none, "c", "n", &err), -ENOENT);
	assert_says(err, "/nowhere/logger");
}

static void a_logger_gets_the_outputs_and_who_it_is_for(void **state)
{
	char dir[] = "/tmp/logger.XXXXXX", script[64], uri[256], text[64] = "", out[64];
	AUTO_CLOSE int file = -EBADF;
	struct err err = { 0 };
	int pair[2], fds[2], status;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(script, sizeof(script), "%s/l", dir);
	(void)snprintf(out, sizeof(out), "%s/out", dir);
	(void)snprintf(uri, sizeof(uri), "binary://%s?%s", script, out);
	file = open(script, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	assert_true(dprintf(file, "#!/bin/sh\necho $CONTAINER_NAMESPACE $CONTAINER_ID > $1\n"
				  "exec 5>&-\ncat <&3 >> $1\n") > 0);
	(void)close(TAKE_FD(file));
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	fds[0] = pair[0];
	fds[1] = -EBADF;
	assert_int_equal(logger_start(uri, fds, "c1", "ns1", &err), 0);
	(void)close(pair[0]);
	assert_int_equal(write(pair[1], "said\n", 5), 5);
	(void)close(pair[1]);
	assert_true(wait(&status) > 0);
	file = open(out, O_RDONLY | O_CLOEXEC);
	assert_true(read(file, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "ns1 c1\nsaid\n");
	(void)unlink(script);
	(void)unlink(out);
	(void)rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_that_is_not_absolute_is_refused),
		cmocka_unit_test(a_bad_escape_is_refused),
		cmocka_unit_test(too_many_words_are_refused),
		cmocka_unit_test(keys_and_values_are_words),
		cmocka_unit_test(a_missing_logger_is_named),
		cmocka_unit_test(a_logger_gets_the_outputs_and_who_it_is_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
