/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "hypervisor/qemu.h"
#include "hypervisor/tsc.h"
#include "lib/unit.h"

#define IMAGE "/tmp/caisson-test-image-%d"

static const char *kernel_path(void)
{
	const char *path = getenv("CAISSON_VMLINUX");

	return path ? path : VM_BUILD "/guest/vmlinux";
}

bool vm_possible(void)
{
	struct err err = { 0 };
	const int program = qemu_find(NULL, &err);

	if (program < 0) {
		print_message("skipped: %s: CAVEATS.md#vm-guest\n", err.msg);
		return false;
	}
	(void)close(program);
	if (access(kernel_path(), R_OK) == 0 && geteuid() == 0)
		return true;
	print_message("skipped: no %s (make guest), or not root: CAVEATS.md#vm-guest\n",
		      kernel_path());
	return false;
}

int vm_kernel(void)
{
	const int fd = open(kernel_path(), O_PATH | O_CLOEXEC);

	assert_true(fd > 2);
	return fd;
}

/* One member of a "newc" archive (Linux: Documentation/driver-api/early-userspace/buffer-format).
 */
static void archive(struct buf *b, const char *name, unsigned int mode, const char *bytes,
		    size_t len)
{
	static unsigned int inode;
	const size_t name_len = strlen(name) + 1;

	(void)buf_printf(b, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", ++inode,
			 mode, 0u, 0u, 1u, 0u, len, 0u, 0u, S_ISCHR(mode) ? 5u : 0u,
			 S_ISCHR(mode) ? 1u : 0u, name_len, 0u);
	(void)buf_append(b, name, name_len);
	(void)buf_append(b, "\0\0\0", -(110 + name_len) % 4);
	(void)buf_append(b, bytes, len);
	(void)buf_append(b, "\0\0\0", -len % 4);
}

int vm_image(void)
{
	AUTO_BUF struct buf init = { 0 }, image = { 0 };
	char path[64];
	int fd;

	assert_int_equal(fd_read_file(AT_FDCWD, VM_INIT, &init), 0);
	archive(&image, "dev", S_IFDIR | 0755, "", 0);
	archive(&image, "dev/console", S_IFCHR | 0600, "", 0);
	archive(&image, "init", S_IFREG | 0755, init.data, init.len);
	archive(&image, "TRAILER!!!", 0, "", 0);
	assert_int_equal(buf_error(&image), 0);
	(void)snprintf(path, sizeof(path), IMAGE, (int)getpid());
	(void)unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd > 2);
	assert_int_equal(fd_write_all(fd, image.data, image.len), 0);
	return fd;
}

static void pair(int *ours, int *theirs)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*ours = fds[0];
	*theirs = fds[1];
}

void vm_init(struct vm *vm)
{
	struct tsc_reading begin;

	hypervisor_tsc_begin(&begin);
	*vm = (struct vm){ .netns = -EBADF, .words = -EBADF };
	vm->machine = (struct machine){
		.type = MACHINE_MICROVM,
		.cpus = 1,
		.memory = 256ull << 20,
		.kernel = vm_kernel(),
		.initrd = vm_image(),
		.files = -EBADF,
		.memory_file = -EBADF,
		.state = -EBADF,
		.tsc_khz = hypervisor_tsc_khz(&begin, NULL),
	};
	pair(&vm->monitor, &vm->machine.monitor);
	pair(&vm->agent, &vm->machine.agent);
	pair(&vm->console, &vm->machine.console);
}

static void close_theirs(struct machine *m)
{
	int *const fds[] = { &m->monitor, &m->agent, &m->console, &m->kernel, &m->initrd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
		*fds[i] = -EBADF;
	}
}

void vm_start(struct vm *vm)
{
	struct err err = { 0 };
	int words[2];

	assert_int_equal(pipe2(words, O_CLOEXEC), 0);
	vm->pid = fork();
	assert_true(vm->pid >= 0);
	if (vm->pid == 0) {
		const struct qemu_plan plan = {
			.machine = &vm->machine,
			.program = qemu_find(vm->program, &err),
			.uid = 61234,
			.gid = 61234,
			.words = words[1],
		};

		if (vm->netns >= 0 && setns(vm->netns, CLONE_NEWNET) < 0)
			(void)err_sys(&err, -errno, "setns");
		else if (plan.program >= 0)
			(void)qemu_become(&plan, &err);
		(void)!write(words[1], err.msg, strlen(err.msg));
		_exit(99);
	}
	(void)close(words[1]);
	vm->words = words[0];
	close_theirs(&vm->machine);
}

