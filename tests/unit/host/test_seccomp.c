/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler's refusals, and its programs against a naive reading of the profile. */
#include "bpf_model.h"

#include "host/seccomp_internal.h"

static const struct oci_opt_u64 no_errno;

static struct oci_seccomp_rule rule(const char *name, const char *action)
{
	static const char *names[64][2];
	static size_t used;
	const char **list = names[used++ % 64];

	list[0] = name;
	list[1] = NULL;
	return (struct oci_seccomp_rule){ .names = { list, 1 }, .action = action };
}

static int compile(const struct oci_seccomp *profile, struct seccomp_program *ret, struct err *err)
{
	const struct oci_spec spec = { .linux.seccomp = *profile };

	return seccomp_compile(&spec, ret, err);
}

/* Compile must fail with -EINVAL and name `what`. */
static void refused(const struct oci_seccomp *profile, const char *what)
{
	struct seccomp_program program = { .len = 77 };
	struct err err = { 0 };
	const int r = compile(profile, &program, &err);

	if (r != -EINVAL || err.code != -EINVAL || !strstr(err.msg, what))
		fail_msg("wanted \"%s\": %d %s", what, r, err.msg);
	assert_int_equal(program.len, 77);
}

static void unknown_words_are_named(void **state)
{
	struct oci_seccomp_arg arg = { .op = "SCMP_CMP_EQUAL" };
	struct oci_seccomp_rule r = rule("kill", "SCMP_ACT_NO");
	struct oci_seccomp s = { .set = true, .default_action = "SCMP_ACT_MAYBE" };

	refused(&s, "SCMP_ACT_MAYBE");
	s.default_action = NULL;
	refused(&s, "defaultAction");
	s.default_action = "SCMP_ACT_ALLOW";
	s.architectures = STRS("SCMP_ARCH_X86", "SCMP_ARCH_VAX");
	refused(&s, "SCMP_ARCH_VAX");
	s.architectures.len = 0;
	s.flags = STRS("SECCOMP_FILTER_FLAG_NONE");
	refused(&s, "SECCOMP_FILTER_FLAG_NONE");
	s.flags.len = 0;
	s.rules = &r;
	s.rules_len = 1;
	refused(&s, "SCMP_ACT_NO");
	r.action = "SCMP_ACT_ERRNO";
	r.args = &arg;
	r.args_len = 1;
	refused(&s, "SCMP_CMP_EQUAL");
	arg = (struct oci_seccomp_arg){ .op = "SCMP_CMP_EQ", .index = 6 };
	refused(&s, "index 6");
}

/* config-linux.md: errnoRet for an action that takes none is an error. */
static void errno_values_are_judged(void **state)
{
	static const char *const without[] = { "SCMP_ACT_KILL",	       "SCMP_ACT_KILL_PROCESS",
					       "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP",
					       "SCMP_ACT_LOG",	       "SCMP_ACT_ALLOW" };
	struct oci_seccomp_rule r = rule("kill", "SCMP_ACT_ERRNO");
	struct oci_seccomp s = { .set = true,
				 .default_action = "SCMP_ACT_ERRNO",
				 .default_errno_ret = { .v = 4096, .set = true },
				 .rules = &r,
				 .rules_len = 1 };
	struct seccomp_program program;
	struct err err = { 0 };

	refused(&s, "4096");
	for (size_t i = 0; i < ARRAY_LEN(without); i++) {
		s.default_action = without[i];
		s.default_errno_ret.v = 1;
		refused(&s, without[i]);
	}
	s.default_action = "SCMP_ACT_ALLOW";
	s.default_errno_ret = no_errno;
	r.action = "SCMP_ACT_TRACE";
	r.errno_ret = (struct oci_opt_u64){ .v = 65536, .set = true };
	refused(&s, "65536");
	r.errno_ret.v = 65535;
	assert_int_equal(compile(&s, &program, &err), 0);
	seccomp_program_done(&program);
}

