/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a well-typed document may still not say. Each row changes one value of data/full.json and
 * names the refusal; a row without one must be accepted.
 */
#include "lib/unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "document.h"
#include "oci/spec.h"

struct row {
	const char *path, *value;
	const char *refusal; /* NULL: accepted */
};

static const struct row rows[] = {
	/* top level */
	{ "ociVersion", "\"2.0.0\"", "unsupported version \"2.0.0\"" },
	{ "ociVersion", "\"0.9.0\"", "unsupported version" },
	{ "ociVersion", "\"1\"", "unsupported version" },
	{ "ociVersion", "\"\"", "must not be empty" },
	{ "ociVersion", "null", "missing" },
	{ "ociVersion", "\"1.0.2-dev\"", NULL },
	{ "ociVersion", "\"1.3.1+extra\"", NULL },
	{ "root", "null", "missing" },
	{ "root.path", "\"\"", "must not be empty" },
	{ "root.path", "null", "missing" },
	{ "hostname", "\"\"", NULL },
	{ "hostname", "\"0123456789012345678901234567890123456789012345678901234567890123\"",
	  NULL },
	{ "hostname", "\"01234567890123456789012345678901234567890123456789012345678901234\"",
	  "longer than 64 bytes" },
	{ "domainname", "\"01234567890123456789012345678901234567890123456789012345678901234\"",
	  "longer than 64 bytes" },
	{ "annotations", "{\"\": \"x\"}", "the key is empty" },
	{ "annotations", "{\"a\": \"x\", \"a\": \"y\"}", "duplicate" },
	{ "process", "null", NULL },
	/* process */
	{ "process.cwd", "\"home\"", "\"home\" is not an absolute path" },
	{ "process.args", "[]", "must not be empty" },
	{ "process.args", "null", "must not be empty" },
	{ "process.user", "null", NULL },
	{ "process.user.uid", "4294967294", NULL },
	{ "process.user.uid", "4294967295", "4294967295 is no user or group id" },
	{ "process.user.gid", "4294967295", "4294967295 is no user or group id" },
	{ "process.user.uid", "4294967296", "out of range: must be 0 to 4294967295" },
	{ "process.user.uid", "-1", "out of range" },
	{ "process.user.uid", "-0", NULL },
	{ "process.user.umask", "4294967296", "out of range" },
	{ "process.user.additionalGids[0]", "-1", "out of range" },
	{ "process.user.additionalGids[0]", "4294967296", "out of range" },
	{ "process.consoleSize.height", "65536", "out of range: must be 0 to 65535" },
	{ "process.consoleSize.width", "null", "missing" },
	{ "process.oomScoreAdj", "1001", "out of range: must be -1000 to 1000" },
	{ "process.oomScoreAdj", "-1001", "out of range" },
	{ "process.oomScoreAdj", "0", NULL },
	{ "process.rlimits[0].type", "\"RLIMIT_FOO\"", "unknown value \"RLIMIT_FOO\"" },
	{ "process.rlimits[0].hard", "18446744073709551616", "out of range" },
	{ "process.rlimits[0].hard", "-1", "out of range" },
	{ "process.rlimits[0].hard", "1e3", "expected integer, got real number" },
	{ "process.capabilities.bounding[0]", "\"CAP_MADE_UP\"", NULL },
	{ "process.scheduler.policy", "\"SCHED_FOO\"", "unknown value" },
	{ "process.scheduler.nice", "20", "out of range: must be -20 to 19" },
	{ "process.scheduler.nice", "-21", "out of range" },
	{ "process.scheduler.priority", "1", "only for SCHED_FIFO and SCHED_RR" },
	{ "process.scheduler.flags[0]", "\"SCHED_FLAG_FOO\"", "unknown value" },
	{ "process.ioPriority.class", "\"IOPRIO_CLASS_FOO\"", "unknown value" },
	{ "process.ioPriority.priority", "8", "out of range: must be 0 to 7" },
	{ "process.ioPriority.priority", "-1", "out of range" },
	{ "process.execCPUAffinity.initial", "\"a\"", "is no list of CPUs" },
	{ "process.execCPUAffinity.initial", "\"3-1\"", "is no list of CPUs" },
	{ "process.execCPUAffinity.initial", "\"1-\"", "is no list of CPUs" },
	{ "process.execCPUAffinity.initial", "\"1,\"", "is no list of CPUs" },
	{ "process.execCPUAffinity.initial", "\"1-2-3\"", "is no list of CPUs" },
	{ "process.execCPUAffinity.initial", "\"99999999999999999999\"", "is no list of CPUs" },
	{ "process.execCPUAffinity.final", "\" 1\"", "is no list of CPUs" },
	{ "process.execCPUAffinity.final", "\"0-0,2,4-65535\"", NULL },
	/* mounts, hooks */
	{ "mounts[0].destination", "\"\"", "must not be empty" },
	{ "mounts[0].destination", "null", "missing" },
	{ "mounts[1].uidMappings[0].size", "0", "out of range: must be 1 to 4294967295" },
	{ "hooks.prestart[0].path", "\"bin/a\"", "is not an absolute path" },
	{ "hooks.poststop[1].path", "null", "missing" },
	{ "hooks.prestart[0].timeout", "0", "out of range: must be 1 to" },
	{ "hooks.prestart[0].timeout", "-1", "out of range" },
	/* namespaces and what needs them */
	{ "linux.namespaces[0].type", "\"usr\"", "unknown value \"usr\"" },
	{ "linux.namespaces[2].path", "\"ns/pid\"", "is not an absolute path" },
	{ "linux.namespaces[2].path", "\"\"", NULL },
	{ "linux.timeOffsets.monotonic.nanosecs", "1000000000",
	  "out of range: must be 0 to 999999999" },
	/* devices */
	{ "linux.devices[0].type", "\"x\"", "unknown device type" },
	{ "linux.devices[0].type", "\"cc\"", "unknown device type" },
	{ "linux.devices[0].type", "\"u\"", NULL },
	{ "linux.devices[0].path", "\"dev/x\"", "is not an absolute path" },
	{ "linux.devices[0].major", "4096", "out of range" },
	{ "linux.devices[0].minor", "-1", "out of range" },
	{ "linux.devices[0].fileMode", "-1", "out of range" },
	{ "linux.devices[0].uid", "4294967296", "out of range" },
	{ "linux.netDevices.eth0.name", "\"a/b\"", "is not a name of a network device" },
	{ "linux.netDevices.eth0.name", "\"0123456789012345\"", "is not a name of a network" },
	{ "linux.netDevices.eth0.name", "\"012345678901234\"", NULL },
	{ "linux.netDevices.eth0.name", "\".\"", "is not a name of a network device" },
	{ "linux.netDevices.eth0.name", "\"..\"", "is not a name of a network device" },
	{ "linux.netDevices.eth0.name", "\"a b\"", "is not a name of a network device" },
	{ "linux.netDevices.eth0.name", "\"a:b\"", "is not a name of a network device" },
	/* resources */
	{ "linux.resources.devices[1].type", "\"x\"", "unknown device type" },
	{ "linux.resources.devices[1].type", "\"\"", NULL },
	{ "linux.resources.devices[1].major", "-2", "out of range: must be -1 to" },
	{ "linux.resources.devices[1].major", "-1", NULL },
	{ "linux.resources.devices[1].access", "\"rwx\"", "is not made of r, w and m" },
	{ "linux.resources.devices[0].allow", "null", "missing" },
	{ "linux.resources.memory.limit", "9223372036854775808", "out of range" },
	{ "linux.resources.memory.limit", "-9223372036854775809", "out of range" },
	{ "linux.resources.memory.limit", "-9223372036854775808", NULL },
	{ "linux.resources.memory.swappiness", "18446744073709551615", NULL },
	{ "linux.resources.blockIO.weight", "65536", "out of range: must be 0 to 65535" },
	{ "linux.resources.hugepageLimits[0].pageSize", "\"../x\"", "is not like \"2MB\"" },
	{ "linux.resources.hugepageLimits[0].pageSize", "\"2TB\"", "is not like \"2MB\"" },
	{ "linux.resources.network.classID", "4294967296", "out of range" },
	{ "linux.resources.unified[\"memory.high\"]", "\"max\"", NULL },
	/* the rest of linux */
	{ "linux.rootfsPropagation", "\"rslave\"", NULL },
	{ "linux.rootfsPropagation", "\"rbind\"", "unknown value \"rbind\"" },
	{ "linux.maskedPaths[0]", "\"proc/kcore\"", "is not an absolute path" },
	{ "linux.readonlyPaths[0]", "\"\"", "is not an absolute path" },
	{ "linux.intelRdt.closID", "\"..\"", "is no name of a directory" },
	{ "linux.intelRdt.closID", "\"a/b\"", "is no name of a directory" },
	{ "linux.intelRdt.closID", "\"/\"", NULL },
	{ "linux.intelRdt.l3CacheSchema", "\"L3:0=f\\nMB:0=1\"", NULL },
	{ "linux.intelRdt.memBwSchema", "\"MB:0=1\\nL3:0=f\"", "must be one line" },
	{ "linux.memoryPolicy.mode", "\"MPOL_FOO\"", "unknown value" },
	{ "linux.memoryPolicy.nodes", "\"x\"", "is no list of nodes" },
	{ "linux.memoryPolicy.nodes", "\"\"", "must not be empty with MPOL_INTERLEAVE" },
	{ "linux.memoryPolicy.flags[0]", "\"MPOL_F_FOO\"", "unknown value" },
	{ "linux.personality.domain", "\"LINUX64\"", "unknown value" },
	{ "linux.personality.flags", "[\"x\"]", "defines no flags" },
	{ "linux.seccomp.defaultAction", "null", "missing" },
	{ "linux.seccomp.syscalls[0].names", "[]", "must not be empty" },
	{ "linux.seccomp.syscalls[0].names[0]", "\"\"", "must not be empty" },
	{ "linux.seccomp.syscalls[1].args[0].index", "6", "out of range: must be 0 to 5" },
	{ "linux.seccomp.syscalls[1].args[0].op", "null", "missing" },
};

