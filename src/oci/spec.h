/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/spec.h - config.json as typed C (OCI runtime-spec 1.3, config.md and config-linux.md).
 *
 * One struct oci_spec owns everything below it: lists and strings live in its arena. Everything is
 * immutable after oci_spec_load(). Reading has no side effects on the system.
 *
 * Conventions: a string that is absent or empty is NULL (values of maps and items of lists may be
 * empty); a list that is absent has len 0 (items may be NULL, otherwise items[len] is NULL for
 * string lists); null is the same as absent; a number whose absence differs from zero is a struct
 * oci_opt_*; `set` says whether an optional object was there at all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A macro of gnu11 on Linux; here it is the name of a field. */
#undef linux

struct oci_arena;

struct oci_opt_i64 {
	int64_t v;
	bool set;
};

struct oci_opt_u64 {
	uint64_t v;
	bool set;
};

struct oci_opt_bool {
	bool v;
	bool set;
};

struct oci_strs {
	const char **items; /* items[len] == NULL */
	size_t len;
};

struct oci_kv {
	const char *key;
	const char *value;
};

struct oci_kvs {
	struct oci_kv *items;
	size_t len;
};

/* linux.uidMappings[], gidMappings[], mounts[].uidMappings[] */
struct oci_id_map {
	uint32_t container_id;
	uint32_t host_id;
	uint32_t size; /* 1 or more */
};

struct oci_id_maps {
	struct oci_id_map *items;
	size_t len;
};

/* process.rlimits[]; type is RLIMIT_* of getrlimit(2). */
struct oci_rlimit {
	int type;
	const char *name; /* "RLIMIT_NOFILE" */
	uint64_t soft;
	uint64_t hard;
};

/* One bit per capability number (capability.h); `set` false: the object is absent. */
struct oci_caps {
	bool set;
	uint64_t bounding, effective, inheritable, permitted, ambient;
};

