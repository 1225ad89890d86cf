/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/oom.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"

/*
 * A thousandth of the limit each. -900: a sentry that has grown to nine tenths of the memory is
 * what the memory is wanted from. A guaranteed pod of Kubernetes has -997. -1000 would hide it from
 * the killer, which then finds nobody.
 */
#define LAST	  (-900)
#define VERY_LAST (-999)
#define UNKNOWN	  1001

static int read_score(int fd)
{
	char text[16] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 ? (int)strtol(text, NULL, 10)
							       : UNKNOWN;
}

static bool write_score(int fd, int value)
{
	char text[16];
	const int len = snprintf(text, sizeof(text), "%d", value);

	return pwrite(fd, text, (size_t)len, 0) == len;
}

int oom_score(void)
{
	AUTO_CLOSE int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
	const int now = read_score(fd);

	return now == UNKNOWN ? 0 : now;
}

int oom_score_below(int score)
{
	return score > LAST ? LAST : score > VERY_LAST ? VERY_LAST : score;
}

void oom_go_back(int proc, int score)
{
	AUTO_CLOSE int fd = openat(proc, "self/oom_score_adj", O_RDWR | O_CLOEXEC);
	const int now = read_score(fd);

	if (now != UNKNOWN && now < score)
		(void)write_score(fd, score);
}

void oom_go_last(int inherited)
{
	AUTO_CLOSE int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	const int now = read_score(fd);

	if (now <= VERY_LAST || now == UNKNOWN)
		return;
	/* Back to where it was needs no capability. */
	if (!write_score(fd, oom_score_below(now)) && inherited < now)
		(void)write_score(fd, inherited);
}
