/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources: choosing the layout, writing control files (host/cgroup_write.h), and the words
 * of the specification that mean the same on both layouts.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/cgroup_write.h"

int cgroup_ctl_open(const struct cgroup *cg, const char *controller, const char *field,
		    struct err *err, struct cgroup_ctl *ret)
{
	const int fd = cgroup_open_dir(cg, controller);

	if (fd == -ENOENT && !cgroup_path(cg, controller)) {
		const char *why = cg->disabled ? "cgroups are disabled" : NULL;

		if (why)
			return err_set(err, -ENOTSUP, "%s: %s", field, why);
		return err_set(err, -ENOTSUP, "%s: no %s controller on this host%s", field,
			       *controller ? controller : "cgroup2",
			       cg->rootless ? " that this user may use" : "");
	}
	if (fd < 0)
		return err_sys(err, fd, "%s: open %s", field, cgroup_path(cg, controller));
	*ret = (struct cgroup_ctl){ .dir_fd = fd,
				    .controller = *controller ? controller : "cgroup2",
				    .journal = cg->journal,
				    .err = err };
	return 0;
}

void cgroup_ctl_done(struct cgroup_ctl *ctl)
{
	auto_close_p(&ctl->dir_fd);
	ctl->dir_fd = -EBADF;
}

/* What of linux.resources a control file is for: an error names the field, not only the file. */
static const char *field_of(const char *file)
{
	static const struct {
		const char *file, *field;
	} rows[] = {
		{ "memory.limit_in_bytes", "memory.limit" },
		{ "memory.max", "memory.limit" },
		{ "memory.memsw.limit_in_bytes", "memory.swap" },
		{ "memory.swap.max", "memory.swap" },
		{ "memory.soft_limit_in_bytes", "memory.reservation" },
		{ "memory.low", "memory.reservation" },
		{ "memory.kmem.tcp.limit_in_bytes", "memory.kernelTCP" },
		{ "memory.oom_control", "memory.disableOOMKiller" },
		{ "memory.swappiness", "memory.swappiness" },
		{ "memory.use_hierarchy", "memory.useHierarchy" },
		{ "cpu.shares", "cpu.shares" },
		{ "cpu.weight", "cpu.shares" },
		{ "cpu.cfs_quota_us", "cpu.quota" },
		{ "cpu.max", "cpu.quota" },
		{ "cpu.cfs_period_us", "cpu.period" },
		{ "cpu.cfs_burst_us", "cpu.burst" },
		{ "cpu.max.burst", "cpu.burst" },
		{ "cpu.rt_runtime_us", "cpu.realtimeRuntime" },
		{ "cpu.rt_period_us", "cpu.realtimePeriod" },
		{ "cpu.idle", "cpu.idle" },
		{ "cpuset.cpus", "cpu.cpus" },
		{ "cpuset.mems", "cpu.mems" },
		{ "pids.max", "pids.limit" },
		{ "blkio.weight", "blockIO.weight" },
		{ "blkio.bfq.weight", "blockIO.weight" },
		{ "io.weight", "blockIO.weight" },
		{ "io.bfq.weight", "blockIO.weight" },
		{ "blkio.leaf_weight", "blockIO.leafWeight" },
		{ "blkio.weight_device", "blockIO.weightDevice" },
		{ "blkio.bfq.weight_device", "blockIO.weightDevice" },
		{ "blkio.leaf_weight_device", "blockIO.weightDevice" },
		{ "blkio.throttle.read_bps_device", "blockIO.throttleReadBpsDevice" },
		{ "blkio.throttle.write_bps_device", "blockIO.throttleWriteBpsDevice" },
		{ "blkio.throttle.read_iops_device", "blockIO.throttleReadIOPSDevice" },
		{ "blkio.throttle.write_iops_device", "blockIO.throttleWriteIOPSDevice" },
		{ "io.max", "blockIO.throttle" }, /* all four are lines of this one */
		{ "net_cls.classid", "network.classID" },
		{ "net_prio.ifpriomap", "network.priorities" },
		{ "rdma.max", "rdma" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].file, file) == 0)
			return rows[i].field;
	}
	if (str_after(file, "hugetlb."))
		return "hugepageLimits";
	return str_after(file, "devices.") ? "devices" : NULL;
}

