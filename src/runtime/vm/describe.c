/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's specification is a copy of the host's struct, whose members are edited and which
 * borrows everything else; oci/encode.h makes its text.
 */
#include "runtime/vm/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "host/caps.h"
#include "host/lsm.h"
#include "host/sched.h"
#include "oci/encode.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/vm/describe_mounts.h"
#include "runtime/vm/size.h"
#include "wire/agent_codec.h"

#define CGROUP_PREFIX "/caisson/" /* of the guest's cgroup2 */

/* The guest's specification, with the arrays that it owns. */
struct guest_spec {
	struct oci_spec spec;
	struct guest_mounts mounts;
	struct oci_kv *annotations;
	struct oci_id_map *ids; /* of users, then of groups */
	struct oci_kv *unified;
	uint32_t *groups;
	char *cgroup;
	char *siblings[OCI_NS_MAX]; /* paths of namespaces that are another container's */
	struct utsname names;
};

static void guest_spec_done(struct guest_spec *g)
{
	guest_mounts_done(&g->mounts);
	free(g->annotations);
	free(g->ids);
	free(g->unified);
	free(g->groups);
	free(g->cgroup);
	for (int i = 0; i < OCI_NS_MAX; i++)
		free(g->siblings[i]);
}

/* ---- What is refused ---- */

static int refuse_namespaces(const struct oci_linux *from, bool joins, struct err *err)
{
	if (!from->ns[OCI_NS_MOUNT].set)
		return err_set(err, -EINVAL,
			       "linux.namespaces: a container needs a mount namespace");
	for (int i = 0; i < OCI_NS_MAX; i++) {
		if (i != OCI_NS_NETWORK && from->ns[i].path && !joins)
			return err_set(err, -ENOTSUP,
				       "linux.namespaces: %s: class vm joins no %s namespace of "
				       "the host",
				       from->ns[i].path, oci_ns_name((enum oci_ns)i));
	}
	return 0;
}

/*
 * Devices that the guest's kernel has under the same numbers (Documentation/admin-guide/devices).
 * Block devices become disks of the machine (share.h).
 */
static bool guest_has(const struct oci_device *d)
{
	static const struct {
		unsigned int major, minor;
	} known[] = { { 1, 3 }, { 1, 5 }, { 1, 7 }, { 1, 8 },	 { 1, 9 },
		      { 5, 0 }, { 5, 1 }, { 5, 2 }, { 10, 200 }, { 10, 229 } };

	if (d->type == 'p' || d->type == 'b')
		return true;
	for (size_t i = 0; d->type == 'c' && i < ARRAY_LEN(known); i++) {
		if (d->major == known[i].major && d->minor == known[i].minor)
			return true;
	}
	return false;
}

static int refuse_devices(const struct oci_linux *from, struct err *err)
{
	for (size_t i = 0; i < from->devices_len; i++) {
		const struct oci_device *d = &from->devices[i];

		if (!guest_has(d))
			return err_set(err, -ENOTSUP,
				       "linux.devices: %s (%c %lld:%lld): class vm gives no "
				       "character device of the host to a container",
				       d->path, d->type, (long long)d->major, (long long)d->minor);
	}
	return 0;
}

int describe_vm_check_process(const struct oci_spec *spec, struct err *err)
{
	const struct oci_process *p = &spec->process;
	int r = lsm_check(p, &spec->linux, err);

	/* The machine's kernel would give what the caller has no right to. */
	if (r == 0)
		r = rlimits_check(p->rlimits, p->rlimits_len, err);
	if (r < 0)
		return r;
	/* They are for processes of the host's kernel. */
	if (p->selinux_label || spec->linux.mount_label || p->apparmor_profile)
		log_debug("labels of security modules do not reach into a virtual machine");
	if (p->args.len == 0)
		return err_set(err, -EINVAL, "process.args must not be empty");
	return 0;
}

int describe_vm_check(const struct oci_spec *spec, bool joins, struct err *err)
{
	int r = describe_vm_check_process(spec, err);

	if (r == 0)
		r = refuse_namespaces(&spec->linux, joins, err);
	if (r == 0)
		r = refuse_devices(&spec->linux, err);
	if (r == 0 && spec->linux.memory_policy.set)
		r = err_set(err, -ENOTSUP,
			    "linux.memoryPolicy: a machine of class vm has one node of memory");
	return r;
}

