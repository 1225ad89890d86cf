/* SPDX-License-Identifier: Apache-2.0 */
/* Which class a container gets (docs/ARCHITECTURE.md): the invocation, the annotation, the default.
 */
#include "runtimetest.h"

#include "base/str.h"
#include "runtime/isolation.h"

#define UNSET  ISOLATION_UNSET
#define NS     ISOLATION_NS
#define SENTRY ISOLATION_SENTRY
#define VM     ISOLATION_VM

static const char *const none[] = { NULL };
static const char *const exact[] = { "a.b", "io.caisson.isolation", NULL };
static const char *const pattern[] = { "io.caisson.*", NULL };
static const char *const other[] = { "io.caisson.memory", NULL };

static const struct row {
	enum isolation invocation, fallback;
	const char *annotation;
	const char *const *allowed;
	int result;
	enum isolation class;
} rows[] = {
	/* Nobody chose. */
	{ UNSET, NS, NULL, NULL, 0, NS },
	{ UNSET, SENTRY, NULL, NULL, 0, SENTRY },
	{ UNSET, UNSET, NULL, NULL, 0, SENTRY },
	/* The annotation comes before the configuration's default. */
	{ UNSET, NS, "vm", NULL, 0, VM },
	{ UNSET, VM, "ns", none, 0, NS },
	/* The invocation comes before the annotation; the same class is no contradiction. */
	{ NS, VM, NULL, NULL, 0, NS },
	{ VM, NS, "vm", NULL, 0, VM },
	{ NS, NS, "sentry", NULL, -EPERM, UNSET },
	{ SENTRY, NS, "ns", none, -EPERM, UNSET },
	{ SENTRY, NS, "ns", other, -EPERM, UNSET },
	/* ... unless the operator allows it to override. */
	{ SENTRY, NS, "ns", exact, 0, NS },
	{ NS, NS, "vm", pattern, 0, VM },
	/* No such class. */
	{ UNSET, NS, "kvm", exact, -EINVAL, UNSET },
	{ NS, NS, "", exact, -EINVAL, UNSET },
	{ NS, NS, "NS", exact, -EINVAL, UNSET },
};

static int choose(const struct row *row, enum isolation *ret, struct err *err)
{
	const struct runtime rt = { .isolation = row->invocation,
				    .default_isolation = row->fallback,
				    .allowed_annotations = row->allowed };
	struct oci_kv kv = { .key = ISOLATION_ANNOTATION, .value = row->annotation };
	struct oci_spec spec = { .annotations = { .items = &kv, .len = row->annotation ? 1 : 0 } };

	return isolation_choose(&rt, &spec, ret, err);
}

static void the_class_follows_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum isolation class = UNSET;
		struct err err = { 0 };
		const int r = choose(&rows[i], &class, &err);

		if (r != rows[i].result || class != rows[i].class)
			fail_msg("row %zu: %d (%s), class %d", i, r, err.msg, class);
	}
}

static void a_contradiction_names_both_classes(void **state)
{
	const struct row row = { NS, NS, "sentry", NULL, -EPERM, UNSET };
	enum isolation class;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(choose(&row, &class, &err), -EPERM);
	assert_says(err, "class ns");
	assert_says(err, "sentry");
	assert_says(err, "allowed_annotations");
}

static void an_unknown_class_lists_the_three(void **state)
{
	enum isolation class;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(isolation_from_name("gvisor", &class, &err), -EINVAL);
	assert_says(err, "ns, sentry and vm");
	for (int i = 0; i < ISOLATION_MAX; i++) {
		assert_int_equal(isolation_from_name(isolation_name(i), &class, &err), 0);
		assert_int_equal(class, i);
	}
}

static void every_class_has_a_table_of_its_name(void **state)
{
	const struct isolation_ops *ops = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(isolation_ops_get(UNSET, &ops, &err), -ENOTSUP);
	assert_null(ops);
	for (enum isolation i = NS; i < ISOLATION_MAX; i++) {
		assert_int_equal(isolation_ops_get(i, &ops, &err), 0);
		assert_string_equal(ops->name, isolation_name(i));
	}
}

static void more(const struct container *c, struct oci_resources *limits)
{
	(void)c;
	limits->pids_limit.v++;
}

static void limits_of_the_host_are_higher_by_what_the_class_needs(void **state)
{
	const struct isolation_ops ops = { .extra_pids = 5 };
	const struct isolation_ops own = { .extra_pids = 5, .host_limits = more };
	struct oci_resources limits = { .pids_limit = { 3, true } };

	(void)state;
	isolation_add_extras(&ops, NULL, &limits);
	assert_int_equal(limits.pids_limit.v, 8);
	isolation_add_extras(&own, NULL, &limits);
	assert_int_equal(limits.pids_limit.v, 9);
	limits.pids_limit = (struct oci_opt_i64){ -1, true };
	isolation_add_extras(&ops, NULL, &limits);
	assert_int_equal(limits.pids_limit.v, -1);
	limits.pids_limit.v = INT64_MAX - 1;
	isolation_add_extras(&ops, NULL, &limits);
	assert_int_equal(limits.pids_limit.v, INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_contradiction_names_both_classes),
		cmocka_unit_test(an_unknown_class_lists_the_three),
		cmocka_unit_test(every_class_has_a_table_of_its_name),
		cmocka_unit_test(limits_of_the_host_are_higher_by_what_the_class_needs),
		cmocka_unit_test(the_class_follows_the_table),
	};

	return cmocka_run_group_tests_name("runtime/isolation", tests, NULL, NULL);
}
