/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program writes to /proc/PID/uid_map: the text of a map, which becomes that of a namespace
 * whose parent has a map as well. No id is mapped twice, and none that the parent has not.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/user_ns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool apart(uint32_t a, uint32_t a_len, uint32_t b, uint32_t b_len)
{
	return (uint64_t)a + a_len <= b || (uint64_t)b + b_len <= a;
}

static void judge(const struct id_map *map)
{
	assert(map->len > 0 && map->len <= ID_MAP_MAX);
	for (size_t i = 0; i < map->len; i++) {
		const struct id_range *r = &map->ranges[i];

		assert(r->count > 0);
		assert((uint64_t)r->inside + r->count <= UINT32_MAX);
		assert((uint64_t)r->outside + r->count <= UINT32_MAX);
		for (size_t j = 0; j < i; j++) {
			const struct id_range *s = &map->ranges[j];

			assert(apart(r->inside, r->count, s->inside, s->count));
			assert(apart(r->outside, r->count, s->outside, s->count));
		}
	}
}

/* Both ends of each range there and back, and its ids are the parent's. */
static void judge_child(const struct user_ns *child)
{
	for (size_t i = 0; i < child->uid.len; i++) {
		const struct id_range *r = &child->uid.ranges[i];
		const uint32_t ends[] = { r->inside, r->inside + (r->count - 1) };

		for (size_t j = 0; j < 2; j++) {
			const uint32_t kuid = user_ns_uid_in(child, ends[j]);

			assert(kuid != ID_INVALID);
			assert(user_ns_uid_raw(child, kuid) == ends[j]);
			assert(user_ns_uid_raw(child->parent, kuid) != ID_INVALID);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct id_range outer[] = { { 0, 100000, 1000 },
					   { 5000, 7, 1 },
					   { 70000, 200000, 65536 } };
	static struct user_ns parent = { .refs = 1, .level = 1, .uid = { outer, 3 } };
	struct user_ns child = { .refs = 1, .level = 2, .parent = &parent };
	char *text = malloc(size + 1);

	assert(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (id_map_parse(text, &child.uid) == 0) {
		judge(&child.uid);
		if (id_map_translate(&child.uid, &parent, false) == 0)
			judge_child(&child);
		id_map_done(&child.uid);
	}
	free(text);
	return 0;
}
