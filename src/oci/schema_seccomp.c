/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/schema_seccomp.c - linux.seccomp: runtime-spec config-linux.md#seccomp. Its words (actions,
 * operators, architectures, flags) are judged where they are compiled, in host/seccomp.
 */
#include "oci/schema.h"

#include "base/str.h"

static const struct oci_field arg_fields[] = {
	{ OCI_FIELD(struct oci_seccomp_arg, index, "index", OCI_UINT32), .required = true,
	  .max = 5 },
	{ OCI_FIELD(struct oci_seccomp_arg, value, "value", OCI_UINT64), .required = true },
	{ OCI_FIELD(struct oci_seccomp_arg, value_two, "valueTwo", OCI_UINT64) },
	{ OCI_FIELD(struct oci_seccomp_arg, op, "op", OCI_STRING), .required = true },
};

static const struct oci_object arg_object = {
	.fields = arg_fields,
	.fields_len = ARRAY_LEN(arg_fields),
	.size = sizeof(struct oci_seccomp_arg),
};

static int check_rule(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_seccomp_rule *rule = object;
	const struct oci_path names = { .up = at, .key = "names" };

	if (rule->names.len == 0)
		return oci_refuse(d, &names, "must not be empty");
	for (size_t i = 0; i < rule->names.len; i++) {
		const struct oci_path here = { .up = &names, .index = i };

		if (rule->names.items[i][0] == '\0')
			return oci_refuse(d, &here, "must not be empty");
	}
	return 0;
}

static const struct oci_field rule_fields[] = {
	{ OCI_FIELD(struct oci_seccomp_rule, names, "names", OCI_STRINGS), .required = true },
	{ OCI_FIELD(struct oci_seccomp_rule, action, "action", OCI_STRING), .required = true },
	{ OCI_FIELD(struct oci_seccomp_rule, errno_ret, "errnoRet", OCI_OPT_UINT64),
	  .max = UINT32_MAX },
	{ OCI_FIELD_LIST(struct oci_seccomp_rule, args, "args", &arg_object) },
};

static const struct oci_object rule_object = {
	.fields = rule_fields,
	.fields_len = ARRAY_LEN(rule_fields),
	.size = sizeof(struct oci_seccomp_rule),
	.check = check_rule,
};

static int check_seccomp(struct oci_decoder *d, const struct oci_path *at, void *object)
{
	const struct oci_seccomp *s = object;

	if (s->listener_metadata && !s->listener_path)
		return oci_refuse_key(d, at, "listenerMetadata", "needs listenerPath");
	return 0;
}

static const struct oci_field seccomp_fields[] = {
	{ OCI_FIELD(struct oci_seccomp, default_action, "defaultAction", OCI_STRING),
	  .required = true },
	{ OCI_FIELD(struct oci_seccomp, default_errno_ret, "defaultErrnoRet", OCI_OPT_UINT64),
	  .max = UINT32_MAX },
	{ OCI_FIELD(struct oci_seccomp, architectures, "architectures", OCI_STRINGS) },
	{ OCI_FIELD(struct oci_seccomp, flags, "flags", OCI_STRINGS) },
	{ OCI_FIELD(struct oci_seccomp, listener_path, "listenerPath", OCI_STRING) },
	{ OCI_FIELD(struct oci_seccomp, listener_metadata, "listenerMetadata", OCI_STRING) },
	{ OCI_FIELD_LIST(struct oci_seccomp, rules, "syscalls", &rule_object) },
};

const struct oci_object oci_schema_seccomp = {
	.fields = seccomp_fields,
	.fields_len = ARRAY_LEN(seccomp_fields),
	.size = sizeof(struct oci_seccomp),
	.sets_flag = true,
	.check = check_seccomp,
};
