/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/namespaces.h - namespaces(7) of tasks.
 *
 * uts lives here, the others below (user: core, mount: vfs, ipc: mm, pid: pid.h) or in rooms above
 * (net, cgroup, time), which register how theirs are copied and counted; a kind
 * that nobody registered is a null pointer, and making a new one is -EINVAL.
 */
#pragma once

#include <stdint.h>

#include "sentry/core/cred.h"

struct ipc_ns;
struct net_ns;
struct path;
struct mount_ns;
struct pid_ns;

#define UTS_NAME_MAX 64 /* bytes without the NUL: __NEW_UTS_LEN */

struct uts_ns {
	unsigned int refs;
	uint64_t id;		 /* inode of /proc/PID/ns/uts */
	struct user_ns *user_ns; /* who may change it; one reference, NULL: the initial one */
	char nodename[UTS_NAME_MAX + 1];
	char domainname[UTS_NAME_MAX + 1];
};

/*
 * The sandbox's time namespace: the host's kernel keeps it and moves the clocks of the sentry and
 * of the stubs alike; here is what is told of it. id 0: none of its own.
 */
struct time_offset {
	int64_t secs;
	uint32_t nanosecs;
};
struct time_ns_told {
	uint64_t id;
	struct time_offset monotonic, boottime;
};
extern struct time_ns_told sandbox_time_ns; /* set by boot */

/* Namespaces of rooms above. */
enum ns_kind {
	NS_NET,
	NS_CGROUP,
	NS_TIME,
	NS_KINDS,
};

struct ns_ops {
	int (*create)(void *parent, const struct cred *cred, void **ret); /* unshare: a new one */
	void (*ref)(void *ns);
	void (*unref)(void *ns);
	uint64_t (*id)(const void *ns);		  /* inode of /proc/PID/ns/... */
	struct user_ns *(*owner)(const void *ns); /* borrowed; NULL: the initial one */
};

/* Namespaces of a task, replaced as a whole (unshare, setns, clone): immutable once shared. */
struct namespaces {
	unsigned int refs;
	struct uts_ns *uts;
	struct mount_ns *mnt;
	struct ipc_ns *ipc;
	struct pid_ns *pid_for_children;
	union {
		struct {
			struct net_ns *net;
			struct cgroup_ns *cgroup;
			struct time_ns *time;
		};
		void *other[NS_KINDS]; /* by enum ns_kind */
	};
};

/* What /proc/sys/net shows of a network namespace, and net/ goes by. */
struct net_limits {
	uint64_t ports[2];	     /* ip_local_port_range: first and last */
	uint64_t unprivileged_first; /* ip_unprivileged_port_start */
	uint64_t backlog_max;	     /* somaxconn */
};
/*
 * Set by net_register(). ns NULL: those of the namespace that is made next, which boot may change;
 * the default is there again then.
 */
extern struct net_limits *(*net_limits_of)(struct net_ns *ns);

/* Once per kind, before the first task; static. */
void ns_register(enum ns_kind kind, const struct ns_ops *ops);
const struct ns_ops *ns_ops_of(enum ns_kind kind); /* NULL: not registered */
/* Who owns that namespace: borrowed; NULL: the initial one. */
struct user_ns *ns_owner_of(const struct namespaces *ns, enum ns_kind kind);

/* user_namespaces(7): who stands in a chroot makes no user namespace (-EPERM). */
bool namespaces_chrooted(const struct namespaces *ns, const struct path *root);

/* A number for /proc/PID/ns/...; never the same twice in a sandbox. */
uint64_t ns_new_id(void);

int uts_ns_new(const char *nodename, const char *domainname, struct uts_ns **ret);
struct uts_ns *uts_ns_ref(struct uts_ns *ns);
void uts_ns_unref(struct uts_ns *ns); /* accepts NULL */

/* Takes a reference on each member (those that are not NULL). NULL: out of memory. */
struct namespaces *namespaces_new(const struct namespaces *members);
struct namespaces *namespaces_ref(struct namespaces *ns);
void namespaces_unref(struct namespaces *ns); /* accepts NULL */

/*
 * The namespaces of a child or of unshare(2): flags are CLONE_NEW*; they belong to the user
 * namespace of cred, which is in the new one already where there is one. root and cwd move into a
 * new mount namespace. 0, -EPERM (CAP_SYS_ADMIN there), -EINVAL, -ENOSPC, -ENOMEM.
 */
int namespaces_copy(struct namespaces *from, uint64_t flags, const struct cred *cred,
		    struct path *root, struct path *cwd, struct namespaces **ret);
