/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/member.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "host/pidfd.h"
#include "ns/idmap.h"
#include "ns/ns.h"
#include "ns/rootfs_enter.h"
#include "ns/stage.h"
#include "runtime/container.h"
#include "runtime/sandbox/client.h"
#include "runtime/sandbox/keeper.h"
#include "runtime/sandbox/pod.h"
#include "runtime/store.h"
#include "runtime/vm/describe.h"
#include "runtime/vm/settings.h"
#include "runtime/vm/share.h"
#include "runtime/vm/share_volume.h"
#include "wire/vmm_msg.h"

/* What the machine's supervisor gives of its share. */
struct machine_share {
	int top;	 /* owned: its directory, writable */
	int files;	 /* owned: pidfd of virtiofsd */
	uint64_t memory; /* of the machine, bytes */
};
#define MACHINE_SHARE_INIT                      \
	{                                       \
		.top = -EBADF, .files = -EBADF, \
	}

struct member {
	struct creation *cr;
	struct machine_share machine;
	struct idmap_fds idmaps;
	enum share_rootfs rootfs;
	const char *watch;		/* borrowed, or NULL */
	const char *shared[OCI_NS_MAX]; /* whose namespaces: `joined` or texts of the sandbox */
	char *joined[OCI_NS_MAX];	/* owned, or NULL */
	char name[SHARE_NAME_MAX];	/* of the entry */
	char dir[PATH_MAX];		/* covered by the tree while it is gathered */
};

static void machine_share_done(struct machine_share *m)
{
	auto_close_p(&m->top);
	auto_close_p(&m->files);
}

static void member_done(struct member *m)
{
	machine_share_done(&m->machine);
	idmap_fds_done(&m->idmaps);
	for (enum oci_ns kind = 0; kind < OCI_NS_MAX; kind++)
		free(m->joined[kind]);
}

/* ---- The machine's share -------------------------------------------------------------------- */

/* A name that differs where id or time of making do; each with its NUL, which neither holds. */
static void name_of(const struct container *c, char ret[static SHARE_NAME_MAX])
{
	const char *const parts[] = { c->id, c->created };
	uint64_t h = HASH64_BEGIN;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		h = hash64(h, parts[i], strlen(parts[i]) + 1);
	(void)snprintf(ret, SHARE_NAME_MAX, "p%016" PRIx64, h);
}

static int ask_share(const struct container *sandbox, struct machine_share *ret, struct err *err)
{
	int fds[2] = { -EBADF, -EBADF };
	const struct client_call call = { .of = sandbox,
					  .request = { .type = VMM_SHARE },
					  .ret_fds = fds,
					  .ret_fds_len = ARRAY_LEN(fds) };
	AUTO_CLOSE int sock = client_connect(sandbox, err);
	struct sentry_reply reply;
	int r = sock < 0 ? sock : client_call(sock, &call, &reply, NULL, NULL, err);

	if (r < 0)
		return r;
	ret->top = fds[0];
	ret->files = fds[1];
	if (reply.value < 0)
		return client_wrong(&call, err);
	ret->memory = (uint64_t)reply.value << 20;
	return 0;
}

/* A child that does something for us: nothing, or a sentence; with it up to two descriptors. */
typedef int helper_fn(void *arg, int fds[2], struct err *err);

__attribute__((noreturn)) static void help(helper_fn *fn, void *arg, int sock, pid_t parent)
{
	struct err err = { 0 };
	int fds[2] = { -EBADF, -EBADF };
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may have died before, and what it wanted may be cleaned up already. */
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	r = fn(arg, fds, &err);
	if (r == 0)
		err = (struct err){ 0 };
	(void)fd_send(sock, &err, sizeof(err), fds, fds[0] < 0 ? 0 : fds[1] < 0 ? 1 : 2);
	_exit(0);
}

/* `flags`: CLONE_NEWNS where it mounts something before it enters virtiofsd's namespace, else 0. */
static int run_helper(unsigned long long flags, helper_fn *fn, void *arg, int ret_fds[2],
		      struct err *err)
{
	AUTO_CLOSE int pidfd = -EBADF;
	AUTO_CLOSE int ours = -EBADF;
	AUTO_CLOSE int theirs = -EBADF;
	struct err result = { 0 };
	const pid_t parent = getpid();
	int pair[2], status;
	size_t len = 2;
	ssize_t n;
	pid_t pid;
	int r = stage_socketpair(pair, err);

