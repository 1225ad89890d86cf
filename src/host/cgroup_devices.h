/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/cgroup_devices.h - linux.resources.devices as a device policy, on v1 and v2.
 *
 * The rules are played in order into a policy: a default and a set of exceptions to it, with the
 * meaning that the v1 devices controller gives them (the kernel's admin-guide/cgroup-v1/devices).
 * Both layouts are programmed from the policy. A rule with type "a" sets the default and forgets
 * the exceptions, whatever its numbers. Denying part of an allowed range ("c 1:* rwm", then deny "c
 * 1:5 w") is what v1 silently ignores: here it is -EINVAL on both layouts.
 */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "host/cgroup.h"

enum device_access {
	DEVICE_MKNOD = BPF_DEVCG_ACC_MKNOD,
	DEVICE_READ = BPF_DEVCG_ACC_READ,
	DEVICE_WRITE = BPF_DEVCG_ACC_WRITE,
	DEVICE_ALL = DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE,
};

#define DEVICE_EXCEPTIONS_MAX 1024

struct device_exception {
	char type;	      /* 'b' or 'c' */
	int64_t major, minor; /* -1: all */
	unsigned int access;  /* DEVICE_* */
};

struct device_policy {
	bool default_allow;
	struct device_exception *items; /* owned */
	size_t len, cap;
};

/* Play rules into an empty (deny all) policy. -EINVAL names the rule, -E2BIG, -ENOMEM. */
int device_policy_build(const struct oci_device_rule *rules, size_t len, struct device_policy *ret,
			struct err *err);

/* devices.list of v1: what the kernel shows is an allow list, or "a *:* rwm". 0, -EINVAL, -ENOMEM.
 */
int device_policy_parse(const char *list, struct device_policy *ret);
void device_policy_done(struct device_policy *policy);

/*
 * A BPF_PROG_TYPE_CGROUP_DEVICE program for the policy: *ret is the caller's array. -E2BIG above
 * DEVICE_EXCEPTIONS_MAX, -ENOMEM.
 */
int device_policy_compile(const struct device_policy *policy, struct bpf_insn **ret,
			  size_t *ret_len);

/* For cgroup_apply(). Without rules in `res` nothing happens. */
int cgroup_apply_devices_v1(const struct cgroup *cg, const struct oci_resources *res, bool update,
			    struct err *err);
int cgroup_apply_devices_v2(const struct cgroup *cg, const struct oci_resources *res,
			    struct err *err);
