/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <elf.h>
#include <errno.h>
#include <sys/mman.h>

#include "sentry/mm/elf.h"

#define TOP 0x7f0000000000ull

static Elf64_Ehdr header_of(uint16_t type, uint16_t phnum)
{
	Elf64_Ehdr h = { .e_type = type,
			 .e_machine = EM_X86_64,
			 .e_entry = 0x401000,
			 .e_phoff = sizeof(h),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = phnum };

	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	return h;
}

static int header(const Elf64_Ehdr *h, struct elf_header *ret)
{
	return elf_decode_header((const uint8_t *)h, sizeof(*h), ret);
}

static Elf64_Phdr load_of(uint64_t vaddr, uint64_t offset, uint64_t filesz, uint64_t memsz)
{
	return (Elf64_Phdr){ .p_type = PT_LOAD,
			     .p_flags = PF_R | PF_W,
			     .p_vaddr = vaddr,
			     .p_offset = offset,
			     .p_filesz = filesz,
			     .p_memsz = memsz,
			     .p_align = 4096 };
}

static int segments(const Elf64_Phdr *p, uint16_t n, struct elf_image *ret)
{
	const Elf64_Ehdr h = header_of(ET_EXEC, n);
	struct elf_header decoded;

	assert_int_equal(header(&h, &decoded), 0);
	return elf_decode_segments(&decoded, (const uint8_t *)p, TOP, ret);
}

static void other_machines_and_classes_are_refused(void **state)
{
	struct elf_header ret;
	Elf64_Ehdr h = header_of(ET_EXEC, 1);

	h.e_ident[EI_CLASS] = ELFCLASS32; /* x32 */
	assert_int_equal(header(&h, &ret), -ENOEXEC);
	h = header_of(ET_EXEC, 1);
	h.e_machine = EM_386;
	assert_int_equal(header(&h, &ret), -ENOEXEC);
	h = header_of(ET_REL, 1);
	assert_int_equal(header(&h, &ret), -ENOEXEC);
	h = header_of(ET_EXEC, 0);
	assert_int_equal(header(&h, &ret), -ENOEXEC);
	h = header_of(ET_EXEC, 0xffff);
	assert_int_equal(header(&h, &ret), -ENOEXEC);
	h = header_of(ET_EXEC, 1);
	h.e_phentsize = 32;
	assert_int_equal(header(&h, &ret), -ENOEXEC);
	h = header_of(ET_EXEC, 1);
	h.e_phoff = UINT64_MAX;
	assert_int_equal(header(&h, &ret), -ENOEXEC);
	h = header_of(ET_EXEC, 1);
	assert_int_equal(elf_decode_header((const uint8_t *)&h, 63, &ret), -ENOEXEC);
}

static void segments_that_cannot_be_are_refused(void **state)
{
	struct elf_image ret;
	Elf64_Phdr p[2];

	p[0] = load_of(0x400000, 0, 0x2000, 0x1000);
	assert_int_equal(segments(p, 1, &ret), -EINVAL); /* more in the file than in memory */
	p[0] = load_of(0x400010, 0, 0x10, 0x10);
	assert_int_equal(segments(p, 1, &ret), -EINVAL); /* not congruent */
	p[0] = load_of(TOP - 0x1000, 0, 0x1000, 0x2000);
	assert_int_equal(segments(p, 1, &ret), -ENOEXEC);
	p[0] = load_of(UINT64_MAX - 0xfff, 0, 0x1000, UINT64_MAX);
	assert_int_equal(segments(p, 1, &ret), -ENOEXEC);
	p[0] = load_of(0x400000, UINT64_MAX - 0xfff, 0x1000, 0x1000);
	assert_int_equal(segments(p, 1, &ret), -ENOEXEC);
	p[0] = load_of(0x400000, 0, 0x2000, 0x2000);
	p[1] = load_of(0x401000, 0x1000, 0x1000, 0x1000);
	assert_int_equal(segments(p, 2, &ret), -ENOEXEC); /* overlap */
	p[0].p_type = PT_NOTE;
	p[1].p_type = PT_NOTE;
	assert_int_equal(segments(p, 2, &ret), -ENOEXEC); /* nothing to load */
	p[0] = load_of(0x400000, 0, 0x1000, 0x1000);
	p[1] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_filesz = 4097 };
	assert_int_equal(segments(p, 2, &ret), -ENOEXEC);
}

static void a_plain_program_is_decoded(void **state)
{
	struct elf_image ret;
	Elf64_Phdr p[4];

	p[0] = load_of(0x400000, 0, 0x1234, 0x1234);
	p[0].p_flags = PF_R | PF_X;
	p[1] = load_of(0x402e00, 0x1e00, 0x100, 0x5000);
	p[1].p_align = 0x200000;
	p[2] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_offset = 0x300, .p_filesz = 28 };
	p[3] = (Elf64_Phdr){ .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W };
	assert_int_equal(segments(p, 4, &ret), 0);
	assert_int_equal(ret.count, 2);
	assert_int_equal(ret.start, 0x400000);
	assert_int_equal(ret.end, 0x408000);
	assert_int_equal(ret.align, 0x200000);
	assert_int_equal(ret.phdrs, 0x400040);
	assert_int_equal(ret.segments[0].prot, PROT_READ | PROT_EXEC);
	assert_int_equal(ret.interp_offset, 0x300);
	assert_int_equal(ret.interp_len, 28);
	assert_false(ret.exec_stack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_machines_and_classes_are_refused),
		cmocka_unit_test(segments_that_cannot_be_are_refused),
		cmocka_unit_test(a_plain_program_is_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
