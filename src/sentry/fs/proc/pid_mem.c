/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/pid_mem.c - the address space of a process: maps, smaps, cmdline, environ, auxv,
 * mem.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/task/ptrace.h"

#define CMDLINE_MAX (1u << 20) /* bytes of cmdline and environ */
#define MEM_CHUNK   65536u     /* bytes of one copy of /proc/PID/mem */

static struct vma *first_vma(struct mm *mm)
{
	return mm_find_from(mm, 0);
}

static const char *vma_label(const struct vma *v)
{
	switch (v->kind) {
	case VMA_HEAP:
		return "[heap]";
	case VMA_STACK:
		return "[stack]";
	case VMA_VDSO:
		return "[vdso]";
	case VMA_VVAR:
		return "[vvar]";
	case VMA_SHM:
		return "/SYSV00000000 (deleted)";
	default:
		return v->memfile ? "/dev/zero (deleted)" : "";
	}
}

/* A path's line feeds would forge lines. */
static void show_path(struct buf *b, const char *path)
{
	for (const char *p = path; *p; p++) {
		if (*p == '\n')
			(void)buf_puts(b, "\\012");
		else
			(void)buf_append(b, p, 1);
	}
}

/* "start-end rwxp offset dev ino" and, from column 73 on, the name. */
static void show_vma(struct buf *b, const struct vma *v, const struct path *root)
{
	const struct inode *inode = v->file ? v->file->inode : NULL;
	const uint64_t dev = inode ? inode->sb->dev : 0;
	const size_t start = b->len;
	AUTO_FREE char *path = NULL;
	const char *name;

	(void)buf_printf(
		b, "%08" PRIx64 "-%08" PRIx64 " %c%c%c%c %08" PRIx64 " %02x:%02x %" PRIu64 " ",
		v->start, v->end, v->prot & PROT_READ ? 'r' : '-', v->prot & PROT_WRITE ? 'w' : '-',
		v->prot & PROT_EXEC ? 'x' : '-', v->flags & MAP_SHARED ? 's' : 'p',
		v->file || v->memfile ? v->offset : 0, major(dev), minor(dev),
		inode ? inode->ino : 0);
	if (v->file && v->file->path.dentry)
		(void)path_to_text(&v->file->path, root, &path);
	name = path ? path : vma_label(v);
	if (*name) {
		while (b->len - start < 73 && buf_puts(b, " ") == 0)
			;
		show_path(b, name);
	}
	(void)buf_puts(b, "\n");
}

static bool is_text(const struct vma *v)
{
	return v->prot & PROT_EXEC && v->kind == VMA_FILE;
}

void proc_sizes(struct mm *mm, struct proc_sizes *ret)
{
	struct proc_sizes s = { 0 };

	mm_resident(mm, &s.resident);
	kmutex_lock(&mm->lock);
	for (struct vma *v = first_vma(mm); v; v = vma_next(v)) {
		const uint64_t len = v->end - v->start;

		s.total += len;
		if (v->kind == VMA_STACK)
			s.stack += len;
		else if (is_text(v) && mm->exe && v->file->inode == mm->exe->inode)
			s.text += len;
		else if (is_text(v))
			s.lib += len;
		else if (v->prot & PROT_WRITE && !(v->flags & MAP_SHARED))
			s.data += len;
	}
	s.locked = mm->locked;
	kmutex_unlock(&mm->lock);
	s.shared = s.resident.file + s.resident.shmem;
	s.rss = s.resident.anon + s.shared;
	s.peak = mm_peak(mm) > s.rss ? mm_peak(mm) : s.rss;
	*ret = s;
}

static const struct path *reader_root(void)
{
	const struct task *t = task_current();

	return t && t->fs ? &t->fs->root : NULL;
}

