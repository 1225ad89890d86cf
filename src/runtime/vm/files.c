/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/files.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/ids.h"
#include "host/program_says.h"
#include "ns/mount_fs.h"
#include "runtime/sandbox/creds.h"
#include "runtime/sandbox/launch.h"

#define LISTENER 3

/* Where distributions put it. */
static const struct place {
	const char *path;
	enum files_kind kind;
} places[] = {
	{ "/usr/libexec/virtiofsd", FILES_RUST },
	{ "/usr/lib/virtiofsd", FILES_RUST },
	{ "/usr/lib/qemu/virtiofsd", FILES_QEMU },
	{ "/usr/libexec/qemu/virtiofsd", FILES_QEMU },
};

/* "virtiofsd version 7.2.22" has the version of QEMU, "virtiofsd 1.13.2" one of its own. */
static enum files_kind ask(const char *path)
{
	char text[64];

	program_says(path, "--version", text, sizeof(text));
	return str_after(text, "virtiofsd version ") ? FILES_QEMU : FILES_RUST;
}

int files_find(const char *configured, struct files_program *ret, struct err *err)
{
	const char *path = configured && *configured ? configured : NULL;
	const struct place *place = NULL;

	for (size_t i = 0; i < ARRAY_LEN(places) && !place; i++) {
		if (path ? str_eq(path, places[i].path) : access(places[i].path, X_OK) == 0)
			place = &places[i];
	}
	if (!path && !place)
		return err_set(err, -ENOENT,
			       "virtiofsd is not installed: looked for %s, %s, %s and %s",
			       places[0].path, places[1].path, places[2].path, places[3].path);
	if (place)
		path = place->path;
	if (access(path, X_OK) < 0)
		return err_sys(err, -errno, "virtiofsd %s", path);
	*ret = (struct files_program){
		.path = path,
		.kind = place ? place->kind : ask(path),
	};
	return 0;
}

/* A value within -o: a comma would end it. */
static int add_escaped(char ***list, const char *option, const char *value)
{
	AUTO_FREE char *text = malloc(strlen(option) + 2 * strlen(value) + 1);
	char *to;

	if (!text)
		return -ENOMEM;
	to = stpcpy(text, option);
	for (; *value; value++) {
		if (*value == ',' || *value == '\\')
			*to++ = '\\';
		*to++ = *value;
	}
	*to = '\0';
	return strv_add(list, text);
}

static int add(char ***list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int add(char ***list, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return strv_add(list, text);
}

/*
 * The guest's trusted attributes are the host's user.virtiofs.trusted ones: nobody gets trusted
 * ones of the host, and no user of the guest writes these by their own name. Of those that the
 * host's kernel obeys (SELinux lets an owner write its label) it gets capabilities(7)' alone.
 */
#define ATTRIBUTES                                         \
	":prefix:all:trusted.:user.virtiofs.:"             \
	":bad:client:user.virtiofs.::"                     \
	":ok:all:security.capability:security.capability:" \
	":unsupported:all:security.:security.:"            \
	":ok:all:::"

/*
 * What both have in common: names and attributes are trusted for a second (FILES_CACHE_AUTO), as
 * close-to-open is what containers of one volume expect of each other; extended attributes and
 * access control lists are the host's; each mount of the host is one in the guest, so that inode
 * numbers are unique per device. Locks are the guest's own.
 */
static int add_qemu_options(char ***list, const struct files_plan *plan)
{
	static const char *const options[] = {
		"sandbox=namespace",  "modcaps=-mknod", "xattr",
		"announce_submounts", "posix_acl",	"no_posix_lock",
		"no_flock",	      "log_level=warn", "xattrmap=" ATTRIBUTES,
	};
	static const char *const caches[] = { "auto", "always", "none" };
	int r = strv_add(list, "-f");

	if (r == 0)
		r = strv_add(list, "-o");
	if (r == 0)
		r = add(list, "cache=%s", caches[plan->cache]);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(options); i++) {
		r = strv_add(list, "-o");
		if (r == 0)
			r = strv_add(list, options[i]);
	}
	if (r == 0)
		r = strv_add(list, "-o");
	return r < 0 ? r : add_escaped(list, "source=", plan->dir);
}

/*
 * Of these as many files of the host may be slow while the others are served; QEMU's own serves
 * one request after the other: with a pool its filter kills it (sched_getaffinity(2) of GLib).
 */
#define RUST_THREADS "8"

static int add_rust_options(char ***list, const struct files_plan *plan)
{
	static const char *const options[] = {
		"--sandbox=namespace",
		"--modcaps=-mknod",
		"--xattr",
		"--xattrmap=" ATTRIBUTES,
		"--announce-submounts",
		"--posix-acl",
		"--inode-file-handles=never",
		"--log-level=warn",
		"--thread-pool-size=" RUST_THREADS,
	};
	static const char *const caches[] = { "auto", "always", "never" };
	AUTO_FREE char *dir = NULL;
	int r = str_printf(&dir, "--shared-dir=%s", plan->dir);

	if (r == 0)
		r = add(list, "--cache=%s", caches[plan->cache]);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(options); i++)
		r = strv_add(list, options[i]);
	return r < 0 ? r : strv_add(list, dir);
}

