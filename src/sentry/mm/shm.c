/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SysV shared memory: a segment is a memfile with a name. Its object is referenced by the table
 * until IPC_RMID and by every attachment.
 */
#include "sentry/mm/shm.h"

#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "sentry/core/kclock.h"
#include "sentry/mm/vma.h"

static int64_t now_seconds(void)
{
	return (int64_t)(kclock_realtime() / NSEC_PER_SEC);
}

static struct shm_segment *to_segment(struct ipc_object *object)
{
	return container_of(object, struct shm_segment, object);
}

int shm_key(const struct shm_segment *shm)
{
	return shm->object.key;
}

void shm_free_object(struct ipc_object *object)
{
	struct shm_segment *shm = to_segment(object);

	memfile_unref(shm->memfile);
	free(shm);
}

static void forget(struct shm_segment *shm)
{
	struct ipc_ns *ns = shm->ns;

	if (!ns)
		return;
	ns->shm_pages -= page_up(shm->size) / MM_PAGE;
	shm->ns = NULL;
	ipc_remove(&ns->shm, &shm->object);
}

void shm_ns_done(struct ipc_ns *ns)
{
	for (size_t i = 0; i < ns->shm.len; i++) {
		struct ipc_object *object = ipc_at(&ns->shm, i);

		if (object)
			forget(to_segment(object));
	}
}

void shm_attach(struct shm_segment *shm)
{
	shm->attached++;
	shm->object.refs++;
}

void shm_detach(struct shm_segment *shm)
{
	shm->attached--;
	shm->dtime = now_seconds();
	if (shm->destroy && !shm->attached)
		forget(shm);
	if (--shm->object.refs == 0)
		shm_free_object(&shm->object);
}

void shm_remove(struct ipc_ns *ns, struct shm_segment *shm)
{
	shm->destroy = true;
	/* Nobody finds it by key any more; by id it stays until the last detach. */
	shm->object.key = IPC_PRIVATE;
	if (!shm->attached)
		forget(shm);
}

static int shm_make(struct ipc_ns *ns, int key, uint64_t size, int flags, const struct cred *cred,
		    int pid)
{
	const uint64_t pages = page_up(size) / MM_PAGE;
	struct shm_segment *shm;
	int r;

	if (!size || size > ns->limits.shm_max)
		return -EINVAL;
	if (ns->shm_pages > ns->limits.shm_all || pages > ns->limits.shm_all - ns->shm_pages ||
	    ns->shm.used >= ns->limits.shm_mni)
		return -ENOSPC;
	if (size > PLATFORM_GUEST_TOP || flags & SHM_HUGETLB)
		return -ENOMEM;
	shm = calloc(1, sizeof(*shm));
	if (!shm)
		return -ENOMEM;
	r = memfile_new("shm", page_up(size), &shm->memfile);
	if (r < 0) {
		free(shm);
		return r;
	}
	shm->size = size;
	shm->cpid = pid;
	shm->ctime = now_seconds();
	r = ipc_add(&ns->shm, &shm->object, key, (uint32_t)flags, cred);
	if (r < 0) {
		shm_free_object(&shm->object);
		return r;
	}
	shm->ns = ns;
	ns->shm_pages += pages;
	return r;
}

int shm_get(struct ipc_ns *ns, int key, uint64_t size, int flags, const struct cred *cred, int pid)
{
	struct ipc_object *object;
	bool make;
	int r = ipc_get(&ns->shm, key, flags, cred, &object, &make);

	if (r >= 0 && make)
		return shm_make(ns, key, size, flags, cred, pid);
	if (r >= 0 && size > to_segment(object)->size)
		return -EINVAL;
	return r;
}

/* Place and protection that shmat(2) asks for. */
static int judge_attach(const struct shm_segment *shm, int flags, uaddr_t *addr, int *ret_prot,
			int *ret_flags)
{
	*ret_flags = 0;
	if (*addr % MM_PAGE) {
		if (!(flags & SHM_RND))
			return -EINVAL;
		*addr = page_down(*addr);
	}
	if (*addr)
		*ret_flags = flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	else if (flags & SHM_REMAP)
		return -EINVAL;
	*ret_prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) |
		    (flags & SHM_EXEC ? PROT_EXEC : 0);
	return 0;
}

int64_t shm_map(struct ipc_ns *ns, int id, uaddr_t addr, int flags, const struct cred *cred,
		int pid, struct mm *mm, struct platform_thread *t, const struct mm_limits *limits)
{
	struct ipc_object *object;
	struct shm_segment *shm;
	int prot, map_flags, r;
	int64_t place;

	r = ipc_find(&ns->shm, id, &object);
	if (r < 0)
		return r;
	shm = to_segment(object);
	r = judge_attach(shm, flags, &addr, &prot, &map_flags);
	if (r >= 0)
		r = ipc_permission(object, cred, flags & SHM_RDONLY ? 0400 : 0600);
	if (r < 0)
		return r;
	object->refs++; /* it may be mapped, unmapped and removed before this one goes on */
	shm_attach(shm);
	memfile_ref(shm->memfile);
	place = mm_map_shm(mm, t, limits, addr, page_up(shm->size), prot, map_flags, shm->memfile,
			   shm);
	if (place < 0) {
		memfile_unref(shm->memfile);
		shm_detach(shm);
	} else {
		shm->atime = now_seconds();
		shm->lpid = pid;
	}
	ipc_unref(&ns->shm, object);
	return place == -EEXIST ? -EINVAL : place;
}
