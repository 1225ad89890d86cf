/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of /proc/PID/maps and kin (proc_pid_maps(5), proc_pid_smaps(5)). Pages belong to the host:
 * what is resident is not known here, so that resident figures are the sizes of what is mapped.
 */
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "sentry/mm/shm.h"
#include "sentry/mm/vma.h"

#define NAME_COLUMN 73
/* The part of the stack that Linux counts at the start; ours is mapped whole. */
#define STACK_SHOWN (132u << 10)

static uint64_t shown_total(const struct mm *mm)
{
	return mm->total + (mm->stack < STACK_SHOWN ? mm->stack : STACK_SHOWN);
}

/* A file's name; newlines are escaped, as they end a record. */
static int put_file_name(const struct file *file, const struct path *root, struct buf *ret)
{
	AUTO_FREE char *text = NULL;
	int r;

	if (!file->path.dentry)
		return buf_puts(ret, "anon_inode");
	r = path_to_text(&file->path, root, &text);
	if (r < 0)
		return buf_puts(ret, "?");
	for (const char *c = text; *c; c++) {
		if (*c == '\n')
			buf_puts(ret, "\\012");
		else
			buf_append(ret, c, 1);
	}
	return buf_error(ret);
}

static void put_name(const struct mm *mm, const struct vma *vma, const struct path *root,
		     struct buf *ret)
{
	switch (vma->kind) {
	case VMA_HEAP:
		buf_puts(ret, "[heap]");
		break;
	case VMA_STACK:
		buf_puts(ret, "[stack]");
		break;
	case VMA_VDSO:
		buf_puts(ret, "[vdso]");
		break;
	case VMA_VVAR:
		buf_puts(ret, "[vvar]");
		break;
	case VMA_SHM:
		buf_printf(ret, "/SYSV%08x (deleted)", (unsigned int)shm_key(vma->shm));
		break;
	case VMA_FILE:
		put_file_name(vma->file, root, ret);
		break;
	case VMA_ANON:
		if (vma->memfile)
			buf_puts(ret, "/dev/zero (deleted)");
		break;
	}
}

static bool has_name(const struct vma *vma)
{
	return vma->kind != VMA_ANON || vma->memfile;
}

static void put_area(const struct mm *mm, const struct vma *vma, const struct path *root,
		     struct buf *ret)
{
	const struct inode *inode = vma->file ? vma->file->inode : NULL;
	const uint64_t dev = inode && inode->sb ? inode->sb->dev : vma->memfile ? 1 : 0;
	const uint64_t offset = vma->file || vma->memfile ? vma->offset : 0;
	const size_t start = ret->len;

	buf_printf(ret, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu",
		   (unsigned long long)vma->start, (unsigned long long)vma->end,
		   vma->prot & PROT_READ ? 'r' : '-', vma->prot & PROT_WRITE ? 'w' : '-',
		   vma->prot & PROT_EXEC ? 'x' : '-', vma->flags & MAP_SHARED ? 's' : 'p',
		   (unsigned long long)offset, major(dev), minor(dev),
		   (unsigned long long)(inode ? inode->ino : 0));
	buf_puts(ret, " ");
	if (has_name(vma)) {
		while (!buf_error(ret) && ret->len - start < NAME_COLUMN)
			buf_puts(ret, " ");
		put_name(mm, vma, root, ret);
	}
	buf_puts(ret, "\n");
}

int mm_show_maps(struct mm *mm, const struct path *root, struct buf *ret)
{
	struct vma *vma;

	kmutex_lock(&mm->lock);
	for (vma = mm_find_from(mm, 0); vma && !buf_error(ret); vma = vma_next(vma))
		put_area(mm, vma, root, ret);
	kmutex_unlock(&mm->lock);
	return buf_error(ret);
}

/* Sums of one area or of all, in KiB. */
struct sizes {
	uint64_t size, shared, private_dirty, private_clean, anonymous, locked;
};

