/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/probe.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "hypervisor/console.h"
#include "hypervisor/kept.h"
#include "hypervisor/qemu.h"
#include "hypervisor/verdicts.h"

#define INSTRUCTION_LIMIT_MS 2000
#define END_LIMIT_MS	     2000 /* of a process that was killed */
#define KERNEL_LIMIT_MS	     (PROBE_LIMIT_MS - INSTRUCTION_LIMIT_MS - END_LIMIT_MS)
#define KERNEL_MEMORY	     (128ull << 20)

/* ---- One instruction ---- */

/* Code at address 0 of a page that is mapped at GUEST_PAGE. */
#define GUEST_PAGE 0x1000u
#define HLT	   0xf4

enum step { STEP_OK, STEP_OPEN, STEP_VERSION, STEP_VM, STEP_VCPU, STEP_RUN, STEP_EXIT, STEPS };
static const char *const step_words[STEPS] = {
	"",
	"/dev/kvm cannot be opened",
	"KVM has another interface",
	"KVM makes no virtual machine",
	"KVM makes no virtual processor",
	"KVM runs no instruction",
	"KVM fails on a single instruction",
};

/* What a process tells who waits for it, also where nobody gets its status. */
struct outcome {
	bool told;
	enum step step;
	int error; /* of its last call */
};

/* In a process of its own, which may hang in it. */
static enum step run_instruction(void)
{
	const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	const int vm = kvm >= 0 ? ioctl(kvm, KVM_CREATE_VM, 0) : -1;
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = { .guest_phys_addr = GUEST_PAGE,
						      .memory_size = 4096,
						      .userspace_addr = (uintptr_t)page };
	struct kvm_regs regs = { .rip = GUEST_PAGE, .rflags = 2 };
	struct kvm_sregs sregs;
	struct kvm_run *run;
	int vcpu, size;

	if (kvm < 0)
		return STEP_OPEN;
	if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return STEP_VERSION;
	if (vm < 0 || page == MAP_FAILED)
		return STEP_VM;
	page[0] = HLT;
	vcpu = ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) == 0 ? ioctl(vm, KVM_CREATE_VCPU, 0)
								   : -1;
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu < 0 || size < (int)sizeof(*run) || ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return STEP_VCPU;
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (run == MAP_FAILED || ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 ||
	    ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return STEP_VCPU;
	if (ioctl(vcpu, KVM_RUN, 0) < 0)
		return STEP_RUN;
	return run->exit_reason == KVM_EXIT_HLT ? STEP_OK : STEP_EXIT;
}

/* False: it lives on. */
static bool await_end(pid_t pid, int64_t deadline)
{
	for (;;) {
		const pid_t got = waitpid(pid, NULL, WNOHANG);

		/* ECHILD: who ignores SIGCHLD has no status of anybody, only the end. */
		if (got == pid || (got < 0 && errno != EINTR))
			return true;
		if (clock_ms() >= deadline)
			return false;
		(void)poll(NULL, 0, 1);
	}
}

/* What hangs in the kernel does not end then: it is left behind, and reaped with its maker. */
static void end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)await_end(pid, clock_ms() + END_LIMIT_MS);
}

/*
 * What the host is short of, or a cgroup of the caller's forbids: another time it may be otherwise.
 * Who may open the device is a part of what is remembered (make_key()).
 */
static bool is_passing(const struct outcome *o)
{
	switch (o->error) {
	case EPERM:
	case ENOMEM:
	case EAGAIN:
	case EBUSY:
	case EINTR:
	case EMFILE:
	case ENFILE:
		return true;
	default:
		return o->step == STEP_OPEN && o->error != EACCES;
	}
}

static void judge_instruction(const struct outcome *o, bool in_time, struct probe *ret)
{
	ret->passing = true;
	if (!in_time) {
		(void)snprintf(ret->reason, sizeof(ret->reason),
			       "KVM does not end a single instruction");
	} else if (!o->told) {
		(void)snprintf(ret->reason, sizeof(ret->reason),
			       "who tried a single instruction was ended");
	} else if (o->step != STEP_OK) {
		ret->passing = is_passing(o);
		(void)snprintf(ret->reason, sizeof(ret->reason), "%s%s%s", step_words[o->step],
			       o->error ? ": " : "", o->error ? strerror(o->error) : "");
	} else {
		ret->passing = false;
	}
}

