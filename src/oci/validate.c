/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/validate.c - judgement of config.json as a whole, after every field has been read.
 *
 * Nothing here asks the system: whether this host can do what is asked is for the room that does
 * it.
 */
#include "oci/schema.h"

#include <ctype.h>
#include <net/if.h>
#include <string.h>

#include "base/str.h"

#define UTS_NAME_MAX 64 /* __NEW_UTS_LEN, bytes: uname(2) */
#define CPU_MAX	     65535

bool oci_is_cpulist(const char *text)
{
	unsigned long bounds[2], n;

	for (;;) {
		size_t ranges = 0;

		do {
			if (!isdigit((unsigned char)*text))
				return false;
			for (n = 0; isdigit((unsigned char)*text) && n <= CPU_MAX; text++)
				n = n * 10 + (unsigned long)(*text - '0');
			if (n > CPU_MAX)
				return false;
			bounds[ranges++] = n;
		} while (ranges < 2 && *text == '-' && *++text);
		if (ranges == 2 && bounds[1] < bounds[0])
			return false;
		if (*text == '\0')
			return text[-1] != '-';
		if (*text++ != ',')
			return false;
	}
}

bool oci_is_net_device_name(const char *name)
{
	const size_t len = strlen(name);

	if (len == 0 || len >= IFNAMSIZ || str_eq(name, ".") || str_eq(name, ".."))
		return false;
	for (const char *p = name; *p; p++) {
		if (*p == '/' || *p == ':' || isspace((unsigned char)*p))
			return false;
	}
	return true;
}

/* ---- top level ------------------------------------------------------------------------------ */

/* Semantic versions with major 1: the specification keeps its promise within a major version. */
static int check_version(struct oci_decoder *d, const struct oci_spec *spec)
{
	const char *v = spec->version;

	if (v[0] != '1' || v[1] != '.' || !isdigit((unsigned char)v[2]))
		return oci_refuse_key(d, NULL, "ociVersion",
				      "unsupported version \"%s\", must be 1.x", v);
	return 0;
}

static int check_uts_name(struct oci_decoder *d, const struct oci_spec *spec, const char *key,
			  const char *name)
{
	if (!name)
		return 0;
	if (!spec->linux.ns[OCI_NS_UTS].set)
		return oci_refuse_key(d, NULL, key, "cannot be set without a uts namespace");
	if (strlen(name) > UTS_NAME_MAX)
		return oci_refuse_key(d, NULL, key, "longer than %d bytes", UTS_NAME_MAX);
	return 0;
}

