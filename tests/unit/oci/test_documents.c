/* SPDX-License-Identifier: Apache-2.0 */
/* The documents that this room writes: the default config.json and the features. */
#include "lib/unit.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "oci/features.h"
#include "oci/spec.h"
#include "oci/spec_default.h"

static struct oci_spec *default_spec(const struct oci_spec_default *options, struct buf *text)
{
	struct oci_spec *spec = NULL;
	struct err err = { 0 };

	assert_int_equal(oci_spec_default_print(options, text, &err), 0);
	if (oci_spec_parse(text->data, text->len, "default", &spec, &err) < 0)
		fail_msg("%s", err.msg);
	return spec;
}

static void default_document_is_valid_and_newest(void **state)
{
	const struct oci_spec_default options = { 0 };
	AUTO_BUF struct buf text = { 0 };
	struct oci_spec *spec = default_spec(&options, &text);

	(void)state;
	assert_string_equal(spec->version, OCI_VERSION_MAX);
	assert_true(spec->process.terminal && spec->root.readonly);
	assert_string_equal(spec->process.args.items[0], "sh");
	assert_int_equal(spec->process.caps.bounding,
			 1u << CAP_AUDIT_WRITE | 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE);
	assert_int_equal(spec->process.caps.inheritable | spec->process.caps.ambient, 0);
	assert_int_equal(spec->mounts_len, 7);
	assert_string_equal(spec->mounts[2].options.items[5], "gid=5");
	assert_true(spec->linux.ns[OCI_NS_NETWORK].set && !spec->linux.ns[OCI_NS_USER].set);
	assert_false(spec->linux.ns[OCI_NS_CGROUP].set);
	assert_int_equal(spec->linux.masked_paths.len, 11);
	assert_int_equal(spec->linux.resources.devices_len, 1);
	assert_int_equal(spec->warnings.len, 0);
	oci_spec_free(spec);
}

static void default_document_is_indented_by_tabs(void **state)
{
	const struct oci_spec_default options = { 0 };
	AUTO_BUF struct buf text = { 0 };
	static const char want[] = "{\n\t\"ociVersion\": \"1.3.0\",\n\t\"process\": {\n"
				   "\t\t\"terminal\": true,\n\t\t\"user\": {\n\t\t\t\"uid\": 0,";

	(void)state;
	oci_spec_free(default_spec(&options, &text));
	assert_non_null(str_after(text.data, want));
	assert_true(str_ends(text.data, "\n}"));
	assert_null(strstr(text.data, "\n "));
}

static void rootless_default_maps_the_caller(void **state)
{
	const struct oci_spec_default options = {
		.rootless = true, .host_uid = 1000, .host_gid = 4294967294, .cgroup_namespace = true
	};
	AUTO_BUF struct buf text = { 0 };
	struct oci_spec *spec = default_spec(&options, &text);

	(void)state;
	assert_true(spec->linux.ns[OCI_NS_USER].set && !spec->linux.ns[OCI_NS_NETWORK].set);
	assert_true(spec->linux.ns[OCI_NS_CGROUP].set);
	assert_int_equal(spec->linux.uid_maps.items[0].host_id, 1000);
	assert_int_equal(spec->linux.gid_maps.items[0].host_id, 4294967294);
	assert_int_equal(spec->linux.gid_maps.items[0].size, 1);
	assert_false(spec->linux.resources.set);
	assert_string_equal(spec->mounts[5].source, "/sys");
	assert_string_equal(spec->mounts[5].options.items[0], "rbind");
	assert_null(strstr(text.data, "gid=5"));
	oci_spec_free(spec);
}

static const char *const some_words[] = { "one", "two", NULL };

