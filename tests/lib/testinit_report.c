/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `testinit report`: what the process sees of itself, as one JSON object on standard output.
 *
 * The tests compare it with what config.json asked for. Everything comes from system calls where
 * there is one, because /proc may be missing or masked in the container under test; the parts
 * that need /proc are then null.
 */
#include "testinit.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static bool first = true;

static void json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		const unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			printf("\\u%04x", c); /* bytes as latin-1 */
		else
			putchar(c);
	}
	putchar('"');
}

static void key(const char *name)
{
	if (!first)
		putchar(',');
	first = false;
	printf("\n\"%s\":", name);
}

static void put_int(const char *name, long long value)
{
	key(name);
	printf("%lld", value);
}

static void put_string(const char *name, const char *value)
{
	key(name);
	if (value)
		json_string(value);
	else
		printf("null");
}

/* The whole of a small file, without the last newline; NULL if it cannot be read. */
static char *slurp(const char *path)
{
	const size_t cap = 1 << 18;
	char *text = malloc(cap);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (!text || fd < 0) {
		free(text);
		return NULL;
	}
	while ((n = read(fd, text + len, cap - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	if (len > 0 && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	return text;
}

static void put_file(const char *name, const char *path)
{
	char *text = slurp(path);

	put_string(name, text);
	free(text);
}

static void put_ids(void)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;
	gid_t groups[1024];
	int n;

	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	put_int("pid", getpid());
	put_int("ppid", getppid());
	put_int("pgid", getpgid(0));
	put_int("sid", getsid(0));
	put_int("uid", r);
	put_int("euid", e);
	put_int("suid", s);
	put_int("gid", rg);
	put_int("egid", eg);
	put_int("sgid", sg);
	n = getgroups(1024, groups);
	key("groups");
	putchar('[');
	for (int i = 0; i < n; i++)
		printf("%s%u", i ? "," : "", groups[i]);
	putchar(']');
}

static void put_cap_set(const char *name, uint64_t set)
{
	key(name);
	putchar('[');
	for (int cap = 0, sep = 0; cap < 64; cap++)
		if (set >> cap & 1)
			printf("%s%d", sep++ ? "," : "", cap);
	putchar(']');
}

static void put_capabilities(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	uint64_t bounding = 0;
	uint64_t ambient = 0;

	syscall(SYS_capget, &header, data);
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			bounding |= UINT64_C(1) << cap;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			ambient |= UINT64_C(1) << cap;
	}
	put_cap_set("cap_effective", data[0].effective | (uint64_t)data[1].effective << 32);
	put_cap_set("cap_permitted", data[0].permitted | (uint64_t)data[1].permitted << 32);
	put_cap_set("cap_inheritable", data[0].inheritable | (uint64_t)data[1].inheritable << 32);
	put_cap_set("cap_bounding", bounding);
	put_cap_set("cap_ambient", ambient);
	put_int("securebits", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
	put_int("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	put_int("dumpable", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
}

static void put_rlimits(void)
{
	static const char *const names[] = { "CPU",	 "FSIZE", "DATA",   "STACK",
					     "CORE",	 "RSS",	  "NPROC",  "NOFILE",
					     "MEMLOCK",	 "AS",	  "LOCKS",  "SIGPENDING",
					     "MSGQUEUE", "NICE",  "RTPRIO", "RTTIME" };

	key("rlimits");
	putchar('{');
	for (int i = 0; i < 16; i++) {
		struct rlimit limit;

		getrlimit((__rlimit_resource_t)i, &limit);
		printf("%s\"RLIMIT_%s\":[%lld,%lld]", i ? "," : "", names[i],
		       limit.rlim_cur == RLIM_INFINITY ? -1 : (long long)limit.rlim_cur,
		       limit.rlim_max == RLIM_INFINITY ? -1 : (long long)limit.rlim_max);
	}
	putchar('}');
}

struct kernel_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static void put_scheduling(void)
{
	struct kernel_sched_attr attr = { .size = sizeof(attr) };
	cpu_set_t cpus;

	syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0);
	key("scheduler");
	printf("{\"policy\":%u,\"flags\":%llu,\"nice\":%d,\"priority\":%u,\"runtime\":%llu,"
	       "\"deadline\":%llu,\"period\":%llu}",
	       attr.policy, (unsigned long long)attr.flags, attr.nice, attr.priority,
	       (unsigned long long)attr.runtime, (unsigned long long)attr.deadline,
	       (unsigned long long)attr.period);
	put_int("ioprio", syscall(SYS_ioprio_get, 1, 0));
	put_int("personality", personality(0xffffffff));
	CPU_ZERO(&cpus);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	key("affinity");
	putchar('[');
	for (int cpu = 0, sep = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &cpus))
			printf("%s%d", sep++ ? "," : "", cpu);
	putchar(']');
}

static void put_namespaces(void)
{
	static const char *const names[] = { "cgroup", "ipc",  "mnt",  "net",
					     "pid",    "time", "user", "uts" };

	key("namespaces");
	putchar('{');
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[64], link[64];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		n = readlink(path, link, sizeof(link) - 1);
		link[n < 0 ? 0 : n] = '\0';
		printf("%s\"%s\":\"%s\"", i ? "," : "", names[i], link);
	}
	putchar('}');
}

static void put_terminal(void)
{
	struct winsize size = { 0 };

	key("tty");
	printf("[%d,%d,%d]", isatty(0), isatty(1), isatty(2));
	key("winsize");
	if (ioctl(0, TIOCGWINSZ, &size) == 0)
		printf("[%u,%u]", size.ws_row, size.ws_col);
	else
		printf("null");
}

/* Open descriptors, found with fcntl so that none is made by looking. */
static void put_descriptors(void)
{
	struct rlimit limit;
	int max;

	getrlimit(RLIMIT_NOFILE, &limit);
	max = limit.rlim_cur > 65536 ? 65536 : (int)limit.rlim_cur;
	key("fds");
	putchar('{');
	for (int fd = 0, sep = 0; fd < max; fd++) {
		char path[64], link[PATH_MAX];
		ssize_t n;

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, link, sizeof(link) - 1);
		link[n < 0 ? 0 : n] = '\0';
		printf("%s\"%d\":", sep++ ? "," : "", fd);
		json_string(link);
	}
	putchar('}');
}

