/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/do_spec.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/do_init.h"
#include "cli/seccomp_profile.h"
#include "cli/version.h"

/* One of mounts[] that every sandbox has. */
struct fixed_mount {
	const char *destination, *type, *source;
	const char *options[8];
};

/* Sizes: what a sandbox can take of the host's memory by writing files, besides its overlay. */
static const struct fixed_mount fixed_mounts[] = {
	{ "/proc", "proc", "proc", { "nosuid", "noexec", "nodev" } },
	{ "/dev", "tmpfs", "tmpfs", { "nosuid", "noexec", "strictatime", "mode=755", "size=64k" } },
	{ "/dev/pts",
	  "devpts",
	  "devpts",
	  { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620" } },
	{ "/dev/shm", "tmpfs", "shm", { "nosuid", "noexec", "nodev", "mode=1777", "size=64m" } },
	{ "/dev/mqueue", "mqueue", "mqueue", { "nosuid", "noexec", "nodev" } },
	{ "/run", "tmpfs", "tmpfs", { "nosuid", "nodev", "mode=755", "size=16m" } },
	{ "/tmp", "tmpfs", "tmpfs", { "nosuid", "nodev", "mode=1777", "size=10%" } },
};

/* A sysfs of its own goes with a network namespace of its own; else the host's, without writing. */
static const struct fixed_mount own_sys = {
	"/sys", "sysfs", "sysfs", { "nosuid", "noexec", "nodev", "ro" }
};
static const struct fixed_mount host_sys = {
	"/sys", "none", "/sys", { "rbind", "rro", "nosuid", "noexec", "nodev" }
};

static const char *const masked_paths[] = {
	"/proc/acpi",		"/proc/asound",
	"/proc/kcore",		"/proc/keys",
	"/proc/latency_stats",	"/proc/timer_list",
	"/proc/timer_stats",	"/proc/sched_debug",
	"/proc/scsi",		"/proc/interrupts",
	"/proc/kallsyms",	"/proc/kpagecount",
	"/proc/kpageflags",	"/proc/kpagecgroup",
	"/sys/firmware",	"/sys/devices/virtual/powercap",
	"/sys/kernel/security",
};

static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

/* For uid 0 inside; each only reaches what belongs to the sandbox's user namespace. */
static const char *const root_capabilities[] = {
	"CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FOWNER",	 "CAP_FSETID",		 "CAP_KILL",
	"CAP_SETGID", "CAP_SETUID",	  "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
};

static json_t *strings(const char *const *items, size_t len)
{
	json_t *array = json_array();

	for (size_t i = 0; i < len && items[i]; i++) {
		if (json_array_append_new(array, json_string(items[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *pack_mount(const struct fixed_mount *mount)
{
	return json_pack("{s:s, s:s, s:s, s:o}", "destination", mount->destination, "type",
			 mount->type, "source", mount->source, "options",
			 strings(mount->options, ARRAY_LEN(mount->options)));
}

static json_t *bind_mount(const char *source, const char *destination, bool readonly)
{
	return json_pack("{s:s, s:s, s:s, s:[s, s, s, s]}", "destination", destination, "type",
			 "none", "source", source, "options", "rbind", readonly ? "rro" : "rw",
			 "nosuid", "nodev");
}

static json_t *build_mounts(const struct do_plan *plan)
{
	AUTO_JSON json_t *mounts = json_array();

	for (size_t i = 0; i < ARRAY_LEN(fixed_mounts); i++) {
		if (json_array_append_new(mounts, pack_mount(&fixed_mounts[i])) < 0)
			return NULL;
	}
	if (json_array_append_new(mounts, pack_mount(plan->network_host ? &host_sys : &own_sys)) <
	    0)
		return NULL;
	if (plan->network_host && plan->resolv_conf &&
	    json_array_append_new(mounts, bind_mount(plan->resolv_conf, plan->resolv_conf, true)) <
		    0)
		return NULL;
	if (plan->init &&
	    json_array_append_new(mounts, bind_mount(plan->init, DO_INIT_PATH, true)) < 0)
		return NULL;
	for (size_t i = 0; i < plan->volumes_len; i++) {
		const struct do_volume *v = &plan->volumes[i];

		if (json_array_append_new(mounts,
					  bind_mount(v->source, v->destination, v->readonly)) < 0)
			return NULL;
	}
	return TAKE_PTR(mounts);
}

static json_t *build_args(const struct do_plan *plan)
{
	json_t *args = strings(plan->argv, SIZE_MAX);

	if (args && plan->init && json_array_insert_new(args, 0, json_string(DO_INIT_PATH)) < 0) {
		json_decref(args);
		return NULL;
	}
	return args;
}

static json_t *build_process(const struct do_plan *plan)
{
	const size_t caps_len = plan->uid == 0 ? ARRAY_LEN(root_capabilities) : 0;
	AUTO_JSON json_t *caps = strings(root_capabilities, caps_len);

	if (!caps)
		return NULL;
	return json_pack("{s:b, s:{s:I, s:I}, s:o, s:o, s:s, s:{s:O, s:O, s:O, s:[], s:[]}, s:b}",
			 "terminal", plan->terminal, "user", "uid", (json_int_t)plan->uid, "gid",
			 (json_int_t)plan->gid, "args", build_args(plan), "env",
			 strings((const char *const *)plan->env, plan->env ? SIZE_MAX : 0), "cwd",
			 plan->cwd, "capabilities", "bounding", caps, "effective", caps,
			 "permitted", caps, "inheritable", "ambient", "noNewPrivileges", 1);
}

static json_t *build_maps(const struct oci_id_map *maps, size_t len)
{
	json_t *array = json_array();

	for (size_t i = 0; i < len; i++) {
		json_t *map = json_pack(
			"{s:I, s:I, s:I}", "containerID", (json_int_t)maps[i].container_id,
			"hostID", (json_int_t)maps[i].host_id, "size", (json_int_t)maps[i].size);

		if (json_array_append_new(array, map) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *build_namespaces(bool network_host)
{
	static const char *const types[] = { "user", "mount",  "pid",	 "ipc",
					     "uts",  "cgroup", "network" };
	json_t *array = json_array();

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (network_host && str_eq(types[i], "network"))
			continue;
		if (json_array_append_new(array, json_pack("{s:s}", "type", types[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* linux.resources, or NULL in *ret when nothing is limited: then no cgroup is needed. */
static int build_resources(const struct do_plan *plan, json_t **ret, struct err *err)
{
	AUTO_JSON json_t *resources = NULL;
	int r = update_limits_json(&plan->limits, &resources, err);

	if (r == 0 && json_object_size(resources) > 0)
		*ret = TAKE_PTR(resources);
	return r;
}

int do_spec_build(const struct do_plan *plan, json_t **ret, struct err *err)
{
	AUTO_JSON json_t *spec = NULL;
	AUTO_JSON json_t *resources = NULL;
	json_t *linux_object;
	int r = build_resources(plan, &resources, err);

	if (r < 0)
		return r;
	spec = json_pack("{s:s, s:{s:s, s:b}, s:s, s:o, s:o, s:{s:o, s:o, s:o, s:o, s:o, s:o}}",
			 "ociVersion", CAISSON_SPEC_VERSION, "root", "path", plan->rootfs,
			 "readonly", plan->rootfs_readonly, "hostname", "caisson", "process",
			 build_process(plan), "mounts", build_mounts(plan), "linux", "namespaces",
			 build_namespaces(plan->network_host), "uidMappings",
			 build_maps(plan->uid_maps, plan->uid_maps_len), "gidMappings",
			 build_maps(plan->gid_maps, plan->gid_maps_len), "maskedPaths",
			 strings(masked_paths, ARRAY_LEN(masked_paths)), "readonlyPaths",
			 strings(readonly_paths, ARRAY_LEN(readonly_paths)), "seccomp",
			 seccomp_profile());
	if (!spec)
		return err_set(err, -EINVAL,
			       "do: the command, its environment or a path is not UTF-8");
	linux_object = json_object_get(spec, "linux");
	if (resources && json_object_set(linux_object, "resources", resources) < 0)
		return err_sys(err, -ENOMEM, "do");
	*ret = TAKE_PTR(spec);
	return 0;
}

void do_volume_done(struct do_volume *volume)
{
	free(volume->source);
	free(volume->destination);
	*volume = (struct do_volume){ 0 };
}

int do_volume_parse(const char *text, const char *cwd, struct do_volume *ret, struct err *err)
{
	AUTO(do_volume_done) struct do_volume volume = { 0 };
	const char *colon = strchr(text, ':');
	const char *end = colon ? strchr(colon + 1, ':') : NULL;
	int r;

	if (!colon || colon == text || colon[1] != '/')
		return err_set(err, -EINVAL,
			       "--volume %s: it is SRC:DST or SRC:DST:ro with an absolute DST",
			       text);
	if (end && !str_eq(end, ":ro") && !str_eq(end, ":rw"))
		return err_set(err, -EINVAL, "--volume %s: \"%s\" is neither ro nor rw", text,
			       end + 1);
	r = str_printf(&volume.source, "%s%s%.*s", text[0] == '/' ? "" : cwd,
		       text[0] == '/' ? "" : "/", (int)(colon - text), text);
	if (r == 0)
		r = str_printf(&volume.destination, "%.*s", end ? (int)(end - colon - 1) : INT_MAX,
			       colon + 1);
	if (r < 0)
		return err_sys(err, r, "--volume %s", text);
	volume.readonly = str_eq(end, ":ro");
	*ret = volume;
	volume = (struct do_volume){ 0 };
	return 0;
}

int do_cpus_parse(const char *text, uint64_t *ret_quota_us, struct err *err)
{
	char *end = NULL;
	const double cpus = strtod(text, &end);

	if (end == text || *end || !(cpus >= 0.01 && cpus <= 4096))
		return err_set(err, -EINVAL, "--cpus %s: a number from 0.01 to 4096 is expected",
			       text);
	*ret_quota_us = (uint64_t)(cpus * DO_CPU_PERIOD_US);
	return 0;
}
