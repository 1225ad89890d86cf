/* SPDX-License-Identifier: Apache-2.0 */
/* oci/schema_process.c - process and hooks: runtime-spec config.md#process, #posix-platform-hooks.
 */
#include "oci/schema.h"

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/resource.h>

#include "base/str.h"
#include "oci/encode.h"

/* Newer than some installed kernel headers: sched_setattr(2). */
#ifndef SCHED_ISO
#define SCHED_ISO 4
#endif

/* ---- capabilities --------------------------------------------------------------------------- */

static const char *const cap_names[] = {
	[CAP_CHOWN] = "CAP_CHOWN",
	[CAP_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
	[CAP_DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH",
	[CAP_FOWNER] = "CAP_FOWNER",
	[CAP_FSETID] = "CAP_FSETID",
	[CAP_KILL] = "CAP_KILL",
	[CAP_SETGID] = "CAP_SETGID",
	[CAP_SETUID] = "CAP_SETUID",
	[CAP_SETPCAP] = "CAP_SETPCAP",
	[CAP_LINUX_IMMUTABLE] = "CAP_LINUX_IMMUTABLE",
	[CAP_NET_BIND_SERVICE] = "CAP_NET_BIND_SERVICE",
	[CAP_NET_BROADCAST] = "CAP_NET_BROADCAST",
	[CAP_NET_ADMIN] = "CAP_NET_ADMIN",
	[CAP_NET_RAW] = "CAP_NET_RAW",
	[CAP_IPC_LOCK] = "CAP_IPC_LOCK",
	[CAP_IPC_OWNER] = "CAP_IPC_OWNER",
	[CAP_SYS_MODULE] = "CAP_SYS_MODULE",
	[CAP_SYS_RAWIO] = "CAP_SYS_RAWIO",
	[CAP_SYS_CHROOT] = "CAP_SYS_CHROOT",
	[CAP_SYS_PTRACE] = "CAP_SYS_PTRACE",
	[CAP_SYS_PACCT] = "CAP_SYS_PACCT",
	[CAP_SYS_ADMIN] = "CAP_SYS_ADMIN",
	[CAP_SYS_BOOT] = "CAP_SYS_BOOT",
	[CAP_SYS_NICE] = "CAP_SYS_NICE",
	[CAP_SYS_RESOURCE] = "CAP_SYS_RESOURCE",
	[CAP_SYS_TIME] = "CAP_SYS_TIME",
	[CAP_SYS_TTY_CONFIG] = "CAP_SYS_TTY_CONFIG",
	[CAP_MKNOD] = "CAP_MKNOD",
	[CAP_LEASE] = "CAP_LEASE",
	[CAP_AUDIT_WRITE] = "CAP_AUDIT_WRITE",
	[CAP_AUDIT_CONTROL] = "CAP_AUDIT_CONTROL",
	[CAP_SETFCAP] = "CAP_SETFCAP",
	[CAP_MAC_OVERRIDE] = "CAP_MAC_OVERRIDE",
	[CAP_MAC_ADMIN] = "CAP_MAC_ADMIN",
	[CAP_SYSLOG] = "CAP_SYSLOG",
	[CAP_WAKE_ALARM] = "CAP_WAKE_ALARM",
	[CAP_BLOCK_SUSPEND] = "CAP_BLOCK_SUSPEND",
	[CAP_AUDIT_READ] = "CAP_AUDIT_READ",
	[CAP_PERFMON] = "CAP_PERFMON",
	[CAP_BPF] = "CAP_BPF",
	[CAP_CHECKPOINT_RESTORE] = "CAP_CHECKPOINT_RESTORE",
};

const char *oci_cap_name(unsigned int number)
{
	return number < ARRAY_LEN(cap_names) ? cap_names[number] : NULL;
}

int oci_cap_number(const char *name)
{
	const char *word = str_after(name, "CAP_");

	for (unsigned int i = 0; word && i < ARRAY_LEN(cap_names); i++) {
		if (strcmp(cap_names[i] + 4, word) == 0)
			return (int)i;
	}
	return -EINVAL;
}

/* One set: a list of names to bits. A name that we do not know is ignored with a warning, as in
 * runc. */
static int read_cap_set(struct oci_decoder *d, const struct oci_path *at,
			const struct oci_value *value, void *to)
{
	uint64_t *set = to;
	const char *name;
	size_t i = 0;
	int r, number;

	if (value->type != OCI_ARRAY)
		return oci_refuse_type(d, at, "array of strings", value);
	for (const struct oci_value *v = value->list.first; v; v = v->next) {
		const struct oci_path here = { .up = at, .index = i++ };

		r = oci_decode_string(d, &here, v, &name);
		if (r < 0)
			return r;
		number = oci_cap_number(name);
		if (number >= 0)
			*set |= UINT64_C(1) << number;
		else
			r = oci_warn(
				d, "process.capabilities.%s: unknown capability \"%.64s\" ignored",
				at->key, name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_cap_set(struct oci_encoder *e, const char *key, const void *from)
{
	uint64_t set = *(const uint64_t *)from;

	if (set == 0)
		return 0;
	oci_write_begin(&e->json, key, '[');
	for (unsigned int i = 0; i < ARRAY_LEN(cap_names); i++) {
		if (set >> i & 1)
			oci_write_string(&e->json, NULL, cap_names[i]);
		set &= ~(UINT64_C(1) << i);
	}
	oci_write_end(&e->json, ']');
	return set ? oci_encode_refuse(e, key, "no name for the capabilities %#llx",
				       (unsigned long long)set)
		   : 0;
}

static const struct oci_field caps_fields[] = {
	{ OCI_FIELD_CUSTOM(struct oci_caps, bounding, "bounding", cap_set) },
	{ OCI_FIELD_CUSTOM(struct oci_caps, effective, "effective", cap_set) },
	{ OCI_FIELD_CUSTOM(struct oci_caps, inheritable, "inheritable", cap_set) },
	{ OCI_FIELD_CUSTOM(struct oci_caps, permitted, "permitted", cap_set) },
	{ OCI_FIELD_CUSTOM(struct oci_caps, ambient, "ambient", cap_set) },
};

static const struct oci_object caps_object = {
	.fields = caps_fields,
	.fields_len = ARRAY_LEN(caps_fields),
	.size = sizeof(struct oci_caps),
	.sets_flag = true,
};

/* ---- rlimits -------------------------------------------------------------------------------- */

static const struct oci_word rlimit_words[] = {
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_STACK", RLIMIT_STACK },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ 0 },
};

static int check_rlimit(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	struct oci_rlimit *limit = object;

	limit->name = oci_word_name(rlimit_words, (uint32_t)limit->type);
	if (limit->soft > limit->hard)
		return oci_refuse_key(d, at, "soft", "greater than the hard limit");
	return 0;
}

static const struct oci_field rlimit_fields[] = {
	{ OCI_FIELD_WORD(struct oci_rlimit, type, "type", rlimit_words), .required = true },
	{ OCI_FIELD(struct oci_rlimit, soft, "soft", OCI_UINT64), .required = true },
	{ OCI_FIELD(struct oci_rlimit, hard, "hard", OCI_UINT64), .required = true },
};

static const struct oci_object rlimit_object = {
	.fields = rlimit_fields,
	.fields_len = ARRAY_LEN(rlimit_fields),
	.size = sizeof(struct oci_rlimit),
	.check = check_rlimit,
};

/* ---- scheduler, I/O priority, affinity ------------------------------------------------------ */

static const struct oci_word sched_policies[] = {
	{ "SCHED_OTHER", SCHED_NORMAL },
	{ "SCHED_FIFO", SCHED_FIFO },
	{ "SCHED_RR", SCHED_RR },
	{ "SCHED_BATCH", SCHED_BATCH },
	{ "SCHED_ISO", SCHED_ISO },
	{ "SCHED_IDLE", SCHED_IDLE },
	{ "SCHED_DEADLINE", SCHED_DEADLINE },
	{ 0 },
};

static const struct oci_word sched_flags[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK },
	{ "SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM },
	{ "SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN },
	{ "SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY },
	{ "SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS },
	{ "SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX },
	{ 0 },
};

static int check_scheduler(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_scheduler *s = object;

	if (s->priority != 0 && s->policy != SCHED_FIFO && s->policy != SCHED_RR)
		return oci_refuse_key(d, at, "priority", "only for SCHED_FIFO and SCHED_RR");
	if ((s->runtime_ns || s->deadline_ns || s->period_ns) && s->policy != SCHED_DEADLINE)
		return oci_refuse(d, at,
				  "runtime, deadline and period are only for SCHED_DEADLINE");
	return 0;
}

static const struct oci_field scheduler_fields[] = {
	{ OCI_FIELD_WORD(struct oci_scheduler, policy, "policy", sched_policies),
	  .required = true },
	{ OCI_FIELD(struct oci_scheduler, nice, "nice", OCI_INT32), .min = -20, .max = 19 },
	{ OCI_FIELD(struct oci_scheduler, priority, "priority", OCI_INT32) },
	{ OCI_FIELD(struct oci_scheduler, flags, "flags", OCI_FLAGS), .words = sched_flags },
	{ OCI_FIELD(struct oci_scheduler, runtime_ns, "runtime", OCI_UINT64) },
	{ OCI_FIELD(struct oci_scheduler, deadline_ns, "deadline", OCI_UINT64) },
	{ OCI_FIELD(struct oci_scheduler, period_ns, "period", OCI_UINT64) },
};

static const struct oci_object scheduler_object = {
	.fields = scheduler_fields,
	.fields_len = ARRAY_LEN(scheduler_fields),
	.size = sizeof(struct oci_scheduler),
	.sets_flag = true,
	.check = check_scheduler,
};

static const struct oci_word ioprio_classes[] = {
	{ "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
	{ "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE },
	{ "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE },
	{ 0 },
};

static const struct oci_field ioprio_fields[] = {
	{ OCI_FIELD_WORD(struct oci_ioprio, class, "class", ioprio_classes), .required = true },
	{ OCI_FIELD(struct oci_ioprio, priority, "priority", OCI_INT32), .required = true,
	  .max = 7 },
};

static const struct oci_object ioprio_object = {
	.fields = ioprio_fields,
	.fields_len = ARRAY_LEN(ioprio_fields),
	.size = sizeof(struct oci_ioprio),
	.sets_flag = true,
};

static int check_affinity(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_process *p = object;
	const struct {
		const char *key, *list;
	} lists[] = {
		{ "initial", p->exec_cpu_affinity_initial },
		{ "final", p->exec_cpu_affinity_final },
	};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (lists[i].list && !oci_is_cpulist(lists[i].list))
			return oci_refuse_key(d, at, lists[i].key, "\"%s\" is no list of CPUs",
					      lists[i].list);
	}
	return 0;
}

/* The object has no struct of its own: its fields are those of struct oci_process. */
static const struct oci_field affinity_fields[] = {
	{ OCI_FIELD(struct oci_process, exec_cpu_affinity_initial, "initial", OCI_STRING) },
	{ OCI_FIELD(struct oci_process, exec_cpu_affinity_final, "final", OCI_STRING) },
};

static const struct oci_object affinity_object = {
	.fields = affinity_fields,
	.fields_len = ARRAY_LEN(affinity_fields),
	.check = check_affinity,
};

static const struct oci_field console_fields[] = {
	{ OCI_FIELD(struct oci_process, console_height, "height", OCI_OPT_UINT64), .required = true,
	  .max = USHRT_MAX },
	{ OCI_FIELD(struct oci_process, console_width, "width", OCI_OPT_UINT64), .required = true,
	  .max = USHRT_MAX },
};

static const struct oci_object console_object = {
	.fields = console_fields,
	.fields_len = ARRAY_LEN(console_fields),
};

/* ---- user ----------------------------------------------------------------------------------- */

static const struct oci_field gid_field = { .kind = OCI_UINT32 };

static int read_gids(struct oci_decoder *d, const struct oci_path *at,
		     const struct oci_value *value, void *to)
{
	struct oci_user *user = to;
	uint32_t *gids;
	size_t i = 0;
	int r;

	if (value->type != OCI_ARRAY)
		return oci_refuse_type(d, at, "array of integers", value);
	r = oci_decode_size(d, at, value->list.len);
	if (r < 0)
		return r;
	gids = oci_arena_alloc(d->arena, value->list.len, sizeof(*gids));
	if (!gids)
		return oci_refuse_memory(d);
	for (const struct oci_value *v = value->list.first; v; v = v->next) {
		const struct oci_path here = { .up = at, .index = i };

		r = oci_decode_integer(d, &here, v, &gid_field, &gids[i++]);
		if (r < 0)
			return r;
	}
	user->additional_gids = gids;
	user->additional_gids_len = value->list.len;
	return 0;
}

static int write_gids(struct oci_encoder *e, const char *key, const void *from)
{
	const struct oci_user *user = from;

	if (!user->additional_gids)
		return 0;
	oci_write_begin(&e->json, key, '[');
	for (size_t i = 0; i < user->additional_gids_len; i++)
		oci_write_uint(&e->json, NULL, user->additional_gids[i]);
	oci_write_end(&e->json, ']');
	return 0;
}

static const struct oci_field user_fields[] = {
	{ OCI_FIELD(struct oci_user, uid, "uid", OCI_UINT32) },
	{ OCI_FIELD(struct oci_user, gid, "gid", OCI_UINT32) },
	{ OCI_FIELD(struct oci_user, umask, "umask", OCI_OPT_UINT64), .max = UINT32_MAX },
	{ OCI_FIELD_PARENT("additionalGids", gids) },
	{ OCI_FIELD(struct oci_user, username, "username", OCI_STRING) },
};

static const struct oci_object user_object = {
	.fields = user_fields,
	.fields_len = ARRAY_LEN(user_fields),
	.size = sizeof(struct oci_user),
};

/* ---- process -------------------------------------------------------------------------------- */

static int check_process(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_process *p = object;

	if (p->cwd[0] != '/')
		return oci_refuse_key(d, at, "cwd", "\"%s\" is not an absolute path", p->cwd);
	if (p->args.len == 0)
		return oci_refuse_key(d, at, "args", "must not be empty");
	/* (uint32_t)-1 means "leave it" to setresuid(2): the program would stay root. */
	if (p->user.uid == UINT32_MAX || p->user.gid == UINT32_MAX) {
		const struct oci_path user = { .up = at, .key = "user" };

		return oci_refuse_key(d, &user, p->user.uid == UINT32_MAX ? "uid" : "gid",
				      "%u is no user or group id", UINT32_MAX);
	}
	for (size_t i = 0; i < p->rlimits_len; i++) {
		const struct oci_path list = { .up = at, .key = "rlimits" };
		const struct oci_path here = { .up = &list, .index = i };

		for (size_t j = 0; j < i; j++) {
			if (p->rlimits[j].type == p->rlimits[i].type)
				return oci_refuse(d, &here, "%s is given twice",
						  p->rlimits[i].name);
		}
	}
	return 0;
}

static const struct oci_field process_fields[] = {
	{ OCI_FIELD(struct oci_process, terminal, "terminal", OCI_BOOL) },
	{ .key = "consoleSize", .kind = OCI_OBJECT, .object = &console_object },
	{ OCI_FIELD_OBJECT(struct oci_process, user, "user", &user_object) },
	{ OCI_FIELD(struct oci_process, args, "args", OCI_STRINGS) },
	{ OCI_FIELD(struct oci_process, env, "env", OCI_STRINGS) },
	{ OCI_FIELD(struct oci_process, cwd, "cwd", OCI_STRING), .required = true },
	{ OCI_FIELD_OBJECT(struct oci_process, caps, "capabilities", &caps_object) },
	{ OCI_FIELD_LIST(struct oci_process, rlimits, "rlimits", &rlimit_object) },
	{ OCI_FIELD(struct oci_process, no_new_privileges, "noNewPrivileges", OCI_BOOL) },
	{ OCI_FIELD(struct oci_process, apparmor_profile, "apparmorProfile", OCI_STRING) },
	{ OCI_FIELD(struct oci_process, selinux_label, "selinuxLabel", OCI_STRING) },
	{ OCI_FIELD(struct oci_process, oom_score_adj, "oomScoreAdj", OCI_OPT_INT64), .min = -1000,
	  .max = 1000 },
	{ OCI_FIELD_OBJECT(struct oci_process, scheduler, "scheduler", &scheduler_object) },
	{ OCI_FIELD_OBJECT(struct oci_process, io_priority, "ioPriority", &ioprio_object) },
	{ .key = "execCPUAffinity", .kind = OCI_OBJECT, .object = &affinity_object },
};

const struct oci_object oci_schema_process = {
	.fields = process_fields,
	.fields_len = ARRAY_LEN(process_fields),
	.size = sizeof(struct oci_process),
	.sets_flag = true,
	.check = check_process,
};

/* ---- hooks ---------------------------------------------------------------------------------- */

static int check_hook(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_hook *hook = object;

	if (hook->path[0] != '/')
		return oci_refuse_key(d, at, "path", "\"%s\" is not an absolute path", hook->path);
	return 0;
}

static const struct oci_field hook_fields[] = {
	{ OCI_FIELD(struct oci_hook, path, "path", OCI_STRING), .required = true },
	{ OCI_FIELD(struct oci_hook, args, "args", OCI_STRINGS) },
	{ OCI_FIELD(struct oci_hook, env, "env", OCI_STRINGS) },
	{ OCI_FIELD(struct oci_hook, timeout_s, "timeout", OCI_INT32), .min = 1, .max = INT32_MAX },
};

static const struct oci_object hook_object = {
	.fields = hook_fields,
	.fields_len = ARRAY_LEN(hook_fields),
	.size = sizeof(struct oci_hook),
	.check = check_hook,
};

static const struct oci_field hooks_fields[] = {
	{ OCI_FIELD_ITEMS(struct oci_hooks, prestart, "prestart", &hook_object) },
	{ OCI_FIELD_ITEMS(struct oci_hooks, create_runtime, "createRuntime", &hook_object) },
	{ OCI_FIELD_ITEMS(struct oci_hooks, create_container, "createContainer", &hook_object) },
	{ OCI_FIELD_ITEMS(struct oci_hooks, start_container, "startContainer", &hook_object) },
	{ OCI_FIELD_ITEMS(struct oci_hooks, poststart, "poststart", &hook_object) },
	{ OCI_FIELD_ITEMS(struct oci_hooks, poststop, "poststop", &hook_object) },
};

const struct oci_object oci_schema_hooks = {
	.fields = hooks_fields,
	.fields_len = ARRAY_LEN(hooks_fields),
	.size = sizeof(struct oci_hooks),
};
