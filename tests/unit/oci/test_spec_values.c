/* SPDX-License-Identifier: Apache-2.0 */
/* Every field of the specification arrives in its place: read from data/full.json. */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "base/str.h"
#include "document.h"
#include "oci/spec.h"

static struct document *doc;
static struct oci_spec *spec;

static int load(void **state)
{
	struct err err = { 0 };

	(void)state;
	doc = document_load("full.json");
	if (oci_spec_parse(doc->text, doc->len, "full.json", &spec, &err) < 0) {
		print_error("%s\n", err.msg);
		return -1;
	}
	return 0;
}

static int unload(void **state)
{
	(void)state;
	oci_spec_free(spec);
	document_free(doc);
	return 0;
}

#define BIT(n) (UINT64_C(1) << (n))

static void top_level_fields_arrive(void **state)
{
	(void)state;
	assert_string_equal(spec->version, "1.3.0");
	assert_string_equal(spec->root.path, "rootfs");
	assert_true(spec->root.readonly);
	assert_string_equal(spec->hostname, "box");
	assert_string_equal(spec->domainname, "example.org");
	assert_true(spec->has_linux && spec->has_vm && spec->has_windows && spec->has_solaris &&
		    spec->has_zos);
	assert_string_equal(oci_annotation(spec, "org.example.key"), "value");
	assert_string_equal(oci_annotation(spec, "empty"), "");
	assert_null(oci_annotation(spec, "org.example"));
}

static void process_fields_arrive(void **state)
{
	const struct oci_process *p = &spec->process;

	(void)state;
	assert_true(p->set && p->terminal && p->no_new_privileges);
	assert_int_equal(p->console_height.v, 25);
	assert_int_equal(p->console_width.v, 80);
	assert_int_equal(p->user.uid, 1);
	assert_int_equal(p->user.gid, 2);
	assert_true(p->user.umask.set);
	assert_int_equal(p->user.umask.v, 022);
	assert_int_equal(p->user.additional_gids_len, 2);
	assert_int_equal(p->user.additional_gids[0], 5);
	assert_int_equal(p->user.additional_gids[1], UINT32_MAX);
	assert_string_equal(p->user.username, "alice");
	assert_int_equal(p->args.len, 2);
	assert_string_equal(p->args.items[1], "60");
	assert_null(p->args.items[2]);
	assert_string_equal(p->env.items[0], "PATH=/bin");
	assert_string_equal(p->cwd, "/home");
	assert_string_equal(p->apparmor_profile, "caisson-default");
	assert_string_equal(p->selinux_label, "system_u:system_r:svirt_lxc_net_t:s0");
	assert_true(p->oom_score_adj.set);
	assert_int_equal(p->oom_score_adj.v, -500);
	assert_string_equal(p->exec_cpu_affinity_initial, "0-3,7");
	assert_string_equal(p->exec_cpu_affinity_final, "1");
}

static void capability_sets_arrive_apart(void **state)
{
	const struct oci_caps *c = &spec->process.caps;

	(void)state;
	assert_true(c->set);
	assert_int_equal(c->bounding, BIT(CAP_CHOWN) | BIT(CAP_KILL));
	assert_int_equal(c->effective, BIT(CAP_KILL));
	assert_int_equal(c->inheritable, BIT(CAP_NET_RAW));
	assert_int_equal(c->permitted, BIT(CAP_KILL) | BIT(CAP_CHECKPOINT_RESTORE));
	assert_int_equal(c->ambient, BIT(CAP_AUDIT_WRITE));
}

/* Goal: numbers above INT64_MAX, which the JSON library refuses, are exact. */
static void unsigned_64_bit_numbers_are_exact(void **state)
{
	const struct oci_rlimit *limits = spec->process.rlimits;

	(void)state;
	assert_int_equal(spec->process.rlimits_len, 2);
	assert_int_equal(limits[0].type, RLIMIT_NOFILE);
	assert_string_equal(limits[0].name, "RLIMIT_NOFILE");
	assert_true(limits[0].hard == UINT64_MAX);
	assert_true(limits[0].soft == 1024);
	assert_true(limits[1].hard == UINT64_C(9223372036854775808));
	assert_true(spec->linux.seccomp.rules[1].args[0].value == UINT64_MAX);
	assert_true(spec->linux.resources.block_io.write_iops.items[0].rate == UINT64_MAX);
}

