/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources on cgroup2 (the kernel's admin-guide/cgroup-v2). The specification's numbers are
 * v1's; the conversions are those that runc and crun use, so that a container weighs the same under
 * each.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/cgroup_devices.h"
#include "host/cgroup_write.h"

#define CPU_PERIOD_DEFAULT_US 100000

static bool wants(struct oci_opt_i64 v)
{
	return v.set && v.v != 0;
}

static bool wants_u64(struct oci_opt_u64 v)
{
	return v.set && v.v != 0;
}

/* "max" for -1, else the number. */
static const char *limit_text(int64_t v, char text[static 24])
{
	if (v == -1)
		return "max";
	(void)snprintf(text, 24, "%lld", (long long)v);
	return text;
}

/* ---------------------------------------------------------------------------------- memory */

/* v1's memory+swap as v2's swap alone. *ret_write is false when swap is left as it is. */
static int swap_for_v2(const struct cgroup_ctl *ctl, int64_t limit, int64_t swap, int64_t *ret,
		       bool *ret_write)
{
	const char *why = NULL;

	*ret_write = true;
	if (limit == -1 && swap == 0) {
		*ret = -1;
	} else if (swap == 0) {
		*ret_write = false;
	} else if (swap == -1 || limit == -1) {
		*ret = swap;
	} else if (limit == 0) {
		why = "needs linux.resources.memory.limit beside it";
	} else if (swap < limit) {
		why = "is below linux.resources.memory.limit, which it includes";
	} else {
		*ret = swap - limit;
	}
	if (!why)
		return 0;
	return err_set(ctl->err, -EINVAL, "linux.resources.memory.swap: %lld %s", (long long)swap,
		       why);
}

/* v1 refuses a limit below the usage; v2 would call the OOM killer. */
static int check_usage(const struct cgroup_ctl *ctl, int64_t limit, int64_t swap)
{
	uint64_t memory = 0, swapped = 0;

	if (limit <= 0)
		return 0;
	if (cgroup_ctl_read(ctl, "memory.current", &memory) < 0)
		return 0;
	(void)cgroup_ctl_read(ctl, "memory.swap.current", &swapped);
	if (memory <= (uint64_t)limit && (swap <= 0 || memory + swapped <= (uint64_t)swap))
		return 0;
	return err_set(
		ctl->err, -EBUSY,
		"linux.resources.memory.limit: %lld is below the present usage of %llu bytes",
		(long long)limit, (unsigned long long)(memory + swapped));
}

static int refuse_memory_fields(const struct oci_resources *res, struct err *err)
{
	const char *field = NULL;

	if (wants(res->memory.kernel_tcp))
		field = "kernelTCP";
	else if (res->memory.swappiness.set && res->memory.swappiness.v != UINT64_MAX)
		field = "swappiness";
	else if (res->memory.disable_oom_killer.set && res->memory.disable_oom_killer.v)
		field = "disableOOMKiller";
	else if (res->memory.use_hierarchy.set && !res->memory.use_hierarchy.v)
		field = "useHierarchy";
	if (!field)
		return 0;
	return err_set(err, -ENOTSUP, "linux.resources.memory.%s: cgroup2 has no such setting",
		       field);
}

static int apply_memory(const struct cgroup *cg, const struct oci_resources *res, struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	const int64_t limit = wants(res->memory.limit) ? res->memory.limit.v : 0;
	const int64_t memsw = wants(res->memory.swap) ? res->memory.swap.v : 0;
	const bool low = wants(res->memory.reservation);
	bool write_swap = false;
	int64_t swap = 0;
	char text[24];
	int r = refuse_memory_fields(res, err);

	if (r < 0 || (limit == 0 && memsw == 0 && !low))
		return r;
	r = cgroup_ctl_open(cg, "", "linux.resources.memory.limit", err, &ctl);
	ctl.controller = "memory";
	if (r == 0 && res->memory.check_before_update.set && res->memory.check_before_update.v)
		r = check_usage(&ctl, limit, memsw);
	if (r == 0)
		r = swap_for_v2(&ctl, limit, memsw, &swap, &write_swap);
	/* Unlimited swap of a kernel without swap accounting is what there is anyway. */
	if (r == 0 && write_swap && (swap != -1 || cgroup_ctl_has(&ctl, "memory.swap.max")))
		r = cgroup_ctl_write(&ctl, "memory.swap.max", "%s", limit_text(swap, text));
	if (r == 0 && limit != 0)
		r = cgroup_ctl_write(&ctl, "memory.max", "%s", limit_text(limit, text));
	if (r == 0 && low)
		r = cgroup_ctl_write(&ctl, "memory.low", "%s",
				     limit_text(res->memory.reservation.v, text));
	return r;
}

/* ------------------------------------------------------------------------------------- cpu */

/* Base-2 logarithm of 1 <= x < 2^63, by squaring the mantissa: 40 binary digits. */
static double log2_of(uint64_t x)
{
	const int whole = 63 - __builtin_clzll(x);
	double m = (double)x / (double)(1ull << whole), bit = 0.5, result = whole;

	for (int i = 0; i < 40; i++, bit /= 2) {
		m *= m;
		if (m >= 2) {
			m /= 2;
			result += bit;
		}
	}
	return result;
}

/* 10 to the power y, 0 <= y <= 5, by the series of exp(y ln 10 / 64) and six squarings. */
static double pow10_of(double y)
{
	const double x = y * 2.302585092994045684 / 64;
	double term = 1, sum = 1;

	for (int i = 1; i < 20; i++) {
		term *= x / i;
		sum += term;
	}
	for (int i = 0; i < 6; i++)
		sum *= sum;
	return sum;
}

/*
 * 2..262144 onto 1..10000 so that the defaults meet (1024 is 100): with l the base-2 logarithm,
 * ceil(10^((l^2 + 125 l) / 612 - 7 / 34)), the curve that runc 1.4 and crun 1.23 brought in.
 */
uint64_t cgroup_weight_of_shares(uint64_t shares)
{
	double l, weight;
	uint64_t floor;

	if (shares <= 2)
		return shares ? 1 : 0;
	if (shares >= 262144)
		return 10000;
	l = log2_of(shares);
	weight = pow10_of((l * l + 125 * l) / 612.0 - 7.0 / 34.0);
	floor = (uint64_t)weight;
	/* The curve meets whole numbers at its fixed points only; there rounding must not add one.
	 */
	return weight - (double)floor < 1e-6 ? floor : floor + 1;
}

/* cpu.max is "QUOTA PERIOD"; a quota alone keeps the period, a period alone needs the quota. */
static int apply_cpu_max(const struct cgroup_ctl *ctl, const struct oci_resources *res)
{
	const bool period = wants_u64(res->cpu.period);
	AUTO_BUF struct buf now = { .max = 256 };
	char quota[24];

	if (wants(res->cpu.quota)) {
		if (res->cpu.quota.v < 0)
			(void)snprintf(quota, sizeof(quota), "max");
		else
			(void)limit_text(res->cpu.quota.v, quota);
		if (!period)
			return cgroup_ctl_write(ctl, "cpu.max", "%s", quota);
	} else if (!period) {
		return 0;
	} else {
		if (fd_read_file(ctl->dir_fd, "cpu.max", &now) == 0 && now.data)
			now.data[strcspn(now.data, " \n")] = '\0';
		(void)snprintf(quota, sizeof(quota), "%.20s", now.data ? now.data : "max");
	}
	return cgroup_ctl_write(ctl, "cpu.max", "%s %llu", quota,
				(unsigned long long)res->cpu.period.v);
}

/* Burst must not exceed the quota at any moment: before it, and again after it if refused. */
static int apply_cpu_bandwidth(const struct cgroup_ctl *ctl, const struct oci_resources *res)
{
	const unsigned long long burst = res->cpu.burst.v;
	bool late = false;
	int r = 0;

	if (res->cpu.burst.set) {
		r = cgroup_ctl_try(ctl, "cpu.max.burst", "%llu", burst);
		late = r == -EINVAL && wants(res->cpu.quota);
		if (r < 0 && !late)
			return cgroup_ctl_write(ctl, "cpu.max.burst", "%llu", burst);
	}
	r = apply_cpu_max(ctl, res);
	if (r == 0 && late)
		r = cgroup_ctl_write(ctl, "cpu.max.burst", "%llu", burst);
	return r;
}

static int apply_cpu(const struct cgroup *cg, const struct oci_resources *res, struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	const bool shares = wants_u64(res->cpu.shares);
	int r;

	if (wants(res->cpu.realtime_runtime) || wants_u64(res->cpu.realtime_period))
		return err_set(err, -ENOTSUP, "linux.resources.cpu.%s: cgroup2 has no such setting",
			       wants(res->cpu.realtime_runtime) ? "realtimeRuntime"
								: "realtimePeriod");
	if (!shares && !wants(res->cpu.quota) && !wants_u64(res->cpu.period) &&
	    !res->cpu.burst.set && !res->cpu.idle.set)
		return 0;
	r = cgroup_ctl_open(cg, "", "linux.resources.cpu", err, &ctl);
	ctl.controller = "cpu";
	if (r == 0 && res->cpu.idle.set && res->cpu.idle.v == 0)
		r = cgroup_ctl_write(&ctl, "cpu.idle", "0");
	if (r == 0 && shares)
		r = cgroup_ctl_write(
			&ctl, "cpu.weight", "%llu",
			(unsigned long long)cgroup_weight_of_shares(res->cpu.shares.v));
	if (r == 0)
		r = apply_cpu_bandwidth(&ctl, res);
	if (r == 0 && res->cpu.idle.set && res->cpu.idle.v != 0)
		r = cgroup_ctl_write(&ctl, "cpu.idle", "%lld", (long long)res->cpu.idle.v);
	return r;
}

static int apply_cpuset(const struct cgroup *cg, const struct oci_resources *res, struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	const char *cpus = res->cpu.cpus, *mems = res->cpu.mems;
	int r;

	if (!(cpus && *cpus) && !(mems && *mems))
		return 0;
	r = cgroup_ctl_open(cg, "", "linux.resources.cpu.cpus", err, &ctl);
	ctl.controller = "cpuset";
	if (r == 0 && cpus && *cpus)
		r = cgroup_ctl_write(&ctl, "cpuset.cpus", "%s", cpus);
	if (r == 0 && mems && *mems)
		r = cgroup_ctl_write(&ctl, "cpuset.mems", "%s", mems);
	return r;
}

/* -------------------------------------------------------------------------------------- io */

/* BFQ takes v1's weights as they are; io.weight has 1..10000 for 10..1000. */
static int write_io_weight(const struct cgroup_ctl *ctl, const char *device, uint64_t weight)
{
	int r = cgroup_ctl_try(ctl, "io.bfq.weight", "%s%llu", device, (unsigned long long)weight);

	if (r != -ENOENT)
		return r == 0 ? 0
			      : cgroup_ctl_write(ctl, "io.bfq.weight", "%s%llu", device,
						 (unsigned long long)weight);
	if (weight < 10 || weight > 1000)
		return err_set(ctl->err, -EINVAL,
			       "linux.resources.blockIO.weight: %llu is not in 10..1000",
			       (unsigned long long)weight);
	return cgroup_ctl_write(ctl, "io.weight", "%s%llu", device,
				(unsigned long long)(1 + (weight - 10) * 9999 / 990));
}

static int apply_io_max(const struct cgroup_ctl *ctl, const char *key,
			const struct oci_throttles *list)
{
	char rate[24];

	for (size_t i = 0; i < list->len; i++) {
		const struct oci_throttle *t = &list->items[i];
		int r;

		/* 0 lifts the limit, as on v1. */
		(void)snprintf(rate, sizeof(rate), "%llu", (unsigned long long)t->rate);
		r = cgroup_ctl_write(ctl, "io.max", "%lld:%lld %s=%s", (long long)t->major,
				     (long long)t->minor, key, t->rate ? rate : "max");
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_io_weights(const struct cgroup_ctl *ctl, const struct oci_resources *res)
{
	char device[48];
	int r = 0;

	if (wants_u64(res->block_io.weight))
		r = write_io_weight(ctl, "", res->block_io.weight.v);
	for (size_t i = 0; r == 0 && i < res->block_io.weight_devices_len; i++) {
		const struct oci_weight_device *d = &res->block_io.weight_devices[i];

		if (wants_u64(d->leaf_weight))
			return err_set(ctl->err, -ENOTSUP,
				       "linux.resources.blockIO.weightDevice[%zu].leafWeight: "
				       "cgroup2 has no such setting",
				       i);
		(void)snprintf(device, sizeof(device), "%lld:%lld ", (long long)d->major,
			       (long long)d->minor);
		if (wants_u64(d->weight))
			r = write_io_weight(ctl, device, d->weight.v);
	}
	return r;
}

static int apply_io(const struct cgroup *cg, const struct oci_resources *res, struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	int r;

	if (wants_u64(res->block_io.leaf_weight))
		return err_set(err, -ENOTSUP,
			       "linux.resources.blockIO.leafWeight: cgroup2 has no such setting");
	if (!wants_u64(res->block_io.weight) && !res->block_io.weight_devices_len &&
	    !res->block_io.read_bps.len && !res->block_io.write_bps.len &&
	    !res->block_io.read_iops.len && !res->block_io.write_iops.len)
		return 0;
	r = cgroup_ctl_open(cg, "", "linux.resources.blockIO", err, &ctl);
	ctl.controller = "io";
	if (r == 0)
		r = apply_io_weights(&ctl, res);
	if (r == 0)
		r = apply_io_max(&ctl, "rbps", &res->block_io.read_bps);
	if (r == 0)
		r = apply_io_max(&ctl, "wbps", &res->block_io.write_bps);
	if (r == 0)
		r = apply_io_max(&ctl, "riops", &res->block_io.read_iops);
	if (r == 0)
		r = apply_io_max(&ctl, "wiops", &res->block_io.write_iops);
	return r;
}

/* --------------------------------------------------------------------- the small controllers */

int cgroup_check_page_size(const char *page_size, struct err *err)
{
	const size_t digits = strspn(page_size, "0123456789");
	const char *unit = page_size + digits;

	if (digits > 0 && digits < 8 &&
	    (str_eq(unit, "KB") || str_eq(unit, "MB") || str_eq(unit, "GB")))
		return 0;
	return err_set(err, -EINVAL,
		       "linux.resources.hugepageLimits.pageSize: \"%.64s\" is not a page size",
		       page_size);
}

int cgroup_apply_hugetlb_v2(const struct cgroup *cg, const struct oci_resources *res,
			    struct err *err)
{
	AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
	const int at = cgroup_index(cg, "");
	char file[96];
	int r;

	if (res->hugepage_limits_len == 0)
		return 0;
	if (at >= 0 && !cgroup_is_v2(cg))
		cgroup_v2_enable(cg, (size_t)at, "hugetlb");
	r = cgroup_ctl_open(cg, "", "linux.resources.hugepageLimits", err, &ctl);
	ctl.controller = "hugetlb";
	for (size_t i = 0; r == 0 && i < res->hugepage_limits_len; i++) {
		const struct oci_hugepage_limit *l = &res->hugepage_limits[i];

		r = cgroup_check_page_size(l->page_size, err);
		if (r < 0)
			return r;
		(void)snprintf(file, sizeof(file), "hugetlb.%s.max", l->page_size);
		if (!cgroup_ctl_has(&ctl, file))
			return err_set(err, -ENOTSUP,
				       "linux.resources.hugepageLimits: no hugetlb controller for "
				       "%s pages in this cgroup",
				       l->page_size);
		r = cgroup_ctl_write(&ctl, file, "%llu", (unsigned long long)l->limit);
		(void)snprintf(file, sizeof(file), "hugetlb.%s.rsvd.max", l->page_size);
		if (r == 0 && cgroup_ctl_has(&ctl, file))
			r = cgroup_ctl_write(&ctl, file, "%llu", (unsigned long long)l->limit);
	}
	return r;
}

static int refuse_network(const struct oci_resources *res, struct err *err)
{
	if (wants_u64(res->network.class_id))
		return err_set(err, -ENOTSUP,
			       "linux.resources.network.classID: "
			       "no net_cls controller on this host");
	if (res->network.priorities_len)
		return err_set(err, -ENOTSUP,
			       "linux.resources.network.priorities: "
			       "no net_prio controller on this host");
	return 0;
}

int cgroup_apply_v2(const struct cgroup *cg, const struct oci_resources *res, bool update,
		    struct err *err)
{
	int r = refuse_network(res, err);

	if (r == 0)
		r = cgroup_apply_devices_v2(cg, res, err);
	if (r == 0)
		r = apply_memory(cg, res, err);
	if (r == 0)
		r = apply_cpu(cg, res, err);
	if (r == 0)
		r = apply_cpuset(cg, res, err);
	if (r == 0)
		r = cgroup_apply_pids(cg, "", res, err);
	if (r == 0)
		r = apply_io(cg, res, err);
	if (r == 0)
		r = cgroup_apply_hugetlb_v2(cg, res, err);
	if (r == 0)
		r = cgroup_apply_rdma(cg, "", res, err);
	if (r == 0)
		r = cgroup_apply_unified(cg, res, err);
	(void)update; /* every write of v2 is valid at any moment, in any order */
	return r;
}
