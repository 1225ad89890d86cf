/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/user_ns.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sentry/core/cred.h"

/* What config.json says of the sandbox's own namespace. */
static struct {
	uint64_t id;
	struct id_map uid, gid;
} initial;

static unsigned int count;

void id_map_done(struct id_map *map)
{
	free(map->ranges);
	*map = (struct id_map){ 0 };
}

int user_ns_new(const struct cred *maker, uint64_t id, struct user_ns **ret)
{
	struct user_ns *parent = maker->user_ns;
	struct user_ns *ns;

	if ((parent && parent->level >= USER_NS_LEVELS_MAX) || count >= USER_NS_MAX)
		return -ENOSPC;
	if (user_ns_uid_raw(parent, maker->euid) == ID_INVALID ||
	    user_ns_gid_raw(parent, maker->egid) == ID_INVALID)
		return -EPERM;
	ns = calloc(1, sizeof(*ns));
	if (!ns)
		return -ENOMEM;
	ns->refs = 1;
	ns->id = id;
	ns->level = parent ? parent->level + 1 : 1;
	ns->parent = user_ns_ref(parent);
	ns->owner = maker->euid;
	ns->group = maker->egid;
	ns->setgroups_denied = parent && parent->setgroups_denied;
	ns->parent_had_setfcap = maker->cap_effective >> CAP_SETFCAP & 1;
	count++;
	*ret = ns;
	return 0;
}

struct user_ns *user_ns_ref(struct user_ns *ns)
{
	if (ns)
		ns->refs++;
	return ns;
}

void user_ns_unref(struct user_ns *ns)
{
	while (ns && --ns->refs == 0) {
		struct user_ns *parent = ns->parent;

		id_map_done(&ns->uid);
		id_map_done(&ns->gid);
		free(ns);
		count--;
		ns = parent;
	}
}

bool user_ns_inside(const struct user_ns *ns, const struct user_ns *outer)
{
	while (ns && ns != outer)
		ns = ns->parent;
	return ns == outer;
}

const struct id_map *user_ns_map(const struct user_ns *ns, bool gids)
{
	if (!ns)
		return gids ? &initial.gid : &initial.uid;
	return gids ? &ns->gid : &ns->uid;
}

/* Of a whole range, `n` ids from `id` on. */
static uint32_t map_in(const struct id_map *map, uint32_t id, uint32_t n)
{
	for (size_t i = 0; i < map->len; i++) {
		const struct id_range *r = &map->ranges[i];

		if (id >= r->inside && id - r->inside < r->count &&
		    n <= r->count - (id - r->inside))
			return r->outside + (id - r->inside);
	}
	return ID_INVALID;
}

static uint32_t map_out(const struct id_map *map, uint32_t id)
{
	for (size_t i = 0; i < map->len; i++) {
		const struct id_range *r = &map->ranges[i];

		if (id >= r->outside && id - r->outside < r->count)
			return r->inside + (id - r->outside);
	}
	return ID_INVALID;
}

/* The initial namespace's ids are themselves, as far as they are mapped. */
static uint32_t initial_id(const struct id_map *map, uint32_t id, uint32_t n)
{
	if (id == ID_INVALID)
		return ID_INVALID;
	return map->len == 0 || map_in(map, id, n) != ID_INVALID ? id : ID_INVALID;
}

uint32_t user_ns_uid_in(const struct user_ns *ns, uint32_t uid)
{
	return ns ? map_in(&ns->uid, uid, 1) : initial_id(&initial.uid, uid, 1);
}

uint32_t user_ns_gid_in(const struct user_ns *ns, uint32_t gid)
{
	return ns ? map_in(&ns->gid, gid, 1) : initial_id(&initial.gid, gid, 1);
}

uint32_t user_ns_uid_raw(const struct user_ns *ns, uint32_t kuid)
{
	return ns ? map_out(&ns->uid, kuid) : kuid;
}

uint32_t user_ns_gid_raw(const struct user_ns *ns, uint32_t kgid)
{
	return ns ? map_out(&ns->gid, kgid) : kgid;
}