/* Those that a hand-over by the filtered thread itself would need are no exceptions. */
static void notify_needs_a_listener_and_may_name_any_call(void **state)
{
	static const char *const calls[] = { "write", "sendmsg", "sched_yield", "exit", "execve" };
	struct oci_seccomp_rule r = rule("mkdir", "SCMP_ACT_NOTIFY");
	struct oci_seccomp s = { .set = true,
				 .default_action = "SCMP_ACT_NOTIFY",
				 .listener_path = "/x" };

	refused(&s, "default");
	s = (struct oci_seccomp){
		.set = true, .default_action = "SCMP_ACT_ALLOW", .rules = &r, .rules_len = 1
	};
	refused(&s, "listenerPath");
	s.listener_path = "/x";
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		struct seccomp_program program = { 0 };
		struct err err = { 0 };

		r = rule(calls[i], "SCMP_ACT_NOTIFY");
		assert_int_equal(compile(&s, &program, &err), 0);
		assert_true(program.notifies);
		seccomp_program_done(&program);
	}
}

static void unknown_calls_are_ignored_unless_told_otherwise(void **state)
{
	struct oci_seccomp_rule r = rule("no_such_call", "SCMP_ACT_ERRNO");
	struct oci_kv annotation = { "run.oci.seccomp_fail_unknown_syscall", "1" };
	struct oci_spec spec = { .linux.seccomp = { .set = true,
						    .default_action = "SCMP_ACT_ALLOW",
						    .rules = &r,
						    .rules_len = 1 } };
	struct seccomp_program program = { 0 };
	struct err err = { 0 };

	assert_int_equal(seccomp_compile(&spec, &program, &err), 0);
	seccomp_program_done(&program);
	spec.annotations = (struct oci_kvs){ &annotation, 1 };
	assert_int_equal(seccomp_compile(&spec, &program, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "no_such_call"));
	annotation.value = "0";
	assert_int_equal(seccomp_compile(&spec, &program, &err), 0);
	seccomp_program_done(&program);
}

static void no_seccomp_is_no_program(void **state)
{
	const struct oci_seccomp s = { .default_action = "nonsense" };
	struct seccomp_program program = { .len = 7 };
	struct err err = { 0 };

	assert_int_equal(compile(&s, &program, &err), 0);
	assert_null(program.insns);
	assert_int_equal(program.len, 0);
	seccomp_program_done(&program);
	seccomp_program_done(NULL);
}

static void flags_become_those_of_the_kernel(void **state)
{
	struct oci_seccomp_rule r = rule("mkdir", "SCMP_ACT_NOTIFY");
	struct oci_seccomp s = { .set = true,
				 .default_action = "SCMP_ACT_ALLOW",
				 .flags = STRS("SECCOMP_FILTER_FLAG_TSYNC",
					       "SECCOMP_FILTER_FLAG_LOG",
					       "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
					       "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV") };
	struct seccomp_program p;
	struct err err = { 0 };

	assert_int_equal(compile(&s, &p, &err), 0);
	assert_int_equal(p.flags, 2 | 4); /* one thread, no listener: the others mean nothing */
	assert_false(p.notifies);
	seccomp_program_done(&p);
	s.rules = &r;
	s.rules_len = 1;
	s.listener_path = "/x";
	assert_int_equal(compile(&s, &p, &err), 0);
	assert_int_equal(p.flags, 2 | 4 | 8 | 32);
	assert_true(p.notifies);
	seccomp_program_done(&p);
}

/* Ask program and model about one call. */
static void agree(const struct oci_seccomp *s, const struct seccomp_program *p, uint32_t arch,
		  uint32_t nr, const uint64_t args[6])
{
	struct seccomp_data data = { .nr = (int)nr, .arch = arch };
	uint32_t program, model;

	for (int i = 0; i < 6; i++)
		data.args[i] = arch == AUDIT_ARCH_I386 ? (uint32_t)args[i] : args[i];
	program = bpf_run(p->insns, p->len, &data);
	model = model_run(s, &data);
	if (program != model)
		fail_msg("arch 0x%x nr %u args %llx %llx %llx: program 0x%x, model 0x%x", arch, nr,
			 (unsigned long long)args[0], (unsigned long long)args[1],
			 (unsigned long long)args[2], program, model);
}