static int probe_instruction(struct probe *ret, struct err *err)
{
	struct outcome *o =
		mmap(NULL, sizeof(*o), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool in_time;
	pid_t pid;

	if (o == MAP_FAILED)
		return err_sys(err, -errno, "probe KVM: memory");
	pid = fork();
	if (pid < 0) {
		(void)munmap(o, sizeof(*o));
		return err_sys(err, -errno, "probe KVM: fork");
	}
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Should it hang, it has neither our lock nor what is our caller's. */
		(void)fd_close_range(STDERR_FILENO + 1, ~0u, 0);
		errno = 0;
		o->step = run_instruction();
		o->error = o->step == STEP_OK || o->step == STEP_EXIT ? 0 : errno;
		o->told = true;
		_exit(0);
	}
	in_time = await_end(pid, clock_ms() + INSTRUCTION_LIMIT_MS);
	if (!in_time)
		end(pid);
	judge_instruction(o, in_time, ret);
	(void)munmap(o, sizeof(*o));
	return 0;
}

/* ---- The kernel ---- */

struct trial {
	pid_t pid;
	int monitor[2], agent[2], console[2], words[2]; /* owned; [0] ours */
	struct vm_console said, complained;
};

static void trial_done(struct trial *t)
{
	int *const fds[] = { t->monitor, t->agent, t->console, t->words };

	if (t->pid > 0)
		end(t->pid);
	for (size_t i = 0; i < 2 * ARRAY_LEN(fds); i++) {
		if (fds[i / 2][i % 2] >= 0)
			(void)close(fds[i / 2][i % 2]);
	}
}

/* QEMU's are none of the standard descriptors. */
static int lift(int fds[2])
{
	const int r = fd_lift(&fds[0]);

	return r < 0 ? r : fd_lift(&fds[1]);
}

static int make_channels(struct trial *t)
{
	int *const pairs[] = { t->monitor, t->agent, t->console };
	int r = pipe2(t->words, O_CLOEXEC) < 0 ? -errno : lift(t->words);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(pairs); i++)
		r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[i]) < 0
			    ? -errno
			    : lift(pairs[i]);
	return r;
}

/* Where the caller has no rights, those of its own user namespace, as the runtime takes them. */
static int become_root(struct err *err)
{
	const unsigned int uid = geteuid(), gid = getegid();
	char uids[32], gids[32];
	int r;

	if (uid == 0)
		return 0;
	(void)snprintf(uids, sizeof(uids), "0 %u 1", uid);
	(void)snprintf(gids, sizeof(gids), "0 %u 1", gid);
	if (unshare(CLONE_NEWUSER) < 0)
		return err_sys(err, -errno, "a user namespace for QEMU");
	r = fd_write_file(AT_FDCWD, "/proc/self/setgroups", "deny");
	if (r == 0)
		r = fd_write_file(AT_FDCWD, "/proc/self/gid_map", gids);
	if (r == 0)
		r = fd_write_file(AT_FDCWD, "/proc/self/uid_map", uids);
	return r < 0 ? err_sys(err, r, "a user namespace for QEMU: its ids") : 0;
}

static int start_trial(struct trial *t, const struct probe_plan *plan, struct err *err)
{
	const struct machine machine = { .accel = MACHINE_KVM,
					 .type = MACHINE_MICROVM,
					 .cpus = 1,
					 .memory = KERNEL_MEMORY,
					 .kernel = plan->kernel,
					 .initrd = -EBADF,
					 .monitor = t->monitor[1],
					 .agent = t->agent[1],
					 .console = t->console[1],
					 .files = -EBADF };
	const struct qemu_plan qemu = { .machine = &machine,
					.program = plan->program,
					.uid = plan->uid,
					.gid = plan->gid,
					.words = t->words[1] };
	struct err failure = { 0 };

	t->pid = fork();
	if (t->pid < 0)
		return err_sys(err, -errno, "probe KVM: fork");
	if (t->pid == 0) {
		if (become_root(&failure) == 0)
			(void)qemu_become(&qemu, &failure);
		(void)fd_write_all(t->words[1], failure.msg, strlen(failure.msg));
		_exit(1);
	}
	(void)close(t->console[1]);
	(void)close(t->words[1]);
	t->console[1] = t->words[1] = -EBADF;
	return 0;
}

