/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve(2)'s loader: program and interpreter into a fresh space.
 *
 * A segment is one private mapping of the file's bytes, zeros up to the end of that page, and
 * anonymous memory for the rest. The program lies where it says (ET_EXEC) or at two thirds of the
 * space (ET_DYN), the interpreter among the mappings.
 */
#include <elf.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "sentry/mm/elf.h"
#include "sentry/mm/exe.h"
#include "sentry/mm/load.h"
#include "sentry/mm/vma.h"
#include "sentry/vfs/namei.h"

#define DYN_BASE	 0x555555554000ull /* Linux's ELF_ET_DYN_BASE, which debuggers know */
#define DYN_RANDOM_PAGES (1ull << 28)
#define BRK_RANDOM_PAGES (1ull << 18) /* 1 GiB */

/* A decoded file and where it goes. */
struct program {
	struct file *file; /* borrowed */
	struct elf_header header;
	struct elf_image image;
	uint64_t bias; /* what is added to the file's addresses */
};

static const struct mm_limits no_limits = {
	.as = UINT64_MAX, .data = UINT64_MAX, .stack = UINT64_MAX, .memlock = UINT64_MAX
};

static int read_exact(struct file *file, void *dst, size_t len, uint64_t offset)
{
	const ssize_t n = file_read_kernel(file, dst, len, offset);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -ENOEXEC;
}

/* Headers of a file; not_elf is the errno for what is no program of ours. */
static int program_decode(struct program *p, int not_elf)
{
	uint8_t first[ELF_HEADER_LEN];
	AUTO_FREE uint8_t *table = NULL;
	int r;

	r = read_exact(p->file, first, sizeof(first), 0);
	if (r >= 0)
		r = elf_decode_header(first, sizeof(first), &p->header);
	if (r < 0)
		return r == -ENOEXEC ? not_elf : r;
	table = malloc(p->header.phdrs_bytes);
	if (!table)
		return -ENOMEM;
	r = read_exact(p->file, table, p->header.phdrs_bytes, p->header.phoff);
	if (r >= 0)
		r = elf_decode_segments(&p->header, table, PLATFORM_GUEST_TOP, &p->image);
	return r == -ENOEXEC ? not_elf : r;
}

static int map_fixed(struct mm *mm, struct platform_thread *t, uaddr_t addr, uint64_t len, int prot,
		     struct file *file, uint64_t offset)
{
	const int flags = MAP_PRIVATE | MAP_FIXED | (file ? 0 : MAP_ANONYMOUS);
	const int64_t r = mm_mmap(mm, t, &no_limits, addr, len, prot, flags, file, offset);

	return r < 0 ? (int)r : 0;
}

static int map_segment(struct mm *mm, struct platform_thread *t, const struct program *p,
		       const struct elf_segment *s)
{
	const uint64_t in_page = s->vaddr % MM_PAGE;
	const uaddr_t start = p->bias + s->vaddr - in_page;
	const uaddr_t file_end = p->bias + s->vaddr + s->filesz;
	const uaddr_t file_top = s->filesz ? page_up(file_end) : start;
	const uaddr_t top = page_up(p->bias + s->vaddr + s->memsz);
	int r = 0;

	if (s->filesz)
		r = map_fixed(mm, t, start, file_top - start, s->prot, p->file,
			      s->offset - in_page);
	/* Zeros behind the file's bytes, as far as the page goes; a read-only one keeps what it
	 * has, as in Linux. */
	if (r >= 0 && s->memsz > s->filesz && s->filesz && file_end % MM_PAGE &&
	    s->prot & PROT_WRITE)
		r = user_zero(&mm->um, file_end, file_top - file_end);
	if (r >= 0 && top > file_top)
		r = map_fixed(mm, t, file_top, top - file_top, s->prot, NULL, 0);
	return r;
}

/* Place an ET_DYN image: at `base` or, 0, among the mappings. */
static int program_place(struct mm *mm, struct program *p, uaddr_t base)
{
	const uint64_t len = p->image.end - p->image.start, align = p->image.align;
	int64_t addr;

	if (!p->header.dyn) {
		if (p->image.start < PLATFORM_GUEST_BOTTOM)
			return -EPERM;
		return vma_range_free(mm, p->image.start, p->image.end) ? 0 : -EEXIST;
	}
	addr = (int64_t)(base & ~(align - 1));
	if (!addr || !range_len((uaddr_t)addr, len) ||
	    !vma_range_free(mm, (uaddr_t)addr, (uaddr_t)addr + len)) {
		addr = vma_pick(mm, 0, len + align - MM_PAGE, 0);
		if (addr < 0)
			return (int)addr;
		addr = (int64_t)(((uint64_t)addr + align - 1) & ~(align - 1));
	}
	p->bias = (uint64_t)addr - p->image.start;
	return 0;
}

