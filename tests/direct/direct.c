/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's kernel without runtime, gofer and cage: for looking at it and for the syscall
 * programs of tests/syscalls.
 *
 *   direct [--platform NAME] [--strace] [--privileged] [--root DIR] [--] PROGRAM [ARGUMENT...]
 *
 * The root is a tmpfs with a copy of DIR (small, please) and of PROGRAM at its host path; proc,
 * dev, sys and tmp are there. --privileged gives every capability. The exit status is the
 * program's, 128 + n for signal n.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "sentry/boot/first.h"
#include "sentry/boot/kernel.h"
#include "sentry/boot/mounts.h"
#include "sentry/boot/sandbox.h"
#include "sentry/core/kloop.h"
#include "sentry/mm/ipc_ns.h"
#include "sentry/net/net_ns.h"

static char **words;
static const char *root_dir;
static uint64_t capabilities = 0xa80425fbull; /* what containers get by default */
static struct cred *cred;
static struct path root_path;
static struct vfs_ctx ctx;

static char proc[] = "/proc", dev[] = "/dev", sys[] = "/sys", tmp[] = "/tmp", pts[] = "/dev/pts",
	    shm[] = "/dev/shm", mqueue[] = "/dev/mqueue", none[] = "none", nothing[] = "",
	    sticky[] = "mode=1777", id[] = "direct", slash[] = "/";

static struct sentry_mount mounts[] = {
	{ .destination = proc, .type = SENTRY_MOUNT_PROC, .source = none, .data = nothing },
	{ .destination = dev, .type = SENTRY_MOUNT_TMPFS, .source = none, .data = nothing },
	{ .destination = pts, .type = SENTRY_MOUNT_DEVPTS, .source = none, .data = nothing },
	{ .destination = shm, .type = SENTRY_MOUNT_TMPFS, .source = none, .data = sticky },
	{ .destination = mqueue, .type = SENTRY_MOUNT_MQUEUE, .source = none, .data = nothing },
	{ .destination = sys, .type = SENTRY_MOUNT_SYSFS, .source = none, .data = nothing },
	{ .destination = tmp, .type = SENTRY_MOUNT_TMPFS, .source = none, .data = sticky },
};

static _Noreturn void give_up(const char *what, int r)
{
	(void)fprintf(stderr, "direct: %s: %s\n", what, strerror(-r));
	_exit(125);
}

int exit_code_of(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static void on_exit_of_init(void *arg, struct thread_group *tg, int wait_status)
{
	kloop_stop(exit_code_of(wait_status));
}

static void copy_file(const char *from, const char *to, mode_t mode)
{
	static char bytes[1 << 16];
	const int in = open(from, O_RDONLY | O_CLOEXEC);
	struct file *f;
	ssize_t n;
	int r = vfs_open(&ctx, NULL, to, O_CREAT | O_TRUNC | O_WRONLY, mode & 07777, 0, &f);

	if (in < 0 || r < 0)
		give_up(to, in < 0 ? -errno : r);
	while ((n = read(in, bytes, sizeof(bytes))) > 0) {
		struct iovec single;
		struct uio u;

		uio_init(&u, NULL, &single, (uintptr_t)bytes, (size_t)n);
		if (file_write(f, &u, NULL, UINT64_MAX) != n)
			give_up(to, -EIO);
	}
	file_unref(f);
	(void)close(in);
}

static void copy_tree(const char *from, const char *to)
{
	DIR *dir = opendir(from);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		AUTO_FREE char *source = NULL;
		AUTO_FREE char *target = NULL;
		char link[4096] = "";
		struct stat st;

		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..") ||
		    str_printf(&source, "%s/%s", from, entry->d_name) < 0 ||
		    str_printf(&target, "%s/%s", to, entry->d_name) < 0 || lstat(source, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			(void)vfs_mkdir(&ctx, NULL, target, st.st_mode & 07777);
			copy_tree(source, target);
		} else if (S_ISLNK(st.st_mode)) {
			if (readlink(source, link, sizeof(link) - 1) > 0)
				(void)vfs_symlink(&ctx, NULL, target, link);
		} else if (S_ISREG(st.st_mode)) {
			copy_file(source, target, st.st_mode);
		}
	}
	if (dir)
		(void)closedir(dir);
}

static void make_parents(const char *path)
{
	for (const char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		AUTO_FREE char *part = strndup(path, (size_t)(at - path));

		(void)vfs_mkdir(&ctx, NULL, part, 0755);
	}
}

static void fill_root(struct mount_ns *ns)
{
	struct stat st;

	root_path = (struct path){ ns->root, ns->root->root };
	ctx = (struct vfs_ctx){
		.cred = cred, .root = &root_path, .cwd = &root_path, .fsize_limit = UINT64_MAX
	};
	if (root_dir)
		copy_tree(root_dir, "");
	if (words[0][0] == '/' && stat(words[0], &st) == 0 && !root_dir) {
		make_parents(words[0]);
		copy_file(words[0], words[0], st.st_mode);
	}
}

/* Leave out what is not built. */
static void choose_mounts(struct sentry_container *c)
{
	static const char *const types[] = { "", "proc", "sysfs", "tmpfs", "devpts", "mqueue" };
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->mounts_len; i++) {
		if (filesystem_find(types[c->mounts[i].type]))
			c->mounts[n++] = c->mounts[i];
	}
	c->mounts_len = n;
}