/* False at the end of what comes from *fd. */
static bool take(int *fd, struct vm_console *into)
{
	char bytes[4096];
	const ssize_t n = read(*fd, bytes, sizeof(bytes));

	if (n > 0) {
		vm_console_put(into, bytes, (size_t)n);
		return true;
	}
	(void)close(*fd);
	*fd = -EBADF;
	return false;
}

static bool says(const struct vm_console *console, const char *word)
{
	char text[VM_CONSOLE_BYTES + 1];

	(void)vm_console_tail(console, text, sizeof(text));
	return strstr(text, word) != NULL;
}

/*
 * Whether QEMU's end says nothing of KVM: it was killed, or has told of something that the host is
 * short of or a cgroup forbids. Who may open the device is a part of what is remembered.
 */
static bool ended_by_others(struct trial *t)
{
	static const char *const words[] = { "Cannot allocate memory", "Operation not permitted",
					     "Resource temporarily unavailable",
					     "Too many open files", "Device or resource busy" };
	const int64_t deadline = clock_ms() + INSTRUCTION_LIMIT_MS;
	int status = 0;
	pid_t got;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (says(&t->complained, words[i]))
			return true;
	}
	while ((got = waitpid(t->pid, &status, WNOHANG)) == 0 && clock_ms() < deadline)
		(void)poll(NULL, 0, 1);
	if (got == t->pid)
		t->pid = 0;
	return got == 0 || (got > 0 && WIFSIGNALED(status) && WTERMSIG(status) != SIGABRT) ||
	       (t->complained.total == 0 && t->said.total == 0);
}

static void explain(const struct trial *t, struct probe *ret)
{
	char why[160];

	if (vm_console_tail(&t->complained, why, sizeof(why)) == 0)
		(void)vm_console_telling(&t->said, why, sizeof(why));
	for (char *c = why; *c; c++)
		*c = *c == '\n' ? (c[1] ? ' ' : '\0') : *c;
	(void)snprintf(ret->reason, sizeof(ret->reason), "KVM does not run a kernel: %s",
		       *why ? why : "QEMU ended without a word");
}

/*
 * A kernel without an image ends in a panic, and that ends QEMU; one that KVM cannot run stops with
 * a word of QEMU's and nothing else.
 */
static void watch(struct trial *t, struct probe *ret)
{
	const int64_t deadline = clock_ms() + KERNEL_LIMIT_MS;

	while (t->console[0] >= 0 || t->words[0] >= 0) {
		struct pollfd p[] = { { .fd = t->console[0], .events = POLLIN },
				      { .fd = t->words[0], .events = POLLIN } };
		const int64_t left = deadline - clock_ms();

		if (left <= 0) {
			ret->passing = true;
			(void)snprintf(ret->reason, sizeof(ret->reason),
				       "a kernel under KVM says nothing within %d s",
				       KERNEL_LIMIT_MS / 1000);
			return;
		}
		if (poll(p, 2, (int)left) <= 0)
			continue;
		if (p[0].revents)
			(void)take(&t->console[0], &t->said);
		if (p[1].revents)
			(void)take(&t->words[0], &t->complained);
		if (says(&t->said, "Kernel panic - not syncing: VFS:"))
			return;
		if (says(&t->complained, "internal error") ||
		    says(&t->complained, "kvm run failed")) {
			explain(t, ret);
			return;
		}
	}
	ret->passing = ended_by_others(t);
	explain(t, ret);
}

