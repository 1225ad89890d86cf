/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_model.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "host/seccomp_cache.h"
#include "host/seccomp_internal.h"

struct place {
	char dir[48];
	int root, cache;
};

static struct oci_seccomp_rule rules[] = {
	{ .names = { (const char *[]){ "mkdir", "rmdir", NULL }, 2 }, .action = "SCMP_ACT_ERRNO" },
};

static struct oci_spec spec_of(const char *default_action)
{
	const struct oci_spec spec = { .linux.seccomp = { .set = true,
							  .default_action = default_action,
							  .rules = rules,
							  .rules_len = 1 } };

	return spec;
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/test_seccomp_cache_XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	p->root = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mkdirat(p->root, "cache", 0700) < 0)
		return -1;
	p->cache = openat(p->root, "cache", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return p->cache < 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	close(p->cache);
	close(p->root);
	free(p);
	return system(command);
}

/* The name of the only file, and how many there are. */
static int files(int dirfd, char name[static 256])
{
	DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *e;
	int n = 0;

	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		strcpy(name, e->d_name);
	}
	closedir(dir);
	return n;
}

/* One valid file in the cache; its name and bytes. */
static void fill(const struct place *p, const struct oci_spec *spec, char name[static 256],
		 struct buf *bytes)
{
	struct seccomp_program program = { 0 };
	struct err err = { 0 };

	assert_int_equal(seccomp_compile_cached(p->cache, spec, &program, &err), 0);
	seccomp_program_done(&program);
	assert_int_equal(files(p->cache, name), 1);
	assert_int_equal(fd_read_file(p->cache, name, bytes), 0);
}

static void an_empty_cache_has_nothing(void **state)
{
	const struct place *p = *state;
	const struct oci_spec spec = spec_of("SCMP_ACT_ALLOW");
	struct seccomp_program program = { .len = 77 };

	assert_int_equal(seccomp_cache_load(p->cache, &spec, &program), -ENOENT);
	assert_int_equal(program.len, 77);
}

static void every_damaged_byte_is_noticed_and_the_file_removed(void **state)
{
	const struct place *p = *state;
	const struct oci_spec spec = spec_of("SCMP_ACT_ALLOW");
	AUTO_BUF struct buf bytes = { 0 };
	struct seccomp_program program;
	char name[256];

	fill(p, &spec, name, &bytes);
	for (size_t i = 0; i < bytes.len; i++) {
		bytes.data[i] = (char)(bytes.data[i] ^ 0x10);
		assert_int_equal(fd_replace_file(p->cache, name, bytes.data, bytes.len, 0600), 0);
		bytes.data[i] = (char)(bytes.data[i] ^ 0x10);
		if (seccomp_cache_load(p->cache, &spec, &program) != -EBADMSG)
			fail_msg("byte %zu of %zu", i, bytes.len);
		assert_int_equal(faccessat(p->cache, name, F_OK, 0), -1);
	}
}

static void every_cut_file_is_noticed(void **state)
{
	const struct place *p = *state;
	const struct oci_spec spec = spec_of("SCMP_ACT_ALLOW");
	AUTO_BUF struct buf bytes = { 0 };
	struct seccomp_program program;
	char name[256];

	fill(p, &spec, name, &bytes);
	for (size_t len = 0; len < bytes.len; len++) {
		assert_int_equal(fd_replace_file(p->cache, name, bytes.data, len, 0600), 0);
		assert_int_equal(seccomp_cache_load(p->cache, &spec, &program), -EBADMSG);
	}
	assert_int_equal(buf_append(&bytes, "x", 1), 0);
	assert_int_equal(fd_replace_file(p->cache, name, bytes.data, bytes.len, 0600), 0);
	assert_int_equal(seccomp_cache_load(p->cache, &spec, &program), -EBADMSG);
}

/* Mode, owner, links and kinds of files that the runtime itself never makes. */
static void files_that_others_could_have_made_are_refused(void **state)
{
	const struct place *p = *state;
	const struct oci_spec spec = spec_of("SCMP_ACT_ALLOW");
	static const mode_t modes[] = { 0644, 0660, 0602, 0400, 04600, 0700 };
	AUTO_BUF struct buf bytes = { 0 };
	struct seccomp_program program;
	char name[256];

	fill(p, &spec, name, &bytes);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		assert_int_equal(fd_replace_file(p->cache, name, bytes.data, bytes.len, 0600), 0);
		assert_int_equal(fchmodat(p->cache, name, modes[i], 0), 0);
		assert_int_equal(seccomp_cache_load(p->cache, &spec, &program), -EBADMSG);
	}
	assert_int_equal(fd_replace_file(p->cache, name, bytes.data, bytes.len, 0600), 0);
	assert_int_equal(linkat(p->cache, name, p->cache, "other", 0), 0);
	assert_int_equal(seccomp_cache_load(p->cache, &spec, &program), -EBADMSG);
	assert_int_equal(symlinkat("other", p->cache, name), 0);
	assert_int_equal(seccomp_cache_load(p->cache, &spec, &program), -EBADMSG);
	assert_int_equal(mkfifoat(p->cache, name, 0600), 0);
	assert_int_equal(seccomp_cache_load(p->cache, &spec, &program), -EBADMSG);
	if (geteuid() == 0) {
		assert_int_equal(fd_replace_file(p->cache, name, bytes.data, bytes.len, 0600), 0);
		assert_int_equal(fchownat(p->cache, name, 1234, 0, 0), 0);
		assert_int_equal(seccomp_cache_load(p->cache, &spec, &program), -EBADMSG);
	}
}

