/* SPDX-License-Identifier: Apache-2.0 */
#include "host/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/pidfd.h"
#include "host/procfs.h"

#define HELPER_OUTPUT_MAX 512

#define UID_FIELD "linux.uidMappings"
#define GID_FIELD "linux.gidMappings"

/* Where distributions install newuidmap(1). Never PATH: the caller's environment may be hostile. */
static const char *const helper_directories[] = {
	"/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/run/current-system/sw/bin",
};

static int map_text(const struct oci_id_maps *maps, struct buf *text)
{
	for (size_t i = 0; i < maps->len; i++)
		(void)buf_printf(text, "%u %u %u\n", maps->items[i].container_id,
				 maps->items[i].host_id, maps->items[i].size);
	return buf_error(text);
}

/* Write /proc/PID/NAME through the given procfs root. */
static int write_pid_file(int procfd, pid_t pid, const char *name, const char *text,
			  struct err *err)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	return procfs_write(procfd, path, text, err);
}

static int write_map(int procfd, pid_t pid, const char *name, const struct oci_id_maps *maps,
		     struct err *err)
{
	AUTO_BUF struct buf text = { 0 };
	const int r = map_text(maps, &text);

	if (r < 0)
		return err_sys(err, r, "%s", name);
	return write_pid_file(procfd, pid, name, text.data, err);
}

static int check_maps(const struct oci_id_maps *maps, const char *field, struct err *err)
{
	if (maps->len == 0)
		return err_set(err, -EINVAL, "%s is empty: a user namespace needs a mapping",
			       field);
	if (maps->len > IDS_MAPS_MAX)
		return err_set(err, -EINVAL, "%s has %zu ranges, the kernel takes %d", field,
			       maps->len, IDS_MAPS_MAX);
	return 0;
}

static int find_helper(const char *name, char path[static 64], struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(helper_directories); i++) {
		struct stat st;

		(void)snprintf(path, 64, "%s/%s", helper_directories[i], name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111))
			return 0;
	}
	return err_set(err, -ENOENT,
		       "%s is not installed; mapping more than the own id without privilege needs "
		       "it (package uidmap)",
		       name);
}

