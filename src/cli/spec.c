/* SPDX-License-Identifier: Apache-2.0 */
/* cli/spec.c - spec and features: documents about the runtime itself. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/seccomp_profile.h"
#include "cli/verbs.h"
#include "cli/version.h"
#include "host/cgroup.h"
#include "host/mount_options.h"
#include "host/rdt.h"
#include "host/seccomp.h"
#include "oci/features.h"
#include "oci/spec_default.h"

struct spec_options {
	const char *bundle;
	const char *file;
	bool rootless, hardened;
};

#define FIELD(member) offsetof(struct spec_options, member)

static const struct option table[] = {
	{ "bundle", "directory of the bundle, defaults to the current directory", "DIR",
	  FIELD(bundle), OPTION_STRING, 'b' },
	{ "file", "write to this file instead of config.json", "FILE", FIELD(file), OPTION_STRING,
	  'f' },
	{ "rootless", "make a specification that needs no root", NULL, FIELD(rootless), OPTION_FLAG,
	  0 },
	{ "hardened", "make one for an untrusted program: no capabilities, few system calls", NULL,
	  FIELD(hardened), OPTION_FLAG, 0 },
	{ 0 },
};

/* No capability in any set, no new privileges, an own cgroup namespace, the calls of `do`. */
static int harden(struct buf *text, struct err *err)
{
	AUTO_JSON json_t *spec = NULL;
	AUTO_FREE char *printed = NULL;
	json_t *process, *linux_object;
	int r = json_parse(text->data, text->len, "config.json", &spec, err);

	if (r < 0)
		return r;
	process = json_object_get(spec, "process");
	linux_object = json_object_get(spec, "linux");
	r = json_object_set_new(process, "capabilities",
				json_pack("{s:[], s:[], s:[], s:[], s:[]}", "bounding", "effective",
					  "permitted", "inheritable", "ambient"));
	r |= json_object_set_new(process, "noNewPrivileges", json_true());
	r |= json_object_set_new(linux_object, "seccomp", seccomp_profile());
	if (r == 0)
		printed = json_text(spec, JSON_INDENT(4));
	if (!printed)
		return err_sys(err, -ENOMEM, "make the hardened config.json");
	text->len = 0;
	(void)buf_puts(text, printed);
	return buf_error(text) ? err_sys(err, -ENOMEM, "make the hardened config.json") : 0;
}

/* runc refuses to overwrite, and so do we. */
static int write_new(int dirfd, const char *path, const struct buf *text, struct err *err)
{
	AUTO_CLOSE int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int r;

	if (fd < 0 && errno == EEXIST)
		return err_set(err, -EEXIST, "file %s exists. Remove it first", path);
	if (fd < 0)
		return err_sys(err, -errno, "create %s", path);
	r = fd_write_all(fd, text->data, text->len);
	return r < 0 ? err_sys(err, r, "write %s", path) : 0;
}

static int run_spec(struct cli *cli, const void *options, const struct option_args *args,
		    struct err *err)
{
	const struct spec_options *o = options;
	const struct oci_spec_default wanted = {
		.rootless = o->rootless,
		.host_uid = geteuid(),
		.host_gid = getegid(),
		.cgroup_namespace = o->hardened || cgroup_layout() == CGROUP_LAYOUT_V2,
	};
	AUTO_CLOSE int dirfd = -EBADF;
	AUTO_BUF struct buf text = { 0 };
	int r = oci_spec_default_print(&wanted, &text, err);

	if (r == 0 && o->hardened)
		r = harden(&text, err);
	if (r < 0)
		return r;
	if (o->bundle) {
		dirfd = open(o->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dirfd < 0)
			return err_sys(err, -errno, "open bundle %s", o->bundle);
	}
	return write_new(o->bundle ? dirfd : AT_FDCWD, o->file ? o->file : "config.json", &text,
			 err);
}

const struct verb verb_spec = {
	.name = "spec",
	.args = "",
	.summary = "write an example specification, config.json",
	.description = "The file is a start to edit: it runs \"sh\" in a terminal in the directory "
		       "rootfs. An\n"
		       "existing file is not overwritten.",
	.options = table,
	.flags = VERB_NO_RUNTIME,
	.run = run_spec,
};

/*
 * What is built in; seccomp flags and resctrl as this kernel has them. AppArmor and SELinux are not
 * (host/lsm.h).
 */
static void fill_host(struct oci_features *f, const char ***flags)
{
	f->mount_options = mount_options_known();
	f->cgroup.v1 = true;
	f->cgroup.v2 = true;
	f->cgroup.rdma = true;
	f->seccomp.enabled = true;
	f->seccomp.actions = seccomp_known_actions();
	f->seccomp.operators = seccomp_known_operators();
	f->seccomp.archs = seccomp_known_archs();
	f->seccomp.known_flags = seccomp_known_flags();
	if (seccomp_supported_flags(flags, NULL) == 0)
		f->seccomp.supported_flags = *flags;
	f->intel_rdt.enabled = rdt_supported();
	f->intel_rdt.schemata = f->intel_rdt.enabled;
	f->intel_rdt.monitoring = f->intel_rdt.enabled;
	f->memory_policy.modes = oci_memory_policy_modes;
	f->memory_policy.flags = oci_memory_policy_flags;
	f->idmapped_mounts = true;
	f->net_devices = true;
}

static int run_features(struct cli *cli, const void *options, const struct option_args *args,
			struct err *err)
{
	char library[32];
	struct oci_kv annotations[] = {
		{ "io.caisson.commit", CAISSON_COMMIT },
		{ "io.caisson.version", CAISSON_VERSION },
		{ "io.github.seccomp.libseccomp.version", seccomp_library_version(library) },
		{ "org.opencontainers.runc.checkpoint.enabled", "false" },
	};
	static const char *const unsafe[] = { "bundle", "run.oci.", "io.caisson.", NULL };
	struct oci_features features = {
		.annotations = { .items = annotations, .len = ARRAY_LEN(annotations) },
		.unsafe_annotations = unsafe,
	};
	AUTO_FREE const char **flags = NULL;
	AUTO_BUF struct buf text = { 0 };
	int r;

	fill_host(&features, &flags);
	r = oci_features_print(&features, &text, err);
	if (r < 0)
		return r;
	buf_puts(&text, "\n");
	return out_flush(&text, err);
}

const struct verb verb_features = {
	.name = "features",
	.args = "",
	.summary = "show what this runtime implements, as JSON",
	.options = no_options,
	.flags = VERB_NO_RUNTIME,
	.run = run_features,
};
