/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>

#include "lib/unit.h"
#include "wire/event_codec.h"

static char bytes[EVENT_RECORD_MAX];

static size_t encode_open(const char *path)
{
	const struct event_head head = { .type = EVENT_open, .sequence = 7, .time_ns = 1000 };
	const struct event_common common = { .container = event_text("box"),
					     .pid = 5,
					     .caps = 0x20,
					     .exe = event_text("/bin/cat") };
	const struct event_open fields = {
		.result = -2, .dirfd = -100, .path = event_text(path), .flags = 0x80000
	};

	return event_encode(&head, &common, &fields, bytes);
}

static void every_cut_of_a_record_asks_for_more(void **state)
{
	const size_t len = encode_open("/etc/passwd");
	struct event_record record;
	size_t size;

	for (size_t n = 0; n < len; n++)
		assert_int_equal(event_decode(bytes, n, &record, &size), -EAGAIN);
	assert_int_equal(event_decode(bytes, len, &record, &size), 1);
	assert_int_equal(size, len);
}

static void a_wrong_head_is_refused(void **state)
{
	const size_t len = encode_open("/");
	struct event_head head, good;
	struct event_record record;
	size_t size;

	memcpy(&good, bytes, sizeof(good));
	head = good;
	head.version = 2;
	memcpy(bytes, &head, sizeof(head));
	assert_int_equal(event_decode(bytes, len, &record, &size), -EPROTO);
	head = good;
	head.type = 0;
	memcpy(bytes, &head, sizeof(head));
	assert_int_equal(event_decode(bytes, len, &record, &size), -EBADMSG);
	head = good;
	head.size = EVENT_RECORD_MAX + 1;
	memcpy(bytes, &head, sizeof(head));
	assert_int_equal(event_decode(bytes, len, &record, &size), -EBADMSG);
	head.size = sizeof(head) - 1;
	memcpy(bytes, &head, sizeof(head));
	assert_int_equal(event_decode(bytes, len, &record, &size), -EBADMSG);
}

static void a_text_that_is_longer_than_its_record_is_refused(void **state)
{
	const size_t len = encode_open("/");
	const uint32_t word = 500;
	struct event_record record;
	size_t size;

	/* The first field is the container's id. */
	memcpy(bytes + sizeof(struct event_head), &word, sizeof(word));
	assert_int_equal(event_decode(bytes, len, &record, &size), -EBADMSG);
}

static void an_unknown_event_is_skipped(void **state)
{
	const size_t len = encode_open("/");
	const uint16_t type = EVENT_TYPES;
	struct event_record record;
	size_t size = 0;

	memcpy(bytes + offsetof(struct event_head, type), &type, sizeof(type));
	assert_int_equal(event_decode(bytes, len, &record, &size), 0);
	assert_int_equal(size, len);
}

static void what_a_newer_writer_adds_is_skipped(void **state)
{
	const uint32_t len = (uint32_t)encode_open("/x") + 12;
	struct event_record record;
	size_t size;

	memcpy(bytes, &len, sizeof(len));
	assert_int_equal(event_decode(bytes, len, &record, &size), 1);
	assert_int_equal(size, len);
	assert_int_equal(record.u.open.flags, 0x80000);
}

static void what_an_older_writer_lacks_is_zero(void **state)
{
	const uint32_t len = (uint32_t)encode_open("/x") - 16; /* flags and mode */
	struct event_record record;
	size_t size;

	memcpy(bytes, &len, sizeof(len));
	assert_int_equal(event_decode(bytes, len, &record, &size), 1);
	assert_int_equal(record.u.open.flags, 0);
	assert_int_equal(record.u.open.result, -2);
}

static void json_of(const char *path, struct buf *b)
{
	const size_t len = encode_open(path);
	struct event_record record;
	size_t size;

	assert_int_equal(event_decode(bytes, len, &record, &size), 1);
	event_to_json(&record, b);
}

static void a_record_becomes_a_line_of_json(void **state)
{
	AUTO_BUF struct buf b = { 0 };

	json_of("/etc/passwd", &b);
	assert_string_equal(
		b.data,
		"{\"event\":\"open\",\"sequence\":7,\"time_ns\":1000,\"container\":\"box\",\"pid\":"
		"5,"
		"\"tid\":0,\"ppid\":0,\"uid\":0,\"euid\":0,\"gid\":0,\"egid\":0,\"caps\":\"0x20\","
		"\"comm\":\"\",\"exe\":\"/bin/cat\",\"result\":-2,\"dirfd\":-100,"
		"\"path\":\"/etc/passwd\",\"file\":\"\",\"flags\":\"0x80000\",\"mode\":\"0x0\"}");
}