static void features_carry_what_the_caller_fills_in(void **state)
{
	static struct oci_kv notes[] = { { "org.example.version", "1" } };
	const struct oci_features features = {
		.mount_options = some_words,
		.cgroup = { .v1 = true, .v2 = true },
		.seccomp = { .enabled = true,
			     .actions = some_words,
			     .supported_flags = some_words },
		.intel_rdt = { .enabled = true, .monitoring = true },
		.memory_policy = { oci_memory_policy_modes, oci_memory_policy_flags },
		.idmapped_mounts = true,
		.annotations = { .items = notes, .len = 1 },
		.unsafe_annotations = some_words,
	};
	AUTO_BUF struct buf text = { 0 };
	AUTO_JSON json_t *doc = NULL;
	struct err err = { 0 };
	const char *min, *max, *hook, *ns, *cap, *option, *action, *note, *unsafe, *mode;
	int v1, systemd, idmap, devices, monitoring;

	(void)state;
	assert_int_equal(oci_features_print(&features, &text, &err), 0);
	assert_non_null(str_after(text.data, "{\n    \"ociVersionMin\": \"1.0.0\",\n"));
	assert_int_equal(json_parse(text.data, text.len, "features", &doc, &err), 0);
	assert_int_equal(json_unpack(doc, "{s:s, s:s, s:[s], s:[s], s:{s:s}, s:[s]}",
				     "ociVersionMin", &min, "ociVersionMax", &max, "hooks", &hook,
				     "mountOptions", &option, "annotations", "org.example.version",
				     &note, "potentiallyUnsafeConfigAnnotations", &unsafe),
			 0);
	assert_int_equal(
		json_unpack(json_object_get(doc, "linux"),
			    "{s:[s], s:[s], s:{s:b, s:b}, s:{s:[s]}, s:{s:{s:b}}, s:{s:b}, s:{s:b},"
			    " s:{s:[s]}}",
			    "namespaces", &ns, "capabilities", &cap, "cgroup", "v1", &v1, "systemd",
			    &systemd, "seccomp", "actions", &action, "mountExtensions", "idmap",
			    "enabled", &idmap, "netDevices", "enabled", &devices, "intelRdt",
			    "monitoring", &monitoring, "memoryPolicy", "modes", &mode),
		0);
	assert_string_equal(max, OCI_VERSION_MAX);
	assert_string_equal(hook, "prestart");
	assert_string_equal(option, "one");
	assert_string_equal(ns, "cgroup");
	assert_string_equal(cap, "CAP_CHOWN");
	assert_string_equal(action, "one");
	assert_string_equal(note, "1");
	assert_string_equal(unsafe, "one");
	assert_string_equal(mode, "MPOL_DEFAULT");
	assert_true(v1 && idmap && monitoring && !systemd && !devices);
	/* A list that the caller did not fill in is unknown, not empty. */
	assert_null(strstr(text.data, "knownFlags"));
	assert_non_null(strstr(text.data, "supportedFlags"));
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(doc, "linux"), "namespaces")),
		OCI_NS_MAX);
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(doc, "linux"), "capabilities")),
		CAP_LAST_CAP + 1);
}

/* Goal: every mode and flag that features names is one that the parser takes. */
static void memory_policy_words_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; oci_memory_policy_modes[i]; i++) {
		const char *mode = oci_memory_policy_modes[i];
		struct oci_spec *spec = NULL;
		struct err err = { 0 };
		char text[512];

		(void)snprintf(
			text, sizeof(text),
			"{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"r\"},\"linux\":{"
			"\"memoryPolicy\":{\"mode\":\"%s\",\"nodes\":\"%s\",\"flags\":[\"%s\"]}}}",
			mode, strstr(mode, "DEFAULT") || strstr(mode, "LOCAL") ? "" : "0",
			oci_memory_policy_flags[i % 3]);
		if (oci_spec_parse(text, strlen(text), "c", &spec, &err) < 0)
			fail_msg("%s", err.msg);
		oci_spec_free(spec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_document_is_valid_and_newest),
		cmocka_unit_test(default_document_is_indented_by_tabs),
		cmocka_unit_test(rootless_default_maps_the_caller),
		cmocka_unit_test(features_carry_what_the_caller_fills_in),
		cmocka_unit_test(memory_policy_words_are_understood),
	};

	return cmocka_run_group_tests_name("oci/documents", tests, NULL, NULL);
}
