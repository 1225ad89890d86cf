/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A static program with sub-commands for what a shell cannot say exactly:
 *   probe ids              uid, gid and supplementary groups
 *   probe caps             the five capability sets, no_new_privs and seccomp mode, one a line
 *   probe rlimit N         soft and hard limit of resource number N
 *   probe stubborn         print "ready", ignore SIGTERM, sleep for ever
 *   probe polite           print "ready", on SIGTERM print "bye" and exit 42
 *   probe winsize          rows and columns of standard input, then again after each SIGWINCH
 *   probe eat MIB          touch MIB mebibytes of memory, print "ate", exit 0
 *   probe mkdir PATH       mkdir(2), print the errno's name ("ok" if none)
 *   probe crash            end by SIGSEGV (which even process 1 of a namespace cannot ignore)
 *   probe serve ADDRESS PORT PROGRAM...
 *                          accept on this address, each connection is a PROGRAM's 0 and 1
 *   probe term             "tty" or "no tty" for each standard stream, and the terminal's flags
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static int cmd_ids(void)
{
	gid_t groups[64];
	int nr = getgroups(64, groups);

	printf("uid=%d gid=%d groups=", (int)getuid(), (int)getgid());
	for (int i = 0; i < nr; i++)
		printf("%s%d", i ? "," : "", (int)groups[i]);
	printf("\n");
	return nr < 0;
}

static int cmd_caps(void)
{
	static const char *const keys[] = { "CapInh", "CapPrm",	    "CapEff",  "CapBnd",
					    "CapAmb", "NoNewPrivs", "Seccomp:" };
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		return 1;
	while (fgets(line, sizeof(line), f)) {
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			if (!strncmp(line, keys[i], strlen(keys[i])))
				fputs(line, stdout);
		}
	}
	fclose(f);
	return 0;
}

static int cmd_rlimit(const char *number)
{
	struct rlimit lim;

	if (getrlimit((__rlimit_resource_t)atoi(number), &lim) < 0)
		return 1;
	printf("%llu %llu\n", (unsigned long long)lim.rlim_cur, (unsigned long long)lim.rlim_max);
	return 0;
}

static _Noreturn void cmd_stubborn(void)
{
	signal(SIGTERM, SIG_IGN);
	printf("ready\n");
	fflush(stdout);
	for (;;)
		pause();
}

static void say_bye(int sig)
{
	ssize_t n = write(1, "bye\n", 4);

	(void)sig;
	(void)n;
	_exit(42);
}

static _Noreturn void cmd_polite(void)
{
	signal(SIGTERM, say_bye);
	printf("ready\n");
	fflush(stdout);
	for (;;)
		pause();
}

static void nothing(int sig)
{
	(void)sig;
}

static int cmd_winsize(void)
{
	struct sigaction sa = { .sa_handler = nothing };
	sigset_t block, old;
	struct winsize ws;

	sigemptyset(&block);
	sigaddset(&block, SIGWINCH);
	sigprocmask(SIG_BLOCK, &block, &old);
	sigaction(SIGWINCH, &sa, NULL);
	for (;;) {
		if (ioctl(0, TIOCGWINSZ, &ws) < 0)
			return 1;
		printf("size %d %d\n", ws.ws_row, ws.ws_col);
		fflush(stdout);
		sigsuspend(&old);
	}
}

static int cmd_eat(const char *mib)
{
	size_t len = (size_t)atol(mib) << 20;
	char *mem = malloc(len);

	if (!mem)
		return 1;
	for (size_t i = 0; i < len; i += 4096)
		((volatile char *)mem)[i] = 1;
	printf("ate\n");
	return 0;
}

static int cmd_mkdir(const char *path)
{
	printf("%s\n", mkdir(path, 0755) < 0 ? strerrorname_np(errno) : "ok");
	return 0;
}

static int cmd_crash(void)
{
	volatile int *volatile nowhere = NULL;

	return *nowhere;
}

static int cmd_term(void)
{
	struct termios tio;

	for (int fd = 0; fd < 3; fd++)
		printf("%d:%s ", fd, isatty(fd) ? "tty" : "no tty");
	if (tcgetattr(0, &tio) == 0)
		printf("onlcr=%d", !!(tio.c_oflag & ONLCR));
	printf("\n");
	return 0;
}

static int cmd_serve(const char *address, const char *port, char **program)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(atoi(port)) };
	const int is_six = inet_pton(AF_INET6, address, &six.sin6_addr) == 1;
	const int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (!is_six && inet_pton(AF_INET, address, &four.sin_addr) != 1)
		return 64;
	r = is_six ? bind(fd, (struct sockaddr *)&six, sizeof(six))
		   : bind(fd, (struct sockaddr *)&four, sizeof(four));
	if (r < 0 || listen(fd, 128) < 0) {
		fprintf(stderr, "probe: %s\n", strerror(errno));
		return 1;
	}
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		const int peer = accept(fd, NULL, NULL);

		if (peer >= 0 && fork() == 0) {
			dup2(peer, 0);
			dup2(peer, 1);
			close(peer);
			execvp(program[0], program);
			_exit(127);
		}
		close(peer);
	}
}

int main(int argc, char **argv)
{
	const char *cmd = argc > 1 ? argv[1] : "";
	const char *arg = argc > 2 ? argv[2] : NULL;

	if (!strcmp(cmd, "ids"))
		return cmd_ids();
	if (!strcmp(cmd, "caps"))
		return cmd_caps();
	if (!strcmp(cmd, "rlimit") && arg)
		return cmd_rlimit(arg);
	if (!strcmp(cmd, "stubborn"))
		cmd_stubborn();
	if (!strcmp(cmd, "polite"))
		cmd_polite();
	if (!strcmp(cmd, "winsize"))
		return cmd_winsize();
	if (!strcmp(cmd, "eat") && arg)
		return cmd_eat(arg);
	if (!strcmp(cmd, "mkdir") && arg)
		return cmd_mkdir(arg);
	if (!strcmp(cmd, "crash"))
		return cmd_crash();
	if (!strcmp(cmd, "serve") && argc > 4)
		return cmd_serve(argv[2], argv[3], argv + 4);
	if (!strcmp(cmd, "term"))
		return cmd_term();
	fprintf(stderr, "probe: unknown command '%s'\n", cmd);
	return 64;
}
