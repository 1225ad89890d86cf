/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A template is made by a process of its own, first of a pid namespace, in the cgroup to which the
 * template's memory is to be accounted: who writes a page of a memfd first pays for it. When QEMU
 * has ended its files are sealed, and a holder takes them.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/cgroup.h"
#include "host/pidfd.h"
#include "hypervisor/tsc.h"
#include "ns/stage.h"
#include "runtime/sandbox/ids.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/store.h"
#include "runtime/vm/holder.h"
#include "runtime/vm/programs.h"
#include "runtime/vm/settings.h"
#include "runtime/vm/size.h"
#include "runtime/vm/template_boot.h"

struct making {
	struct vm_config config;
	struct vm_programs from;
	struct sandbox_ids ids;
	struct template_plan plan;
	struct template_key key;
	struct cgroup *cgroup; /* NULL: none is to be had */
	struct cgroup_join join;
	int cgroup_fd, dir, memory, state; /* owned */
};

static void making_done(struct making *m)
{
	vm_programs_done(&m->from);
	template_key_done(&m->key);
	cgroup_join_done(&m->join);
	cgroup_free(m->cgroup);
	auto_close_p(&m->ids.held_fd);
	auto_close_p(&m->cgroup_fd);
	auto_close_p(&m->dir);
	auto_close_p(&m->memory);
	auto_close_p(&m->state);
}
#define MAKING_INIT                                                                     \
	{                                                                               \
		.from = VM_PROGRAMS_INIT, .ids = SANDBOX_IDS_INIT, .cgroup_fd = -EBADF, \
		.dir = -EBADF, .memory = -EBADF, .state = -EBADF,                       \
	}

/* ---- What is to be made ---- */

/* Who only looks makes no directory for it. */
static int take_ids(const struct runtime *rt, bool look, struct making *m, struct err *err)
{
	struct err why = { 0 };
	AUTO_CLOSE int root = store_open_root(rt, !look, &why);

	if (root == -ENOENT && look)
		return 0;
	if (root < 0)
		return err_set(err, root, "%s", why.msg);
	return sandbox_ids_take(rt, root, &m->ids, err);
}

static int make_plan(const struct runtime *rt, const struct template_wish *wish, bool look,
		     struct making *m, struct err *err)
{
	const struct oci_resources none = { 0 };
	struct vm_size size = { 0 };
	int r = vm_settings_get(rt, NULL, &m->config, err);

	/* What a start without limits asks for. */
	if (r == 0)
		r = vm_size_get(&m->config, NULL, &none, &size, err);
	if (r == 0)
		r = vm_programs_open(&m->config, &m->from, err);
	if (r == 0)
		r = take_ids(rt, look, m, err);
	m->plan = (struct template_plan){ .cpus = wish->cpus ? wish->cpus : size.cpus,
					  .memory = wish->memory ? wish->memory : size.memory,
					  .nested = m->config.nested,
					  .qemu = m->from.qemu,
					  .kernel = m->from.kernel,
					  .image = m->from.image,
					  .uid = m->ids.guest,
					  .gid = m->ids.guest };
	if (r == 0)
		r = vm_accel_choose(&m->config, &m->from, m->ids.guest, &m->plan.accel, err);
	return r < 0 ? r : template_key(&m->plan, &m->key, err);
}

/* ---- Where its memory is accounted ---- */

/* Before it is made, so that whoever finds the directory knows what to remove. */
static int note_cgroup(const struct making *m, const char *name, struct err *err)
{
	AUTO_BUF struct buf b = { 0 };
	char path[HOLDER_NAME_MAX + sizeof(HOLDER_CGROUP)];
	const struct cgroup_dir *dirs = NULL;
	const size_t len = cgroup_dirs(m->cgroup, &dirs);
	int r;

	for (size_t i = 0; i < len; i++)
		(void)buf_printf(&b, "%s %s\n", dirs[i].controllers, dirs[i].path);
	(void)snprintf(path, sizeof(path), "%s/" HOLDER_CGROUP, name);
	r = buf_error(&b);
	if (r == 0)
		r = fd_replace_file(m->dir, path, b.data, b.len, 0600);
	return r < 0 ? err_sys(err, r, "note the cgroup") : 0;
}

