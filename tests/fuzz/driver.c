/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/driver.c - runs a fuzz target over files instead of libFuzzer: each argument is a file
 * or a directory of files. So the corpus is replayed by every build, with any compiler.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (17u << 20) /* bytes: more than any target reads */

static unsigned long replayed;

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "re");
	uint8_t *data = malloc(INPUT_MAX), *exact = NULL;
	size_t size = 0;
	int r = -1;

	if (f && data) {
		size = fread(data, 1, INPUT_MAX, f);
		/* A block of exactly this size, so that a sanitizer sees one byte too far. */
		exact = ferror(f) ? NULL : malloc(size ? size : 1);
	}
	if (exact) {
		memcpy(exact, data, size);
		(void)LLVMFuzzerTestOneInput(exact, size);
		replayed++;
		r = 0;
	} else {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	}
	if (f)
		(void)fclose(f);
	free(exact);
	free(data);
	return r;
}

static int replay_directory(DIR *dir, const char *path)
{
	char file[4096];
	int r = 0;

	for (struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		r |= replay_file(file);
	}
	(void)closedir(dir);
	return r;
}

int main(int argc, char **argv)
{
	int r = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);

		r |= dir ? replay_directory(dir, argv[i]) : replay_file(argv[i]);
	}
	printf("%lu inputs replayed\n", replayed);
	return r < 0 || replayed == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
