/* SPDX-License-Identifier: Apache-2.0 */
/* The device policy: its rules, the v1 controller, the BPF program; the last two on the real host.
 */
#include "cgrouptest.h"

#include <linux/bpf.h>
#include <sys/syscall.h>

#include "host/cgroup_devices.h"

#define ALLOW(t, a, i, x)        \
	{                        \
		true, t, a, i, x \
	}
#define DENY(t, a, i, x)          \
	{                         \
		false, t, a, i, x \
	}
#define BUILD(rules, policy) device_policy_build(rules, ARRAY_LEN(rules), policy, NULL)

/* ---- the policy */

static void rules_that_cannot_hold_are_refused(void **state)
{
	static const struct oci_device_rule bad[][2] = {
		{ ALLOW('x', 1, 3, "r"), ALLOW('c', 1, 3, "r") },
		{ ALLOW('c', -2, 3, "r"), ALLOW('c', 1, 3, "r") },
		{ ALLOW('c', 1, 1ll << 33, "r"), ALLOW('c', 1, 3, "r") },
		{ ALLOW('c', 1, 3, "rx"), ALLOW('c', 1, 3, "r") },
		/* Holes in wider rules. */
		{ ALLOW('c', 1, -1, "rwm"), DENY('c', 1, 5, "w") },
		{ ALLOW('c', -1, -1, "r"), DENY('c', 1, 5, "rw") },
		{ ALLOW('b', -1, 7, "m"), DENY('b', 8, 7, NULL) },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct device_policy p = { 0 };
		struct err err = { 0 };

		if (device_policy_build(bad[i], 2, &p, &err) != -EINVAL)
			fail_msg("rules %zu taken", i);
		assert_non_null(strstr(err.msg, "linux.resources.devices["));
	}
}

static void exceptions_are_bounded(void **state)
{
	struct oci_device_rule *rules = calloc(DEVICE_EXCEPTIONS_MAX + 1, sizeof(*rules));
	struct device_policy p = { 0 };

	for (int i = 0; i <= DEVICE_EXCEPTIONS_MAX; i++)
		rules[i] = (struct oci_device_rule)ALLOW('c', 1, i, "r");
	assert_int_equal(device_policy_build(rules, DEVICE_EXCEPTIONS_MAX + 1, &p, NULL), -E2BIG);
	assert_int_equal(device_policy_build(rules, DEVICE_EXCEPTIONS_MAX, &p, NULL), 0);
	assert_int_equal(p.len, DEVICE_EXCEPTIONS_MAX);
	device_policy_done(&p);
	free(rules);
}

static void rules_play_in_order(void **state)
{
	static const struct oci_device_rule rules[] = {
		ALLOW('c', 1, 3, "r"), /* forgotten by the next */
		DENY('a', 7, 7, "r"),  /* numbers mean nothing here */
		ALLOW('c', 1, 3, "r"),	 ALLOW('c', 1, 3, "w"),	  DENY('c', 1, 3, "m"),
		ALLOW('b', 8, -1, NULL), ALLOW('c', 5, 1, "rwm"), DENY('c', 5, 1, NULL),
		DENY('c', 9, 9, "rwm"), /* was never there */
		ALLOW('c', 2, 2, ""),	/* nothing asked */
	};
	struct device_policy p = { 0 };

	assert_int_equal(BUILD(rules, &p), 0);
	assert_false(p.default_allow);
	assert_int_equal(p.len, 2);
	assert_int_equal(p.items[0].type, 'c');
	assert_int_equal(p.items[0].access, DEVICE_READ | DEVICE_WRITE);
	assert_int_equal(p.items[1].type, 'b');
	assert_int_equal(p.items[1].minor, -1);
	assert_int_equal(p.items[1].access, DEVICE_ALL);
	device_policy_done(&p);
}

static void an_allow_all_policy_has_denials(void **state)
{
	static const struct oci_device_rule rules[] = { ALLOW('a', -1, -1, "rwm"),
							DENY('c', 1, 11, "w"),
							ALLOW('c', 1, 12, "r") };
	struct device_policy p = { 0 };

	assert_int_equal(BUILD(rules, &p), 0);
	assert_true(p.default_allow);
	assert_int_equal(p.len, 1);
	assert_int_equal(p.items[0].minor, 11);
	device_policy_done(&p);
}

