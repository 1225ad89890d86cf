/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/mm/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE	       4096ull
#define ALIGN_MAX      (1ull << 30) /* bytes; a larger wish is not one of a linker */
#define PAGE_OFFSET(x) ((x) & (PAGE - 1))

_Static_assert(sizeof(Elf64_Ehdr) == ELF_HEADER_LEN, "elf(5)");
_Static_assert(sizeof(Elf64_Phdr) == ELF_PHDR_LEN, "elf(5)");

int elf_decode_header(const uint8_t *bytes, size_t len, struct elf_header *ret)
{
	Elf64_Ehdr h;

	if (len < sizeof(h))
		return -ENOEXEC;
	memcpy(&h, bytes, sizeof(h));
	/* x32 is ELFCLASS32 with EM_X86_64, i386 has EM_386. */
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_machine != EM_X86_64)
		return -ENOEXEC;
	if (h.e_type != ET_EXEC && h.e_type != ET_DYN)
		return -ENOEXEC;
	if (h.e_phentsize != sizeof(Elf64_Phdr) || !h.e_phnum ||
	    h.e_phnum > ELF_PHDRS_MAX / sizeof(Elf64_Phdr) || h.e_phoff > INT64_MAX - ELF_PHDRS_MAX)
		return -ENOEXEC;
	*ret = (struct elf_header){
		.dyn = h.e_type == ET_DYN,
		.entry = h.e_entry,
		.phoff = h.e_phoff,
		.phdrs_bytes = h.e_phnum * sizeof(Elf64_Phdr),
		.phnum = h.e_phnum,
	};
	return 0;
}

static int prot_of(uint32_t flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
	       (flags & PF_X ? PROT_EXEC : 0);
}

static int add_segment(struct elf_image *image, const Elf64_Phdr *p, uint64_t guest_top)
{
	const struct elf_segment *last = &image->segments[image->count ? image->count - 1 : 0];

	if (p->p_filesz > p->p_memsz || PAGE_OFFSET(p->p_vaddr) != PAGE_OFFSET(p->p_offset))
		return -EINVAL;
	if (p->p_vaddr >= guest_top || p->p_memsz > guest_top - p->p_vaddr ||
	    p->p_offset > (uint64_t)INT64_MAX - PAGE - p->p_filesz)
		return -ENOEXEC;
	if (!p->p_memsz)
		return 0;
	if (image->count && p->p_vaddr < last->vaddr + last->memsz)
		return -ENOEXEC;
	if (image->count == ELF_SEGMENTS_MAX)
		return -E2BIG;
	if (p->p_align > image->align && p->p_align <= ALIGN_MAX &&
	    !(p->p_align & (p->p_align - 1)))
		image->align = p->p_align;
	image->segments[image->count++] = (struct elf_segment){
		.vaddr = p->p_vaddr,
		.filesz = p->p_filesz,
		.memsz = p->p_memsz,
		.offset = p->p_offset,
		.prot = prot_of(p->p_flags),
	};
	return 0;
}

static int add_interp(struct elf_image *image, const Elf64_Phdr *p)
{
	if (image->interp_len)
		return 0; /* the first one counts */
	if (p->p_filesz < 2 || p->p_filesz > ELF_INTERP_MAX ||
	    p->p_offset > (uint64_t)INT64_MAX - p->p_filesz)
		return -ENOEXEC;
	image->interp_offset = p->p_offset;
	image->interp_len = p->p_filesz;
	return 0;
}

/* Where the table itself is in memory: in the segment that loads its bytes. */
static uint64_t find_phdrs(const struct elf_header *header, const struct elf_image *image)
{
	for (unsigned int i = 0; i < image->count; i++) {
		const struct elf_segment *s = &image->segments[i];

		if (header->phoff >= s->offset && header->phoff - s->offset < s->filesz)
			return s->vaddr + (header->phoff - s->offset);
	}
	return 0;
}

int elf_decode_segments(const struct elf_header *header, const uint8_t *bytes, uint64_t guest_top,
			struct elf_image *ret)
{
	const struct elf_segment *last;
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	ret->align = PAGE;
	for (unsigned int i = 0; i < header->phnum && r >= 0; i++) {
		Elf64_Phdr p;

		memcpy(&p, bytes + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_LOAD)
			r = add_segment(ret, &p, guest_top);
		else if (p.p_type == PT_INTERP)
			r = add_interp(ret, &p);
		else if (p.p_type == PT_GNU_STACK)
			ret->exec_stack = p.p_flags & PF_X;
	}
	if (r < 0)
		return r;
	if (!ret->count)
		return -ENOEXEC;
	last = &ret->segments[ret->count - 1];
	ret->start = ret->segments[0].vaddr & ~(PAGE - 1);
	ret->end = (last->vaddr + last->memsz + PAGE - 1) & ~(PAGE - 1);
	ret->phdrs = find_phdrs(header, ret);
	return 0;
}
