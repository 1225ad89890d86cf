/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry names a process, and may lie: it must be in a pid namespace of the sandbox and not the
 * sentry itself. Its number cannot become another's while we use it, unless the sentry has it
 * killed and reaped meanwhile; that is looked at afterwards.
 */
#include "runtime/sentry/nursery.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/cgroup.h"
#include "host/oom_score.h"
#include "host/pidfd.h"
#include "runtime/container.h"
#include "runtime/sandbox/client.h"

int nursery_ask(struct launch *l, struct err *err)
{
	const struct client_call call = { .of = l->box.cr->sandbox,
					  .request = { .type = SENTRY_NURSERY },
					  .ret_fds = l->nursery,
					  .ret_fds_len = ARRAY_LEN(l->nursery) };
	const struct creation *cr = l->box.cr;
	struct sentry_reply reply;
	int r;

	l->sandbox = client_connect(cr->sandbox, err);
	if (l->sandbox < 0)
		return l->sandbox;
	if (!cr->c->cgroup || l->box.unprivileged)
		return 0;
	r = client_call(l->sandbox, &call, &reply, NULL, NULL, err);
	if (r == 0) {
		l->box.on_cgroups = nursery_place;
		l->nursery_placed = eventfd(0, EFD_CLOEXEC);
		if (l->nursery_placed < 0)
			return err_sys(err, -errno, "eventfd");
	}
	if (r != -EPIPE && r != -EPROTO && r != -EOPNOTSUPP)
		return r;
	log_debug("container %s: its guests are in the cgroup of its sandbox: %s", cr->c->id,
		  err->msg);
	if (r == -EOPNOTSUPP)
		return 0;
	/* It does not know the word, or one process of it alone. */
	auto_close_p(&l->sandbox);
	l->sandbox = client_connect(cr->sandbox, err);
	return l->sandbox < 0 ? l->sandbox : 0;
}

static int open_pid_ns(pid_t pid)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool same_ns(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

/* In the sandbox's pid namespace or, as stubs are, in one made there. */
static bool is_of(pid_t sandbox, pid_t pid)
{
	AUTO_CLOSE int theirs = open_pid_ns(sandbox), own = open_pid_ns(pid);
	AUTO_CLOSE int parent = own >= 0 ? ioctl(own, NS_GET_PARENT) : -1;

	return pid != sandbox && theirs >= 0 && own >= 0 &&
	       (same_ns(own, theirs) || (parent >= 0 && same_ns(parent, theirs)));
}

/*
 * As config.json says, or as the runtime is; the nursery has what its sandbox's says. Who may not
 * lower it goes on: the same was judged of the staged child.
 */
static void set_oom_score(const struct launch *l, pid_t pid)
{
	struct oci_process process = l->box.cr->spec.process;
	struct err err = { 0 };

	if (!process.oom_score_adj.set)
		process.oom_score_adj = (struct oci_opt_i64){ .set = true, .v = l->box.oom_score };
	if (oom_score_apply(&process, pid, &err) < 0)
		log_debug("container %s: its guests: %s", l->box.cr->c->id, err.msg);
}

static int place(const struct launch *l, int proc, int pidfd, struct err *err)
{
	const struct creation *cr = l->box.cr;
	const int pid = pidfd_number(proc, pidfd);
	int r = pid < 0 ? pid : 0;

	if (r == 0 && !is_of(cr->sandbox->pid, pid))
		r = -EPROTO;
	if (r < 0)
		return err_sys(err, r, "nursery that sandbox %s has made", cr->sandbox->id);
	r = cgroup_move(cr->c->cgroup, pid, err);
	if (r == 0)
		set_oom_score(l, pid);
	if (r == 0 && pidfd_kill(pidfd, 0) < 0)
		r = err_set(err, -ESRCH, "the nursery that sandbox %s has made has ended",
			    cr->sandbox->id);
	return r;
}

int nursery_place(void *launch, struct err *err)
{
	const struct launch *l = launch;
	AUTO_CLOSE int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = proc < 0 ? err_sys(err, -errno, "open /proc") : 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(l->nursery); i++)
		r = place(l, proc, l->nursery[i], err);
	if (r == 0 && eventfd_write(l->nursery_placed, 1) < 0)
		r = err_sys(err, -errno, "write to an eventfd");
	return r;
}

/*
 * A maker that dies before the first prctl(2) of his child sends it no signal, but the end of the
 * stage socket.
 */
int nursery_settle(const struct launch *l, struct err *err)
{
	const struct client_call call = { .of = l->box.cr->sandbox,
					  .request = { .type = SENTRY_PLACED } };
	struct sentry_reply reply;
	struct pollfd fds[] = { { l->nursery_placed, POLLIN, 0 }, { l->box.stage[1], 0, 0 } };
	int r;

	if (l->nursery_placed < 0)
		return 0;
	do {
		r = poll(fds, ARRAY_LEN(fds), -1);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, -errno, "wait for the nursery's place");
	if (!(fds[0].revents & POLLIN))
		return err_set(err, -EPIPE, "the runtime is gone");
	r = client_call(l->sandbox, &call, &reply, NULL, NULL, err);
	return r < 0 ? err_prefix(err, r, "container %s", l->box.cr->c->id) : 0;
}
