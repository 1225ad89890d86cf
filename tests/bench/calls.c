/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What system calls cost inside: one line `name nanoseconds` per measure, the median of several
 * batches. Argument: names to measure only those. The work directory is written to.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 9

static int file = -1, ping[2], pong[2];
static char buffer[4096];

static long long now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void getpriority_call(void)
{
	(void)syscall(SYS_getpriority, PRIO_PROCESS, 0);
}

static void getpid_call(void)
{
	(void)syscall(SYS_getpid);
}

static void clock_call(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
}

static void pread_call(void)
{
	if (pread(file, buffer, sizeof(buffer), 0) != sizeof(buffer))
		_exit(1);
}

static void open_close(void)
{
	const int fd = open("bench-file", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		_exit(1);
	(void)close(fd);
}

static void stat_call(void)
{
	struct stat st;

	if (stat("bench-file", &st) < 0)
		_exit(1);
}

static void fork_wait(void)
{
	const pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		_exit(1);
}

static void ping_pong(void)
{
	char c = 0;

	if (write(ping[1], &c, 1) != 1 || read(pong[0], &c, 1) != 1)
		_exit(1);
}

static void map_unmap(void)
{
	void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	(void)munmap(p, 65536);
}

/* 256 pages at a time: the cost of one fault, with its share of mmap and munmap. */
static void faults(void)
{
	char *p =
		mmap(NULL, 256 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	for (int i = 0; i < 256; i++)
		p[i * 4096] = 1;
	(void)munmap(p, 256 * 4096);
}

static const struct {
	const char *name;
	void (*fn)(void);
	int count;    /* per batch */
	int per_call; /* divides */
} measures[] = {
	{ "getpriority", getpriority_call, 20000, 1 }, { "getpid", getpid_call, 20000, 1 },
	{ "clock_gettime", clock_call, 20000, 1 },     { "pread-4k", pread_call, 10000, 1 },
	{ "open-close", open_close, 3000, 1 },	       { "stat", stat_call, 5000, 1 },
	{ "mmap-munmap", map_unmap, 2000, 1 },	       { "fault", faults, 20, 256 },
	{ "fork-exit-wait", fork_wait, 50, 1 },	       { "pipe-ping-pong", ping_pong, 2000, 1 },
};

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(size_t which)
{
	double results[BATCHES];

	for (int b = -1; b < BATCHES; b++) {
		const long long begin = now_ns();

		for (int i = 0; i < measures[which].count; i++)
			measures[which].fn();
		if (b >= 0)
			results[b] = (double)(now_ns() - begin) / measures[which].count /
				     measures[which].per_call;
	}
	qsort(results, BATCHES, sizeof(results[0]), compare);
	printf("%s %.0f\n", measures[which].name, results[BATCHES / 2]);
	(void)fflush(stdout);
}

static pid_t start_echo(void)
{
	pid_t pid;
	char c;

	if (pipe(ping) < 0 || pipe(pong) < 0)
		exit(1);
	pid = fork();
	if (pid == 0) {
		while (read(ping[0], &c, 1) == 1 && write(pong[1], &c, 1) == 1)
			;
		_exit(0);
	}
	return pid;
}

static int wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], name) == 0)
			return 1;
	}
	return argc < 2;
}

int main(int argc, char **argv)
{
	pid_t echo;

	file = open("bench-file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (file < 0 || write(file, buffer, sizeof(buffer)) != sizeof(buffer)) {
		perror("bench-file");
		return 1;
	}
	echo = start_echo();
	for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++) {
		if (wanted(measures[i].name, argc, argv))
			measure(i);
	}
	(void)kill(echo, 9);
	(void)waitpid(echo, NULL, 0);
	(void)unlink("bench-file");
	return 0;
}
