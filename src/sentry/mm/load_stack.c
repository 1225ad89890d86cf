/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first stack of a program (x86-64 ABI, 3.4.1): rsp points to argc; argv, envp and the
 * auxiliary vector follow, then random bytes, strings and the program's name.
 *
 * The whole stack is mapped at once without reservation, so that it grows by the host's own
 * faults; below it nothing is ever placed for STACK_GUARD bytes.
 */
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/random.h>

#include "sentry/arch/auxv.h"
#include "sentry/mm/load.h"
#include "sentry/mm/vma.h"

#define STACK_MIN	   (132ull << 10)
#define STACK_MAX	   (64ull << 20) /* bytes; also for RLIM_INFINITY */
#define STACK_GUARD	   (1ull << 20)
#define STACK_RANDOM_PAGES (1ull << 22)
#define MMAP_RANDOM_PAGES  (1ull << 28)
#define ARG_STRING_MAX	   (128u << 10) /* bytes of one string: Linux's MAX_ARG_STRLEN */
#define ARG_TOTAL_MAX	   (6u << 20)	/* bytes of strings and pointers */
#define ARG_COUNT_MAX	   0x7fffffffu
#define PLATFORM_NAME	   "x86_64"
#define CLOCK_TICKS	   100

uint64_t layout_random(const struct mm *mm, uint64_t pages)
{
	uint64_t value = 0;

	if (mm->personality & ADDR_NO_RANDOMIZE)
		return 0;
	if (getrandom(&value, sizeof(value), 0) != sizeof(value))
		return 0;
	return value % pages * MM_PAGE;
}

static uint64_t stack_len(const struct mm_limits *limits)
{
	uint64_t len = limits->stack;

	if (len > STACK_MAX)
		len = STACK_MAX;
	return page_up(len < STACK_MIN ? STACK_MIN : len);
}

void layout_choose(struct mm *mm, const struct mm_limits *limits)
{
	mm->stack_top = PLATFORM_GUEST_TOP - MM_PAGE - layout_random(mm, STACK_RANDOM_PAGES);
	mm->mmap_top = mm->stack_top - stack_len(limits) - STACK_GUARD -
		       layout_random(mm, MMAP_RANDOM_PAGES);
	mm->gap_top = mm->mmap_top;
	mm->gap_skipped = 0;
}

static int map_stack(struct mm *mm, struct platform_thread *t, uint64_t len, bool exec)
{
	AUTO(vma_free_p) struct vma *vma = vma_new(NULL);
	struct list_head dead;
	int r;

	if (!vma)
		return -ENOMEM;
	vma->start = mm->stack_top - len;
	vma->end = mm->stack_top;
	vma->prot = PROT_READ | PROT_WRITE | (exec ? PROT_EXEC : 0);
	vma->max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;
	vma->flags = MAP_PRIVATE | MAP_NORESERVE | MAP_GROWSDOWN;
	vma->kind = VMA_STACK;
	list_init(&dead);
	kmutex_lock(&mm->lock);
	r = vma_range_free(mm, vma->start, vma->end) ? map_locked(mm, t, vma, &dead) : -ENOMEM;
	if (r >= 0)
		(void)TAKE_PTR(vma);
	kmutex_unlock(&mm->lock);
	return r;
}

/* Strings of a vector: how many and how many bytes with their NULs. -E2BIG. */
static int measure(char *const *strings, size_t *ret_count, uint64_t *total)
{
	size_t n = 0;

	for (; strings && strings[n]; n++) {
		const size_t len = strlen(strings[n]) + 1;

		if (len > ARG_STRING_MAX || n >= ARG_COUNT_MAX)
			return -E2BIG;
		*total += len + sizeof(uint64_t);
		if (*total > ARG_TOTAL_MAX)
			return -E2BIG;
	}
	*ret_count = n;
	return 0;
}

/* The image of the stack's end, built in kernel memory: bytes[i] will be at base + i. */
struct image_buf {
	uint8_t *bytes;
	uaddr_t base;
	size_t at; /* next free byte */
};

static uaddr_t push_bytes(struct image_buf *b, const void *src, size_t len)
{
	const uaddr_t addr = b->base + b->at;

	memcpy(b->bytes + b->at, src, len);
	b->at += len;
	return addr;
}

static void push_word(struct image_buf *b, uint64_t word)
{
	(void)push_bytes(b, &word, sizeof(word));
}

static void aux(struct mm *mm, uint64_t type, uint64_t value)
{
	mm->auxv[mm->auxv_len++] = type;
	mm->auxv[mm->auxv_len++] = value;
}

/* Places of the strings that the vector points to. */
struct aux_strings {
	uaddr_t random, platform, execfn;
};

