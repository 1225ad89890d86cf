/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/ipc_ns.h - ipc namespaces (ipc_namespaces(7)): the objects of SysV shared memory,
 * semaphores and message queues, found by key or by id (sysvipc(7)).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/core/cred.h"

#define IPC_OBJECTS_MAX 32768 /* per kind: Linux's IPCMNI, the step of sequence numbers in ids */

/* What the three kinds have in common. Embedded first in each. */
struct ipc_object {
	unsigned int refs; /* the table's, and one per user across a park */
	bool removed;	   /* IPC_RMID: gone from the table; users answer EIDRM */
	int id, key;
	uint32_t uid, gid, cuid, cgid;
	uint32_t mode; /* permissions */
	uint16_t seq;
	const struct user_ns *user_ns; /* of the namespace it is in */
};

struct ipc_table {
	struct ipc_object **slots; /* owned; NULL entries are free */
	size_t len;		   /* entries allocated */
	size_t used;		   /* objects in it */
	uint16_t seq;
	const struct user_ns *user_ns; /* of the namespace */
	void (*free_object)(struct ipc_object *object);
};

/* kernel.shm*, sem and msg* of /proc/sys. */
struct ipc_limits {
	uint64_t shm_max, shm_all, shm_mni; /* bytes of a segment, pages of all, segments */
	uint64_t sem[4];		    /* SEMMSL, SEMMNS, SEMOPM, SEMMNI */
	uint64_t msg_max, msg_mnb, msg_mni; /* bytes of a message, of a queue, queues */
};
/* Of the namespace that is made next: boot may change them; the default is there again then. */
extern struct ipc_limits ipc_limits_next;

struct ipc_ns {
	unsigned int refs;
	uint64_t id;		 /* inode of /proc/PID/ns/ipc */
	struct user_ns *user_ns; /* one reference; NULL: the initial one */
	struct ipc_table shm, sem, msg;
	uint64_t shm_pages; /* of all segments */
	struct ipc_limits limits;
	void *mqueue; /* fs/mqueue: the namespace's queues, or NULL */
	void (*mqueue_free)(void *mqueue);
};

/* A fresh namespace; `id` is its inode number in nsfs. NULL: out of memory. */
struct ipc_ns *ipc_ns_new(uint64_t id);
void ipc_ns_set_user(struct ipc_ns *ns, struct user_ns *user); /* takes a reference; once */
struct ipc_ns *ipc_ns_ref(struct ipc_ns *ns);
void ipc_ns_unref(struct ipc_ns *ns); /* accepts NULL; the last one removes every object */

/* The object of an id, borrowed: -EINVAL (never was), -EIDRM (removed; the id is of old). */
int ipc_find(struct ipc_table *table, int id, struct ipc_object **ret);
/* The object at an index (IPC_STAT by index, /proc/sysvipc); NULL: free. */
struct ipc_object *ipc_at(const struct ipc_table *table, size_t index);
/* The object with this key, borrowed, or NULL. Not for IPC_PRIVATE. */
struct ipc_object *ipc_find_key(const struct ipc_table *table, int key);
/*
 * The *get calls' half of sysvipc(7): the id of the object with `key`, judged by flags (IPC_CREAT,
 * IPC_EXCL, mode); -ENOENT without IPC_CREAT; 1 << 31 is never an id: *ret_make says that the
 * caller shall make one.
 */
int ipc_get(struct ipc_table *table, int key, int flags, const struct cred *cred,
	    struct ipc_object **ret_found, bool *ret_make);
/* Put a new object (one reference, the table's) in: its id, -ENOSPC, -ENOMEM. */
int ipc_add(struct ipc_table *table, struct ipc_object *object, int key, uint32_t mode,
	    const struct cred *cred);
/* Take it out and give the table's reference back. */
void ipc_remove(struct ipc_table *table, struct ipc_object *object);
void ipc_unref(struct ipc_table *table, struct ipc_object *object);

/* want: 0400 read, 0200 write bits. 0 or -EACCES. */
int ipc_permission(const struct ipc_object *object, const struct cred *cred, uint32_t want);
/* IPC_SET and IPC_RMID: owner, creator or CAP_SYS_ADMIN; 0 or -EPERM. */
int ipc_owner(const struct ipc_object *object, const struct cred *cred);

/* struct ipc64_perm of the kernel's ABI. */
struct ipc_perm_abi {
	int32_t key;
	uint32_t uid, gid, cuid, cgid, mode;
	uint16_t seq, pad;
	uint64_t unused[2];
};
/* Ids as cred's user namespace sees them; ipc_perm_set: -EINVAL for one that is not mapped. */
void ipc_perm_out(const struct ipc_object *object, const struct cred *cred,
		  struct ipc_perm_abi *ret);
int ipc_perm_set(struct ipc_object *object, const struct cred *cred,
		 const struct ipc_perm_abi *from);
