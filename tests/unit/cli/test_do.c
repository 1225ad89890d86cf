/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `caisson do` that decide: volumes, users, environment, mounts, the document. */
#include "lib/unit.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/do_init.h"
#include "cli/do_setup.h"
#include "cli/do_spec.h"
#include "cli/do_sweep.h"
#include "cli/do_tree.h"
#include "oci/spec.h"

static void volumes_are_source_destination_and_mode(void **state)
{
	static const struct {
		const char *text, *source, *destination;
		bool readonly;
	} rows[] = {
		{ "/a:/b", "/a", "/b", false },	   { "/a:/b:ro", "/a", "/b", true },
		{ "/a:/b:rw", "/a", "/b", false }, { "x/y:/b", "/cwd/x/y", "/b", false },
		{ ".:/", "/cwd/.", "/", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct do_volume v = { 0 };
		struct err err = { 0 };

		assert_int_equal(do_volume_parse(rows[i].text, "/cwd", &v, &err), 0);
		assert_string_equal(v.source, rows[i].source);
		assert_string_equal(v.destination, rows[i].destination);
		assert_int_equal(v.readonly, rows[i].readonly);
		do_volume_done(&v);
	}
}

static void bad_volumes_are_refused(void **state)
{
	static const char *const bad[] = { "",	     "/a",     ":/b",	   "/a:",	"/a:b",
					   "/a::ro", "/a:/b:", "/a:/b:RO", "/a:/b:ro:x" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct do_volume v = { 0 };
		struct err err = { 0 };

		assert_int_equal(do_volume_parse(bad[i], "/cwd", &v, &err), -EINVAL);
		assert_says(err, "--volume");
		assert_null(v.source);
	}
}

static void cpus_are_a_number_in_range(void **state)
{
	static const char *const bad[] = { "", "0", "-1", "nan", "inf", "1x", "0.001", "5000" };
	struct err err = { 0 };
	uint64_t quota = 0;

	assert_int_equal(do_cpus_parse("1.5", &quota, &err), 0);
	assert_int_equal(quota, 150000);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(do_cpus_parse(bad[i], &quota, &err), -EINVAL);
	assert_int_equal(quota, 150000);
}

static void users_are_names_or_numbers(void **state)
{
	static const char passwd[] =
		"root:x:0:0::/root:/bin/sh\nbad line\nnobody:x:65534:65533::/:/x\n"
		"odd:x:no:number:\n";
	struct err err = { 0 };
	uint32_t uid = 7, gid = 9;

	assert_int_equal(do_user_parse("1000", passwd, &uid, &gid, &err), 0);
	assert_int_equal(uid, 1000);
	assert_int_equal(gid, 9);
	assert_int_equal(do_user_parse("nobody", passwd, &uid, &gid, &err), 0);
	assert_int_equal(uid, 65534);
	assert_int_equal(gid, 65533);
	assert_int_equal(do_user_parse("root:5", passwd, &uid, &gid, &err), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(gid, 5);
	assert_int_equal(do_user_parse("nobod", passwd, &uid, &gid, &err), -ENOENT);
	assert_int_equal(do_user_parse("odd", passwd, &uid, &gid, &err), -ENOENT);
	assert_int_equal(do_user_parse("", NULL, &uid, &gid, &err), -ENOENT);
	assert_int_equal(do_user_parse("4294967295", passwd, &uid, &gid, &err), -ENOENT);
	assert_int_equal(do_user_parse("1:x", passwd, &uid, &gid, &err), -EINVAL);
	assert_int_equal(do_user_parse("1:", passwd, &uid, &gid, &err), -EINVAL);
	assert_int_equal(uid, 0);
}

static bool has(char *const *env, const char *text)
{
	for (; *env; env++) {
		if (strcmp(*env, text) == 0)
			return true;
	}
	return false;
}

static void secrets_of_the_environment_stay_out(void **state)
{
	const char *const environment[] = { "PATH=/bin",
					    "SSH_AUTH_SOCK=/run/x",
					    "LC_ALL=C",
					    "TOKEN=secret",
					    "PATHS=/x",
					    "HOME=/h",
					    "LD_PRELOAD=/x",
					    "XDG_RUNTIME_DIR=/run",
					    NULL };
	const char *items[] = { "A=1", "TOKEN", "HOME=/other", "ABSENT", "A=2", "E=", NULL };
	const struct option_list wanted = { .items = items, .len = 6 };
	const struct option_list nothing = { 0 };
	struct err err = { 0 };
	char **env = NULL;

	assert_int_equal(do_environment((char *const *)environment, &nothing, &env, &err), 0);
	assert_int_equal(strv_len(env), 3);
	assert_true(has(env, "PATH=/bin") && has(env, "LC_ALL=C") && has(env, "HOME=/h"));
	strv_free(env);
	assert_int_equal(do_environment((char *const *)environment, &wanted, &env, &err), 0);
	assert_int_equal(strv_len(env), 6);
	assert_true(has(env, "A=2") && has(env, "TOKEN=secret") && has(env, "HOME=/other") &&
		    has(env, "E="));
	strv_free(env);
}

static void variables_without_a_name_are_refused(void **state)
{
	const char *const environment[] = { NULL };
	const char *items[] = { "=x", NULL };
	const struct option_list wanted = { .items = items, .len = 1 };
	struct err err = { 0 };
	char **env = NULL;

	assert_int_equal(do_environment((char *const *)environment, &wanted, &env, &err), -EINVAL);
	assert_null(env);
}

static void mounts_are_found_and_judged(void **state)
{
	static const char text[] = "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
				   "28 27 0:1 / /proc rw shared:1 - proc proc rw\n"
				   "29 27 0:2 / /home rw - ext4 /dev/vdb rw\n"
				   "30 29 0:3 / /home/a\\040b rw - xfs /dev/vdc rw\n"
				   "garbage\n"
				   "31 27 0:4 / relative rw - ext4 x rw\n"
				   "32 27 0:5 / /mnt/t rw - tmpfs t rw\n"
				   "33 27 0:6 / /tmp/disk rw - ext4 /dev/vdd rw";
	struct do_mounts mounts = { 0 };

	assert_int_equal(do_mounts_parse(strdup(text), &mounts), 0);
	assert_int_equal(mounts.len, 6);
	assert_string_equal(do_mounts_holding(&mounts, "/homes")->path, "/");
	assert_string_equal(do_mounts_holding(&mounts, "/home")->path, "/home");
	assert_string_equal(do_mounts_holding(&mounts, "/home/a b/c")->path, "/home/a b");
	assert_true(do_mount_shown(do_mounts_holding(&mounts, "/usr")));
	assert_true(do_mount_shown(do_mounts_holding(&mounts, "/home/a b")));
	assert_false(do_mount_shown(do_mounts_holding(&mounts, "/proc/self")));
	assert_false(do_mount_shown(do_mounts_holding(&mounts, "/mnt/t/x")));
	assert_false(do_mount_shown(do_mounts_holding(&mounts, "/tmp/disk")));
	do_mounts_done(&mounts);
}

static void fresh_directories_end_at_a_slash(void **state)
{
	assert_true(do_path_fresh("/run"));
	assert_true(do_path_fresh("/run/user/1"));
	assert_false(do_path_fresh("/running"));
	assert_false(do_path_fresh("/"));
	assert_false(do_path_fresh("/var/run"));
}

static struct do_plan example_plan(void)
{
	static const char *const argv[] = { "/bin/echo", "a\"b", "\n", NULL };
	static const char *const env[] = { "PATH=/bin", NULL };
	static char source[] = "/s", destination[] = "/d";
	static const struct do_volume volume = { source, destination, true };

	return (struct do_plan){
		.rootfs = "/scratch/rootfs",
		.cwd = "/home",
		.argv = argv,
		.env = (char *const *)env,
		.volumes = &volume,
		.volumes_len = 1,
		.uid_maps = { { 0, 0, 1 } },
		.gid_maps = { { 0, 0, 1 } },
		.uid_maps_len = 1,
		.gid_maps_len = 1,
	};
}

/* Build the document and read it back with the runtime's own parser. */
static struct oci_spec *round_trip(const struct do_plan *plan)
{
	struct err err = { 0 };
	struct oci_spec *spec = NULL;
	json_t *json = NULL;
	char *text;

	if (do_spec_build(plan, &json, &err) < 0)
		fail_msg("%s", err.msg);
	text = json_dumps(json, JSON_COMPACT);
	if (oci_spec_parse(text, strlen(text), "do", &spec, &err) < 0)
		fail_msg("%s", err.msg);
	free(text);
	json_decref(json);
	return spec;
}

static const struct oci_mount *find_mount(const struct oci_spec *spec, const char *destination)
{
	for (size_t i = 0; i < spec->mounts_len; i++) {
		if (str_eq(spec->mounts[i].destination, destination))
			return &spec->mounts[i];
	}
	return NULL;
}

static void the_document_is_a_closed_sandbox(void **state)
{
	const struct do_plan plan = example_plan();
	struct oci_spec *spec = round_trip(&plan);

	for (int ns = 0; ns < OCI_NS_MAX; ns++) {
		assert_int_equal(spec->linux.ns[ns].set, ns != OCI_NS_TIME);
		assert_null(spec->linux.ns[ns].path);
	}
	assert_true(spec->process.no_new_privileges);
	assert_true(spec->linux.seccomp.set);
	assert_string_equal(spec->linux.seccomp.default_action, "SCMP_ACT_ERRNO");
	assert_int_equal(spec->process.caps.inheritable, 0);
	assert_int_equal(spec->process.caps.ambient, 0);
	assert_int_equal(spec->process.caps.bounding & (1u << 21), 0); /* CAP_SYS_ADMIN */
	assert_string_equal(spec->process.args.items[1], "a\"b");
	assert_int_equal(spec->process.args.len, 3);
	assert_non_null(find_mount(spec, "/run"));
	assert_non_null(find_mount(spec, "/tmp"));
	assert_string_equal(find_mount(spec, "/sys")->type, "sysfs");
	assert_string_equal(find_mount(spec, "/d")->source, "/s");
	assert_string_equal(find_mount(spec, "/d")->options.items[1], "rro");
	assert_false(spec->linux.resources.set);
	oci_spec_free(spec);
}

static void host_network_keeps_no_other_namespace(void **state)
{
	struct do_plan plan = example_plan();
	struct oci_spec *spec;

	plan.network_host = true;
	plan.resolv_conf = "/run/resolve/resolv.conf";
	spec = round_trip(&plan);
	assert_false(spec->linux.ns[OCI_NS_NETWORK].set);
	assert_true(spec->linux.ns[OCI_NS_PID].set);
	assert_string_equal(find_mount(spec, "/sys")->source, "/sys");
	assert_non_null(find_mount(spec, "/run/resolve/resolv.conf"));
	oci_spec_free(spec);
}

static void process_1_is_our_init_on_a_read_only_mount(void **state)
{
	struct do_plan plan = example_plan();
	struct oci_spec *spec;

	plan.init = "/scratch/init";
	spec = round_trip(&plan);
	assert_string_equal(spec->process.args.items[0], DO_INIT_PATH);
	assert_string_equal(spec->process.args.items[1], "/bin/echo");
	assert_string_equal(find_mount(spec, DO_INIT_PATH)->source, "/scratch/init");
	assert_string_equal(find_mount(spec, DO_INIT_PATH)->options.items[1], "rro");
	oci_spec_free(spec);
}

static void an_ordinary_uid_has_no_capabilities(void **state)
{
	struct do_plan plan = example_plan();
	struct oci_spec *spec;

	plan.uid = 1000;
	spec = round_trip(&plan);
	assert_int_equal(spec->process.user.uid, 1000);
	assert_int_equal(spec->process.caps.bounding, 0);
	assert_int_equal(spec->process.caps.effective, 0);
	assert_int_equal(spec->process.caps.permitted, 0);
	oci_spec_free(spec);
}

static void limits_become_resources(void **state)
{
	struct do_plan plan = example_plan();
	struct oci_spec *spec;
	struct err err = { 0 };
	json_t *json = NULL;

	plan.limits = (struct update_limits){ .memory = "64m", .pids_limit = "20" };
	spec = round_trip(&plan);
	assert_int_equal(spec->linux.resources.memory.limit.v, 64 << 20);
	assert_int_equal(spec->linux.resources.pids_limit.v, 20);
	oci_spec_free(spec);
	plan.limits.memory = "lots";
	assert_int_equal(do_spec_build(&plan, &json, &err), -EINVAL);
	assert_says(err, "memory");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	static const char *const argv[] = { "/bin/echo", "\xff\xfe", NULL };
	struct do_plan plan = example_plan();
	struct err err = { 0 };
	json_t *json = NULL;

	plan.argv = argv;
	assert_int_equal(do_spec_build(&plan, &json, &err), -EINVAL);
	assert_says(err, "UTF-8");
	assert_null(json);
}

static void ids_name_their_process(void **state)
{
	static const char *const bad[] = { "",
					   "do-",
					   "do-1",
					   "do-0-12345678",
					   "do--1-1234567",
					   "do-x-12345678",
					   "do-1-1234567",
					   "do-1-123456789",
					   "do-1-1234567G",
					   "do-+1-12345678",
					   "web-1-12345678",
					   "do-99999999999-12345678",
					   "do-1-12345678x" };
	struct err err = { 0 };
	char id[DO_ID_MAX];

	assert_int_equal(do_id_make(id, &err), 0);
	assert_int_equal(do_id_pid(id), getpid());
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(do_id_pid(bad[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(volumes_are_source_destination_and_mode),
		cmocka_unit_test(bad_volumes_are_refused),
		cmocka_unit_test(cpus_are_a_number_in_range),
		cmocka_unit_test(users_are_names_or_numbers),
		cmocka_unit_test(secrets_of_the_environment_stay_out),
		cmocka_unit_test(variables_without_a_name_are_refused),
		cmocka_unit_test(mounts_are_found_and_judged),
		cmocka_unit_test(fresh_directories_end_at_a_slash),
		cmocka_unit_test(the_document_is_a_closed_sandbox),
		cmocka_unit_test(host_network_keeps_no_other_namespace),
		cmocka_unit_test(process_1_is_our_init_on_a_read_only_mount),
		cmocka_unit_test(an_ordinary_uid_has_no_capabilities),
		cmocka_unit_test(limits_become_resources),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(ids_name_their_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
