/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock-memory FILE: a child reads FILE, which waits (slowfile.h); its parent maps it past the page
 * cache, for which the kernel waits for that page, with the lock of the parent's memory: nobody can
 * look into it. Says "begun" before.
 *
 * lock-memory FILE write: writes a page of FILE to standard output out of a map.
 * lock-memory FILE read: reads standard input into a map of a page of FILE, and writes what came.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

#define PAGE 4096u

static int write_map(int fd)
{
	const void *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

	return at == MAP_FAILED || write(STDOUT_FILENO, at, PAGE) != PAGE;
}

static int read_map(int fd)
{
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	const ssize_t n = at == MAP_FAILED ? -1 : read(STDIN_FILENO, at, PAGE);

	return n < 0 || write(STDOUT_FILENO, at, (size_t)n) != n;
}

int main(int argc, char **argv)
{
	const int fd = argc >= 2 ? open(argv[1], O_RDONLY) : -1;
	const int direct = fd >= 0 ? open(argv[1], O_RDONLY) : -1;
	char byte;

	if (argc == 3)
		return *argv[2] == 'w' ? write_map(fd) : read_map(fd);
	if (direct < 0)
		return 1;
	if (fork() == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)!read(fd, &byte, 1);
		return 0;
	}
	(void)!write(STDOUT_FILENO, "begun\n", 6);
	/* Until the child has got as far. */
	for (;;) {
		void *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, direct, 0);

		if (at != MAP_FAILED)
			(void)munmap(at, PAGE);
		(void)usleep(10000);
	}
}
