/* SPDX-License-Identifier: Apache-2.0 */
/* config.json as the guest of class vm gets it (runtime/vm/describe.h). */
#include "runtimetest.h"

#include <linux/filter.h>
#include <sys/mman.h>

#include <sys/mount.h>

#include "base/fd.h"
#include "base/str.h"
#include "runtime/vm/describe.h"
#include "wire/agent_codec.h"

#define HEAD "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"},"
#define PROC "\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},"

struct given {
	struct oci_spec *spec;
	struct share share;
	struct agent_network network;
};

static void give(struct given *g, const char *text)
{
	struct err err = { 0 };

	memset(g, 0, sizeof(*g));
	if (oci_spec_parse(text, strlen(text), "config.json", &g->spec, &err) < 0)
		fail_msg("%s", err.msg);
	g->share.mounts_len = g->spec->mounts_len;
	g->share.mounts = calloc(g->spec->mounts_len + 1, sizeof(*g->share.mounts));
	g->share.root = "/run/caisson/share/rootfs";
	assert_non_null(g->share.mounts);
}

static void give_back(struct given *g)
{
	share_done(&g->share);
	oci_spec_free(g->spec);
}

static struct describe_vm of(const struct given *g)
{
	return (struct describe_vm){
		.id = "box", .spec = g->spec, .share = &g->share, .network = &g->network
	};
}

/* What the memfd says; everything points into *bytes, which is the caller's. */
static void read_create(int fd, struct buf *bytes, struct vmm_head *head,
			struct agent_create *create)
{
	struct err err = { 0 };