static void scheduling_fields_arrive(void **state)
{
	const struct oci_scheduler *s = &spec->process.scheduler;

	(void)state;
	assert_true(s->set);
	assert_int_equal(s->policy, SCHED_DEADLINE);
	assert_int_equal(s->nice, -5);
	assert_int_equal(s->flags, SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_RECLAIM);
	assert_int_equal(s->runtime_ns, 10000000);
	assert_int_equal(s->deadline_ns, 20000000);
	assert_int_equal(s->period_ns, 30000000);
	assert_true(spec->process.io_priority.set);
	assert_int_equal(spec->process.io_priority.class, IOPRIO_CLASS_BE);
	assert_int_equal(spec->process.io_priority.priority, 7);
}

static void mounts_and_hooks_arrive(void **state)
{
	const struct oci_mount *m = &spec->mounts[1];
	const struct oci_hook *h = &spec->hooks.prestart.items[0];

	(void)state;
	assert_int_equal(spec->mounts_len, 2);
	assert_string_equal(spec->mounts[0].destination, "/proc");
	assert_int_equal(spec->mounts[0].options.len, 0);
	assert_string_equal(m->destination, "data");
	assert_string_equal(m->type, "none");
	assert_string_equal(m->source, "/srv/data");
	assert_int_equal(m->options.len, 3);
	assert_string_equal(m->options.items[2], "idmap");
	assert_int_equal(m->uid_maps.items[0].host_id, 1000);
	assert_int_equal(m->gid_maps.items[0].size, 20);
	assert_string_equal(h->path, "/bin/a");
	assert_string_equal(h->args.items[1], "b");
	assert_string_equal(h->env.items[0], "K=V");
	assert_int_equal(h->timeout_s, 3);
	assert_string_equal(spec->hooks.create_runtime.items[0].path, "/bin/b");
	assert_int_equal(spec->hooks.create_runtime.items[0].timeout_s, 0);
	assert_string_equal(spec->hooks.create_container.items[0].path, "/bin/c");
	assert_string_equal(spec->hooks.start_container.items[0].path, "/bin/d");
	assert_string_equal(spec->hooks.poststart.items[0].path, "/bin/e");
	assert_int_equal(spec->hooks.poststop.len, 2);
	assert_string_equal(spec->hooks.poststop.items[1].path, "/bin/g");
}

static void relative_destination_is_kept_with_a_warning(void **state)
{
	(void)state;
	assert_int_equal(spec->warnings.len, 1);
	assert_non_null(strstr(spec->warnings.items[0], "mounts[1]: relative destination"));
}

static void linux_fields_arrive(void **state)
{
	const struct oci_linux *l = &spec->linux;

	(void)state;
	for (int i = 0; i < OCI_NS_MAX; i++) {
		assert_true(l->ns[i].set);
		if (i != OCI_NS_PID)
			assert_null(l->ns[i].path);
	}
	assert_string_equal(l->ns[OCI_NS_PID].path, "/proc/1/ns/pid");
	assert_int_equal(l->uid_maps.items[0].host_id, 100000);
	assert_int_equal(l->gid_maps.items[0].host_id, 200000);
	assert_int_equal(l->gid_maps.items[0].size, 65536);
	assert_true(l->monotonic_offset.set && l->boottime_offset.set);
	assert_int_equal(l->monotonic_offset.nanosecs, 999999999);
	assert_int_equal(l->boottime_offset.secs, -604800);
	assert_int_equal(l->devices_len, 2);
	assert_int_equal(l->devices[0].type, 'c');
	assert_int_equal(l->devices[0].minor, 229);
	assert_int_equal(l->devices[0].file_mode.v, 0666);
	assert_int_equal(l->devices[0].gid.v, 7);
	assert_false(l->devices[1].uid.set);
	assert_int_equal(l->net_devices_len, 2);
	assert_string_equal(l->net_devices[0].host_name, "eth0");
	assert_string_equal(l->net_devices[0].name, "container_eth0");
	assert_null(l->net_devices[1].name);
	assert_string_equal(l->cgroups_path, "/a/b");
	assert_string_equal(l->rootfs_propagation, "slave");
	assert_int_equal(l->sysctl.len, 2);
	assert_string_equal(l->sysctl.items[1].value, "65536");
	assert_string_equal(l->masked_paths.items[0], "/proc/kcore");
	assert_string_equal(l->readonly_paths.items[0], "/proc/sys");
	assert_string_equal(l->mount_label, "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811");
	assert_true(l->personality_set);
	assert_int_equal(l->personality, PER_LINUX32);
}

