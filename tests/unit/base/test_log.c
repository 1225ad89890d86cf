/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"

static void read_back(int fd, struct buf *b)
{
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, b), 0);
}

/* Goal: whatever is logged, an engine can parse the line. */
static void json_lines_parse_with_any_bytes(void **state)
{
	const int fd = memfd_create("log", MFD_CLOEXEC);
	struct buf text = { 0 };
	struct err err = { 0 };
	AUTO_JSON json_t *line = NULL;

	(void)state;
	log_setup(fd, true, LOG_LEVEL_INFO);
	log_error("a \"quote\", a \\, a\nline, \x01 and \x7f");
	read_back(fd, &text);
	assert_int_equal(json_parse(text.data, text.len, "log", &line, &err), 0);
	assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
	assert_string_equal(json_string_value(json_object_get(line, "msg")),
			    "a \"quote\", a \\, a\nline, \x01 and \x7f");
	assert_int_equal(strlen(json_string_value(json_object_get(line, "time"))), 20);
	buf_done(&text);
	(void)close(fd);
}

/* Goal: a message that does not fit is cut between characters, and the line is still whole. */
static void long_messages_are_cut_and_still_parse(void **state)
{
	static const char *const fills[] = { "x", "\n", "\xe2\x82\xac", "\"" };

	(void)state;
	for (size_t i = 0; i < 4 * sizeof(fills) / sizeof(fills[0]); i++) {
		const char *fill = fills[i / 4];
		const int fd = memfd_create("log", MFD_CLOEXEC);
		char message[10000] = "";
		struct buf text = { 0 };
		struct err err = { 0 };
		AUTO_JSON json_t *line = NULL;

		memset(message, 'y', i % 4);
		for (size_t n = i % 4; n + 4 < sizeof(message); n += strlen(fill))
			strcpy(message + n, fill);
		log_setup(fd, true, LOG_LEVEL_INFO);
		log_error("%s", message);
		read_back(fd, &text);
		assert_int_equal(json_parse(text.data, text.len, "log", &line, &err), 0);
		assert_in_range(text.len, 4000, 32768);
		buf_done(&text);
		(void)close(fd);
	}
}

static void levels_filter(void **state)
{
	const int fd = memfd_create("log", MFD_CLOEXEC);
	struct buf text = { 0 };

	(void)state;
	log_setup(fd, false, LOG_LEVEL_WARNING);
	log_debug("debug");
	log_warning("warning %d", 7);
	read_back(fd, &text);
	assert_non_null(strstr(text.data, "level=warning msg=\"warning 7\"\n"));
	assert_null(strstr(text.data, "debug"));
	buf_done(&text);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_lines_parse_with_any_bytes),
		cmocka_unit_test(long_messages_are_cut_and_still_parse),
		cmocka_unit_test(levels_filter),
	};

	return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
