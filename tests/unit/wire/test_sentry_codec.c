/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "lib/unit.h"
#include "wire/sentry_codec.h"

static char *args[] = { (char *)"/bin/sh", (char *)"-c", (char *)"true", NULL };
static char *env[] = { (char *)"PATH=/bin", NULL };
static uint32_t groups[] = { 4, 20 };
static struct sentry_rlimit rlimits[] = { { 7, 64, 1024 } };
static struct sentry_bpf bpf[] = { { 6, 0, 0, 0x7fff0000 } };
static struct sentry_mount mounts[] = {
	{ .destination = (char *)"/proc", .type = SENTRY_MOUNT_PROC, .source = (char *)"proc" },
	{ .destination = (char *)"/data", .type = SENTRY_MOUNT_BIND, .root = 1, .flags = 1 },
};
static struct sentry_pair sysctls[] = { { (char *)"net.ipv4.ip_forward", (char *)"1" } };
static struct sentry_device devices[] = { { (char *)"/dev/x", 'c', 1, 3, 0666, 0, 0 } };

static struct sentry_container sample(void)
{
	return (struct sentry_container){
		.id = (char *)"box",
		.own_namespaces = SENTRY_OWN_IPC,
		.pid_ns_of = (char *)"pod",
		.hostname = (char *)"inside",
		.mounts = mounts,
		.mounts_len = 2,
		.sysctls = sysctls,
		.sysctls_len = 1,
		.devices = devices,
		.devices_len = 1,
		.limits = { .memory = UINT64_MAX },
		.process = { .args = { args, 3 },
			     .env = { env, 1 },
			     .cwd = (char *)"/",
			     .uid = 1000,
			     .groups = groups,
			     .groups_len = 2,
			     .rlimits = rlimits,
			     .rlimits_len = 1,
			     .oom_score_adj = -5,
			     .seccomp = bpf,
			     .seccomp_len = 1 },
	};
}

static void encode(const struct sentry_container *c, struct buf *b)
{
	struct err err = { 0 };

	assert_int_equal(sentry_container_encode(c, b, &err), 0);
}

static void every_cut_of_a_description_is_refused(void **state)
{
	AUTO_BUF struct buf b = { 0 };
	const struct sentry_container c = sample();

	encode(&c, &b);
	for (size_t len = 0; len < b.len; len++) {
		struct sentry_container *got = NULL;
		struct err err = { 0 };
		char *copy = malloc(len ? len : 1);

		assert_non_null(copy);
		memcpy(copy, b.data, len);
		assert_int_equal(sentry_container_decode(copy, len, &got, &err), -EBADMSG);
		assert_null(got);
		free(copy);
	}
}

static void a_size_that_lies_about_a_cut_is_no_help(void **state)
{
	AUTO_BUF struct buf b = { 0 };
	const struct sentry_container c = sample();

	encode(&c, &b);
	for (size_t len = 16; len < b.len; len++) {
		const uint32_t size = (uint32_t)len;
		struct sentry_container *got = NULL;
		char *copy = malloc(len);

		assert_non_null(copy);
		memcpy(copy, b.data, len);
		memcpy(copy + 12, &size, sizeof(size));
		assert_int_equal(sentry_container_decode(copy, len, &got, NULL), -EBADMSG);
		free(copy);
	}
}

static void another_version_is_named(void **state)
{
	AUTO_BUF struct buf b = { 0 };
	const struct sentry_container c = sample();
	struct sentry_container *got = NULL;
	struct err err = { 0 };

	encode(&c, &b);
	b.data[4] = 9;
	assert_int_equal(sentry_container_decode(b.data, b.len, &got, &err), -EPROTO);
	assert_string_equal(err.msg, "description: version 9 is unknown, 1 is known");
}

static void the_field_that_is_wrong_is_named(void **state)
{
	AUTO_BUF struct buf b = { 0 };
	struct sentry_container c = sample();
	struct sentry_mount bad[] = { mounts[0], mounts[1] };
	struct err err = { 0 };

	bad[1].destination = (char *)"data";
	c.mounts = bad;
	assert_int_equal(sentry_container_encode(&c, &b, &err), -EINVAL);
	assert_string_equal(err.msg, "description: mounts[1].destination: not an absolute path");
	c = sample();
	c.process.args.len = 0;
	assert_int_equal(sentry_container_encode(&c, &b, &err), -EINVAL);
	assert_string_equal(err.msg, "description: process.args: empty");
}

