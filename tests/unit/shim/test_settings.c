/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime is told, from the program's name and the options of a request. */
#include "shim/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "lib/unit.h"
#include "shim/program.h"
#include "shim/task_options.pb-c.h"
#include "shim/task.pb-c.h"

#define ANY "containerd-shim-caisson-v2"
#define NS  "/usr/bin/containerd-shim-caisson-ns-v2"

static struct settings *made;

static int setup(void **state)
{
	(void)state;
	/* The machine's own configuration does not count here. */
	return setenv("CAISSON_CONFIG", "/nowhere/caisson.json", 1);
}

static int teardown(void **state)
{
	(void)state;
	settings_free(TAKE_PTR(made));
	return 0;
}

static int with(const char *program, const char *type, const ProtobufCMessage *message,
		struct err *err)
{
	Caisson__Shim__Any any = CAISSON__SHIM__ANY__INIT;
	AUTO_FREE uint8_t *bytes = malloc(protobuf_c_message_get_packed_size(message) + 1);

	any.type_url = (char *)type;
	any.value.data = bytes;
	any.value.len = protobuf_c_message_pack(message, bytes);
	settings_free(TAKE_PTR(made));
	return settings_new(program, "k8s.io", &any, &made, err);
}

static void options_of_an_unknown_type_are_refused(void **state)
{
	Caisson__Shim__Options o = CAISSON__SHIM__OPTIONS__INIT;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(with(ANY, "com.example.Options", &o.base, &err), -EINVAL);
	assert_says(err, "com.example.Options");
}

static void options_that_are_no_message_are_refused(void **state)
{
	Caisson__Shim__Any any = CAISSON__SHIM__ANY__INIT;
	struct err err = { 0 };

	(void)state;
	any.type_url = (char[]){ "caisson.shim.Options" };
	any.value.data = (uint8_t[]){ 0x0a, 0x7f };
	any.value.len = 2;
	assert_int_equal(settings_new(ANY, "n", &any, &made, &err), -EINVAL);
}

static void another_runtime_is_refused(void **state)
{
	Caisson__Shim__RuncOptions o = CAISSON__SHIM__RUNC_OPTIONS__INIT;
	struct err err = { 0 };

	(void)state;
	o.binary_name = (char[]){ "/usr/bin/crun" };
	assert_int_equal(with(ANY, "containerd.runc.v1.Options", &o.base, &err), -EINVAL);
	assert_says(err, "/usr/bin/crun");
}

static void an_unknown_class_and_a_relative_root_are_refused(void **state)
{
	Caisson__Shim__Options o = CAISSON__SHIM__OPTIONS__INIT;
	struct err err = { 0 };

	(void)state;
	o.isolation = (char[]){ "strong" };
	assert_int_equal(with(ANY, "caisson.shim.Options", &o.base, &err), -EINVAL);
	assert_says(err, "strong");
	o.isolation = (char[]){ "vm" };
	o.root = (char[]){ "here" };
	assert_int_equal(with(ANY, "caisson.shim.Options", &o.base, &err), -EINVAL);
	assert_says(err, "here");
}

static void the_programs_name_has_the_first_word(void **state)
{
	Caisson__Shim__Options o = CAISSON__SHIM__OPTIONS__INIT;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(settings_new(ANY, "k8s.io", NULL, &made, &err), 0);
	assert_int_equal(made->rt.isolation, ISOLATION_UNSET);
	assert_string_equal(made->rt.root, SETTINGS_ROOT "/k8s.io");
	o.isolation = (char[]){ "vm" };
	assert_int_equal(with(ANY, "caisson.shim.Options", &o.base, &err), 0);
	assert_int_equal(made->rt.isolation, ISOLATION_VM);
	assert_int_equal(with(NS, "caisson.shim.Options", &o.base, &err), 0);
	assert_int_equal(made->rt.isolation, ISOLATION_NS);
}

static void options_of_runc_are_understood(void **state)
{
	Caisson__Shim__RuncOptions o = CAISSON__SHIM__RUNC_OPTIONS__INIT;
	struct err err = { 0 };

	(void)state;
	o.binary_name = (char[]){ "/opt/caisson-sentry" };
	o.root = (char[]){ "/run/other" };
	o.systemd_cgroup = 1;
	o.no_pivot_root = 1;
	assert_int_equal(with(ANY, "type.googleapis.com/containerd.runc.v1.Options", &o.base, &err),
			 0);
	assert_int_equal(made->rt.isolation, ISOLATION_SENTRY);
	assert_string_equal(made->rt.root, "/run/other/k8s.io");
	assert_int_equal(made->rt.cgroup_manager, CGROUP_MANAGER_SYSTEMD);
	assert_true(made->no_pivot && !made->no_new_keyring);
}

