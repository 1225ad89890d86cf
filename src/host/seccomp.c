/* SPDX-License-Identifier: Apache-2.0 */
#include "host/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/seccomp_internal.h"
#include "host/sockets.h"

#define FAIL_UNKNOWN_ANNOTATION "run.oci.seccomp_fail_unknown_syscall"
#define ERRNO_MAX		4095 /* MAX_ERRNO of the kernel; more is cut off silently */
#define TREE_FROM_RULES		32   /* names from which a binary tree pays (runc's number) */
#define ARGS_MAX		6    /* arguments of a system call */

struct compiler {
	const struct oci_seccomp *config;
	scmp_filter_ctx ctx;
	uint32_t default_action;
	uint32_t archs[SECCOMP_ARCHS_MAX]; /* libseccomp tokens, native first, no doubles */
	size_t archs_len;
	bool fail_unknown;
	bool notifies;
	size_t names;
};

/*
 * libseccomp 2.5.4 reports success for half a program when an allocation fails inside it
 *. The allocator leaves ENOMEM in errno then, which was cleared before the call:
 * believe that.
 */
static int checked(int r)
{
	return errno == ENOMEM ? -ENOMEM : r;
}

static void ctx_release(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

/* An action word and its errnoRet: config-linux.md makes one that takes no errno an error. */
static int action_of(const char *word, const struct oci_opt_u64 *errno_ret, const char *field,
		     uint32_t *ret, struct err *err)
{
	enum seccomp_errno_use use;
	uint64_t value = EPERM;
	uint32_t action;

	if (seccomp_action_from_word(word, &action, &use) < 0)
		return err_set(err, -EINVAL, "linux.seccomp: %s \"%s\" is unknown", field,
			       word ? word : "");
	if (errno_ret->set) {
		const uint64_t max = use == SECCOMP_ERRNO_VALUE ? ERRNO_MAX : UINT16_MAX;

		if (use == SECCOMP_NO_ERRNO)
			return err_set(err, -EINVAL, "linux.seccomp: %s %s takes no errnoRet",
				       field, word);
		if (errno_ret->v > max)
			return err_set(err, -EINVAL,
				       "linux.seccomp: errnoRet %llu of %s %s is above %llu",
				       (unsigned long long)errno_ret->v, field, word,
				       (unsigned long long)max);
		value = errno_ret->v;
	}
	*ret = use == SECCOMP_NO_ERRNO ? action : action | (uint32_t)value;
	return 0;
}

static int add_arch(struct compiler *c, uint32_t token, const char *word, struct err *err)
{
	int r;

	for (size_t i = 0; i < c->archs_len; i++) {
		if (c->archs[i] == token)
			return 0;
	}
	if (c->archs_len == SECCOMP_ARCHS_MAX)
		return err_set(err, -E2BIG, "linux.seccomp: too many architectures");
	errno = 0;
	r = checked(seccomp_arch_add(c->ctx, token));
	if (r < 0 && r != -EEXIST)
		return err_sys(err, r, "linux.seccomp: add architecture %s", word);
	c->archs[c->archs_len++] = token;
	return 0;
}

/* The machine's own architecture is always in, as in runc: nothing else could run. */
static int add_archs(struct compiler *c, struct err *err)
{
	int r = add_arch(c, seccomp_arch_native(), "native", err);

	for (size_t i = 0; r == 0 && i < c->config->architectures.len; i++) {
		const char *word = c->config->architectures.items[i];
		uint32_t token;

		if (seccomp_arch_from_word(word, &token) < 0)
			return err_set(err, -EINVAL,
				       "linux.seccomp: architecture \"%s\" is unknown to this "
				       "program",
				       word);
		r = add_arch(c, token, word, err);
	}
	return r;
}

static int compare_of(const struct oci_seccomp_arg *arg, struct scmp_arg_cmp *ret, struct err *err)
{
	int op;

	if (arg->index >= ARGS_MAX)
		return err_set(err, -EINVAL, "linux.seccomp: argument index %u is above 5",
			       arg->index);
	if (seccomp_op_from_word(arg->op, &op) < 0)
		return err_set(err, -EINVAL, "linux.seccomp: operator \"%s\" is unknown",
			       arg->op ? arg->op : "");
	*ret = (struct scmp_arg_cmp){ .arg = arg->index,
				      .op = (enum scmp_compare)op,
				      .datum_a = arg->value,
				      .datum_b = arg->value_two };
	return 0;
}

struct rule {
	uint32_t action;
	struct scmp_arg_cmp *compares; /* owned */
	size_t len;
	bool any_of; /* the same argument twice: each comparison is a rule of its own (runc) */
};

static void rule_done(struct rule *rule)
{
	free(rule->compares);
}

static int rule_of(const struct oci_seccomp_rule *in, struct rule *ret, struct err *err)
{
	AUTO(rule_done) struct rule rule = { 0 };
	unsigned int seen = 0;
	int r = action_of(in->action, &in->errno_ret, "action", &rule.action, err);

	if (r < 0)
		return r;
	rule.compares = in->args_len > 0 ? calloc(in->args_len, sizeof(*rule.compares)) : NULL;
	if (in->args_len > 0 && !rule.compares)
		return err_sys(err, -ENOMEM, "linux.seccomp");
	for (size_t i = 0; i < in->args_len; i++) {
		r = compare_of(&in->args[i], &rule.compares[i], err);
		if (r < 0)
			return r;
		rule.any_of |= (seen & 1u << in->args[i].index) != 0;
		seen |= 1u << in->args[i].index;
	}
	rule.len = in->args_len;
	*ret = rule;
	rule.compares = NULL;
	return 0;
}

static int add_name(struct compiler *c, const char *name, const struct rule *rule, struct err *err)
{
	const int nr = seccomp_syscall_resolve_name(name);
	int r = 0;

	if (nr == __NR_SCMP_ERROR && c->fail_unknown)
		return err_set(err, -EINVAL, "linux.seccomp: the system call \"%s\" is unknown",
			       name);
	if (nr == __NR_SCMP_ERROR) {
		log_debug("seccomp: the system call %s is unknown to libseccomp, ignored", name);
		return 0;
	}
	c->notifies |= rule->action == SCMP_ACT_NOTIFY;
	c->names++;
	errno = 0;
	for (size_t i = 0; r == 0 && rule->any_of && i < rule->len; i++)
		r = checked(
			seccomp_rule_add_array(c->ctx, rule->action, nr, 1, &rule->compares[i]));
	if (!rule->any_of)
		r = checked(seccomp_rule_add_array(c->ctx, rule->action, nr,
						   (unsigned int)rule->len, rule->compares));
	/* -EEXIST: the profile says it twice. -EDOM: not a call of one of the architectures. */
	if (r < 0 && r != -EEXIST && r != -EDOM)
		return err_sys(err, r, "linux.seccomp: add a rule for %s", name);
	return 0;
}

static int add_rules(struct compiler *c, struct err *err)
{
	for (size_t i = 0; i < c->config->rules_len; i++) {
		const struct oci_seccomp_rule *in = &c->config->rules[i];
		AUTO(rule_done) struct rule rule = { 0 };
		int r = rule_of(in, &rule, err);

		if (r < 0)
			return r;
		if (rule.action == c->default_action)
			continue; /* says what is so anyway; libseccomp refuses such rules */
		for (size_t k = 0; k < in->names.len; k++) {
			r = add_name(c, in->names.items[k], &rule, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* libseccomp 2.5 writes to descriptors only. */
static int export_program(const struct compiler *c, struct seccomp_program *program,
			  struct err *err)
{
	AUTO_CLOSE int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct stat st;
	ssize_t n;
	int r;

	if (fd < 0)
		return err_sys(err, -errno, "linux.seccomp: memfd");
	errno = 0;
	r = checked(seccomp_export_bpf(c->ctx, fd));
	if (r < 0)
		return err_sys(err, r, "linux.seccomp: generate the program");
	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, "linux.seccomp: memfd");
	program->len = (size_t)st.st_size / sizeof(*program->insns);
	if (program->len == 0 || program->len > BPF_MAXINSNS)
		return err_set(err, -E2BIG,
			       "linux.seccomp: the program has %zu instructions, the kernel takes "
			       "1 to %d",
			       program->len, BPF_MAXINSNS);
	program->insns = calloc(program->len, sizeof(*program->insns));
	if (!program->insns)
		return err_sys(err, -ENOMEM, "linux.seccomp");
	n = pread(fd, program->insns, program->len * sizeof(*program->insns), 0);
	if (n < 0 || (size_t)n != program->len * sizeof(*program->insns))
		return err_sys(err, n < 0 ? -errno : -EIO, "linux.seccomp: read the program");
	return 0;
}

/* The highest number that the profile names, as `token` counts; 0 if it names none (runc's rule).
 */
static uint32_t highest_named(const struct compiler *c, uint32_t token)
{
	int highest = 0;

	for (size_t i = 0; i < c->config->rules_len; i++) {
		const struct oci_strs *names = &c->config->rules[i].names;

		for (size_t k = 0; k < names->len; k++) {
			const int nr = seccomp_syscall_resolve_name_arch(token, names->items[k]);

			if (nr > highest) /* libseccomp's pseudo numbers are negative */
				highest = nr;
		}
	}
	return (uint32_t)highest;
}

/*
 * The ENOSYS stub is for profiles that refuse by default. ALLOW, LOG and TRACE let new calls
 * through (a tracer answers for itself), and a default of ENOSYS says it already.
 */
static bool wants_enosys(const struct compiler *c)
{
	const uint32_t action = c->default_action & SECCOMP_RET_ACTION_FULL;

	return action != SCMP_ACT_ALLOW && action != SCMP_ACT_LOG && action != SCMP_ACT_TRACE(0) &&
	       c->default_action != SCMP_ACT_ERRNO(ENOSYS);
}

static int add_enosys(const struct compiler *c, struct seccomp_program *program, struct err *err)
{
	struct seccomp_arch_max archs[SECCOMP_ARCHS_MAX];
	size_t len = 0;
	int r;

	for (size_t i = 0; i < c->archs_len; i++) {
		const uint32_t highest = highest_named(c, c->archs[i]);
		/* x32 shares its token with x86-64: both are one section. */
		const bool x32 = c->archs[i] == SCMP_ARCH_X32;
		const uint32_t token = x32 ? AUDIT_ARCH_X86_64 : c->archs[i];
		size_t k = 0;

		if (highest == 0)
			continue;
		while (k < len && archs[k].audit_arch != token)
			k++;
		if (k == len)
			archs[len++] =
				(struct seccomp_arch_max){ .audit_arch = token, .max = UINT32_MAX };
		if (x32) {
			archs[k].has_x32 = true;
			archs[k].x32_max = highest & ~SECCOMP_X32_BIT;
		} else {
			archs[k].max = highest;
		}
	}
	r = seccomp_prepend_enosys(program, archs, len);
	return r < 0 ? err_sys(err, r, "linux.seccomp: answer ENOSYS to unknown calls") : 0;
}

/* TSYNC is taken and means nothing: the filter is installed by a process with one thread. */
static int flags_of(const struct oci_seccomp *config, bool notifies, unsigned int *ret,
		    struct err *err)
{
	unsigned int flags = 0;

	for (size_t i = 0; i < config->flags.len; i++) {
		unsigned int flag;

		if (seccomp_flag_from_word(config->flags.items[i], &flag) < 0)
			return err_set(err, -EINVAL, "linux.seccomp: flag \"%s\" is unknown",
				       config->flags.items[i]);
		flags |= flag;
	}
	flags &= ~(unsigned int)SECCOMP_FILTER_FLAG_TSYNC;
	if (notifies)
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	else
		flags &= ~(1u << 5); /* WAIT_KILLABLE_RECV: EINVAL without a listener */
	*ret = flags;
	return 0;
}

static int compile(struct compiler *c, struct seccomp_program *program, struct err *err)
{
	const struct oci_seccomp *config = c->config;
	AUTO(ctx_release) scmp_filter_ctx ctx = NULL;
	int r;

	r = action_of(config->default_action, &config->default_errno_ret, "defaultAction",
		      &c->default_action, err);
	if (r < 0)
		return r;
	if (c->default_action == SCMP_ACT_NOTIFY)
		return err_set(err, -EINVAL,
			       "linux.seccomp: SCMP_ACT_NOTIFY cannot be the default action");
	ctx = seccomp_init(c->default_action);
	if (!ctx)
		return err_sys(err, -ENOMEM, "linux.seccomp");
	c->ctx = ctx;
	r = add_archs(c, err);
	r = r < 0 ? r : add_rules(c, err);
	if (r < 0)
		return r;
	if (c->notifies && !config->listener_path)
		return err_set(err, -EINVAL,
			       "linux.seccomp: SCMP_ACT_NOTIFY is used without listenerPath");
	if (c->names > TREE_FROM_RULES)
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = flags_of(config, c->notifies, &program->flags, err);
	r = r < 0 ? r : export_program(c, program, err);
	if (r == 0 && wants_enosys(c))
		r = add_enosys(c, program, err);
	program->notifies = c->notifies;
	return r;
}

bool seccomp_fails_unknown(const struct oci_spec *spec)
{
	const char *value = oci_annotation(spec, FAIL_UNKNOWN_ANNOTATION);

	return value && !str_eq(value, "0");
}

int seccomp_compile(const struct oci_spec *spec, struct seccomp_program *ret, struct err *err)
{
	struct compiler c = {
		.config = &spec->linux.seccomp,
		.fail_unknown = seccomp_fails_unknown(spec),
	};
	struct seccomp_program program = { 0 };
	int r = spec->linux.seccomp.set ? compile(&c, &program, err) : 0;

	if (r < 0) {
		seccomp_program_done(&program);
		return r;
	}
	*ret = program;
	return 0;
}

void seccomp_program_done(struct seccomp_program *program)
{
	if (!program)
		return;
	free(program->insns);
	*program = (struct seccomp_program){ 0 };
}

int seccomp_send_listener(const struct oci_seccomp *seccomp, int listener_fd, pid_t pid,
			  const json_t *state, struct err *err)
{
	AUTO_JSON json_t *message = NULL;
	AUTO_FREE char *text = NULL;
	int r;

	if (!seccomp->listener_path)
		return err_set(err, -EINVAL, "linux.seccomp: there is no listenerPath");
	/* config-linux.md#containerprocessstate; "O" takes a reference of its own. */
	message = json_pack("{s:O?, s:[s], s:i, s:s*, s:O}", "ociVersion",
			    json_object_get(state, "ociVersion"), "fds", "seccompFd", "pid",
			    (int)pid, "metadata", seccomp->listener_metadata, "state", state);
	text = message ? json_text(message, JSON_COMPACT) : NULL;
	if (!text)
		return err_sys(err, -ENOMEM, "linux.seccomp: message for the listener");
	r = socket_send_fd(seccomp->listener_path, text, strlen(text), listener_fd, err);
	return r < 0 ? err_prefix(err, r, "linux.seccomp.listenerPath") : 0;
}
