/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine is made of and how big it is (runtime/vm/settings.h, size.h). */
#include "runtimetest.h"

#include <sys/sysinfo.h>

#include "base/json.h"
#include "base/str.h"
#include "runtime/vm/settings.h"
#include "runtime/vm/size.h"

#define MIB (1ull << 20)

static const struct vm_settings plain = {
	.accel = "auto",
	.machine = "microvm",
	.memory = "512M",
	.cpus = "1",
	.overhead = "64M",
	.boot_timeout = "30",
	.debug_console = "false",
	.templates = "off",
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

static void a_value_that_is_none_is_refused_by_its_key(void **state)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ "accel", "xen" },	 { "machine", "pc" },	    { "memory", "much" },
		{ "memory", "1M" },	 { "memory", "2048G" },	    { "cpus", "0" },
		{ "cpus", "65" },	 { "cpus", "1.5" },	    { "overhead", "-1" },
		{ "boot_timeout", "0" }, { "boot_timeout", "601" }, { "debug_console", "yes" },
		{ "kernel", "vmlinux" }, { "qemu", "bin/qemu" },    { "templates", "yes" },
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
	assert_true(config.try_kvm && !config.only_kvm && !config.debug_console);
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

static struct vm_size size_of(const struct oci_spec *spec)
{
	struct vm_config config;
	struct vm_size size;
	struct err err = { 0 };

	assert_int_equal(get(&plain, NULL, NULL, NULL, &config, &err), 0);
	assert_int_equal(vm_size_get(&config, spec, &size, &err), 0);
	return size;
}

static void memory_is_the_limit_and_the_overhead(void **state)
{
	struct oci_spec spec = { 0 };

	(void)state;
	assert_int_equal(size_of(&spec).memory, 512 * MIB);
	spec.linux.resources.memory.limit = (struct oci_opt_i64){ -1, true };
	assert_int_equal(size_of(&spec).memory, 512 * MIB);
	spec.linux.resources.memory.limit = (struct oci_opt_i64){ 100 * MIB + 1, true };
	assert_int_equal(size_of(&spec).memory, 166 * MIB);
	spec.linux.resources.memory.limit = (struct oci_opt_i64){ INT64_MAX, true };
	assert_int_equal(size_of(&spec).memory, 512 * MIB);
}

static void the_pods_limits_come_before_the_containers(void **state)
{
	struct oci_kv kvs[] = { { "io.kubernetes.cri.sandbox-memory", "268435456" },
				{ "io.kubernetes.cri.sandbox-cpu-quota", "0" } };
	struct oci_spec spec = { .annotations = { kvs, 2 } };

	(void)state;
	spec.linux.resources.memory.limit = (struct oci_opt_i64){ 100 * MIB, true };
	assert_int_equal(size_of(&spec).memory, 320 * MIB);
	assert_int_equal(size_of(&spec).cpus, 1);
	kvs[0].value = "lots";
	assert_int_equal(size_of(&spec).memory, 164 * MIB);
}

static void vcpus_are_the_quotas_and_never_more_than_the_hosts(void **state)
{
	const uint32_t host = (uint32_t)get_nprocs();
	struct oci_spec spec = { 0 };

	(void)state;
	spec.linux.resources.cpu.quota = (struct oci_opt_i64){ 50000, true };
	assert_int_equal(size_of(&spec).cpus, 1);
	spec.linux.resources.cpu.quota.v = 100001;
	assert_int_equal(size_of(&spec).cpus, host < 2 ? host : 2);
	spec.linux.resources.cpu.period = (struct oci_opt_u64){ 10000, true };
	assert_int_equal(size_of(&spec).cpus, host < 11 ? host : 11);
	spec.linux.resources.cpu.quota.v = INT64_MAX;
	assert_int_equal(size_of(&spec).cpus, host < MACHINE_CPUS_MAX ? host : MACHINE_CPUS_MAX);
	spec.linux.resources.cpu.quota.v = -1;
	assert_int_equal(size_of(&spec).cpus, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_that_is_none_is_refused_by_its_key),
		cmocka_unit_test(an_annotation_counts_only_where_it_is_allowed),
		cmocka_unit_test(what_nobody_says_is_the_default),
		cmocka_unit_test(accelerator_and_paths_are_taken),
		cmocka_unit_test(memory_is_the_limit_and_the_overhead),
		cmocka_unit_test(the_pods_limits_come_before_the_containers),
		cmocka_unit_test(vcpus_are_the_quotas_and_never_more_than_the_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