/* ---- What is said inside ---- */

/*
 * Of the container's own kernel; what concerns the host's devices and nodes holds on the host.
 * *ret_unified is the caller's.
 */
static int take_resources(const struct oci_resources *from, struct oci_resources *to,
			  struct oci_kv **ret_unified)
{
	struct oci_kv *unified = calloc(from->unified.len + 1, sizeof(*unified));

	if (!unified)
		return -ENOMEM;
	*to = (struct oci_resources){ .set = from->set,
				      .devices = from->devices,
				      .devices_len = from->devices_len,
				      .pids_limit = from->pids_limit };
	to->memory.limit = from->memory.limit;
	to->memory.reservation = from->memory.reservation;
	to->cpu.shares = from->cpu.shares;
	to->cpu.period = from->cpu.period;
	to->cpu.quota = from->cpu.quota;
	to->cpu.burst = from->cpu.burst;
	to->cpu.idle = from->cpu.idle;
	to->unified.items = *ret_unified = unified;
	for (size_t i = 0; i < from->unified.len; i++) {
		if (vm_size_is_inside(from->unified.items[i].key))
			unified[to->unified.len++] = from->unified.items[i];
	}
	return 0;
}

static void take_process(const struct oci_spec *from, struct oci_process *to)
{
	*to = from->process;
	to->caps = caps_grant(&from->process.caps);
	to->apparmor_profile = NULL;
	to->selinux_label = NULL;
}

/* run.oci.keep_original_groups: those of the caller, not those of config.json. */
static int keep_groups(struct guest_spec *g, struct err *err)
{
	const int len = getgroups(0, NULL);

	g->groups = len < 0 ? NULL : calloc((size_t)len + 1, sizeof(*g->groups));
	if (!g->groups || getgroups(len, g->groups) != len)
		return err_sys(err, -ENOMEM, "process.user.additionalGids: the caller's groups");
	g->spec.process.user.additional_gids = g->groups;
	g->spec.process.user.additional_gids_len = (size_t)len;
	return 0;
}

/*
 * Network is the guest's one, which is joined, so that it is the container's as far as sysctls are
 * concerned; a user namespace has rights over none but its own, which the agent gives the devices
 * to. ipc and uts are the container's own, whatever the host shares.
 */
static int take_linux(const struct oci_linux *from, struct oci_linux *to,
		      struct oci_kv **ret_unified)
{
	static const char guests[] = "/proc/1/ns/net";

	*to = *from;
	to->ns[OCI_NS_NETWORK] = (struct oci_namespace){ .set = true };
	if (!from->ns[OCI_NS_USER].set)
		to->ns[OCI_NS_NETWORK].path = guests;
	to->ns[OCI_NS_IPC].set = true;
	to->ns[OCI_NS_UTS].set = true;
	/* The agent is nobody's neighbour. */
	to->ns[OCI_NS_PID].set = true;
	to->ns[OCI_NS_CGROUP].set = true;
	to->net_devices_len = 0;
	to->seccomp = (struct oci_seccomp){ 0 };
	to->intel_rdt = (struct oci_intel_rdt){ 0 };
	to->mount_label = NULL;
	return take_resources(&from->resources, &to->resources, ret_unified);
}

/* The map of the host's user namespace is that of the files already: inside each id is itself. */
static int take_own_ids(struct guest_spec *g, const struct oci_linux *from)
{
	const struct oci_id_maps *maps[] = { &from->uid_maps, &from->gid_maps };
	struct oci_id_maps *to[] = { &g->spec.linux.uid_maps, &g->spec.linux.gid_maps };
	struct oci_id_map *next;

	next = g->ids = calloc(maps[0]->len + maps[1]->len + 1, sizeof(*g->ids));
	if (!next)
		return -ENOMEM;
	for (size_t k = 0; k < ARRAY_LEN(maps); k++) {
		*to[k] = (struct oci_id_maps){ .items = next, .len = maps[k]->len };
		for (size_t i = 0; i < maps[k]->len; i++) {
			*next = maps[k]->items[i];
			next->host_id = next->container_id;
			next++;
		}
	}
	return 0;
}

