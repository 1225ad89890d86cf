/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What needs a right goes before what takes it away: limits, root directory, bounding set, ids, the
 * rest of the capabilities, system calls. QEMU then adds a filter of its own (-sandbox).
 */
#include "hypervisor/qemu.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "host/caps.h"
#include "hypervisor/qemu_args.h"
#include "hypervisor/qemu_filter.h"
#include "hypervisor/qemu_root.h"
#include "jail/jail.h"

/* Root's exec gives nothing. */
#define BITS (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED)

static const char *const places[] = { "/usr/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm",
				      "/usr/local/bin/qemu-system-x86_64" };

static int open_program(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || faccessat(fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
		return -EACCES;
	return TAKE_FD(fd);
}

int qemu_find(const char *path, struct err *err)
{
	int fd = -ENOENT;

	if (path && *path) {
		fd = open_program(path);
		return fd < 0 ? err_sys(err, fd, "QEMU: %s", path) : fd;
	}
	for (size_t i = 0; fd == -ENOENT && i < ARRAY_LEN(places); i++) {
		fd = open_program(places[i]);
		if (fd < 0 && fd != -ENOENT)
			return err_sys(err, fd, "QEMU: %s", places[i]);
	}
	return fd == -ENOENT ? err_set(err, fd, "QEMU is not installed: no %s, %s or %s", places[0],
				       places[1], places[2])
			     : fd;
}

/* ---- Who it is ---- */

/* Whether a group is needed to open /dev/kvm, and which. Looked at before the host is left. */
static bool group_of_kvm(const struct machine *m, gid_t *ret)
{
	struct stat st;

	if (m->accel != MACHINE_KVM || stat("/dev/kvm", &st) < 0 ||
	    (st.st_mode & (S_IROTH | S_IWOTH)) == (S_IROTH | S_IWOTH) ||
	    (st.st_mode & (S_IRGRP | S_IWGRP)) != (S_IRGRP | S_IWGRP))
		return false;
	*ret = st.st_gid;
	return true;
}

static int drop_bounding(void)
{
	for (uint32_t cap = 0; cap <= caps_last(); cap++) {
		if (prctl(PR_CAPBSET_DROP, (unsigned long)cap, 0L, 0L, 0L) < 0)
			return errno == EPERM ? 0 : -errno;
	}
	return 0;
}

/* `kvm` or NULL: the only supplementary group. */
static int become_user(const struct qemu_plan *plan, const gid_t *kvm, struct err *err)
{
	int r = drop_bounding();

	if (r < 0)
		return err_sys(err, r, "QEMU: the bounding set of capabilities");
	if (prctl(PR_SET_SECUREBITS, (unsigned long)BITS, 0L, 0L, 0L) < 0 && errno != EPERM)
		return err_sys(err, -errno, "QEMU: prctl PR_SET_SECUREBITS");
	/*
	 * EPERM: a user namespace that a user mapped alone. EINVAL: one that does not map the group
	 * of /dev/kvm: the user's own groups stay, which may have it, and open nothing else there.
	 */
	if (setgroups(kvm ? 1 : 0, kvm) < 0 && errno != EPERM && (!kvm || errno != EINVAL))
		return err_sys(err, -errno, "QEMU: setgroups");
	if (plan->gid && setresgid(plan->gid, plan->gid, plan->gid) < 0)
		return err_sys(err, -errno, "QEMU: become group %u", plan->gid);
	if (plan->uid && setresuid(plan->uid, plan->uid, plan->uid) < 0)
		return err_sys(err, -errno, "QEMU: become user %u", plan->uid);
	r = jail_capabilities(0);
	if (r == 0)
		r = jail_no_dump();
	if (r < 0)
		return err_sys(err, r, "QEMU: drop its rights");
	/* Changed ids have cleared it. */
	if (prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0L, 0L, 0L) < 0)
		return err_sys(err, -errno, "QEMU: prctl PR_SET_PDEATHSIG");
	return 0;
}

/* ---- Its descriptors ---- */

static int keep(int fd)
{
	if (fd <= STDERR_FILENO)
		return -EINVAL;
	return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
}

static int keep_all(const struct machine *m)
{
	int r = keep(m->monitor);

	if (r == 0)
		r = keep(m->agent);
	if (r == 0)
		r = keep(m->console);
	if (r == 0 && m->files >= 0)
		r = keep(m->files);
	for (unsigned int i = 0; r == 0 && i < m->disks_len; i++)
		r = keep(m->disks[i].fd);
	for (unsigned int i = 0; r == 0 && i < m->nics_len; i++) {
		for (unsigned int q = 0; r == 0 && q < m->nics[i].taps_len; q++)
			r = keep(m->nics[i].taps[q]);
	}
	return r;
}

