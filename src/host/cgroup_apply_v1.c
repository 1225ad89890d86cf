/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources on cgroup v1 (config-linux.md#control-groups; the kernel's
 * admin-guide/cgroup-v1).
 *
 * A number that is absent or 0 is left alone where 0 is no sensible value, as runc does: engines
 * fill in zeros. memory.kernel is ignored: the kernel has dropped it and the specification allows
 * that.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "host/cgroup_devices.h"
#include "host/cgroup_write.h"

#define MEMORY_LIMIT "memory.limit_in_bytes"
#define MEMORY_SWAP  "memory.memsw.limit_in_bytes"

static bool wants(struct oci_opt_i64 v)
{
	return v.set && v.v != 0;
}

static bool wants_u64(struct oci_opt_u64 v)
{
	return v.set && v.v != 0;
}

/* ---------------------------------------------------------------------------------- memory */

/* EBUSY means that the pages in use do not fit: say how many there are. */
static int write_limit(const struct cgroup_ctl *ctl, int64_t limit)
{
	uint64_t usage = 0, peak = 0;
	int r = cgroup_ctl_try(ctl, MEMORY_LIMIT, "%lld", (long long)limit);

	if (r != -EBUSY)
		return r == 0 ? 0 : cgroup_ctl_write(ctl, MEMORY_LIMIT, "%lld", (long long)limit);
	(void)cgroup_ctl_read(ctl, "memory.usage_in_bytes", &usage);
	(void)cgroup_ctl_read(ctl, "memory.max_usage_in_bytes", &peak);
	return err_set(ctl->err, -EBUSY,
		       "memory: write %lld to %s: the container uses %llu bytes (peak %llu)",
		       (long long)limit, MEMORY_LIMIT, (unsigned long long)usage,
		       (unsigned long long)peak);
}

static int write_swap(const struct cgroup_ctl *ctl, int64_t swap)
{
	return cgroup_ctl_write(ctl, MEMORY_SWAP, "%lld", (long long)swap);
}

/*
 * The kernel keeps limit <= memory+swap at every moment, so the order depends on where the present
 * limit lies: when the new swap limit is above it, swap goes first.
 */
static int apply_memory_limits(const struct cgroup_ctl *ctl, const struct oci_resources *res)
{
	const int64_t limit = wants(res->memory.limit) ? res->memory.limit.v : 0;
	int64_t swap = wants(res->memory.swap) ? res->memory.swap.v : 0;
	uint64_t now = 0;
	int r = 0;

	/* Unlimited memory under an old swap limit would stay limited. */
	if (limit == -1 && swap == 0 && cgroup_ctl_has(ctl, MEMORY_SWAP))
		swap = -1;
	if (limit != 0 && swap != 0) {
		r = cgroup_ctl_read(ctl, MEMORY_LIMIT, &now);
		if (r < 0)
			return err_sys(ctl->err, r, "memory: read %s", MEMORY_LIMIT);
		if (swap == -1 || now < (uint64_t)swap) {
			r = write_swap(ctl, swap);
			return r < 0 ? r : write_limit(ctl, limit);
		}
	}
	if (limit != 0)
		r = write_limit(ctl, limit);
	if (r == 0 && swap != 0)
		r = write_swap(ctl, swap);
	return r;
}

/* New kernels account hierarchically and cannot be told otherwise. */
static int apply_hierarchy(const struct cgroup_ctl *ctl, bool on)
{
	uint64_t now = 1;

	(void)cgroup_ctl_read(ctl, "memory.use_hierarchy", &now);
	if (now == on)
		return 0;
	if (!on)
		return err_set(ctl->err, -ENOTSUP,
			       "linux.resources.memory.useHierarchy: false is not possible: "
			       "this kernel always accounts hierarchically");
	return cgroup_ctl_write(ctl, "memory.use_hierarchy", "1");
}

static const char *memory_field(const struct oci_resources *res)
{
	if (wants(res->memory.limit))
		return "linux.resources.memory.limit";
	if (wants(res->memory.swap))
		return "linux.resources.memory.swap";
	if (wants(res->memory.reservation))
		return "linux.resources.memory.reservation";
	if (wants(res->memory.kernel_tcp))
		return "linux.resources.memory.kernelTCP";
	if (res->memory.swappiness.set)
		return "linux.resources.memory.swappiness";
	if (res->memory.disable_oom_killer.set && res->memory.disable_oom_killer.v)
		return "linux.resources.memory.disableOOMKiller";
	if (res->memory.use_hierarchy.set)
		return "linux.resources.memory.useHierarchy";
	return NULL;
}

