/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SysV shared memory: shmget(2), shmat(2), shmdt(2), shmctl(2).
 */
#include <linux/capability.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "sentry/core/kclock.h"
#include "sentry/mm/shm.h"
#include "sentry/syscall/syscall.h"

#define SHM_STAT_ANY_CMD 15
#define MODE_DEST	 01000u
#define MODE_LOCKED	 02000u

/* struct shmid64_ds of the kernel's ABI. */
struct shmid_abi {
	struct ipc_perm_abi perm;
	uint64_t segsz;
	int64_t atime, dtime, ctime;
	int32_t cpid, lpid;
	uint64_t nattch, unused[2];
};

struct shminfo_abi {
	uint64_t shmmax, shmmin, shmmni, shmseg, shmall, unused[4];
};

struct shm_info_abi {
	int32_t used_ids, pad;
	uint64_t tot, rss, swp, swap_attempts, swap_successes;
};

static int own_pid(struct task *t)
{
	return task_tgid(t, task_pid_ns(t));
}

sysret_t sys_shmget(struct task *t, const struct syscall_args *a)
{
	return shm_get(t->ns->ipc, arg_int(a, 0), arg_u64(a, 1), arg_int(a, 2), t->cred,
		       own_pid(t));
}

sysret_t sys_shmat(struct task *t, const struct syscall_args *a)
{
	const struct mm_limits limits = task_mm_limits(t);

	return shm_map(t->ns->ipc, arg_int(a, 0), arg_uaddr(a, 1), arg_int(a, 2), t->cred,
		       own_pid(t), t->mm, t->thread, &limits);
}

sysret_t sys_shmdt(struct task *t, const struct syscall_args *a)
{
	return mm_unmap_shm(t->mm, t->thread, arg_uaddr(a, 0));
}

static void fill_stat(const struct shm_segment *shm, struct shmid_abi *ret)
{
	*ret = (struct shmid_abi){
		.segsz = shm->size,
		.atime = shm->atime,
		.dtime = shm->dtime,
		.ctime = shm->ctime,
		.cpid = shm->cpid,
		.lpid = shm->lpid,
		.nattch = shm->attached,
	};
	ipc_perm_out(&shm->object, task_current()->cred, &ret->perm);
	ret->perm.mode |= (shm->destroy ? MODE_DEST : 0) | (shm->locked ? MODE_LOCKED : 0);
}

/* By id, or by index (SHM_STAT): the segment, and what the call returns on success. */
static int find_for_stat(struct task *t, int id, int cmd, struct ipc_object **ret, int *ret_value)
{
	int r = 0;

	if (cmd == IPC_STAT) {
		r = ipc_find(&t->ns->ipc->shm, id, ret);
		*ret_value = 0;
	} else {
		*ret = id < 0 ? NULL : ipc_at(&t->ns->ipc->shm, (size_t)id);
		r = *ret ? 0 : -EINVAL;
		*ret_value = *ret ? (*ret)->id : 0;
	}
	if (r >= 0 && cmd != SHM_STAT_ANY_CMD)
		r = ipc_permission(*ret, t->cred, 0400);
	return r;
}

static sysret_t shm_stat(struct task *t, int id, int cmd, uaddr_t buf)
{
	struct ipc_object *object;
	struct shmid_abi ds;
	int value, r = find_for_stat(t, id, cmd, &object, &value);

	if (r < 0)
		return r;
	fill_stat(container_of(object, struct shm_segment, object), &ds);
	r = user_copy_out(task_um(t), buf, &ds, sizeof(ds));
	return r < 0 ? r : value;
}

static sysret_t shm_set(struct task *t, int id, uaddr_t buf)
{
	struct ipc_object *object;
	struct shmid_abi ds;
	int r = user_copy_in(task_um(t), &ds, buf, sizeof(ds));

	if (r >= 0)
		r = ipc_find(&t->ns->ipc->shm, id, &object);
	if (r >= 0)
		r = ipc_owner(object, t->cred);
	if (r < 0)
		return r;
	ipc_perm_set(object, t->cred, &ds.perm);
	container_of(object, struct shm_segment, object)->ctime =
		(int64_t)(kclock_realtime() / NSEC_PER_SEC);
	return 0;
}

static sysret_t shm_lock(struct task *t, int id, bool lock)
{
	struct ipc_object *object;
	int r = ipc_find(&t->ns->ipc->shm, id, &object);

	if (r < 0)
		return r;
	if (!task_capable(t, CAP_IPC_LOCK)) {
		if (ipc_owner(object, t->cred) < 0 || (lock && !task_rlimit(t, RLIMIT_MEMLOCK)))
			return -EPERM;
	}
	container_of(object, struct shm_segment, object)->locked = lock;
	return 0;
}

static sysret_t shm_rmid(struct task *t, int id)
{
	struct ipc_object *object;
	int r = ipc_find(&t->ns->ipc->shm, id, &object);

	if (r >= 0)
		r = ipc_owner(object, t->cred);
	if (r >= 0)
		shm_remove(t->ns->ipc, container_of(object, struct shm_segment, object));
	return r;
}

static int highest_index(const struct ipc_table *table)
{
	int highest = 0;

	for (size_t i = 0; i < table->len; i++) {
		if (table->slots[i])
			highest = (int)i;
	}
	return highest;
}

static sysret_t shm_limits(struct task *t, uaddr_t buf)
{
	const struct ipc_ns *ns = t->ns->ipc;
	const struct shminfo_abi info = {
		.shmmax = ns->limits.shm_max,
		.shmmin = 1,
		.shmmni = ns->limits.shm_mni,
		.shmseg = ns->limits.shm_mni,
		.shmall = ns->limits.shm_all,
	};
	const int r = user_copy_out(task_um(t), buf, &info, sizeof(info));

	return r < 0 ? r : highest_index(&ns->shm);
}

static sysret_t shm_usage(struct task *t, uaddr_t buf)
{
	const struct ipc_ns *ns = t->ns->ipc;
	const struct shm_info_abi info = {
		.used_ids = (int32_t)ns->shm.used,
		.tot = ns->shm_pages,
		.rss = ns->shm_pages,
	};
	const int r = user_copy_out(task_um(t), buf, &info, sizeof(info));

	return r < 0 ? r : highest_index(&ns->shm);
}

sysret_t sys_shmctl(struct task *t, const struct syscall_args *a)
{
	const int id = arg_int(a, 0), cmd = arg_int(a, 1);
	const uaddr_t buf = arg_uaddr(a, 2);

	if (cmd < 0 || id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_STAT:
	case SHM_STAT:
	case SHM_STAT_ANY_CMD:
		return shm_stat(t, id, cmd, buf);
	case IPC_SET:
		return shm_set(t, id, buf);
	case IPC_RMID:
		return shm_rmid(t, id);
	case IPC_INFO:
		return shm_limits(t, buf);
	case SHM_INFO:
		return shm_usage(t, buf);
	case SHM_LOCK:
	case SHM_UNLOCK:
		return shm_lock(t, id, cmd == SHM_LOCK);
	default:
		return -EINVAL;
	}
}