static int program_map(struct mm *mm, struct platform_thread *t, const struct program *p)
{
	int r = 0;

	for (unsigned int i = 0; i < p->image.count && r >= 0; i++)
		r = map_segment(mm, t, p, &p->image.segments[i]);
	return r;
}

/* Open the interpreter with the right to execute it. */
static int open_interpreter(const struct exec_image *image, const struct program *p,
			    struct file **ret)
{
	char name[ELF_INTERP_MAX];
	struct path path;
	int r;

	r = read_exact(p->file, name, p->image.interp_len, p->image.interp_offset);
	if (r < 0)
		return r;
	if (name[p->image.interp_len - 1] != '\0')
		return -ENOEXEC;
	r = path_walk(image->ctx, NULL, name, WALK_FOLLOW, &path);
	if (r < 0)
		return r;
	if (!S_ISREG(path.dentry->inode->mode) || path.mnt->flags & MOUNT_NOEXEC)
		r = -EACCES;
	else
		r = inode_permission(path.dentry->inode, image->cred, MAY_EXEC);
	if (r >= 0)
		r = vfs_open_path(image->ctx, &path, O_RDONLY, ret);
	path_unref(&path);
	return r;
}

static int load_interpreter(struct mm *mm, struct platform_thread *t,
			    const struct exec_image *image, const struct program *main,
			    struct loaded *loaded)
{
	AUTO_FREE struct program *p = calloc(1, sizeof(*p));
	AUTO_FILE struct file *file = NULL;
	int r;

	if (!p)
		return -ENOMEM;
	r = open_interpreter(image, main, &file);
	if (r < 0)
		return r;
	p->file = file;
	r = program_decode(p, -ELIBBAD);
	if (r >= 0)
		r = program_place(mm, p, 0);
	if (r >= 0)
		r = program_map(mm, t, p);
	if (r < 0)
		return r;
	loaded->interp_base = p->bias;
	loaded->start = p->bias + p->header.entry;
	return 0;
}

/* The heap begins behind the program; behind ET_DYN's usual place if it lies among the mappings. */
static void place_heap(struct mm *mm, const struct program *p)
{
	uaddr_t brk = p->bias + p->image.end;

	if (p->header.dyn && !p->image.interp_len)
		brk = DYN_BASE;
	brk += layout_random(mm, BRK_RANDOM_PAGES);
	mm->brk_start = mm->brk = mm->brk_mapped = brk;
}

static void find_code(struct mm *mm, const struct program *p)
{
	for (unsigned int i = 0; i < p->image.count; i++) {
		const struct elf_segment *s = &p->image.segments[i];

		if (!(s->prot & PROT_EXEC))
			continue;
		if (!mm->code_start)
			mm->code_start = p->bias + s->vaddr;
		mm->code_end = p->bias + s->vaddr + s->filesz;
	}
}

static int load_program(struct mm *mm, struct platform_thread *t, const struct exec_image *image,
			struct program *p, struct loaded *loaded)
{
	const uaddr_t base = DYN_BASE + layout_random(mm, DYN_RANDOM_PAGES);
	int r;

	r = program_decode(p, -ENOEXEC);
	if (r < 0)
		return r;
	/* Without an interpreter it may be one itself, run by name: among the mappings. */
	r = program_place(mm, p, p->image.interp_len ? base : 0);
	if (r >= 0)
		r = program_map(mm, t, p);
	if (r < 0)
		return r;
	loaded->entry = p->bias + p->header.entry;
	loaded->start = loaded->entry;
	loaded->phdrs = p->image.phdrs ? p->bias + p->image.phdrs : 0;
	loaded->phnum = p->header.phnum;
	loaded->exec_stack = p->image.exec_stack;
	place_heap(mm, p);
	find_code(mm, p);
	return p->image.interp_len ? load_interpreter(mm, t, image, p, loaded) : 0;
}

/* Registers as Linux's ELF_PLAT_INIT() and start_thread() leave them. */
static void start_regs(struct arch_regs *ret, uaddr_t ip, uaddr_t sp)
{
	*ret = (struct arch_regs){ 0 };
	ret->r.rip = ip;
	ret->r.rsp = sp;
	ret->r.cs = 0x33;
	ret->r.ss = 0x2b;
	ret->r.eflags = 0x202;
	ret->r.orig_rax = (unsigned long long)-1;
}

int mm_load(struct mm *mm, struct platform_thread *t, const struct exec_image *image,
	    struct arch_regs *ret)
{
	AUTO_FREE struct program *p = calloc(1, sizeof(*p));
	struct loaded loaded = { 0 };
	uaddr_t sp;
	int r;

	if (!p)
		return -ENOMEM;
	p->file = image->file;
	layout_choose(mm, image->limits);
	r = load_program(mm, t, image, p, &loaded);
	if (r >= 0)
		r = stack_build(mm, t, image, &loaded, &sp);
	if (r < 0)
		return r;
	mm_set_exe(mm, image->file);
	start_regs(ret, loaded.start, sp);
	return 0;
}
