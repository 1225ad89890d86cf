/* SPDX-License-Identifier: Apache-2.0 */
/* A root in another user's hands: read with that user's rights, and the reader is not believed. */
#include "runtimetest.h"

#include <grp.h>
#include <sys/types.h>

#include "base/str.h"
#include "runtime/list_as.h"

#define USER	   4321
#define GROUP	   4322 /* ours, not the user's */
#define GROUPS_MAX 64
#define WAIT_MS	   10000

#define ROW(id, created, rest)                                                              \
	"{\"stateVersion\":1,\"ociVersion\":\"1.0.0\",\"id\":\"" id "\","                   \
	"\"isolation\":\"ns\",\"bundle\":\"/b\",\"rootfs\":\"/b/r\",\"created\":\"" created \
	"\",\"pid\":0,\"startTime\":0,\"owner\":0" rest "}"
#define TIME "2026-11-21T10:00:00Z"

struct fixture {
	struct test_root root;
	struct container **list;
	size_t len;
	struct err err;
};

static int set_up(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	test_root_make(&f.root);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	container_list_free(f->list, f->len);
	test_root_remove(&f->root);
	return 0;
}

static void give(const struct fixture *f, const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", f->root.path, name);
	assert_int_equal(lchown(path, USER, USER), 0);
}

/* A container of the user's, whose file says that it is root's. */
static void add(const struct fixture *f, const char *id, const char *text)
{
	char path[128];

	test_root_add(&f->root, id, text);
	give(f, id);
	(void)snprintf(path, sizeof(path), "%s/state.json", id);
	give(f, path);
	give(f, ".");
}