	assert_int_equal(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE, F_SEAL_WRITE);
	assert_int_equal(fd_read_all(fd, bytes), 0);
	memcpy(head, bytes->data, sizeof(*head));
	assert_int_equal(head->magic, VMM_MSG_MAGIC);
	assert_int_equal(sizeof(*head) + head->network_len + head->create_len, bytes->len);
	if (agent_request_decode(AGENT_CREATE, bytes->data + sizeof(*head) + head->network_len,
				 head->create_len, create, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(close(fd), 0);
}

static struct oci_spec *described(const struct given *g, struct buf *bytes)
{
	const struct describe_vm d = of(g);
	const struct vmm_head asked = { .memory = 7 };
	struct agent_create create;
	struct vmm_head head;
	struct err err = { 0 };
	struct oci_spec *spec = NULL;
	const int fd = describe_vm(&d, &asked, &err);

	if (fd < 0)
		fail_msg("%s", err.msg);
	read_create(fd, bytes, &head, &create);
	assert_int_equal(head.memory, 7);
	assert_string_equal(create.id, "box");
	if (oci_spec_parse(create.config.bytes, create.config.len, "guest", &spec, &err) < 0)
		fail_msg("%s", err.msg);
	return spec;
}

static void what_a_guest_cannot_have_is_refused_by_name(void **state)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
		{ HEAD PROC "\"linux\":{\"namespaces\":[{\"type\":\"pid\"}]}}", "mount namespace" },
		{ HEAD PROC "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"ipc\","
			    "\"path\":\"/proc/1/ns/ipc\"}]}}",
		  "/proc/1/ns/ipc: class vm joins no ipc namespace" },
		{ HEAD PROC "\"linux\":{\"namespaces\":[{\"type\":\"mount\"}],\"devices\":[{"
			    "\"path\":\"/dev/ttyS0\",\"type\":\"c\",\"major\":4,\"minor\":64}]}}",
		  "linux.devices: /dev/ttyS0 (c 4:64)" },
		{ HEAD PROC "\"linux\":{\"namespaces\":[{\"type\":\"mount\"}],\"memoryPolicy\":{"
			    "\"mode\":\"MPOL_BIND\",\"nodes\":\"0\"}}}",
		  "linux.memoryPolicy" },
		{ HEAD "\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]}}", "process.args" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { 0 };
		struct given g;

		give(&g, rows[i].text);
		assert_true(describe_vm_check(g.spec, false, &err) < 0);
		if (!strstr(err.msg, rows[i].said))
			fail_msg("row %zu: %s", i, err.msg);
		give_back(&g);
	}
}

static void a_notifying_filter_is_refused(void **state)
{
	struct seccomp_program program = { .notifies = true };
	struct sock_filter one = { 0 };
	struct describe_vm d;
	struct err err = { 0 };
	struct given g;

	(void)state;
	give(&g, HEAD PROC "\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]}}");
	program.insns = &one;
	program.len = 1;
	d = of(&g);
	d.seccomp = &program;
	assert_int_equal(describe_vm_exec(&d, "", &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "SCMP_ACT_NOTIFY"));
	give_back(&g);
}

static void what_the_host_has_done_is_not_in_the_text(void **state)
{
	AUTO_BUF struct buf bytes = { 0 };
	struct oci_spec *spec;
	struct given g;

	(void)state;
	give(&g, HEAD PROC
	     "\"annotations\":{\"key\":\"x\",\"run.oci.a\":\"1\"},"
	     "\"hooks\":{\"prestart\":[{\"path\":\"/h\"}],\"poststop\":[{\"path\":\"/h\"}],"
	     "\"startContainer\":[{\"path\":\"/inside\"}]},"
	     "\"linux\":{\"cgroupsPath\":\"/pods/a\",\"netDevices\":{\"eth7\":{}},"
	     "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\"},"
	     "\"resources\":{\"memory\":{\"limit\":5000,\"swap\":9000},\"cpu\":{\"cpus\":\"3\","
	     "\"quota\":70},\"pids\":{\"limit\":9},\"blockIO\":{\"weight\":10}},"
	     "\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\",\"path\":\"/run/n\"}]}}");
	spec = described(&g, &bytes);
	assert_string_equal(spec->root.path, "/run/caisson/share/rootfs");
	/* The hook that runs inside gets a state with them. */
	assert_int_equal(spec->annotations.len, 1);
	assert_string_equal(spec->annotations.items[0].key, "key");
	assert_int_equal(spec->hooks.prestart.len + spec->hooks.poststop.len, 0);
	assert_string_equal(spec->hooks.start_container.items[0].path, "/inside");
	assert_string_equal(spec->linux.cgroups_path, "/caisson/box");
	assert_int_equal(spec->linux.net_devices_len, 0);
	assert_false(spec->linux.seccomp.set);
	assert_true(spec->linux.ns[OCI_NS_NETWORK].set);
	assert_string_equal(spec->linux.ns[OCI_NS_NETWORK].path, "/proc/1/ns/net");
	assert_true(spec->linux.ns[OCI_NS_IPC].set && spec->linux.ns[OCI_NS_UTS].set);
	assert_non_null(spec->hostname);
	assert_int_equal(spec->linux.resources.memory.limit.v, 5000);
	assert_false(spec->linux.resources.memory.swap.set);
	assert_null(spec->linux.resources.cpu.cpus);
	assert_int_equal(spec->linux.resources.cpu.quota.v, 70);
	assert_int_equal(spec->linux.resources.pids_limit.v, 9);
	assert_false(spec->linux.resources.block_io.weight.set);
	oci_spec_free(spec);
	give_back(&g);
}

static void sources_of_mounts_are_the_guests_paths(void **state)
{
	AUTO_BUF struct buf bytes = { 0 };
	struct oci_spec *spec;
	struct given g;

	(void)state;
	give(&g, HEAD PROC "\"annotations\":{\"secret\":\"x\"},\"mounts\":["
			   "{\"destination\":\"/a\",\"source\":\"/srv/a\",\"options\":[\"rbind\","
			   "\"ro\",\"rslave\",\"idmap\",\"src-nofollow\"]},"
			   "{\"destination\":\"/b\",\"type\":\"tmpfs\",\"options\":[\"size=1m\","
			   "\"nosuid\"]},"
			   "{\"destination\":\"/c\",\"type\":\"overlay\",\"source\":\"overlay\","
			   "\"options\":[\"lowerdir=/x\",\"nodev\"]}],"
			   "\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]}}");
	g.share.mounts[0] =
		(struct share_mount){ .kind = SHARE_TREE, .path = strdup("/run/caisson/share/0") };
	g.share.mounts[2] = (struct share_mount){ .kind = SHARE_TREE,
						  .path = strdup("/run/caisson/share/2"),
						  .made = true };
	g.share.mounts[0].flags = MS_NOEXEC;
	g.share.mounts[0].below = calloc(1, sizeof(*g.share.mounts[0].below));
	assert_non_null(g.share.mounts[0].below);
	g.share.mounts[0].below_len = 1;
	g.share.mounts[0].below[0] =
		(struct share_below){ .place = strdup("x/y"), .flags = MS_RDONLY };
	spec = described(&g, &bytes);
	assert_int_equal(spec->annotations.len, 0);
	assert_int_equal(spec->mounts_len, 4);
	assert_string_equal(spec->mounts[0].source, "/run/caisson/share/0");
	assert_int_equal(spec->mounts[0].options.len, 5);
	assert_string_equal(spec->mounts[0].options.items[4], "noexec");
	/* What "rbind" brings along is a mount of its own. */
	assert_string_equal(spec->mounts[1].source, "/run/caisson/share/0/x/y");
	assert_string_equal(spec->mounts[1].destination, "/a/x/y");
	assert_int_equal(spec->mounts[1].options.len, 3);
	assert_string_equal(spec->mounts[1].options.items[0], "bind");
	assert_string_equal(spec->mounts[1].options.items[1], "ro");
	assert_string_equal(spec->mounts[1].options.items[2], "rslave");
	assert_string_equal(spec->mounts[0].options.items[3], "src-nofollow");
	assert_string_equal(spec->mounts[2].options.items[0], "size=1m");
	assert_null(spec->mounts[2].source);
	assert_string_equal(spec->mounts[3].type, "bind");
	assert_string_equal(spec->mounts[3].source, "/run/caisson/share/2");
	assert_int_equal(spec->mounts[3].options.len, 2);
	assert_string_equal(spec->mounts[3].options.items[1], "nodev");
	oci_spec_free(spec);
	give_back(&g);
}

static void an_exec_is_a_process_and_its_filter(void **state)
{
	struct sock_filter insns[] = { { 6, 0, 0, 0x7fff0000 } };
	const struct seccomp_program program = { .insns = insns, .len = 1, .flags = 2 };
	AUTO_BUF struct buf bytes = { 0 };
	struct oci_spec *spec = NULL;
	struct agent_exec exec;
	struct describe_vm d;
	struct err err = { 0 };
	struct given g;
	int fd;

	(void)state;
	give(&g, HEAD "\"process\":{\"terminal\":true,\"cwd\":\"/tmp\",\"args\":[\"id\"],"
		      "\"apparmorProfile\":\"unconfined\"},\"hostname\":\"h\","
		      "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"uts\"}],"
		      "\"personality\":{\"domain\":\"LINUX32\"}}}");
	d = of(&g);
	d.seccomp = &program;
	d.rows = 5;
	fd = describe_vm_exec(&d, "sub", &err);
	assert_true(fd >= 0);
	assert_int_equal(fd_read_all(fd, &bytes), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(agent_request_decode(AGENT_EXEC, bytes.data, bytes.len, &exec, &err), 0);
	assert_string_equal(exec.cgroup, "sub");
	assert_int_equal(exec.seccomp.len, sizeof(insns));
	assert_int_equal(exec.seccomp_flags, 2);
	assert_int_equal(exec.io.terminal, 1);
	assert_int_equal(exec.io.rows, 5);
	assert_int_equal(oci_spec_parse(exec.config.bytes, exec.config.len, "exec", &spec, &err),
			 0);
	assert_string_equal(spec->process.cwd, "/tmp");
	assert_null(spec->process.apparmor_profile);
	assert_null(spec->hostname);
	assert_true(spec->linux.personality_set);
	oci_spec_free(spec);
	give_back(&g);
}

static void an_update_is_the_limits_of_the_container(void **state)
{
	struct oci_resources limits = { .pids_limit = { 7, true } };
	AUTO_BUF struct buf bytes = { 0 };
	struct oci_spec *spec = NULL;
	struct agent_update update;
	struct err err = { 0 };

	(void)state;
	limits.memory.limit = (struct oci_opt_i64){ 1 << 20, true };
	limits.cpu.mems = "0";
	assert_int_equal(describe_vm_update("box", &limits, &bytes, &err), 0);
	assert_int_equal(agent_request_decode(AGENT_UPDATE, bytes.data, bytes.len, &update, &err),
			 0);
	assert_int_equal(oci_spec_parse(update.config.bytes, update.config.len, "u", &spec, &err),
			 0);
	assert_int_equal(spec->linux.resources.pids_limit.v, 7);
	assert_int_equal(spec->linux.resources.memory.limit.v, 1 << 20);
	assert_null(spec->linux.resources.cpu.mems);
	oci_spec_free(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_guest_cannot_have_is_refused_by_name),
		cmocka_unit_test(a_notifying_filter_is_refused),
		cmocka_unit_test(what_the_host_has_done_is_not_in_the_text),
		cmocka_unit_test(sources_of_mounts_are_the_guests_paths),
		cmocka_unit_test(an_exec_is_a_process_and_its_filter),
		cmocka_unit_test(an_update_is_the_limits_of_the_container),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
