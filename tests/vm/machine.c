/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/machine.h"

#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "host/pidfd.h"
#include "hypervisor/machine.h"
#include "hypervisor/qemu.h"

#define VIRTIOFSD "/usr/lib/qemu/virtiofsd"
#define BUSYBOX	  "/bin/busybox"

/* GUEST: the build's directory with vmlinux and image. */
bool guest_is_possible(void)
{
	static const char *const needed[] = { GUEST "/vmlinux", GUEST "/image", VIRTIOFSD, BUSYBOX,
					      "/usr/bin/qemu-system-x86_64" };

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		if (access(needed[i], R_OK) < 0) {
			print_message("%s is not there (make guest): CAVEATS.md#vm-guest\n",
				      needed[i]);
			return false;
		}
	}
	if (geteuid() != 0)
		print_message("skipped: a cage needs root: CAVEATS.md#unit-root\n");
	return geteuid() == 0;
}

void guest_make_root(const char *path)
{
	static const char *const directories[] = { "", "/bin", "/proc", "/dev", "/sys", "/tmp" };
	static const char *const words[] = { "sh",   "cat",  "echo", "sleep", "true", "false",
					     "kill", "stty", "ls",   "head",  "mkdir" };
	char command[256], name[128];

	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, directories[i]);
		assert_true(mkdir(name, 0755) == 0 || errno == EEXIST);
	}
	(void)snprintf(command, sizeof(command), "cp " BUSYBOX " %s/bin/busybox", path);
	assert_int_equal(system(command), 0);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		(void)snprintf(name, sizeof(name), "%s/bin/%s", path, words[i]);
		assert_int_equal(symlink("busybox", name), 0);
	}
}

static void pair_of(int *ours, int *theirs)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*ours = pair[0];
	*theirs = pair[1];
}

/* virtiofsd on a listening socket; *ret is connected to it. */
static pid_t start_files(const char *share, int *ret)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char fd[32], source[96];
	pid_t pid;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s.sock", share);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	*ret = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*ret, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)unlink(address.sun_path);
	(void)snprintf(fd, sizeof(fd), "--fd=%d", listener);
	(void)snprintf(source, sizeof(source), "source=%s", share);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)fcntl(listener, F_SETFD, 0);
		(void)execl(VIRTIOFSD, "virtiofsd", fd, "-o", source, "-f", NULL);
		_exit(127);
	}
	(void)close(listener);
	return pid;
}

static pid_t start_qemu(const struct machine *m, int program)
{
	const pid_t pid = fork();

	if (pid == 0) {
		const struct qemu_plan plan = { .machine = m,
						.program = program,
						.words = STDERR_FILENO };
		struct err err = { 0 };

		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			perror("unshare");
		(void)qemu_become(&plan, &err);
		(void)fprintf(stderr, "%s\n", err.msg);
		_exit(127);
	}
	return pid;
}

/* As docs/VM.md: an emulated processor counts the host's time stamps. */
static uint64_t host_khz(void)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];
	double mhz = 0;

	while (file && fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, "cpu MHz", 7) == 0 && colon)
			mhz = strtod(colon + 1, NULL);
	}
	if (file)
		(void)fclose(file);
	return (uint64_t)(mhz * 1000);
}

void guest_start(struct guest *g)
{
	struct machine m = { .cpus = 1,
			     .memory = 256ull << 20,
			     .tsc_khz = host_khz(),
			     .kernel = open(GUEST "/vmlinux", O_PATH | O_CLOEXEC),
			     .initrd = open(GUEST "/image", O_PATH | O_CLOEXEC),
			     .files = -EBADF };
	struct err err = { 0 };
	const int program = qemu_find(NULL, &err);
	char root[96];

	*g = (struct guest){ .share = "/tmp/caisson-guest-XXXXXX" };
	assert_true(program >= 0);
	assert_non_null(mkdtemp(g->share));
	(void)snprintf(root, sizeof(root), "%s/root", g->share);
	guest_make_root(root);
	g->files = start_files(g->share, &m.files);
	pair_of(&g->agent, &m.agent);
	pair_of(&g->console, &m.console);
	pair_of(&g->monitor, &m.monitor);
	g->qemu = start_qemu(&m, program);
	(void)close(m.files);
	(void)close(m.agent);
	(void)close(m.console);
	(void)close(m.monitor);
	(void)close(m.kernel);
	(void)close(m.initrd);
	(void)close(program);
}

const char *guest_console(struct guest *g)
{
	static char text[65536];
	const ssize_t n = recv(g->console, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

int guest_wait(struct guest *g)
{
	const int pidfd = pidfd_get(g->qemu);
	int status = 0;

	assert_true(pidfd >= 0);
	if (pidfd_wait(pidfd, 60000) < 0)
		fail_msg("QEMU does not end; the console: %s", guest_console(g));
	(void)close(pidfd);
	assert_int_equal(waitpid(g->qemu, &status, 0), g->qemu);
	g->qemu = 0;
	return status;
}

void guest_stop(struct guest *g)
{
	const pid_t pids[] = { g->qemu, g->files };
	char command[128];

	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		if (pids[i] > 0) {
			(void)kill(pids[i], SIGKILL);
			(void)waitpid(pids[i], NULL, 0);
		}
	}
	(void)close(g->console);
	(void)close(g->monitor);
	(void)snprintf(command, sizeof(command), "rm -rf %s", g->share);
	assert_int_equal(system(command), 0);
	*g = (struct guest){ 0 };
}
