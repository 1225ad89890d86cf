/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An untrusted program: tries twenty hostile acts, prints a line for each, and exits 0 only if all
 * twenty were refused or contained. Each act runs in a process of its own with a time limit.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acts.h"

#define ACT_TIME_MS 30000

static const struct act acts[] = {
	{ "read a file of the host", read_host_file },
	{ "see a process of the host", see_host_process },
	{ "kill a process of the host", kill_host_process },
	{ "trace a process of the host", trace_host_process },
	{ "reach the host's sockets", reach_host_sockets },
	{ "overwrite the runtime by /proc/self/exe", overwrite_runtime },
	{ "mount a file system", mount_filesystem },
	{ "lift a mask or a read-only mount", lift_mask },
	{ "load a kernel module", load_module },
	{ "open a raw socket", open_raw_socket },
	{ "open a device of the host", open_device },
	{ "write the kernel's settings", write_sysctl },
	{ "set the clock", set_clock },
	{ "reboot the machine", reboot_host },
	{ "gain power in a user namespace", gain_userns },
	{ "use bpf, perf, kexec, io_uring, keys", use_kernel_interfaces },
	{ "leave its cgroup", leave_cgroup },
	{ "fork bomb", fork_bomb },
	{ "fill the memory", fill_memory },
	{ "fill the disk", fill_disk },
};
#define ACTS (sizeof(acts) / sizeof(acts[0]))
_Static_assert(ACTS == 20, "twenty acts");

struct outcome {
	enum verdict verdict;
	struct report report;
};

enum verdict verdict(struct report *report, enum verdict v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(report->by, sizeof(report->by), fmt, ap);
	va_end(ap);
	return v;
}

enum verdict refused(struct report *report, const char *what)
{
	const char *name = strerrorname_np(errno);

	return verdict(report, REFUSED, "%s: %s", what, name ? name : "error");
}

static int result_fd;

const char *fact(const char *name)
{
	const char *value = getenv(name);
	struct outcome o = { .verdict = ESCAPED };

	if (value && *value)
		return value;
	(void)snprintf(o.report.by, sizeof(o.report.by), "not tried: the harness gave no %s", name);
	(void)!write(result_fd, &o, sizeof(o));
	_exit(0);
}

long fact_number(const char *name)
{
	return strtol(fact(name), NULL, 10);
}

static struct outcome run_act(const struct act *act)
{
	struct outcome o = { .verdict = ESCAPED };
	struct pollfd p;
	int fds[2];
	pid_t pid;

	(void)snprintf(o.report.by, sizeof(o.report.by), "the act ended without a result");
	if (pipe(fds) < 0)
		return o;
	pid = fork();
	if (pid == 0) {
		(void)setpgid(0, 0); /* what it leaves running is ended with it */
		result_fd = fds[1];
		(void)close(fds[0]);
		memset(&o, 0, sizeof(o));
		o.verdict = act->try(&o.report);
		(void)!write(fds[1], &o, sizeof(o));
		_exit(0);
	}
	(void)close(fds[1]);
	p = (struct pollfd){ .fd = fds[0], .events = POLLIN };
	if (pid < 0 || poll(&p, 1, ACT_TIME_MS) != 1)
		(void)snprintf(o.report.by, sizeof(o.report.by), "no answer in %d s",
			       ACT_TIME_MS / 1000);
	else
		(void)!read(fds[0], &o, sizeof(o));
	(void)close(fds[0]);
	if (pid > 0) {
		(void)kill(-pid, SIGKILL);
		(void)kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return o;
}

int main(void)
{
	static const char *const words[] = { "ESCAPED", "refused", "contained" };
	size_t held = 0;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ACTS; i++) {
		const struct outcome o = run_act(&acts[i]);

		printf("%2zu  %-40s %-9s  %s\n", i + 1, acts[i].name, words[o.verdict],
		       o.report.by);
		held += o.verdict != ESCAPED;
		/* Whatever an act left running: this program is init of its pid namespace. */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	printf("%zu of %zu acts refused or contained\n", held, ACTS);
	return held == ACTS ? 0 : 1;
}
