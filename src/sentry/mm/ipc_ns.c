/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/mm/ipc_ns.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>

#include "sentry/mm/msg.h"
#include "sentry/mm/sem.h"
#include "sentry/mm/shm.h"

#define SLOTS_MIN 16

#define LIMITS                                                                                     \
	{                                                                                          \
		.shm_max = UINT64_MAX - (1ull << 24), .shm_all = UINT64_MAX - (1ull << 24),        \
		.shm_mni = 4096,                                                                   \
		.sem = { SEM_SET_MAX, SEM_SET_MAX * SEM_SETS_MAX, SEM_OPS_DEFAULT, SEM_SETS_MAX }, \
		.msg_max = 8192, .msg_mnb = 16384, .msg_mni = MSG_QUEUES_MAX,                      \
	}

struct ipc_limits ipc_limits_next = LIMITS;

struct ipc_ns *ipc_ns_new(uint64_t id)
{
	struct ipc_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return NULL;
	ns->refs = 1;
	ns->id = id;
	ns->shm.free_object = shm_free_object;
	ns->sem.free_object = sem_free_object;
	ns->msg.free_object = msg_free_object;
	ns->limits = ipc_limits_next;
	ipc_limits_next = (struct ipc_limits)LIMITS;
	return ns;
}

void ipc_ns_set_user(struct ipc_ns *ns, struct user_ns *user)
{
	ns->user_ns = user_ns_ref(user);
	ns->shm.user_ns = ns->sem.user_ns = ns->msg.user_ns = user;
}

struct ipc_ns *ipc_ns_ref(struct ipc_ns *ns)
{
	ns->refs++;
	return ns;
}

static void table_done(struct ipc_table *table)
{
	for (size_t i = 0; i < table->len; i++) {
		if (table->slots[i])
			ipc_remove(table, table->slots[i]);
	}
	free(table->slots);
}

void ipc_ns_unref(struct ipc_ns *ns)
{
	if (!ns || --ns->refs > 0)
		return;
	if (ns->mqueue)
		ns->mqueue_free(ns->mqueue);
	shm_ns_done(ns);
	table_done(&ns->shm);
	table_done(&ns->sem);
	table_done(&ns->msg);
	user_ns_unref(ns->user_ns);
	free(ns);
}

struct ipc_object *ipc_at(const struct ipc_table *table, size_t index)
{
	return index < table->len ? table->slots[index] : NULL;
}

int ipc_find(struct ipc_table *table, int id, struct ipc_object **ret)
{
	struct ipc_object *object;

	if (id < 0)
		return -EINVAL;
	object = ipc_at(table, (size_t)id % IPC_OBJECTS_MAX);
	if (!object)
		return -EINVAL;
	if (object->id != id)
		return -EIDRM;
	*ret = object;
	return 0;
}

struct ipc_object *ipc_find_key(const struct ipc_table *table, int key)
{
	for (size_t i = 0; i < table->len; i++) {
		if (table->slots[i] && table->slots[i]->key == key)
			return table->slots[i];
	}
	return NULL;
}

int ipc_get(struct ipc_table *table, int key, int flags, const struct cred *cred,
	    struct ipc_object **ret_found, bool *ret_make)
{
	struct ipc_object *object = key == IPC_PRIVATE ? NULL : ipc_find_key(table, key);
	int r;

	*ret_make = false;
	*ret_found = object;
	if (!object) {
		if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
			return -ENOENT;
		*ret_make = true;
		return 0;
	}
	if (flags & IPC_CREAT && flags & IPC_EXCL)
		return -EEXIST;
	r = ipc_permission(object, cred, (uint32_t)(flags | flags << 3 | flags << 6) & 0700);
	return r < 0 ? r : object->id;
}

/* A free index, growing the table. */
static int free_slot(struct ipc_table *table)
{
	size_t len = table->len ? table->len * 2 : SLOTS_MIN;
	struct ipc_object **slots;

	for (size_t i = 0; i < table->len; i++) {
		if (!table->slots[i])
			return (int)i;
	}
	if (table->len == IPC_OBJECTS_MAX)
		return -ENOSPC;
	slots = reallocarray(table->slots, len, sizeof(struct ipc_object *));
	if (!slots)
		return -ENOMEM;
	memset(slots + table->len, 0, (len - table->len) * sizeof(struct ipc_object *));
	table->slots = slots;
	table->len = len;
	return (int)(len > SLOTS_MIN ? len / 2 : 0);
}

int ipc_add(struct ipc_table *table, struct ipc_object *object, int key, uint32_t mode,
	    const struct cred *cred)
{
	const int index = free_slot(table);

	if (index < 0)
		return index;
	object->refs = 1;
	object->key = key;
	object->mode = mode & 0777;
	object->user_ns = table->user_ns;
	object->uid = object->cuid = cred->euid;
	object->gid = object->cgid = cred->egid;
	object->seq = table->seq;
	object->id = object->seq * IPC_OBJECTS_MAX + index;
	/* The id stays positive: 16 bits of sequence number and 15 of index. */
	table->seq = (uint16_t)(table->seq + 1) % (INT32_MAX / IPC_OBJECTS_MAX);
	table->slots[index] = object;
	table->used++;
	return object->id;
}

void ipc_unref(struct ipc_table *table, struct ipc_object *object)
{
	if (--object->refs == 0)
		table->free_object(object);
}

void ipc_remove(struct ipc_table *table, struct ipc_object *object)
{
	table->slots[(size_t)object->id % IPC_OBJECTS_MAX] = NULL;
	table->used--;
	object->removed = true;
	ipc_unref(table, object);
}

int ipc_permission(const struct ipc_object *object, const struct cred *cred, uint32_t want)
{
	uint32_t granted = object->mode << 6;

	if (cred->euid == object->uid || cred->euid == object->cuid)
		granted = object->mode;
	else if (cred_in_egroup(cred, object->gid) || cred_in_egroup(cred, object->cgid))
		granted = object->mode << 3;
	if (!(want & ~granted & 0700) || cred_ns_capable(cred, object->user_ns, CAP_IPC_OWNER))
		return 0;
	return -EACCES;
}

int ipc_owner(const struct ipc_object *object, const struct cred *cred)
{
	if (cred->euid == object->uid || cred->euid == object->cuid ||
	    cred_ns_capable(cred, object->user_ns, CAP_SYS_ADMIN))
		return 0;
	return -EPERM;
}

void ipc_perm_out(const struct ipc_object *object, const struct cred *cred,
		  struct ipc_perm_abi *ret)
{
	const struct user_ns *ns = cred->user_ns;

	*ret = (struct ipc_perm_abi){
		.key = object->key,
		.uid = user_ns_uid_out(ns, object->uid),
		.gid = user_ns_gid_out(ns, object->gid),
		.cuid = user_ns_uid_out(ns, object->cuid),
		.cgid = user_ns_gid_out(ns, object->cgid),
		.mode = object->mode,
		.seq = object->seq,
	};
}

int ipc_perm_set(struct ipc_object *object, const struct cred *cred,
		 const struct ipc_perm_abi *from)
{
	const uint32_t uid = user_ns_uid_in(cred->user_ns, from->uid);
	const uint32_t gid = user_ns_gid_in(cred->user_ns, from->gid);

	if (uid == ID_INVALID || gid == ID_INVALID)
		return -EINVAL;
	object->uid = uid;
	object->gid = gid;
	object->mode = (object->mode & ~0777u) | (from->mode & 0777);
	return 0;
}