static void rdt_and_memory_policy_arrive(void **state)
{
	const struct oci_intel_rdt *rdt = &spec->linux.intel_rdt;
	const struct oci_memory_policy *policy = &spec->linux.memory_policy;

	(void)state;
	assert_true(rdt->set && rdt->enable_cmt && rdt->enable_mbm && rdt->enable_monitoring);
	assert_string_equal(rdt->clos_id, "guaranteed_group");
	assert_string_equal(rdt->l3_cache_schema, "L3:0=7f0;1=1f");
	assert_string_equal(rdt->mem_bw_schema, "MB:0=20;1=70");
	assert_string_equal(rdt->schemata.items[0], "L2:0=ff");
	assert_true(policy->set);
	assert_string_equal(policy->mode, "MPOL_INTERLEAVE");
	assert_string_equal(policy->nodes, "0-1,3");
	assert_string_equal(policy->flags.items[0], "MPOL_F_STATIC_NODES");
}

static void resources_arrive(void **state)
{
	const struct oci_resources *r = &spec->linux.resources;

	(void)state;
	assert_true(r->set);
	assert_int_equal(r->devices_len, 2);
	assert_false(r->devices[0].allow);
	assert_int_equal(r->devices[0].type, 'a');
	assert_int_equal(r->devices[0].major, -1);
	assert_int_equal(r->devices[0].minor, -1);
	assert_true(r->devices[1].allow);
	assert_int_equal(r->devices[1].major, 10);
	assert_int_equal(r->devices[1].minor, 229);
	assert_string_equal(r->devices[1].access, "rw");
	assert_int_equal(r->memory.limit.v, 536870912);
	assert_int_equal(r->memory.reservation.v, 536870911);
	assert_true(r->memory.swap.set && r->memory.swap.v == -1);
	assert_true(r->memory.kernel.set && r->memory.kernel_tcp.set);
	assert_int_equal(r->memory.swappiness.v, 60);
	assert_true(r->memory.disable_oom_killer.set && !r->memory.disable_oom_killer.v);
	assert_true(r->memory.use_hierarchy.v && r->memory.check_before_update.v);
	assert_int_equal(r->cpu.shares.v, 1024);
	assert_int_equal(r->cpu.quota.v, 1000000);
	assert_int_equal(r->cpu.burst.v, 1000000);
	assert_int_equal(r->cpu.period.v, 500000);
	assert_int_equal(r->cpu.realtime_runtime.v, 950000);
	assert_int_equal(r->cpu.realtime_period.v, 1000000);
	assert_string_equal(r->cpu.cpus, "2-3");
	assert_string_equal(r->cpu.mems, "0-7");
	assert_true(r->cpu.idle.set && r->cpu.idle.v == 0);
	assert_int_equal(r->pids_limit.v, 32771);
	assert_int_equal(r->unified.len, 2);
	assert_string_equal(r->unified.items[0].key, "memory.high");
	assert_string_equal(r->unified.items[1].value, "8:0 wiops=120");
}

static void block_and_network_resources_arrive(void **state)
{
	const struct oci_resources *r = &spec->linux.resources;

	(void)state;
	assert_int_equal(r->block_io.weight.v, 10);
	assert_int_equal(r->block_io.leaf_weight.v, 11);
	assert_int_equal(r->block_io.weight_devices_len, 2);
	assert_int_equal(r->block_io.weight_devices[0].leaf_weight.v, 300);
	assert_false(r->block_io.weight_devices[1].leaf_weight.set);
	assert_int_equal(r->block_io.weight_devices[1].minor, 16);
	assert_int_equal(r->block_io.read_bps.items[0].rate, 600);
	assert_int_equal(r->block_io.write_bps.items[0].rate, 601);
	assert_int_equal(r->block_io.read_iops.items[0].rate, 602);
	assert_int_equal(r->block_io.write_iops.items[0].minor, 3);
	assert_string_equal(r->hugepage_limits[0].page_size, "2MB");
	assert_int_equal(r->hugepage_limits[0].limit, 209715200);
	assert_int_equal(r->network.class_id.v, 1048577);
	assert_string_equal(r->network.priorities[0].name, "eth0");
	assert_int_equal(r->network.priorities[0].priority, 500);
	assert_int_equal(r->rdma_len, 2);
	assert_string_equal(r->rdma[0].name, "mlx5_1");
	assert_int_equal(r->rdma[0].hca_handles.v, 3);
	assert_false(r->rdma[1].hca_handles.set);
	assert_int_equal(r->rdma[1].hca_objects.v, 1000);
}

static void seccomp_arrives(void **state)
{
	const struct oci_seccomp *s = &spec->linux.seccomp;

	(void)state;
	assert_true(s->set);
	assert_string_equal(s->default_action, "SCMP_ACT_ERRNO");
	assert_int_equal(s->default_errno_ret.v, 38);
	assert_string_equal(s->architectures.items[1], "SCMP_ARCH_X86");
	assert_string_equal(s->flags.items[0], "SECCOMP_FILTER_FLAG_LOG");
	assert_string_equal(s->listener_path, "/run/agent.sock");
	assert_string_equal(s->listener_metadata, "opaque");
	assert_int_equal(s->rules_len, 2);
	assert_string_equal(s->rules[0].names.items[1], "write");
	assert_false(s->rules[0].errno_ret.set);
	assert_int_equal(s->rules[1].errno_ret.v, 1);
	assert_int_equal(s->rules[1].args_len, 1);
	assert_int_equal(s->rules[1].args[0].value_two, 1);
	assert_string_equal(s->rules[1].args[0].op, "SCMP_CMP_MASKED_EQ");
}

