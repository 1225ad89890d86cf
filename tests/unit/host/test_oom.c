/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of the room's functions fails once (the linker wraps the allocator): the answer
 * is -ENOMEM or a success that does not need the memory, nothing is leaked or half made.
 * libseccomp's compiler is left out: 2.5.4 loops for ever when an allocation inside
 * gen_bpf_generate() fails (CAVEATS.md#libseccomp-oom); reading the cache is in.
 */
#include "hosttest.h"

#include <linux/filter.h>
#include <stdlib.h>

#include "host/ids.h"
#include "host/mount_options.h"
#include "host/rdt.h"
#include "host/seccomp.h"
#include "host/seccomp_cache.h"
#include "host/sockets.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strndup(const char *s, size_t n);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strndup(const char *s, size_t n);
void __wrap_free(void *block);

static struct {
	bool on;
	long left; /* allocations until the one that fails */
	bool failed;
	long live; /* blocks allocated minus freed while on */
} fault;

static bool fails(void)
{
	if (!fault.on || fault.failed || fault.left-- > 0)
		return false;
	fault.failed = true;
	errno = ENOMEM;
	return true;
}

static void *counted(void *block)
{
	if (fault.on && block)
		fault.live++;
	return block;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	if (fails())
		return NULL;
	return old ? __real_realloc(old, size) : counted(__real_realloc(old, size));
}

char *__wrap_strndup(const char *s, size_t n)
{
	return fails() ? NULL : counted(__real_strndup(s, n));
}

void __wrap_free(void *block)
{
	if (fault.on && block)
		fault.live--;
	__real_free(block);
}

/* Run `fn` until it gets through without a failure; returns how many allocations there were. */
static long fail_each(int (*fn)(void))
{
	for (long n = 0; n < 100000; n++) {
		const int before = open_descriptors();
		int r;

		fault = (typeof(fault)){ .on = true, .left = n };
		r = fn();
		fault.on = false;
		if (fault.live != 0)
			fail_msg("allocation %ld: %ld blocks are left (result %d)", n, fault.live,
				 r);
		assert_int_equal(open_descriptors(), before);
		if (!fault.failed) {
			assert_int_equal(r, 0);
			return n;
		}
		if (r != 0 && r != -ENOMEM)
			fail_msg("allocation %ld: result %d", n, r);
	}
	fail_msg("no end");
	return -1;
}

static int mount_options(void)
{
	const struct oci_strs words = STRS("size=64k", "mode=755", "nosuid");
	struct mount_options o;
	struct err err;
	const int r = mount_options_parse(&words, &o, &err);

	if (r == 0)
		mount_options_done(&o);
	return r;
}

static int long_socket_path(void)
{
	char path[300];
	struct err err;
	int r;

	memset(path, '/', sizeof(path));
	strcpy(path + 200, "tmp/nobody-made-this-socket");
	r = socket_connect(path, &err);
	return r == -ENOENT ? 0 : r;
}

static int schemata(void)
{
	const struct oci_intel_rdt rdt = { .set = true,
					   .l3_cache_schema = "L3:0=f",
					   .mem_bw_schema = "MB:0=1" };
	AUTO_CLOSE int dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool made;
	struct err err;
	const int r = rdt_apply(dir, &rdt, "nobody-made-this-class", 1, &made, &err);

	assert_int_equal(faccessat(dir, "nobody-made-this-class", F_OK, 0), -1);
	return r == -ENOENT ? 0 : r; /* a plain directory has no schemata */
}

static struct oci_seccomp_arg arg = { .index = 1, .value = 3, .op = "SCMP_CMP_GT" };
static struct oci_seccomp_rule rules[2];

static struct oci_spec profile(void)
{
	static const char *first[] = { "read", "openat", NULL }, *second[] = { "kill", NULL };

	rules[0] = (struct oci_seccomp_rule){ .names = { first, 2 }, .action = "SCMP_ACT_ALLOW" };
	rules[1] = (struct oci_seccomp_rule){
		.names = { second, 1 }, .action = "SCMP_ACT_ALLOW", .args = &arg, .args_len = 1
	};
	return (struct oci_spec){ .linux.seccomp = { .set = true,
						     .default_action = "SCMP_ACT_ERRNO",
						     .rules = rules,
						     .rules_len = 2 } };
}

/* Success under a failed allocation must be the whole program, never a part of the profile. */
static struct seccomp_program whole;

static int check_program(int r, struct seccomp_program *p)
{
	if (r == 0 && whole.insns) {
		assert_int_equal(p->len, whole.len);
		assert_memory_equal(p->insns, whole.insns, p->len * sizeof(*p->insns));
	}
	assert_true(r == 0 || !p->insns);
	seccomp_program_done(p);
	return r;
}

static int cache_fd = -1;

static int seccomp_from_cache(void)
{
	const struct oci_spec spec = profile();
	struct seccomp_program p = { 0 };
	const int r = seccomp_cache_load(cache_fd, &spec, &p);

	return check_program(r, &p);
}

static int user_namespace(void)
{
	static struct oci_id_map map[] = { { 0, 1000, 1 } };
	const struct oci_id_maps maps = { map, 1 };
	struct err err;
	const int fd = ids_userns_open(&maps, &maps, &err);

	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static void each_allocation_may_fail(void **state)
{
	assert_true(fail_each(mount_options) >= 1);
	assert_true(fail_each(long_socket_path) >= 1);
	assert_true(fail_each(schemata) >= 1);
}

static void each_allocation_of_the_cache_may_fail(void **state)
{
	char dir[] = "/tmp/test_oom_XXXXXX", command[64];
	const struct oci_spec spec = profile();
	struct err err;

	assert_non_null(mkdtemp(dir));
	cache_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(seccomp_compile(&spec, &whole, &err), 0);
	assert_int_equal(seccomp_cache_store(cache_fd, &spec, &whole), 0);
	assert_true(fail_each(seccomp_from_cache) >= 2);
	close(cache_fd);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static void each_allocation_of_a_user_namespace_may_fail(void **state)
{
	NEED_ROOT();
	assert_true(fail_each(user_namespace) >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_may_fail),
		cmocka_unit_test(each_allocation_of_the_cache_may_fail),
		cmocka_unit_test(each_allocation_of_a_user_namespace_may_fail),
	};

	return cmocka_run_group_tests_name("host/oom", tests, NULL, NULL);
}
