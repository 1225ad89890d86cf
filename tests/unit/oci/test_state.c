/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <errno.h>

#include "base/str.h"
#include "oci/state.h"

static struct oci_kv notes[] = { { "org.b", "2" }, { "org.a", "<1>" } };

static const struct oci_state full = {
	.version = "1.3.0",
	.id = "c1",
	.status = OCI_RUNNING,
	.pid = 4242,
	.bundle = "/b",
	.rootfs = "/b/rootfs",
	.created = "2026-11-21T23:22:23.5Z",
	.owner = "root",
	.annotations = { .items = notes, .len = 2 },
};

static void state_prints_in_the_form_of_runc(void **state)
{
	static const char want[] = "{\n"
				   "  \"ociVersion\": \"1.3.0\",\n"
				   "  \"id\": \"c1\",\n"
				   "  \"pid\": 4242,\n"
				   "  \"status\": \"running\",\n"
				   "  \"bundle\": \"/b\",\n"
				   "  \"rootfs\": \"/b/rootfs\",\n"
				   "  \"created\": \"2026-11-21T23:22:23.5Z\",\n"
				   "  \"annotations\": {\n"
				   "    \"org.a\": \"<1>\",\n"
				   "    \"org.b\": \"2\"\n"
				   "  },\n"
				   "  \"owner\": \"root\"\n"
				   "}";
	AUTO_BUF struct buf out = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(oci_state_print(&full, &out, &err), 0);
	assert_string_equal(out.data, want);
}

static void stopped_container_has_pid_zero_and_no_empty_annotations(void **state)
{
	AUTO_BUF struct buf out = { 0 };
	struct oci_state s = full;
	struct err err = { 0 };

	(void)state;
	s.status = OCI_STOPPED;
	s.annotations.len = 0;
	assert_int_equal(oci_state_print(&s, &out, &err), 0);
	assert_non_null(strstr(out.data, "\"pid\": 0,"));
	assert_null(strstr(out.data, "annotations"));
}

static void hooks_get_the_document_of_the_specification(void **state)
{
	struct oci_state s = full;
	AUTO_JSON json_t *doc = NULL;
	AUTO_FREE char *text = NULL;
	struct err err = { 0 };

	(void)state;
	s.status = OCI_CREATING;
	s.pid = 0;
	assert_int_equal(oci_state_to_json(&s, &doc, &err), 0);
	text = json_dumps(doc, JSON_COMPACT);
	assert_string_equal(text, "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"status\":\"creating\","
				  "\"bundle\":\"/b\",\"annotations\":{\"org.a\":\"<1>\","
				  "\"org.b\":\"2\"}}");
}

static void what_is_printed_reads_back(void **state)
{
	AUTO_BUF struct buf out = { 0 };
	struct oci_state *s = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(oci_state_print(&full, &out, &err), 0);
	assert_int_equal(oci_state_parse(out.data, out.len, "s", &s, &err), 0);
	assert_string_equal(s->id, full.id);
	assert_int_equal(s->status, OCI_RUNNING);
	assert_int_equal(s->pid, 4242);
	assert_string_equal(s->rootfs, full.rootfs);
	assert_string_equal(s->created, full.created);
	assert_string_equal(s->owner, full.owner);
	assert_int_equal(s->annotations.len, 2);
	assert_string_equal(s->annotations.items[0].value, "<1>");
	oci_state_free(s);
}

static void bad_state_documents_are_refused(void **state)
{
	static const struct {
		const char *text, *refusal;
	} cases[] = {
		{ "{}", "s:1: ociVersion: missing" },
		{ "{\"ociVersion\":\"1.0\",\"id\":\"a\",\"bundle\":\"/\",\"status\":\"gone\"}",
		  "status: unknown value \"gone\"" },
		{ "{\"ociVersion\":\"1.0\",\"id\":\"a\",\"bundle\":\"/\",\"status\":\"running\","
		  "\"pid\":-1}",
		  "pid: out of range" },
		{ "{\"ociVersion\":\"1.0\",\"id\":\"a\",\"bundle\":\"/\",\"status\":\"running\","
		  "\"pid\":2147483648}",
		  "pid: out of range" },
		{ "[]", "expected object, got array" },
		{ "{", "s:1:2: unexpected end" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct oci_state *s = NULL;
		struct err err = { 0 };

		assert_int_equal(
			oci_state_parse(cases[i].text, strlen(cases[i].text), "s", &s, &err),
			-EINVAL);
		if (!strstr(err.msg, cases[i].refusal))
			fail_msg("%s: %s", cases[i].text, err.msg);
		assert_null(s);
	}
	oci_state_free(NULL);
}

static void odd_bytes_are_escaped_or_replaced(void **state)
{
	AUTO_BUF struct buf out = { 0 };
	AUTO_JSON json_t *doc = NULL;
	struct oci_state s = full;
	struct err err = { 0 };

	(void)state;
	s.bundle = "/b\xff\u00e9\"\\\n\x01\t/";
	assert_int_equal(oci_state_print(&s, &out, &err), 0);
	assert_non_null(strstr(out.data, "\"/b\ufffd\u00e9\\\"\\\\\\n\\u0001\\t/\""));
	assert_int_equal(oci_state_to_json(&s, &doc, &err), 0);
	assert_string_equal(json_string_value(json_object_get(doc, "bundle")),
			    "/b\ufffd\u00e9\"\\\n\x01\t/");
}

static void status_words_are_those_of_the_specification(void **state)
{
	static const char *const names[] = { "creating", "created", "running", "paused",
					     "stopped" };
	enum oci_status status;

	(void)state;
	for (unsigned int i = 0; i < OCI_STATUS_MAX; i++) {
		assert_string_equal(oci_status_name((enum oci_status)i), names[i]);
		assert_int_equal(oci_status_from_name(names[i], &status), 0);
		assert_int_equal(status, i);
	}
	assert_int_equal(oci_status_from_name("Running", &status), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_prints_in_the_form_of_runc),
		cmocka_unit_test(stopped_container_has_pid_zero_and_no_empty_annotations),
		cmocka_unit_test(hooks_get_the_document_of_the_specification),
		cmocka_unit_test(what_is_printed_reads_back),
		cmocka_unit_test(bad_state_documents_are_refused),
		cmocka_unit_test(odd_bytes_are_escaped_or_replaced),
		cmocka_unit_test(status_words_are_those_of_the_specification),
	};

	return cmocka_run_group_tests_name("oci/state", tests, NULL, NULL);
}
