/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who executes a set-uid program keeps no hand in it: neither threads of the old process, nor its
 * parent by descriptors and numbers that it had, nor one that shared memory with it by vfork(2).
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS	   24
#define THREADS	   3
#define WATCH_NS   20000000ull
#define WORDS	   512
#define NOT_RAISED 70

/* At the same address in the set-uid program, which is this one. */
static volatile uint64_t canary[WORDS];

int guest_secret(int argc, char **argv)
{
	const uint64_t until = guest_now_ns() + WATCH_NS;

	(void)argc;
	(void)argv;
	if (geteuid() != 0)
		return NOT_RAISED;
	for (unsigned int i = 0; i < WORDS; i++)
		canary[i] = i * 0x9e3779b97f4a7c15;
	while (guest_now_ns() < until) {
		for (unsigned int i = 0; i < WORDS; i++) {
			if (canary[i] != i * 0x9e3779b97f4a7c15)
				return 1;
		}
	}
	return 0;
}

static void poison(pid_t pid)
{
	static uint64_t words[WORDS];
	const struct iovec local = { words, sizeof(words) };
	const struct iovec remote = { (void *)(uintptr_t)canary, sizeof(words) };

	(void)process_vm_writev(pid, &local, 1, &remote, 1, 0);
}

static void *scribble(void *arg)
{
	for (;;) {
		for (unsigned int i = 0; i < WORDS; i++)
			canary[i] = 0x6666666666666666;
		poison(getpid());
	}
	return arg;
}

static _Noreturn void become(char *program, bool threads)
{
	static char name[] = "guest", sub[] = "secret";
	char *const args[] = { name, sub, NULL };
	pthread_t t;

	for (unsigned int i = 0; threads && i < THREADS; i++)
		(void)pthread_create(&t, NULL, scribble, NULL);
	(void)execv(program, args);
	_exit(71);
}

int guest_setid(int argc, char **argv)
{
	static volatile unsigned int raised, i; /* a vfork(2) child runs on our stack */

	if (argc < 2)
		return 64;
	for (; i < ROUNDS; i++) {
		char path[64];
		const pid_t pid = i % 3 ? fork() : vfork();
		int fd, status = 0;

		if (pid == 0)
			become(argv[1], i % 3 == 1);
		(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
		fd = open(path, O_RDWR);
		while (waitpid(pid, &status, WNOHANG) == 0) {
			static const uint64_t words[WORDS];

			(void)pwrite(fd, words, sizeof(words), (off_t)(uintptr_t)canary);
			poison(pid);
		}
		if (fd >= 0)
			(void)close(fd);
		if (status != 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != NOT_RAISED)) {
			(void)printf("round %u: status %#x\n", i, (unsigned int)status);
			return 1;
		}
		raised += status == 0;
	}
	(void)printf("raised %u\n", raised);
	return raised == 0;
}
