/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/elf.h - decoder of ELF programs (elf(5)), x86-64: bytes of a hostile file in, judged
 * numbers out. Nothing here maps or reads files.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_HEADER_LEN	 64    /* bytes of the file header */
#define ELF_PHDR_LEN	 56    /* bytes of a program header */
#define ELF_PHDRS_MAX	 65536 /* bytes of the table, as in Linux */
#define ELF_SEGMENTS_MAX 128   /* PT_LOAD of one program; Linux has no limit, linkers write 4 */
#define ELF_INTERP_MAX	 4096  /* bytes of PT_INTERP with its NUL */

/* From the file header. */
struct elf_header {
	bool dyn; /* ET_DYN: may be placed anywhere */
	uint64_t entry;
	uint64_t phoff;	    /* of the table in the file */
	size_t phdrs_bytes; /* its length */
	unsigned int phnum;
};

struct elf_segment {
	uint64_t vaddr, filesz, memsz, offset; /* bytes; vaddr and offset agree modulo a page */
	int prot;			       /* PROT_* */
};

/* From the program headers. Addresses are the file's, before it is placed. */
struct elf_image {
	struct elf_segment segments[ELF_SEGMENTS_MAX]; /* by vaddr, disjoint */
	unsigned int count;			       /* at least 1 */
	uint64_t start, end;			       /* page-aligned span of all segments */
	uint64_t align;				       /* of the load address; a power of two */
	uint64_t phdrs;				       /* address of the table, 0: not loaded */
	uint64_t interp_offset;			       /* of PT_INTERP's bytes in the file */
	size_t interp_len;			       /* with the NUL; 0: none */
	bool exec_stack;			       /* PT_GNU_STACK asks for it */
};

/*
 * Decode the first ELF_HEADER_LEN bytes. -ENOEXEC: no ELF64 program for x86-64 (i386 and x32
 * programs included), or a table that cannot be.
 */
int elf_decode_header(const uint8_t *bytes, size_t len, struct elf_header *ret);

/*
 * Decode the program headers: header->phdrs_bytes bytes of the file. guest_top bounds every
 * address. -ENOEXEC: not loadable, overlapping, out of range; -EINVAL: a segment whose parts do
 * not fit (Linux's errno); -E2BIG: more segments than ELF_SEGMENTS_MAX.
 */
int elf_decode_segments(const struct elf_header *header, const uint8_t *bytes, uint64_t guest_top,
			struct elf_image *ret);