static void texts_of_devices_list(void **state)
{
	static const char *const bad[] = {
		"c",	   "c 1:3",    "c 1 rwm",  "x 1:3 r",		"c 1:3 z", "c 1:3 ",
		"c a:3 r", "c 1:-3 r", "cc 1:3 r", "c 1:99999999999 r", "c :3 r",  " 1:3 r"
	};
	struct device_policy p = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (device_policy_parse(bad[i], &p) == 0)
			fail_msg("taken: %s", bad[i]);
	}
	assert_int_equal(device_policy_parse("", &p), 0);
	assert_int_equal(p.len, 0);
	assert_int_equal(device_policy_parse("a *:* rwm\n", &p), 0);
	assert_true(p.default_allow);
	assert_int_equal(device_policy_parse("c *:* m\nb 8:* rw\nc 1:3 rwm\n", &p), 0);
	assert_int_equal(p.len, 3);
	assert_int_equal(p.items[0].major, -1);
	assert_int_equal(p.items[1].access, DEVICE_READ | DEVICE_WRITE);
	device_policy_done(&p);
}

/* ---- the program, interpreted: it must say what the rules say */

static bool run_program(const struct bpf_insn *p, size_t len, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t r[6] = { 0 };

	for (size_t pc = 0; pc < len; pc++) {
		const struct bpf_insn *i = &p[pc];
		const uint64_t src = BPF_SRC(i->code) == BPF_X ? r[i->src_reg] : (uint64_t)i->imm;
		bool jump = false;

		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			r[i->dst_reg] = *(const uint32_t *)((const char *)ctx + i->off);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			r[i->dst_reg] = (uint32_t)(r[i->dst_reg] & src);
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			r[i->dst_reg] = (uint32_t)r[i->dst_reg] >> src;
			break;
		case BPF_ALU | BPF_MOV | BPF_X:
			r[i->dst_reg] = (uint32_t)src;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			r[i->dst_reg] = src;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
		case BPF_JMP | BPF_JNE | BPF_X:
			jump = r[i->dst_reg] != src;
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			jump = (uint32_t)r[i->dst_reg] != (uint32_t)src;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = r[i->dst_reg] == src;
			break;
		case BPF_JMP | BPF_EXIT:
			return r[0];
		default:
			fail_msg("unknown instruction %#x", i->code);
		}
		if (jump) {
			assert_true(i->off >= 0);
			pc += (size_t)i->off;
		}
	}
	fail_msg("ran off the end");
	return false;
}

static bool asks(const struct device_policy *p, char type, uint32_t major, uint32_t minor,
		 unsigned int access)
{
	AUTO_FREE struct bpf_insn *insns = NULL;
	struct bpf_cgroup_dev_ctx ctx = {
		.access_type =
			access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
		.major = major,
		.minor = minor,
	};
	size_t len;

	assert_int_equal(device_policy_compile(p, &insns, &len), 0);
	return run_program(insns, len, &ctx);
}

static void the_program_decides_as_the_policy(void **state)
{
	static const struct oci_device_rule few[] = { ALLOW('c', 1, 3, "rw"),
						      ALLOW('b', 8, -1, "r"),
						      ALLOW('c', 4294967295, 4294967295, "m"),
						      ALLOW('c', -1, 9, "rwm") };
	static const struct oci_device_rule most[] = { ALLOW('a', -1, -1, NULL),
						       DENY('c', 1, 11, "w") };
	struct device_policy p = { 0 };

	assert_int_equal(BUILD(few, &p), 0);
	assert_true(asks(&p, 'c', 1, 3, DEVICE_READ));
	assert_true(asks(&p, 'c', 1, 3, DEVICE_READ | DEVICE_WRITE));
	assert_false(asks(&p, 'c', 1, 3, DEVICE_MKNOD));
	assert_false(asks(&p, 'c', 1, 3, DEVICE_READ | DEVICE_MKNOD));
	assert_false(asks(&p, 'b', 1, 3, DEVICE_READ));
	assert_false(asks(&p, 'c', 1, 4, DEVICE_READ));
	assert_true(asks(&p, 'b', 8, 77, DEVICE_READ));
	assert_false(asks(&p, 'b', 8, 77, DEVICE_WRITE));
	assert_true(asks(&p, 'c', UINT32_MAX, UINT32_MAX, DEVICE_MKNOD));
	assert_true(asks(&p, 'c', 200, 9, DEVICE_ALL));
	device_policy_done(&p);
	assert_false(asks(&p, 'c', 1, 3, DEVICE_READ)); /* the empty policy denies */
	assert_int_equal(BUILD(most, &p), 0);
	assert_true(asks(&p, 'c', 1, 3, DEVICE_ALL));
	assert_true(asks(&p, 'c', 1, 11, DEVICE_READ));
	assert_false(asks(&p, 'c', 1, 11, DEVICE_READ | DEVICE_WRITE));
	device_policy_done(&p);
}