static int probe_kernel(const struct probe_plan *plan, struct probe *ret, struct err *err)
{
	AUTO(trial_done)
	struct trial t = { .monitor = { -1, -1 },
			   .agent = { -1, -1 },
			   .console = { -1, -1 },
			   .words = { -1, -1 } };
	int r = make_channels(&t);

	if (r < 0)
		return err_sys(err, r, "probe KVM: channels");
	r = start_trial(&t, plan, err);
	if (r == 0)
		watch(&t, ret);
	return r;
}

/* ---- What is remembered ---- */

/* The boot of the host, the two files, which a new version replaces, and who may open KVM. */
static int make_key(const struct probe_plan *plan, struct buf *b)
{
	const int fds[] = { plan->program, plan->kernel };
	struct stat kvm;
	int r = kept_append_boot(b);

	if (r < 0)
		return r;
	/* Any user but root is like the others. */
	(void)buf_printf(b, " %u:%d", geteuid(), plan->uid != 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		struct stat st;

		if (fstat(fds[i], &st) < 0)
			return -errno;
		(void)buf_printf(b, " %ju:%ju:%jd:%jd.%09ld", (uintmax_t)st.st_dev,
				 (uintmax_t)st.st_ino, (intmax_t)st.st_size,
				 (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	}
	if (stat("/dev/kvm", &kvm) < 0)
		return -errno;
	(void)buf_printf(b, " %o:%u:%u:%jd.%09ld:%d\n", kvm.st_mode, kvm.st_uid, kvm.st_gid,
			 (intmax_t)kvm.st_ctim.tv_sec, kvm.st_ctim.tv_nsec,
			 access("/dev/kvm", R_OK | W_OK) == 0);
	return buf_error(b);
}

const char *probe_memory(char path[static PATH_MAX])
{
	return kept_path("caisson-kvm", path);
}

/* ---- One at a time ---- */

static int open_lock(const char *memory)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s.lock", memory) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
}

/* False: another one has it for longer than a probe takes. Without a file there is no lock. */
static bool lock(int fd)
{
	const int64_t deadline = clock_ms() + PROBE_LIMIT_MS + END_LIMIT_MS;

	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return true;
		if (clock_ms() >= deadline)
			return false;
		(void)poll(NULL, 0, 10);
	}
	return true;
}

static int try_all(const struct probe_plan *plan, struct probe *ret, struct err *err)
{
	int r = probe_instruction(ret, err);

	if (r == 0 && !*ret->reason)
		r = probe_kernel(plan, ret, err);
	ret->accel = *ret->reason ? MACHINE_TCG : MACHINE_KVM;
	return r;
}

static int probe_locked(const struct probe_plan *plan, struct buf *key, struct probe *ret,
			struct err *err)
{
	AUTO_CLOSE int fd = open_lock(plan->memory);
	int r;

	if (!lock(fd)) {
		ret->passing = true;
		(void)snprintf(ret->reason, sizeof(ret->reason),
			       "another probe of KVM does not come to its end");
		return 0;
	}
	/* Who had the lock has found it out. */
	if (!plan->again && verdicts_recall(plan->memory, key, ret)) {
		ret->remembered = true;
		return 0;
	}
	r = try_all(plan, ret, err);
	if (r == 0 && !ret->passing)
		verdicts_keep(plan->memory, key, ret);
	return r;
}

int hypervisor_probe(const struct probe_plan *plan, struct probe *ret, struct err *err)
{
	AUTO_BUF struct buf key = { .max = VERDICT_KEY_MAX };
	struct probe probe = { .accel = MACHINE_TCG };
	int r = 0;

	if (access("/dev/kvm", F_OK) < 0) {
		(void)snprintf(probe.reason, sizeof(probe.reason), "there is no /dev/kvm");
	} else if (!plan->memory || make_key(plan, &key) < 0) {
		r = try_all(plan, &probe, err);
	} else if (!plan->again && verdicts_recall(plan->memory, &key, &probe)) {
		probe.remembered = true;
	} else {
		r = probe_locked(plan, &key, &probe, err);
	}
	if (r == 0)
		*ret = probe;
	return r;
}