int files_args(const struct files_plan *plan, int listener, unsigned int descriptors, char ***ret)
{
	AUTO_STRV char **list = NULL;
	int r = strv_add(&list, plan->program.path);

	if (r == 0)
		r = add(&list, "--fd=%d", listener);
	if (r == 0)
		r = add(&list, "--rlimit-nofile=%u", descriptors);
	if (r == 0)
		r = plan->program.kind == FILES_QEMU ? add_qemu_options(&list, plan)
						     : add_rust_options(&list, plan);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(list);
	return 0;
}

/* ---- who it is ------------------------------------------------------------------------------ */

/* The host's ids of a map under their own numbers; behind `extra` that is 0 inside, if not 0. */
static int same_ids(const struct oci_id_maps *from, uint32_t extra, struct oci_id_map *items,
		    struct oci_id_maps *ret)
{
	*ret = (struct oci_id_maps){ .items = items };
	if (from->len == 0 || from->len > IDS_MAPS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < from->len; i++) {
		const struct oci_id_map *m = &from->items[i];

		if (m->host_id == 0)
			extra = 0;
		items[ret->len++] = (struct oci_id_map){ m->host_id, m->host_id, m->size };
	}
	if (extra && ret->len < IDS_MAPS_MAX)
		items[ret->len++] = (struct oci_id_map){ 0, extra, 1 };
	return 0;
}

int files_ids(const struct files_program *program, const struct oci_linux *from, uint32_t own,
	      struct files_plan *ret, struct err *err)
{
	/* virtiofsd 1.x makes its namespaces as root alone. */
	const bool root = program->kind == FILES_RUST;
	struct oci_id_map uid_items[IDS_MAPS_MAX], gid_items[IDS_MAPS_MAX];
	struct oci_id_maps uids, gids;

	*ret = (struct files_plan){ .program = *program, .userns = -EBADF };
	if (from->uid_maps.len == 0 && from->gid_maps.len == 0) {
		ret->uid = ret->gid = root ? 0 : own;
		return 0;
	}
	if (same_ids(&from->uid_maps, root ? own : 0, uid_items, &uids) < 0 ||
	    same_ids(&from->gid_maps, root ? own : 0, gid_items, &gids) < 0)
		return err_set(err, -EINVAL,
			       "linux.uidMappings, linux.gidMappings: no or too many");
	ret->userns = ids_userns_open(&uids, &gids, err);
	if (ret->userns < 0)
		return err_prefix(err, ret->userns, "virtiofsd");
	if (!root) {
		ret->uid = uids.items[0].host_id;
		ret->gid = gids.items[0].host_id;
	}
	return 0;
}

/*
 * Directories above the share are closed to everybody but the host's root: it moves to one that
 * every host has and that is of no use here.
 */
#define OPEN_PLACE "/sys"

static int enter_userns(struct files_plan *plan, struct err *err)
{
	AUTO_CLOSE int tree =
		open_tree(AT_FDCWD, plan->dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0 || move_mount(tree, "", AT_FDCWD, OPEN_PLACE, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, -errno, "move the share to " OPEN_PLACE);
	plan->dir = OPEN_PLACE;
	if (setns(plan->userns, CLONE_NEWUSER) < 0)
		return err_sys(err, -errno, "enter virtiofsd's user namespace");
	return 0;
}

/*
 * Who has all capabilities of its namespace may, unless an ordinary user has made one above it for
 * the one id that it has: there nobody may (user_namespaces(7)), and the groups are that user's.
 */
static bool drop_groups(const struct files_plan *plan)
{
	return setgroups(0, NULL) == 0 || (errno == EPERM && plan->userns >= 0);
}

/* The capabilities stay permitted. */
static int take_ids(const struct files_plan *plan, struct err *err)
{
	if (!plan->uid && !plan->gid && plan->userns < 0)
		return 0;
	if (prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L) < 0 || !drop_groups(plan) ||
	    setresgid(plan->gid, plan->gid, plan->gid) < 0 ||
	    setresuid(plan->uid, plan->uid, plan->uid) < 0)
		return err_sys(err, -errno, "become virtiofsd's user %u:%u", plan->uid, plan->gid);
	return 0;
}

/* ---- the process ---------------------------------------------------------------------------- */

/*
 * Of who acts for others on files; and to make its namespaces and give all of this up. No device
 * node reaches the host; whiteouts, fifos and sockets need no capability.
 */
