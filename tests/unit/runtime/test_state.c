/* SPDX-License-Identifier: Apache-2.0 */
/* state.json: what is written is read again; what is damaged is refused with its key. */
#include "runtimetest.h"

#include "base/str.h"
#include "runtime/container.h"
#include "runtime/state.h"

static const struct runtime no_runtime;

/* A document with every key. */
static const char full[] =
	"{\"stateVersion\":1,\"ociVersion\":\"1.2.0\",\"id\":\"c1\",\"isolation\":\"ns\","
	"\"bundle\":\"/b\",\"rootfs\":\"/b/rootfs\",\"created\":\"2026-11-21T10:00:00Z\","
	"\"pid\":4242,\"startTime\":99,\"owner\":1000,"
	"\"cgroups\":[{\"controllers\":\"memory\",\"path\":\"/sys/fs/cgroup/memory/c1\"}],"
	"\"annotations\":{\"k\":\"v\"},\"poststart\":true,\"poststop\":true,"
	"\"privatePid\":true,\"rdtClos\":\"gold\",\"rdtMade\":true,\"sandbox\":\"pod\","
	"\"accelerator\":\"tcg\"}";

static int decode(const char *text, size_t len, struct container **ret, struct err *err)
{
	AUTO(container_free_p) struct container *c = container_new(&no_runtime, "c1");
	AUTO_JSON json_t *doc = NULL;
	int r;

	assert_non_null(c);
	r = json_parse(text, len, "state.json", &doc, err);
	if (r == 0)
		r = state_decode(doc, c, err);
	if (r == 0 && ret)
		*ret = TAKE_PTR(c);
	return r;
}

static void a_file_cut_at_any_byte_is_refused(void **state)
{
	const size_t len = sizeof(full) - 1;

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		struct err err = { 0 };

		assert_int_equal(decode(full, cut, NULL, &err), -EINVAL);
		assert_true(strlen(err.msg) > 0);
	}
	assert_int_equal(decode(full, len, NULL, NULL), 0);
}

/* Goal: any single wrong byte is either refused or still a container with sane facts. */
static void a_wrong_byte_never_gives_a_wrong_kind_of_fact(void **state)
{
	static const char wrong[] = { '\0', '"', '}', '-', '0', '.', '/', 'x', '\x80' };
	char text[sizeof(full)];

	(void)state;
	for (size_t i = 0; i < sizeof(full) - 1; i++) {
		for (size_t w = 0; w < sizeof(wrong); w++) {
			AUTO(container_free_p) struct container *c = NULL;

			memcpy(text, full, sizeof(full));
			text[i] = wrong[w];
			if (decode(text, sizeof(full) - 1, &c, NULL) < 0)
				continue;
			assert_string_equal(c->id, "c1");
			assert_int_equal(c->bundle[0], '/');
			assert_int_equal(c->rootfs[0], '/');
			assert_true(c->pid == 0 || c->pid > 1);
			assert_true((c->pid == 0) == (c->start_time == 0));
			assert_non_null(c->created);
			assert_non_null(c->oci_version);
		}
	}
}

/* Each key the decoder needs, missing and with a wrong type: the message names it. */
static void a_missing_or_ill_typed_key_is_named(void **state)
{
	static const char *const needed[] = { "stateVersion", "ociVersion", "id",      "isolation",
					      "bundle",	      "rootfs",	    "created", "pid",
					      "startTime",    "owner" };
	static const char *const typed[] = {
		"stateVersion", "ociVersion", "id",	    "isolation", "bundle",  "rootfs",
		"created",	"pid",	      "startTime",  "owner",	 "cgroups", "annotations",
		"poststart",	"poststop",   "privatePid", "rdtClos",	 "rdtMade", "sandbox"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(needed) + ARRAY_LEN(typed); i++) {
		const bool remove = i < ARRAY_LEN(needed);
		const char *key = remove ? needed[i] : typed[i - ARRAY_LEN(needed)];
		AUTO(container_free_p) struct container *c = container_new(&no_runtime, "c1");
		AUTO_JSON json_t *doc = NULL;
		struct err err = { 0 };

		assert_int_equal(json_parse(full, sizeof(full) - 1, "state.json", &doc, &err), 0);
		assert_int_equal(remove ? json_object_del(doc, key)
					: json_object_set_new(doc, key, json_real(1.5)),
				 0);
		assert_int_equal(state_decode(doc, c, &err), -EINVAL);
		assert_says(err, key);
	}
}

