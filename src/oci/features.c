/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/features.h"

#include <errno.h>

#include "base/json.h"
#include "base/str.h"

static const char *const hooks[] = {
	"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
	NULL
};

const char *const oci_memory_policy_modes[] = { "MPOL_DEFAULT",	   "MPOL_BIND",
						"MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE",
						"MPOL_PREFERRED",  "MPOL_PREFERRED_MANY",
						"MPOL_LOCAL",	   NULL };

const char *const oci_memory_policy_flags[] = { "MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES",
						"MPOL_F_STATIC_NODES", NULL };

/* Setters: 0 or -1, so that a run of them is or-ed and judged once. */

static int set_bool(json_t *object, const char *key, bool value)
{
	return json_object_set_new(object, key, json_boolean(value));
}

static int set_words(json_t *object, const char *key, const char *const *list)
{
	json_t *array;

	if (!list)
		return 0;
	array = json_array();
	for (; array && *list; list++) {
		if (json_array_append_new(array, json_string(*list)) < 0) {
			json_decref(array);
			return -1;
		}
	}
	return json_object_set_new(object, key, array);
}

/* A new member object, or NULL; borrowed from `object`. */
static json_t *add_object(json_t *object, const char *key)
{
	json_t *member = json_object();

	return json_object_set_new(object, key, member) < 0 ? NULL : member;
}

static int set_enabled(json_t *object, const char *key, bool value)
{
	json_t *member = add_object(object, key);

	return member ? set_bool(member, "enabled", value) : -1;
}

static int set_namespaces(json_t *object)
{
	/* In alphabetical order, as runc. */
	static const enum oci_ns order[] = { OCI_NS_CGROUP,  OCI_NS_IPC, OCI_NS_MOUNT,
					     OCI_NS_NETWORK, OCI_NS_PID, OCI_NS_TIME,
					     OCI_NS_USER,    OCI_NS_UTS };
	const char *names[ARRAY_LEN(order) + 1];

	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		names[i] = oci_ns_name(order[i]);
	names[ARRAY_LEN(order)] = NULL;
	return set_words(object, "namespaces", names);
}

static int set_capabilities(json_t *object)
{
	const char *names[65] = { 0 };

	for (unsigned int i = 0; i < 64 && oci_cap_name(i); i++)
		names[i] = oci_cap_name(i);
	return set_words(object, "capabilities", names);
}

static int set_seccomp(json_t *object, const struct oci_features *f)
{
	json_t *seccomp = add_object(object, "seccomp");
	int r = 0;

	if (!seccomp)
		return -1;
	r |= set_bool(seccomp, "enabled", f->seccomp.enabled);
	r |= set_words(seccomp, "actions", f->seccomp.actions);
	r |= set_words(seccomp, "operators", f->seccomp.operators);
	r |= set_words(seccomp, "archs", f->seccomp.archs);
	r |= set_words(seccomp, "knownFlags", f->seccomp.known_flags);
	r |= set_words(seccomp, "supportedFlags", f->seccomp.supported_flags);
	return r;
}

static int set_cgroup(json_t *object, const struct oci_features *f)
{
	json_t *cgroup = add_object(object, "cgroup");
	int r = 0;

	if (!cgroup)
		return -1;
	r |= set_bool(cgroup, "v1", f->cgroup.v1);
	r |= set_bool(cgroup, "v2", f->cgroup.v2);
	r |= set_bool(cgroup, "systemd", f->cgroup.systemd);
	r |= set_bool(cgroup, "systemdUser", f->cgroup.systemd_user);
	r |= set_bool(cgroup, "rdma", f->cgroup.rdma);
	return r;
}

static int set_linux(json_t *root, const struct oci_features *f)
{
	json_t *linux = add_object(root, "linux"), *member;
	int r = 0;

	if (!linux)
		return -1;
	r |= set_namespaces(linux);
	r |= set_capabilities(linux);
	r |= set_cgroup(linux, f);
	r |= set_seccomp(linux, f);
	r |= set_enabled(linux, "apparmor", f->apparmor);
	r |= set_enabled(linux, "selinux", f->selinux);
	r |= set_enabled(linux, "intelRdt", f->intel_rdt.enabled);
	member = json_object_get(linux, "intelRdt");
	r |= member ? set_bool(member, "schemata", f->intel_rdt.schemata) : -1;
	r |= member ? set_bool(member, "monitoring", f->intel_rdt.monitoring) : -1;
	if (f->memory_policy.modes) {
		member = add_object(linux, "memoryPolicy");
		r |= member ? set_words(member, "modes", f->memory_policy.modes) : -1;
		r |= member ? set_words(member, "flags", f->memory_policy.flags) : -1;
	}
	member = add_object(linux, "mountExtensions");
	r |= member ? set_enabled(member, "idmap", f->idmapped_mounts) : -1;
	r |= set_enabled(linux, "netDevices", f->net_devices);
	return r;
}

static int set_annotations(json_t *root, const struct oci_kvs *pairs)
{
	json_t *object = add_object(root, "annotations");

	if (!object)
		return -1;
	for (size_t i = 0; i < pairs->len; i++) {
		if (json_object_set_new(object, pairs->items[i].key,
					json_string(pairs->items[i].value)) < 0)
			return -1;
	}
	return 0;
}

int oci_features_print(const struct oci_features *features, struct buf *out, struct err *err)
{
	AUTO_JSON json_t *root = json_object();
	AUTO_FREE char *text = NULL;
	int r = 0;

	if (!root)
		return err_sys(err, -ENOMEM, "list the features");
	r |= json_object_set_new(root, "ociVersionMin", json_string(OCI_VERSION_MIN));
	r |= json_object_set_new(root, "ociVersionMax", json_string(OCI_VERSION_MAX));
	r |= set_words(root, "hooks", hooks);
	r |= set_words(root, "mountOptions", features->mount_options);
	r |= set_linux(root, features);
	if (features->annotations.len)
		r |= set_annotations(root, &features->annotations);
	r |= set_words(root, "potentiallyUnsafeConfigAnnotations", features->unsafe_annotations);
	text = r < 0 ? NULL : json_dumps(root, JSON_INDENT(4));
	r = text ? buf_puts(out, text) : -ENOMEM;
	return r < 0 ? err_sys(err, r, "list the features") : 0;
}
