/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What files cost: one line `name value unit` per measure. Argument: the directory to work in, the
 * MiB of its one large file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SMALL_FILES 500
#define CHUNK	    (1 << 20)

static char chunk[CHUNK];

static long long now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "bench-files: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void rate(const char *name, int mib, long long begin)
{
	printf("%s %.1f MB/s\n", name, mib * 1.048576 * 1e9 / (double)(now_ns() - begin));
}

static void each(const char *name, int count, long long begin)
{
	printf("%s %.1f us\n", name, (double)(now_ns() - begin) / 1e3 / count);
}

static void large(int mib)
{
	long long begin = now_ns();
	const int fd = open("large", O_RDWR | O_CREAT | O_TRUNC, 0600);

	need(fd >= 0, "large");
	for (int i = 0; i < mib; i++)
		need(write(fd, chunk, CHUNK) == CHUNK, "write");
	need(fsync(fd) == 0, "fsync");
	rate("write", mib, begin);
	begin = now_ns();
	need(lseek(fd, 0, SEEK_SET) == 0, "lseek");
	for (int i = 0; i < mib; i++)
		need(read(fd, chunk, CHUNK) == CHUNK, "read");
	rate("read", mib, begin);
	(void)close(fd);
	need(unlink("large") == 0, "unlink");
}

static void name_of(int i, char name[static 16])
{
	(void)snprintf(name, 16, "small%d", i);
}

static void small(void)
{
	struct stat st;
	char name[16];
	long long begin = now_ns();
	DIR *dir;
	int found = 0;

	for (int i = 0; i < SMALL_FILES; i++) {
		name_of(i, name);
		const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);

		need(fd >= 0 && write(fd, name, sizeof(name)) == sizeof(name) && close(fd) == 0,
		     name);
	}
	each("create", SMALL_FILES, begin);
	begin = now_ns();
	for (int i = 0; i < SMALL_FILES; i++) {
		name_of(i, name);
		need(stat(name, &st) == 0, name);
	}
	each("stat", SMALL_FILES, begin);
	begin = now_ns();
	dir = opendir(".");
	need(dir != NULL, "opendir");
	while (readdir(dir))
		found++;
	(void)closedir(dir);
	need(found >= SMALL_FILES, "readdir");
	each("readdir", SMALL_FILES, begin);
	begin = now_ns();
	for (int i = 0; i < SMALL_FILES; i++) {
		name_of(i, name);
		need(unlink(name) == 0, name);
	}
	each("unlink", SMALL_FILES, begin);
}

int main(int argc, char **argv)
{
	const int mib = argc == 3 ? atoi(argv[2]) : 0;

	if (mib <= 0) {
		(void)fprintf(stderr, "usage: bench-files DIRECTORY MIB\n");
		return 2;
	}
	need(chdir(argv[1]) == 0, argv[1]);
	memset(chunk, 'x', sizeof(chunk));
	large(mib);
	small();
	return 0;
}