static void a_description_comes_back_as_it_was(void **state)
{
	AUTO_BUF struct buf b = { 0 }, again = { 0 };
	const struct sentry_container c = sample();
	struct sentry_container *got = NULL;
	struct err err = { 0 };

	encode(&c, &b);
	assert_int_equal(sentry_container_decode(b.data, b.len, &got, &err), 0);
	assert_string_equal(got->id, "box");
	assert_string_equal(got->domainname, "");
	assert_string_equal(got->mounts[1].destination, "/data");
	assert_int_equal(got->mounts[1].flags, 1);
	assert_string_equal(got->sysctls[0].value, "1");
	assert_string_equal(got->process.args.items[2], "true");
	assert_null(got->process.args.items[3]);
	assert_int_equal(got->process.groups[1], 20);
	assert_int_equal(got->process.seccomp[0].k, 0x7fff0000);
	encode(got, &again);
	assert_int_equal(again.len, b.len);
	assert_memory_equal(again.data, b.data, b.len);
	sentry_container_free(got);
}

static void a_process_alone_comes_back_too(void **state)
{
	AUTO_BUF struct buf b = { 0 };
	const struct sentry_container c = sample();
	struct sentry_container *wrong = NULL;
	struct sentry_process *got = NULL;
	struct err err = { 0 };

	assert_int_equal(sentry_process_encode(&c.process, &b, &err), 0);
	assert_int_equal(sentry_container_decode(b.data, b.len, &wrong, &err), -EBADMSG);
	assert_int_equal(sentry_process_decode(b.data, b.len, &got, &err), 0);
	assert_int_equal(got->uid, 1000);
	assert_int_equal(got->oom_score_adj, -5);
	sentry_process_free(got);
}

static void a_request_with_a_wrong_tail_is_refused(void **state)
{
	struct {
		struct sentry_request head;
		struct sentry_limits limits;
	} m = { .head = { .version = SENTRY_MSG_VERSION, .type = SENTRY_UPDATE } };
	struct sentry_request got;
	const void *tail;
	size_t len;

	assert_int_equal(sentry_request_decode(&m, sizeof(m.head), &got, &tail, &len), -EPROTO);
	assert_int_equal(sentry_request_decode(&m, sizeof(m), &got, &tail, &len), 0);
	assert_int_equal(len, sizeof(m.limits));
	m.head.type = SENTRY_EXITED;
	assert_int_equal(sentry_request_decode(&m, sizeof(m.head), &got, &tail, &len), -EPROTO);
	m.head.type = SENTRY_TYPES;
	assert_int_equal(sentry_request_decode(&m, sizeof(m.head), &got, &tail, &len), -EPROTO);
	m.head.type = SENTRY_NURSERY;
	assert_int_equal(sentry_request_decode(&m, sizeof(m.head), &got, &tail, &len), 0);
	m.head.type = SENTRY_FREEZE;
	m.head.flags = SENTRY_FREEZE_POD << 1;
	assert_int_equal(sentry_request_decode(&m, sizeof(m.head), &got, &tail, &len), -EPROTO);
	m.head.flags = SENTRY_FREEZE_POD;
	assert_int_equal(sentry_request_decode(&m, sizeof(m.head), &got, &tail, &len), 0);
	m.head.type = SENTRY_START;
	m.head.flags = 1;
	assert_int_equal(sentry_request_decode(&m, sizeof(m.head), &got, &tail, &len), -EPROTO);
	m.head.flags = 0;
	assert_int_equal(sentry_request_decode(&m, sizeof(m.head), &got, &tail, &len), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_of_a_description_is_refused),
		cmocka_unit_test(a_size_that_lies_about_a_cut_is_no_help),
		cmocka_unit_test(another_version_is_named),
		cmocka_unit_test(the_field_that_is_wrong_is_named),
		cmocka_unit_test(a_description_comes_back_as_it_was),
		cmocka_unit_test(a_process_alone_comes_back_too),
		cmocka_unit_test(a_request_with_a_wrong_tail_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