/* A description of its own of what others have, too: a position that nobody moves. */
static int reopen(int fd, int flags, int target)
{
	char path[FD_PATH_MAX];
	const int own = open(fd_path(fd, path), flags | O_CLOEXEC);
	int r;

	if (own < 0)
		return -errno;
	r = own == target || dup2(own, target) >= 0 ? 0 : -errno;
	if (own != target)
		(void)close(own);
	return r < 0 ? r : keep(target);
}

/* Nothing of the machine has these two numbers. */
static bool is_free(const struct machine *m, int fd)
{
	bool used = m->monitor == fd || m->agent == fd || m->console == fd || m->kernel == fd ||
		    m->initrd == fd || m->memory_file == QEMU_STATE_FD;

	for (unsigned int i = 0; i < m->disks_len; i++)
		used = used || m->disks[i].fd == fd;
	for (unsigned int i = 0; i < m->nics_len; i++) {
		for (unsigned int q = 0; q < m->nics[i].taps_len; q++)
			used = used || m->nics[i].taps[q] == fd;
	}
	return !used;
}

static int keep_template(const struct machine *m)
{
	const bool saved = m->role == MACHINE_CLONE || m->role == MACHINE_COPY;
	int r = 0;

	if (m->role == MACHINE_FRESH)
		return 0;
	if (!is_free(m, QEMU_MEMORY_FD) || !is_free(m, QEMU_STATE_FD))
		return -EINVAL;
	if (saved)
		r = reopen(m->state, O_RDONLY, QEMU_STATE_FD);
	return r < 0 ? r : reopen(m->memory_file, O_RDWR, QEMU_MEMORY_FD);
}

/* *ret_program: where the program's descriptor is then (qemu_filter.h). */
static int lay_out(const struct qemu_plan *plan, int *ret_program, struct err *err)
{
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
	const int words = fcntl(plan->words, F_DUPFD_CLOEXEC, 3);
	const int program = fcntl(plan->program, F_DUPFD_CLOEXEC, QEMU_MEMORY_FD + 1);
	int r = 0;

	if (plan->machine->kernel <= STDERR_FILENO ||
	    (plan->machine->initrd >= 0 && plan->machine->initrd <= STDERR_FILENO))
		return err_set(err, -EINVAL, "QEMU: kernel or image is a standard descriptor");
	if (null < 0 || words < 0 || program < 0)
		return err_sys(err, -errno, "QEMU: its descriptors");
	if (dup2(null, 0) < 0 || dup2(words, 1) < 0 || dup2(words, 2) < 0)
		return err_sys(err, -errno, "QEMU: its standard descriptors");
	if (null <= STDERR_FILENO)
		null = -EBADF;
	r = fd_close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	if (r == 0)
		r = keep_all(plan->machine);
	if (r == 0)
		r = keep_template(plan->machine);
	return r < 0 ? err_sys(err, r, "QEMU: the machine's descriptors")
		     : qemu_filter_lift(program, ret_program, err);
}

int qemu_become(const struct qemu_plan *plan, struct err *err)
{
	const struct machine *m = plan->machine;
	gid_t kvm;
	const bool grouped = group_of_kvm(m, &kvm);
	/* A few threads that allocate little need no heap of 64 MiB each. */
	char arenas[] = "MALLOC_ARENA_MAX=1";
	char *const envp[] = { arenas, NULL };
	char **argv = NULL;
	int program = -EBADF;
	int r = qemu_args("qemu-system-x86_64", m, &argv, err);

	if (r == 0)
		r = lay_out(plan, &program, err);
	if (r == 0)
		r = qemu_root_enter(program, m, err);
	if (r == 0)
		r = become_user(plan, grouped ? &kvm : NULL, err);
	if (r == 0)
		r = qemu_filter(m, program, err);
	if (r == 0) {
		(void)syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
		r = err_sys(err, -errno, "execute QEMU");
	}
	strv_free(argv);
	return r;
}

int qemu_print(const struct machine *m, struct buf *b, struct err *err)
{
	struct machine plain = *m;
	char **argv = NULL;
	int r;

	plain.kernel = plain.monitor = plain.agent = plain.console = STDERR_FILENO + 1;
	plain.memory_file = plain.state = STDERR_FILENO + 1;
	if (plain.initrd >= 0)
		plain.initrd = STDERR_FILENO + 1;
	r = qemu_args("qemu", &plain, &argv, err);
	for (size_t i = 0; r == 0 && argv[i]; i++)
		(void)buf_printf(b, "%s\n", argv[i]);
	strv_free(argv);
	return r < 0 || !buf_error(b) ? r : err_sys(err, buf_error(b), "QEMU's command line");
}
