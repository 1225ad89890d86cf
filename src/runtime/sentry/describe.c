/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The description borrows every text from the specification; arrays of its own are freed when it
 * has been written.
 */
#include "runtime/sentry/describe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/caps.h"
#include "host/lsm.h"
#include "host/sched.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/sentry/describe_mounts.h"

#define UMASK_DEFAULT		022
#define TIME_OFFSETS_MAX	256   /* bytes of timens_offsets */
#define DEADLINE_RUNTIME_MIN_NS 1024u /* sched(7) */

/* linux/sched.h, which does not go with sched.h */
#ifndef SCHED_ISO
#define SCHED_ISO 4
#endif
#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

/* A container's description in the making, with the arrays that it owns. */
struct description {
	struct sentry_container c;
	struct sentry_rlimit rlimits[SENTRY_RLIMITS_MAX];
	struct described_mounts mounts;
	struct sentry_pair *sysctls;
	struct sentry_device *devices;
	struct sentry_id_map *uid_maps, *gid_maps;
	uint32_t *groups;
	char hostname[SENTRY_NAME_MAX + 1];
};

static void description_done(struct description *d)
{
	described_mounts_done(&d->mounts);
	free(d->sysctls);
	free(d->devices);
	free(d->uid_maps);
	free(d->gid_maps);
	free(d->groups);
}

/* What sched_setattr(2) of the host would refuse. */
static int check_scheduler(const struct oci_scheduler *s, struct err *err)
{
	const uint64_t period_ns = s->period_ns ? s->period_ns : s->deadline_ns;
	bool fine = s->policy <= SCHED_IDLE && s->policy != SCHED_ISO;

	if (s->policy == SCHED_DEADLINE)
		fine = s->runtime_ns >= DEADLINE_RUNTIME_MIN_NS &&
		       s->runtime_ns <= s->deadline_ns && s->deadline_ns <= period_ns;
	if (!s->set || fine)
		return 0;
	return err_sys(err, -EINVAL, "process.scheduler: set policy %u, nice %d, priority %d",
		       s->policy, s->nice, s->priority);
}

int describe_check(const struct oci_spec *spec, struct err *err)
{
	const struct oci_process *p = &spec->process;
	int r = lsm_check(p, &spec->linux, err);

	if (r == 0)
		r = check_scheduler(&p->scheduler, err);
	if (r < 0)
		return r;
	/* They are for processes of the host, which those of a sentry are not. */
	if (p->selinux_label || spec->linux.mount_label || p->apparmor_profile)
		log_debug("labels of security modules do not reach into a sentry");
	if (p->args.len == 0)
		return err_set(err, -EINVAL, "process.args must not be empty");
	if (!spec->linux.ns[OCI_NS_MOUNT].set)
		return err_set(err, -EINVAL,
			       "linux.namespaces: a container needs a mount namespace");
	if (spec->linux.ns[OCI_NS_USER].path)
		return err_set(err, -ENOTSUP,
			       "linux.namespaces: class sentry joins no user namespace");
	return 0;
}

static uint64_t all_caps(void)
{
	return (UINT64_C(2) << caps_last()) - 1;
}

static void take_caps(const struct oci_caps *caps, bool unset_is_all, struct sentry_process *p)
{
	if (!caps->set && unset_is_all) {
		p->cap_bounding = p->cap_permitted = p->cap_effective = all_caps();
		return;
	}
	p->cap_bounding = caps->bounding;
	p->cap_permitted = caps->permitted;
	p->cap_effective = caps->effective & caps->permitted;
	p->cap_inheritable = caps->inheritable;
	p->cap_ambient = caps->ambient & caps->permitted & caps->inheritable;
}

/* run.oci.keep_original_groups: those of the caller, not those of config.json. */
static int keep_groups(struct description *d, struct err *err)
{
	const int len = getgroups(0, NULL);

	d->groups = len < 0 ? NULL : calloc((size_t)len + 1, sizeof(*d->groups));
	if (!d->groups || getgroups(len, d->groups) != len)
		return err_sys(err, -ENOMEM, "process.user.additionalGids: the caller's groups");
	d->c.process.groups = d->groups;
	d->c.process.groups_len = (uint32_t)len;
	return 0;
}