/* argv of the helper: NAME PID (CONTAINER HOST SIZE)... */
static int helper_argv(const char *path, pid_t pid, const struct oci_id_maps *maps, char ***ret)
{
	AUTO_STRV char **argv = NULL;
	char number[16];
	int r;

	(void)snprintf(number, sizeof(number), "%d", (int)pid);
	r = strv_add(&argv, path);
	r = r < 0 ? r : strv_add(&argv, number);
	for (size_t i = 0; r == 0 && i < maps->len; i++) {
		const uint32_t ids[] = { maps->items[i].container_id, maps->items[i].host_id,
					 maps->items[i].size };

		for (size_t k = 0; r == 0 && k < ARRAY_LEN(ids); k++) {
			(void)snprintf(number, sizeof(number), "%u", ids[k]);
			r = strv_add(&argv, number);
		}
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(argv);
	return 0;
}

/* Start with an empty environment, standard output and error into `output`. */
static int spawn_helper(char **argv, int output, pid_t *ret_pid)
{
	char *const no_environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
	if (r == 0)
		r = posix_spawn(ret_pid, argv[0], &actions, NULL, argv, no_environment);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int run_helper(const char *name, pid_t pid, const struct oci_id_maps *maps, struct err *err)
{
	AUTO_BUF struct buf output = { .max = HELPER_OUTPUT_MAX };
	AUTO_CLOSE int reader = -EBADF;
	AUTO_CLOSE int writer = -EBADF;
	AUTO_STRV char **argv = NULL;
	int pipe_fds[2], status, r;
	char path[64];
	pid_t child;

	r = find_helper(name, path, err);
	if (r < 0)
		return r;
	r = helper_argv(path, pid, maps, &argv);
	if (r < 0)
		return err_sys(err, r, "%s", name);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "pipe");
	reader = pipe_fds[0];
	writer = pipe_fds[1];
	r = spawn_helper(argv, writer, &child);
	if (r < 0)
		return err_sys(err, r, "start %s", path);
	(void)close(TAKE_FD(writer));
	(void)fd_read_all(reader, &output);
	(void)close(TAKE_FD(reader)); /* a helper that says more gets SIGPIPE, not a full pipe */
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return err_sys(err, -errno, "wait for %s", path);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (output.data)
		output.data[strcspn(output.data, "\n")] = '\0';
	return err_set(err, -EPERM, "%s refused the mapping (status %d): %s", path,
		       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
		       output.data ? output.data : "no message");
}

/* user_namespaces(7): without CAP_SETUID one range of one id, the caller's own, may be written. */
static bool is_own_id(const struct oci_id_maps *maps, uint32_t id)
{
	return maps->len == 1 && maps->items[0].size == 1 && maps->items[0].host_id == id;
}

static int write_maps_unprivileged(int procfd, pid_t pid, const struct oci_id_maps *uids,
				   const struct oci_id_maps *gids, struct err *err)
{
	int r;

	if (is_own_id(uids, geteuid()))
		r = write_map(procfd, pid, "uid_map", uids, err);
	else
		r = run_helper("newuidmap", pid, uids, err);
	if (r < 0)
		return err_prefix(err, r, UID_FIELD);
	if (is_own_id(gids, getegid())) {
		r = write_pid_file(procfd, pid, "setgroups", "deny", err);
		r = r < 0 ? r : write_map(procfd, pid, "gid_map", gids, err);
	} else {
		r = run_helper("newgidmap", pid, gids, err);
	}
	return r < 0 ? err_prefix(err, r, GID_FIELD) : 0;
}

int ids_write_maps(pid_t pid, const struct oci_id_maps *uids, const struct oci_id_maps *gids,
		   bool unprivileged, struct err *err)
{
	AUTO_CLOSE int procfd = -EBADF;
	int r;

	r = check_maps(uids, UID_FIELD, err);
	r = r < 0 ? r : check_maps(gids, GID_FIELD, err);
	if (r < 0)
		return r;
	procfd = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = procfd < 0 ? -errno : procfs_verify_root(procfd);
	if (r < 0)
		return err_sys(err, r, "/proc");
	if (unprivileged)
		return write_maps_unprivileged(procfd, pid, uids, gids, err);
	/* "allow" is the default of setgroups; the maps of a privileged writer need nothing more.
	 */
	r = write_map(procfd, pid, "uid_map", uids, err);
	if (r < 0)
		return err_prefix(err, r, UID_FIELD);
	r = write_map(procfd, pid, "gid_map", gids, err);
	return r < 0 ? err_prefix(err, r, GID_FIELD) : 0;
}

/*
 * A child in a new user namespace that does nothing but wait for its end. It shares no memory, and
 * it ends by itself should the parent die: the read returns when the last writer is gone.
 */
static pid_t userns_child(int *ret_pidfd, int *ret_writer)
{
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_PIDFD, .exit_signal = SIGCHLD };
	int pipe_fds[2], pidfd = -EBADF;
	long pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	args.pidfd = (uint64_t)(uintptr_t)&pidfd;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		char byte;

		(void)close(pipe_fds[1]);
		while (read(pipe_fds[0], &byte, 1) < 0 && errno == EINTR)
			;
		_exit(0);
	}
	if (pid < 0)
		pid = -errno;
	(void)close(pipe_fds[0]);
	if (pid < 0) {
		(void)close(pipe_fds[1]);
		return (pid_t)pid;
	}
	*ret_pidfd = pidfd;
	*ret_writer = pipe_fds[1];
	return (pid_t)pid;
}

int ids_userns_open(const struct oci_id_maps *uids, const struct oci_id_maps *gids, struct err *err)
{
	AUTO_CLOSE int pidfd = -EBADF;
	AUTO_CLOSE int writer = -EBADF;
	AUTO_CLOSE int ns = -EBADF;
	int r, status;
	char path[40];
	pid_t pid;

	pid = userns_child(&pidfd, &writer);
	if (pid < 0)
		return err_sys(err, pid, "make a user namespace for an idmapped mount");
	r = ids_write_maps(pid, uids, gids, geteuid() != 0, err);
	if (r == 0) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		ns = open(path, O_RDONLY | O_CLOEXEC);
		if (ns < 0)
			r = err_sys(err, -errno, "open %s", path);
	}
	(void)pidfd_kill(pidfd, SIGKILL);
	(void)pidfd_reap(pidfd, &status);
	if (r < 0)
		return err_prefix(err, r, "mapping of an idmapped mount");
	return TAKE_FD(ns);
}