/* A later version may know more. */
static void an_accelerator_that_is_not_known_is_none(void **state)
{
	AUTO(container_free_p) struct container *c = container_new(&no_runtime, "c1");
	AUTO_JSON json_t *doc = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(json_parse(full, sizeof(full) - 1, "state.json", &doc, &err), 0);
	assert_int_equal(json_object_set_new(doc, "accelerator", json_string("abacus")), 0);
	assert_int_equal(state_decode(doc, c, &err), 0);
	assert_null(c->accelerator);
}

static void values_out_of_range_are_refused(void **state)
{
	static const struct {
		const char *key, *value;
	} bad[] = {
		{ "pid", "1" },
		{ "pid", "-5" },
		{ "pid", "4294967296" },
		{ "pid", "0" },
		{ "startTime", "0" },
		{ "startTime", "-1" },
		{ "owner", "-1" },
		{ "owner", "4294967296" },
		{ "bundle", "\"b\"" },
		{ "rootfs", "\"../x\"" },
		{ "bundle", "\"\"" },
		{ "created", "\"\\u001b]0;mine\\u0007\"" },
		{ "created", "\"2026-11-21T10:00:00Z\\n\"" },
		{ "created", "\"2026-11-21T10:00:00Z\\u009b2J\"" },
		{ "created", "\"yesterday\"" },
		{ "id", "\"c2\"" },
		{ "sandbox", "\"\"" },
		{ "sandbox", "\"../pod\"" },
		{ "isolation", "\"kvm\"" },
		{ "stateVersion", "2" },
		{ "stateVersion", "0" },
		{ "annotations", "{\"a\":1}" },
		{ "cgroups", "[{\"controllers\":\"memory\",\"path\":\"relative\"}]" },
		{ "cgroups", "[{\"controllers\":\"memory\"}]" },
		{ "cgroups", "[1]" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(container_free_p) struct container *c = container_new(&no_runtime, "c1");
		AUTO_JSON json_t *doc = NULL;
		json_t *value = json_loads(bad[i].value, JSON_DECODE_ANY, NULL);
		struct err err = { 0 };

		assert_non_null(value);
		assert_int_equal(json_parse(full, sizeof(full) - 1, "state.json", &doc, &err), 0);
		assert_int_equal(json_object_set_new(doc, bad[i].key, value), 0);
		if (state_decode(doc, c, &err) != -EINVAL)
			fail_msg("%s = %s was accepted", bad[i].key, bad[i].value);
	}
}

static void unknown_keys_are_ignored(void **state)
{
	AUTO(container_free_p) struct container *c = container_new(&no_runtime, "c1");
	AUTO_JSON json_t *doc = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(json_parse(full, sizeof(full) - 1, "state.json", &doc, &err), 0);
	assert_int_equal(json_object_set_new(doc, "fromTheFuture", json_true()), 0);
	assert_int_equal(state_decode(doc, c, &err), 0);
}

static void what_is_saved_is_loaded_again(void **state)
{
	AUTO(container_free_p) struct container *first = NULL;
	AUTO(container_free_p) struct container *second = container_new(&no_runtime, "c1");
	const struct cgroup_dir *dirs;
	char dir[] = "/tmp/caisson-unit-XXXXXX";
	struct err err = { 0 };

	(void)state;
	assert_int_equal(decode(full, sizeof(full) - 1, &first, &err), 0);
	assert_non_null(mkdtemp(dir));
	first->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	second->dir_fd = dup(first->dir_fd);
	assert_int_equal(state_load(second, &err), -ENOENT);
	assert_int_equal(state_save(first, &err), 0);
	assert_int_equal(state_load(second, &err), 0);
	assert_string_equal(second->bundle, "/b");
	assert_string_equal(second->rootfs, "/b/rootfs");
	assert_string_equal(second->created, "2026-11-21T10:00:00Z");
	assert_string_equal(second->oci_version, "1.2.0");
	assert_int_equal(second->isolation, ISOLATION_NS);
	assert_int_equal(second->pid, 4242);
	assert_int_equal(second->start_time, 99);
	assert_int_equal(second->owner, 1000);
	assert_int_equal(second->hooks, CONTAINER_HAS_POSTSTART | CONTAINER_HAS_POSTSTOP);
	assert_true(second->private_pid);
	assert_string_equal(second->rdt_clos, "gold");
	assert_true(second->rdt_made);
	assert_string_equal(second->accelerator, "tcg");
	assert_string_equal(json_string_value(json_object_get(second->annotations, "k")), "v");
	assert_int_equal(cgroup_dirs(second->cgroup, &dirs), 1);
	assert_string_equal(dirs[0].controllers, "memory");
	assert_string_equal(dirs[0].path, "/sys/fs/cgroup/memory/c1");
	assert_int_equal(unlinkat(first->dir_fd, "state.json", 0), 0);
	/* Nothing but state.json was left in the directory. */
	assert_int_equal(rmdir(dir), 0);
}

/* What lies there may be another user's: neither followed nor waited for. */
static void only_a_regular_file_is_loaded(void **state)
{
	char dir[] = "/tmp/caisson-unit-XXXXXX";
	AUTO(container_free_p) struct container *c = container_new(&no_runtime, "c1");
	AUTO(container_free_p) struct container *first = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(decode(full, sizeof(full) - 1, &first, &err), 0);
	assert_non_null(mkdtemp(dir));
	first->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	c->dir_fd = dup(first->dir_fd);
	assert_int_equal(state_save(first, &err), 0);
	assert_int_equal(renameat(c->dir_fd, "state.json", c->dir_fd, "else.json"), 0);
	assert_int_equal(symlinkat("else.json", c->dir_fd, "state.json"), 0);
	assert_int_equal(state_load(c, &err), -ELOOP);
	assert_int_equal(unlinkat(c->dir_fd, "state.json", 0), 0);
	assert_int_equal(mkfifoat(c->dir_fd, "state.json", 0600), 0);
	assert_int_equal(state_load(c, &err), -EINVAL);
	assert_says(err, "read state.json");
	assert_int_equal(unlinkat(c->dir_fd, "state.json", 0), 0);
	assert_int_equal(mkdirat(c->dir_fd, "state.json", 0700), 0);
	assert_int_equal(state_load(c, &err), -EINVAL);
	assert_int_equal(unlinkat(c->dir_fd, "state.json", AT_REMOVEDIR), 0);
	assert_int_equal(renameat(c->dir_fd, "else.json", c->dir_fd, "state.json"), 0);
	assert_int_equal(state_load(c, &err), 0);
	assert_int_equal(unlinkat(c->dir_fd, "state.json", 0), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* A sparse file costs its writer nothing. */
static void a_file_past_the_limit_is_not_read(void **state)
{
	char dir[] = "/tmp/caisson-unit-XXXXXX";
	AUTO(container_free_p) struct container *c = container_new(&no_runtime, "c1");
	struct err err = { 0 };
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	c->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(c->dir_fd, "state.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, STATE_MAX + 1), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(state_load(c, &err), -E2BIG);
	assert_int_equal(unlinkat(c->dir_fd, "state.json", 0), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_cut_at_any_byte_is_refused),
		cmocka_unit_test(a_wrong_byte_never_gives_a_wrong_kind_of_fact),
		cmocka_unit_test(a_missing_or_ill_typed_key_is_named),
		cmocka_unit_test(an_accelerator_that_is_not_known_is_none),
		cmocka_unit_test(values_out_of_range_are_refused),
		cmocka_unit_test(unknown_keys_are_ignored),
		cmocka_unit_test(what_is_saved_is_loaded_again),
		cmocka_unit_test(only_a_regular_file_is_loaded),
		cmocka_unit_test(a_file_past_the_limit_is_not_read),
	};

	return cmocka_run_group_tests_name("runtime/state", tests, NULL, NULL);
}