	if (r < 0)
		return r;
	ours = pair[0];
	theirs = pair[1];
	pid = stage_clone(flags, -EBADF, &pidfd);
	if (pid < 0)
		return err_sys(err, pid, "clone a process for the container's files");
	if (pid == 0)
		help(fn, arg, theirs, parent);
	auto_close_p(&theirs);
	theirs = -EBADF;
	n = fd_recv(ours, &result, sizeof(result), ret_fds, &len);
	(void)pidfd_kill(pidfd, SIGKILL);
	(void)pidfd_reap(pidfd, &status);
	if (n != sizeof(result))
		return err_set(err, -EPROTO, "the process for the container's files died");
	result.msg[sizeof(result.msg) - 1] = '\0';
	return result.code < 0 ? err_set(err, result.code, "%s", result.msg) : 0;
}

static int enter_files(const struct machine_share *machine, struct err *err)
{
	return setns(machine->files, CLONE_NEWNS) < 0
		       ? err_sys(err, -errno, "enter virtiofsd's mount namespace")
		       : 0;
}

/*
 * Who changes the share; the lock ends with the descriptor. Of a file that neither the guest nor
 * its servers reach: what virtiofsd has open a guest may lock for ever (FUSE_SETLK). -ENOENT: the
 * sandbox is gone.
 */