static int make_cgroup(const struct runtime *rt, struct making *m, const char *name,
		       struct err *err)
{
	struct cgroup_options options = { .manager = rt->cgroup_manager, .id = name };
	char path[64];
	uint32_t random = 0;
	int r;

	/* Of one key there may be templates in several directories. */
	(void)!getrandom(&random, sizeof(random), 0);
	(void)snprintf(path, sizeof(path), "/caisson-template-%s-%08x", m->key.hash, random);
	options.path = path;
	if (rt->cgroup_manager == CGROUP_MANAGER_DISABLED)
		return err_set(err, -ENOTSUP, "cgroups are switched off");
	r = cgroup_new(&options, &m->cgroup, err);
	if (r == 0)
		r = note_cgroup(m, name, err);
	if (r == 0) {
		m->cgroup_fd = cgroup_clone_fd(m->cgroup, err);
		r = m->cgroup_fd < 0 && m->cgroup_fd != -ENOENT ? m->cgroup_fd : 0;
	}
	if (r == 0)
		r = cgroup_create(m->cgroup, err);
	return r < 0 ? r : cgroup_join_open(m->cgroup, m->cgroup_fd >= 0, &m->join, err);
}

/* Nothing depends on it but whose memory it is. */
static void try_cgroup(const struct runtime *rt, struct making *m, const char *name)
{
	struct err why = { 0 };

	if (make_cgroup(rt, m, name, &why) == 0)
		return;
	log_debug("template %s: no cgroup of its own: %s", m->key.hash, why.msg);
	cgroup_join_done(&m->join);
	if (m->cgroup)
		(void)cgroup_remove(m->cgroup, NULL);
	cgroup_free(m->cgroup);
	m->cgroup = NULL;
	auto_close_p(&m->cgroup_fd);
	m->cgroup_fd = -EBADF;
}

/* ---- The machine ---- */

__attribute__((noreturn)) static void boot_child(struct making *m, int report)
{
	const struct template_boot boot = { .plan = &m->plan,
					    .memory = m->memory,
					    .state = m->state,
					    .boot_ms = m->config.boot_ms };
	struct pollfd p = { .fd = report };
	struct err failure = { 0 };
	int r;

	(void)prctl(PR_SET_NAME, "caisson:[templ]");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The signal was asked for too late. */
	if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
		_exit(1);
	r = cgroup_join(&m->join, NULL);
	if (r < 0)
		(void)err_sys(&failure, r, "template: enter its cgroup");
	else
		r = template_boot(&boot, &failure);
	if (r < 0)
		(void)fd_send(report, &failure, sizeof(failure), NULL, 0);
	_exit(r < 0);
}

static int boot(struct making *m, struct err *err)
{
	AUTO_CLOSE int ours = -EBADF, theirs = -EBADF, pidfd = -EBADF;
	struct err failure = { 0 };
	int pair[2], status = 0;
	ssize_t n;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "socketpair");
	ours = pair[0];
	theirs = pair[1];
	pid = stage_clone(CLONE_NEWPID, m->cgroup_fd, &pidfd);
	if (pid < 0)
		return err_sys(err, pid, "clone the machine's process");
	if (pid == 0) {
		(void)close(ours);
		boot_child(m, theirs);
	}
	auto_close_p(&theirs);
	theirs = -EBADF;
	n = fd_recv(ours, &failure, sizeof(failure), NULL, NULL);
	(void)pidfd_reap(pidfd, &status);
	if (n == (ssize_t)sizeof(failure)) {
		failure.msg[ERR_MSG_MAX - 1] = '\0';
		return err_set(err, failure.code, "template: %s", failure.msg);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, -EIO, "template: its machine was killed");
	return 0;
}