static int fail_write(const struct cgroup_ctl *ctl, int code, const char *file, const char *text)
{
	const char *field = field_of(file);

	if (code == -ENOENT)
		code = err_set(ctl->err, -ENOTSUP, "%s: write %s: this host has no %s",
			       ctl->controller, text, file);
	else
		code = err_sys(ctl->err, code, "%s: write %s to %s", ctl->controller, text, file);
	return field ? err_prefix(ctl->err, code, "linux.resources.%s", field) : code;
}

static int write_file(const struct cgroup_ctl *ctl, const char *file, const char *text)
{
	cgroup_journal_note(ctl->journal, ctl->dir_fd, file, text);
	return fd_write_file(ctl->dir_fd, file, text);
}

int cgroup_ctl_write(const struct cgroup_ctl *ctl, const char *file, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r < 0 || (size_t)r >= sizeof(text))
		r = -E2BIG;
	else
		r = write_file(ctl, file, text);
	return r < 0 ? fail_write(ctl, r, file, text) : 0;
}

int cgroup_ctl_try(const struct cgroup_ctl *ctl, const char *file, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r < 0 || (size_t)r >= sizeof(text))
		return -E2BIG;
	return write_file(ctl, file, text);
}

int cgroup_ctl_read(const struct cgroup_ctl *ctl, const char *file, uint64_t *ret)
{
	AUTO_BUF struct buf text = { .max = 256 };
	int r = fd_read_file(ctl->dir_fd, file, &text);

	if (r < 0)
		return r;
	if (!text.data)
		return -EINVAL;
	text.data[strcspn(text.data, "\n")] = '\0';
	if (str_eq(text.data, "max")) {
		*ret = UINT64_MAX;
		return 0;
	}
	return str_to_u64(text.data, UINT64_MAX, ret);
}

bool cgroup_ctl_has(const struct cgroup_ctl *ctl, const char *file)
{
	return faccessat(ctl->dir_fd, file, F_OK, 0) == 0;
}

int cgroup_apply(const struct cgroup *cg, const struct oci_resources *res, bool update,
		 struct err *err)
{
	if (!res->set)
		return 0;
	/* The kernel would blame whichever of the two it sees last. */
	if (res->cpu.burst.set && res->cpu.quota.set && res->cpu.quota.v > 0 &&
	    res->cpu.burst.v > (uint64_t)res->cpu.quota.v)
		return err_set(err, -EINVAL,
			       "linux.resources.cpu.burst: %llu is above the quota of %lld",
			       (unsigned long long)res->cpu.burst.v, (long long)res->cpu.quota.v);
	return cgroup_is_v2(cg) ? cgroup_apply_v2(cg, res, update, err)
				: cgroup_apply_v1(cg, res, update, err);
}

/* "memory.high": a controller or "cgroup", a dot, the rest; no way to another directory. */
static bool is_file_name(const char *key)
{
	const size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return key[0] != '.' && key[n] == '\0' && n < 128 && strchr(key, '.') != NULL &&
	       !strstr(key, "..");
}

int cgroup_apply_unified(const struct cgroup *cg, const struct oci_resources *res, struct err *err)
{
	char field[160];

	for (size_t i = 0; i < res->unified.len; i++) {
		const struct oci_kv *kv = &res->unified.items[i];
		AUTO(cgroup_ctl_done) struct cgroup_ctl ctl = { .dir_fd = -EBADF };
		const char *rest = kv->value;
		int r;

		(void)snprintf(field, sizeof(field), "linux.resources.unified[\"%.100s\"]",
			       kv->key);
		if (!is_file_name(kv->key))
			return err_set(err, -EINVAL, "%s: not the name of a cgroup2 file", field);
		r = cgroup_ctl_open(cg, "", field, err, &ctl);
		if (r < 0)
			return r;
		/* Files such as io.max take one device a write: one line of the value each. */
		do {
			const size_t n = strcspn(rest, "\n");

			r = cgroup_ctl_try(&ctl, kv->key, "%.*s", (int)n, rest);
			rest += n + (rest[n] == '\n');
		} while (r == 0 && *rest);
		if (r == -ENOENT)
			return err_set(err, -ENOTSUP,
				       "%s: no such file in the cgroup: "
				       "the controller is not available",
				       field);
		if (r < 0)
			return err_sys(err, r, "%s: write %.200s", field, kv->value);
	}
	return 0;
}
