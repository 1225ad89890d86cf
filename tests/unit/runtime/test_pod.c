/* SPDX-License-Identifier: Apache-2.0 */
/* Which container becomes a part of which sandbox: annotations, and what the root has. */
#include "runtimetest.h"

#include "base/str.h"
#include "host/pidfd.h"
#include "oci/pod.h"
#include "runtime/container.h"
#include "runtime/sandbox/pod.h"

#define CRI_TYPE  "io.kubernetes.cri.container-type"
#define CRI_ID	  "io.kubernetes.cri.sandbox-id"
#define CRIO_TYPE "io.kubernetes.cri-o.ContainerType"
#define CRIO_ID	  "io.kubernetes.cri-o.SandboxID"

struct pair {
	const char *key, *value;
};

static json_t *annotations(const struct pair pairs[2])
{
	json_t *object = json_object();

	for (int i = 0; i < 2 && pairs[i].key; i++)
		assert_int_equal(
			json_object_set_new(object, pairs[i].key, json_string(pairs[i].value)), 0);
	return object;
}

static int join(const struct test_root *root, const char *id, const struct pair pairs[2],
		char **ret_sandbox, struct err *err)
{
	AUTO(container_free_p) struct container *c = container_new(&root->rt, id);
	AUTO(container_free_p) struct container *sandbox = NULL;
	int r;

	assert_non_null(c);
	c->isolation = ISOLATION_SENTRY;
	c->annotations = annotations(pairs);
	r = pod_join(c, &sandbox, err);
	*ret_sandbox = sandbox ? strdup(sandbox->id) : NULL;
	/* What state.json will say, and nothing where there is no sandbox. */
	assert_true(sandbox ? str_eq(c->sandbox, sandbox->id) : !c->sandbox);
	assert_true(r == 0 || !sandbox);
	return r;
}

/* A sandbox whose process is ours, so that it runs; pid 0: it has ended. */
static void add(const struct test_root *root, const char *id, const char *class, bool lives,
		const char *more)
{
	uint64_t start_time = 0;
	char text[512];

	assert_int_equal(pid_start_time(getpid(), &start_time), 0);
	(void)snprintf(text, sizeof(text),
		       "{\"stateVersion\":1,\"ociVersion\":\"1.0.0\",\"id\":\"%s\","
		       "\"isolation\":\"%s\",\"bundle\":\"/b\",\"rootfs\":\"/b/r\","
		       "\"created\":\"2026-11-21T10:00:00Z\",\"pid\":%d,\"startTime\":%llu,"
		       "\"owner\":0,\"privatePid\":true%s}",
		       id, class, lives ? (int)getpid() : 0,
		       (unsigned long long)(lives ? start_time : 0), more);
	test_root_add(root, id, text);
}

static const struct row {
	struct pair pairs[2];
	int result;
	const char *says;
} refused[] = {
	{ { { CRI_TYPE, "pause" }, { CRI_ID, "pod" } }, -EINVAL, "neither sandbox nor container" },
	{ { { CRI_TYPE, "container" } }, -EINVAL, "name no sandbox" },
	{ { { CRI_TYPE, "container" }, { CRI_ID, "" } }, -EINVAL, "name no sandbox" },
	{ { { CRI_TYPE, "container" }, { CRI_ID, "me" } }, -EINVAL, "me of its pod: it is the" },
	{ { { CRI_TYPE, "container" }, { CRI_ID, "../pod" } }, -EINVAL, "invalid container ID" },
	{ { { CRI_TYPE, "container" }, { CRI_ID, "nobody" } }, -ENOENT, "nobody of its pod" },
	{ { { CRIO_TYPE, "container" }, { CRIO_ID, "nobody" } }, -ENOENT, "does not exist" },
	{ { { CRI_TYPE, "container" }, { CRI_ID, "other" } }, -EXDEV, "of class vm" },
	{ { { CRI_TYPE, "container" }, { CRI_ID, "member" } }, -EXDEV, "part of sandbox pod" },
	{ { { CRI_TYPE, "container" }, { CRI_ID, "ended" } }, -ESRCH, "it has ended" },
};