static void add_sizes(struct sizes *s, const struct vma *vma)
{
	const uint64_t kib = (vma->kind == VMA_STACK ? STACK_SHOWN : vma_len(vma)) >> 10;

	s->size += vma_len(vma) >> 10;
	if (vma->flags & MAP_SHARED)
		s->shared += kib;
	else if (vma->prot & PROT_WRITE)
		s->private_dirty += kib;
	else if (vma->prot)
		s->private_clean += kib;
	if (!vma->file && !vma->memfile && vma->prot)
		s->anonymous += kib;
	if (vma->flags & MAP_LOCKED)
		s->locked += kib;
}

static void put_kib(struct buf *ret, const char *name, uint64_t kib)
{
	buf_printf(ret, "%-16s%8llu kB\n", name, (unsigned long long)kib);
}

static void put_sizes(struct buf *ret, const struct sizes *s, bool rollup)
{
	const uint64_t rss = s->shared + s->private_clean + s->private_dirty;

	if (!rollup) {
		put_kib(ret, "Size:", s->size);
		put_kib(ret, "KernelPageSize:", MM_PAGE >> 10);
		put_kib(ret, "MMUPageSize:", MM_PAGE >> 10);
	}
	put_kib(ret, "Rss:", rss);
	put_kib(ret, "Pss:", rss);
	put_kib(ret, "Pss_Dirty:", s->private_dirty);
	put_kib(ret, "Shared_Clean:", 0);
	put_kib(ret, "Shared_Dirty:", s->shared);
	put_kib(ret, "Private_Clean:", s->private_clean);
	put_kib(ret, "Private_Dirty:", s->private_dirty);
	put_kib(ret, "Referenced:", rss);
	put_kib(ret, "Anonymous:", s->anonymous);
	put_kib(ret, "KSM:", 0);
	put_kib(ret, "LazyFree:", 0);
	put_kib(ret, "AnonHugePages:", 0);
	put_kib(ret, "ShmemPmdMapped:", 0);
	put_kib(ret, "FilePmdMapped:", 0);
	put_kib(ret, "Shared_Hugetlb:", 0);
	put_kib(ret, "Private_Hugetlb:", 0);
	put_kib(ret, "Swap:", 0);
	put_kib(ret, "SwapPss:", 0);
	put_kib(ret, "Locked:", s->locked);
}

static void put_flags(struct buf *ret, const struct vma *vma)
{
	const bool shared = vma->flags & MAP_SHARED;

	buf_puts(ret, "THPeligible:           0\nVmFlags:");
	buf_puts(ret, vma->prot & PROT_READ ? " rd" : "");
	buf_puts(ret, vma->prot & PROT_WRITE ? " wr" : "");
	buf_puts(ret, vma->prot & PROT_EXEC ? " ex" : "");
	buf_puts(ret, shared ? " sh" : "");
	buf_puts(ret, vma->max_prot & PROT_READ ? " mr" : "");
	buf_puts(ret, vma->max_prot & PROT_WRITE ? " mw" : "");
	buf_puts(ret, vma->max_prot & PROT_EXEC ? " me" : "");
	buf_puts(ret, shared && vma->max_prot & PROT_WRITE ? " ms" : "");
	buf_puts(ret, vma->flags & MAP_GROWSDOWN ? " gd" : "");
	buf_puts(ret, vma->flags & MAP_LOCKED ? " lo" : "");
	buf_puts(ret, vma->advice & VMA_DONTFORK ? " dc" : "");
	buf_puts(ret, vma->advice & VMA_DONTDUMP ? " dd" : "");
	buf_puts(ret, vma->advice & VMA_WIPEONFORK ? " wf" : "");
	buf_puts(ret, vma->flags & MAP_NORESERVE ? " nr" : "");
	buf_puts(ret, " \n");
}