static int apply_memory(const struct cgroup *cg, const struct oci_resources *res, struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	const char *field = memory_field(res);
	int r;

	if (!field)
		return 0;
	r = cgroup_ctl_open(cg, "memory", field, err, &ctl);
	if (r == 0 && res->memory.use_hierarchy.set)
		r = apply_hierarchy(&ctl, res->memory.use_hierarchy.v);
	if (r == 0)
		r = apply_memory_limits(&ctl, res);
	if (r == 0 && wants(res->memory.reservation))
		r = cgroup_ctl_write(&ctl, "memory.soft_limit_in_bytes", "%lld",
				     (long long)res->memory.reservation.v);
	if (r == 0 && wants(res->memory.kernel_tcp))
		r = cgroup_ctl_write(&ctl, "memory.kmem.tcp.limit_in_bytes", "%lld",
				     (long long)res->memory.kernel_tcp.v);
	if (r == 0 && res->memory.disable_oom_killer.set && res->memory.disable_oom_killer.v)
		r = cgroup_ctl_write(&ctl, "memory.oom_control", "1");
	/* UINT64_MAX is what engines wrote for -1, "the default". */
	if (r == 0 && res->memory.swappiness.set && res->memory.swappiness.v != UINT64_MAX) {
		if (res->memory.swappiness.v > 100)
			return err_set(err, -EINVAL,
				       "linux.resources.memory.swappiness: %llu is not in 0..100",
				       (unsigned long long)res->memory.swappiness.v);
		r = cgroup_ctl_write(&ctl, "memory.swappiness", "%llu",
				     (unsigned long long)res->memory.swappiness.v);
	}
	return r;
}

/* ------------------------------------------------------------------------------------- cpu */

/* A value that the kernel may refuse (EINVAL) until the quota beside it has changed. */
struct late_value {
	const char *file;
	struct oci_opt_u64 v;
	bool pending;
};

static int write_early(const struct cgroup_ctl *ctl, struct late_value *late, bool quota_follows)
{
	int r;

	if (!late->v.set)
		return 0;
	r = cgroup_ctl_try(ctl, late->file, "%llu", (unsigned long long)late->v.v);
	if (r == -EINVAL && quota_follows) {
		late->pending = true;
		return 0;
	}
	return r == 0 ? 0
		      : cgroup_ctl_write(ctl, late->file, "%llu", (unsigned long long)late->v.v);
}

static int write_late(const struct cgroup_ctl *ctl, const struct late_value *late)
{
	if (!late->pending)
		return 0;
	return cgroup_ctl_write(ctl, late->file, "%llu", (unsigned long long)late->v.v);
}

static int apply_cfs(const struct cgroup_ctl *ctl, const struct oci_resources *res)
{
	const bool quota = wants(res->cpu.quota);
	struct late_value burst = { "cpu.cfs_burst_us", res->cpu.burst, false };
	struct late_value period = { "cpu.cfs_period_us", res->cpu.period, false };
	int r;

	period.v.set = wants_u64(res->cpu.period);
	r = write_early(ctl, &burst, quota);
	if (r == 0)
		r = write_early(ctl, &period, quota);
	if (r == 0 && quota)
		r = cgroup_ctl_write(ctl, "cpu.cfs_quota_us", "%lld", (long long)res->cpu.quota.v);
	if (r == 0)
		r = write_late(ctl, &period);
	if (r == 0)
		r = write_late(ctl, &burst);
	return r;
}

/* Runtime must fit into the period at every moment: the other order if the first is refused. */
static int apply_rt(const struct cgroup_ctl *ctl, const struct oci_resources *res)
{
	const unsigned long long period = res->cpu.realtime_period.v;
	const long long runtime = res->cpu.realtime_runtime.v;
	const bool has_runtime = wants(res->cpu.realtime_runtime);
	bool late = false;
	int r = 0;

	if (wants_u64(res->cpu.realtime_period)) {
		r = cgroup_ctl_try(ctl, "cpu.rt_period_us", "%llu", period);
		late = r == -EINVAL && has_runtime;
		if (r < 0 && !late)
			return cgroup_ctl_write(ctl, "cpu.rt_period_us", "%llu", period);
		r = 0;
	}
	if (has_runtime)
		r = cgroup_ctl_write(ctl, "cpu.rt_runtime_us", "%lld", runtime);
	if (r == 0 && late)
		r = cgroup_ctl_write(ctl, "cpu.rt_period_us", "%llu", period);
	return r;
}