static void hostile_text_is_escaped(void **state)
{
	AUTO_BUF struct buf b = { 0 };

	json_of("a\"b\\c\n\x1b[2J\xe2\x80\xae", &b);
	assert_non_null(strstr(b.data, "\"a\\\"b\\\\c\\u000a\\u001b[2J\\u00e2\\u0080\\u00ae\""));
	for (size_t i = 0; i < b.len; i++)
		assert_true(b.data[i] >= ' ' && b.data[i] < 0x7f);
}

static void long_text_is_cut_and_said_to_be(void **state)
{
	AUTO_BUF struct buf b = { 0 };
	char path[EVENT_TEXT_MAX + 2];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	json_of(path, &b);
	assert_non_null(strstr(b.data, ",\"cut\":[\"path\"]}"));
	path[EVENT_TEXT_MAX] = '\0';
	b.len = 0;
	json_of(path, &b);
	assert_null(strstr(b.data, "\"cut\""));
}

static void a_list_stops_at_its_limits(void **state)
{
	struct event_list many = { .len = 0 }, large = { .len = 0 };
	char text[EVENT_TEXT_MAX + 1];

	for (unsigned int i = 0; i < EVENT_LIST_MAX; i++)
		event_list_add(&many, "x");
	assert_false(many.cut);
	event_list_add(&many, "x");
	assert_true(many.cut);
	assert_int_equal(many.len, EVENT_LIST_MAX);
	memset(text, 'x', EVENT_TEXT_MAX);
	text[EVENT_TEXT_MAX] = '\0';
	for (unsigned int i = 0; i < EVENT_LIST_BYTES / EVENT_TEXT_MAX + 1; i++)
		event_list_add(&large, text);
	assert_true(large.cut);
	assert_int_equal(large.len, EVENT_LIST_BYTES / EVENT_TEXT_MAX);
}

static void the_largest_record_fits(void **state)
{
	const struct event_head head = { .type = EVENT_execve };
	struct event_common common = { .pid = 1 };
	struct event_execve fields = { .result = 0 };
	static char text[EVENT_TEXT_MAX + 1];
	struct event_record record;
	size_t size;

	memset(text, 'x', EVENT_TEXT_MAX);
	common.container = common.comm = common.exe = fields.path = event_text(text);
	text[EVENT_LIST_BYTES / EVENT_LIST_MAX] = '\0';
	while (!fields.args.cut)
		event_list_add(&fields.args, text);
	text[EVENT_LIST_BYTES / EVENT_LIST_MAX] = 'x';
	size = event_encode(&head, &common, &fields, bytes);
	assert_true(size <= EVENT_RECORD_MAX);
	assert_int_equal(event_decode(bytes, size, &record, &size), 1);
	assert_int_equal(record.u.execve.args.len, EVENT_LIST_MAX);
}

static void a_list_of_events_names_what_is_none(void **state)
{
	struct err err = { 0 };
	uint32_t mask;

	assert_int_equal(event_mask_parse("open,opens", &mask, &err), -EINVAL);
	assert_says(err, "\"opens\" is no event");
	assert_int_equal(event_mask_parse("common", &mask, &err), -EINVAL);
	assert_int_equal(event_mask_parse(",", &mask, &err), -EINVAL);
	assert_int_equal(event_mask_parse("open,exit", &mask, &err), 0);
	assert_int_equal(mask, 1u << EVENT_open | 1u << EVENT_exit);
	assert_int_equal(event_mask_parse("", &mask, &err), 0);
	assert_int_equal(mask, 0);
	assert_int_equal(event_mask_parse("all", &mask, &err), 0);
	assert_true(mask & 1u << EVENT_lost);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_of_a_record_asks_for_more),
		cmocka_unit_test(a_wrong_head_is_refused),
		cmocka_unit_test(a_text_that_is_longer_than_its_record_is_refused),
		cmocka_unit_test(an_unknown_event_is_skipped),
		cmocka_unit_test(what_a_newer_writer_adds_is_skipped),
		cmocka_unit_test(what_an_older_writer_lacks_is_zero),
		cmocka_unit_test(a_record_becomes_a_line_of_json),
		cmocka_unit_test(hostile_text_is_escaped),
		cmocka_unit_test(long_text_is_cut_and_said_to_be),
		cmocka_unit_test(a_list_stops_at_its_limits),
		cmocka_unit_test(the_largest_record_fits),
		cmocka_unit_test(a_list_of_events_names_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