static int lock_share(const struct container *sandbox, struct err *err)
{
	AUTO_CLOSE int fd =
		openat(sandbox->dir_fd, STORE_CONFIG, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	const int r = fd < 0 ? err_sys(err, -errno, "open " STORE_CONFIG) : store_lock(fd, err);

	return r < 0 ? err_prefix(err, r, "the share of sandbox %.64s", sandbox->id) : TAKE_FD(fd);
}

/* ---- Its entry ------------------------------------------------------------------------------ */

static int describe(const struct member *m, const struct share *share, struct err *err)
{
	const struct creation *cr = m->cr;
	const struct describe_vm d = { .id = cr->c->id,
				       .bundle = cr->c->bundle,
				       .spec = &cr->spec,
				       .seccomp = &cr->seccomp,
				       .share = share,
				       .shared = m->shared,
				       .rows = cr->terminal.rows,
				       .cols = cr->terminal.cols };

	return describe_vm_join(&d, err);
}

static int attach_tree(const struct member *m, int tree, struct err *err)
{
	char path[SHARE_NAME_MAX + 1];

	if (mkdirat(m->machine.top, m->name, 0755) < 0)
		return err_sys(err, -errno, "the share: make %s", m->name);
	(void)snprintf(path, sizeof(path), "/%s", m->name);
	return move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0
		       ? err_sys(err, -errno, "mount the share at %s", m->name)
		       : 0;
}

/* *ret_description: what is known of its files when they lie there. */
static int put_entry(const struct member *m, struct share *share, int *ret_description,
		     struct err *err)
{
	AUTO_CLOSE int tree =
		open_tree(AT_FDCWD, m->dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	AUTO_CLOSE int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int lock = tree < 0 || proc < 0 ? err_sys(err, -errno, "the share")
						   : lock_share(m->cr->sandbox, err);
	const struct share_volumes_at at = { .top = m->machine.top, .proc = proc, .name = m->name };
	struct err ignored = { 0 };
	int r = lock < 0 ? lock : enter_files(&m->machine, err);

	if (r < 0)
		return r;
	r = share_volumes_put(share, &at, err);
	if (r == 0)
		r = *ret_description = describe(m, share, err);
	if (r >= 0)
		r = attach_tree(m, tree, err);
	if (r < 0)
		(void)share_volumes_sweep(m->machine.top, &ignored);
	return r;
}

/* As stage.c does it for a machine's first container. */
static int gather_files(void *arg, int fds[2], struct err *err)
{
	const struct member *m = arg;
	struct creation *cr = m->cr;
	const unsigned long word = rootfs_propagation_flags(cr->spec.linux.rootfs_propagation);
	const unsigned long closed = word & (MS_PRIVATE | MS_UNBINDABLE) ? MS_PRIVATE : MS_SLAVE;
	const struct share_options options = { .spec = &cr->spec,
					       .bundle = cr->c->bundle,
					       .rootfs = cr->c->rootfs,
					       .idmap_fds = m->idmaps.fds,
					       .dir = m->dir,
					       .watch = m->watch,
					       .memory = m->machine.memory,
					       .name = m->name,
					       .mode = m->rootfs };
	AUTO_SHARE struct share share = { 0 };
	int r;

	if (mount(NULL, "/", NULL, closed | MS_REC, NULL) < 0)
		return err_sys(err, -errno, "propagation of /");
	if (cr->spec.hooks.create_container.len) {
		if (chdir(cr->c->rootfs) < 0)
			return err_sys(err, -errno, "enter the root file system %s", cr->c->rootfs);
		r = creation_on_container(cr, getpid(), err);
		if (r < 0)
			return r;
	}
	(void)umask(S_IWGRP | S_IWOTH);
	r = share_build(&options, &share, err);
	if (r == 0 && share.disks_len)
		r = err_set(err, -ENOTSUP,
			    "linux.devices, mounts: a block device is a disk of a machine, and a "
			    "container that joins one brings none");
	if (r == 0 && share.watches)
		fds[1] = fcntl(share.watch, F_DUPFD_CLOEXEC, 3);
	return r < 0 ? r : put_entry(m, &share, &fds[0], err);
}

/* keeper_gather_fn */
static int gather(void *arg, struct keeper_ask *ret, struct err *err)
{
	struct member *m = arg;
	int fds[2] = { -EBADF, -EBADF };
	int r;

	ret->type = VMM_JOIN;
	ret->fds[1] = ns_listen(m->cr->c->dir_fd, STORE_CONTROL, SENTRY_BACKLOG, err);
	if (ret->fds[1] < 0)
		return ret->fds[1];
	r = run_helper(CLONE_NEWNS, gather_files, m, fds, err);
	ret->fds[0] = fds[0];
	ret->fds[2] = fds[1];
	ret->value = fds[1] >= 0 ? VMM_JOIN_WATCHES : 0;
	if (r == 0 && ret->fds[2] < 0) {
		ret->fds[2] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		r = ret->fds[2] < 0 ? err_sys(err, -errno, "open /dev/null") : 0;
	}
	return r;
}

/* ---- What it shares ------------------------------------------------------------------------- */

/* Whose it is, among the containers of the machine: the first's, or, of pid namespaces, any. */
static int find_owner(struct member *m, enum oci_ns kind, const char *name, struct err *err)
{
	const char *path = m->cr->spec.linux.ns[kind].path;
	AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, -errno, "linux.namespaces: %s", path);
	r = pod_find(m->cr->sandbox, name, &st, kind == OCI_NS_PID, &m->joined[kind], err);
	m->shared[kind] = m->joined[kind];
	return r;
}

/* The machine has one network, which every container of it has. */
static int share_namespaces(struct member *m, struct err *err)
{
	static const char *const names[OCI_NS_MAX] = {
		[OCI_NS_PID] = "pid", [OCI_NS_NETWORK] = "net", [OCI_NS_IPC] = "ipc",
		[OCI_NS_UTS] = "uts", [OCI_NS_USER] = "user",
	};
	const struct oci_namespace *ns = m->cr->spec.linux.ns;
	int r;

	for (enum oci_ns kind = 0; kind < OCI_NS_MAX; kind++) {
		const bool common = kind == OCI_NS_PID || kind == OCI_NS_IPC || kind == OCI_NS_UTS;

		/* The host's, as config.json has it: what all have together here. */
		if (common && !ns[kind].set)
			m->shared[kind] = m->cr->sandbox->id;
		if (!ns[kind].path)
			continue;
		m->shared[kind] = NULL;
		r = names[kind] ? find_owner(m, kind, names[kind], err) : 0;
		if (r < 0)
			return r;
		if (!m->shared[kind])
			return err_set(err, -ENOTSUP,
				       "linux.namespaces: %s: the %s namespace of no container of "
				       "sandbox %s",
				       ns[kind].path, oci_ns_name(kind), m->cr->sandbox->id);
	}
	if (ns[OCI_NS_NETWORK].set && !ns[OCI_NS_NETWORK].path)
		return err_set(err, -ENOTSUP,
			       "linux.namespaces: a new network namespace: a container of a pod "
			       "has the network of its machine");
	m->shared[OCI_NS_NETWORK] = m->cr->sandbox->id;
	return 0;
}

/* Files have the ids of the first container's map, and so have all. */
static int check_user_namespace(const struct member *m, struct err *err)
{
	struct oci_spec *first = NULL;
	const struct oci_namespace *own = &m->cr->spec.linux.ns[OCI_NS_USER];
	int r = container_load_spec(m->cr->sandbox, &first, err);

	if (r == 0 && (own->set != first->linux.ns[OCI_NS_USER].set || (own->set && !own->path)))
		r = err_set(err, -ENOTSUP, "linux.namespaces: user: it is not that of sandbox %s",
			    m->cr->sandbox->id);
	oci_spec_free(first);
	return r;
}

static int prepare(struct member *m, struct err *err)
{
	struct creation *cr = m->cr;
	struct vm_config config;
	int r = describe_vm_check(&cr->spec, true, err);

	if (r == 0 && geteuid() != 0)
		r = err_set(err, -ENOTSUP, "class vm: pods in one machine are root's");
	if (r == 0 && cr->preserve_fds > 0)
		r = err_set(err, -ENOTSUP,
			    "--preserve-fds: descriptors above 2 do not reach into a machine");
	if (r == 0 && cr->spec.linux.net_devices_len > 0)
		r = err_set(err, -ENOTSUP, "linux.netDevices: the machine has its devices");
	if (r == 0)
		r = vm_settings_get(cr->rt, cr->c->annotations, &config, err);
	if (r == 0)
		r = share_namespaces(m, err);
	if (r == 0)
		r = check_user_namespace(m, err);
	if (r == 0)
		r = share_rootfs_mode(cr->rt, &cr->spec, cr->c->rootfs, &m->rootfs, err);
	if (r == 0 && m->rootfs == SHARE_ROOTFS_BLOCK)
		r = err_set(err, -ENOTSUP,
			    "root.path: an image is a disk of a machine, and a container that "
			    "joins one brings none");
	if (r == 0)
		r = sandbox_setting(cr->rt, &cr->spec, SHARE_WATCH, NULL, &m->watch, err);
	if (r == 0)
		r = idmap_fds_open(&cr->spec, &m->idmaps, err);
	if (r == 0 && snprintf(m->dir, sizeof(m->dir), "%s/%s", cr->rt->root, cr->c->id) >=
			      (int)sizeof(m->dir))
		r = err_set(err, -ENAMETOOLONG, "the container's directory");
	if (r == 0)
		r = ask_share(cr->sandbox, &m->machine, err);
	return r;
}

int member_launch(struct creation *cr, struct sandbox *ret, struct err *err)
{
	AUTO(member_done) struct member m = { .cr = cr, .machine = MACHINE_SHARE_INIT };
	int r;

	name_of(cr->c, m.name);
	cr->c->accelerator = cr->sandbox->accelerator;
	r = prepare(&m, err);
	return r < 0 ? r : keeper_run(cr, gather, &m, ret, err);
}

/* ---- The end -------------------------------------------------------------------------------- */

/* Those of the share that go. */
struct leaving {
	const struct container *sandbox;
	struct machine_share machine;
	char **names; /* strv, owned */
};

static void leaving_done(struct leaving *l)
{
	machine_share_done(&l->machine);
	strv_free(l->names);
}

/* A tree goes by itself; what it alone referred to is looked for behind it, under the lock. */
static int take_entries(void *arg, int fds[2], struct err *err)
{
	const struct leaving *l = arg;
	AUTO_CLOSE int lock = -EBADF;
	char path[NAME_MAX + 2];
	int r = enter_files(&l->machine, err);

	(void)fds;
	if (r < 0)
		return r;
	for (char **name = l->names; name && *name; name++) {
		(void)snprintf(path, sizeof(path), "/%s", *name);
		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL &&
		    errno != ENOENT)
			r = err_sys(err, -errno, "unmount %s of the share", *name);
		else if (unlinkat(l->machine.top, *name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			r = err_sys(err, -errno, "remove %s of the share", *name);
	}
	if (r < 0)
		return r;
	lock = lock_share(l->sandbox, err);
	return lock < 0 ? lock : share_volumes_sweep(l->machine.top, err);
}

/* Its keeper has ended: who is made next under its id shall not meet it, nor its files. */
static void await_leave(const struct container *c)
{
	const struct sentry_request wait = { .type = SENTRY_WAIT };
	struct err err = { 0 };
	const int r = client_simple(c, &wait, NULL, &err);

	if (r < 0 && r != -ESRCH && r != -EPIPE)
		log_warning("container %s: its processes in the machine: %s", c->id, err.msg);
}

/* As name_of() has them; the top of the share has others, too. */
static bool is_name(const char *name)
{
	return name[0] == 'p' && strlen(name) == 17 && strspn(name + 1, "0123456789abcdef") == 16;
}

static int list_entries(struct leaving *l, struct err *err)
{
	const int fd = openat(l->machine.top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = dir ? 0 : -errno;

	if (fd >= 0 && !dir)
		(void)close(fd);
	while (dir && r == 0 && (entry = readdir(dir))) {
		if (is_name(entry->d_name))
			r = strv_add(&l->names, entry->d_name);
	}
	if (dir)
		(void)closedir(dir);
	return r < 0 ? err_sys(err, r, "list the share") : 0;
}

static void drop(char **list, const char *name)
{
	while (list && *list && !str_eq(*list, name))
		list++;
	if (!list || !*list)
		return;
	free(*list);
	do {
		list[0] = list[1];
	} while (*list++);
}

/* Those that stay. Whoever had one when the share was listed had written down before who it is. */
static int keep_living(struct leaving *l, const struct container *sandbox, struct err *err)
{
	struct container **all;
	size_t len;
	int r = container_list_all(sandbox->runtime, &all, &len, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < len; i++) {
		char name[SHARE_NAME_MAX];

		if (str_eq(all[i]->sandbox, sandbox->id)) {
			name_of(all[i], name);
			drop(l->names, name);
		}
	}
	container_list_free(all, len);
	return 0;
}

/*
 * `own`, whose container is still written down, and those of nobody, if they can be told: who was
 * killed between a resume and its member_sweep() has left some.
 */
static int list_leaving(struct leaving *l, const char *own, struct err *err)
{
	struct err ignored = { 0 };
	int r = list_entries(l, &ignored);

	drop(l->names, own);
	if (r == 0 && strv_len(l->names) > 0)
		r = keep_living(l, l->sandbox, &ignored);
	if (r < 0) {
		strv_free(l->names);
		l->names = NULL;
	}
	r = strv_add(&l->names, own);
	return r < 0 ? err_sys(err, r, "list the share") : 0;
}

int member_forget(const struct container *c, struct err *err)
{
	AUTO(container_free_p) struct container *sandbox = NULL;
	AUTO(leaving_done) struct leaving l = { .machine = MACHINE_SHARE_INIT };
	char name[SHARE_NAME_MAX];
	int fds[2] = { -EBADF, -EBADF };
	struct err gone = { 0 };
	int r = container_load(c->runtime, c->sandbox, false, &sandbox, &gone);

	/* With the machine goes all that it was served. */
	if (r < 0 || sandbox->pid == 0)
		return r == -ENOENT || r == 0 ? 0 : err_set(err, r, "%s", gone.msg);
	/* Nobody answers: member_sweep(). */
	if (sandbox->status == OCI_PAUSED)
		return 0;
	await_leave(c);
	l.sandbox = sandbox;
	name_of(c, name);
	r = ask_share(sandbox, &l.machine, &gone);
	if (r == 0)
		r = list_leaving(&l, name, &gone);
	if (r == 0)
		r = run_helper(0, take_entries, &l, fds, &gone);
	return r < 0 && r != -ESRCH && r != -ENOENT ? err_set(err, r, "%s", gone.msg) : 0;
}

int member_sweep(const struct container *sandbox, struct err *err)
{
	AUTO(leaving_done) struct leaving l = { .sandbox = sandbox, .machine = MACHINE_SHARE_INIT };
	int fds[2] = { -EBADF, -EBADF };
	int r = ask_share(sandbox, &l.machine, err);

	if (r == 0)
		r = list_entries(&l, err);
	if (r == 0 && l.names)
		r = keep_living(&l, sandbox, err);
	if (r < 0 || strv_len(l.names) == 0)
		return r == -ENOTSUP ? 0 : r;
	return run_helper(0, take_entries, &l, fds, err);
}