int mm_show_smaps(struct mm *mm, const struct path *root, bool rollup, struct buf *ret)
{
	struct sizes all = { 0 };
	struct vma *vma, *last = NULL;

	kmutex_lock(&mm->lock);
	for (vma = mm_find_from(mm, 0); vma && !buf_error(ret); vma = vma_next(vma)) {
		struct sizes one = { 0 };

		last = vma;
		add_sizes(&all, vma);
		if (rollup)
			continue;
		add_sizes(&one, vma);
		put_area(mm, vma, root, ret);
		put_sizes(ret, &one, false);
		put_flags(ret, vma);
	}
	if (rollup && last) {
		buf_printf(ret, "%08llx-%08llx ---p 00000000 00:00 0 %*s[rollup]\n",
			   (unsigned long long)mm_find_from(mm, 0)->start,
			   (unsigned long long)last->end, 26, "");
		put_sizes(ret, &all, true);
	}
	kmutex_unlock(&mm->lock);
	return buf_error(ret);
}

/* Bytes of shared and file mappings, and of program text. */
static void sum_kinds(struct mm *mm, uint64_t *ret_shared, uint64_t *ret_file, uint64_t *ret_text)
{
	struct vma *vma;

	for (vma = mm_find_from(mm, 0); vma; vma = vma_next(vma)) {
		if (vma->memfile)
			*ret_shared += vma_len(vma);
		else if (vma->file)
			*ret_file += vma_len(vma);
		if (vma->file && vma->prot & PROT_EXEC)
			*ret_text += vma_len(vma);
	}
}

int mm_show_statm(struct mm *mm, struct buf *ret)
{
	uint64_t shared = 0, file = 0, text = 0;

	kmutex_lock(&mm->lock);
	sum_kinds(mm, &shared, &file, &text);
	buf_printf(ret, "%llu %llu %llu %llu 0 %llu 0\n",
		   (unsigned long long)(shown_total(mm) / MM_PAGE),
		   (unsigned long long)(shown_total(mm) / MM_PAGE),
		   (unsigned long long)((shared + file) / MM_PAGE),
		   (unsigned long long)((mm->code_end - mm->code_start) / MM_PAGE),
		   (unsigned long long)((mm->data + STACK_SHOWN) / MM_PAGE));
	kmutex_unlock(&mm->lock);
	return buf_error(ret);
}

static void put_status(struct buf *ret, const char *name, uint64_t bytes)
{
	buf_printf(ret, "%s:\t%8llu kB\n", name, (unsigned long long)(bytes >> 10));
}

int mm_show_status(struct mm *mm, struct buf *ret)
{
	uint64_t shared = 0, file = 0, text = 0, anon;

	kmutex_lock(&mm->lock);
	sum_kinds(mm, &shared, &file, &text);
	anon = shown_total(mm) - shared - file;
	put_status(ret, "VmPeak", shown_total(mm));
	put_status(ret, "VmSize", shown_total(mm));
	put_status(ret, "VmLck", mm->locked);
	put_status(ret, "VmPin", 0);
	put_status(ret, "VmHWM", shown_total(mm));
	put_status(ret, "VmRSS", shown_total(mm));
	put_status(ret, "RssAnon", anon);
	put_status(ret, "RssFile", file);
	put_status(ret, "RssShmem", shared);
	put_status(ret, "VmData", mm->data);
	put_status(ret, "VmStk", mm->stack < STACK_SHOWN ? mm->stack : STACK_SHOWN);
	put_status(ret, "VmExe", mm->code_end - mm->code_start);
	put_status(ret, "VmLib",
		   text > mm->code_end - mm->code_start ? text - (mm->code_end - mm->code_start)
							: 0);
	put_status(ret, "VmPTE", (uint64_t)mm->vma_count * MM_PAGE);
	put_status(ret, "VmSwap", 0);
	kmutex_unlock(&mm->lock);
	return buf_error(ret);
}
