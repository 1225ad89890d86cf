/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/describe.h - config.json as the sentry gets it (wire/sentry_msg.h).
 *
 * What a sentry cannot serve is refused here, before anything exists, with the field's name.
 */
#pragma once

#include "base/err.h"
#include "host/seccomp.h"
#include "oci/spec.h"
#include "runtime/runtime.h"
#include "runtime/sentry/roots.h"
#include "wire/sentry_codec.h"

/* A terminal's size, and how many descriptors above 2 the process gets. */
struct describe_process {
	const struct oci_spec *spec;
	const char *program;		       /* what is executed; NULL: args[0] */
	const struct seccomp_program *seccomp; /* NULL: none */
	unsigned short rows, cols;
	unsigned int preserve_fds;
	int oom_score;		 /* what a process has for which config.json says nothing */
	uint32_t profile;	 /* SENTRY_PROFILE_* */
	uint32_t network;	 /* SENTRY_NETWORK_* */
	uint32_t events;	 /* bits of wire/events.def that the sink gets */
	uint32_t own_namespaces; /* bits of enum sentry_own */
	const char *pid_ns_of;	 /* of a container of a pod, or NULL */
	bool is_exec;
	bool all_caps_unset; /* process.capabilities is absent: every one (create) */
};

/* What class sentry refuses: labels of LSMs, a joined user or mount namespace. -EINVAL, -ENOTSUP.
 */
int describe_check(const struct oci_spec *spec, struct err *err);

/*
 * A sealed memfd with the container's description, rewound; the caller's. roots: the descriptors of
 * the gofer, whose order gives the numbers of bind mounts.
 */
int describe_container(const struct container *c, const struct describe_process *process,
		       const struct roots *roots, struct err *err);

/* The same with one process, for exec. */
int describe_exec(const struct describe_process *process, struct err *err);

/* What linux.resources shows inside. */
void describe_limits(const struct oci_resources *resources, struct sentry_limits *ret);
/* The same for update: 0 where nothing is said. */
void describe_update(const struct oci_resources *resources, struct sentry_limits *ret);
