/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine is made of (runtime/vm/settings.h). */
#include "runtimetest.h"

#include <sys/sysinfo.h>

#include "base/json.h"
#include "base/str.h"
#include "runtime/vm/settings.h"

#define MIB (1ull << 20)

static const struct vm_settings plain = {
	.accel = "auto",
	.machine = "microvm",
	.memory = "512M",
	.cpus = "1",
	.overhead = "64M",
	.max_memory = "",
	.max_cpus = "",
	.boot_timeout = "30",
	.debug_console = "false",
	.templates = "off",
	.cache = "auto",
	.nested = "false",
};

static const char *const all[] = { "io.caisson.vm.*", NULL };

static int get(const struct vm_settings *settings, const char *key, const char *value,
	       const char *const *allowed, struct vm_config *ret, struct err *err)
{
	const struct runtime rt = { .vm = *settings,
				    .libexec = "/opt/caisson",
				    .allowed_annotations = allowed };
	AUTO_JSON json_t *annotations = json_object();

	if (key)
		assert_int_equal(json_object_set_new(annotations, key, json_string(value)), 0);
	return vm_settings_get(&rt, annotations, ret, err);
}

static void what_nothing_reads_is_found(void **state)
{
	static const char *const names[] = {
		"io.caisson.vm.accel",	"io.caisson.vm.memroy", "io.caisson.vm.rootfs",
		"io.caisson.vm.watch",	"io.caisson.isolation", "io.caisson.vm.template_dir",
		"io.caisson.vm.nested", "io.caisson.vm.",
	};
	AUTO_JSON json_t *annotations = json_object();
	const char *found = NULL;
	unsigned int n = 0;

	(void)state;
	assert_null(vm_settings_unknown(NULL, NULL));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(json_object_set_new(annotations, names[i], json_string("x")), 0);
	for (; (found = vm_settings_unknown(annotations, found)); n++)
		assert_true(str_eq(found, names[1]) || str_eq(found, names[5]) ||
			    str_eq(found, names[7]));
	assert_int_equal(n, 3);
}

static void a_value_that_is_none_is_refused_by_its_key(void **state)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ "accel", "xen" },	 { "machine", "pc" },	    { "memory", "much" },
		{ "memory", "1M" },	 { "memory", "2048G" },	    { "cpus", "0" },
		{ "cpus", "65" },	 { "cpus", "1.5" },	    { "overhead", "-1" },
		{ "max_memory", "8K" },	 { "max_memory", "all" },   { "max_cpus", "0" },
		{ "boot_timeout", "0" }, { "boot_timeout", "601" }, { "debug_console", "yes" },
		{ "kernel", "vmlinux" }, { "qemu", "bin/qemu" },    { "templates", "yes" },
		{ "cache", "metadata" }, { "nested", "1" },
	};
	struct vm_config config;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };
		char key[64], said[64];

		(void)snprintf(key, sizeof(key), "io.caisson.vm.%s", rows[i].key);
		(void)snprintf(said, sizeof(said), "vm.%s: \"%s\" is not", rows[i].key,
			       rows[i].value);
		assert_int_equal(get(&plain, key, rows[i].value, all, &config, &err), -EINVAL);
		assert_non_null(strstr(err.msg, said));
	}
}

static void an_annotation_counts_only_where_it_is_allowed(void **state)
{
	static const char *const other[] = { "io.caisson.vm.cpus", NULL };
	struct vm_config config;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(get(&plain, "io.caisson.vm.memory", "1G", NULL, &config, &err), -EPERM);
	assert_non_null(strstr(err.msg, "io.caisson.vm.memory"));
	assert_int_equal(get(&plain, "io.caisson.vm.memory", "1G", other, &config, &err), -EPERM);
	assert_int_equal(get(&plain, "io.caisson.vm.memory", "1G", all, &config, &err), 0);
	assert_int_equal(config.memory, 1024 * MIB);
}

static void what_nobody_says_is_the_default(void **state)
{
	struct vm_config config;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(get(&plain, NULL, NULL, NULL, &config, &err), 0);
	assert_string_equal(config.kernel, "/opt/caisson/guest/vmlinux");
	assert_string_equal(config.image, "/opt/caisson/guest/image");
	assert_string_equal(config.qemu, "");
	assert_true(config.try_kvm && !config.only_kvm && !config.debug_console && !config.nested);
	assert_int_equal(config.boot_ms, 30000);
}

static void accelerator_and_paths_are_taken(void **state)
{
	struct vm_settings settings = plain;
	struct vm_config config;
	struct err err = { 0 };

	(void)state;
	settings.kernel = "/boot/vmlinux";
	settings.accel = "tcg";
	assert_int_equal(get(&settings, "io.caisson.vm.machine", "q35", all, &config, &err), 0);
	assert_string_equal(config.kernel, "/boot/vmlinux");
	assert_int_equal(config.type, MACHINE_Q35);
	assert_true(!config.try_kvm && !config.only_kvm);
	assert_int_equal(get(&settings, "io.caisson.vm.accel", "kvm", all, &config, &err), 0);
	assert_true(config.try_kvm && config.only_kvm);
}

static void nothing_may_be_above_the_host(void **state)
{
	struct vm_settings settings = plain;
	struct vm_config config;
	struct sysinfo info;
	struct err err = { 0 };
	uint64_t host;

	(void)state;
	assert_int_equal(sysinfo(&info), 0);
	host = (uint64_t)info.totalram * info.mem_unit;
	assert_int_equal(get(&settings, NULL, NULL, NULL, &config, &err), 0);
	assert_int_equal(config.max_memory, host);
	assert_int_equal(config.max_cpus, get_nprocs() < 64 ? get_nprocs() : 64);
	settings.max_memory = "900G";
	settings.max_cpus = "64";
	assert_int_equal(get(&settings, NULL, NULL, NULL, &config, &err), 0);
	assert_int_equal(config.max_memory, host);
	assert_true(config.max_cpus <= (uint32_t)get_nprocs());
	settings.max_memory = "128M";
	settings.max_cpus = "1";
	assert_int_equal(get(&settings, NULL, NULL, NULL, &config, &err), 0);
	assert_int_equal(config.max_memory, 128 * MIB);
	assert_int_equal(config.max_cpus, 1);
	/* What is refused says what would not be. */
	assert_int_equal(get(&plain, "io.caisson.vm.memory", "1M", all, &config, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "a size from 48M to"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nothing_reads_is_found),
		cmocka_unit_test(a_value_that_is_none_is_refused_by_its_key),
		cmocka_unit_test(an_annotation_counts_only_where_it_is_allowed),
		cmocka_unit_test(what_nobody_says_is_the_default),
		cmocka_unit_test(accelerator_and_paths_are_taken),
		cmocka_unit_test(nothing_may_be_above_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
