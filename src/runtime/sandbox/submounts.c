/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/submounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define MOUNT_POINT_FIELD 4 /* of a line, from 0 */

/* The fifth field of a line, with its octal escapes undone in place; NULL: there is none. */
static char *mount_point(char *line)
{
	char *save = NULL, *field = strtok_r(line, " ", &save);
	char *to;

	for (int i = 0; field && i < MOUNT_POINT_FIELD; i++)
		field = strtok_r(NULL, " ", &save);
	if (!field)
		return NULL;
	to = field;
	for (const char *from = field; *from;) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
		    from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	return field;
}

/* "a/b" of "/top/a/b"; NULL for what is not below. */
static const char *below(const char *point, const char *top)
{
	const char *rest = str_after(point, top);

	if (!rest)
		return NULL;
	if (strcmp(top, "/") != 0 && *rest++ != '/')
		return NULL;
	return *rest ? rest : NULL;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A place comes before what is below it. */
static void sort_once(char **list)
{
	const size_t len = strv_len(list);
	size_t kept = 0;

	if (!list || len == 0)
		return;
	qsort(list, len, sizeof(*list), compare);
	for (size_t i = 1; i < len; i++) {
		if (strcmp(list[kept], list[i]) == 0)
			free(list[i]);
		else
			list[++kept] = list[i];
	}
	list[kept + 1] = NULL;
}

int submounts_parse(const char *mountinfo, const char *top, char ***ret)
{
	AUTO_FREE char *text = strdup(mountinfo);
	AUTO_STRV char **list = NULL;
	char *save = NULL;

	if (!text)
		return -ENOMEM;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *point = mount_point(line);
		const char *rest = point ? below(point, top) : NULL;

		if (rest && strv_add(&list, rest) < 0)
			return -ENOMEM;
	}
	sort_once(list);
	*ret = TAKE_PTR(list);
	return 0;
}

int submounts_find(int dir_fd, const char *source, struct buf *mountinfo, char ***ret)
{
	AUTO_CLOSE int fd = openat(dir_fd, source, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : submounts_below(fd, mountinfo, ret);
}

int submounts_below(int fd, struct buf *mountinfo, char ***ret)
{
	char name[FD_PATH_MAX], top[PATH_MAX];
	const ssize_t n = readlink(fd_path(fd, name), top, sizeof(top) - 1);
	int r = 0;

	if (n < 0)
		return -errno;
	top[n] = '\0';
	if (!mountinfo->data)
		r = fd_read_file(AT_FDCWD, "/proc/self/mountinfo", mountinfo);
	return r < 0 ? r : submounts_parse(mountinfo->data ? mountinfo->data : "", top, ret);
}