static struct sentry_strings strings(const struct oci_strs *list)
{
	return (struct sentry_strings){ .items = (char **)list->items, .len = (uint32_t)list->len };
}

static int take_process(const struct describe_process *o, struct sentry_process *p,
			struct sentry_rlimit rlimits[static SENTRY_RLIMITS_MAX], struct err *err)
{
	const struct oci_process *from = &o->spec->process;
	const char *cpus = from->exec_cpu_affinity_final ? from->exec_cpu_affinity_final
							 : from->exec_cpu_affinity_initial;

	if (from->rlimits_len > SENTRY_RLIMITS_MAX)
		return err_set(err, -EINVAL, "process.rlimits: a limit is there twice");
	for (size_t i = 0; i < from->rlimits_len; i++)
		rlimits[i] = (struct sentry_rlimit){ .resource = (uint32_t)from->rlimits[i].type,
						     .soft = from->rlimits[i].soft,
						     .hard = from->rlimits[i].hard };
	*p = (struct sentry_process){
		.args = strings(&from->args),
		.env = strings(&from->env),
		.program = (char *)o->program,
		.cwd = (char *)(from->cwd ? from->cwd : "/"),
		.uid = from->user.uid,
		.gid = from->user.gid,
		.umask = from->user.umask.set ? (uint32_t)from->user.umask.v & 0777 : UMASK_DEFAULT,
		.groups = from->user.additional_gids,
		.groups_len = (uint32_t)from->user.additional_gids_len,
		.no_new_privs = from->no_new_privileges,
		.terminal = from->terminal,
		.rows = o->rows,
		.cols = o->cols,
		.rlimits = rlimits,
		.rlimits_len = (uint32_t)from->rlimits_len,
		.oom_score_adj =
			from->oom_score_adj.set ? (int32_t)from->oom_score_adj.v : o->oom_score,
		.personality =
			o->spec->linux.personality_set ? (uint32_t)o->spec->linux.personality : 0,
		.preserve_fds = o->preserve_fds,
	};
	if (from->scheduler.set) {
		p->sched_policy = from->scheduler.policy;
		p->sched_priority = (uint32_t)from->scheduler.priority;
		p->nice = from->scheduler.nice;
	}
	if (from->io_priority.set)
		p->io_priority = (uint32_t)from->io_priority.class << 13 |
				 (uint32_t)from->io_priority.priority;
	/* Without a final one the initial one stays, as the host's process would have it. */
	if (o->is_exec && cpus)
		(void)cpulist_parse(cpus, (unsigned long *)p->affinity, SENTRY_CPU_WORDS * 64);
	take_caps(&from->caps, o->all_caps_unset, p);
	if (o->seccomp && o->seccomp->insns) {
		if (o->seccomp->notifies)
			return err_set(err, -ENOTSUP,
				       "linux.seccomp: SCMP_ACT_NOTIFY has no listener in class "
				       "sentry");
		p->seccomp = (struct sentry_bpf *)(void *)o->seccomp->insns;
		p->seccomp_len = (uint32_t)o->seccomp->len;
		p->seccomp_flags = o->seccomp->flags;
	}
	return 0;
}

static int take_devices(struct description *d, const struct oci_linux *from, struct err *err)
{
	d->devices = calloc(from->devices_len + 1, sizeof(*d->devices));
	if (!d->devices)
		return err_sys(err, -ENOMEM, "linux.devices");
	for (size_t i = 0; i < from->devices_len; i++) {
		const struct oci_device *dev = &from->devices[i];

		d->devices[i] = (struct sentry_device){
			.path = (char *)dev->path,
			.type = (uint32_t)(unsigned char)dev->type,
			.major = (uint32_t)dev->major,
			.minor = (uint32_t)dev->minor,
			.mode = dev->file_mode.set ? (uint32_t)dev->file_mode.v & 07777 : 0666,
			.uid = dev->uid.set ? (uint32_t)dev->uid.v : 0,
			.gid = dev->gid.set ? (uint32_t)dev->gid.v : 0,
		};
	}
	d->c.devices = d->devices;
	d->c.devices_len = (uint32_t)from->devices_len;
	return 0;
}

