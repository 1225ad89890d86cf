/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/do_spec.h - the specification of a `caisson do` sandbox as a document.
 *
 * Pure: what do.c has found out goes in, a config.json comes out. The sandbox: namespaces of its
 * own (the network's too unless asked otherwise), the tree that do_tree.h made as root, fresh
 * /proc, /dev, /run and /tmp, read-only /sys, no_new_privs, a list of allowed system calls, and of
 * the capabilities those that only matter inside the user namespace, for uid 0 alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "cli/update.h"
#include "oci/spec.h"

#define DO_ID_MAPS_MAX 16

struct do_volume {
	char *source;	   /* owned; absolute */
	char *destination; /* owned; absolute */
	bool readonly;
};

struct do_plan {
	const char *rootfs;   /* absolute */
	bool rootfs_readonly; /* there is no overlay: nothing can be written outside /tmp and
				 volumes */
	const char *cwd;      /* absolute, inside */
	const char *init; /* program of the host that is process 1 at DO_INIT_PATH; NULL: argv is */
	const char *const *argv;
	char *const *env;  /* NAME=VALUE, NULL-terminated */
	uint32_t uid, gid; /* inside */
	bool terminal;
	bool network_host;
	const char
		*resolv_conf; /* with network_host: bound on /etc/resolv.conf's target; or NULL */
	const struct do_volume *volumes;
	size_t volumes_len;
	struct oci_id_map uid_maps[DO_ID_MAPS_MAX], gid_maps[DO_ID_MAPS_MAX];
	size_t uid_maps_len, gid_maps_len;
	struct update_limits limits;
};

/* *ret is a new reference. -ENOMEM, or -EINVAL for a limit or a word that is not UTF-8. */
int do_spec_build(const struct do_plan *plan, json_t **ret, struct err *err);

/* "SRC:DST[:ro]"; a relative SRC counts from `cwd`. -EINVAL with a sentence. */
int do_volume_parse(const char *text, const char *cwd, struct do_volume *ret, struct err *err);
void do_volume_done(struct do_volume *volume);

/* "1.5" CPUs as a quota in microseconds for each period of DO_CPU_PERIOD_US. -EINVAL. */
#define DO_CPU_PERIOD_US 100000u
int do_cpus_parse(const char *text, uint64_t *ret_quota_us, struct err *err);
