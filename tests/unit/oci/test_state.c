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
	.annotations = { .items = notes, .len = 2 },
};

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

static void odd_bytes_are_escaped_or_replaced(void **state)
{
	AUTO_BUF struct buf out = { 0 };
	AUTO_JSON json_t *doc = NULL;
	struct oci_state s = full;
	struct err err = { 0 };

	(void)state;
	s.bundle = "/b\xff\u00e9\"\\\n\x01\t/";
	assert_int_equal(oci_state_hook_print(&s, &out, &err), 0);
	assert_non_null(strstr(out.data, "\"/b\ufffd\u00e9\\\"\\\\\\n\\u0001\\t/\""));
	assert_int_equal(oci_state_to_json(&s, &doc, &err), 0);
	assert_string_equal(json_string_value(json_object_get(doc, "bundle")),
			    "/b\ufffd\u00e9\"\\\n\x01\t/");
}

static void status_words_are_those_of_the_specification(void **state)
{
	static const char *const names[] = { "creating", "created", "running", "paused",
					     "stopped" };

	(void)state;
	for (unsigned int i = 0; i < OCI_STATUS_MAX; i++)
		assert_string_equal(oci_status_name((enum oci_status)i), names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hooks_get_the_document_of_the_specification),
		cmocka_unit_test(odd_bytes_are_escaped_or_replaced),
		cmocka_unit_test(status_words_are_those_of_the_specification),
	};

	return cmocka_run_group_tests_name("oci/state", tests, NULL, NULL);
}