/* process.scheduler; policy is SCHED_* of sched(7), flags SCHED_FLAG_*. */
struct oci_scheduler {
	bool set;
	uint32_t policy;
	int32_t nice;
	int32_t priority;
	uint64_t flags;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

/* process.ioPriority; class is IOPRIO_CLASS_* of ioprio_set(2). */
struct oci_ioprio {
	bool set;
	int class;
	int priority; /* 0..7 */
};

struct oci_user {
	uint32_t uid;
	uint32_t gid;
	struct oci_opt_u64 umask;
	uint32_t *additional_gids;
	size_t additional_gids_len;
	const char *username; /* Windows only; kept for state */
};

struct oci_process {
	bool set; /* false: config.json has no process (allowed by the spec for create) */
	bool terminal;
	struct oci_opt_u64 console_height, console_width; /* consoleSize, characters */
	struct oci_user user;
	struct oci_strs args;
	struct oci_strs env;
	const char *cwd; /* absolute */
	struct oci_caps caps;
	struct oci_rlimit *rlimits;
	size_t rlimits_len;
	bool no_new_privileges;
	const char *apparmor_profile;
	const char *selinux_label;
	struct oci_opt_i64 oom_score_adj;
	struct oci_scheduler scheduler;
	struct oci_ioprio io_priority;
	const char *exec_cpu_affinity_initial; /* cpulist(7) text, validated */
	const char *exec_cpu_affinity_final;
};

/* mounts[]. Options are kept as text; host/mount_options.h gives them their meaning. */
struct oci_mount {
	const char *destination;
	const char *type;   /* NULL: see options (bind, rbind) */
	const char *source; /* NULL: none */
	struct oci_strs options;
	struct oci_id_maps uid_maps, gid_maps;
};

struct oci_hook {
	const char *path; /* absolute */
	struct oci_strs args;
	struct oci_strs env;
	int timeout_s; /* 0: none */
};

struct oci_hook_list {
	struct oci_hook *items;
	size_t len;
};

struct oci_hooks {
	struct oci_hook_list prestart, create_runtime, create_container, start_container, poststart,
		poststop;
};

/* linux.namespaces[] in the order of enum; joined when path is not NULL, new when only `set`. */
enum oci_ns {
	OCI_NS_USER,
	OCI_NS_MOUNT,
	OCI_NS_PID,
	OCI_NS_NETWORK,
	OCI_NS_IPC,
	OCI_NS_UTS,
	OCI_NS_CGROUP,
	OCI_NS_TIME,
	OCI_NS_MAX,
};

struct oci_namespace {
	bool set;
	const char *path;
};

/* linux.timeOffsets: "monotonic" and "boottime" (time_namespaces(7)). */
struct oci_time_offset {
	bool set;
	int64_t secs;
	uint32_t nanosecs;
};

/* linux.devices[] */
struct oci_device {
	char type; /* 'c' 'b' 'p' ('u' reads as 'c') */
	const char *path;
	int64_t major, minor;
	struct oci_opt_u64 file_mode, uid, gid;
};

/* linux.resources.devices[]; type 'a' 'c' 'b', -1 is "all" for major and minor. */
struct oci_device_rule {
	bool allow;
	char type;
	int64_t major, minor;
	const char *access; /* subset of "rwm"; NULL: all */
};

struct oci_throttle {
	int64_t major, minor;
	uint64_t rate;
};

struct oci_throttles {
	struct oci_throttle *items;
	size_t len;
};

struct oci_weight_device {
	int64_t major, minor;
	struct oci_opt_u64 weight, leaf_weight;
};

struct oci_hugepage_limit {
	const char *page_size; /* "2MB" */
	uint64_t limit;
};

struct oci_if_prio {
	const char *name;
	uint32_t priority;
};

struct oci_rdma {
	const char *name;
	struct oci_opt_u64 hca_handles, hca_objects;
};

/* linux.resources; also the whole input of `update`. */
struct oci_resources {
	bool set;
	struct oci_device_rule *devices;
	size_t devices_len;
	struct {
		struct oci_opt_i64 limit, reservation, swap, kernel, kernel_tcp;
		struct oci_opt_u64 swappiness;
		struct oci_opt_bool disable_oom_killer, use_hierarchy, check_before_update;
	} memory;
	struct {
		struct oci_opt_u64 shares, period, burst, realtime_period;
		struct oci_opt_i64 quota, realtime_runtime, idle;
		const char *cpus;
		const char *mems;
	} cpu;
	struct oci_opt_i64 pids_limit;
	struct {
		struct oci_opt_u64 weight, leaf_weight;
		struct oci_weight_device *weight_devices;
		size_t weight_devices_len;
		struct oci_throttles read_bps, write_bps, read_iops, write_iops;
	} block_io;
	struct oci_hugepage_limit *hugepage_limits;
	size_t hugepage_limits_len;
	struct {
		struct oci_opt_u64 class_id;
		struct oci_if_prio *priorities;
		size_t priorities_len;
	} network;
	struct oci_rdma *rdma;
	size_t rdma_len;
	struct oci_kvs unified;
};

/* linux.seccomp; actions, operators, architectures stay the spec's words (host/seccomp.h). */
struct oci_seccomp_arg {
	uint32_t index; /* 0..5 */
	uint64_t value, value_two;
	const char *op; /* "SCMP_CMP_EQ" */
};

struct oci_seccomp_rule {
	struct oci_strs names;
	const char *action;
	struct oci_opt_u64 errno_ret;
	struct oci_seccomp_arg *args;
	size_t args_len;
};

struct oci_seccomp {
	bool set;
	const char *default_action;
	struct oci_opt_u64 default_errno_ret;
	struct oci_strs architectures;
	struct oci_strs flags;
	const char *listener_path;
	const char *listener_metadata;
	struct oci_seccomp_rule *rules;
	size_t rules_len;
};

struct oci_intel_rdt {
	bool set;
	const char *clos_id, *l3_cache_schema, *mem_bw_schema;
	struct oci_strs schemata;
	bool enable_cmt, enable_mbm, enable_monitoring;
};

/* linux.memoryPolicy (set_mempolicy(2)); words of the spec: "MPOL_BIND", "MPOL_F_STATIC_NODES". */
struct oci_memory_policy {
	bool set;
	const char *mode;
	const char *nodes;
	struct oci_strs flags;
};

/* linux.netDevices: host name -> name inside (NULL: the same). */
struct oci_net_device {
	const char *host_name;
	const char *name;
};

struct oci_linux {
	struct oci_namespace ns[OCI_NS_MAX];
	struct oci_id_maps uid_maps, gid_maps;
	struct oci_time_offset monotonic_offset, boottime_offset;
	struct oci_device *devices;
	size_t devices_len;
	struct oci_net_device *net_devices;
	size_t net_devices_len;
	const char *cgroups_path; /* NULL: the runtime chooses */
	struct oci_resources resources;
	const char
		*rootfs_propagation; /* "shared" "slave" "private" "unbindable" and r-forms; NULL */
	struct oci_seccomp seccomp;
	struct oci_kvs sysctl;
	struct oci_strs masked_paths, readonly_paths;
	const char *mount_label;
	struct oci_intel_rdt intel_rdt;
	struct oci_memory_policy memory_policy;
	bool personality_set;
	unsigned long personality; /* PER_LINUX or PER_LINUX32 of personality(2) */
};

struct oci_spec {
	const char *version; /* ociVersion */
	struct {
		const char *path; /* as written: may be relative to the bundle */
		bool readonly;
	} root;
	struct oci_mount *mounts;
	size_t mounts_len;
	struct oci_process process;
	const char *hostname, *domainname;
	struct oci_hooks hooks;
	struct oci_kvs annotations;
	struct oci_linux linux;
	bool has_linux, has_vm, has_windows, has_solaris, has_zos;
	struct oci_strs warnings; /* sentences for the log: what was read but will be ignored */
	struct oci_arena *arena;  /* owns all of it, this struct too */
};

/*
 * Read and judge config.json. dirfd and path name the file (at most OCI_CONFIG_MAX bytes). A
 * refusal
 * (-EINVAL) names file, line and JSON path: "config.json:57: linux.resources.memory.limit: expected
 * integer, got string"; for bad syntax file, line and column. Unknown fields are ignored as the
 * spec demands. -ENOMEM, -E2BIG, errors of open(2). On success *ret is the caller's. No side
 * effects: what this host can do is judged by who does it.
 */
int oci_spec_load(int dirfd, const char *path, struct oci_spec **ret, struct err *err);

/* The same from memory; `name` stands for the file in messages. */
int oci_spec_parse(const char *text, size_t len, const char *name, struct oci_spec **ret,
		   struct err *err);

/* A process.json of `exec --process`: only `process` of the result is set. */
int oci_process_load(int dirfd, const char *path, struct oci_spec **ret, struct err *err);
int oci_process_parse(const char *text, size_t len, const char *name, struct oci_spec **ret,
		      struct err *err);

/* The input of `update --resources`: only linux.resources of the result is set. */
int oci_resources_parse(const char *text, size_t len, const char *name, struct oci_spec **ret,
			struct err *err);

/* Accepts NULL. */
void oci_spec_free(struct oci_spec *spec);

/* The value of an annotation, or NULL. */
const char *oci_annotation(const struct oci_spec *spec, const char *key);
/* It is there and neither "0" nor "false". */
bool oci_annotation_is_set(const struct oci_spec *spec, const char *key);

/* The spec's word for a namespace: "mount", "network" ... */
const char *oci_ns_name(enum oci_ns ns);

/* "CAP_KILL" -> CAP_KILL of capability.h, or -EINVAL; and back, NULL past the last known one. */
int oci_cap_number(const char *name);
const char *oci_cap_name(unsigned int number);

#define OCI_VERSION_MIN "1.0.0" /* of the specification */
#define OCI_VERSION_MAX "1.3.0"

#define OCI_CONFIG_MAX (16u << 20) /* bytes */
