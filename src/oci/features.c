/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/features.h"

#include "base/str.h"
#include "oci/writer.h"

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

static void write_enabled(struct oci_writer *w, const char *key, bool enabled)
{
	oci_write_begin(w, key, '{');
	oci_write_bool(w, "enabled", enabled);
	oci_write_end(w, '}');
}

static void write_namespaces(struct oci_writer *w)
{
	/* In alphabetical order, as runc. */
	static const enum oci_ns order[] = { OCI_NS_CGROUP,  OCI_NS_IPC, OCI_NS_MOUNT,
					     OCI_NS_NETWORK, OCI_NS_PID, OCI_NS_TIME,
					     OCI_NS_USER,    OCI_NS_UTS };

	oci_write_begin(w, "namespaces", '[');
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		oci_write_string(w, NULL, oci_ns_name(order[i]));
	oci_write_end(w, ']');
}

static void write_capabilities(struct oci_writer *w)
{
	oci_write_begin(w, "capabilities", '[');
	for (unsigned int i = 0; oci_cap_name(i); i++)
		oci_write_string(w, NULL, oci_cap_name(i));
	oci_write_end(w, ']');
}

static void write_cgroup(struct oci_writer *w, const struct oci_features *f)
{
	oci_write_begin(w, "cgroup", '{');
	oci_write_bool(w, "v1", f->cgroup.v1);
	oci_write_bool(w, "v2", f->cgroup.v2);
	oci_write_bool(w, "systemd", f->cgroup.systemd);
	oci_write_bool(w, "systemdUser", f->cgroup.systemd_user);
	oci_write_bool(w, "rdma", f->cgroup.rdma);
	oci_write_end(w, '}');
}

static void write_seccomp(struct oci_writer *w, const struct oci_features *f)
{
	oci_write_begin(w, "seccomp", '{');
	oci_write_bool(w, "enabled", f->seccomp.enabled);
	oci_write_words(w, "actions", f->seccomp.actions);
	oci_write_words(w, "operators", f->seccomp.operators);
	oci_write_words(w, "archs", f->seccomp.archs);
	oci_write_words(w, "knownFlags", f->seccomp.known_flags);
	oci_write_words(w, "supportedFlags", f->seccomp.supported_flags);
	oci_write_end(w, '}');
}

static void write_linux(struct oci_writer *w, const struct oci_features *f)
{
	oci_write_begin(w, "linux", '{');
	write_namespaces(w);
	write_capabilities(w);
	write_cgroup(w, f);
	write_seccomp(w, f);
	write_enabled(w, "apparmor", f->apparmor);
	write_enabled(w, "selinux", f->selinux);
	oci_write_begin(w, "intelRdt", '{');
	oci_write_bool(w, "enabled", f->intel_rdt.enabled);
	oci_write_bool(w, "schemata", f->intel_rdt.schemata);
	oci_write_bool(w, "monitoring", f->intel_rdt.monitoring);
	oci_write_end(w, '}');
	if (f->memory_policy.modes) {
		oci_write_begin(w, "memoryPolicy", '{');
		oci_write_words(w, "modes", f->memory_policy.modes);
		oci_write_words(w, "flags", f->memory_policy.flags);
		oci_write_end(w, '}');
	}
	oci_write_begin(w, "mountExtensions", '{');
	write_enabled(w, "idmap", f->idmapped_mounts);
	oci_write_end(w, '}');
	write_enabled(w, "netDevices", f->net_devices);
	oci_write_end(w, '}');
}

int oci_features_print(const struct oci_features *features, struct buf *out, struct err *err)
{
	struct oci_writer w = { .out = out, .indent = 4 };
	int r;

	oci_write_begin(&w, NULL, '{');
	oci_write_string(&w, "ociVersionMin", OCI_VERSION_MIN);
	oci_write_string(&w, "ociVersionMax", OCI_VERSION_MAX);
	oci_write_words(&w, "hooks", hooks);
	oci_write_words(&w, "mountOptions", features->mount_options);
	write_linux(&w, features);
	if (features->annotations.len)
		oci_write_pairs(&w, "annotations", &features->annotations);
	oci_write_words(&w, "potentiallyUnsafeConfigAnnotations", features->unsafe_annotations);
	oci_write_end(&w, '}');
	r = buf_error(out);
	return r < 0 ? err_sys(err, r, "list the features") : 0;
}
