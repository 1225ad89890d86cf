/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/shm.h - SysV shared memory segments (shmget(2), shmat(2), shmctl(2)). Areas count as
 * attachments.
 */
#pragma once

#include "sentry/mm/ipc_ns.h"
#include "sentry/mm/mm.h"

struct shm_segment {
	struct ipc_object object;
	struct ipc_ns *ns;	     /* while it is in the table */
	struct memfile *memfile;     /* one reference */
	uint64_t size;		     /* bytes, as asked */
	uint64_t attached;	     /* areas; a segment lives as long as one */
	int64_t atime, dtime, ctime; /* seconds since the epoch; 0: never */
	int cpid, lpid;		     /* in the caller's pid namespace */
	bool destroy;		     /* IPC_RMID: with the last attachment */
	bool locked;		     /* SHM_LOCK */
};

/* shmget(2): the id. `pid` is the caller's. */
int shm_get(struct ipc_ns *ns, int key, uint64_t size, int flags, const struct cred *cred, int pid);
/* shmat(2): the address. */
int64_t shm_map(struct ipc_ns *ns, int id, uaddr_t addr, int flags, const struct cred *cred,
		int pid, struct mm *mm, struct platform_thread *t, const struct mm_limits *limits);
/* IPC_RMID; owner judged by the caller. */
void shm_remove(struct ipc_ns *ns, struct shm_segment *shm);

void shm_attach(struct shm_segment *shm);
/* The last attachment of a segment that is marked for removal removes it. */
void shm_detach(struct shm_segment *shm);
int shm_key(const struct shm_segment *shm);

/* The namespace's own part. */
void shm_free_object(struct ipc_object *object);
void shm_ns_done(struct ipc_ns *ns);
