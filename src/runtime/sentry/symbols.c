/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sentry/symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "runtime/sandbox/sandbox.h"

#define PROGRAM_MAX (256u << 20) /* bytes */
#define LINE_START  "    +0x"

/* A program's file with its table of symbols. */
struct program {
	const char *bytes; /* mapped, or NULL */
	size_t size;
	const Elf64_Sym *symbols;
	size_t symbols_len;
	const char *names;
	size_t names_size;
};

static void program_done(struct program *p)
{
	if (p->bytes)
		(void)munmap((void *)(uintptr_t)p->bytes, p->size);
}

/* `len` bytes at an offset of the file, aligned; NULL: they are not there. */
static const void *part(const struct program *p, uint64_t offset, uint64_t len)
{
	if (offset > p->size || len > p->size - offset || offset % 8)
		return NULL;
	return p->bytes + offset;
}

static void find_table(struct program *p)
{
	const Elf64_Ehdr *head = part(p, 0, sizeof(*head));
	const Elf64_Shdr *sections, *table = NULL, *names;

	if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
	    head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_shentsize != sizeof(*sections))
		return;
	sections = part(p, head->e_shoff, (uint64_t)head->e_shnum * sizeof(*sections));
	for (unsigned int i = 0; sections && i < head->e_shnum; i++) {
		if (sections[i].sh_type == SHT_SYMTAB)
			table = &sections[i];
	}
	if (!table || table->sh_link >= head->e_shnum)
		return;
	names = &sections[table->sh_link];
	if (names->sh_offset > p->size || names->sh_size > p->size - names->sh_offset ||
	    names->sh_size == 0 || p->bytes[names->sh_offset + names->sh_size - 1] != '\0')
		return;
	p->symbols = part(p, table->sh_offset, table->sh_size);
	p->symbols_len = p->symbols ? table->sh_size / sizeof(*p->symbols) : 0;
	p->names = p->bytes + names->sh_offset;
	p->names_size = names->sh_size;
}

/* What runs, where we may look at it, else what would be started now. */
static int open_program(const struct container *c)
{
	struct err ignored = { 0 };
	AUTO_CLOSE int place = -EBADF;
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)c->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	place = sandbox_program(c->runtime, "caisson-sentry", &ignored);
	if (place < 0)
		return -EBADF;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", place);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void program_open(const struct container *c, struct program *ret)
{
	AUTO_CLOSE int fd = open_program(c);
	struct stat st;
	void *bytes;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > PROGRAM_MAX)
		return;
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return;
	ret->bytes = bytes;
	ret->size = (size_t)st.st_size;
	find_table(ret);
}

static void append_name(const struct program *p, uint64_t offset, struct buf *ret)
{
	/* A return address may be the first byte after its function. */
	const uint64_t at = offset - 1;

	for (size_t i = 0; i < p->symbols_len; i++) {
		const Elf64_Sym *s = &p->symbols[i];

		if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || at < s->st_value ||
		    at - s->st_value >= s->st_size || s->st_name >= p->names_size)
			continue;
		(void)buf_printf(ret, " %s+0x%" PRIx64, p->names + s->st_name,
				 offset - s->st_value);
		return;
	}
}

void symbols_append(const struct container *c, const char *text, size_t len, struct buf *ret)
{
	AUTO(program_done) struct program p = { 0 };

	program_open(c, &p);
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		const size_t line = end ? (size_t)(end - text) : len;

		(void)buf_append(ret, text, line);
		if (line > strlen(LINE_START) && !memcmp(text, LINE_START, strlen(LINE_START))) {
			uint64_t offset;

			if (sscanf(text, LINE_START "%" SCNx64, &offset) == 1 && offset > 0)
				append_name(&p, offset, ret);
		}
		if (end)
			(void)buf_puts(ret, "\n");
		text += line + (end != NULL);
		len -= line + (end != NULL);
	}
}