/* Rows whose refusal stands at another value than the one that is changed. */
static const struct {
	const char *path, *value, *refusal;
} moved[] = {
	{ "linux.namespaces[1].type", "\"user\"",
	  "linux.namespaces[1]: namespace \"user\" is given twice" },
	{ "process.rlimits[1].type", "\"RLIMIT_NOFILE\"",
	  "process.rlimits[1]: RLIMIT_NOFILE is given twice" },
	{ "process.rlimits[0].hard", "1023",
	  "process.rlimits[0].soft: greater than the hard limit" },
	{ "process.scheduler.policy", "\"SCHED_OTHER\"",
	  "process.scheduler: runtime, deadline and period are only for SCHED_DEADLINE" },
	{ "mounts[1].uidMappings", "[]",
	  "mounts[1]: uidMappings and gidMappings must be given together" },
	{ "mounts[1].uidMappings[0].hostID", "4294967290",
	  "mounts[1].uidMappings[0].size: the range ends past the last id" },
	{ "linux.uidMappings[0].containerID", "4294967295",
	  "linux.uidMappings[0].size: the range ends past the last id" },
	{ "linux.timeOffsets", "{\"realtime\": {}}", "linux.timeOffsets.realtime: unknown clock" },
	{ "linux.resources.blockIO.weightDevice[1].weight", "null",
	  "linux.resources.blockIO.weightDevice[1]: needs weight or leafWeight" },
	{ "linux.resources.rdma.mlx4_0.hcaObjects", "null",
	  "linux.resources.rdma.mlx4_0: needs hcaHandles or hcaObjects" },
	{ "linux.resources.unified", "{\"a/memory.high\": \"1\"}",
	  "linux.resources.unified[\"a/memory.high\"]: must be a file name" },
	{ "linux.resources.unified", "{\"memory\": \"1\"}",
	  "linux.resources.unified.memory: is not of the form" },
	{ "linux.netDevices", "{\"a/b\": {}}", "linux.netDevices[\"a/b\"]: not a name" },
	{ "linux.netDevices", "{\"\": {}}", "linux.netDevices[\"\"]: not a name" },
	{ "linux.seccomp.listenerPath", "null",
	  "linux.seccomp.listenerMetadata: needs listenerPath" },
	{ "linux.memoryPolicy.mode", "\"MPOL_LOCAL\"",
	  "linux.memoryPolicy.nodes: must be empty with MPOL_LOCAL" },
	/* a namespace taken away by giving another one in its place is told by what needs it */
	{ "linux.namespaces[0]", "{\"type\": \"user\", \"path\": \"/x\"}",
	  "linux.uidMappings: must not be given for a user namespace that is joined" },
	{ "linux.uidMappings", "[]", "linux.uidMappings: missing: a new user namespace needs" },
	{ "linux.gidMappings", "null", "linux.gidMappings: missing: a new user namespace needs" },
	{ "linux.namespaces[7]", "{\"type\": \"time\", \"path\": \"/x\"}",
	  "linux.timeOffsets: must not be given for a time namespace that is joined" },
	{ "linux.namespaces", "[{\"type\": \"uts\"}]",
	  "linux.uidMappings: needs a user namespace" },
	{ "linux.namespaces", "[{\"type\": \"user\"}]", "hostname: cannot be set without a uts" },
	{ "linux.namespaces", "[{\"type\": \"user\"}, {\"type\": \"uts\"}]",
	  "linux.timeOffsets: needs a time namespace" },
	{ "linux.namespaces", "[{\"type\": \"user\"}, {\"type\": \"uts\"}, {\"type\": \"time\"}]",
	  "linux.netDevices: needs a network namespace" },
	{ "linux.namespaces",
	  "[{\"type\":\"user\"}, {\"type\":\"uts\"}, {\"type\":\"time\"}, {\"type\":\"network\"}]",
	  "linux.maskedPaths: needs a mount namespace" },
	/* sysctl */
	{ "linux.sysctl", "{\"kernel.hostname\": \"x\"}",
	  "linux.sysctl[\"kernel.hostname\"]: conflicts with the field \"hostname\"" },
	{ "linux.sysctl", "{\"vm.swappiness\": \"1\"}",
	  "linux.sysctl[\"vm.swappiness\"]: is not in a namespace" },
	{ "linux.sysctl", "{\"kernel/domainname/x\": \"1\"}", "is not in a namespace" },
	{ "linux.sysctl", "{\"net/../../kernel\": \"1\"}", "not the name of a sysctl" },
	{ "linux.sysctl", "{\"netx\": \"1\"}", "is not in a namespace" },
};

