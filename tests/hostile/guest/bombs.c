/* SPDX-License-Identifier: Apache-2.0 */
/* Bombs: processes without end, paths without bottom, links that double. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS_NS 2000000000ull

static unsigned int deep = 20000;

static _Noreturn void fork_without_end(uint64_t until)
{
	while (guest_now_ns() < until)
		(void)fork();
	_exit(0);
}

static int bomb_forks(void)
{
	const uint64_t until = guest_now_ns() + FORKS_NS;

	if (fork() == 0)
		fork_without_end(until);
	while (wait(NULL) > 0)
		;
	return 0;
}

/* Down as far as it goes; up again by names that are taken away below. */
static int bomb_depth(void)
{
	char cwd[4096];
	unsigned int n = 0;

	while (n < deep && mkdir("d", 0700) == 0 && chdir("d") == 0)
		n++;
	errno = 0;
	if (n > 4096 && (getcwd(cwd, sizeof(cwd)) || errno != ERANGE))
		(void)dprintf(STDOUT_FILENO, "getcwd %s\n", strerrorname_np(errno));
	(void)dprintf(STDOUT_FILENO, "depth %u %s\n", n, strerrorname_np(errno));
	for (unsigned int i = 0; i < n; i++) {
		if (chdir("..") < 0 || rmdir("d") < 0) {
			(void)dprintf(STDOUT_FILENO, "up %u %s\n", i, strerrorname_np(errno));
			return 1;
		}
	}
	return 0;
}

/* A deep tree of which only the lowest directory is held; then it is let go. */
static int bomb_rope(void)
{
	const int top = open(".", O_RDONLY | O_DIRECTORY);
	unsigned int n = 0;

	while (n < deep && mkdir("d", 0700) == 0 && chdir("d") == 0)
		n++;
	/* Every parent is in use by its child alone when we end here. */
	(void)dprintf(STDOUT_FILENO, "rope %u\n", n);
	return fchdir(top);
}

/* l0 -> l1/l1 -> l2/l2/l2/l2 ...: more steps than there are atoms. */
static int bomb_links(void)
{
	struct stat st;
	char name[16], target[32];

	(void)mkdir("end", 0700);
	for (unsigned int i = 0; i < 60; i++) {
		(void)snprintf(name, sizeof(name), "l%u", i);
		(void)snprintf(target, sizeof(target), i < 59 ? "l%u/../l%u" : "end", i + 1, i + 1);
		(void)symlink(target, name);
	}
	if (stat("l0", &st) == 0 || errno != ELOOP)
		return 1;
	(void)symlink("self", "self");
	return stat("self", &st) == 0 || errno != ELOOP;
}

/* Long paths: of one component again and again, and of dots. */
static int bomb_paths(void)
{
	static char path[8192];
	struct stat st;

	memset(path, '/', sizeof(path) - 1);
	if (stat(path, &st) == 0 || errno != ENAMETOOLONG)
		return 1;
	for (unsigned int i = 0; i + 2 < 4094; i += 2)
		memcpy(path + i, "./", 2);
	path[4094] = '\0';
	for (unsigned int i = 0; i < 1000; i++) {
		if (stat(path, &st) < 0)
			return 1;
	}
	return 0;
}

int guest_bomb(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*fn)(void);
	} bombs[] = {
		{ "forks", bomb_forks }, { "depth", bomb_depth }, { "rope", bomb_rope },
		{ "links", bomb_links }, { "paths", bomb_paths },
	};
	char room[] = "/tmp/bombXXXXXX";

	if (argc > 2)
		deep = (unsigned int)strtoul(argv[2], NULL, 0);
	if (argc < 2 || !mkdtemp(room) || chdir(room) < 0)
		return 3;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		if (strcmp(argv[1], bombs[i].name) == 0)
			return bombs[i].fn();
	}
	return 64;
}
