/* SPDX-License-Identifier: Apache-2.0 */
/* The words of linux.seccomp (config-linux.md#seccomp) and what `features` says about them. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/str.h"
#include "host/seccomp.h"
#include "host/seccomp_internal.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* Linux 5.19 */
#endif
#ifndef AUDIT_ARCH_LOONGARCH64
#define AUDIT_ARCH_LOONGARCH64 (258 | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#endif

struct word {
	const char *name;
	uint32_t value;
	enum seccomp_errno_use errno_use;
};

static const struct word actions[] = {
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, SECCOMP_NO_ERRNO },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), SECCOMP_ERRNO_VALUE },
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD, SECCOMP_NO_ERRNO },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, SECCOMP_NO_ERRNO },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, SECCOMP_NO_ERRNO },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG, SECCOMP_NO_ERRNO },
	{ "SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY, SECCOMP_NO_ERRNO },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), SECCOMP_TRACE_VALUE },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP, SECCOMP_NO_ERRNO },
};

static const struct word operators[] = {
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ, SECCOMP_NO_ERRNO },
	{ "SCMP_CMP_GE", SCMP_CMP_GE, SECCOMP_NO_ERRNO },
	{ "SCMP_CMP_GT", SCMP_CMP_GT, SECCOMP_NO_ERRNO },
	{ "SCMP_CMP_LE", SCMP_CMP_LE, SECCOMP_NO_ERRNO },
	{ "SCMP_CMP_LT", SCMP_CMP_LT, SECCOMP_NO_ERRNO },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ, SECCOMP_NO_ERRNO },
	{ "SCMP_CMP_NE", SCMP_CMP_NE, SECCOMP_NO_ERRNO },
};

/* What libseccomp 2.5.4 can compile; the specification's other words (SH, M68K ...) are refused by
 * name. */
static const struct word archs[] = {
	{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_MIPS", SCMP_ARCH_MIPS, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_PARISC", SCMP_ARCH_PARISC, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_PPC", SCMP_ARCH_PPC, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_PPC64", SCMP_ARCH_PPC64, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_S390", SCMP_ARCH_S390, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_S390X", SCMP_ARCH_S390X, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86, SECCOMP_NO_ERRNO },
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64, SECCOMP_NO_ERRNO },
};

static const struct word flags[] = {
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG, SECCOMP_NO_ERRNO },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_NO_ERRNO },
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_NO_ERRNO },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
	  SECCOMP_NO_ERRNO },
};

static const struct word *find(const struct word *table, size_t len, const char *word)
{
	for (size_t i = 0; word && i < len; i++) {
		if (str_eq(table[i].name, word))
			return &table[i];
	}
	return NULL;
}

int seccomp_action_from_word(const char *word, uint32_t *ret_action,
			     enum seccomp_errno_use *ret_errno_use)
{
	const struct word *w = find(actions, ARRAY_LEN(actions), word);

	if (!w)
		return -EINVAL;
	*ret_action = w->value;
	*ret_errno_use = w->errno_use;
	return 0;
}

int seccomp_op_from_word(const char *word, int *ret_op)
{
	const struct word *w = find(operators, ARRAY_LEN(operators), word);

	if (!w)
		return -EINVAL;
	*ret_op = (int)w->value;
	return 0;
}

int seccomp_arch_from_word(const char *word, uint32_t *ret_token)
{
	const struct word *w = find(archs, ARRAY_LEN(archs), word);

	if (!w)
		return -EINVAL;
	*ret_token = w->value;
	return 0;
}

int seccomp_flag_from_word(const char *word, unsigned int *ret_flag)
{
	const struct word *w = find(flags, ARRAY_LEN(flags), word);

	if (!w)
		return -EINVAL;
	*ret_flag = w->value;
	return 0;
}

static const char *const *names_of(const struct word *table, size_t len, const char **names)
{
	for (size_t i = 0; i < len; i++)
		names[i] = table[i].name;
	names[len] = NULL;
	return names;
}

const char *const *seccomp_known_actions(void)
{
	static const char *names[ARRAY_LEN(actions) + 1];

	return names_of(actions, ARRAY_LEN(actions), names);
}

const char *const *seccomp_known_operators(void)
{
	static const char *names[ARRAY_LEN(operators) + 1];

	return names_of(operators, ARRAY_LEN(operators), names);
}

const char *const *seccomp_known_archs(void)
{
	static const char *names[ARRAY_LEN(archs) + 1];

	return names_of(archs, ARRAY_LEN(archs), names);
}

const char *const *seccomp_known_flags(void)
{
	static const char *names[ARRAY_LEN(flags) + 1];

	return names_of(flags, ARRAY_LEN(flags), names);
}

/* seccomp(2): an unknown flag is EINVAL, a known one gets as far as the NULL program: EFAULT. */
static bool kernel_takes(unsigned int flag)
{
	if (flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
		flag |= SECCOMP_FILTER_FLAG_NEW_LISTENER; /* has no meaning without one */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag, NULL) < 0 && errno == EFAULT;
}

int seccomp_supported_flags(const char ***ret, struct err *err)
{
	const char **names = calloc(ARRAY_LEN(flags) + 1, sizeof(*names));
	size_t n = 0;

	if (!names)
		return err_sys(err, -ENOMEM, "seccomp flags");
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (kernel_takes(flags[i].value))
			names[n++] = flags[i].name;
	}
	*ret = names;
	return 0;
}

const char *seccomp_library_version(char text[static 32])
{
	const struct scmp_version *v = seccomp_version();

	if (v)
		(void)snprintf(text, 32, "%u.%u.%u", v->major, v->minor, v->micro);
	else
		(void)snprintf(text, 32, "unknown");
	return text;
}