static void a_handler_has_its_configuration(void **state)
{
	Caisson__Shim__RuntimeOptions o = CAISSON__SHIM__RUNTIME_OPTIONS__INIT;
	char path[] = "/tmp/settings.XXXXXX";
	AUTO_CLOSE int fd = mkstemp(path);
	struct err err = { 0 };

	(void)state;
	assert_true(dprintf(fd, "{\"isolation\": \"vm\"}") > 0);
	o.config_path = path;
	assert_int_equal(with(ANY, "runtimeoptions.v1.Options", &o.base, &err), 0);
	/* Chosen by the configuration, not by who called us: an annotation may still speak. */
	assert_int_equal(made->rt.isolation, ISOLATION_UNSET);
	assert_int_equal(made->rt.default_isolation, ISOLATION_VM);
	o.config_body.data = (uint8_t *)"{\"isolation\": \"ns\"}";
	o.config_body.len = strlen("{\"isolation\": \"ns\"}");
	assert_int_equal(with(ANY, "runtimeoptions.v1.Options", &o.base, &err), 0);
	assert_int_equal(made->rt.default_isolation, ISOLATION_NS);
	o.config_body.len--;
	assert_int_equal(with(ANY, "runtimeoptions.v1.Options", &o.base, &err), -EINVAL);
	(void)unlink(path);
}

static void delete_finds_the_root_again(void **state)
{
	Caisson__Shim__Options o = CAISSON__SHIM__OPTIONS__INIT;
	char dir[] = "/tmp/settings.XXXXXX", root[64];
	AUTO_CLOSE int fd = -EBADF;
	struct settings *loaded = NULL;
	struct err err = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 2; i++) { /* containerd takes the bundle away beside `delete` */
		assert_int_equal(settings_load(NS, "k8s.io", i ? fd : -EBADF, &loaded, &err), 0);
		assert_string_equal(loaded->rt.root, SETTINGS_ROOT "/k8s.io");
		settings_free(loaded);
	}
	(void)snprintf(root, sizeof(root), "%s/root", dir);
	o.root = root;
	assert_int_equal(with(NS, "caisson.shim.Options", &o.base, &err), 0);
	assert_int_equal(settings_save(made, fd, &err), 0);
	assert_int_equal(settings_load(NS, "k8s.io", fd, &loaded, &err), 0);
	assert_string_equal(loaded->rt.root, made->rt.root);
	settings_free(loaded);
	assert_int_equal(unlinkat(fd, SETTINGS_FILE, 0), 0);
	(void)rmdir(dir);
}

/* A bundle whose container has its directory below `root`. */
static int bundle_of(char *dir, const char *root)
{
	char path[64];
	AUTO_CLOSE int file = -EBADF;

	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/" SETTINGS_FILE, dir);
	file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(dprintf(file, "{\"root\": \"%s\"}", root) > 0);
	return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void delete_does_not_need_the_configuration(void **state)
{
	char dir[] = "/tmp/settings.XXXXXX", path[] = "/tmp/settings.XXXXXX";
	AUTO_CLOSE int fd = bundle_of(dir, "/run/there");
	AUTO_CLOSE int config = mkstemp(path);
	struct err err = { 0 };

	(void)state;
	assert_true(dprintf(config, "{\"isolation\": \"strong\"}") > 0);
	assert_int_equal(setenv("CAISSON_CONFIG", path, 1), 0);
	assert_true(settings_new(ANY, "n", NULL, &made, &err) < 0);
	assert_int_equal(settings_load(ANY, "n", fd, &made, &err), 0);
	assert_string_equal(made->rt.root, "/run/there");
	assert_int_equal(setenv("CAISSON_CONFIG", "/nowhere/caisson.json", 1), 0);
	assert_int_equal(unlinkat(fd, SETTINGS_FILE, 0), 0);
	(void)unlink(path);
	(void)rmdir(dir);
}

static void a_delete_that_failed_says_so(void **state)
{
	char dir[] = "/tmp/settings.XXXXXX";
	AUTO_CLOSE int fd = bundle_of(dir, "here");
	const struct program_options options = {
		.program = ANY, .ns = "n", .id = "c1", .bundle = dir
	};
	struct err err = { 0 };

	(void)state;
	assert_int_equal(program_delete(&options, &err), -EINVAL);
	assert_says(err, "container c1");
	assert_int_equal(unlinkat(fd, SETTINGS_FILE, 0), 0);
	(void)rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(options_of_an_unknown_type_are_refused, teardown),
		cmocka_unit_test_teardown(options_that_are_no_message_are_refused, teardown),
		cmocka_unit_test_teardown(another_runtime_is_refused, teardown),
		cmocka_unit_test_teardown(an_unknown_class_and_a_relative_root_are_refused,
					  teardown),
		cmocka_unit_test_teardown(the_programs_name_has_the_first_word, teardown),
		cmocka_unit_test_teardown(options_of_runc_are_understood, teardown),
		cmocka_unit_test_teardown(a_handler_has_its_configuration, teardown),
		cmocka_unit_test_teardown(delete_finds_the_root_again, teardown),
		cmocka_unit_test_teardown(delete_does_not_need_the_configuration, teardown),
		cmocka_unit_test_teardown(a_delete_that_failed_says_so, teardown),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