static int check_mounts(struct oci_decoder *d, const struct oci_spec *spec)
{
	const struct oci_path mounts = { .key = "mounts" };
	int r;

	for (size_t i = 0; i < spec->mounts_len; i++) {
		const struct oci_mount *m = &spec->mounts[i];
		const struct oci_path here = { .up = &mounts, .index = i };

		if ((m->uid_maps.len == 0) != (m->gid_maps.len == 0))
			return oci_refuse(d, &here,
					  "uidMappings and gidMappings must be given together");
		if (m->destination[0] != '/') {
			r = oci_warn(d,
				     "mounts[%zu]: relative destination \"%.128s\" is deprecated, "
				     "taken as relative to /",
				     i, m->destination);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* ---- linux ---------------------------------------------------------------------------------- */

static const struct oci_path linux_path = { .key = "linux" };

static int check_user_namespace(struct oci_decoder *d, const struct oci_linux *linux)
{
	const struct oci_namespace *ns = &linux->ns[OCI_NS_USER];
	const bool uids = linux->uid_maps.len > 0, gids = linux->gid_maps.len > 0;
	const char *key = uids ? "uidMappings" : "gidMappings";

	if ((uids || gids) && !ns->set)
		return oci_refuse_key(d, &linux_path, key, "needs a user namespace");
	if ((uids || gids) && ns->path)
		return oci_refuse_key(d, &linux_path, key,
				      "must not be given for a user namespace that is joined");
	if (ns->set && !ns->path && !(uids && gids))
		return oci_refuse_key(d, &linux_path, uids ? "gidMappings" : "uidMappings",
				      "missing: a new user namespace needs mappings");
	return 0;
}

static int check_paths(struct oci_decoder *d, const struct oci_linux *linux, const char *key,
		       const struct oci_strs *paths)
{
	const struct oci_path list = { .up = &linux_path, .key = key };

	if (paths->len > 0 && !linux->ns[OCI_NS_MOUNT].set)
		return oci_refuse(d, &list, "needs a mount namespace");
	for (size_t i = 0; i < paths->len; i++) {
		const struct oci_path here = { .up = &list, .index = i };

		if (paths->items[i][0] != '/')
			return oci_refuse(d, &here, "\"%s\" is not an absolute path",
					  paths->items[i]);
	}
	return 0;
}

#define SYSCTL_MAX 256 /* bytes of a name */

/*
 * The name with dots between its parts. A name whose first separator is '/' uses '/' between parts
 * and '.' within one (sysctl(8)): then the two are swapped. False: too long or not a name.
 */
static bool sysctl_dotted(const char *name, char dotted[static SYSCTL_MAX])
{
	const size_t len = strlen(name);
	const char *separator = strpbrk(name, "./");
	const bool swap = separator && *separator == '/';

	if (len >= SYSCTL_MAX || strstr(name, ".."))
		return false;
	for (size_t i = 0; i <= len; i++) {
		dotted[i] = name[i];
		if (swap && name[i] == '/')
			dotted[i] = '.';
		else if (swap && name[i] == '.')
			dotted[i] = '/';
	}
	return true;
}

static int check_sysctl(struct oci_decoder *d, const struct oci_linux *linux, const char *key)
{
	static const char *const ipc[] = { "kernel.msgmax", "kernel.msgmnb",
					   "kernel.msgmni", "kernel.sem",
					   "kernel.shmall", "kernel.shmmax",
					   "kernel.shmmni", "kernel.shm_rmid_forced" };
	const struct oci_path sysctl = { .up = &linux_path, .key = "sysctl" };
	char name[SYSCTL_MAX];
	bool is_ipc;

	if (!sysctl_dotted(key, name))
		return oci_refuse_key(d, &sysctl, key, "not the name of a sysctl");
	is_ipc = str_after(name, "fs.mqueue.") != NULL;
	for (size_t i = 0; i < ARRAY_LEN(ipc); i++)
		is_ipc = is_ipc || strcmp(name, ipc[i]) == 0;
	if (is_ipc) {
		if (linux->ns[OCI_NS_IPC].set)
			return 0;
		return oci_refuse_key(d, &sysctl, key, "not allowed in the host's ipc namespace");
	}
	if (str_after(name, "net.")) {
		if (linux->ns[OCI_NS_NETWORK].set)
			return 0;
		return oci_refuse_key(d, &sysctl, key,
				      "not allowed in the host's network namespace");
	}
	if (linux->ns[OCI_NS_UTS].set && str_eq(name, "kernel.domainname"))
		return 0;
	if (linux->ns[OCI_NS_UTS].set && str_eq(name, "kernel.hostname"))
		return oci_refuse_key(d, &sysctl, key,
				      "conflicts with the field \"hostname\", use that");
	return oci_refuse_key(d, &sysctl, key, "is not in a namespace of the container's own");
}

static int check_linux(struct oci_decoder *d, const struct oci_linux *linux)
{
	int r = check_user_namespace(d, linux);

	if (r < 0)
		return r;
	if ((linux->monotonic_offset.set || linux->boottime_offset.set) &&
	    !linux->ns[OCI_NS_TIME].set)
		return oci_refuse_key(d, &linux_path, "timeOffsets", "needs a time namespace");
	if ((linux->monotonic_offset.set || linux->boottime_offset.set) &&
	    linux->ns[OCI_NS_TIME].path)
		return oci_refuse_key(d, &linux_path, "timeOffsets",
				      "must not be given for a time namespace that is joined");
	if (linux->net_devices_len > 0 && !linux->ns[OCI_NS_NETWORK].set)
		return oci_refuse_key(d, &linux_path, "netDevices", "needs a network namespace");
	r = check_paths(d, linux, "maskedPaths", &linux->masked_paths);
	if (r < 0)
		return r;
	r = check_paths(d, linux, "readonlyPaths", &linux->readonly_paths);
	if (r < 0)
		return r;
	for (size_t i = 0; i < linux->sysctl.len; i++) {
		r = check_sysctl(d, linux, linux->sysctl.items[i].key);
		if (r < 0)
			return r;
	}
	return 0;
}

int oci_validate(struct oci_decoder *d, const struct oci_spec *spec)
{
	int r = check_version(d, spec);

	if (r == 0)
		r = check_uts_name(d, spec, "hostname", spec->hostname);
	if (r == 0)
		r = check_uts_name(d, spec, "domainname", spec->domainname);
	if (r == 0)
		r = check_mounts(d, spec);
	if (r == 0)
		r = check_linux(d, &spec->linux);
	return r;
}