static int list(struct fixture *f)
{
	container_list_free(f->list, f->len);
	f->list = NULL;
	f->len = 0;
	return container_list_as(&f->root.rt, USER, WAIT_MS, &f->list, &f->len, &f->err);
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void the_containers_of_a_user_are_his(void **state)
{
	struct fixture *f = *state;

	need_root();
	add(f, "c2", ROW("c2", TIME, ",\"annotations\":{\"k\":\"v\"}"));
	add(f, "c1", ROW("c1", TIME, ",\"cgroups\":[{\"controllers\":\"\",\"path\":\"/x\"}]"));
	assert_int_equal(list(f), 0);
	assert_int_equal(f->len, 2);
	assert_string_equal(f->list[0]->id, "c1");
	assert_string_equal(f->list[1]->id, "c2");
	assert_string_equal(json_string_value(json_object_get(f->list[1]->annotations, "k")), "v");
	for (size_t i = 0; i < f->len; i++) {
		assert_int_equal(f->list[i]->owner, USER);
		assert_int_equal(f->list[i]->status, OCI_STOPPED);
		assert_null(f->list[i]->cgroup);
		assert_string_equal(f->list[i]->bundle, "/b");
	}
}

/* Not listed, and no word about it: the text would go to root's terminal. */
static void a_container_that_steers_the_terminal_hides_only_itself(void **state)
{
	struct fixture *f = *state;

	need_root();
	add(f, "good", ROW("good", TIME, ""));
	add(f, "evil", ROW("evil", "\\u001b[2J", ""));
	assert_int_equal(list(f), 0);
	assert_int_equal(f->len, 1);
	assert_string_equal(f->list[0]->id, "good");
}

/* Goal: what only root may read, or root's groups, is not read, whatever name leads there. */
static void what_the_user_may_not_read_is_an_empty_list(void **state)
{
	struct fixture *f = *state;
	char path[256], file[320];

	need_root();
	test_root_add(&f->root, "c1", ROW("c1", TIME, ""));
	give(f, ".");
	give(f, "c1");
	(void)snprintf(file, sizeof(file), "%s/c1/state.json", f->root.path);
	assert_int_equal(chmod(file, 0600), 0);
	assert_int_equal(list(f), 0);
	assert_int_equal(f->len, 0);
	assert_int_equal(chmod(f->root.path, 0700), 0);
	assert_int_equal(chown(f->root.path, 0, 0), 0);
	assert_int_equal(list(f), 0);
	assert_int_equal(f->len, 0);

	(void)snprintf(path, sizeof(path), "%s/missing", f->root.path);
	f->root.rt.root = path;
	assert_int_equal(list(f), 0);
	assert_int_equal(f->len, 0);
}

static void no_group_of_ours_goes_along(void **state)
{
	static const gid_t extra[] = { GROUP };
	struct fixture *f = *state;
	gid_t before[GROUPS_MAX];
	const int len = getgroups(GROUPS_MAX, before);
	char file[320];
	int r;

	need_root();
	assert_true(len >= 0);
	test_root_add(&f->root, "c1", ROW("c1", TIME, ""));
	give(f, ".");
	give(f, "c1");
	(void)snprintf(file, sizeof(file), "%s/c1/state.json", f->root.path);
	assert_int_equal(chown(file, 0, GROUP), 0);
	assert_int_equal(chmod(file, 0640), 0);
	if (setgroups(1, extra) < 0)
		skip();
	r = list(f);
	assert_int_equal(setgroups((size_t)len, before), 0);
	assert_int_equal(r, 0);
	assert_int_equal(f->len, 0);
}

static void a_root_that_is_a_link_is_not_followed(void **state)
{
	struct fixture *f = *state;
	char path[256];

	need_root();
	(void)snprintf(path, sizeof(path), "%s/link", f->root.path);
	add(f, "c1", ROW("c1", TIME, ""));
	assert_int_equal(symlink(f->root.path, path), 0);
	give(f, "link");
	f->root.rt.root = path;
	assert_int_equal(list(f), 0);
	assert_int_equal(f->len, 0);
}

/* To the kernel, -1 would mean: stay who you are. */
static void nobody_becomes_root(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(container_list_as(&f->root.rt, 0, WAIT_MS, &f->list, &f->len, &f->err),
			 -EINVAL);
	assert_int_equal(
		container_list_as(&f->root.rt, (uid_t)-1, WAIT_MS, &f->list, &f->len, &f->err),
		-EINVAL);
	assert_null(f->list);
}

static void a_user_who_takes_too_long_is_not_waited_for(void **state)
{
	struct fixture *f = *state;

	need_root();
	assert_int_equal(container_list_as(&f->root.rt, USER, 0, &f->list, &f->len, &f->err),
			 -ETIMEDOUT);
	assert_null(f->list);
}

static int hear(struct fixture *f, const char *text)
{
	return list_as_decode(&f->root.rt, USER, text, strlen(text), &f->list, &f->len, &f->err);
}

static void rows_that_are_nonsense_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[",
		"{}",
		"1",
		"[1]",
		"[{}]",
		"[" ROW("c1", TIME, "") "]",
		"[" ROW("c1", TIME, ",\"status\":-1") "]",
		"[" ROW("c1", TIME, ",\"status\":5") "]",
		"[" ROW("c1", TIME, ",\"status\":\"running\"") "]",
		"[" ROW("../c1", TIME, ",\"status\":4") "]",
		"[" ROW("", TIME, ",\"status\":4") "]",
		"[" ROW("c1", "\\u001b[2J", ",\"status\":4") "]",
		"[" ROW("c1", TIME, ",\"status\":4") "," ROW("c2", TIME, "") "]",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (hear(f, bad[i]) != -EPROTO)
			fail_msg("%s was accepted", bad[i]);
		for (const char *c = f->err.msg; *c; c++)
			assert_true(*c >= ' ' && *c <= '~');
		assert_null(f->list);
	}
}

static void a_row_never_has_a_cgroup(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		hear(f, "[" ROW("c1", TIME,
				",\"status\":2,\"cgroups\":[{\"controllers\":\"\",\"path\":"
				"\"/sys/fs/cgroup/x\"}]") "]"),
		0);
	assert_int_equal(f->len, 1);
	assert_null(f->list[0]->cgroup);
	assert_int_equal(f->list[0]->status, OCI_RUNNING);
	assert_int_equal(f->list[0]->owner, USER);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_containers_of_a_user_are_his),
		CASE(a_container_that_steers_the_terminal_hides_only_itself),
		CASE(what_the_user_may_not_read_is_an_empty_list),
		CASE(no_group_of_ours_goes_along),
		CASE(a_root_that_is_a_link_is_not_followed),
		CASE(nobody_becomes_root),
		CASE(a_user_who_takes_too_long_is_not_waited_for),
		CASE(rows_that_are_nonsense_are_refused),
		CASE(a_row_never_has_a_cgroup),
	};

	return cmocka_run_group_tests_name("runtime/list_as", tests, NULL, NULL);
}
