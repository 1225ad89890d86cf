/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "hypervisor/machine.h"
#include "wire/agent_codec.h"

#define CONTAINER "c1"
#define HIGH	  60 /* above all numbers that mean something */

/* ---- The description ---- */

static int sealed(const void *bytes, size_t len)
{
	const int fd = memfd_create("description", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL),
		0);
	return fd;
}

static int describe(const struct harness *h, pid_t machine, pid_t files)
{
	static struct agent_network network;
	const char *script = h->script ? h->script : "hold";
	const struct agent_create create = {
		.id = CONTAINER,
		.config = { script, (uint32_t)strlen(script) },
		.io = { .terminal = h->terminal },
	};
	AUTO_BUF struct buf net = { 0 };
	AUTO_BUF struct buf body = { 0 };
	AUTO_BUF struct buf all = { 0 };
	struct vmm_head head = { .magic = VMM_MSG_MAGIC,
				 .version = VMM_MSG_VERSION,
				 .qemu_pid = machine,
				 .files_pid = files,
				 .accel = h->impatient ? MACHINE_KVM : MACHINE_TCG,
				 .cpus = h->cpus ? h->cpus : 1,
				 .memory = 256ull << 20,
				 .memory_max = h->grows ? 1ull << 30 : 256ull << 20,
				 .cpus_max = h->grows  ? 4
					     : h->cpus ? h->cpus
						       : 1,
				 .boot_ms = h->boot_ms ? h->boot_ms : PATIENCE_MS,
				 .flags = h->flags,
				 .begin_ns = 1 };

	if (h->with_network) {
		network.links_len = 1;
		network.links[0] = (struct agent_link){ .name = "eth0", .mac = { 2 }, .mtu = 1500 };
		assert_int_equal(agent_request_encode(AGENT_NETWORK, &network, &net, NULL), 0);
	}
	assert_int_equal(agent_request_encode(AGENT_CREATE, &create, &body, NULL), 0);
	head.network_len = (uint32_t)net.len;
	head.create_len = (uint32_t)body.len;
	(void)buf_append(&all, &head, sizeof(head));
	(void)buf_append(&all, net.data, net.len);
	(void)buf_append(&all, body.data, body.len);
	return sealed(all.data, all.len);
}

/* ---- The processes ---- */

static int high(int fd)
{
	const int moved = fcntl(fd, F_DUPFD_CLOEXEC, HIGH);

	if (moved < 0)
		_exit(98);
	return moved;
}

static void place(int fd, int target)
{
	if (dup2(fd, target) < 0)
		_exit(98);
}

static pid_t start_machine(const struct harness *h, const int *ends)
{
	const char *program = getenv("FAKE_MACHINE");
	const pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (int i = 0; i < 4; i++)
		place(ends[i], 3 + i);
	(void)close_range(7, ~0u, 0);
	(void)execl(program, "fake-machine", h->mode ? h->mode : "honest", NULL);
	_exit(97);
}

/* It does nothing, but can be killed. */
static pid_t start_files(const struct harness *h)
{
	const pid_t pid = h->with_files ? fork() : 0;

	if (pid != 0 || !h->with_files)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)close_range(0, ~0u, 0);
	for (;;)
		(void)pause();
}

struct given {
	int control, report, log, stdio[3];
};

__attribute__((noreturn)) static void become_supervisor(const struct harness *h,
							const struct given *g)
{
	const char *program = getenv("CAISSON_VM");
	int monitor[2], agent[2], console[2], words[2], fd[VMM_FDS];
	char *const envp[] = { NULL };
	char name[] = "caisson-vm", id[] = CONTAINER;
	char *const argv[] = { name, id, NULL };
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, monitor) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, agent) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console) < 0 ||
	    pipe2(words, O_CLOEXEC) < 0)
		_exit(98);
	const int ends[] = { high(monitor[1]), high(agent[1]), high(console[1]), high(words[1]) };
	const pid_t machine = start_machine(h, ends);
	const pid_t files = start_files(h);

	for (int i = 0; i < VMM_FDS; i++)
		fd[i] = null;
	fd[VMM_FD_DESCRIPTION] = describe(h, machine, files);
	fd[VMM_FD_CONTROL] = g->control;
	fd[VMM_FD_REPORT] = g->report;
	fd[VMM_FD_LOG] = g->log;
	fd[VMM_FD_MONITOR] = monitor[0];
	fd[VMM_FD_AGENT] = agent[0];
	fd[VMM_FD_CONSOLE] = console[0];
	fd[VMM_FD_WORDS] = words[0];
	/* Something has changed. */
	if (h->flags & VMM_WATCHES)
		fd[VMM_FD_WATCH] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->flags & VMM_PLUG_FILES)
		fd[VMM_FD_FILES] = h->files;
	if (h->flags & VMM_FORWARDS)
		fd[VMM_FD_FORWARDS] = h->forwards;
	for (int i = 0; i < 3; i++)
		fd[VMM_FD_STDIO + i] = g->stdio[i];
	for (int i = 0; i < VMM_FDS; i++)
		fd[i] = high(fd[i]);
	const int image = high(open(program, O_PATH | O_CLOEXEC));

	for (int i = 0; i < VMM_FDS; i++)
		place(fd[i], i);
	(void)close_range(VMM_FDS, ~0u, CLOSE_RANGE_CLOEXEC);
	if (h->no_input)
		(void)close(VMM_FD_STDIO);
	if (h->terminal) {
		(void)setsid();
		(void)ioctl(VMM_FD_STDIO, TIOCSCTTY, 0);
	}
	(void)fexecve(image, argv, envp);
	_exit(97);
}