static void a_directory_open_to_others_is_not_used(void **state)
{
	static const mode_t modes[] = { 0755, 0770, 0707, 0701 };
	const struct place *p = *state;
	const struct oci_spec spec = spec_of("SCMP_ACT_ALLOW");
	AUTO_BUF struct buf bytes = { 0 };
	struct seccomp_program program = { 0 };
	struct err err = { 0 };
	char name[256];

	fill(p, &spec, name, &bytes);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		assert_int_equal(fchmod(p->cache, modes[i]), 0);
		assert_int_equal(seccomp_cache_load(p->cache, &spec, &program), -EPERM);
		assert_int_equal(unlinkat(p->cache, name, 0) < 0 && errno != ENOENT, 0);
		assert_int_equal(seccomp_compile_cached(p->cache, &spec, &program, &err), 0);
		seccomp_program_done(&program);
		assert_int_equal(files(p->cache, name), 0);
	}
}

/* Goal: a clash of names (another profile's file under our name) is no hit. */
static void another_profiles_file_is_not_taken(void **state)
{
	const struct place *p = *state;
	const struct oci_spec a = spec_of("SCMP_ACT_ALLOW"), b = spec_of("SCMP_ACT_LOG");
	AUTO_BUF struct buf bytes_a = { 0 };
	struct seccomp_program program = { 0 };
	char name_a[256], name_b[256];
	struct err err = { 0 };

	fill(p, &a, name_a, &bytes_a);
	assert_int_equal(unlinkat(p->cache, name_a, 0), 0);
	assert_int_equal(seccomp_compile_cached(p->cache, &b, &program, &err), 0);
	seccomp_program_done(&program);
	assert_int_equal(files(p->cache, name_b), 1);
	assert_string_not_equal(name_a, name_b);
	assert_int_equal(fd_replace_file(p->cache, name_b, bytes_a.data, bytes_a.len, 0600), 0);
	assert_int_equal(seccomp_cache_load(p->cache, &b, &program), -ENOENT);
}

static void a_hit_is_the_compiled_program(void **state)
{
	const struct place *p = *state;
	struct oci_spec spec = spec_of("SCMP_ACT_ALLOW");
	struct seccomp_program cold = { 0 }, warm = { 0 };
	struct err err = { 0 };

	spec.linux.seccomp.flags = STRS("SECCOMP_FILTER_FLAG_LOG");
	assert_int_equal(seccomp_compile(&spec, &cold, &err), 0);
	assert_int_equal(seccomp_cache_store(p->cache, &spec, &cold), 0);
	assert_int_equal(seccomp_cache_load(p->cache, &spec, &warm), 0);
	assert_int_equal(cold.len, warm.len);
	assert_int_equal(warm.flags, SECCOMP_FILTER_FLAG_LOG);
	assert_int_equal(warm.notifies, cold.notifies);
	assert_memory_equal(cold.insns, warm.insns, cold.len * sizeof(*cold.insns));
	seccomp_program_done(&cold);
	seccomp_program_done(&warm);
}

/* Goal: each part of the question that changes the program changes the question. */
static void every_part_of_a_profile_counts(void **state)
{
	const struct place *p = *state;
	struct oci_seccomp_arg arg = {
		.index = 0, .value = 1, .value_two = 2, .op = "SCMP_CMP_EQ"
	};
	struct oci_seccomp_rule rule = {
		.names = STRS("kill"), .action = "SCMP_ACT_ERRNO", .args = &arg, .args_len = 1
	};
	struct oci_spec spec = spec_of("SCMP_ACT_ALLOW");
	const struct oci_strs two = STRS("kill", "tkill"), x86 = STRS("SCMP_ARCH_X86");
	const struct oci_strs log = STRS("SECCOMP_FILTER_FLAG_LOG");
	struct oci_kv annotation = { "run.oci.seccomp_fail_unknown_syscall", "1" };
	struct seccomp_program program = { 0 };
	struct err err = { 0 };
	int n = 0;
	char name[256];

	spec.linux.seccomp.rules = &rule;
#define COUNTS(change)                                                                        \
	do {                                                                                  \
		change;                                                                       \
		assert_int_equal(seccomp_cache_load(p->cache, &spec, &program), -ENOENT);     \
		assert_int_equal(seccomp_compile_cached(p->cache, &spec, &program, &err), 0); \
		seccomp_program_done(&program);                                               \
		assert_int_equal(files(p->cache, name), ++n);                                 \
	} while (0)
	COUNTS((void)0);
	COUNTS(arg.index = 1);
	COUNTS(arg.value = 3);
	COUNTS(arg.op = "SCMP_CMP_MASKED_EQ");
	COUNTS(arg.value_two = 1);
	COUNTS((rule.errno_ret = (struct oci_opt_u64){ .v = 5, .set = true }));
	COUNTS(rule.action = "SCMP_ACT_TRACE");
	COUNTS(rule.names = two);
	COUNTS(rule.args_len = 0);
	COUNTS(spec.linux.seccomp.default_action = "SCMP_ACT_LOG");
	COUNTS(spec.linux.seccomp.architectures = x86);
	COUNTS(spec.linux.seccomp.flags = log);
	COUNTS(spec.linux.seccomp.listener_path = "/x");
	COUNTS((spec.annotations = (struct oci_kvs){ &annotation, 1 }));
#undef COUNTS
}

