/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a container's cgroup: listing, freezing, signalling.
 *
 * One hierarchy stands for all: a task of the container is in every directory of the set. The v1
 * freezer is preferred (it is what engines read), then cgroup2, then any other.
 *
 * A pid from cgroup.procs may be reused before it is signalled, and a fork bomb outruns a list.
 * Both end when the group is frozen: a frozen task neither exits nor forks. So signals are sent
 * under the freezer; without one, the list is read again until a whole pass finds nobody new.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/cgroup_internal.h"

#define FREEZE_WAIT_NS 10000000000ll /* how long tasks may take to reach the freezer */
#define FREEZE_RETRY   40	     /* looks at FREEZING before a thaw and a new try */
#define SIGNAL_PASSES  100	     /* lists read without a freezer */

/* --------------------------------------------------------------------------------- freezer */

enum freezer_kind {
	FREEZER_NONE,
	FREEZER_V1,
	FREEZER_V2,
};

/* An enum freezer_kind, or -errno: what cannot be opened must not be taken for missing. */
static int open_freezer(const struct cgroup *cg, int *ret_fd)
{
	*ret_fd = cgroup_open_dir(cg, "freezer");
	if (*ret_fd >= 0)
		return FREEZER_V1;
	if (*ret_fd != -ENOENT)
		return *ret_fd;
	*ret_fd = cgroup_open_dir(cg, "");
	if (*ret_fd >= 0)
		return FREEZER_V2;
	return *ret_fd == -ENOENT ? FREEZER_NONE : *ret_fd;
}

/* freezer.state is at most 10 bytes: "THAWED", "FREEZING" or "FROZEN". */
static int read_state(int dir_fd, char state[static 16])
{
	AUTO_CLOSE int fd = openat(dir_fd, "freezer.state", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, state, 15);
	if (n < 0)
		return -errno;
	state[n] = '\0';
	state[strcspn(state, "\n")] = '\0';
	return 0;
}

/*
 * v1: a task that is born or moved in while the group freezes can leave it in FREEZING for good;
 * writing FROZEN again looks at all tasks anew, and now and then a thaw lets a stuck one go on, for
 * longer each time: a stub waits unfreezably for its sentry, which may be frozen already.
 */
static int freeze_v1(int dir_fd, int64_t deadline_ns)
{
	unsigned int wait_us = 0, thaw_us = 0;
	char state[16];
	int r;

	for (unsigned int i = 1;; i++) {
		r = fd_write_file(dir_fd, "freezer.state", "FROZEN");
		if (r == 0)
			r = read_state(dir_fd, state);
		if (r == 0 && str_eq(state, "FROZEN"))
			return 0;
		if (r == 0 && !cgroup_pause(&wait_us, deadline_ns))
			r = -ETIMEDOUT;
		if (r < 0)
			break;
		if (i % FREEZE_RETRY == 0) {
			wait_us = 0;
			(void)fd_write_file(dir_fd, "freezer.state", "THAWED");
			(void)cgroup_pause(&thaw_us, deadline_ns);
		}
	}
	/* Half frozen is worse than running. */
	(void)fd_write_file(dir_fd, "freezer.state", "THAWED");
	return r;
}

