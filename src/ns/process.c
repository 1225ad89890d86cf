/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From "in the container's namespaces" to "caisson-init runs": the attributes that exec(2) keeps
 * are set here, where there is a libc; those that depend on the final credentials are
 * caisson-init's.
 */
#include "ns/stage.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/console.h"
#include "host/sched.h"
#include "ns/message.h"

extern const char init_image_start[], init_image_end[]; /* init_image.S */

int stage_init_image(struct err *err)
{
	AUTO_CLOSE int fd = -EBADF;
	int r;

#ifdef MFD_EXEC
	fd = memfd_create("caisson-init", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
#endif
		fd = memfd_create("caisson-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(err, -errno, "memfd_create for caisson-init (vm.memfd_noexec?)");
	r = fd_write_all(fd, init_image_start, (size_t)(init_image_end - init_image_start));
	if (r < 0)
		return err_sys(err, r, "write caisson-init");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return err_sys(err, -errno, "seal caisson-init");
	return TAKE_FD(fd);
}

/* A session keyring of its own, so that the host's keys stay the host's (keyctl(2)). */
static int join_keyring(const char *name, struct err *err)
{
	if (!name)
		return 0;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0) {
		/* Kernels without keys, and filters of an outer container. */
		if (errno == ENOSYS || errno == EPERM)
			return 0;
		return err_sys(err, -errno, "join session keyring %s", name);
	}
	return 0;
}

int stage_open_terminal(const struct stage_process *p, int *ret_slave, struct err *err)
{
	AUTO_CLOSE int pts =
		fd_open_resolve(AT_FDCWD, "/dev/pts", O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
	AUTO_CLOSE int master = -EBADF;
	AUTO_CLOSE int slave = -EBADF;
	int r;

	if (pts < 0)
		return err_sys(err, pts, "open /dev/pts for the console");
	r = console_open_at(pts, &master, &slave, err);
	if (r < 0)
		return r;
	r = console_set_size(slave, p->terminal->rows, p->terminal->cols);
	if (r < 0)
		return err_sys(err, r, "set the size of the console");
	if (p->terminal->console_socket >= 0) {
		char name[CONSOLE_NAME_MAX] = "";

		(void)console_name(master, name);
		r = fd_send(p->terminal->console_socket, name, sizeof(name), &master, 1);
	} else {
		r = stage_send(p->sock, STAGE_TERMINAL, 0, master);
	}
	if (r < 0)
		return err_sys(err, r, "send the console's master");
	for (int fd = 0; fd <= 2; fd++) {
		if (dup2(slave, fd) < 0)
			return err_sys(err, -errno, "make the console descriptor %d", fd);
	}
	*ret_slave = TAKE_FD(slave);
	return 0;
}

/*
 * The user must be able to reopen its standard streams. The group stays: a terminal's is "tty". A
 * stream that is /dev/null is the host's and stays as it is.
 */
static void own_stdio(const struct oci_user *user)
{
	for (int fd = 0; fd <= 2; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0 || st.st_uid == user->uid)
			continue;
		if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
			continue;
		/* EPERM, EINVAL, EROFS: not ours to give (rootless, an unmapped id); runc goes on,
		 * too. */
		if (fchown(fd, user->uid, (gid_t)-1) < 0)
			log_debug("chown standard stream %d: errno %d", fd, errno);
	}
}

static int apply_attributes(const struct stage_process *p, struct err *err)
{
	const struct oci_process *process = p->process;
	int r = join_keyring(p->keyring, err);

	if (r < 0)
		return r;
	if (p->linux && p->linux->personality_set) {
		r = personality_apply(p->linux->personality, err);
		if (r < 0)
			return r;
	}
	if (p->linux) {
		r = memory_policy_apply(&p->linux->memory_policy, err);
		if (r < 0)
			return r;
	}
	if (p->is_exec) {
		r = affinity_apply(0, process->exec_cpu_affinity_final, err);
		if (r < 0)
			return r;
	}
	r = sched_apply(&process->scheduler, err);
	if (r == 0)
		r = ioprio_apply(&process->io_priority, err);
	(void)umask(process->user.umask.set ? (mode_t)process->user.umask.v : 022);
	return r;
}

static bool has_env(const struct oci_strs *env, const char *prefix)
{
	for (size_t i = 0; i < env->len; i++) {
		const char *value = str_after(env->items[i], prefix);

		if (value && *value)
			return true;
	}
	return false;
}

/*
 * Lay out the descriptors for caisson-init: the user's first, then its own three from `first` on,
 * and everything else closed by exec. The sources are lifted above the targets before any is
 * overwritten.
 */
static int place_descriptors(int first, const int sources[3], int image, int *ret_image,
			     struct err *err)
{
	int lifted[3];
	int r;

	*ret_image = fcntl(image, F_DUPFD_CLOEXEC, first + 3);
	for (int i = 0; i < 3; i++)
		lifted[i] = sources[i] < 0 ? -EBADF : fcntl(sources[i], F_DUPFD_CLOEXEC, first + 3);
	if (*ret_image < 0 || lifted[0] < 0 || lifted[1] < 0 || (sources[2] >= 0 && lifted[2] < 0))
		return err_sys(err, -errno, "duplicate descriptors above %d", first);
	r = fd_close_range((unsigned int)first, ~0u, CLOSE_RANGE_CLOEXEC);
	if (r < 0)
		return err_sys(err, r, "close_range");
	for (int i = 0; i < 3; i++) {
		if (lifted[i] >= 0 && dup3(lifted[i], first + i, 0) < 0)
			return err_sys(err, -errno, "duplicate a descriptor to %d", first + i);
	}
	return 0;
}

static int exec_image(const struct stage_process *p, int message, struct err *err)
{
	const int first = 3 + (int)p->preserve_fds;
	const int sources[3] = { message, p->sock, p->gate_fd };
	char number[16];
	char name[] = "caisson-init";
	char *const argv[] = { name, number, NULL };
	char *const envp[] = { NULL };
	int image;
	int r = place_descriptors(first, sources, p->init_fd, &image, err);

	/* Last: a low RLIMIT_NOFILE is the program's, not that of its set-up. */
	if (r == 0)
		r = rlimits_apply(p->process->rlimits, p->process->rlimits_len, 0, err);
	if (r < 0)
		return r;
	(void)snprintf(number, sizeof(number), "%d", first);
	(void)syscall(SYS_execveat, image, "", argv, envp, AT_EMPTY_PATH);
	return err_sys(err, -errno, "exec caisson-init");
}

int stage_become_init(const struct stage_process *p, struct err *err)
{
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *home = NULL;
	AUTO_CLOSE int message = -EBADF;
	int r = stage_find_program(p->process, &path, err);

	if (r < 0)
		return r;
	if (!has_env(&p->process->env, "HOME=")) {
		r = stage_home(p->process->user.uid, &home, err);
		if (r < 0)
			return r;
	}
	own_stdio(&p->process->user);

	const struct message_options options = {
		.process = p->process,
		.seccomp = p->seccomp,
		.path = path,
		.home = home,
		.flags = (p->fork ? INIT_FORK : 0) | (p->process->terminal ? INIT_SET_TTY : 0),
		.gate = p->gate_open	  ? INIT_GATE_OPEN
			: p->gate_fd >= 0 ? INIT_GATE_LISTEN
					  : INIT_GATE_STREAM,
		.keep_original_groups = p->keep_original_groups,
		.may_setgroups = true,
	};
	message = message_memfd(&options, err);
	if (message < 0)
		return message;
	r = apply_attributes(p, err);
	if (r < 0)
		return r;
	return exec_image(p, message, err);
}
