/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_model.h"

#include "host/seccomp_internal.h"

#define FILTER_SAYS 0x1234u

static struct seccomp_program tiny(size_t len)
{
	struct seccomp_program p = { .insns = calloc(len, sizeof(*p.insns)), .len = len };

	for (size_t i = 0; i < len; i++)
		p.insns[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, FILTER_SAYS);
	return p;
}

static uint32_t ask(const struct seccomp_program *p, uint32_t arch, uint32_t nr)
{
	const struct seccomp_data data = { .nr = (int)nr, .arch = arch };

	return bpf_run(p->insns, p->len, &data);
}

static void a_program_without_room_is_left_alone(void **state)
{
	const struct seccomp_arch_max arch = { .audit_arch = AUDIT_ARCH_X86_64, .max = 10 };
	struct seccomp_program p = tiny(BPF_MAXINSNS);

	assert_int_equal(seccomp_prepend_enosys(&p, &arch, 1), -E2BIG);
	assert_int_equal(p.len, BPF_MAXINSNS);
	assert_int_equal(ask(&p, AUDIT_ARCH_X86_64, 1), FILTER_SAYS);
	seccomp_program_done(&p);
}

static void too_many_architectures_are_refused(void **state)
{
	const struct seccomp_arch_max archs[SECCOMP_ARCHS_MAX + 1] = { 0 };
	struct seccomp_program p = tiny(1);

	assert_int_equal(seccomp_prepend_enosys(&p, archs, SECCOMP_ARCHS_MAX + 1), -E2BIG);
	assert_int_equal(seccomp_prepend_enosys(&p, archs, 0), 0);
	assert_int_equal(p.len, 1);
	seccomp_program_done(&p);
}

static void numbers_above_the_highest_get_enosys(void **state)
{
	const struct seccomp_arch_max archs[] = {
		{ .audit_arch = AUDIT_ARCH_X86_64, .max = 448, .has_x32 = true, .x32_max = 540 },
		{ .audit_arch = AUDIT_ARCH_I386, .max = 449 },
	};
	const uint32_t enosys = SECCOMP_RET_ERRNO | ENOSYS;
	struct seccomp_program p = tiny(1);

	assert_int_equal(seccomp_prepend_enosys(&p, archs, 2), 0);
	assert_true(seccomp_program_is_valid(p.insns, p.len));
	assert_int_equal(ask(&p, AUDIT_ARCH_X86_64, 0), FILTER_SAYS);
	assert_int_equal(ask(&p, AUDIT_ARCH_X86_64, 448), FILTER_SAYS);
	assert_int_equal(ask(&p, AUDIT_ARCH_X86_64, 449), enosys);
	assert_int_equal(ask(&p, AUDIT_ARCH_X86_64, 0x3fffffff), enosys);
	assert_int_equal(ask(&p, AUDIT_ARCH_X86_64, 0x40000000), FILTER_SAYS);
	assert_int_equal(ask(&p, AUDIT_ARCH_X86_64, 0x40000000 + 540), FILTER_SAYS);
	assert_int_equal(ask(&p, AUDIT_ARCH_X86_64, 0x40000000 + 541), enosys);
	assert_int_equal(ask(&p, AUDIT_ARCH_X86_64, UINT32_MAX), enosys);
	assert_int_equal(ask(&p, AUDIT_ARCH_I386, 449), FILTER_SAYS);
	assert_int_equal(ask(&p, AUDIT_ARCH_I386, 450), enosys);
	assert_int_equal(ask(&p, AUDIT_ARCH_AARCH64, 5000), FILTER_SAYS); /* not ours to judge */
	seccomp_program_done(&p);
}

/* Goal: the far jumps still land with the most architectures that fit. */
static void the_largest_stub_is_right_for_each_architecture(void **state)
{
	struct seccomp_arch_max archs[SECCOMP_ARCHS_MAX];
	struct seccomp_program p = tiny(3);

	for (uint32_t i = 0; i < SECCOMP_ARCHS_MAX; i++)
		archs[i] = (struct seccomp_arch_max){ 1000 + i, 10 + i, true, 20 + i };
	assert_int_equal(seccomp_prepend_enosys(&p, archs, SECCOMP_ARCHS_MAX), 0);
	assert_true(seccomp_program_is_valid(p.insns, p.len));
	for (uint32_t i = 0; i < SECCOMP_ARCHS_MAX; i++) {
		assert_int_equal(ask(&p, 1000 + i, 10 + i), FILTER_SAYS);
		assert_int_equal(ask(&p, 1000 + i, 11 + i), SECCOMP_RET_ERRNO | ENOSYS);
		assert_int_equal(ask(&p, 1000 + i, SECCOMP_X32_BIT + 20 + i), FILTER_SAYS);
		assert_int_equal(ask(&p, 1000 + i, SECCOMP_X32_BIT + 21 + i),
				 SECCOMP_RET_ERRNO | ENOSYS);
	}
	assert_int_equal(ask(&p, 999, 11), FILTER_SAYS);
	seccomp_program_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_without_room_is_left_alone),
		cmocka_unit_test(too_many_architectures_are_refused),
		cmocka_unit_test(numbers_above_the_highest_get_enosys),
		cmocka_unit_test(the_largest_stub_is_right_for_each_architecture),
	};

	return cmocka_run_group_tests_name("host/seccomp_enosys", tests, NULL, NULL);
}