static uint64_t capabilities(void)
{
	static const int caps[] = { CAP_CHOWN,	 CAP_DAC_OVERRIDE, CAP_FOWNER,
				    CAP_FSETID,	 CAP_SETGID,	   CAP_SETUID,
				    CAP_SETFCAP, CAP_SETPCAP,	   CAP_SYS_ADMIN };
	uint64_t set = 0;

	for (size_t i = 0; i < ARRAY_LEN(caps); i++)
		set |= UINT64_C(1) << caps[i];
	return set;
}

/*
 * virtiofsd makes a file under its maker's effective ids, without the maker's supplementary groups:
 * in a directory that only those may write to the host would refuse what the guest has allowed. Its
 * capabilities stay effective over such a change; who may do what has been judged in the guest.
 */
static int keep_capabilities(struct err *err)
{
	const int bits = prctl(PR_GET_SECUREBITS, 0L, 0L, 0L, 0L);

	if (bits < 0 ||
	    prctl(PR_SET_SECUREBITS,
		  (unsigned long)bits | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED, 0L,
		  0L, 0L) < 0)
		return err_sys(err, -errno, "prctl PR_SET_SECUREBITS");
	return 0;
}

/* 0 and 1 are nothing, 2 takes words, 3 listens; nothing else is open afterwards. */
static int lay_out(const struct files_plan *plan, struct err *err)
{
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int words = fcntl(plan->words, F_DUPFD_CLOEXEC, LISTENER + 1);
	AUTO_CLOSE int listener = fcntl(plan->listener, F_DUPFD_CLOEXEC, LISTENER + 1);
	int r;

	if (null < 0 || words < 0 || listener < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(words, 2) < 0 || dup2(listener, LISTENER) < 0)
		return err_sys(err, -errno, "lay out virtiofsd's descriptors");
	r = fd_close_range(LISTENER + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	return r < 0 ? err_sys(err, r, "close_range") : 0;
}

/* As many as are allowed: virtiofsd ends when it may not have what it is told to take. */
static int limit_descriptors(unsigned int *ret, struct err *err)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(err, -errno, "getrlimit RLIMIT_NOFILE");
	if (files.rlim_max > FILES_DESCRIPTORS)
		files.rlim_max = FILES_DESCRIPTORS;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(err, -errno, "setrlimit RLIMIT_NOFILE");
	*ret = (unsigned int)files.rlim_cur;
	return 0;
}

int files_become(const struct files_plan *wanted, struct err *err)
{
	struct files_plan copy = *wanted;
	const struct files_plan *plan = &copy;
	const struct rlimit no_core = { 1, 1 };
	AUTO_STRV char **argv = NULL;
	char *const envp[] = { NULL };
	unsigned int descriptors = 0;
	int r = limit_descriptors(&descriptors, err);

	if (r < 0)
		return r;
	if (plan->userns >= 0)
		r = enter_userns(&copy, err);
	if (r < 0)
		return r;
	r = files_args(plan, LISTENER, descriptors, &argv);
	if (r < 0)
		return err_sys(err, r, "arguments of virtiofsd");
	r = lay_out(plan, err);
	if (r == 0 && setrlimit(RLIMIT_CORE, &no_core) < 0 && errno != EPERM)
		r = err_sys(err, -errno, "setrlimit RLIMIT_CORE");
	if (r == 0)
		r = take_ids(plan, err);
	if (r == 0)
		r = creds_become(0, capabilities(), CREDS_ALL, err);
	if (r == 0)
		r = keep_capabilities(err);
	if (r == 0)
		r = sandbox_die_with_parent(err);
	if (r < 0)
		return r;
	(void)execve(plan->program.path, argv, envp);
	return err_sys(err, -errno, "execute %s", plan->program.path);
}

/* ---- the socket ----------------------------------------------------------------------------- */

static int make_socket(int dir, int *ret, struct sockaddr_un *addr)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	*ret = fd;
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/s", dir);
	return 0;
}

int files_socketpair(int *ret_listener, int *ret_client, struct err *err)
{
	/* Mounted nowhere: no path leads to the socket but through this descriptor. */
	const struct mount_fs fs = { .type = "tmpfs", .data = "mode=700,nr_inodes=8" };
	AUTO_CLOSE int dir = -EBADF;
	AUTO_CLOSE int listener = -EBADF;
	AUTO_CLOSE int client = -EBADF;
	struct sockaddr_un addr;
	int r = mount_fs_create(&fs, &dir, err);

	if (r < 0)
		return err_prefix(err, r, "the socket of virtiofsd");
	r = make_socket(dir, &listener, &addr);
	if (r == 0 &&
	    (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(listener, 1) < 0))
		r = -errno;
	if (r == 0)
		r = make_socket(dir, &client, &addr);
	if (r == 0 && connect(client, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		r = -errno;
	if (r == 0 && unlinkat(dir, "s", 0) < 0)
		r = -errno;
	if (r < 0)
		return err_sys(err, r, "the socket of virtiofsd");
	*ret_listener = TAKE_FD(listener);
	*ret_client = TAKE_FD(client);
	return 0;
}