/* The kernel clamps shares to 2..262144 without a word; a value it changed is an error. */
static int apply_shares(const struct cgroup_ctl *ctl, uint64_t shares)
{
	uint64_t now = shares;
	int r = cgroup_ctl_write(ctl, "cpu.shares", "%llu", (unsigned long long)shares);

	if (r < 0)
		return r;
	(void)cgroup_ctl_read(ctl, "cpu.shares", &now);
	if (now == shares)
		return 0;
	return err_set(ctl->err, -EINVAL, "linux.resources.cpu.shares: the %s allowed is %llu",
		       shares > now ? "maximum" : "minimum", (unsigned long long)now);
}

static const char *cpu_field(const struct oci_resources *res)
{
	if (wants_u64(res->cpu.shares))
		return "linux.resources.cpu.shares";
	if (wants(res->cpu.quota))
		return "linux.resources.cpu.quota";
	if (wants_u64(res->cpu.period))
		return "linux.resources.cpu.period";
	if (res->cpu.burst.set)
		return "linux.resources.cpu.burst";
	if (wants(res->cpu.realtime_runtime))
		return "linux.resources.cpu.realtimeRuntime";
	if (wants_u64(res->cpu.realtime_period))
		return "linux.resources.cpu.realtimePeriod";
	return res->cpu.idle.set ? "linux.resources.cpu.idle" : NULL;
}

static int apply_cpu(const struct cgroup *cg, const struct oci_resources *res, struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	const char *field = cpu_field(res);
	const long long idle = (long long)res->cpu.idle.v;
	int r;

	if (!field)
		return 0;
	r = cgroup_ctl_open(cg, "cpu", field, err, &ctl);
	/* An idle group refuses shares: out of it before, into it after. */
	if (r == 0 && res->cpu.idle.set && idle == 0)
		r = cgroup_ctl_write(&ctl, "cpu.idle", "0");
	if (r == 0 && wants_u64(res->cpu.shares))
		r = apply_shares(&ctl, res->cpu.shares.v);
	if (r == 0)
		r = apply_cfs(&ctl, res);
	if (r == 0)
		r = apply_rt(&ctl, res);
	if (r == 0 && res->cpu.idle.set && idle != 0)
		r = cgroup_ctl_write(&ctl, "cpu.idle", "%lld", idle);
	return r;
}

static int apply_cpuset(const struct cgroup *cg, const struct oci_resources *res, struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	const char *cpus = res->cpu.cpus, *mems = res->cpu.mems;
	int r;

	if (!(cpus && *cpus) && !(mems && *mems))
		return 0;
	r = cgroup_ctl_open(cg, "cpuset",
			    cpus && *cpus ? "linux.resources.cpu.cpus" : "linux.resources.cpu.mems",
			    err, &ctl);
	if (r == 0 && cpus && *cpus)
		r = cgroup_ctl_write(&ctl, "cpuset.cpus", "%s", cpus);
	if (r == 0 && mems && *mems)
		r = cgroup_ctl_write(&ctl, "cpuset.mems", "%s", mems);
	return r;
}

/* ----------------------------------------------------------------------------------- blkio */

/* BFQ has its own names since CFQ has gone; one of the two exists, or no weights at all. */
static int write_weight(const struct cgroup_ctl *ctl, const char *suffix, const char *text)
{
	char file[64];
	int r;

	(void)snprintf(file, sizeof(file), "blkio.%s", suffix);
	r = cgroup_ctl_try(ctl, file, "%s", text);
	if (r == -ENOENT && !str_after(suffix, "leaf"))
		(void)snprintf(file, sizeof(file), "blkio.bfq.%s", suffix);
	return r == 0 ? 0 : cgroup_ctl_write(ctl, file, "%s", text);
}

