/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a container: files, mounts, namespaces, first process. The first container of a
 * sandbox and those that are added later differ in what they share: a later one has the sandbox's
 * network, ipc and uts namespaces unless its description wants its own, and its pid namespace is
 * its own or that of another container.
 */
#include "sentry/boot/member.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/boot/expect.h"
#include "sentry/boot/first.h"
#include "sentry/boot/kernel.h"
#include "sentry/boot/mounts.h"
#include "sentry/core/kclock.h"
#include "sentry/core/klog.h"
#include "sentry/fs/goferfs/goferfs.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/mm/ipc_ns.h"
#include "sentry/net/net_ns.h"
#include "sentry/syscall/event.h"
#include "sentry/task/seccomp.h"

#define HOLD_NS (15 * NSEC_PER_SEC) /* the runtime waits longer */

struct member sandbox;
struct list_head members;

int exit_code_of(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

struct member *member_find(const char *id)
{
	struct member *m;

	list_for_each(m, &members, node) if (strcmp(m->description->id, id) == 0) return m;
	return NULL;
}

struct member *member_ref(struct member *m)
{
	m->refs++;
	return m;
}

void member_unref(struct member *m)
{
	if (!m || --m->refs)
		return;
	sentry_container_free(m->description);
	pid_ns_unref(m->pid_ns);
	m->container->machine = NULL;
	auto_close_p(&m->freezer);
	container_unref(m->container);
	free(m);
}

struct thread_group *member_next(const struct member *m, int from, int *ret_pid)
{
	for (;; from++) {
		struct thread_group *tg =
			m->pid_ns ? thread_group_next(m->pid_ns, from, &from) : NULL;

		if (tg && tg->container != m->container) {
			thread_group_unref(tg);
			continue;
		}
		if (tg)
			*ret_pid = from;
		return tg;
	}
}

static bool any_in_guest(const struct member *m)
{
	struct thread_group *tg;
	bool any = false;

	for (int pid = 1; (tg = member_next(m, pid, &pid)); pid++) {
		any = thread_group_interrupt(tg) || any;
		thread_group_unref(tg);
	}
	return any;
}

/* Parks only where it freezes. */
static void freeze(struct member *m, enum container_frozen why, bool frozen)
{
	struct container *c = m->container;

	c->frozen = frozen ? c->frozen | why : c->frozen & ~(unsigned int)why;
	if (frozen)
		WAIT_EVENT_ALWAYS(&c->frost, !c->frozen || !any_in_guest(m));
	/* Held for another reason it stays so, without a wait: who is late is let go by a timer. */
	if (c->nursery && (frozen || !c->frozen))
		platform->nursery_hold(c->nursery, c->frozen);
	if (!c->frozen)
		waitq_wake(&c->frost, WAIT_ALL);
}

static unsigned int pod_holds;

bool members_are_held(void)
{
	return pod_holds > 0;
}

static void freeze_pod(bool frozen)
{
	struct member *all[1 + MEMBERS_MAX], *m;
	size_t len = 0;

	list_for_each(m, &members, node) all[len++] = member_ref(m);
	for (size_t i = 0; i < len; i++) {
		/* Who lets go may have come while another one was waited for. */
		if (members_are_held() == frozen)
			freeze(all[i], CONTAINER_FROZEN_POD, frozen);
		member_unref(all[i]);
	}
}

void member_let_go(struct member *m)
{
	freeze(m, CONTAINER_FROZEN_ALONE, false);
}

void members_let_go(void)
{
	if (--pod_holds == 0)
		freeze_pod(false);
}

/* Guest code may be left late or never (platform/systrap/deaf.c), and others suffer meanwhile. */
struct hold {
	struct ktimer late;
	struct member *m; /* NULL: all */
	bool over;
};

static void on_late(struct ktimer *timer)
{
	struct hold *h = container_of(timer, struct hold, late);

	h->over = true;
	if (h->m)
		member_let_go(h->m);
	else
		members_let_go();
}

static int hold(struct member *m)
{
	struct hold h = { .m = m };

	ktimer_init(&h.late, on_late);
	ktimer_arm(&h.late, nsec_add(kclock_monotonic(), HOLD_NS));
	if (m)
		freeze(m, CONTAINER_FROZEN_ALONE, true);
	else
		freeze_pod(true);
	ktimer_cancel(&h.late);
	return h.over ? -ETIMEDOUT : 0;
}

int member_hold(struct member *m)
{
	return hold(m);
}

int member_follow(struct member *m)
{
	const bool held = m->container->frozen & CONTAINER_FROZEN_ALONE;
	char word = 0;

	/* A cgroup that is gone says nothing, and its container ends. */
	if (m->ended || m->freezer < 0 || pread(m->freezer, &word, 1, 0) != 1 ||
	    (word == '1') == held)
		return 0;
	if (word == '1')
		return member_hold(m);
	member_let_go(m);
	return 0;
}

int members_hold(void)
{
	pod_holds++;
	return hold(NULL);
}

void member_show_limits(struct member *m)
{
	m->machine = *sysinfo_get();
	kernel_limit(&m->description->limits, &m->machine);
	m->container->machine = &m->machine;
}

int member_start(struct member *m)
{
	const struct sentry_process *process = &m->description->process;

	if (m->started || m->ended)
		return -EINVAL;
	m->started = true;
	klog(boot, "container %s: the gate is open", m->description->id);
	if (event_wanted(EVENT_container_start))
		event_container_start(m->init, process->args.items, process->cwd);
	return task_start(m->init);
}

void member_kill(struct member *m)
{
	if (m->ended || !m->init)
		return;
	(void)signal_send_group(m->init->tg, SIGKILL, NULL);
	/* It dies on the way to its first instruction. */
	if (!m->started) {
		m->started = true;
		(void)task_start(m->init);
	}
}

/* ---- Files ---- */

static int bind_root(const struct sentry_container *c, uint32_t root, bool is_file,
		     struct superblock **ret)
{
	const bool exclusive =
		(root == 0 ? c->file_access : c->file_access_mounts) == SENTRY_FILE_EXCLUSIVE;
	const struct member *m;

	list_for_each(m, &members, node)
	{
		if (m->description == c)
			return goferfs_mount(m->files, root, exclusive, ret);
	}
	return -ENODEV;
}

/* root:self: nameless files on the disk of the root file system. */
struct root_store {
	struct tmpfs_store store;
	struct superblock *root; /* the overlay holds it */
};

static int store_file(struct tmpfs_store *store, int *ret_fd)
{
	return goferfs_nameless_file(container_of(store, struct root_store, store)->root, ret_fd);
}

static int store_statfs(struct tmpfs_store *store, struct statfs *ret)
{
	struct superblock *root = container_of(store, struct root_store, store)->root;

	return root->ops->statfs(root, ret);
}

static void store_done(struct tmpfs_store *store)
{
	free(container_of(store, struct root_store, store));
}

/* Refused now and not at the first write: a disk that cannot be written. */
static int new_store(struct superblock *root, struct tmpfs_store **ret)
{
	struct root_store *store = calloc(1, sizeof(*store));
	int fd, r;

	if (!store)
		return -ENOMEM;
	store->store = (struct tmpfs_store){ .file = store_file,
					     .statfs = store_statfs,
					     .done = store_done };
	store->root = root;
	r = store_file(&store->store, &fd);
	if (r < 0) {
		free(store);
		return r;
	}
	(void)close(fd);
	*ret = &store->store;
	return 0;
}

/* --overlay: what the container writes stays in memory or nameless on the disk. Replaces *root. */
static int lay_over(uint32_t kind, struct superblock **root, struct err *err)
{
	struct tmpfs_options options = { .mode = (*root)->root->inode->mode & 07777,
					 .uid = (*root)->root->inode->uid,
					 .gid = (*root)->root->inode->gid };
	struct superblock *upper, *both;
	int r = kind == SENTRY_OVERLAY_ROOT_SELF ? new_store(*root, &options.store) : 0;

	if (r < 0)
		return err_sys(err, r, "overlay root:self: make a file on the root's disk");
	r = tmpfs_new(&options, &upper);
	if (r == 0) {
		r = overlay_new(*root, upper, &both);
		superblock_unref(upper);
	}
	if (r < 0)
		return err_sys(err, r, "lay the overlay over the root file system");
	superblock_unref(*root);
	*root = both;
	return 0;
}

static int open_root(struct member *m, struct superblock **ret, struct err *err)
{
	const struct sentry_container *c = m->description;
	int r = bind_root(c, 0, false, ret);

	if (r < 0)
		return err_sys(err, r, "open the root file system");
	m->root = superblock_ref(*ret);
	boot_expect(c, m->root);
	if (c->overlay != SENTRY_OVERLAY_NONE)
		r = lay_over(c->overlay, ret, err);
	if (r < 0)
		superblock_unref(*ret);
	return r;
}

/* ---- Namespaces ---- */

/* A sysctl comes after the field of config.json, as where both are written in order. */
static const char *uts_name(const struct sentry_container *c, const char *sysctl, const char *field,
			    const char *fallback)
{
	for (uint32_t i = 0; i < c->sysctls_len; i++) {
		if (strcmp(c->sysctls[i].key, sysctl) == 0)
			return c->sysctls[i].value;
	}
	return field[0] ? field : fallback;
}

static bool has_own(const struct member *m, uint32_t kind)
{
	return m == &sandbox || m->description->own_namespaces & kind;
}

static int take_pid_ns(struct member *m, struct err *err)
{
	const char *of = m->description->pid_ns_of;
	const struct member *other = of[0] ? member_find(of) : NULL;
	int r = 0;

	if (of[0] && (!other || other == m || other->ended))
		return err_set(err, -ESRCH, "pid namespace of container %s: it has ended", of);
	if (other && !other->init)
		return err_set(err, -ESRCH, "pid namespace of container %s: it is being made", of);
	if (other)
		m->pid_ns = pid_ns_ref(other->pid_ns);
	else
		r = pid_ns_new(NULL, &m->pid_ns);
	return r < 0 ? err_sys(err, r, "make the pid namespace") : 0;
}

static int fill_namespaces(struct member *m, struct namespaces *to)
{
	const struct sentry_container *c = m->description;
	int r = 0;

	if (has_own(m, SENTRY_OWN_UTS))
		r = uts_ns_new(uts_name(c, "kernel.hostname", c->hostname, "caisson"),
			       uts_name(c, "kernel.domainname", c->domainname, "(none)"), &to->uts);
	else
		to->uts = uts_ns_ref(sandbox.ns->uts);
	if (r == 0 && has_own(m, SENTRY_OWN_NET)) {
		r = net_ns_new(true, &to->net);
		if (r == 0) {
			to->net->host = m == &sandbox && c->network != SENTRY_NETWORK_NONE;
			to->net->judges_ports = m == &sandbox && c->network == SENTRY_NETWORK_POD;
		}
	} else if (r == 0) {
		to->net = sandbox.ns->net;
		ns_ops_of(NS_NET)->ref(to->net);
	}
	if (r == 0 && has_own(m, SENTRY_OWN_IPC))
		to->ipc = ipc_ns_new(ns_new_id());
	else if (r == 0)
		to->ipc = ipc_ns_ref(sandbox.ns->ipc);
	return r == 0 && !to->ipc ? -ENOMEM : r;
}

/* namespaces_new() has taken references of its own. */
static void drop_namespaces(const struct namespaces *from)
{
	uts_ns_unref(from->uts);
	ipc_ns_unref(from->ipc);
	if (from->net)
		ns_ops_of(NS_NET)->unref(from->net);
}

int member_make_namespaces(struct member *m, struct err *err)
{
	struct namespaces parts = { 0 };
	struct superblock *root;
	int r = open_root(m, &root, err);

	if (r < 0)
		return r;
	r = take_pid_ns(m, err);
	if (r < 0) {
		superblock_unref(root);
		return r;
	}
	r = boot_mounts(m->description, root, m->pid_ns, &m->mounts, err);
	if (r < 0)
		return r;
	r = fill_namespaces(m, &parts);
	if (r == 0) {
		parts.mnt = m->mounts;
		parts.pid_for_children = m->pid_ns;
		m->ns = namespaces_new(&parts);
	}
	drop_namespaces(&parts);
	return m->ns ? 0 : err_sys(err, -ENOMEM, "make the namespaces");
}

/* ---- The first process ---- */

int member_load(struct member *m, const int *fds, member_exit_fn *on_exit, struct err *err)
{
	const struct sentry_process *p = &m->description->process;
	const struct first_options options = { .process = p,
					       .container = m->container,
					       .ns = m->ns,
					       .mounts = m->mounts,
					       .host_fds = fds,
					       .ret_terminal = &m->terminal,
					       .is_first = true,
					       .on_exit = on_exit,
					       .on_exit_arg = m };
	int r = 0;

	if (p->seccomp_len > 0)
		r = seccomp_filter_new((const struct sock_filter *)(const void *)p->seccomp,
				       p->seccomp_len, p->seccomp_flags & SECCOMP_FILTER_FLAG_LOG,
				       NULL, &m->container->seccomp);
	if (r < 0) {
		for (uint32_t i = 0; i < 3 + p->preserve_fds; i++) {
			if (fds[i] >= 0)
				(void)close(fds[i]);
		}
		return err_sys(err, r, "linux.seccomp: install the filter");
	}
	r = first_load(&options, &m->init, err);
	if (r < 0)
		return r;
	(void)task_ref(m->init);
	boot_expect_end(m->root);
	superblock_unref(TAKE_PTR(m->root));
	return 0;
}

void members_init(void)
{
	list_init(&members);
	list_add_tail(&sandbox.node, &members);
	sandbox.refs = 1;
	sandbox.freezer = -EBADF;
	boot_set_bind(bind_root);
}
