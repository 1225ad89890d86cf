/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each n-th allocation fails, for every n: the room reports -ENOMEM, leaks nothing and works again
 * after it. Linked with --wrap for the allocation functions.
 */
#include "lib/unit.h"

#include <errno.h>
#include <stdio.h>

#include "document.h"
#include "oci/encode.h"
#include "oci/features.h"
#include "oci/spec.h"
#include "oci/spec_default.h"
#include "oci/state.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void __wrap_free(void *p);

static bool counting;
static unsigned long calls, fail_at; /* fail_at 0: never */
static long live;		     /* allocations not yet freed */

static bool must_fail(void)
{
	return counting && ++calls == fail_at;
}

static void *counted(void *p)
{
	live += counting && p;
	return p;
}

void *__wrap_malloc(size_t size)
{
	return must_fail() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return must_fail() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	void *p;

	if (must_fail())
		return NULL;
	p = __real_realloc(old, size);
	return old ? p : counted(p);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? NULL : __wrap_realloc(old, bytes);
}

void __wrap_free(void *p)
{
	live -= counting && p;
	__real_free(p);
}

static struct document *doc;
static struct err err;

static int parse_spec(void)
{
	struct oci_spec *spec = NULL;
	const int r = oci_spec_parse(doc->text, doc->len, "full.json", &spec, &err);

	oci_spec_free(spec);
	return r;
}

/* So many annotations that the arena grows while the document is read, and keys that are sorted. */
static int parse_large_spec(void)
{
	static char text[300000];
	struct oci_spec *spec = NULL;
	size_t len = (size_t)sprintf(text, "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},"
					   "\"annotations\":{");
	int r;

	for (int i = 0; i < 2000; i++)
		len += (size_t)sprintf(text + len, "%s\"org.example.%d\":\"%0100d\"", i ? "," : "",
				       i, i);
	len += (size_t)sprintf(text + len, "}}");
	r = oci_spec_parse(text, len, "large", &spec, &err);
	oci_spec_free(spec);
	return r;
}

static int parse_small_spec(void)
{
	static const char text[] =
		"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\","
		"\"args\":[\"a\"],\"capabilities\":{\"bounding\":[\"A\",\"B\",\"C\",\"D\"]}}}";
	struct oci_spec *spec = NULL;
	const int r = oci_spec_parse(text, sizeof(text) - 1, "c", &spec, &err);

	oci_spec_free(spec);
	return r;
}

static int load_spec(void)
{
	struct oci_spec *spec = NULL;
	const int r = oci_spec_load(-100, TEST_SOURCE_DIR "/data/full.json", &spec, &err);

	oci_spec_free(spec);
	return r;
}

static int write_spec(void)
{
	AUTO_BUF struct buf out = { 0 };
	struct oci_spec *spec = NULL;
	int r = oci_spec_parse(doc->text, doc->len, "full.json", &spec, &err);

	if (r == 0)
		r = oci_spec_write(spec, &out, &err);
	oci_spec_free(spec);
	return r;
}

static int print_default(void)
{
	const struct oci_spec_default options = { .rootless = true };
	AUTO_BUF struct buf out = { 0 };

	return oci_spec_default_print(&options, &out, &err);
}

static int print_features(void)
{
	static const char *const words[] = { "a", "b", NULL };
	static struct oci_kv notes[] = { { "a", "b" } };
	const struct oci_features features = { .mount_options = words,
					       .seccomp = { .actions = words, .archs = words },
					       .memory_policy = { words, words },
					       .annotations = { notes, 1 },
					       .unsafe_annotations = words };
	AUTO_BUF struct buf out = { 0 };

	return oci_features_print(&features, &out, &err);
}

static struct oci_kv pairs[] = { { "b", "1" }, { "a", "2" } };
static const struct oci_state state_of = { .version = "1.3.0",
					   .id = "c",
					   .status = OCI_RUNNING,
					   .pid = 1,
					   .bundle = "/b",
					   .annotations = { pairs, 2 } };

static int build_state(void)
{
	AUTO_BUF struct buf out = { 0 };

	return oci_state_hook_print(&state_of, &out, &err);
}

/* Run `what` with the n-th allocation failing, n from 1 until none fails. Returns how many sites.
 */
static unsigned long fail_each(const char *name, int (*what)(void))
{
	unsigned long n;
	int r;

	for (n = 1;; n++) {
		err = (struct err){ 0 };
		calls = 0;
		live = 0;
		fail_at = n;
		counting = true;
		r = what();
		counting = false;
		if (live != 0)
			fail_msg("%s: allocation %lu fails: %ld blocks leak", name, n, live);
		if (calls < n)
			break;
		if (r != -ENOMEM || err.code != -ENOMEM || !err.msg[0])
			fail_msg("%s: allocation %lu fails: returned %d \"%s\"", name, n, r,
				 err.msg);
	}
	if (r != 0)
		fail_msg("%s: %s", name, err.msg);
	print_message("           %-16s %5lu allocation sites\n", name, n - 1);
	return n - 1;
}

static void every_allocation_may_fail(void **state)
{
	static const struct {
		const char *name;
		int (*what)(void);
	} cases[] = {
		{ "spec", parse_spec },
		{ "large spec", parse_large_spec },
		{ "small spec", parse_small_spec },
		{ "spec file", load_spec },
		{ "spec written", write_spec },
		{ "default spec", print_default },
		{ "features", print_features },
		{ "state for hooks", build_state },
	};
	unsigned long sites = 0;

	(void)state;
	doc = document_load("full.json");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		sites += fail_each(cases[i].name, cases[i].what);
	print_message("           %lu allocation sites in all\n", sites);
	assert_true(sites > 30);
	document_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("oci/out of memory", tests, NULL, NULL);
}