static void a_full_cache_begins_anew(void **state)
{
	const struct place *p = *state;
	struct seccomp_program program = { 0 };
	struct oci_spec spec = spec_of("SCMP_ACT_ALLOW");
	struct err err = { 0 };
	char name[256];

	assert_int_equal(fd_replace_file(p->cache, "0.bpf.new.1", "", 0, 0600),
			 0); /* of a killed writer */
	for (uint64_t i = 1; i < SECCOMP_CACHE_FILES + 5; i++) {
		rules[0].errno_ret = (struct oci_opt_u64){ .v = i, .set = true };
		assert_int_equal(seccomp_compile_cached(p->cache, &spec, &program, &err), 0);
		seccomp_program_done(&program);
		assert_true(files(p->cache, name) <= SECCOMP_CACHE_FILES);
	}
	rules[0].errno_ret.set = false;
	assert_true(files(p->cache, name) < 10);
	assert_int_equal(faccessat(p->cache, "0.bpf.new.1", F_OK, 0), -1);
}

static void without_a_cache_it_compiles(void **state)
{
	const struct oci_spec spec = spec_of("SCMP_ACT_ALLOW"), bad = spec_of("SCMP_ACT_NONE");
	const struct oci_spec none = { 0 };
	const struct place *p = *state;
	struct seccomp_program program = { 0 };
	struct err err = { 0 };
	char name[256];

	assert_int_equal(seccomp_compile_cached(-1, &spec, &program, &err), 0);
	assert_true(program.len > 0);
	seccomp_program_done(&program);
	assert_int_equal(seccomp_compile_cached(p->cache, &bad, &program, &err), -EINVAL);
	assert_int_equal(seccomp_compile_cached(p->cache, &none, &program, &err), 0);
	assert_null(program.insns);
	assert_int_equal(files(p->cache, name), 0); /* neither failures nor nothing is kept */
}

static void programs_the_kernel_would_refuse_are_invalid(void **state)
{
	static const struct sock_filter ret = BPF_STMT(BPF_RET | BPF_K, 0);
	static const struct sock_filter bad[][2] = {
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), BPF_STMT(BPF_RET | BPF_K, 0) },
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), BPF_STMT(BPF_RET | BPF_K, 0) },
		{ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_K, 0) },
		{ BPF_STMT(BPF_LD | BPF_MEM, 16), BPF_STMT(BPF_RET | BPF_K, 0) },
		{ BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_RET | BPF_K, 0) },
		{ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0) },
		{ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), BPF_STMT(BPF_RET | BPF_K, 0) },
		{ BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 0) },
		{ BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), BPF_STMT(BPF_RET | BPF_K, 0) },
		{ BPF_STMT(0xffff, 0), BPF_STMT(BPF_RET | BPF_K, 0) },
		{ BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_LD | BPF_IMM, 0) },
	};

	assert_true(seccomp_program_is_valid(&ret, 1));
	assert_false(seccomp_program_is_valid(&ret, 0));
	assert_false(seccomp_program_is_valid(&ret, BPF_MAXINSNS + 1));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(seccomp_program_is_valid(bad[i], 2));
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(an_empty_cache_has_nothing),
		WITH_DIR(every_damaged_byte_is_noticed_and_the_file_removed),
		WITH_DIR(every_cut_file_is_noticed),
		WITH_DIR(files_that_others_could_have_made_are_refused),
		WITH_DIR(a_directory_open_to_others_is_not_used),
		WITH_DIR(another_profiles_file_is_not_taken),
		WITH_DIR(a_hit_is_the_compiled_program),
		WITH_DIR(every_part_of_a_profile_counts),
		WITH_DIR(a_full_cache_begins_anew),
		WITH_DIR(without_a_cache_it_compiles),
		cmocka_unit_test(programs_the_kernel_would_refuse_are_invalid),
	};

	return cmocka_run_group_tests_name("host/seccomp_cache", tests, NULL, NULL);
}