static int parse(const char *text, struct err *err)
{
	struct oci_spec *spec = NULL;
	const int r = oci_spec_parse(text, strlen(text), "c.json", &spec, err);

	oci_spec_free(spec);
	return r;
}

static void single_values_are_judged_where_they_stand(void **state)
{
	struct document *doc = document_load("full.json");
	char want[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct node *node = document_find(doc, rows[i].path);
		char *text = document_replace(doc, node, rows[i].value);
		struct err err = { 0 };
		const int r = parse(text, &err);

		free(text);
		if (!rows[i].refusal) {
			if (r < 0)
				fail_msg("%s = %s: %s", rows[i].path, rows[i].value, err.msg);
			continue;
		}
		/* A duplicate key is a matter of syntax and has no path. */
		(void)snprintf(want, sizeof(want), "c.json:");
		if (!strstr(rows[i].refusal, "duplicate") && !strstr(rows[i].refusal, "key is"))
			(void)snprintf(want, sizeof(want), ": %s: ", rows[i].path);
		if (r != -EINVAL || !strstr(err.msg, want) || !strstr(err.msg, rows[i].refusal))
			fail_msg("%s = %s: want \"%s...%s\", got %d \"%s\"", rows[i].path,
				 rows[i].value, want, rows[i].refusal, r, err.msg);
	}
	document_free(doc);
}