static int apply_weights(const struct cgroup_ctl *ctl, const struct oci_resources *res)
{
	char text[96];
	int r = 0;

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)res->block_io.weight.v);
	if (wants_u64(res->block_io.weight))
		r = write_weight(ctl, "weight", text);
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)res->block_io.leaf_weight.v);
	if (r == 0 && wants_u64(res->block_io.leaf_weight))
		r = write_weight(ctl, "leaf_weight", text);
	for (size_t i = 0; r == 0 && i < res->block_io.weight_devices_len; i++) {
		const struct oci_weight_device *d = &res->block_io.weight_devices[i];

		if (wants_u64(d->weight)) {
			(void)snprintf(text, sizeof(text), "%lld:%lld %llu", (long long)d->major,
				       (long long)d->minor, (unsigned long long)d->weight.v);
			r = write_weight(ctl, "weight_device", text);
		}
		if (r == 0 && wants_u64(d->leaf_weight)) {
			(void)snprintf(text, sizeof(text), "%lld:%lld %llu", (long long)d->major,
				       (long long)d->minor, (unsigned long long)d->leaf_weight.v);
			r = write_weight(ctl, "leaf_weight_device", text);
		}
	}
	return r;
}

static int apply_throttles(const struct cgroup_ctl *ctl, const char *file,
			   const struct oci_throttles *list)
{
	for (size_t i = 0; i < list->len; i++) {
		const int r = cgroup_ctl_write(
			ctl, file, "%lld:%lld %llu", (long long)list->items[i].major,
			(long long)list->items[i].minor, (unsigned long long)list->items[i].rate);

		if (r < 0)
			return r;
	}
	return 0;
}

static const char *blkio_field(const struct oci_resources *res)
{
	if (wants_u64(res->block_io.weight))
		return "linux.resources.blockIO.weight";
	if (wants_u64(res->block_io.leaf_weight))
		return "linux.resources.blockIO.leafWeight";
	if (res->block_io.weight_devices_len)
		return "linux.resources.blockIO.weightDevice";
	if (res->block_io.read_bps.len)
		return "linux.resources.blockIO.throttleReadBpsDevice";
	if (res->block_io.write_bps.len)
		return "linux.resources.blockIO.throttleWriteBpsDevice";
	if (res->block_io.read_iops.len)
		return "linux.resources.blockIO.throttleReadIOPSDevice";
	return res->block_io.write_iops.len ? "linux.resources.blockIO.throttleWriteIOPSDevice"
					    : NULL;
}

static int apply_blkio(const struct cgroup *cg, const struct oci_resources *res, struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	const char *field = blkio_field(res);
	int r;

	if (!field)
		return 0;
	r = cgroup_ctl_open(cg, "blkio", field, err, &ctl);
	if (r == 0)
		r = apply_weights(&ctl, res);
	if (r == 0)
		r = apply_throttles(&ctl, "blkio.throttle.read_bps_device",
				    &res->block_io.read_bps);
	if (r == 0)
		r = apply_throttles(&ctl, "blkio.throttle.write_bps_device",
				    &res->block_io.write_bps);
	if (r == 0)
		r = apply_throttles(&ctl, "blkio.throttle.read_iops_device",
				    &res->block_io.read_iops);
	if (r == 0)
		r = apply_throttles(&ctl, "blkio.throttle.write_iops_device",
				    &res->block_io.write_iops);
	return r;
}

/* --------------------------------------------------------------------- the small controllers */

static int apply_hugetlb(const struct cgroup *cg, const struct oci_resources *res, struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	char file[96];
	int r;

	if (res->hugepage_limits_len == 0)
		return 0;
	/* The hybrid layout may have given this controller to cgroup2. */
	if (cgroup_index(cg, "hugetlb") < 0 && cgroup_index(cg, "") >= 0)
		return cgroup_apply_hugetlb_v2(cg, res, err);
	r = cgroup_ctl_open(cg, "hugetlb", "linux.resources.hugepageLimits", err, &ctl);
	for (size_t i = 0; r == 0 && i < res->hugepage_limits_len; i++) {
		const struct oci_hugepage_limit *l = &res->hugepage_limits[i];

		r = cgroup_check_page_size(l->page_size, err);
		if (r < 0)
			return r;
		(void)snprintf(file, sizeof(file), "hugetlb.%s.limit_in_bytes", l->page_size);
		r = cgroup_ctl_write(&ctl, file, "%llu", (unsigned long long)l->limit);
		/* Reservations too, where the kernel counts them (Linux 5.7). */
		(void)snprintf(file, sizeof(file), "hugetlb.%s.rsvd.limit_in_bytes", l->page_size);
		if (r == 0 && cgroup_ctl_has(&ctl, file))
			r = cgroup_ctl_write(&ctl, file, "%llu", (unsigned long long)l->limit);
	}
	return r;
}

