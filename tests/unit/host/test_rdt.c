/* SPDX-License-Identifier: Apache-2.0 */
/* No machine here has resctrl: a plain directory stands for it (CAVEATS.md#no-resctrl). */
#include "hosttest.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "host/rdt.h"

struct fake {
	char dir[40];
	int fd;
};

static int setup(void **state)
{
	struct fake *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/test_rdt_XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	close(f->fd);
	free(f);
	return system(command);
}

/* What the kernel makes with a new class. */
static void make_class(const struct fake *f, const char *name, const char *schemata)
{
	char path[128];

	assert_true(mkdirat(f->fd, name, 0755) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/tasks", name);
	assert_int_equal(fd_replace_file(f->fd, path, "", 0, 0644), 0);
	snprintf(path, sizeof(path), "%s/schemata", name);
	assert_int_equal(fd_replace_file(f->fd, path, schemata, strlen(schemata), 0644), 0);
	snprintf(path, sizeof(path), "%s/mon_groups", name);
	(void)mkdirat(f->fd, path, 0755);
}

static bool has_text(const struct fake *f, const char *path, const char *text)
{
	AUTO_BUF struct buf b = { 0 };

	return fd_read_file(f->fd, path, &b) == 0 && str_eq(b.data ? b.data : "", text);
}

static void a_host_without_resctrl_is_named(void **state)
{
	struct err err = { 0 };
	const int fd = rdt_open(&err);

	if (fd >= 0) {
		close(fd);
		return;
	}
	assert_int_equal(fd, -ENOTSUP);
	assert_non_null(strstr(err.msg, "linux.intelRdt"));
	(void)rdt_supported();
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const bad[] = { "",	 ".",	 "..",	       "../x",	  "a/b",
					   "/x", "info", "mon_groups", "mon_data" };
	const struct fake *f = *state;
	struct err err = { 0 };
	bool made;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct oci_intel_rdt rdt = { .set = true,
						   .clos_id = bad[i],
						   .l3_cache_schema = "L3:0=f" };

		assert_int_equal(rdt_apply(f->fd, &rdt, "id", 1, &made, &err), -EINVAL);
		assert_int_equal(rdt_remove(f->fd, &rdt, "id", true, &err), -EINVAL);
	}
}

static void a_link_as_class_is_refused(void **state)
{
	const struct fake *f = *state;
	const struct oci_intel_rdt rdt = { .set = true, .clos_id = "gold" };
	struct err err = { 0 };
	bool made;

	assert_int_equal(symlinkat("/tmp", f->fd, "gold"), 0);
	assert_int_equal(rdt_apply(f->fd, &rdt, "id", 1, &made, &err), -ELOOP);
}

/* config-linux.md: closID without any schema means a class that someone else made. */
static void a_named_class_without_schema_must_exist(void **state)
{
	const struct fake *f = *state;
	const struct oci_intel_rdt rdt = { .set = true, .clos_id = "gold" };
	struct err err = { 0 };
	bool made = true;

	assert_int_equal(rdt_apply(f->fd, &rdt, "id", 1234, &made, &err), -ENOENT);
	assert_int_equal(faccessat(f->fd, "gold", F_OK, 0), -1);
	make_class(f, "gold", "L3:0=f\n");
	assert_int_equal(rdt_apply(f->fd, &rdt, "id", 1234, &made, &err), 0);
	assert_false(made);
	assert_true(has_text(f, "gold/tasks", "1234"));
	/* Who removes does not know any more whether monitoring was wanted. */
	assert_int_equal(mkdirat(f->fd, "gold/mon_groups/id", 0755), 0);
	assert_int_equal(rdt_remove(f->fd, &rdt, "id", made, &err), 0);
	assert_int_equal(faccessat(f->fd, "gold", F_OK, 0), 0);
	assert_int_equal(faccessat(f->fd, "gold/mon_groups/id", F_OK, 0), -1);
}

static void an_existing_class_must_have_the_schemata(void **state)
{
	const struct fake *f = *state;
	struct oci_intel_rdt rdt = { .set = true, .clos_id = "gold", .l3_cache_schema = "L3:0=3" };
	struct err err = { 0 };
	bool made;

	make_class(f, "gold", "    MB:0=100\n    L3:0=f\n");
	assert_int_equal(rdt_apply(f->fd, &rdt, "id", 1, &made, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "L3:0=3"));
	rdt.l3_cache_schema = "L3:0=f";
	rdt.mem_bw_schema = "MB:0=100";
	assert_int_equal(rdt_apply(f->fd, &rdt, "id", 77, &made, &err), 0);
	assert_true(has_text(f, "gold/tasks", "77"));
}

static void a_class_of_the_own_id_gets_all_schemata(void **state)
{
	const struct fake *f = *state;
	const struct oci_intel_rdt rdt = { .set = true,
					   .l3_cache_schema = "L3:0=f\nMB:0=10\nL3:1=f",
					   .mem_bw_schema = "MB:0=50",
					   .schemata = STRS("L2:0=3"),
					   .enable_monitoring = true };
	struct err err = { 0 };
	bool made = true;

	make_class(f, "box", "");
	assert_int_equal(mkdirat(f->fd, "box/mon_groups/box", 0755), 0);
	assert_int_equal(fd_replace_file(f->fd, "box/mon_groups/box/tasks", "", 0, 0644), 0);
	assert_int_equal(rdt_apply(f->fd, &rdt, "box", 42, &made, &err), 0);
	assert_true(has_text(f, "box/schemata", "L3:0=f\nL3:1=f\nMB:0=50\nL2:0=3\n"));
	assert_true(has_text(f, "box/tasks", "42"));
	assert_true(has_text(f, "box/mon_groups/box/tasks", "42"));
	assert_int_equal(rdt_update(f->fd, "box", NULL, "MB:0=70", &err), 0);
	assert_int_equal(rdt_update(f->fd, "nobox", NULL, "MB:0=70", &err), -ENOENT);
}

static void what_was_made_is_removed_after_a_failure(void **state)
{
	const struct fake *f = *state;
	const struct oci_intel_rdt rdt = { .set = true, .l3_cache_schema = "L3:0=f" };
	struct err err = { 0 };
	bool made = false;

	/* A plain directory has no schemata file: the write fails after mkdir. */
	assert_int_equal(rdt_apply(f->fd, &rdt, "box", 42, &made, &err), -ENOENT);
	assert_int_equal(faccessat(f->fd, "box", F_OK, 0), -1);
	assert_false(made);
	assert_int_equal(rdt_remove(f->fd, &rdt, "box", true, &err), 0); /* missing is no error */
}

static void a_schema_cannot_smuggle_in_a_line(void **state)
{
	const struct fake *f = *state;
	const struct oci_intel_rdt rdt = { .set = true, .schemata = STRS("L2:0=3\nL3:0=0") };
	struct err err = { 0 };
	bool made;

	assert_int_equal(rdt_apply(f->fd, &rdt, "box", 42, &made, &err), -EINVAL);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_without_resctrl_is_named),
		WITH_DIR(names_that_lead_elsewhere_are_refused),
		WITH_DIR(a_link_as_class_is_refused),
		WITH_DIR(a_named_class_without_schema_must_exist),
		WITH_DIR(an_existing_class_must_have_the_schemata),
		WITH_DIR(a_class_of_the_own_id_gets_all_schemata),
		WITH_DIR(what_was_made_is_removed_after_a_failure),
		WITH_DIR(a_schema_cannot_smuggle_in_a_line),
	};

	return cmocka_run_group_tests_name("host/rdt", tests, NULL, NULL);
}