uint32_t user_ns_uid_out(const struct user_ns *ns, uint32_t kuid)
{
	const uint32_t uid = user_ns_uid_raw(ns, kuid);

	return ns && uid == ID_INVALID ? ID_OVERFLOW : uid;
}

uint32_t user_ns_gid_out(const struct user_ns *ns, uint32_t kgid)
{
	const uint32_t gid = user_ns_gid_raw(ns, kgid);

	return ns && gid == ID_INVALID ? ID_OVERFLOW : gid;
}

static int copy_ranges(struct id_map *map, const struct id_range *ranges, size_t len)
{
	struct id_range *copy = malloc((len + 1) * sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	if (len > 0)
		memcpy(copy, ranges, len * sizeof(*copy));
	id_map_done(map);
	map->ranges = copy;
	map->len = len;
	return 0;
}

int user_ns_set_initial(uint64_t id, const struct id_range *uids, size_t uids_len,
			const struct id_range *gids, size_t gids_len)
{
	int r = copy_ranges(&initial.uid, uids, uids_len);

	if (r == 0)
		r = copy_ranges(&initial.gid, gids, gids_len);
	initial.id = id;
	return r;
}

uint64_t user_ns_id(const struct user_ns *ns, uint64_t unset)
{
	if (ns)
		return ns->id;
	return initial.id ? initial.id : unset;
}

static bool overlap(uint32_t a, uint32_t b, const struct id_range *x, const struct id_range *y)
{
	return a <= b ? b - a < x->count : a - b < y->count;
}

/* One number of a line; *p moves behind it. */
static int take_number(char **p, uint32_t *ret)
{
	unsigned long long n;
	char *end;

	*p += strspn(*p, " \t");
	if (**p < '0' || **p > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(*p, &end, 10);
	if (errno || n > UINT32_MAX || (*end && !strchr(" \t", *end)))
		return -EINVAL;
	*p = end;
	*ret = (uint32_t)n;
	return 0;
}

static int take_line(char *line, struct id_range *ret)
{
	int r = take_number(&line, &ret->inside);

	if (r == 0)
		r = take_number(&line, &ret->outside);
	if (r == 0)
		r = take_number(&line, &ret->count);
	if (r < 0)
		return r;
	line += strspn(line, " \t");
	/* No id may be UINT32_MAX. */
	if (*line || ret->count == 0 || ret->inside > UINT32_MAX - ret->count ||
	    ret->outside > UINT32_MAX - ret->count)
		return -EINVAL;
	return 0;
}

int id_map_parse(char *text, struct id_map *ret)
{
	struct id_map map = { .ranges = calloc(ID_MAP_MAX, sizeof(*map.ranges)) };
	int r = map.ranges ? 0 : -ENOMEM;

	for (char *line = text, *next; r == 0 && line && *line; line = next) {
		struct id_range *range = &map.ranges[map.len];

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		r = map.len < ID_MAP_MAX ? take_line(line, range) : -EINVAL;
		for (size_t i = 0; r == 0 && i < map.len; i++) {
			const struct id_range *old = &map.ranges[i];

			if (overlap(old->inside, range->inside, old, range) ||
			    overlap(old->outside, range->outside, old, range))
				r = -EINVAL;
		}
		map.len += r == 0;
	}
	if (r == 0 && map.len == 0)
		r = -EINVAL;
	if (r < 0)
		id_map_done(&map);
	else
		*ret = map;
	return r;
}

int id_map_translate(struct id_map *map, const struct user_ns *parent, bool gids)
{
	const struct id_map *outer = user_ns_map(parent, gids);

	for (size_t i = 0; i < map->len; i++) {
		struct id_range *r = &map->ranges[i];

		r->outside = parent ? map_in(outer, r->outside, r->count)
				    : initial_id(outer, r->outside, r->count);
		if (r->outside == ID_INVALID)
			return -EPERM;
	}
	return 0;
}