static void boot(void *arg)
{
	struct sentry_container *c = sandbox.description;
	struct filesystem_type *type = filesystem_find("tmpfs");
	struct namespaces parts = { 0 };
	struct superblock *root;
	struct err err = { 0 };
	int fds[3];
	struct first_options first = { .process = &c->process,
				       .host_fds = fds,
				       .on_exit = on_exit_of_init };
	int r;

	cred = cred_new_root();
	r = type->mount(type, "root", "mode=755", cred, &root);
	if (r < 0)
		give_up("tmpfs", r);
	choose_mounts(c);
	for (int i = 0; i < 3; i++)
		fds[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
	sandbox.container = container_new(id, CONTAINER_TASKS_MAX);
	r = pid_ns_new(NULL, &sandbox.pid_ns);
	if (r < 0)
		give_up("pid namespace", r);
	r = boot_mounts(c, root, sandbox.pid_ns, &sandbox.mounts, &err);
	if (r < 0)
		give_up(err.msg, r);
	fill_root(sandbox.mounts);
	parts.mnt = sandbox.mounts;
	parts.pid_for_children = sandbox.pid_ns;
	r = uts_ns_new("direct", "(none)", &parts.uts);
	if (r == 0)
		r = net_ns_new(true, &parts.net);
	parts.ipc = r == 0 ? ipc_ns_new(ns_new_id()) : NULL;
	sandbox.ns = parts.ipc ? namespaces_new(&parts) : NULL;
	if (!sandbox.ns)
		give_up("namespaces", r);
	first.container = sandbox.container;
	first.ns = sandbox.ns;
	first.mounts = sandbox.mounts;
	r = first_load(&first, &sandbox.init, &err);
	if (r < 0)
		give_up(err.msg, r);
	r = task_start(sandbox.init);
	if (r < 0)
		give_up("start", r);
}

struct member sandbox;

/* The program caisson-stub of the same build: this is BUILD/tests/direct/direct. */
static int open_stub(void)
{
	char path[4096];
	const ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	char *end;

	if (n <= 0)
		return -EBADF;
	path[n] = '\0';
	end = strstr(path, "/tests/direct/");
	if (!end)
		return -EBADF;
	(void)strcpy(end, "/libexec/caisson/caisson-stub");
	return open(path, O_PATH | O_CLOEXEC);
}

/* What the runtime hands over: where the machine is described. */
static void open_proc(void)
{
	const int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || dup3(fd, SENTRY_FD_PROC, O_CLOEXEC) < 0)
		give_up("/proc", -errno);
	(void)close(fd);
}

int main(int argc, char **argv)
{
	static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", home[] = "HOME=/tmp",
		    tmpdir[] = "TMPDIR=/tmp", lang[] = "LANG=C.UTF-8";
	static char *env[] = { path, home, tmpdir, lang, NULL };
	static struct sentry_container c;
	struct err err = { 0 };
	int i = 1, stub;

	c.platform = SENTRY_PLATFORM_PTRACE;
	c.strace = nothing;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (str_eq(argv[i], "--platform") && i + 1 < argc)
			c.platform = str_eq(argv[++i], "systrap") ? SENTRY_PLATFORM_SYSTRAP
								  : SENTRY_PLATFORM_PTRACE;
		else if (str_eq(argv[i], "--root") && i + 1 < argc)
			root_dir = argv[++i];
		else if (str_eq(argv[i], "--privileged"))
			capabilities = (2ull << CAP_LAST_CAP) - 1;
		else if (str_eq(argv[i], "--strace"))
			c.strace = (char[]){ "all" };
		else
			break;
	}
	i += i < argc && str_eq(argv[i], "--");
	if (i >= argc)
		return 2;
	words = argv + i;
	c.id = id;
	c.debug = nothing;
	c.hostname = id;
	c.domainname = nothing;
	c.mounts = mounts;
	c.mounts_len = ARRAY_LEN(mounts);
	c.limits = (struct sentry_limits){ UINT64_MAX, UINT64_MAX, UINT64_MAX,
					   UINT64_MAX, UINT64_MAX, UINT64_MAX };
	c.process.args = (struct sentry_strings){ words, (uint32_t)(argc - i) };
	c.process.env = (struct sentry_strings){ env, ARRAY_LEN(env) - 1 };
	c.process.cwd = slash;
	c.process.program = nothing;
	c.process.umask = 022;
	c.process.cap_bounding = c.process.cap_effective = capabilities;
	c.process.cap_permitted = capabilities;
	sandbox.description = &c;
	open_proc();
	(void)signal(SIGPIPE, SIG_IGN);
	stub = open_stub();
	if (stub < 0 && c.platform == SENTRY_PLATFORM_SYSTRAP)
		give_up("libexec/caisson/caisson-stub of the build directory", -errno);
	if (kernel_init(&c, stub, &err) < 0 || fiber_spawn("boot", boot, NULL, NULL) < 0) {
		(void)fprintf(stderr, "direct: %s\n", err.msg);
		return 125;
	}
	return kloop_run();
}
