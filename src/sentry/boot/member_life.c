/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container that is added to a running sandbox. Each has a fiber that waits for its end: then
 * what is left of its processes ends, its mounts and its gofer go, and its maker is told, in this
 * order: who has heard of the end finds nothing of it any more.
 */
#include "sentry/boot/member.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/boot/client.h"
#include "sentry/boot/control.h"
#include "sentry/boot/expect.h"
#include "sentry/boot/full.h"
#include "sentry/boot/terminal.h"
#include "sentry/core/klog.h"
#include "sentry/fs/goferfs/goferfs.h"
#include "sentry/syscall/event.h"
#include "wire/sentry_codec.h"

static unsigned int added; /* that have not ended */

/* In whatever pid namespace of the sandbox they are. */
static void kill_rest(const struct member *m)
{
	const struct member *at;

	list_for_each(at, &members, node)
	{
		struct thread_group *tg;

		for (int pid = 1; at->pid_ns && (tg = thread_group_next(at->pid_ns, pid, &pid));
		     pid++) {
			if (tg->container == m->container)
				(void)signal_send_group(tg, SIGKILL, NULL);
			thread_group_unref(tg);
		}
	}
}

/* Everything but the struct, its description and its pid namespace, which connections look at. */
static void release(struct member *m)
{
	struct namespaces *ns = TAKE_PTR(m->ns);
	struct mount_ns *mounts = TAKE_PTR(m->mounts);

	/* First: who hears of the end of the control socket may remove the cgroup. */
	if (m->container->nursery)
		platform->nursery_free(TAKE_PTR(m->container->nursery));
	if (m->terminal)
		terminal_end(TAKE_PTR(m->terminal));
	control_end(m);
	namespaces_unref(ns);
	if (mounts)
		mount_ns_unref(mounts);
	if (m->root) {
		boot_expect_end(m->root);
		superblock_unref(TAKE_PTR(m->root));
	}
	task_unref(TAKE_PTR(m->init));
	goferfs_disconnect(TAKE_PTR(m->files));
	list_del(&m->node);
	added--;
}

static void tell_maker(struct member *m)
{
	struct client *maker = TAKE_PTR(m->maker);

	if (!maker)
		return;
	client_set_made(maker, NULL);
	client_push(maker, &(struct sentry_reply){ .type = SENTRY_EXITED,
						   .value = exit_code_of(m->wait_status) });
}

static void keep(void *arg)
{
	struct member *m = arg;

	WAIT_EVENT_ALWAYS(&m->changed, m->ended);
	kill_rest(m);
	WAIT_EVENT_ALWAYS(&m->container->emptied, m->container->live == 0);
	if (event_wanted(EVENT_container_exit))
		event_container_exit(m->container, exit_code_of(m->wait_status));
	klog(boot, "container %s ends: wait status %#x", m->description->id,
	     (unsigned int)m->wait_status);
	release(m);
	tell_maker(m);
	member_unref(m);
}

static void on_exit_of(void *arg, struct thread_group *tg, int wait_status)
{
	struct member *m = arg;

	m->ended = true;
	m->wait_status = wait_status;
	waitq_wake(&m->changed, WAIT_ALL);
}

/* Without its files, or a nursery, it cannot go on; the others can. */
static void on_lost(void *arg)
{
	struct member *m = arg;

	m->lost = true;
	member_kill(m);
}

static struct member *new_member(struct sentry_container *description, struct client *maker)
{
	const uint64_t pids = description->limits.pids;
	struct member *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->container =
		container_new(description->id, pids < CONTAINER_TASKS_MAX ? (unsigned int)pids
									  : CONTAINER_TASKS_MAX);
	if (!m->container) {
		free(m);
		return NULL;
	}
	m->refs = 1;
	m->description = description;
	member_show_limits(m);
	m->listener.host_fd = -EBADF;
	m->freezer = -EBADF;
	waitq_init(&m->changed);
	m->container->frozen = members_are_held() ? CONTAINER_FROZEN_POD : 0;
	m->container->nursery = TAKE_PTR(maker->nursery);
	if (m->container->nursery)
		platform->nursery_on_end(m->container->nursery, on_lost, m);
	list_add_tail(&m->node, &members);
	added++;
	return m;
}

static int judge(const struct sentry_container *description, struct err *err)
{
	if (member_find(description->id))
		return err_set(err, -EEXIST, "container %s is a part of the sandbox already",
			       description->id);
	if (added >= MEMBERS_MAX)
		return err_set(err, -EAGAIN, "a sandbox has at most %u containers", MEMBERS_MAX);
	if (description->user_ns)
		return err_set(err, -EOPNOTSUPP,
			       "container %s: no user namespace of its own in a sandbox",
			       description->id);
	return 0;
}

/* fds as member_add(); those that were taken over are -EBADF afterwards. */
static int make(struct member *m, int *fds, struct err *err)
{
	int r = goferfs_connect(fds[1], &m->files);

	if (r < 0)
		return full_explain(NULL, err_sys(err, r, "connect to the gofer"), err);
	fds[1] = -EBADF;
	goferfs_set_on_death(m->files, on_lost, m);
	r = member_make_namespaces(m, err);
	if (r < 0)
		return full_explain(NULL, r, err);
	r = member_load(m, fds + 2, on_exit_of, err);
	for (uint32_t i = 0; i < 3 + m->description->process.preserve_fds; i++)
		fds[2 + i] = -EBADF;
	/* Before there was a process to be killed, or while that waited for it. */
	if (m->lost)
		r = err_set(err, -ESRCH, "container %s: its gofer or its nursery has ended",
			    m->description->id);
	if (r == 0)
		r = control_listen(m, fds[0], err);
	if (r < 0)
		return r;
	fds[0] = -EBADF;
	r = fiber_spawn("container", keep, m, NULL);
	return r < 0 ? err_sys(err, r, "container %s", m->description->id) : 0;
}

/* Its first process may be there, which nobody has started. */
static void undo(struct member *m)
{
	if (m->init) {
		m->init->tg->on_exit = NULL;
		member_kill(m);
		WAIT_EVENT_ALWAYS(&m->container->emptied, m->container->live == 0);
	}
	m->ended = true;
	release(m);
	member_unref(m);
}

int member_add(struct sentry_container *description, int *fds, struct client *maker,
	       struct err *err)
{
	struct member *m;
	int r = judge(description, err);

	m = r == 0 ? new_member(description, maker) : NULL;
	if (r == 0 && !m)
		r = err_sys(err, -ENOMEM, "make the container");
	if (!m) {
		sentry_container_free(description);
		return r;
	}
	r = make(m, fds, err);
	if (r < 0) {
		undo(m);
		return r;
	}
	klog(boot, "container %s: waiting at the gate", description->id);
	m->maker = maker;
	client_set_made(maker, m);
	return 0;
}