static int listen_at(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "%s", name);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 128), 0);
	return fd;
}

static void make_stdio(struct harness *h, int ret[3])
{
	int pipes[3][2];

	if (h->terminal) {
		struct termios raw;
		struct winsize size = { .ws_row = 24, .ws_col = 80 };
		int slave;

		cfmakeraw(&raw);
		assert_int_equal(openpty(&h->out, &slave, NULL, NULL, &size), 0);
		(void)tcgetattr(slave, &raw);
		cfmakeraw(&raw);
		(void)tcsetattr(slave, TCSANOW, &raw);
		(void)fcntl(h->out, F_SETFD, FD_CLOEXEC);
		for (int i = 0; i < 3; i++)
			ret[i] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
		(void)close(slave);
		return;
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
	h->in = pipes[0][1];
	h->out = pipes[1][0];
	h->err = pipes[2][0];
	ret[0] = pipes[0][0];
	ret[1] = pipes[1][1];
	ret[2] = pipes[2][1];
}

void harness_start(struct harness *h)
{
	static unsigned int count;
	struct given g;
	int report[2];

	h->in = h->out = h->err = -1;
	(void)snprintf(h->address, sizeof(h->address), "caisson-test-vm-%d-%u", getpid(), ++count);
	g.control = listen_at(h->address);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report), 0);
	h->report = report[0];
	g.report = report[1];
	g.log = h->log = memfd_create("log", MFD_CLOEXEC);
	make_stdio(h, g.stdio);
	h->pid = fork();
	assert_true(h->pid >= 0);
	if (h->pid == 0)
		become_supervisor(h, &g);
	(void)close(g.control);
	(void)close(g.report);
	for (int i = 0; i < 3; i++)
		(void)close(g.stdio[i]);
}

void harness_stop(struct harness *h)
{
	const int all[] = { h->report, h->in, h->out, h->err, h->log };

	if (h->pid > 0) {
		(void)kill(h->pid, SIGKILL);
		(void)waitpid(h->pid, NULL, 0);
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i] >= 0)
			(void)close(all[i]);
	}
	h->pid = 0;
}

static void await_input(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, PATIENCE_MS) != 1)
		fail_msg("nothing came for %d ms", PATIENCE_MS);
}

uint32_t harness_report(struct harness *h, struct err *ret)
{
	struct sentry_report report = { 0 };

	await_input(h->report);
	if (recv(h->report, &report, sizeof(report), 0) != sizeof(report))
		return 0;
	if (ret) {
		ret->code = report.code;
		(void)snprintf(ret->msg, sizeof(ret->msg), "%.487s", report.text);
	}
	return report.type;
}

void harness_go(struct harness *h, char go)
{
	assert_int_equal(send(h->report, &go, 1, MSG_NOSIGNAL), 1);
}

void harness_run(struct harness *h, char go)
{
	struct err err = { 0 };
	const uint32_t type = harness_report(h, &err);

	if (type != SENTRY_REPORT_READY)
		fail_msg("not READY but %u: %s", type, err.msg);
	harness_go(h, go);
	if (go == SENTRY_GO_START)
		assert_int_equal(harness_report(h, &err), SENTRY_REPORT_STARTED);
}