static void a_sandbox_that_cannot_be_joined_is_named_with_the_reason(void **state)
{
	struct test_root root;

	(void)state;
	test_root_make(&root);
	add(&root, "other", "vm", true, "");
	add(&root, "member", "sentry", true, ",\"sandbox\":\"pod\"");
	add(&root, "ended", "sentry", false, "");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		AUTO_FREE char *sandbox = NULL;
		struct err err = { 0 };
		const int r = join(&root, "me", refused[i].pairs, &sandbox, &err);

		if (r != refused[i].result)
			fail_msg("row %zu: %d (%s)", i, r, err.msg);
		assert_says(err, refused[i].says);
		assert_says(err, "container me");
	}
	test_root_remove(&root);
}

static void who_belongs_to_no_pod_or_begins_one_is_made_by_itself(void **state)
{
	static const struct pair alone[][2] = {
		{ { "k", "v" } },
		{ { CRI_ID, "pod" } },
		{ { CRI_TYPE, "" }, { CRI_ID, "pod" } },
		{ { CRI_TYPE, "sandbox" }, { CRI_ID, "me" } },
		{ { CRIO_TYPE, "sandbox" } },
	};
	struct test_root root;

	(void)state;
	test_root_make(&root);
	add(&root, "pod", "sentry", true, "");
	for (size_t i = 0; i < ARRAY_LEN(alone); i++) {
		AUTO_FREE char *sandbox = NULL;

		assert_int_equal(join(&root, "me", alone[i], &sandbox, NULL), 0);
		assert_null(sandbox);
	}
	test_root_remove(&root);
}

static void a_container_of_a_pod_joins_its_sandbox_by_either_engine(void **state)
{
	static const struct pair member[][2] = {
		{ { CRI_TYPE, "container" }, { CRI_ID, "pod" } },
		{ { CRIO_TYPE, "container" }, { CRIO_ID, "pod" } },
	};
	struct test_root root;

	(void)state;
	test_root_make(&root);
	add(&root, "pod", "sentry", true, "");
	for (size_t i = 0; i < ARRAY_LEN(member); i++) {
		AUTO_FREE char *sandbox = NULL;
		struct err err = { 0 };

		if (join(&root, "me", member[i], &sandbox, &err) < 0)
			fail_msg("row %zu: %s", i, err.msg);
		assert_string_equal(sandbox, "pod");
	}
	/* Created is as good: the gate is still closed. */
	test_root_touch(&root, "pod", "start.sock");
	AUTO_FREE char *sandbox = NULL;
	assert_int_equal(join(&root, "me", member[0], &sandbox, NULL), 0);
	assert_string_equal(sandbox, "pod");
	test_root_remove(&root);
}

/* Goal: a state that names itself, or nobody, is no loop and no error. */
static void a_part_of_itself_is_observed(void **state)
{
	static const char *const ids[] = { "me", "nobody" };
	struct test_root root;

	(void)state;
	test_root_make(&root);
	add(&root, "me", "sentry", true, ",\"sandbox\":\"me\"");
	add(&root, "other", "sentry", true, ",\"sandbox\":\"nobody\"");
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		AUTO(container_free_p) struct container *c = NULL;
		struct err err = { 0 };

		if (container_load(&root.rt, i ? "other" : "me", false, &c, &err) < 0)
			fail_msg("%s", err.msg);
		assert_string_equal(c->sandbox, ids[i]);
		assert_int_equal(c->status, OCI_RUNNING);
		assert_false(container_sandbox_is_paused(c));
	}
	test_root_remove(&root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_part_of_itself_is_observed),
		cmocka_unit_test(a_sandbox_that_cannot_be_joined_is_named_with_the_reason),
		cmocka_unit_test(a_container_of_a_pod_joins_its_sandbox_by_either_engine),
		cmocka_unit_test(who_belongs_to_no_pod_or_begins_one_is_made_by_itself),
	};

	return cmocka_run_group_tests_name("runtime/pod", tests, NULL, NULL);
}