static int make_files(struct making *m, struct err *err)
{
	struct tsc_reading begin;
	int r;

	hypervisor_tsc_begin(&begin);
	r = machine_memory(m->plan.memory, &m->memory);
	if (r == 0)
		r = machine_memory(0, &m->state);
	if (r < 0)
		return err_sys(err, r, "template: its files");
	m->plan.tsc_khz = hypervisor_tsc_khz(&begin, NULL);
	r = boot(m, err);
	if (r < 0)
		return r;
	r = machine_seal(m->memory);
	if (r == 0)
		r = machine_seal(m->state);
	return r < 0 ? err_sys(err, r, "template: seal its files") : 0;
}

/* ---- The whole ---- */

static int hand_over(const struct runtime *rt, struct making *m, struct err *err)
{
	AUTO_CLOSE int program = sandbox_program(rt, "caisson-template", err);
	const struct holder_start start = { .key = &m->key,
					    .memory_bytes = m->plan.memory,
					    .program = program,
					    .memory = m->memory,
					    .state = m->state,
					    .uid = m->ids.supervisor,
					    .held = m->ids.held_fd,
					    .cgroup_fd = m->cgroup_fd,
					    .join = &m->join };

	return program < 0 ? program : holder_start(m->dir, &start, err);
}

static int make(const struct runtime *rt, struct making *m, struct err *err)
{
	char name[HOLDER_NAME_MAX];
	struct err why = { 0 };
	int r;

	(void)snprintf(name, sizeof(name), "%s" HOLDER_MAKING, m->key.hash);
	r = holder_discard(m->dir, name, err);
	/* Whoever does not answer, or with something else, is no template. */
	if (r == 0)
		r = holder_discard(m->dir, m->key.hash, err);
	if (r == 0 && mkdirat(m->dir, name, 0700) < 0)
		r = err_sys(err, -errno, "make the directory of template %s", name);
	if (r < 0)
		return r;
	try_cgroup(rt, m, name);
	r = make_files(m, err);
	if (r == 0)
		r = hand_over(rt, m, err);
	if (r < 0 && (holder_discard(m->dir, name, &why) < 0 ||
		      holder_discard(m->dir, m->key.hash, &why) < 0))
		log_warning("%s", why.msg);
	return r;
}

/* 1: it is there. */
static int find(const struct making *m)
{
	AUTO_HOLDER struct holder h = HOLDER_INIT;
	struct err why = { 0 };

	return holder_ask(m->dir, m->key.hash, HOLDER_PROVE_MS, &h, &why) == 0 &&
	       str_eq(h.text, m->key.text);
}

int template_make(const struct runtime *rt, const struct template_wish *wish,
		  char ret_hash[static TEMPLATE_HASH], bool *ret_made, struct err *err)
{
	AUTO(making_done) struct making m = MAKING_INIT;
	int r;

	if (geteuid() != 0)
		return err_set(err, -EPERM, "template: only root makes templates");
	r = make_plan(rt, wish, false, &m, err);
	if (r < 0)
		return r;
	m.dir = holder_open_dir(rt, true, err);
	if (m.dir < 0)
		return m.dir;
	r = holder_lock_dir(m.dir, true, err);
	if (r < 0)
		return r;
	*ret_made = !find(&m);
	if (*ret_made)
		r = make(rt, &m, err);
	memcpy(ret_hash, m.key.hash, TEMPLATE_HASH);
	return r;
}

int template_wanted(const struct runtime *rt, const struct template_wish *wish,
		    char ret_hash[static TEMPLATE_HASH], struct err *err)
{
	AUTO(making_done) struct making m = MAKING_INIT;
	const int r = make_plan(rt, wish, true, &m, err);

	if (r == 0)
		memcpy(ret_hash, m.key.hash, TEMPLATE_HASH);
	return r;
}
