/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/user_ns.h - user namespaces (user_namespaces(7)): whose ids and capabilities are
 * whose.
 *
 * Everything in the kernel holds the ids of the sandbox's initial namespace ("kernel ids"); what a
 * guest says or is told is translated at the system call. NULL is the initial namespace: its ids
 * are themselves, those that config.json maps where it maps any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cred;

#define ID_INVALID	   UINT32_MAX
#define ID_OVERFLOW	   65534u /* what an id looks like that is not mapped */
#define ID_MAP_MAX	   340u	  /* lines of a map, as Linux has it */
#define USER_NS_LEVELS_MAX 32u
#define USER_NS_MAX	   4096u /* at one time, in the sandbox: user.max_user_namespaces */

/* `count` ids from `inside` on are those from `outside` on; outside: kernel ids. */
struct id_range {
	uint32_t inside, outside, count;
};

struct id_map {
	struct id_range *ranges; /* owned */
	size_t len;		 /* 0: not written yet */
};

struct user_ns {
	unsigned int refs;
	uint64_t id; /* inode of /proc/PID/ns/user */
	unsigned int level;
	struct user_ns *parent; /* one reference; NULL: the initial one */
	uint32_t owner, group;	/* effective ids of who made it */
	struct id_map uid, gid;
	bool setgroups_denied;
	bool parent_had_setfcap; /* its maker had CAP_SETFCAP: may map the parent's root */
};

/*
 * unshare(2), clone(2): a child of cred's namespace, owned by cred's effective ids. 0, -ENOSPC (too
 * deep, too many), -EPERM (the maker's own ids are not mapped), -ENOMEM.
 */
int user_ns_new(const struct cred *maker, uint64_t id, struct user_ns **ret);
struct user_ns *user_ns_ref(struct user_ns *ns); /* accepts and returns NULL */
void user_ns_unref(struct user_ns *ns);		 /* accepts NULL */

/* `ns` is `outer` or below it. */
bool user_ns_inside(const struct user_ns *ns, const struct user_ns *outer);

/* ID_INVALID: not mapped. */
uint32_t user_ns_uid_in(const struct user_ns *ns, uint32_t uid); /* what a guest said */
uint32_t user_ns_gid_in(const struct user_ns *ns, uint32_t gid);
uint32_t user_ns_uid_raw(const struct user_ns *ns, uint32_t kuid); /* ID_INVALID: not mapped */
uint32_t user_ns_gid_raw(const struct user_ns *ns, uint32_t kgid);
/* What a guest is told: ID_OVERFLOW for what is not mapped. */
uint32_t user_ns_uid_out(const struct user_ns *ns, uint32_t kuid);
uint32_t user_ns_gid_out(const struct user_ns *ns, uint32_t kgid);

/* Boot: the maps of config.json (ranges are copied); id 0: no namespace of its own. 0, -ENOMEM. */
int user_ns_set_initial(uint64_t id, const struct id_range *uids, size_t uids_len,
			const struct id_range *gids, size_t gids_len);
uint64_t user_ns_id(const struct user_ns *ns, uint64_t unset);

/* The text of uid_map or gid_map: lines of a map, its ids outside as `reader` sees them. */
const struct id_map *user_ns_map(const struct user_ns *ns, bool gids);

/*
 * Text that was written to uid_map or gid_map. Ids outside are still those of the parent: 0,
 * -EINVAL (words, empty, overflow, ranges that overlap, too many). *ret is the caller's.
 */
int id_map_parse(char *text, struct id_map *ret);
/* They become kernel ids: -EPERM, a range is not in the parent's map as a whole. */
int id_map_translate(struct id_map *map, const struct user_ns *parent, bool gids);
void id_map_done(struct id_map *map);