/* ---- on the host */

/* A node with the numbers of /dev/kmsg (1:11), which not every /dev has. */
static char kmsg_node[64];

static void make_node(void)
{
	snprintf(kmsg_node, sizeof(kmsg_node), "/tmp/caisson-unit-%d-kmsg", (int)getpid());
	(void)mknod(kmsg_node, S_IFCHR | 0600, 1 << 8 | 11);
}

/* Bits: 1 /dev/zero opens for reading, 2 the node opens for writing, 4 mknod of a disk works. */
static int try_devices(void *arg)
{
	char path[64];
	int result = 0, fd;

	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	result |= fd >= 0 ? 1 : 0;
	auto_close_p(&fd);
	fd = open(kmsg_node, O_WRONLY | O_CLOEXEC);
	result |= fd >= 0 ? 2 : 0;
	auto_close_p(&fd);
	snprintf(path, sizeof(path), "/tmp/caisson-unit-%d", (int)getpid());
	if (mknod(path, S_IFBLK | 0600, 7 << 8) == 0) {
		result |= 4;
		unlink(path);
	}
	return result;
}

static void apply_rules(const struct cgroup *cg, const struct oci_device_rule *rules, size_t len,
			bool update)
{
	struct oci_resources res = { .devices = (struct oci_device_rule *)rules,
				     .devices_len = len };

	apply_ok(cg, &res, update);
}

static const struct oci_device_rule deny_all[] = { DENY('a', -1, -1, "rwm") };
static const struct oci_device_rule zero_only[] = { DENY('a', -1, -1, "rwm"),
						    ALLOW('c', 1, 5, "r") };
static const struct oci_device_rule zero_and_kmsg[] = { DENY('a', -1, -1, "rwm"),
							ALLOW('c', 1, 5, "rw"),
							ALLOW('c', 1, 11, "w") };
static const struct oci_device_rule all_but_kmsg[] = { ALLOW('a', -1, -1, "rwm"),
						       DENY('c', 1, 11, "w") };

static void check_devices(struct cgroup *cg)
{
	assert_int_equal(wait_for(spawn(cg, try_devices, NULL)), 7);
	apply_rules(cg, deny_all, ARRAY_LEN(deny_all), false);
	assert_int_equal(wait_for(spawn(cg, try_devices, NULL)), 0);
	apply_rules(cg, zero_only, ARRAY_LEN(zero_only), true);
	assert_int_equal(wait_for(spawn(cg, try_devices, NULL)), 1);
	apply_rules(cg, zero_and_kmsg, ARRAY_LEN(zero_and_kmsg), true);
	assert_int_equal(wait_for(spawn(cg, try_devices, NULL)), 3);
	apply_rules(cg, zero_only, ARRAY_LEN(zero_only), true);
	assert_int_equal(wait_for(spawn(cg, try_devices, NULL)), 1);
	apply_rules(cg, all_but_kmsg, ARRAY_LEN(all_but_kmsg), true);
	assert_int_equal(wait_for(spawn(cg, try_devices, NULL)), 5);
	/* No rules: nothing changes. */
	apply_rules(cg, NULL, 0, true);
	assert_int_equal(wait_for(spawn(cg, try_devices, NULL)), 5);
}

/* The test needs to do freely what the container then must not. */
#define NEED_DEVICES()                                                                         \
	do {                                                                                   \
		make_node();                                                                   \
		if (try_devices(NULL) != 7) {                                                  \
			print_message(                                                         \
				"this host denies devices itself: CAVEATS.md#unit-devices\n"); \
			unlink(kmsg_node);                                                     \
			skip();                                                                \
		}                                                                              \
	} while (0)

static void v1_obeys_the_rules(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup_dir v1 = { "devices", cgroup_path(b->cg, "devices") };
	struct cgroup *cg = NULL;

	NEED_CONTROLLER(b->cg, "devices");
	NEED_DEVICES();
	assert_int_equal(cgroup_from_paths(&v1, 1, &cg, NULL), 0);
	check_devices(cg);
	unlink(kmsg_node);
	cgroup_free(cg);
}