/* Goal: what is absent can be told from zero. */
static void minimal_document_leaves_everything_unset(void **state)
{
	static const char text[] = "{\"ociVersion\":\"1.0.2-dev\",\"root\":{\"path\":\"r\"},"
				   "\"linux\":null,\"future\":{\"deep\":[1,{}]}}";
	struct oci_spec *s = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(oci_spec_parse(text, sizeof(text) - 1, "c", &s, &err), 0);
	assert_false(s->process.set || s->process.caps.set || s->has_linux || s->has_vm);
	assert_false(s->linux.resources.set || s->linux.seccomp.set || s->linux.personality_set);
	assert_false(s->linux.resources.memory.limit.set || s->process.oom_score_adj.set);
	assert_null(s->hostname);
	assert_null(s->linux.cgroups_path);
	assert_int_equal(s->warnings.len, 0);
	oci_spec_free(s);
}

static void process_and_resources_documents_stand_alone(void **state)
{
	static const char process[] = "{\"cwd\":\"/\",\"args\":[\"sh\"],\"user\":{\"uid\":7}}";
	static const char resources[] = "{\"memory\":{\"limit\":4096},\"pids\":{\"limit\":-1}}";
	struct oci_spec *s = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(oci_process_parse(process, sizeof(process) - 1, "p", &s, &err), 0);
	assert_true(s->process.set);
	assert_int_equal(s->process.user.uid, 7);
	oci_spec_free(s);
	assert_int_equal(oci_resources_parse(resources, sizeof(resources) - 1, "-", &s, &err), 0);
	assert_true(s->linux.resources.set);
	assert_int_equal(s->linux.resources.memory.limit.v, 4096);
	assert_int_equal(s->linux.resources.pids_limit.v, -1);
	oci_spec_free(s);
}

static void files_load_and_a_missing_one_is_named(void **state)
{
	struct oci_spec *s = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(oci_spec_load(AT_FDCWD, TEST_SOURCE_DIR "/data/full.json", &s, &err), 0);
	assert_string_equal(s->hostname, "box");
	oci_spec_free(s);
	assert_int_equal(oci_spec_load(AT_FDCWD, TEST_SOURCE_DIR "/data/none.json", &s, &err),
			 -ENOENT);
	assert_non_null(strstr(err.msg, "none.json: No such file"));
	assert_int_equal(oci_process_load(AT_FDCWD, TEST_SOURCE_DIR "/data/full.json", &s, &err),
			 -EINVAL);
	assert_non_null(strstr(err.msg, "cwd: missing"));
}

static void words_go_both_ways(void **state)
{
	(void)state;
	for (unsigned int i = 0; oci_cap_name(i); i++)
		assert_int_equal(oci_cap_number(oci_cap_name(i)), i);
	assert_null(oci_cap_name(CAP_LAST_CAP + 1));
	assert_int_equal(oci_cap_number("CAP_NONE"), -EINVAL);
	assert_int_equal(oci_cap_number("kill"), -EINVAL);
	assert_string_equal(oci_ns_name(OCI_NS_NETWORK), "network");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(top_level_fields_arrive),
		cmocka_unit_test(process_fields_arrive),
		cmocka_unit_test(capability_sets_arrive_apart),
		cmocka_unit_test(unsigned_64_bit_numbers_are_exact),
		cmocka_unit_test(scheduling_fields_arrive),
		cmocka_unit_test(mounts_and_hooks_arrive),
		cmocka_unit_test(relative_destination_is_kept_with_a_warning),
		cmocka_unit_test(linux_fields_arrive),
		cmocka_unit_test(rdt_and_memory_policy_arrive),
		cmocka_unit_test(resources_arrive),
		cmocka_unit_test(block_and_network_resources_arrive),
		cmocka_unit_test(seccomp_arrives),
		cmocka_unit_test(minimal_document_leaves_everything_unset),
		cmocka_unit_test(process_and_resources_documents_stand_alone),
		cmocka_unit_test(files_load_and_a_missing_one_is_named),
		cmocka_unit_test(words_go_both_ways),
	};

	return cmocka_run_group_tests_name("oci/spec values", tests, load, unload);
}