void vm_done(struct vm *vm)
{
	char path[64];

	if (vm->pid > 0) {
		(void)kill(vm->pid, SIGKILL);
		(void)waitpid(vm->pid, NULL, 0);
	}
	vm->pid = 0;
	close_theirs(&vm->machine);
	(void)close(vm->agent);
	(void)close(vm->console);
	if (vm->monitor >= 0)
		(void)close(vm->monitor);
	if (vm->words >= 0)
		(void)close(vm->words);
	(void)snprintf(path, sizeof(path), IMAGE, (int)getpid());
	(void)unlink(path);
}

static void take(int *fd, struct vm_console *into)
{
	char bytes[4096];
	const ssize_t n = read(*fd, bytes, sizeof(bytes));

	if (n > 0) {
		vm_console_put(into, bytes, (size_t)n);
		return;
	}
	(void)close(*fd);
	*fd = -EBADF;
}

/* One round: what kernel and QEMU say is kept, the agent's bytes go behind vm->input. */
static bool listen_once(struct vm *vm, int timeout_ms)
{
	struct pollfd p[] = { { .fd = vm->agent, .events = POLLIN },
			      { .fd = vm->console, .events = POLLIN },
			      { .fd = vm->words, .events = POLLIN } };
	const int n = poll(p, 3, timeout_ms);
	ssize_t got;

	if (n <= 0)
		return false;
	if (p[1].revents)
		take(&vm->console, &vm->said);
	if (p[2].revents)
		take(&vm->words, &vm->complained);
	if (!p[0].revents)
		return true;
	got = read(vm->agent, vm->input + vm->input_len, sizeof(vm->input) - vm->input_len - 1);
	if (got > 0) {
		vm->input_len += (size_t)got;
		return true;
	}
	(void)close(vm->agent);
	vm->agent = -EBADF;
	return true;
}

static void fail_vm(struct vm *vm, const char *what)
{
	char said[1500], complained[800];

	(void)vm_console_tail(&vm->said, said, sizeof(said));
	(void)vm_console_tail(&vm->complained, complained, sizeof(complained));
	fail_msg("%s\nconsole: %s\nQEMU: %s", what, said, complained);
}

const char *vm_hear(struct vm *vm)
{
	static char line[VM_LINE_MAX];
	const int64_t deadline = clock_ms() + VM_PATIENCE_MS;
	char *end;

	while (!(end = memchr(vm->input, '\n', vm->input_len))) {
		if (vm->agent < 0)
			fail_vm(vm, "the guest is gone");
		if (clock_ms() > deadline || vm->input_len + 1 == sizeof(vm->input))
			fail_vm(vm, "the guest does not answer");
		(void)listen_once(vm, 1000);
	}
	*end++ = '\0';
	(void)snprintf(line, sizeof(line), "%s", vm->input);
	vm->input_len -= (size_t)(end - vm->input);
	memmove(vm->input, end, vm->input_len);
	return line;
}

void vm_tell(struct vm *vm, const char *line)
{
	assert_int_equal(fd_write_all(vm->agent, line, strlen(line)), 0);
	assert_int_equal(fd_write_all(vm->agent, "\n", 1), 0);
}

const char *vm_ask(struct vm *vm, const char *line)
{
	const char *answer;

	vm_tell(vm, line);
	answer = vm_hear(vm);
	if (strncmp(answer, "ok", 2) != 0)
		fail_msg("\"%s\": \"%s\"", line, answer);
	return answer[2] ? answer + 3 : answer + 2;
}

bool vm_await_end(struct vm *vm, int timeout_ms)
{
	const int64_t deadline = clock_ms() + timeout_ms;

	while (clock_ms() < deadline) {
		const pid_t got = waitpid(vm->pid, &vm->status, WNOHANG);

		assert_true(got >= 0);
		if (got == vm->pid) {
			vm->pid = 0;
			while ((vm->console >= 0 || vm->words >= 0) && listen_once(vm, 1000))
				;
			return true;
		}
		(void)listen_once(vm, 10);
		if (vm->agent < 0 && vm->console < 0 && vm->words < 0)
			(void)usleep(1000);
	}
	return false;
}
