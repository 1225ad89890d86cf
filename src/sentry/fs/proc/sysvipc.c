/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/sysvipc.c - /proc/sysvipc (proc(5)): the objects of the reader's IPC namespace.
 */
#include <errno.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/mm/msg.h"
#include "sentry/mm/sem.h"
#include "sentry/mm/shm.h"

static struct ipc_ns *reader_ipc(void)
{
	const struct task *t = task_current();

	return t && t->ns ? t->ns->ipc : NULL;
}

static unsigned long long ull(int64_t n)
{
	return (unsigned long long)n;
}

int proc_show_sysvipc_msg(struct kern_inode *ki, struct buf *b)
{
	const struct ipc_ns *ns = reader_ipc();

	(void)buf_puts(b,
		       "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid"
		       "  cuid  cgid      stime      rtime      ctime\n");
	for (size_t i = 0; ns && i < ns->msg.len; i++) {
		const struct ipc_object *o = ipc_at(&ns->msg, i);
		const struct msg_queue *q;

		if (!o)
			continue;
		q = container_of(o, struct msg_queue, object);
		(void)buf_printf(b,
				 "%10d %10d  %4o  %10llu %10u %5d %5d %5u %5u %5u %5u %10llu "
				 "%10llu %10llu\n",
				 o->key, o->id, o->mode, (unsigned long long)q->bytes, q->count,
				 q->lspid, q->lrpid, o->uid, o->gid, o->cuid, o->cgid,
				 ull(q->stime), ull(q->rtime), ull(q->ctime));
	}
	return 0;
}

int proc_show_sysvipc_sem(struct kern_inode *ki, struct buf *b)
{
	const struct ipc_ns *ns = reader_ipc();

	(void)buf_puts(b,
		       "       key      semid perms      nsems   uid   gid  cuid  cgid      otime"
		       "      ctime\n");
	for (size_t i = 0; ns && i < ns->sem.len; i++) {
		const struct ipc_object *o = ipc_at(&ns->sem, i);
		const struct sem_set *s;

		if (!o)
			continue;
		s = container_of(o, struct sem_set, object);
		(void)buf_printf(b, "%10d %10d  %4o %10zu %5u %5u %5u %5u %10llu %10llu\n", o->key,
				 o->id, o->mode, s->count, o->uid, o->gid, o->cuid, o->cgid,
				 ull(s->otime), ull(s->ctime));
	}
	return 0;
}

int proc_show_sysvipc_shm(struct kern_inode *ki, struct buf *b)
{
	const struct ipc_ns *ns = reader_ipc();

	(void)buf_puts(b,
		       "       key      shmid perms                  size  cpid  lpid nattch   uid"
		       "   gid  cuid  cgid      atime      dtime      ctime"
		       "                   rss                  swap\n");
	for (size_t i = 0; ns && i < ns->shm.len; i++) {
		const struct ipc_object *o = ipc_at(&ns->shm, i);
		const struct shm_segment *s;

		if (!o)
			continue;
		s = container_of(o, struct shm_segment, object);
		(void)buf_printf(b,
				 "%10d %10d  %4o %21llu %5d %5d  %5llu %5u %5u %5u %5u %10llu "
				 "%10llu %10llu %21llu %21llu\n",
				 o->key, o->id, o->mode, (unsigned long long)s->size, s->cpid,
				 s->lpid, (unsigned long long)s->attached, o->uid, o->gid, o->cuid,
				 o->cgid, ull(s->atime), ull(s->dtime), ull(s->ctime),
				 (unsigned long long)memfile_resident(s->memfile), 0ull);
	}
	return 0;
}
