/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of guests: what is refused, and what the rest computes. */
#include "lib/unit.h"

#include <errno.h>
#include <linux/audit.h>

#include "sentry/task/bpf.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define NR     offsetof(struct seccomp_data, nr)
#define IP     offsetof(struct seccomp_data, instruction_pointer)

static int check(const struct sock_filter *f, size_t len)
{
	bool uses_ip;

	return bpf_check(f, len, &uses_ip);
}

static void a_program_must_end_with_a_return(void **state)
{
	const struct sock_filter no_return[] = { BPF_STMT(BPF_LD | BPF_IMM, 1) };
	const struct sock_filter good[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };

	assert_int_equal(check(no_return, LEN(no_return)), -EINVAL);
	assert_int_equal(check(good, 0), -EINVAL);
	assert_int_equal(check(good, LEN(good)), 0);
}

static void a_jump_behind_the_end_is_refused(void **state)
{
	struct sock_filter f[] = { BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1),
				   BPF_STMT(BPF_RET | BPF_K, 0) };

	assert_int_equal(check(f, LEN(f)), -EINVAL);
	f[0] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1);
	assert_int_equal(check(f, LEN(f)), -EINVAL);
	f[0] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX);
	assert_int_equal(check(f, LEN(f)), -EINVAL);
	f[0] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0);
	assert_int_equal(check(f, LEN(f)), 0);
}

static void loads_stay_inside_and_aligned(void **state)
{
	struct sock_filter f[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64),
				   BPF_STMT(BPF_RET | BPF_A, 0) };

	assert_int_equal(check(f, LEN(f)), -EINVAL);
	f[0].k = 2;
	assert_int_equal(check(f, LEN(f)), -EINVAL);
	f[0].k = 60;
	assert_int_equal(check(f, LEN(f)), 0);
	f[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_MEM, BPF_MEMWORDS);
	assert_int_equal(check(f, LEN(f)), -EINVAL);
	f[0] = (struct sock_filter)BPF_STMT(BPF_STX, BPF_MEMWORDS);
	assert_int_equal(check(f, LEN(f)), -EINVAL);
	f[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0);
	assert_int_equal(check(f, LEN(f)), -EINVAL);
	f[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0);
	assert_int_equal(check(f, LEN(f)), -EINVAL);
}

static void arithmetic_that_has_no_answer_is_refused(void **state)
{
	struct sock_filter f[] = { BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0),
				   BPF_STMT(BPF_RET | BPF_A, 0) };

	assert_int_equal(check(f, LEN(f)), -EINVAL);
	f[0] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32);
	assert_int_equal(check(f, LEN(f)), -EINVAL);
	f[0] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3);
	assert_int_equal(check(f, LEN(f)), -EINVAL);
}

static void the_instruction_pointer_is_announced(void **state)
{
	struct sock_filter f[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, IP + 4),
				   BPF_STMT(BPF_RET | BPF_A, 0) };
	bool uses_ip = false;

	assert_int_equal(bpf_check(f, LEN(f), &uses_ip), 0);
	assert_true(uses_ip);
	f[0].k = NR;
	assert_int_equal(bpf_check(f, LEN(f), &uses_ip), 0);
	assert_false(uses_ip);
}

static void a_list_of_calls_is_told_apart(void **state)
{
	const struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 39, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 7),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + 4),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 5, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct seccomp_data d = { .nr = 39, .arch = AUDIT_ARCH_X86_64 };

	assert_int_equal(check(f, LEN(f)), 0);
	assert_int_equal(bpf_run(f, &d), SECCOMP_RET_ERRNO | 7);
	d.nr = 40;
	assert_int_equal(bpf_run(f, &d), SECCOMP_RET_ALLOW);
	d.args[1] = 6ull << 32;
	assert_int_equal(bpf_run(f, &d), SECCOMP_RET_TRAP);
}

static void memory_and_division_by_x_behave(void **state)
{
	const struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_IMM, 100),	BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LDX | BPF_IMM, 7),		BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),	BPF_STMT(BPF_LD | BPF_MEM, 3),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), BPF_STMT(BPF_RET | BPF_A, 0),
	};
	const struct sock_filter by_zero[] = { BPF_STMT(BPF_LD | BPF_IMM, 100),
					       BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
					       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	const struct seccomp_data d = { 0 };

	assert_int_equal(check(f, LEN(f)), 0);
	assert_int_equal(bpf_run(f, &d), 114);
	assert_int_equal(check(by_zero, LEN(by_zero)), 0);
	assert_int_equal(bpf_run(by_zero, &d), 0);
}

static void what_a_number_alone_decides_is_known_before_the_call(void **state)
{
	/* 39: allowed; 40: an argument decides; 41: refused; the rest: by the instruction pointer.
	 */
	const struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 39, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 40, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 41, 0, 3),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct seccomp_data d = { .nr = 39 };
	uint32_t result = 1;

	assert_int_equal(check(f, LEN(f)), 0);
	assert_true(bpf_run_by_number(f, &d, &result));
	assert_int_equal(result, SECCOMP_RET_ALLOW);
	d.nr = 41;
	assert_true(bpf_run_by_number(f, &d, &result));
	assert_int_equal(result, SECCOMP_RET_ERRNO);
	d.nr = 40;
	assert_false(bpf_run_by_number(f, &d, &result));
	d.nr = 42;
	assert_false(bpf_run_by_number(f, &d, &result));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_must_end_with_a_return),
		cmocka_unit_test(a_jump_behind_the_end_is_refused),
		cmocka_unit_test(loads_stay_inside_and_aligned),
		cmocka_unit_test(arithmetic_that_has_no_answer_is_refused),
		cmocka_unit_test(the_instruction_pointer_is_announced),
		cmocka_unit_test(a_list_of_calls_is_told_apart),
		cmocka_unit_test(memory_and_division_by_x_behave),
		cmocka_unit_test(what_a_number_alone_decides_is_known_before_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
