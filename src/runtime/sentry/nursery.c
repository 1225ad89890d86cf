/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry names a process, and may lie: it must be in a pid namespace of the sandbox and not the
 * sentry itself. The sandbox may have it killed and reaped at any moment, and its number be
 * another's then: nothing is done by a number of the host's.
 */
#include "runtime/sentry/nursery.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/cgroup.h"
#include "host/oom_score.h"
#include "host/pidfd.h"
#include "ns/stage.h"
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

/* ---- Whom the sandbox names ---- */

#define PID_NS_DEPTH 33 /* pid_namespaces(7): 32, and the first */

/* A process of a sandbox. */
struct guest {
	int dir;      /* owned: its directory of /proc, which never is another's */
	pid_t inside; /* its number in the sandbox's pid namespace */
};

static void guest_done(struct guest *g)
{
	auto_close_p(&g->dir);
}

static bool same_ns(int a, int b)
{
	struct stat sa, sb;

	return a >= 0 && b >= 0 && fstat(a, &sa) == 0 && fstat(b, &sb) == 0 &&
	       sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static int open_process(int proc, pid_t pid)
{
	char name[16];
	int dir;

	(void)snprintf(name, sizeof(name), "%d", (int)pid);
	dir = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir >= 0 ? dir : errno == ENOENT ? -ESRCH : -errno;
}

/* In the sandbox's pid namespace or, as stubs are, in one made there; not its first, the sentry. */
static int find_inside(int ns, int dir, const pid_t *numbers, int len, pid_t *ret)
{
	AUTO_CLOSE int own = openat(dir, "ns/pid", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int parent = own >= 0 ? ioctl(own, NS_GET_PARENT) : -1;
	const int at = same_ns(own, ns) ? len - 1 : same_ns(parent, ns) ? len - 2 : -1;

	if (at < 0 || numbers[at] <= 1)
		return -EPROTO;
	*ret = numbers[at];
	return 0;
}

static int find_guest(int proc, int ns, int pidfd, struct guest *ret)
{
	struct guest g = { .dir = -EBADF };
	pid_t numbers[PID_NS_DEPTH];
	int r = pidfd_numbers(proc, pidfd, numbers, ARRAY_LEN(numbers)), len = r;

	if (r > 0)
		r = g.dir = open_process(proc, numbers[0]);
	if (r >= 0)
		r = find_inside(ns, g.dir, numbers, len, &g.inside);
	/* While it is not reaped its number is nobody else's: what was opened is its own. */
	if (r == 0)
		r = pidfd_kill(pidfd, 0);
	if (r < 0) {
		guest_done(&g);
		return r;
	}
	*ret = g;
	return 0;
}

/* ---- Their place ---- */

/*
 * As config.json says, or as the runtime is; the nursery has what its sandbox's says. Who may not
 * lower it goes on: the same was judged of the staged child.
 */
static void set_oom_score(const struct launch *l, const struct guest *g)
{
	struct oci_process process = l->box.cr->spec.process;
	struct err err = { 0 };

	if (!process.oom_score_adj.set)
		process.oom_score_adj = (struct oci_opt_i64){ .set = true, .v = l->box.oom_score };
	if (oom_score_apply_in(&process, g->dir, &err) < 0)
		log_debug("container %s: its guests: %s", l->box.cr->c->id, err.msg);
}

struct move {
	const struct launch *l;
	const struct guest *guests;
	int ns;	  /* the sandbox's pid namespace */
	int sock; /* of who moves: its struct err goes there */
};

/* Two children: the first has the second made in there, and is its parent. */
__attribute__((noreturn)) static void move_from_inside(const struct move *m)
{
	struct err err = { 0 };
	pid_t pid = setns(m->ns, CLONE_NEWPID) < 0 ? -errno : stage_clone(0, -EBADF, NULL);
	int r = pid < 0 ? err_sys(&err, pid, "enter its pid namespace") : 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pid > 0) {
		(void)waitpid(pid, NULL, 0);
		_exit(0);
	}
	for (size_t i = 0; r == 0 && i < SENTRY_NURSERY_FDS; i++)
		r = cgroup_move(m->l->box.cr->c->cgroup, m->guests[i].inside, &err);
	(void)fd_send(m->sock, &err, sizeof(err), NULL, 0);
	_exit(0);
}

/*
 * cgroup.procs takes numbers, and one that the sandbox has had reaped may come again at once. Where
 * it is written, in the sandbox's pid namespace, it is that of a process of the sandbox or of none.
 */
static int move(const struct launch *l, int ns, const struct guest *guests, struct err *err)
{
	AUTO_CLOSE int ours = -EBADF;
	AUTO_CLOSE int pidfd = -EBADF;
	struct err result = { 0 };
	int pair[2], status;
	ssize_t n;
	pid_t pid;
	int r = stage_socketpair(pair, err);

	if (r < 0)
		return r;
	ours = pair[0];
	pid = stage_clone(0, -EBADF, &pidfd);
	if (pid == 0)
		move_from_inside(&(struct move){ l, guests, ns, pair[1] });
	(void)close(pair[1]);
	if (pid < 0)
		return err_sys(err, pid, "clone a process for the sandbox's cgroups");
	n = fd_recv(ours, &result, sizeof(result), NULL, NULL);
	(void)pidfd_reap(pidfd, &status);
	if (n != sizeof(result))
		return err_set(err, -ESRCH, "sandbox %s has ended", l->box.cr->sandbox->id);
	result.msg[sizeof(result.msg) - 1] = '\0';
	return result.code < 0 ? err_set(err, result.code, "%s", result.msg) : 0;
}

static int place(const struct launch *l, int proc, int ns, struct err *err)
{
	const char *sandbox = l->box.cr->sandbox->id;
	struct guest guests[SENTRY_NURSERY_FDS];
	size_t len = 0;
	int r = 0;

	while (r == 0 && len < ARRAY_LEN(guests)) {
		r = find_guest(proc, ns, l->nursery[len], &guests[len]);
		if (r == 0)
			len++;
		else
			(void)err_sys(err, r, "nursery that sandbox %s has made", sandbox);
	}
	if (r == 0)
		r = move(l, ns, guests, err);
	for (size_t i = 0; i < len; i++) {
		if (r == 0)
			set_oom_score(l, &guests[i]);
		/* It was the one that has been moved. */
		if (r == 0 && pidfd_kill(l->nursery[i], 0) < 0)
			r = err_set(err, -ESRCH, "the nursery that sandbox %s has made has ended",
				    sandbox);
		guest_done(&guests[i]);
	}
	return r;
}

int nursery_place(void *launch, struct err *err)
{
	const struct launch *l = launch;
	AUTO_CLOSE int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int dir = proc >= 0 ? open_process(proc, l->box.cr->sandbox->pid) : -errno;
	AUTO_CLOSE int ns = dir >= 0 ? openat(dir, "ns/pid", O_RDONLY | O_CLOEXEC) : dir;
	int r;

	if (ns < 0)
		return err_sys(err, dir < 0 ? dir : -errno, "pid namespace of sandbox %s",
			       l->box.cr->sandbox->id);
	r = place(l, proc, ns, err);
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