/* Every number around the tables of three architectures and one that is foreign. */
static void all_numbers_agree(const struct oci_seccomp *s, const struct seccomp_program *p)
{
	static const uint32_t archs[] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64 };
	static const uint64_t args[6];

	for (size_t i = 0; i < ARRAY_LEN(archs); i++) {
		for (uint32_t nr = 0; nr < 700; nr++)
			agree(s, p, archs[i], nr, args);
	}
	for (uint32_t nr = 0; nr < 700; nr++)
		agree(s, p, AUDIT_ARCH_X86_64, 0x40000000 | nr, args);
	agree(s, p, AUDIT_ARCH_X86_64, UINT32_MAX, args);
	agree(s, p, AUDIT_ARCH_I386, UINT32_MAX, args);
}

/*
 * An engine's size: each second call of libseccomp's own table is allowed. Calls that i386
 * multiplexes (socketcall, ipc) are not compared: libseccomp has two numbers for each.
 */
static void a_large_profile_decides_every_number_right(void **state)
{
	static const char *defaults[] = { "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS",
					  "SCMP_ACT_TRAP",  "SCMP_ACT_KILL",
					  "SCMP_ACT_LOG",   "SCMP_ACT_TRACE" };
	const char *names[512];
	size_t n = 0;

	for (int nr = 0; nr < 460; nr += 2) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);

		if (name && seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, name) > -100)
			names[n++] = name;
		else
			free(name);
	}
	names[n] = NULL;
	assert_true(n > 100);
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
		struct oci_seccomp_rule r = { .names = { names, n }, .action = "SCMP_ACT_ALLOW" };
		struct oci_seccomp s = { .set = true,
					 .default_action = defaults[i],
					 .architectures = STRS("SCMP_ARCH_X86_64", "SCMP_ARCH_X86",
							       "SCMP_ARCH_X32"),
					 .rules = &r,
					 .rules_len = 1 };
		struct seccomp_program p;
		struct err err = { 0 };

		assert_int_equal(compile(&s, &p, &err), 0);
		assert_true(seccomp_program_is_valid(p.insns, p.len));
		all_numbers_agree(&s, &p);
		seccomp_program_done(&p);
		s.architectures.len = 0; /* native alone */
		assert_int_equal(compile(&s, &p, &err), 0);
		all_numbers_agree(&s, &p);
		seccomp_program_done(&p);
	}
	while (n > 0)
		free((void *)(uintptr_t)names[--n]);
}

/* A default of ENOSYS needs no stub; runc leaves it out too. */
static void a_default_of_enosys_is_itself(void **state)
{
	struct oci_seccomp_rule r = rule("read", "SCMP_ACT_ALLOW");
	struct oci_seccomp s = { .set = true,
				 .default_action = "SCMP_ACT_ERRNO",
				 .default_errno_ret = { .v = ENOSYS, .set = true },
				 .rules = &r,
				 .rules_len = 1 };
	struct seccomp_program p;
	struct err err = { 0 };

	assert_int_equal(compile(&s, &p, &err), 0);
	all_numbers_agree(&s, &p);
	seccomp_program_done(&p);
}

static uint64_t random_state = 20261121;

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static size_t pick(size_t n)
{
	return (size_t)(random_number() >> 20) % n;
}

static uint64_t random_datum(bool wide)
{
	static const uint64_t values[] = { 0, 1, 2, 7, 0x7fffffff, 0x80000000, 0xffffffff };
	const uint64_t low = values[pick(ARRAY_LEN(values))];

	return wide ? low | values[pick(ARRAY_LEN(values))] << 32 : low;
}

struct random_profile {
	struct oci_seccomp s;
	struct oci_seccomp_rule rules[24];
	struct oci_seccomp_arg args[24][3];
	const char *names[24][2];
};

/* Calls that exist once in each of the three architectures. */
static const char *const call_names[] = { "read",   "write", "openat",	    "close",
					  "clone",  "kill",  "prctl",	    "execve",
					  "getpid", "mkdir", "personality", "unlinkat" };
static const char *const ops[] = { "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",	      "SCMP_CMP_EQ",
				   "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ" };
static const char *const acts[] = { "SCMP_ACT_ALLOW",	    "SCMP_ACT_ERRNO", "SCMP_ACT_KILL",
				    "SCMP_ACT_TRAP",	    "SCMP_ACT_LOG",   "SCMP_ACT_TRACE",
				    "SCMP_ACT_KILL_PROCESS" };

