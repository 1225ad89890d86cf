/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the reader of a user's state files tells root: rows of containers. What is taken has sane
 * facts, the user as its owner and no cgroup, and nothing for a terminal in what tables show.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "runtime/list_as.h"

#define USER 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct container *c)
{
	assert(container_id_check(c->id, NULL) == 0);
	assert(c->status >= 0 && c->status < OCI_STATUS_MAX);
	assert(c->isolation >= 0 && c->isolation < ISOLATION_MAX);
	assert(c->owner == USER && !c->cgroup);
	assert(c->pid == 0 || c->pid > 1);
	assert(c->bundle[0] == '/' && c->rootfs[0] == '/');
	for (const char *p = c->created; *p; p++)
		assert(*p > ' ' && *p <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct runtime rt;
	struct container **list = NULL;
	struct err err = { 0 };
	size_t len = 0;

	if (list_as_decode(&rt, USER, (const char *)data, size, &list, &len, &err) < 0) {
		assert(!list && len == 0 && strlen(err.msg) > 0);
		return 0;
	}
	for (size_t i = 0; i < len; i++)
		judge(list[i]);
	container_list_free(list, len);
	return 0;
}