static void build_auxv(struct mm *mm, const struct exec_image *image, const struct loaded *loaded,
		       const struct aux_strings *at)
{
	struct arch_auxv cpu;

	arch_auxv_get(&cpu);
	mm->auxv_len = 0;
	if (cpu.vdso)
		aux(mm, AT_SYSINFO_EHDR, cpu.vdso);
	aux(mm, AT_MINSIGSTKSZ, cpu.minsigstksz);
	aux(mm, AT_HWCAP, cpu.hwcap);
	aux(mm, AT_PAGESZ, MM_PAGE);
	aux(mm, AT_CLKTCK, CLOCK_TICKS);
	aux(mm, AT_PHDR, loaded->phdrs);
	aux(mm, AT_PHENT, sizeof(Elf64_Phdr));
	aux(mm, AT_PHNUM, loaded->phnum);
	aux(mm, AT_BASE, loaded->interp_base);
	aux(mm, AT_FLAGS, 0);
	aux(mm, AT_ENTRY, loaded->entry);
	aux(mm, AT_UID, user_ns_uid_out(image->cred->user_ns, image->cred->uid));
	aux(mm, AT_EUID, user_ns_uid_out(image->cred->user_ns, image->cred->euid));
	aux(mm, AT_GID, user_ns_gid_out(image->cred->user_ns, image->cred->gid));
	aux(mm, AT_EGID, user_ns_gid_out(image->cred->user_ns, image->cred->egid));
	aux(mm, AT_SECURE, image->secure);
	aux(mm, AT_RANDOM, at->random);
	aux(mm, AT_HWCAP2, cpu.hwcap2);
	aux(mm, AT_EXECFN, at->execfn);
	aux(mm, AT_PLATFORM, at->platform);
	aux(mm, AT_NULL, 0);
}

/* Write the strings of a vector; their addresses go to words. */
static void push_strings(struct image_buf *b, char *const *strings, size_t count, uint64_t *words)
{
	for (size_t i = 0; i < count; i++)
		words[i] = push_bytes(b, strings[i], strlen(strings[i]) + 1);
}

/* Words from rsp up to the strings: argc, argv, NULL, envp, NULL, auxv. */
static size_t vector_words(const struct mm *mm, size_t argc, size_t envc)
{
	return 1 + argc + 1 + envc + 1 + (sizeof(mm->auxv) / sizeof(mm->auxv[0]));
}

static int fill(struct mm *mm, const struct exec_image *image, const struct loaded *loaded,
		struct image_buf *b, size_t argc, size_t envc)
{
	AUTO_FREE uint64_t *words = calloc(argc + envc + 2, sizeof(*words));
	struct aux_strings at;
	uint8_t seed[16];

	if (!words)
		return -ENOMEM;
	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;
	/* First the strings, behind the vectors, whose length is known. */
	b->at = vector_words(mm, argc, envc) * sizeof(uint64_t);
	at.random = push_bytes(b, seed, sizeof(seed));
	at.platform = push_bytes(b, PLATFORM_NAME, sizeof(PLATFORM_NAME));
	mm->arg_start = b->base + b->at;
	push_strings(b, image->argv, argc, words);
	mm->arg_end = mm->env_start = b->base + b->at;
	push_strings(b, image->envp, envc, words + argc + 1);
	mm->env_end = b->base + b->at;
	at.execfn = push_bytes(b, image->path, strlen(image->path) + 1);
	build_auxv(mm, image, loaded, &at);
	b->at = 0;
	push_word(b, argc);
	(void)push_bytes(b, words, (argc + envc + 2) * sizeof(*words));
	(void)push_bytes(b, mm->auxv, mm->auxv_len * sizeof(mm->auxv[0]));
	return 0;
}

int stack_build(struct mm *mm, struct platform_thread *t, const struct exec_image *image,
		const struct loaded *loaded, uaddr_t *ret_sp)
{
	const uint64_t len = stack_len(image->limits);
	AUTO_FREE uint8_t *bytes = NULL;
	uint64_t strings = 0, total;
	struct image_buf b = { 0 };
	size_t argc, envc;
	int r;

	if (strlen(image->path) >= VFS_PATH_MAX)
		return -ENAMETOOLONG;
	r = measure(image->argv, &argc, &strings);
	if (r >= 0)
		r = measure(image->envp, &envc, &strings);
	if (r < 0)
		return r;
	/* A quarter of the stack at most (execve(2)); STACK_MIN always leaves 128 KiB. */
	if (strings > (len / 4 > ARG_STRING_MAX ? len / 4 : ARG_STRING_MAX))
		return -E2BIG;
	total = vector_words(mm, argc, envc) * sizeof(uint64_t) + strings + VFS_PATH_MAX + 64;
	if (total > len)
		return -E2BIG;
	bytes = calloc(1, total);
	if (!bytes)
		return -ENOMEM;
	b.bytes = bytes;
	b.base = (mm->stack_top - total) & ~15ull;
	r = fill(mm, image, loaded, &b, argc, envc);
	if (r >= 0)
		r = map_stack(mm, t, len, loaded->exec_stack);
	if (r >= 0)
		r = user_copy_out(&mm->um, b.base, bytes, total);
	if (r >= 0)
		*ret_sp = b.base;
	return r;
}
