/* SPDX-License-Identifier: Apache-2.0 */
/* A program file: what the decoder accepts keeps its promises. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/elf.h"

#define TOP 0x7f0000000000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct elf_image *image)
{
	uint64_t end = 0;

	assert(image->count >= 1 && image->count <= ELF_SEGMENTS_MAX);
	assert(image->start % 4096 == 0 && image->end % 4096 == 0 && image->start < image->end);
	assert(image->align && !(image->align & (image->align - 1)));
	assert(image->interp_len <= ELF_INTERP_MAX);
	for (unsigned int i = 0; i < image->count; i++) {
		const struct elf_segment *s = &image->segments[i];

		assert(s->filesz <= s->memsz && s->memsz && s->vaddr >= end);
		assert(s->vaddr < TOP && s->memsz <= TOP - s->vaddr);
		assert(s->vaddr % 4096 == s->offset % 4096);
		end = s->vaddr + s->memsz;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_header header;
	struct elf_image *image;
	uint8_t *table;

	if (elf_decode_header(data, size, &header) < 0)
		return 0;
	image = malloc(sizeof(*image));
	table = calloc(1, header.phdrs_bytes);
	if (image && table) {
		/* A short file: the rest of the table is zeros. */
		if (header.phoff < size)
			memcpy(table, data + header.phoff,
			       size - header.phoff < header.phdrs_bytes ? size - header.phoff
									: header.phdrs_bytes);
		if (elf_decode_segments(&header, table, TOP, image) == 0)
			check(image);
	}
	free(image);
	free(table);
	return 0;
}
