/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container that becomes a part of a pod's sentry. The staged child opens its files and starts
 * its gofer as for a sandbox, hands them to the sentry, which is asked to make the container, and
 * becomes its waiter: the pid of state.json. Waiter and gofer are a pid namespace: whatever ends
 * the first ends the second, and the sentry ends the container with the connection.
 *
 * The sentry is believed nothing: it gets descriptors, and answers with a number and a sentence.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "runtime/container.h"
#include "runtime/sandbox/client.h"
#include "runtime/sandbox/pod.h"
#include "runtime/sandbox/stdio.h"
#include "runtime/sandbox/waiter.h"
#include "runtime/sentry/describe.h"
#include "runtime/sentry/launch.h"
#include "runtime/sentry/nursery.h"

/* ---- The runtime ---- */

/* What concerns the sandbox as a whole was said when that was made. */
static int judge(const struct creation *cr, struct err *err)
{
	const struct oci_linux *linux_spec = &cr->spec.linux;
	const struct oci_namespace *ns = linux_spec->ns;
	const char *what = NULL;

	if (ns[OCI_NS_USER].set)
		what = "a user namespace";
	else if (ns[OCI_NS_TIME].set && !ns[OCI_NS_TIME].path)
		what = "a time namespace";
	else if (linux_spec->net_devices_len > 0)
		what = "netDevices";
	if (what)
		return err_set(
			err, -ENOTSUP,
			"container %s: %s of its own is not possible in sandbox %s of its pod",
			cr->c->id, what, cr->c->sandbox);
	if (cr->preserve_fds + 3 > SENTRY_EXEC_FDS_MAX)
		return err_set(err, -E2BIG,
			       "--preserve-fds: class sentry passes at most %u to a container of a "
			       "pod",
			       SENTRY_EXEC_FDS_MAX - 3);
	return 0;
}

/*
 * On the host each container of the pod has a pid namespace, whose name is what engines know:
 * whose it is, is whose the new container joins inside. Without an entry it is the sandbox's.
 */
static int find_pid_ns(struct launch *l, struct err *err)
{
	const struct creation *cr = l->box.cr;
	const struct oci_namespace *ns = &cr->spec.linux.ns[OCI_NS_PID];
	struct stat st;
	int r;

	if (ns->set && !ns->path)
		return 0;
	if (!ns->set) {
		l->pid_ns_of = strdup(cr->sandbox->id);
		return l->pid_ns_of ? 0 : err_sys(err, -ENOMEM, "container %s", cr->c->id);
	}
	if (fstat(l->box.joined.fd[OCI_NS_PID], &st) < 0)
		return err_sys(err, -errno, "linux.namespaces: %s", ns->path);
	r = pod_find(cr->sandbox, "pid", &st, true, &l->pid_ns_of, err);
	if (r == 0 && !l->pid_ns_of)
		r = err_set(
			err, -EINVAL,
			"linux.namespaces: %s is the pid namespace of no container of sandbox %s",
			ns->path, cr->sandbox->id);
	return r;
}

static uint32_t own_namespaces(const struct oci_namespace *ns)
{
	static const struct {
		enum oci_ns kind;
		uint32_t own;
	} kinds[] = { { OCI_NS_UTS, SENTRY_OWN_UTS },
		      { OCI_NS_IPC, SENTRY_OWN_IPC },
		      { OCI_NS_NETWORK, SENTRY_OWN_NET } };
	uint32_t own = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (ns[kinds[i].kind].set && !ns[kinds[i].kind].path)
			own |= kinds[i].own;
	}
	return own;
}

int launch_member(struct creation *cr, struct sandbox *ret, struct err *err)
{
	AUTO(launch_done) struct launch l = LAUNCH_INIT;
	int flags, r = judge(cr, err);

	if (r == 0)
		r = launch_prepare(&l, cr, err);
	if (r == 0)
		r = find_pid_ns(&l, err);
	if (r < 0)
		return r;
	l.own_namespaces = own_namespaces(cr->spec.linux.ns);
	/* The sentry makes no such call in its cage. */
	flags = fcntl(l.box.control, F_GETFL);
	if (flags < 0 || fcntl(l.box.control, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(err, -errno, "control socket of container %s", cr->c->id);
	r = nursery_ask(&l, err);
	if (r < 0)
		return err_prefix(err, r, "sandbox %s", cr->sandbox->id);
	client_be_patient(l.sandbox); /* a program is loaded */
	l.box.unshare = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
	return sandbox_launch_run(&l.box, stage_sandbox, &l, ret, err);
}

/* ---- The staged child ---- */

static int ask(const struct launch *l, const struct stage_member *with, struct err *err)
{
	int fds[SENTRY_CREATE_FDS + SENTRY_EXEC_FDS_MAX];
	struct client_call call = { .of = l->box.cr->sandbox,
				    .request = { .type = SENTRY_CREATE },
				    .fds = fds };

	fds[call.fds_len++] = with->description;
	fds[call.fds_len++] = l->box.control;
	fds[call.fds_len++] = with->gofer;
	for (int i = 0; i < 3 + (int)l->box.cr->preserve_fds; i++) {
		int own = stdio_own(with->proc, i < 3 && with->slave >= 0 ? with->slave : i, 3);

		if (own == -EBADF && i < 3)
			own = with->null;
		if (own < 0)
			return err_sys(err, own, "duplicate descriptor %d of the container", i);
		fds[call.fds_len++] = own; /* waiter_shed() closes them */
	}
	return client_join(l->sandbox, &call, err);
}

/* Our maker lets us go, or is gone. */
static bool released(int report)
{
	char byte;
	size_t nfds = 0;

	return fd_recv(report, &byte, 1, NULL, &nfds) == 1 && byte == SENTRY_GO_RELEASE;
}

int stage_become_member(struct launch *l, const struct stage_member *with, struct err *err)
{
	const struct sentry_report ready = { .type = SENTRY_REPORT_READY };
	const int sandbox = l->sandbox, slave = with->slave, report = l->box.report[1];
	const bool tied = l->box.cr->options->tied;
	int keep[] = { sandbox, slave, report, l->box.ids.held_fd, -EBADF };
	const int signals = keep[4] = waiter_take_signals(err);
	int r = signals < 0 ? signals : 0;

	(void)prctl(PR_SET_NAME, "caisson-wait");
	if (r == 0)
		r = ask(l, with, err);
	if (r == 0)
		r = nursery_settle(l, err);
	/* Ends the stage socket, which says that all went well. */
	if (r == 0)
		r = waiter_shed(keep, ARRAY_LEN(keep), err);
	if (r < 0)
		return r;
	/* Until it lets us go the end of its socket ends us. */
	(void)prctl(PR_SET_PDEATHSIG, tied ? SIGKILL : 0);
	if (fd_send(report, &ready, sizeof(ready), NULL, 0) < 0 || !released(report))
		_exit(255);
	(void)close(report);
	waiter_serve(sandbox, slave, signals);
}
