/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/host_memory.h"

#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define TEXT_MAX 512u
#define NO_LIMIT (1ull << 62) /* and above it: how v1 says that there is none */

static const char *look(int fd, char text[static TEXT_MAX])
{
	const ssize_t n = pread(fd, text, TEXT_MAX - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

uint64_t host_memory_kills(int fd)
{
	char text[TEXT_MAX], *rest = NULL;
	uint64_t n = 0;

	(void)look(fd, text);
	for (const char *line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		const char *number = str_after(line, "oom_kill ");

		if (number && str_to_u64(number, UINT64_MAX, &n) == 0)
			return n;
	}
	return 0;
}

uint64_t host_memory_limit(int fd)
{
	char text[TEXT_MAX];
	uint64_t n;

	(void)look(fd, text);
	text[strcspn(text, "\n")] = '\0';
	return str_to_u64(text, NO_LIMIT - 1, &n) == 0 ? n : UINT64_MAX;
}
