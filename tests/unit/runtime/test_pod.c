/* SPDX-License-Identifier: Apache-2.0 */
/* Which container becomes a part of which sandbox: annotations, and what the root has. */
#include "runtimetest.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

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

#define PAIRS 3
#define PODMANS                                  \
	{                                        \
		"io.container.manager", "libpod" \
	}

static json_t *annotations(const struct pair pairs[PAIRS])
{
	json_t *object = json_object();

	for (int i = 0; i < PAIRS && pairs[i].key; i++)
		assert_int_equal(
			json_object_set_new(object, pairs[i].key, json_string(pairs[i].value)), 0);
	return object;
}

/* `network`: the path that config.json has, or NULL. */
static int join_at(const struct test_root *root, const struct pair pairs[PAIRS], char *network,
		   char **ret_sandbox, struct err *err)
{
	AUTO(container_free_p) struct container *c = container_new(&root->rt, "me");
	AUTO(container_free_p) struct container *sandbox = NULL;
	struct oci_spec spec = { 0 };
	int r;

	assert_non_null(c);
	c->isolation = ISOLATION_SENTRY;
	c->annotations = annotations(pairs);
	spec.linux.ns[OCI_NS_NETWORK].set = network;
	spec.linux.ns[OCI_NS_NETWORK].path = network;
	r = pod_join(c, &spec, &sandbox, err);
	*ret_sandbox = sandbox ? strdup(sandbox->id) : NULL;
	/* What state.json will say, and nothing where there is no sandbox. */
	assert_true(sandbox ? str_eq(c->sandbox, sandbox->id) : !c->sandbox);
	assert_true(r == 0 || !sandbox);
	return r;
}

static int join(const struct test_root *root, const struct pair pairs[PAIRS], char **ret_sandbox,
		struct err *err)
{
	return join_at(root, pairs, NULL, ret_sandbox, err);
}

/* A container whose process this is; pid 0: it has ended. It started `later` than that one did. */
static void add_process(const struct test_root *root, const char *id, const char *class, pid_t pid,
			uint64_t later, const char *more)
{
	uint64_t start_time = 0;
	char text[512];

	if (pid)
		assert_int_equal(pid_start_time(pid, &start_time), 0);
	(void)snprintf(text, sizeof(text),
		       "{\"stateVersion\":1,\"ociVersion\":\"1.0.0\",\"id\":\"%s\","
		       "\"isolation\":\"%s\",\"bundle\":\"/b\",\"rootfs\":\"/b/r\","
		       "\"created\":\"2026-11-21T10:00:00Z\",\"pid\":%d,\"startTime\":%llu,"
		       "\"owner\":0,\"privatePid\":true%s}",
		       id, class, (int)pid, (unsigned long long)(start_time + later), more);
	test_root_add(root, id, text);
}

/* A sandbox whose process is ours, so that it runs; else it has ended. */
static void add(const struct test_root *root, const char *id, const char *class, bool lives,
		const char *more)
{
	add_process(root, id, class, lives ? getpid() : 0, 0, more);
}

static void add_config(const struct test_root *root, const char *id, const char *network)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s/config.json", root->path, id);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fprintf(file,
			    "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"linux\":{"
			    "\"namespaces\":[{\"type\":\"network\"%s}]}}",
			    network) > 0);
	assert_int_equal(fclose(file), 0);
}

static const struct row {
	struct pair pairs[PAIRS];
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
		const int r = join(&root, refused[i].pairs, &sandbox, &err);

		if (r != refused[i].result)
			fail_msg("row %zu: %d (%s)", i, r, err.msg);
		assert_says(err, refused[i].says);
		assert_says(err, "container me");
	}
	test_root_remove(&root);
}

static void who_belongs_to_no_pod_or_begins_one_is_made_by_itself(void **state)
{
	static const struct pair alone[][PAIRS] = {
		{ { "k", "v" } },
		{ { CRI_ID, "pod" } },
		{ { CRI_TYPE, "" }, { CRI_ID, "pod" } },
		{ { CRI_TYPE, "sandbox" }, { CRI_ID, "me" } },
		{ { CRIO_TYPE, "sandbox" } },
		/* Of a pod of Podman that has no first container: the pod's own id. */
		{ { CRIO_TYPE, "container" }, { CRIO_ID, "nobody" }, PODMANS },
	};
	struct test_root root;

	(void)state;
	test_root_make(&root);
	add(&root, "pod", "sentry", true, "");
	for (size_t i = 0; i < ARRAY_LEN(alone); i++) {
		AUTO_FREE char *sandbox = NULL;

		assert_int_equal(join(&root, alone[i], &sandbox, NULL), 0);
		assert_null(sandbox);
	}
	test_root_remove(&root);
}