static void show_smap(struct buf *b, struct mm *mm, struct vma *v)
{
	const uint64_t kb = mm_area_resident(mm, v) >> 10;
	const bool shared = v->flags & MAP_SHARED;
	const bool anon = !v->file && !v->memfile;

	(void)buf_printf(b,
			 "Size:           %8" PRIu64 " kB\nKernelPageSize:        4 kB\n"
			 "MMUPageSize:           4 kB\nRss:            %8" PRIu64
			 " kB\nPss:            %8" PRIu64 " kB\nPss_Dirty:             0 kB\n",
			 (v->end - v->start) >> 10, kb, kb);
	(void)buf_printf(b,
			 "Shared_Clean:   %8" PRIu64 " kB\nShared_Dirty:          0 kB\n"
			 "Private_Clean:  %8" PRIu64 " kB\nPrivate_Dirty:  %8" PRIu64
			 " kB\nReferenced:     %8" PRIu64 " kB\nAnonymous:      %8" PRIu64 " kB\n",
			 shared ? kb : 0, shared || anon ? 0 : kb, !shared && anon ? kb : 0, kb,
			 anon ? kb : 0);
	(void)buf_puts(b, "LazyFree:              0 kB\nAnonHugePages:         0 kB\n"
			  "ShmemPmdMapped:        0 kB\nFilePmdMapped:         0 kB\n"
			  "Shared_Hugetlb:        0 kB\nPrivate_Hugetlb:       0 kB\n"
			  "Swap:                  0 kB\nSwapPss:               0 kB\n");
	(void)buf_printf(b, "Locked:         %8" PRIu64 " kB\nTHPeligible:           0\n",
			 v->flags & MAP_LOCKED ? kb : 0);
	(void)buf_printf(b, "VmFlags:%s%s%s%s mr mw me%s%s%s \n", v->prot & PROT_READ ? " rd" : "",
			 v->prot & PROT_WRITE ? " wr" : "", v->prot & PROT_EXEC ? " ex" : "",
			 shared ? " sh" : "", v->kind == VMA_STACK ? " gd" : "",
			 v->flags & MAP_LOCKED ? " lo" : "", v->advice & VMA_DONTFORK ? " dc" : "");
}

static int show_areas(struct kern_inode *ki, struct buf *b, bool smaps)
{
	AUTO_MM struct mm *mm = NULL;
	int r = proc_check_access(ki, false);

	if (r < 0)
		return r;
	mm = proc_mm(ki);
	if (!mm)
		return 0;
	kmutex_lock(&mm->lock);
	for (struct vma *v = first_vma(mm); v && !buf_error(b); v = vma_next(v)) {
		show_vma(b, v, reader_root());
		if (smaps)
			show_smap(b, mm, v);
		fiber_resched();
	}
	kmutex_unlock(&mm->lock);
	return 0;
}

int proc_show_maps(struct kern_inode *ki, struct buf *b)
{
	return show_areas(ki, b, false);
}

int proc_show_smaps(struct kern_inode *ki, struct buf *b)
{
	return show_areas(ki, b, true);
}

int proc_show_smaps_rollup(struct kern_inode *ki, struct buf *b)
{
	AUTO_MM struct mm *mm = NULL;
	struct proc_sizes s;
	const int r = proc_check_access(ki, false);

	if (r < 0)
		return r;
	mm = proc_mm(ki);
	if (!mm)
		return -ESRCH;
	proc_sizes(mm, &s);
	(void)buf_printf(b, "%08" PRIx64 "-%08" PRIx64 " ---p 00000000 00:00 0 %22s[rollup]\n",
			 (uint64_t)PLATFORM_GUEST_BOTTOM, (uint64_t)PLATFORM_GUEST_TOP, "");
	return buf_printf(b,
			  "Rss:            %8" PRIu64 " kB\nPss:            %8" PRIu64
			  " kB\nShared_Clean:   %8" PRIu64 " kB\nShared_Dirty:          0 kB\n"
			  "Private_Clean:         0 kB\nPrivate_Dirty:  %8" PRIu64
			  " kB\nReferenced:     %8" PRIu64 " kB\nAnonymous:      %8" PRIu64
			  " kB\nSwap:                  0 kB\nLocked:         %8" PRIu64 " kB\n",
			  s.rss >> 10, s.rss >> 10, s.shared >> 10, s.resident.anon >> 10,
			  s.rss >> 10, s.resident.anon >> 10, s.locked >> 10);
}

/* Guest bytes of a range, as far as they can be read. */
static int show_range(struct buf *b, struct mm *mm, uaddr_t start, uaddr_t end)
{
	size_t len = end > start ? (size_t)(end - start) : 0;
	size_t got;

	if (len > CMDLINE_MAX)
		len = CMDLINE_MAX;
	if (buf_reserve(b, len) < 0)
		return -ENOMEM;
	got = len ? mm->um.ops->copy_in(&mm->um, b->data + b->len, start, len) : 0;
	b->len += got;
	if (b->data)
		b->data[b->len] = '\0';
	return 0;
}