/* Namespaces that it has together with others of its machine. */
static int take_siblings(struct guest_spec *g, const char *const *shared)
{
	struct oci_linux *to = &g->spec.linux;

	for (int i = 0; shared && i < OCI_NS_MAX; i++) {
		if (!shared[i])
			continue;
		if (str_printf(&g->siblings[i], AGENT_NAMESPACE_OF "%s", shared[i]) < 0)
			return -ENOMEM;
		to->ns[i] = (struct oci_namespace){ .set = true, .path = g->siblings[i] };
	}
	if (to->ns[OCI_NS_USER].path)
		to->uid_maps = to->gid_maps = (struct oci_id_maps){ 0 };
	return 0;
}

/* What the host's kernel is called, unless config.json says otherwise, or others. */
static void take_names(struct guest_spec *g, const struct oci_spec *from)
{
	if (from->hostname || g->spec.linux.ns[OCI_NS_UTS].path || uname(&g->names) < 0)
		return;
	g->spec.hostname = g->names.nodename;
}

/* For the state that startContainer hooks get; not what tells a runtime of the host to do
 * something.
 */
static int take_annotations(struct guest_spec *g, const struct oci_spec *from)
{
	g->annotations = calloc(from->annotations.len + 1, sizeof(*g->annotations));
	if (!g->annotations)
		return -ENOMEM;
	g->spec.annotations = (struct oci_kvs){ .items = g->annotations };
	for (size_t i = 0; i < from->annotations.len; i++) {
		const struct oci_kv *kv = &from->annotations.items[i];

		if (!str_after(kv->key, "run.oci.") && !str_after(kv->key, "io.caisson."))
			g->annotations[g->spec.annotations.len++] = *kv;
	}
	return 0;
}

static int make_guest(const struct describe_vm *d, struct guest_spec *g, struct err *err)
{
	const struct oci_spec *from = d->spec;
	int r;

	g->spec = *from;
	g->spec.root.path = d->share->root;
	take_process(from, &g->spec.process);
	if (take_linux(&from->linux, &g->spec.linux, &g->unified) < 0)
		return err_sys(err, -ENOMEM, "linux.resources");
	if (take_siblings(g, d->shared) < 0)
		return err_sys(err, -ENOMEM, "linux.namespaces");
	if (d->unprivileged && take_own_ids(g, &from->linux) < 0)
		return err_sys(err, -ENOMEM, "linux.uidMappings");
	take_names(g, from);
	g->spec.hooks = (struct oci_hooks){ .start_container = from->hooks.start_container };
	g->spec.annotations = (struct oci_kvs){ 0 };
	if (from->hooks.start_container.len && take_annotations(g, from) < 0)
		return err_sys(err, -ENOMEM, "annotations");
	if (str_printf(&g->cgroup, CGROUP_PREFIX "%s", d->id) < 0)
		return err_sys(err, -ENOMEM, "linux.cgroupsPath");
	g->spec.linux.cgroups_path = g->cgroup;
	if (oci_annotation_is_set(from, "run.oci.keep_original_groups") && keep_groups(g, err) < 0)
		return -ENOMEM;
	r = describe_guest_mounts(from, d->share, &g->mounts, err);
	g->spec.mounts = g->mounts.items;
	g->spec.mounts_len = g->mounts.len;
	return r;
}

static int take_seccomp(const struct seccomp_program *from, struct agent_bytes *ret,
			uint32_t *ret_flags, struct err *err)
{
	*ret = (struct agent_bytes){ 0 };
	*ret_flags = 0;
	if (!from || !from->insns)
		return 0;
	if (from->notifies)
		return err_set(err, -ENOTSUP,
			       "linux.seccomp: SCMP_ACT_NOTIFY has no listener in class vm");
	*ret = (struct agent_bytes){ from->insns, (uint32_t)(from->len * sizeof(from->insns[0])) };
	*ret_flags = from->flags;
	return 0;
}

static struct agent_io io_of(const struct describe_vm *d)
{
	return (struct agent_io){ .terminal = d->spec->process.terminal,
				  .rows = d->rows,
				  .cols = d->cols };
}