static void a_container_of_a_pod_joins_its_sandbox_by_either_engine(void **state)
{
	static const struct pair member[][PAIRS] = {
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

		if (join(&root, member[i], &sandbox, &err) < 0)
			fail_msg("row %zu: %s", i, err.msg);
		assert_string_equal(sandbox, "pod");
	}
	/* Created is as good: the gate is still closed. */
	test_root_touch(&root, "pod", "start.sock");
	AUTO_FREE char *sandbox = NULL;
	assert_int_equal(join(&root, member[0], &sandbox, NULL), 0);
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

/* ---- By the network's path ------------------------------------------------------------------ */

/* A process in a network namespace of its own, whose path is *ret_path: static. 0: may not. */
static pid_t somebody(char ret_path[64])
{
	int ready[2];
	char byte;
	pid_t pid;
	bool made;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
			_exit(1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_true(pid > 0);
	(void)close(ready[1]);
	made = read(ready[0], &byte, 1) == 1;
	(void)close(ready[0]);
	(void)snprintf(ret_path, 64, "/proc/%d/ns/net", (int)pid);
	if (!made)
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	return made ? pid : 0;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void joins(const struct test_root *root, const struct pair pairs[PAIRS], char *path,
		  const char *whom)
{
	AUTO_FREE char *sandbox = NULL;
	struct err err = { 0 };

	if (join_at(root, pairs, path, &sandbox, &err) < 0)
		fail_msg("%s", err.msg);
	if (whom ? !str_eq(sandbox, whom) : sandbox != NULL)
		fail_msg("joined %s, not %s", sandbox ? sandbox : "nobody", whom ? whom : "nobody");
}

static void a_network_by_path_is_that_of_a_sandbox_that_lives(void **state)
{
	static const struct pair none[PAIRS], first[PAIRS] = { { CRI_TYPE, "sandbox" } };
	static const struct pair podmans[PAIRS] = { { CRIO_TYPE, "container" },
						    { CRIO_ID, "of-the-pod" },
						    PODMANS };
	char path[64], own[] = "/proc/self/ns/net", gone[] = "/proc/self/ns/nothing";
	const pid_t pid = somebody(path);
	struct test_root root;

	(void)state;
	if (!pid)
		skip();
	test_root_make(&root);
	add_process(&root, "a-ended", "sentry", 0, 0, "");
	add_process(&root, "b-machine", "vm", pid, 0, "");
	/* The number was another process's before. */
	add_process(&root, "c-reused", "sentry", pid, 1, "");
	add(&root, "d-host", "sentry", true, "");
	joins(&root, none, path, NULL);
	joins(&root, none, own, NULL);
	joins(&root, none, gone, NULL);
	add_process(&root, "pod", "sentry", pid, 0, "");
	joins(&root, none, path, "pod");
	joins(&root, none, own, NULL);
	joins(&root, first, path, NULL);
	joins(&root, podmans, path, "pod");
	end(pid);
	joins(&root, none, path, NULL);
	test_root_remove(&root);
}

static void a_network_by_path_is_that_of_a_part_of_a_sandbox(void **state)
{
	static const struct pair none[PAIRS];
	char path[64], other[64];
	const pid_t pid = somebody(path), own = somebody(other);
	struct test_root root;

	(void)state;
	if (!pid || !own)
		skip();
	test_root_make(&root);
	add(&root, "pod", "sentry", true, "");
	add_process(&root, "a-part", "sentry", pid, 0, ",\"sandbox\":\"pod\"");
	add_config(&root, "a-part", ",\"path\":\"/n\"");
	add_process(&root, "b-alone", "sentry", own, 0, ",\"sandbox\":\"pod\"");
	add_config(&root, "b-alone", "");
	joins(&root, none, path, "pod");
	joins(&root, none, other, NULL);
	end(pid);
	end(own);
	test_root_remove(&root);
}

static void who_has_a_namespace_is_found_among_a_sandboxs_containers(void **state)
{
	char path[64];
	const pid_t pid = somebody(path);
	AUTO(container_free_p) struct container *pod = NULL;
	AUTO_FREE char *alone = NULL;
	AUTO_FREE char *first = NULL;
	AUTO_FREE char *part = NULL;
	struct stat theirs, ours;
	struct test_root root;

	(void)state;
	if (!pid)
		skip();
	test_root_make(&root);
	add(&root, "pod", "sentry", true, "");
	add_process(&root, "a-stranger", "sentry", pid, 0, ",\"sandbox\":\"other\"");
	add_process(&root, "part", "sentry", pid, 0, ",\"sandbox\":\"pod\"");
	assert_int_equal(container_load(&root.rt, "pod", false, &pod, NULL), 0);
	assert_int_equal(stat(path, &theirs), 0);
	assert_int_equal(stat("/proc/self/ns/net", &ours), 0);
	assert_int_equal(pod_find(pod, "net", &theirs, false, &alone, NULL), 0);
	assert_null(alone);
	assert_int_equal(pod_find(pod, "net", &theirs, true, &part, NULL), 0);
	assert_string_equal(part, "part");
	assert_int_equal(pod_find(pod, "net", &ours, true, &first, NULL), 0);
	assert_string_equal(first, "pod");
	end(pid);
	test_root_remove(&root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_part_of_itself_is_observed),
		cmocka_unit_test(a_sandbox_that_cannot_be_joined_is_named_with_the_reason),
		cmocka_unit_test(a_container_of_a_pod_joins_its_sandbox_by_either_engine),
		cmocka_unit_test(who_belongs_to_no_pod_or_begins_one_is_made_by_itself),
		cmocka_unit_test(a_network_by_path_is_that_of_a_sandbox_that_lives),
		cmocka_unit_test(a_network_by_path_is_that_of_a_part_of_a_sandbox),
		cmocka_unit_test(who_has_a_namespace_is_found_among_a_sandboxs_containers),
	};

	return cmocka_run_group_tests_name("runtime/pod", tests, NULL, NULL);
}
