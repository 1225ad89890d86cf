/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sentry/launch.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "host/ids.h"
#include "oci/pod.h"
#include "runtime/container.h"
#include "runtime/sentry/describe.h"
#include "runtime/sentry/events.h"
#include "runtime/sentry/settings.h"
#include "wire/sentry_msg.h"

void launch_done(struct launch *l)
{
	auto_close_p(&l->sandbox);
	for (size_t i = 0; i < ARRAY_LEN(l->nursery); i++)
		auto_close_p(&l->nursery[i]);
	auto_close_p(&l->nursery_placed);
	free(l->pid_ns_of);
	auto_close_p(&l->sentry_fd);
	auto_close_p(&l->gofer_fd);
	auto_close_p(&l->stub_fd);
	auto_close_p(&l->events);
	auto_close_p(&l->gofer_userns);
	idmap_fds_done(&l->idmaps);
	sandbox_launch_done(&l->box);
}

static int open_programs(struct launch *l, const struct runtime *rt, struct err *err)
{
	l->sentry_fd = sandbox_program(rt, "caisson-sentry", err);
	if (l->sentry_fd < 0)
		return l->sentry_fd;
	l->gofer_fd = sandbox_program(rt, "caisson-gofer", err);
	if (l->gofer_fd < 0)
		return l->gofer_fd;
	/* The ptrace platform has none. */
	if (rt->sentry.platform == SENTRY_PLATFORM_PTRACE)
		l->stub_fd = open("/dev/null", O_PATH | O_CLOEXEC);
	else
		l->stub_fd = sandbox_program(rt, "caisson-stub", err);
	return l->stub_fd < 0 ? l->stub_fd : 0;
}

/*
 * SENTRY_NETWORK_*, by --network: "pod" is the host's sockets for the first container of a pod of
 * Kubernetes in a network namespace that has been made for it: config.json names it by path, and it
 * is not the one that we are in.
 */
static uint32_t network_of(const struct creation *cr, int joined)
{
	const char *setting = cr->rt->sentry.network;
	struct stat own, named;

	if (str_eq(setting, "none"))
		return SENTRY_NETWORK_NONE;
	if (oci_pod_role(cr->c->annotations) == OCI_POD_SANDBOX && joined >= 0 &&
	    fstat(joined, &named) == 0 && stat("/proc/self/ns/net", &own) == 0 &&
	    (named.st_dev != own.st_dev || named.st_ino != own.st_ino))
		return SENTRY_NETWORK_POD;
	return str_eq(setting, "host") ? SENTRY_NETWORK_HOST : SENTRY_NETWORK_NONE;
}

int launch_prepare(struct launch *l, struct creation *cr, struct err *err)
{
	const struct oci_linux *linux_spec = &cr->spec.linux;
	int r = namespaces_open(linux_spec, &l->box.joined, err);

	if (r == 0)
		r = describe_check(&cr->spec, err);
	if (r == 0)
		r = sentry_setting_profile(cr->rt, &cr->spec, &l->profile, err);
	l->network = network_of(cr, l->box.joined.fd[OCI_NS_NETWORK]);
	if (r == 0) {
		r = open_programs(l, cr->rt, err);
		if (r < 0)
			(void)err_prefix(err, r, "class sentry");
	}
	if (r == 0)
		r = events_open(cr->rt, &cr->spec, &l->event_mask, &l->events, err);
	if (r == 0)
		r = idmap_fds_open(&cr->spec, &l->idmaps, err);
	if (r == 0)
		r = sandbox_launch_open(&l->box, cr, err);
	if (r == 0 && linux_spec->ns[OCI_NS_USER].set && !l->box.unprivileged) {
		l->gofer_userns =
			ids_userns_open(&linux_spec->uid_maps, &linux_spec->gid_maps, err);
		r = l->gofer_userns < 0 ? l->gofer_userns : 0;
	}
	return r;
}

/*
 * With sockets of the host's the sandbox stays in our network namespace, or enters the one that
 * config.json names.
 */
static int namespaces(const struct launch *l, const struct creation *cr)
{
	const struct oci_namespace *net = &cr->spec.linux.ns[OCI_NS_NETWORK];
	int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;

	if (l->network == SENTRY_NETWORK_NONE || (net->set && !net->path))
		flags |= CLONE_NEWNET;
	return flags;
}

int launch_sandbox(struct creation *cr, struct sandbox *ret, struct err *err)
{
	AUTO(launch_done) struct launch l = LAUNCH_INIT;
	const int r = launch_prepare(&l, cr, err);

	if (r < 0)
		return r;
	l.box.unshare = namespaces(&l, cr);
	return sandbox_launch_run(&l.box, stage_sandbox, &l, ret, err);
}