/* A program may have written its title over its arguments and further into its environment. */
int proc_show_cmdline(struct kern_inode *ki, struct buf *b)
{
	AUTO_MM struct mm *mm = proc_mm(ki);
	int r;

	if (!mm || mm->arg_start >= mm->arg_end)
		return 0;
	r = show_range(b, mm, mm->arg_start, mm->arg_end);
	if (r < 0 || b->len == 0 || b->data[b->len - 1] == '\0')
		return r;
	if (mm->env_start == mm->arg_end && mm->env_end > mm->env_start) {
		const size_t args = b->len;

		r = show_range(b, mm, mm->env_start, mm->env_end);
		if (r == 0)
			b->len = args + strnlen(b->data + args, b->len - args);
	}
	if (r == 0)
		b->len = strnlen(b->data, b->len);
	return r;
}

int proc_show_environ(struct kern_inode *ki, struct buf *b)
{
	AUTO_MM struct mm *mm = NULL;
	const int r = proc_check_access(ki, false);

	if (r < 0)
		return r;
	mm = proc_mm(ki);
	return mm ? show_range(b, mm, mm->env_start, mm->env_end) : 0;
}

int proc_show_auxv(struct kern_inode *ki, struct buf *b)
{
	AUTO_MM struct mm *mm = NULL;
	const int r = proc_check_access(ki, false);

	if (r < 0)
		return r;
	mm = proc_mm(ki);
	return mm ? buf_append(b, mm->auxv, mm->auxv_len * sizeof(mm->auxv[0])) : 0;
}

struct mem_file {
	struct file file;
	struct mm *mm; /* of the time of open(2); one reference, or NULL */
};

static ssize_t mem_copy(struct file *f, struct uio *u, uint64_t *pos, bool write)
{
	struct mm *mm = container_of(f, struct mem_file, file)->mm;
	AUTO_FREE char *chunk = NULL;
	ssize_t done = 0;

	if (!mm || u->left == 0)
		return 0;
	chunk = malloc(MEM_CHUNK);
	if (!chunk)
		return -ENOMEM;
	while (u->left) {
		const size_t want = u->left < MEM_CHUNK ? u->left : MEM_CHUNK;
		ssize_t n;

		if (write) {
			n = uio_get(u, chunk, want);
			if (n > 0)
				n = (ssize_t)ptrace_write_memory(task_current(), mm, *pos, chunk,
								 (size_t)n);
		} else {
			n = (ssize_t)mm->um.ops->copy_in(&mm->um, chunk, *pos, want);
			if (n > 0)
				n = uio_put(u, chunk, (size_t)n);
		}
		if (n <= 0)
			return done ? done : n < 0 ? n : -EIO;
		*pos += (uint64_t)n;
		done += n;
		if ((size_t)n < want)
			break;
	}
	return done;
}

static ssize_t mem_read(struct file *f, struct uio *u, uint64_t *pos)
{
	return mem_copy(f, u, pos, false);
}

static ssize_t mem_write(struct file *f, struct uio *u, uint64_t *pos)
{
	return mem_copy(f, u, pos, true);
}

/* Addresses are positions: any value goes. */
static int64_t mem_seek(struct file *f, int64_t offset, int whence)
{
	if (whence == SEEK_CUR)
		offset = (int64_t)(f->pos + (uint64_t)offset);
	else if (whence != SEEK_SET)
		return -EINVAL;
	f->pos = (uint64_t)offset;
	return offset;
}

static void mem_release(struct file *f)
{
	struct mem_file *mf = container_of(f, struct mem_file, file);

	if (mf->mm)
		mm_unref(mf->mm);
	file_fini(f);
	free(mf);
}

static const struct file_ops mem_ops = {
	.read = mem_read,
	.write = mem_write,
	.seek = mem_seek,
	.release = mem_release,
};

int proc_open_mem(struct kern_inode *ki, uint32_t flags, struct file **ret)
{
	const int r = proc_check_access(ki, true);
	struct mem_file *mf;

	if (r < 0)
		return r;
	mf = calloc(1, sizeof(*mf));
	if (!mf)
		return -ENOMEM;
	mf->mm = proc_mm(ki);
	file_init(&mf->file, &mem_ops, NULL, NULL, flags);
	*ret = &mf->file;
	return 0;
}