static void values_that_need_each_other_are_judged(void **state)
{
	struct document *doc = document_load("full.json");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(moved); i++) {
		char *text =
			document_replace(doc, document_find(doc, moved[i].path), moved[i].value);
		struct err err = { 0 };
		const int r = parse(text, &err);

		free(text);
		if (r != -EINVAL || !strstr(err.msg, moved[i].refusal))
			fail_msg("%s = %s: want \"%s\", got %d \"%s\"", moved[i].path,
				 moved[i].value, moved[i].refusal, r, err.msg);
	}
	document_free(doc);
}

/* A document with a `linux` of the caller's and nothing that needs a namespace. */
static int parse_linux(const char *linux_text, struct err *err)
{
	char text[2048];

	(void)snprintf(text, sizeof(text),
		       "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"linux\":%s}",
		       linux_text);
	return parse(text, err);
}

static void sysctls_follow_their_namespace(void **state)
{
	static const struct {
		const char *ns, *name;
		bool allowed;
	} cases[] = {
		{ "ipc", "kernel.shmmax", true },
		{ "uts", "kernel.shmmax", false },
		{ "ipc", "kernel.msgmni", true },
		{ "ipc", "kernel.sem", true },
		{ "ipc", "fs.mqueue.msg_max", true },
		{ "mount", "fs.mqueue.msg_max", false },
		{ "ipc", "kernel/shmmax", true },
		{ "ipc", "fs/mqueue/msg_max", true },
		{ "ipc", "kernel.shmmaxx", false },
		{ "network", "net.core.somaxconn", true },
		{ "ipc", "net.core.somaxconn", false },
		{ "network", "net/ipv4/conf/eno2.100/rp_filter", true },
		{ "uts", "kernel.domainname", true },
		{ "ipc", "kernel.domainname", false },
		{ "uts", "kernel.hostname", false },
		{ "user", "user.max_user_namespaces", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = { 0 };
		char text[512];

		(void)snprintf(text, sizeof(text),
			       "{\"namespaces\":[{\"type\":\"%s\",\"path\":\"/p\"}],"
			       "\"sysctl\":{\"%s\":\"1\"}}",
			       cases[i].ns, cases[i].name);
		if ((parse_linux(text, &err) == 0) != cases[i].allowed)
			fail_msg("%s with %s: %s", cases[i].name, cases[i].ns, err.msg);
	}
}

static void unknown_capabilities_are_named_in_warnings(void **state)
{
	static const char text[] =
		"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\","
		"\"args\":[\"a\"],\"capabilities\":{\"bounding\":[\"CAP_A\",\"CAP_KILL\",\"CAP_B\","
		"\"CAP_C\",\"CAP_D\",\"kill\"]}}}";
	struct oci_spec *spec = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(oci_spec_parse(text, strlen(text), "c", &spec, &err), 0);
	assert_int_equal(spec->warnings.len, 5);
	assert_non_null(strstr(spec->warnings.items[0], "bounding: unknown capability \"CAP_A\""));
	assert_non_null(strstr(spec->warnings.items[4], "\"kill\" ignored"));
	assert_int_equal(spec->process.caps.bounding, 1u << 5);
	oci_spec_free(spec);
}

static void limits_hold(void **state)
{
	const size_t items = 65537, bytes = (1u << 20) + 1;
	char *text = malloc(items * 4 + bytes + 256), *at;
	struct err err = { 0 };

	(void)state;
	assert_non_null(text);
	at = text + sprintf(text, "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"linux\":{"
				  "\"readonlyPaths\":[");
	for (size_t i = 0; i < items; i++)
		at += sprintf(at, "%s\"\"", i ? "," : "");
	(void)strcpy(at, "]}}");
	assert_int_equal(parse(text, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "linux.readonlyPaths: more than 65536 items"));
	at = text + sprintf(text, "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"");
	memset(at, 'x', bytes);
	(void)strcpy(at + bytes, "\"}}");
	assert_int_equal(parse(text, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "root.path: longer than 1048576 bytes"));
	free(text);

	/* Nesting in a field that nobody reads. */
	text = malloc(300000);
	assert_non_null(text);
	memset(text, '[', 300000);
	assert_int_equal(oci_spec_parse(text, 300000, "c", &(struct oci_spec *){ 0 }, &err),
			 -EINVAL);
	assert_non_null(strstr(err.msg, "nested too deep"));
	free(text);
	assert_int_equal(
		oci_spec_parse("", OCI_CONFIG_MAX + 1, "c", &(struct oci_spec *){ 0 }, &err),
		-E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_values_are_judged_where_they_stand),
		cmocka_unit_test(values_that_need_each_other_are_judged),
		cmocka_unit_test(sysctls_follow_their_namespace),
		cmocka_unit_test(unknown_capabilities_are_named_in_warnings),
		cmocka_unit_test(limits_hold),
	};

	return cmocka_run_group_tests_name("oci/spec rules", tests, NULL, NULL);
}