static int take_maps(const struct oci_id_maps *from, struct sentry_id_map **ret, uint32_t *ret_len,
		     struct err *err)
{
	struct sentry_id_map *maps = calloc(from->len + 1, sizeof(*maps));

	if (!maps)
		return err_sys(err, -ENOMEM, "linux.uidMappings");
	for (size_t i = 0; i < from->len; i++)
		maps[i] = (struct sentry_id_map){ .inside = from->items[i].container_id,
						  .outside = from->items[i].host_id,
						  .size = from->items[i].size };
	*ret = maps;
	*ret_len = (uint32_t)from->len;
	return 0;
}

/* What Linux does not have is a mistake; what only the sentry lacks is left out there. */
static int check_sysctl(const char *key, struct err *err)
{
	AUTO_FREE char *path = NULL;
	int r = str_printf(&path, "/proc/sys/%s", key);

	if (r < 0)
		return err_sys(err, r, "linux.sysctl.%s", key);
	for (char *p = path + strlen("/proc/sys/"); !strchr(key, '/') && *p; p++)
		*p = *p == '.' ? '/' : *p;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return err_sys(err, -errno, "linux.sysctl.%s", key);
	return 0;
}

static int take_sysctls(struct description *d, const struct oci_kvs *from, struct err *err)
{
	for (size_t i = 0; i < from->len; i++) {
		const int r = check_sysctl(from->items[i].key, err);

		if (r < 0)
			return r;
	}
	d->sysctls = calloc(from->len + 1, sizeof(*d->sysctls));
	if (!d->sysctls)
		return err_sys(err, -ENOMEM, "linux.sysctl");
	for (size_t i = 0; i < from->len; i++)
		d->sysctls[i] = (struct sentry_pair){ (char *)from->items[i].key,
						      (char *)from->items[i].value };
	d->c.sysctls = d->sysctls;
	d->c.sysctls_len = (uint32_t)from->len;
	return 0;
}

/* Of the namespace that we are in now, if config.json names or makes one. */
static int take_time(const struct oci_linux *from, struct sentry_container *ret, struct err *err)
{
	AUTO_BUF struct buf b = { .max = TIME_OFFSETS_MAX };
	long long secs[2];
	unsigned int nanosecs[2];
	struct stat st;
	int r;

	if (!from->ns[OCI_NS_TIME].set)
		return 0;
	if (stat("/proc/self/ns/time", &st) < 0)
		return err_sys(err, -errno, "look at the time namespace");
	r = fd_read_file(AT_FDCWD, "/proc/self/timens_offsets", &b);
	if (r < 0 || sscanf(b.data, "%*s %lld %u %*s %lld %u", &secs[0], &nanosecs[0], &secs[1],
			    &nanosecs[1]) != 4)
		return err_sys(err, r < 0 ? r : -EPROTO, "read the offsets of the clocks");
	ret->time_ns = st.st_ino;
	ret->monotonic_offset = (struct sentry_time_offset){ secs[0], nanosecs[0] };
	ret->boottime_offset = (struct sentry_time_offset){ secs[1], nanosecs[1] };
	return 0;
}

static uint64_t limit_of(const struct oci_opt_i64 *v)
{
	return v->set && v->v > 0 ? (uint64_t)v->v : UINT64_MAX;
}

void describe_limits(const struct oci_resources *r, struct sentry_limits *ret)
{
	*ret = (struct sentry_limits){
		.memory = limit_of(&r->memory.limit),
		.swap = limit_of(&r->memory.swap),
		.cpu_quota_us = limit_of(&r->cpu.quota),
		.cpu_period_us = r->cpu.period.set ? r->cpu.period.v : 100000,
		.cpu_shares = r->cpu.shares.set ? r->cpu.shares.v : UINT64_MAX,
		.pids = limit_of(&r->pids_limit),
	};
}