/* By a group above this one, which says so, too, whatever it asks for itself. */
static bool parent_is_frozen(int dir_fd)
{
	AUTO_CLOSE int fd = openat(dir_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && cgroup_wait_event(fd, "frozen", true, 0) == 1;
}

static int freeze_v2(int dir_fd, bool freeze, int64_t deadline_ns)
{
	int r = fd_write_file(dir_fd, "cgroup.freeze", freeze ? "1" : "0");

	if (r < 0)
		return r;
	if (!freeze && parent_is_frozen(dir_fd))
		return 0;
	r = cgroup_wait_event(dir_fd, "frozen", freeze, deadline_ns);
	if (r == 0 && freeze)
		(void)fd_write_file(dir_fd, "cgroup.freeze", "0");
	return r < 0 ? r : r == 0 ? -ETIMEDOUT : 0;
}

static int freeze_within(const struct cgroup *cg, bool freeze, int64_t wait_ns, struct err *err)
{
	const int64_t deadline_ns = cgroup_clock_ns() + wait_ns;
	AUTO_CLOSE int fd = -EBADF;
	const int kind = open_freezer(cg, &fd);
	int r = -ENOTSUP;

	if (kind < 0)
		r = kind;
	else if (kind == FREEZER_V1)
		r = freeze ? freeze_v1(fd, deadline_ns)
			   : fd_write_file(fd, "freezer.state", "THAWED");
	else if (kind == FREEZER_V2)
		r = freeze_v2(fd, freeze, deadline_ns);
	else
		return err_set(err, r, "the container has no freezer cgroup");
	return r < 0 ? err_sys(err, r, "freezer: %s the container", freeze ? "freeze" : "thaw") : 0;
}

int cgroup_freeze(const struct cgroup *cg, bool freeze, struct err *err)
{
	return freeze_within(cg, freeze, FREEZE_WAIT_NS, err);
}

int cgroup_freeze_within(const struct cgroup *cg, bool freeze, unsigned int freeze_ms,
			 struct err *err)
{
	return freeze_within(cg, freeze, freeze_ms * 1000000ll, err);
}

/*
 * Frozen by itself; an ancestor that is frozen is somebody else's pause. One that stays FREEZING is
 * frozen, too: who froze it was killed meanwhile (freeze_v1()), and most of it stands until a thaw.
 */
static int is_frozen_v1(int dir_fd)
{
	const int64_t deadline_ns = cgroup_clock_ns() + FREEZE_WAIT_NS / 100;
	unsigned int wait_us = 0;
	AUTO_BUF struct buf self = { .max = 64 };
	char state[16];
	int r;

	do {
		r = read_state(dir_fd, state);
		if (r < 0)
			return r;
		if (!str_eq(state, "FREEZING"))
			break;
	} while (cgroup_pause(&wait_us, deadline_ns));
	if (str_eq(state, "THAWED"))
		return 0;
	if (fd_read_file(dir_fd, "freezer.self_freezing", &self) < 0)
		return 1;
	return str_eq(self.data, "1\n");
}

int cgroup_is_frozen(const struct cgroup *cg)
{
	AUTO_CLOSE int fd = -EBADF;
	const int kind = open_freezer(cg, &fd);
	AUTO_BUF struct buf text = { .max = 64 };
	int r;

	if (kind < 0)
		return kind;
	if (kind == FREEZER_V1)
		return is_frozen_v1(fd);
	if (kind == FREEZER_NONE)
		return 0;
	/* cgroup.freeze is the request for this group alone; cgroup.events counts ancestors too. */
	r = fd_read_file(fd, "cgroup.freeze", &text);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	return str_eq(text.data, "1\n");
}

int cgroup_open_freezer(const struct cgroup *cg, struct err *err)
{
	AUTO_CLOSE int dir = -EBADF;
	const int kind = open_freezer(cg, &dir);
	int fd;

	if (kind < 0)
		return err_sys(err, kind, "open the freezer cgroup");
	if (kind == FREEZER_NONE)
		return err_set(err, -ENOTSUP, "the container has no freezer cgroup");
	fd = openat(dir, kind == FREEZER_V1 ? "freezer.self_freezing" : "cgroup.freeze",
		    O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, -errno, "open the freezer cgroup") : fd;
}

/* ------------------------------------------------------------------------------------ pids */

struct pid_list {
	pid_t *items; /* owned */
	size_t len, cap;
};

static void pid_list_done(struct pid_list *l)
{
	free(l->items);
	*l = (struct pid_list){ 0 };
}

static int add_pid(struct pid_list *l, pid_t pid)
{
	if (l->len == l->cap) {
		const size_t cap = l->cap ? l->cap * 2 : 64;
		pid_t *grown;

		if (l->len >= CGROUP_PIDS_MAX)
			return -E2BIG;
		grown = reallocarray(l->items, cap, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		l->items = grown;
		l->cap = cap;
	}
	l->items[l->len++] = pid;
	return 0;
}

int cgroup_parse_pids(const char *text, int (*add)(pid_t pid, void *arg), void *arg)
{
	for (const char *p = text; *p;) {
		uint64_t pid = 0;
		int r;

		if (*p < '0' || *p > '9')
			return -EINVAL;
		for (; *p >= '0' && *p <= '9'; p++) {
			pid = pid * 10 + (uint64_t)(*p - '0');
			if (pid > INT32_MAX)
				return -ERANGE;
		}
		if (*p == '\n')
			p++;
		else if (*p)
			return -EINVAL;
		/* 0 is a process of another pid namespace: it cannot be named here. */
		r = pid == 0 ? 0 : add((pid_t)pid, arg);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_pid_arg(pid_t pid, void *arg)
{
	return add_pid(arg, pid);
}

/* A walk's `enter`: the processes of one directory. One that was removed meanwhile has none. */
static int read_procs(int dir_fd, void *arg)
{
	AUTO_BUF struct buf text = { 0 };
	int r = fd_read_file(dir_fd, "cgroup.procs", &text);

	/* In a threaded cgroup only threads are listed; their processes are the domain's. */
	if (r == -EOPNOTSUPP || r == -ENODEV || r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	return text.data ? cgroup_parse_pids(text.data, add_pid_arg, arg) : 0;
}

static int compare_pids(const void *a, const void *b)
{
	const pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

/* v1 may name a process twice while it is moved; each is wanted once. */
static void sort_unique(struct pid_list *l)
{
	size_t kept = 0;

	if (l->len == 0)
		return;
	qsort(l->items, l->len, sizeof(l->items[0]), compare_pids);
	for (size_t i = 1; i < l->len; i++) {
		if (l->items[i] != l->items[kept])
			l->items[++kept] = l->items[i];
	}
	l->len = kept + 1;
}

/* The directory to list: the freezer's, else cgroup2, else the first. */
static const char *listing_path(const struct cgroup *cg)
{
	const char *path = cgroup_path(cg, "freezer");

	if (!path)
		path = cgroup_path(cg, "");
	return path || cg->len == 0 ? path : cg->dirs[0].path;
}

static int list_pids(const struct cgroup *cg, bool recursive, struct pid_list *ret)
{
	const struct cgroup_walk walk = { .enter = read_procs, .arg = ret };
	const char *path = listing_path(cg);
	int r;

	if (!path)
		return 0;
	if (recursive) {
		r = cgroup_walk(path, &walk);
	} else {
		AUTO_CLOSE int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

		r = fd < 0 ? -errno : read_procs(fd, ret);
	}
	sort_unique(ret);
	return r == -ENOENT ? 0 : r;
}

int cgroup_pids(const struct cgroup *cg, bool recursive, pid_t **ret, size_t *ret_len,
		struct err *err)
{
	AUTO(pid_list_done) struct pid_list list = { 0 };
	const int r = list_pids(cg, recursive, &list);

	if (r < 0)
		return err_sys(err, r, "list the processes of %s", listing_path(cg));
	*ret = TAKE_PTR(list.items);
	*ret_len = list.len;
	return 0;
}

/* --------------------------------------------------------------------------------- signals */

/* Signal everybody in the list but ourselves. One that refuses does not keep it from the others. */
static int signal_list(const struct pid_list *list, int sig)
{
	int r = 0;

	for (size_t i = 0; i < list->len; i++) {
		if (list->items[i] != getpid() && kill(list->items[i], sig) < 0 && errno != ESRCH &&
		    r == 0)
			r = -errno;
	}
	return r;
}

static bool holds(const struct pid_list *l, pid_t pid)
{
	return l->len > 0 && bsearch(&pid, l->items, l->len, sizeof(pid), compare_pids) != NULL;
}

/* Those of `now` that `before` does not hold. */
static int list_new(const struct pid_list *now, const struct pid_list *before, struct pid_list *ret)
{
	for (size_t i = 0; i < now->len; i++) {
		int r = holds(before, now->items[i]) ? 0 : add_pid(ret, now->items[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Everybody once, and again while new ones appear. SIGKILL goes to all of them each time. */
static int signal_passes(const struct cgroup *cg, int sig)
{
	AUTO(pid_list_done) struct pid_list before = { 0 };

	for (int pass = 0; pass < SIGNAL_PASSES; pass++) {
		AUTO(pid_list_done) struct pid_list now = { 0 };
		AUTO(pid_list_done) struct pid_list fresh = { 0 };
		struct pid_list old;
		int r = list_pids(cg, true, &now);

		if (r == 0)
			r = list_new(&now, &before, &fresh);
		if (r == 0)
			r = signal_list(sig == SIGKILL ? &now : &fresh, sig);
		if (r < 0)
			return r;
		if (fresh.len == 0)
			return 0;
		old = before;
		before = now;
		now = old;
	}
	return -EAGAIN;
}

/* Under the freezer, so that nobody forks or dies in between. */
static int signal_frozen(const struct cgroup *cg, int sig, bool was_frozen)
{
	AUTO(pid_list_done) struct pid_list list = { 0 };
	int r = list_pids(cg, true, &list);

	if (r == 0)
		r = signal_list(&list, sig);
	if (!was_frozen || sig == SIGKILL) {
		const int thawed = cgroup_freeze(cg, false, NULL);

		if (r >= 0)
			r = thawed;
	}
	return r < 0 ? r : 0;
}

/* cgroup.kill (Linux 5.14) takes the whole tree of cgroup2 at once. */
static bool kill_v2(const struct cgroup *cg)
{
	AUTO_CLOSE int fd = cgroup_open_dir(cg, "");

	return fd >= 0 && fd_write_file(fd, "cgroup.kill", "1") == 0;
}

static int signal_tasks(const struct cgroup *cg, int sig, int64_t freeze_ns)
{
	AUTO(pid_list_done) struct pid_list list = { 0 };
	const int was_frozen = cgroup_is_frozen(cg);
	bool frozen = was_frozen == 1;
	int r = list_pids(cg, true, &list);

	if (r < 0 || list.len == 0)
		return r;
	/* One process cannot run away from a list; and we must not freeze ourselves. */
	if (!frozen && list.len > 1 && !holds(&list, getpid()))
		frozen = freeze_within(cg, true, freeze_ns, NULL) == 0;
	if (frozen)
		return signal_frozen(cg, sig, was_frozen == 1);
	return signal_passes(cg, sig);
}

static int signal_all(const struct cgroup *cg, int sig, int64_t freeze_ns, struct err *err)
{
	int r = 0;

	if (sig == SIGKILL && kill_v2(cg)) {
		/* On the hybrid layout v1 may know more of them. */
		if (!cgroup_is_v2(cg))
			r = signal_passes(cg, sig);
	} else {
		r = signal_tasks(cg, sig, freeze_ns);
	}
	if (sig == SIGKILL)
		cgroup_thaw_all(cg);
	return r < 0 ? err_sys(err, r, "send signal %d to the container's processes", sig) : 0;
}

int cgroup_signal_all(const struct cgroup *cg, int sig, struct err *err)
{
	return signal_all(cg, sig, FREEZE_WAIT_NS, err);
}

int cgroup_signal_all_within(const struct cgroup *cg, int sig, unsigned int freeze_ms,
			     struct err *err)
{
	return signal_all(cg, sig, freeze_ms * 1000000ll, err);
}