/*
 * A call has either one rule with up to three arguments, each compared once, or several rules that
 * each want one value of the same argument, all with one action. Rules of one call whose ranges
 * overlap in other ways are beyond libseccomp 2.5.4 (CAVEATS.md#seccomp-overlapping-rules), and the
 * model has no order of actions.
 */
static void make_random(struct random_profile *rp, bool wide)
{
	size_t first = pick(ARRAY_LEN(call_names));

	memset(rp, 0, sizeof(*rp));
	rp->s = (struct oci_seccomp){ .set = true,
				      .default_action = acts[pick(ARRAY_LEN(acts))],
				      .rules = rp->rules };
	for (size_t i = 0, n = 1 + pick(ARRAY_LEN(call_names)); i < n; i++) {
		const char *name = call_names[first++ % ARRAY_LEN(call_names)];
		const char *action = acts[pick(ARRAY_LEN(acts))];
		const size_t values = pick(3) == 0 ? 1 + pick(2) : 0;
		const uint32_t index = (uint32_t)pick(3);

		for (size_t k = 0; k < (values ? values : 1); k++) {
			const size_t at = rp->s.rules_len++;
			struct oci_seccomp_rule *r = &rp->rules[at];

			rp->names[at][0] = name;
			*r = (struct oci_seccomp_rule){ .names = { rp->names[at], 1 },
							.action = action,
							.args = rp->args[at],
							.args_len = values ? 1 : pick(4) };
			for (uint32_t a = 0; a < r->args_len; a++)
				r->args[a] = (struct oci_seccomp_arg){
					.index = values ? index : a,
					.value = random_datum(wide),
					.value_two = random_datum(wide),
					.op = values ? "SCMP_CMP_EQ" : ops[pick(ARRAY_LEN(ops))]
				};
		}
	}
}

static void random_profiles_agree(bool wide, int rounds)
{
	static struct random_profile rp;
	static const char *architectures[] = { "SCMP_ARCH_X86", "SCMP_ARCH_X32", NULL };

	for (int round = 0; round < rounds; round++) {
		struct seccomp_program p;
		struct err err = { 0 };

		make_random(&rp, wide);
		rp.s.architectures = (struct oci_strs){ architectures, wide ? 0 : 2 };
		if (compile(&rp.s, &p, &err) < 0)
			fail_msg("round %d: %s", round, err.msg);
		for (int question = 0; question < 400; question++) {
			static const uint32_t archs[] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386,
							  AUDIT_ARCH_X86_64 };
			const size_t a = wide ? 0 : pick(ARRAY_LEN(archs));
			const uint32_t token = a == 2 ? SCMP_ARCH_X32 : archs[a];
			const int nr = seccomp_syscall_resolve_name_arch(
				token, call_names[pick(ARRAY_LEN(call_names))]);
			uint64_t args[6] = { 0 };

			for (int i = 0; i < 3; i++)
				args[i] = random_datum(wide) + pick(3) - 1;
			if (!wide) {
				for (int i = 0; i < 3; i++)
					args[i] = (uint32_t)args[i];
			}
			agree(&rp.s, &p, archs[a], (uint32_t)nr, args);
		}
		seccomp_program_done(&p);
	}
}

static void random_profiles_with_32_bit_values_agree_on_three_architectures(void **state)
{
	random_profiles_agree(false, 150);
}

static void random_profiles_with_64_bit_values_agree(void **state)
{
	random_profiles_agree(true, 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_words_are_named),
		cmocka_unit_test(errno_values_are_judged),
		cmocka_unit_test(notify_needs_a_listener_and_may_name_any_call),
		cmocka_unit_test(unknown_calls_are_ignored_unless_told_otherwise),
		cmocka_unit_test(no_seccomp_is_no_program),
		cmocka_unit_test(flags_become_those_of_the_kernel),
		cmocka_unit_test(a_large_profile_decides_every_number_right),
		cmocka_unit_test(a_default_of_enosys_is_itself),
		cmocka_unit_test(random_profiles_with_32_bit_values_agree_on_three_architectures),
		cmocka_unit_test(random_profiles_with_64_bit_values_agree),
	};

	return cmocka_run_group_tests_name("host/seccomp", tests, NULL, NULL);
}