static void v1_writes_the_list(void **state)
{
	struct box *b = NEED_BOX(state);
	AUTO_BUF struct buf text = { 0 };
	AUTO_CLOSE int dir = -EBADF;
	struct oci_device_rule rules[32] = { DENY('a', -1, -1, NULL) };
	size_t len;
	const struct oci_device_rule *defaults = cgroup_default_devices(&len);

	NEED_CONTROLLER(b->cg, "devices");
	memcpy(rules + 1, defaults, len * sizeof(rules[0]));
	apply_rules(b->cg, rules, len + 1, false);
	dir = cgroup_open_dir(b->cg, "devices");
	assert_int_equal(fd_read_file(dir, "devices.list", &text), 0);
	assert_string_equal(text.data, "c *:* m\nb *:* m\nc 1:3 rwm\nc 1:5 rwm\nc 1:7 rwm\n"
				       "c 1:8 rwm\nc 1:9 rwm\nc 5:0 rwm\nc 5:2 rwm\nc 136:* rwm\n");
}

static void v2_obeys_the_rules(void **state)
{
	struct box *b = NEED_BOX(state);
	struct cgroup_dir v2 = { "", cgroup_path(b->cg, "") };
	struct cgroup *cg = NULL;

	if (!v2.path) {
		print_message("no cgroup2: CAVEATS.md#cgroup-layout\n");
		skip();
	}
	NEED_DEVICES();
	assert_int_equal(cgroup_from_paths(&v2, 1, &cg, NULL), 0);
	check_devices(cg);
	unlink(kmsg_node);
	cgroup_free(cg);
}

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static uint32_t attached_program(const struct cgroup *cg)
{
	AUTO_CLOSE int dir = open(cgroup_path(cg, ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint32_t ids[4] = { 0 };
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)dir;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = 4;
	assert_int_equal(bpf(BPF_PROG_QUERY, &attr), 0);
	assert_int_equal(attr.query.prog_cnt, 1);
	return ids[0];
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	assert_int_equal(bpf(BPF_OBJ_GET_INFO_BY_FD, &attr), 0);
	return info.id;
}

static void v2_attaches_the_program_of_the_same_rules(void **state)
{
	struct box *b = NEED_BOX(state);
	const struct cgroup_dir v2 = { "", cgroup_path(b->cg, "") };
	struct oci_device_rule rules[] = { DENY('a', -1, -1, NULL), ALLOW('c', 1, 3, "rwm") };
	struct oci_device_rule cannot[] = { ALLOW('c', 1, -1, "rwm"), DENY('c', 1, 5, "w") };
	struct oci_resources resources = { .devices = cannot, .devices_len = 2 };
	struct cgroup_program *program = NULL;
	struct cgroup *cg = NULL;
	struct err err = { 0 };

	assert_int_equal(cgroup_program_fd(NULL), -EBADF);
	assert_int_equal(cgroup_program_load(&resources, &program, &err), -EINVAL);
	assert_null(program);
	if (!v2.path) {
		print_message("no cgroup2: CAVEATS.md#cgroup-layout\n");
		skip();
	}
	resources.devices = rules;
	assert_int_equal(cgroup_program_load(&resources, &program, &err), 0);
	assert_int_equal(cgroup_from_paths(&v2, 1, &cg, NULL), 0);
	cg->program = program;
	/* Others that say the same; then one that says more. */
	apply_rules(cg, rules + 1, 1, false);
	assert_int_equal(attached_program(cg), program_id(cgroup_program_fd(program)));
	rules[1].minor = 5;
	apply_rules(cg, rules, 2, false);
	assert_int_not_equal(attached_program(cg), program_id(cgroup_program_fd(program)));
	cgroup_free(cg);
	cgroup_program_free(program);
}

#define LIVE(test) cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_that_cannot_hold_are_refused),
		cmocka_unit_test(exceptions_are_bounded),
		cmocka_unit_test(rules_play_in_order),
		cmocka_unit_test(an_allow_all_policy_has_denials),
		cmocka_unit_test(texts_of_devices_list),
		cmocka_unit_test(the_program_decides_as_the_policy),
		LIVE(v1_obeys_the_rules),
		LIVE(v1_writes_the_list),
		LIVE(v2_obeys_the_rules),
		LIVE(v2_attaches_the_program_of_the_same_rules),
	};

	return cmocka_run_group_tests_name("host/cgroup_devices", tests, NULL, NULL);
}