void describe_update(const struct oci_resources *r, struct sentry_limits *ret)
{
	describe_limits(r, ret);
	ret->memory = r->memory.limit.set ? ret->memory : 0;
	ret->swap = r->memory.swap.set ? ret->swap : 0;
	ret->cpu_quota_us = r->cpu.quota.set ? ret->cpu_quota_us : 0;
	ret->cpu_period_us = r->cpu.period.set ? ret->cpu_period_us : 0;
	ret->cpu_shares = r->cpu.shares.set ? ret->cpu_shares : 0;
	ret->pids = r->pids_limit.set ? ret->pids : 0;
}

static void take_settings(const struct container *c, struct sentry_container *ret)
{
	const struct sentry_settings *s = &c->runtime->sentry;

	ret->platform = s->platform;
	ret->overlay = s->overlay;
	ret->file_access = s->file_access;
	ret->file_access_mounts = s->file_access_mounts;
	ret->strace = (char *)s->strace;
	ret->debug = (char *)s->debug;
}

int describe_container(const struct container *c, const struct describe_process *process,
		       const struct roots *roots, struct err *err)
{
	AUTO(description_done) struct description d = { 0 };
	AUTO_BUF struct buf b = { .max = SENTRY_MSG_MAX };
	const struct oci_spec *spec = process->spec;
	int r = take_process(process, &d.c.process, d.rlimits, err);

	if (r == 0 && oci_annotation_is_set(spec, "run.oci.keep_original_groups"))
		r = keep_groups(&d, err);
	take_settings(c, &d.c);
	d.c.id = c->id;
	d.c.events = process->events;
	d.c.profile = process->profile;
	d.c.network = process->network;
	d.c.own_namespaces = process->own_namespaces;
	d.c.pid_ns_of = (char *)process->pid_ns_of;
	if (!spec->hostname)
		(void)gethostname(d.hostname, sizeof(d.hostname) - 1);
	d.c.hostname = spec->hostname ? (char *)spec->hostname : d.hostname;
	d.c.domainname = (char *)spec->domainname;
	d.c.root_readonly = spec->root.readonly;
	d.c.user_ns = spec->linux.ns[OCI_NS_USER].set;
	d.c.masked_paths = strings(&spec->linux.masked_paths);
	d.c.readonly_paths = strings(&spec->linux.readonly_paths);
	describe_limits(&spec->linux.resources, &d.c.limits);
	if (r == 0)
		r = take_time(&spec->linux, &d.c, err);
	if (r == 0)
		r = describe_mounts(spec, c->bundle, roots, &d.mounts, err);
	d.c.mounts = d.mounts.items;
	d.c.mounts_len = d.mounts.len;
	if (r == 0)
		r = describe_propagation(spec, &d.c.root_propagation, err);
	if (r == 0)
		r = take_devices(&d, &spec->linux, err);
	if (r == 0)
		r = take_sysctls(&d, &spec->linux.sysctl, err);
	if (r == 0)
		r = take_maps(&spec->linux.uid_maps, &d.uid_maps, &d.c.uid_maps_len, err);
	if (r == 0)
		r = take_maps(&spec->linux.gid_maps, &d.gid_maps, &d.c.gid_maps_len, err);
	d.c.uid_maps = d.uid_maps;
	d.c.gid_maps = d.gid_maps;
	if (r == 0)
		r = sentry_container_encode(&d.c, &b, err);
	return r < 0 ? r : sandbox_seal(&b, err);
}

int describe_exec(const struct describe_process *process, struct err *err)
{
	struct sentry_rlimit rlimits[SENTRY_RLIMITS_MAX];
	AUTO_BUF struct buf b = { .max = SENTRY_MSG_MAX };
	struct sentry_process p;
	int r = take_process(process, &p, rlimits, err);

	if (r == 0)
		r = sentry_process_encode(&p, &b, err);
	return r < 0 ? r : sandbox_seal(&b, err);
}
