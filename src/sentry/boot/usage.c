/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst, memory.stat: lines of a
 * key and a number of bytes. The host's kernel wrote it; a line that does not fit is passed over.
 */
#include "sentry/boot/usage.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sentry/core/kclock.h"
#include "wire/sentry_msg.h"

#define STAT_MAX 8192u		     /* bytes that are looked at */
#define FRESH_NS (NSEC_PER_SEC / 20) /* readers in between get the same answer */

struct memory_stat {
	uint64_t anon, file, shmem, kernel;
};

static void take_line(const char *line, struct memory_stat *stat)
{
	static const struct {
		const char *key;
		size_t field;
	} keys[] = {
		{ "anon ", offsetof(struct memory_stat, anon) },
		{ "file ", offsetof(struct memory_stat, file) },
		{ "shmem ", offsetof(struct memory_stat, shmem) },
		{ "kernel ", offsetof(struct memory_stat, kernel) },
		{ "total_rss ", offsetof(struct memory_stat, anon) },
		{ "total_cache ", offsetof(struct memory_stat, file) },
		{ "total_shmem ", offsetof(struct memory_stat, shmem) },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const size_t len = strlen(keys[i].key);

		if (!strncmp(line, keys[i].key, len))
			*(uint64_t *)((char *)stat + keys[i].field) =
				strtoull(line + len, NULL, 10);
	}
}

void boot_usage(struct sandbox_usage *ret)
{
	static struct memory_stat stat;
	static nsec_t read_at;
	const nsec_t now = kclock_monotonic();
	char text[STAT_MAX];
	char *save = NULL;
	ssize_t n;

	if (!read_at || now - read_at > FRESH_NS) {
		n = pread(SENTRY_FD_MEMORY, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		for (char *line = strtok_r(text, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			take_line(line, &stat);
		read_at = now;
	}
	ret->anon = stat.anon;
	ret->shmem = stat.shmem;
	ret->memory = stat.anon + stat.file + stat.kernel;
}