static void put_signals(void)
{
	sigset_t blocked;

	sigprocmask(SIG_BLOCK, NULL, &blocked);
	key("signals_blocked");
	putchar('[');
	for (int number = 1, sep = 0; number < 65; number++)
		if (sigismember(&blocked, number) == 1)
			printf("%s%d", sep++ ? "," : "", number);
	putchar(']');
	key("signals_ignored");
	putchar('[');
	for (int number = 1, sep = 0; number < 65; number++) {
		struct sigaction action;

		if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			printf("%s%d", sep++ ? "," : "", number);
	}
	putchar(']');
}

static void put_places(int argc, char **argv)
{
	char cwd[PATH_MAX];
	const mode_t mask = umask(0);
	struct utsname name;
	struct timespec now;

	umask(mask);
	uname(&name);
	put_int("umask", mask);
	put_string("cwd", getcwd(cwd, sizeof(cwd)));
	put_string("hostname", name.nodename);
	put_string("domainname", name.domainname);
	put_string("machine", name.machine);
	clock_gettime(CLOCK_MONOTONIC, &now);
	put_int("monotonic_s", now.tv_sec);
	clock_gettime(CLOCK_BOOTTIME, &now);
	put_int("boottime_s", now.tv_sec);
	key("args");
	putchar('[');
	for (int i = 0; i < argc; i++) {
		if (i)
			putchar(',');
		json_string(argv[i]);
	}
	putchar(']');
	key("env");
	putchar('[');
	for (char **e = environ; *e; e++) {
		if (e != environ)
			putchar(',');
		json_string(*e);
	}
	putchar(']');
}

int report_main(int argc, char **argv)
{
	putchar('{');
	put_descriptors();
	put_ids();
	put_capabilities();
	put_rlimits();
	put_scheduling();
	put_namespaces();
	put_terminal();
	put_signals();
	put_places(argc, argv);
	put_int("seccomp", prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
	put_int("parent_death_signal", ({
			int number = 0;
			prctl(PR_GET_PDEATHSIG, &number, 0, 0, 0);
			number;
		}));
	put_file("oom_score_adj", "/proc/self/oom_score_adj");
	put_file("comm", "/proc/self/comm");
	put_file("attr", "/proc/self/attr/current");
	put_file("cgroup", "/proc/self/cgroup");
	put_file("mountinfo", "/proc/self/mountinfo");
	put_file("uid_map", "/proc/self/uid_map");
	put_file("gid_map", "/proc/self/gid_map");
	put_file("status", "/proc/self/status");
	printf("\n}\n");
	return fflush(stdout) == 0 ? 0 : 1;
}