int harness_wait(struct harness *h)
{
	const int64_t end = clock_ms() + PATIENCE_MS;
	int status;

	while (waitpid(h->pid, &status, WNOHANG) != h->pid) {
		if (clock_ms() > end)
			fail_msg("the supervisor has not ended for %d ms", PATIENCE_MS);
		(void)usleep(5000);
	}
	h->pid = 0;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static pid_t child_of(const struct harness *h, unsigned int index)
{
	char path[64];
	int child = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", h->pid, h->pid);
	f = fopen(path, "re");
	assert_non_null(f);
	for (unsigned int i = 0; i <= index; i++)
		assert_int_equal(fscanf(f, "%d", &child), 1);
	(void)fclose(f);
	return child;
}

pid_t harness_machine(const struct harness *h)
{
	return child_of(h, 0);
}

pid_t harness_files(const struct harness *h)
{
	return child_of(h, 1);
}

const char *harness_log(struct harness *h)
{
	static char text[65536];
	const ssize_t n = pread(h->log, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

size_t harness_read(int fd, char *bytes, size_t size, const char *until)
{
	size_t len = 0;

	while (len + 1 < size) {
		ssize_t n;

		await_input(fd);
		n = read(fd, bytes + len, size - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		bytes[len] = '\0';
		if (until && strstr(bytes, until))
			break;
	}
	bytes[len] = '\0';
	return len;
}

/* ---- Clients ---- */

int client_open_at(const char *address)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "%s", address);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return sock;
	assert_int_equal(errno, ECONNREFUSED);
	(void)close(sock);
	return -1;
}

int client_open(const struct harness *h)
{
	return client_open_at(h->address);
}

void client_say(int sock, const struct sentry_request *request, const void *tail, size_t len,
		const int *fds, size_t fds_len)
{
	char frame[SENTRY_FRAME_MAX];
	struct sentry_request head = *request;
	int r;

	head.version = SENTRY_MSG_VERSION;
	memcpy(frame, &head, sizeof(head));
	if (len)
		memcpy(frame + sizeof(head), tail, len);
	r = fd_send(sock, frame, sizeof(head) + len, fds, fds_len);
	if (r != -EPIPE && r != -ECONNRESET)
		assert_int_equal(r, 0);
}

bool client_hear(int sock, struct sentry_reply *ret, char *text, size_t size)
{
	static char frame[SENTRY_FRAME_MAX];
	ssize_t n;

	await_input(sock);
	n = recv(sock, frame, sizeof(frame), 0);
	if (n < (ssize_t)sizeof(*ret))
		return false;
	memcpy(ret, frame, sizeof(*ret));
	if (text) {
		const size_t len =
			(size_t)n - sizeof(*ret) < size - 1 ? (size_t)n - sizeof(*ret) : size - 1;

		memcpy(text, frame + sizeof(*ret), len);
		text[len] = '\0';
	}
	return true;
}

struct sentry_reply client_ask(int sock, struct sentry_request request, char *text, size_t size)
{
	struct sentry_reply reply = { 0 };

	client_say(sock, &request, NULL, 0, NULL, 0);
	assert_true(client_hear(sock, &reply, text, size));
	assert_int_equal(reply.type, request.type);
	return reply;
}

void client_say_exec_as(int sock, struct sentry_request request, const char *script,
			const int fds[3], bool terminal)
{
	const struct agent_exec exec = { .id = CONTAINER,
					 .config = { script, (uint32_t)strlen(script) },
					 .io = { .terminal = terminal },
					 .cgroup = "" };
	AUTO_BUF struct buf body = { 0 };
	int all[4];

	assert_int_equal(agent_request_encode(AGENT_EXEC, &exec, &body, NULL), 0);
	all[0] = sealed(body.data, body.len);
	for (int i = 0; i < 3; i++)
		all[1 + i] = fds[i];
	request.type = SENTRY_EXEC;
	client_say(sock, &request, NULL, 0, all, 4);
	(void)close(all[0]);
}

void client_say_exec(int sock, const char *script, const int fds[3], bool terminal)
{
	client_say_exec_as(sock, (struct sentry_request){ 0 }, script, fds, terminal);
}

int client_exec_script(int sock, const char *script, const int fds[3], bool terminal)
{
	struct sentry_reply reply = { 0 };

	client_say_exec(sock, script, fds, terminal);
	if (!client_hear(sock, &reply, NULL, 0))
		return -EPIPE;
	assert_int_equal(reply.type, SENTRY_EXEC);
	return reply.error ? reply.error : reply.value;
}

void client_say_join(int sock, const char *id, const char *script, const int fds[3],
		     const char *address)
{
	const struct sentry_request request = { .type = VMM_JOIN };
	AUTO_FREE struct agent_create *create = calloc(1, sizeof(*create));
	AUTO_BUF struct buf body = { 0 };
	int all[6];

	assert_non_null(create);
	create->id = id;
	create->config = (struct agent_bytes){ script, (uint32_t)strlen(script) };
	create->bundle = "/";
	assert_int_equal(agent_request_encode(AGENT_CREATE, create, &body, NULL), 0);
	all[0] = sealed(body.data, body.len);
	all[1] = listen_at(address);
	all[2] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 3; i++)
		all[3 + i] = fds[i];
	client_say(sock, &request, NULL, 0, all, 6);
	for (int i = 0; i < 3; i++)
		(void)close(all[i]);
}

int client_join(int sock, const char *id, const char *script, const int fds[3], const char *address,
		char *text, size_t size)
{
	struct sentry_reply reply = { 0 };

	client_say_join(sock, id, script, fds, address);
	if (!client_hear(sock, &reply, text, size))
		return -EPIPE;
	assert_int_equal(reply.type, VMM_JOIN);
	assert_true(reply.error || reply.value > 0);
	return reply.error;
}