/* "NAME value" lines: a blank or newline in the name would be another line or field. */
static int check_word(const char *word, const char *field, struct err *err)
{
	if (*word && strlen(word) < 128 && strcspn(word, " \t\n") == strlen(word))
		return 0;
	return err_set(err, -EINVAL, "%s: \"%.64s\" is not a device name", field, word);
}

static int apply_network(const struct cgroup *cg, const struct oci_resources *res, struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl cls = { .dir_fd = -EBADF };
	AUTO(cgroup_ctl_done) struct cgroup_ctl prio = { .dir_fd = -EBADF };
	int r = 0;

	if (wants_u64(res->network.class_id)) {
		r = cgroup_ctl_open(cg, "net_cls", "linux.resources.network.classID", err, &cls);
		if (r == 0)
			r = cgroup_ctl_write(&cls, "net_cls.classid", "%llu",
					     (unsigned long long)res->network.class_id.v);
	}
	if (r == 0 && res->network.priorities_len)
		r = cgroup_ctl_open(cg, "net_prio", "linux.resources.network.priorities", err,
				    &prio);
	for (size_t i = 0; r == 0 && i < res->network.priorities_len; i++) {
		const struct oci_if_prio *p = &res->network.priorities[i];

		r = check_word(p->name, "linux.resources.network.priorities", err);
		if (r == 0)
			r = cgroup_ctl_write(&prio, "net_prio.ifpriomap", "%s %u", p->name,
					     p->priority);
	}
	return r;
}

int cgroup_apply_rdma(const struct cgroup *cg, const char *controller,
		      const struct oci_resources *res, struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	int r;

	if (res->rdma_len == 0)
		return 0;
	r = cgroup_ctl_open(cg, controller, "linux.resources.rdma", err, &ctl);
	for (size_t i = 0; r == 0 && i < res->rdma_len; i++) {
		const struct oci_rdma *d = &res->rdma[i];
		char handles[40] = "", objects[40] = "";

		r = check_word(d->name, "linux.resources.rdma", err);
		if (d->hca_handles.set)
			(void)snprintf(handles, sizeof(handles), " hca_handle=%llu",
				       (unsigned long long)d->hca_handles.v);
		if (d->hca_objects.set)
			(void)snprintf(objects, sizeof(objects), " hca_object=%llu",
				       (unsigned long long)d->hca_objects.v);
		if (r == 0)
			r = cgroup_ctl_write(&ctl, "rdma.max", "%s%s%s", d->name, handles, objects);
	}
	return r;
}

/*
 * 0 and below are "no limit": so say crun, docker and podman, whose --pids-limit=-1 arrives as 0;
 * runc before 1.4 leaves 0 alone, which on a new cgroup is the same. (runc 1.4 writes the 0.)
 */
int cgroup_apply_pids(const struct cgroup *cg, const char *controller,
		      const struct oci_resources *res, struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	int r;

	if (!res->pids_limit.set)
		return 0;
	if (res->pids_limit.v <= 0 && cgroup_index(cg, controller) < 0)
		return 0;
	r = cgroup_ctl_open(cg, controller, "linux.resources.pids.limit", err, &ctl);
	if (r == 0 && res->pids_limit.v > 0)
		r = cgroup_ctl_write(&ctl, "pids.max", "%lld", (long long)res->pids_limit.v);
	else if (r == 0 && cgroup_ctl_has(&ctl, "pids.max"))
		r = cgroup_ctl_write(&ctl, "pids.max", "max");
	return r;
}

int cgroup_apply_v1(const struct cgroup *cg, const struct oci_resources *res, bool update,
		    struct err *err)
{
	int r = cgroup_apply_devices_v1(cg, res, update, err);

	if (r == 0)
		r = apply_memory(cg, res, err);
	if (r == 0)
		r = apply_cpu(cg, res, err);
	if (r == 0)
		r = apply_cpuset(cg, res, err);
	if (r == 0)
		r = cgroup_apply_pids(cg, "pids", res, err);
	if (r == 0)
		r = apply_blkio(cg, res, err);
	if (r == 0)
		r = apply_hugetlb(cg, res, err);
	if (r == 0)
		r = apply_network(cg, res, err);
	if (r == 0)
		r = cgroup_apply_rdma(cg, "rdma", res, err);
	if (r == 0)
		r = cgroup_apply_unified(cg, res, err);
	return r;
}