static int encode_create(const struct describe_vm *d, struct buf *ret, struct err *err)
{
	AUTO(guest_spec_done) struct guest_spec g = { 0 };
	AUTO_BUF struct buf config = { .max = AGENT_REQUEST_MAX };
	AUTO_FREE struct agent_create *create = calloc(1, sizeof(*create));
	int r = create ? make_guest(d, &g, err) : err_sys(err, -ENOMEM, "describe the container");

	if (r == 0)
		r = oci_spec_write(&g.spec, &config, err);
	if (r == 0)
		r = take_seccomp(d->seccomp, &create->seccomp, &create->seccomp_flags, err);
	if (r < 0)
		return r;
	create->id = d->id;
	create->config = (struct agent_bytes){ config.data, (uint32_t)config.len };
	create->io = io_of(d);
	create->bundle = d->bundle;
	for (uint32_t i = 0; i < d->share->storages_len; i++)
		create->storages[create->storages_len++] = d->share->storages[i];
	return agent_request_encode(AGENT_CREATE, create, ret, err);
}

int describe_vm(const struct describe_vm *d, const struct vmm_head *head, struct err *err)
{
	AUTO_BUF struct buf network = { .max = AGENT_REQUEST_MAX };
	AUTO_BUF struct buf create = { .max = AGENT_REQUEST_MAX };
	AUTO_BUF struct buf all = { .max = sizeof(*head) + 2ull * AGENT_REQUEST_MAX };
	struct vmm_head h = *head;
	int r = agent_request_encode(AGENT_NETWORK, d->network, &network, err);

	if (r == 0)
		r = encode_create(d, &create, err);
	if (r < 0)
		return r;
	h.magic = VMM_MSG_MAGIC;
	h.version = VMM_MSG_VERSION;
	h.network_len = (uint32_t)network.len;
	h.create_len = (uint32_t)create.len;
	(void)buf_append(&all, &h, sizeof(h));
	(void)buf_append(&all, network.data, network.len);
	(void)buf_append(&all, create.data, create.len);
	if (buf_error(&all) < 0)
		return err_sys(err, buf_error(&all), "describe the container");
	return sandbox_seal(&all, err);
}

int describe_vm_join(const struct describe_vm *d, struct err *err)
{
	AUTO_BUF struct buf create = { .max = AGENT_REQUEST_MAX };
	int r = encode_create(d, &create, err);

	return r < 0 ? r : sandbox_seal(&create, err);
}

int describe_vm_exec(const struct describe_vm *d, const char *cgroup, struct err *err)
{
	AUTO_BUF struct buf config = { .max = AGENT_REQUEST_MAX };
	AUTO_BUF struct buf body = { .max = AGENT_REQUEST_MAX };
	struct agent_exec exec = { .id = d->id,
				   .io = io_of(d),
				   .cgroup = cgroup,
				   .flags = d->shell ? AGENT_EXEC_SHELL : 0 };
	struct oci_spec spec = { .version = d->spec->version, .root.path = "/" };
	int r = take_seccomp(d->seccomp, &exec.seccomp, &exec.seccomp_flags, err);

	if (r < 0)
		return r;
	take_process(d->spec, &spec.process);
	spec.has_linux = true;
	spec.linux.ns[OCI_NS_MOUNT].set = true;
	spec.linux.personality_set = d->spec->linux.personality_set;
	spec.linux.personality = d->spec->linux.personality;
	r = oci_spec_write(&spec, &config, err);
	if (r < 0)
		return r;
	exec.config = (struct agent_bytes){ config.data, (uint32_t)config.len };
	r = agent_request_encode(AGENT_EXEC, &exec, &body, err);
	return r < 0 ? r : sandbox_seal(&body, err);
}

int describe_vm_update(const char *id, const struct oci_resources *resources, struct buf *ret,
		       struct err *err)
{
	AUTO_FREE struct oci_kv *unified = NULL;
	AUTO_BUF struct buf config = { .max = SENTRY_FRAME_MAX / 2 };
	struct agent_update update = { .id = id };
	struct oci_spec spec = { .version = OCI_VERSION_MIN, .root.path = "/" };
	int r;

	spec.has_linux = true;
	spec.linux.ns[OCI_NS_MOUNT].set = true;
	if (take_resources(resources, &spec.linux.resources, &unified) < 0)
		return err_sys(err, -ENOMEM, "linux.resources");
	spec.linux.resources.devices_len = 0;
	spec.linux.resources.set = true;
	r = oci_spec_write(&spec, &config, err);
	if (r < 0)
		return r;
	update.config = (struct agent_bytes){ config.data, (uint32_t)config.len };
	return agent_request_encode(AGENT_UPDATE, &update, ret, err);
}
