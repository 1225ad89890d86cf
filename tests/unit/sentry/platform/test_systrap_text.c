/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of real programs before the patcher: every pair of bytes that reads as a call, be it
 * one or a part of another instruction, is jumped to until the kernel patches it. What changes is
 * the site alone, and in the memory of the process that jumped alone: not in another process's,
 * not in the file, which is what another sandbox runs.
 * Arguments: the stub's path, the profile.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "sentry/core/kclock.h"
#include "sentry/core/kloop.h"
#include "sentry/core/ktimer.h"
#include "sentry/platform/systrap/patch.h"
#include "sentry/platform/systrap/systrap_internal.h"
#include "lib/unit.h"

#define PAGE	 4096ull
#define STACK	 0x500000ull
#define TEXT	 0x10000000ull
#define TRAPS	 512u /* enough for a site to be shown, whatever its counter held */
#define STRAY_NS 20000000ull
#define SITE_MAX 8u

/* An executable segment: in the file, and in each process at TEXT. */
struct text {
	const char *path;
	int fd;
	uint64_t offset, len; /* of whole pages */
	const uint8_t *file;  /* the host's view, shared: what every sandbox would see */
	uint8_t *before;      /* the file's bytes, copied at the start */
	uint8_t *expect;      /* what the process that jumps must have */
};

static struct {
	struct platform_thread *t;
	struct ktimer timer;
	bool ended;
	unsigned int pairs, judged, patched;
} run;

static void (*body)(void);
static const char *program;

static void fiber_body(void *arg)
{
	body();
	kloop_stop(0);
}

static void on_fiber(void (*fn)(void))
{
	body = fn;
	assert_int_equal(fiber_spawn("test", fiber_body, NULL, NULL), 0);
	(void)kloop_run();
}

static bool is_pair(const uint8_t *p)
{
	return p[0] == 0x0f && p[1] == 0x05;
}

static uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The number with which a jump to the pair before `rip` looks most like a call. */
static uint64_t likely_nr(const uint8_t *rip)
{
	return rip[-7] == 0xb8 ? load32(rip - 6) : SYS_getppid;
}

static struct platform_thread *new_guest(const struct text *x, bool shared)
{
	const struct platform_map text = { .addr = TEXT,
					   .len = x->len,
					   .prot = PROT_READ | PROT_EXEC,
					   .shared = shared,
					   .host_fd = x->fd,
					   .offset = x->offset };
	const struct platform_map stack = {
		.addr = STACK, .len = PAGE, .prot = PROT_READ | PROT_WRITE, .host_fd = -1
	};
	struct platform_thread *t;

	assert_int_equal(platform->space_new(NULL, &t), 0);
	assert_int_equal(platform->map(t, &text), 0);
	assert_int_equal(platform->map(t, &stack), 0);
	return t;
}

static void jump(struct platform_thread *t, uint64_t rip, uint64_t rax)
{
	struct arch_regs regs;

	assert_int_equal(platform->thread_get_regs(t, &regs), 0);
	regs.r = (typeof(regs.r)){ .rip = rip,
				   .rsp = STACK + PAGE / 2,
				   .rax = rax,
				   .cs = regs.r.cs,
				   .ss = regs.r.ss,
				   .eflags = 0x202,
				   .ds = regs.r.ds,
				   .es = regs.r.es,
				   .fs = regs.r.fs,
				   .gs = regs.r.gs };
	assert_int_equal(platform->thread_set_regs(t, &regs), 0);
}

/* An interrupt that was meant for the run before may come late. */
static void run_on(struct platform_thread *t, struct platform_event *ret)
{
	do
		platform->thread_run(t, ret);
	while (ret->kind == PLATFORM_INTERRUPT);
}

/* Jump to the pair until the kernel wants to patch it. False: it looked, and leaves it alone. */
static bool jump_until_judged(struct platform_thread *t, uint64_t at, uint64_t nr)
{
	struct platform_event e;

	for (unsigned int i = 0; i < TRAPS; i++) {
		jump(t, at, nr);
		run_on(t, &e);
		assert_int_equal(e.kind, PLATFORM_SYSCALL);
		assert_int_equal(e.nr, nr);
		if (t->fast)
			return false;
		if (t->ctx->site != 0)
			return t->patch_wanted;
	}
	return false;
}

static void kick(struct ktimer *timer)
{
	if (run.ended)
		return;
	platform->thread_interrupt(run.t);
	ktimer_arm(timer, kclock_monotonic() + STRAY_NS);
}

/* Answer, which patches; what is behind runs until it does something. False: the stub is gone. */
static bool stray(struct platform_thread *t)
{
	struct platform_event e;

	run.t = t;
	run.ended = false;
	ktimer_init(&run.timer, kick);
	ktimer_arm(&run.timer, kclock_monotonic() + STRAY_NS);
	platform->thread_set_result(t, 0);
	platform->thread_run(t, &e);
	run.ended = true;
	ktimer_cancel(&run.timer);
	return e.kind != PLATFORM_DEAD;
}

static void read_text(struct platform_thread *t, uint64_t from, void *ret, size_t len)
{
	assert_int_equal(platform->read(platform->thread_space(t), ret, TEXT + from, len), len);
}

/* What the site now holds is what it must hold: a jump to a slot, and invalid bytes. */
static void take_site(struct platform_thread *t, const struct text *x, const struct patch_code *p)
{
	const uint64_t from = p->site - TEXT;
	uint8_t now[SITE_MAX];

	assert_in_range(p->len, 5, SITE_MAX);
	read_text(t, from, now, p->len);
	if (memcmp(now, x->expect + from, p->len) == 0)
		return; /* no slot in reach */
	assert_int_equal(now[0], 0xe9);
	for (unsigned int i = 5; i < p->len; i++)
		assert_int_equal(now[i], p->bytes >> 8 * i & 0xff);
	memcpy(x->expect + from, now, p->len);
	run.patched++;
}

/* A site is the call with the load before it, or with whole instructions behind it, no more. */
static bool judge(const uint8_t *rip, uint64_t at, uint64_t nr)
{
	uint8_t slot[STUB_PATCH_LEN];
	struct patch_code p;

	if (!patch_code_judge(rip - STUB_SITE_BACK, at, nr, &p))
		return false;
	assert_in_range(p.len, 5, SITE_MAX);
	if (p.loads_nr) {
		assert_int_equal(p.site + p.len, at);
		assert_int_equal(p.len, 7);
		return true;
	}
	assert_int_equal(p.site, at - 2);
	assert_true(p.moved == 1 || p.moved + 2 == p.len);
	patch_code_slot(&p, TEXT - PAGE, TEXT - 2 * PAGE, slot);
	assert_memory_equal(slot + PATCH_AFTER, rip, p.moved);
	return true;
}

/* Does the stub show this place? It reads no other page than the one that was executed. */
static bool is_shown(uint64_t at)
{
	return at % PAGE >= STUB_SITE_BACK && at % PAGE <= PAGE - STUB_SITE_LEN;
}

/* The process beside: at the same place a call that traps, as its bytes are the file's. */
static void call_beside(struct platform_thread *t, uint64_t at, uint64_t nr)
{
	struct platform_event e;

	jump(t, at, nr);
	run_on(t, &e);
	assert_int_equal(e.kind, PLATFORM_SYSCALL);
	assert_int_equal(e.nr, nr);
	assert_false(t->fast);
}

static void assert_text(struct platform_thread *t, const struct text *x, const uint8_t *want)
{
	uint8_t *now = malloc(x->len);

	assert_non_null(now);
	read_text(t, 0, now, x->len);
	assert_memory_equal(now, want, x->len);
	free(now);
}

static void jump_everywhere(const struct text *x)
{
	struct platform_thread *bad = new_guest(x, false), *beside = new_guest(x, false);

	for (uint64_t i = STUB_SITE_BACK; i + STUB_SITE_LEN <= x->len; i++) {
		const uint64_t at = TEXT + i + 2, nr = likely_nr(x->before + i + 2);
		struct patch_code p;
		bool wanted;

		/* Bytes that an earlier patch took away are a pair no more. */
		if (!is_pair(x->before + i) || !is_pair(x->expect + i))
			continue;
		run.pairs++;
		wanted = jump_until_judged(bad, TEXT + i, nr);
		/* Less is patched: calls that need a frame, such as exit(2), never are. */
		assert_true(!wanted || (is_shown(at) && judge(x->expect + i + 2, at, nr)));
		if (!wanted)
			continue;
		p = bad->patch;
		run.judged++;
		if (stray(bad)) {
			take_site(bad, x, &p);
		} else {
			platform->thread_free(bad);
			bad = new_guest(x, false);
			memcpy(x->expect, x->before, x->len);
		}
		call_beside(beside, TEXT + i, nr);
	}
	assert_text(bad, x, x->expect);
	assert_text(beside, x, x->before);
	assert_memory_equal(x->file, x->before, x->len);
	platform->thread_free(bad);
	platform->thread_free(beside);
}

static void text_close(struct text *x)
{
	(void)munmap((void *)x->file, x->len);
	free(x->before);
	free(x->expect);
	(void)close(x->fd);
}

/* The executable segment of a 64-bit ELF file. */
static bool text_open(struct text *x, const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr head;
	Elf64_Phdr ph;
	struct stat st;

	*x = (struct text){ .path = path };
	if (fd < 0 || fstat(fd, &st) < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_machine != EM_X86_64)
		return false;
	for (unsigned int i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), (off_t)(head.e_phoff + i * sizeof(ph))) !=
		    sizeof(ph))
			return false;
		if (ph.p_type == PT_LOAD && ph.p_flags & PF_X)
			break;
		ph.p_filesz = 0;
	}
	x->offset = ph.p_offset / PAGE * PAGE;
	x->len = (ph.p_offset % PAGE + ph.p_filesz) / PAGE * PAGE;
	if (ph.p_filesz == 0 || x->len == 0 || x->offset + x->len > (uint64_t)st.st_size)
		return false;
	x->file = mmap(NULL, x->len, PROT_READ, MAP_SHARED, fd, (off_t)x->offset);
	assert_ptr_not_equal(x->file, MAP_FAILED);
	x->before = malloc(x->len);
	x->expect = malloc(x->len);
	assert_true(x->before && x->expect);
	memcpy(x->before, x->file, x->len);
	memcpy(x->expect, x->file, x->len);
	x->fd = TAKE_FD(fd);
	return true;
}

static void do_program(void)
{
	struct text x;

	assert_true(text_open(&x, program));
	run.pairs = run.judged = run.patched = 0;
	jump_everywhere(&x);
	print_message("%s: %u pairs, %u of a form that is patched, %u patched\n", program,
		      run.pairs, run.judged, run.patched);
	/* Small programs may have none. */
	assert_true(run.pairs > 0 || !strstr(program, "libc.so"));
	text_close(&x);
}

/* state: names of one program, as machines have it; none there is no failure. */
static void no_jump_into_the_text_of(void **state)
{
	const char *const *names = *state, *const first = *names;

	while (*names && access(*names, R_OK) < 0)
		names++;
	program = *names;
	if (!program) {
		print_message("needs %s: CAVEATS.md#unit-text\n", first);
		skip();
	}
	on_fiber(do_program);
}

/* movabs $VALUE,%rax; mov %rax,%rdi; mov $231,%eax; nop; syscall; hlt. VALUE holds a pair. */
static const uint8_t function[] = { 0x48, 0xb8, 0x0f, 0x05, 0x48, 0x89, 0xc0, 0x90,
				    0x90, 0x90, 0x48, 0x89, 0xc7, 0xb8, 231,  0,
				    0,	  0,	0x90, 0x0f, 0x05, 0xf4 };
#define FUNCTION 256u
#define INSIDE	 (FUNCTION + 2)
#define VALUE	 0x909090c08948050full

static uint64_t call_function(struct platform_thread *t)
{
	struct platform_event e;

	jump(t, TEXT + FUNCTION, 0);
	run_on(t, &e);
	assert_int_equal(e.kind, PLATFORM_SYSCALL);
	assert_int_equal(e.nr, SYS_exit_group);
	return e.args.v[0];
}

/* Answer the jump into the middle: what is behind goes on to the function's end. */
static void run_to_end(struct platform_thread *t)
{
	struct platform_event e;

	platform->thread_set_result(t, 0);
	run_on(t, &e);
	assert_int_equal(e.kind, PLATFORM_SYSCALL);
	assert_int_equal(e.nr, SYS_exit_group);
	assert_int_equal(e.args.v[0], 0);
}

static void made_up_text(struct text *x)
{
	*x = (struct text){ .path = "made up", .len = PAGE };
	x->fd = memfd_create("text", MFD_CLOEXEC);
	assert_true(x->fd >= 0);
	assert_int_equal(ftruncate(x->fd, PAGE), 0);
	assert_int_equal(pwrite(x->fd, function, sizeof(function), FUNCTION), sizeof(function));
	x->file = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, x->fd, 0);
	assert_ptr_not_equal(x->file, MAP_FAILED);
	x->before = malloc(PAGE);
	x->expect = malloc(PAGE);
	assert_true(x->before && x->expect);
	memcpy(x->before, x->file, PAGE);
	memcpy(x->expect, x->file, PAGE);
}

static void do_function(void)
{
	struct platform_thread *bad, *beside, *later;
	struct text x;

	made_up_text(&x);
	bad = new_guest(&x, false);
	beside = new_guest(&x, false);
	assert_int_equal(call_function(bad), VALUE);
	run.patched = 0;
	assert_true(jump_until_judged(bad, TEXT + INSIDE, SYS_getppid));
	run_to_end(bad);
	take_site(bad, &x, &(struct patch_code){ .site = TEXT + INSIDE, .len = 5, .bytes = 0 });
	assert_int_equal(run.patched, 1);
	/* Who jumped has spoilt a constant of its own. */
	assert_int_not_equal(call_function(bad), VALUE);
	assert_int_equal(call_function(beside), VALUE);
	later = new_guest(&x, false);
	assert_int_equal(call_function(later), VALUE);
	assert_memory_equal(x.file, x.before, x.len);
	platform->thread_free(bad);
	platform->thread_free(beside);
	platform->thread_free(later);
	text_close(&x);
}

static void a_jump_into_an_instruction_spoils_it_for_the_jumper_alone(void **state)
{
	on_fiber(do_function);
}

static void do_shared(void)
{
	struct platform_thread *bad;
	struct text x;

	made_up_text(&x);
	bad = new_guest(&x, true);
	assert_true(jump_until_judged(bad, TEXT + INSIDE, SYS_getppid));
	run_to_end(bad);
	assert_int_equal(call_function(bad), VALUE);
	assert_text(bad, &x, x.before);
	assert_memory_equal(x.file, x.before, x.len);
	platform->thread_free(bad);
	text_close(&x);
}

static void text_that_is_mapped_shared_is_never_patched(void **state)
{
	on_fiber(do_shared);
}

static int setup(void **state)
{
	return kloop_init() < 0 ? -1 : platform->init();
}

static const char *const libc[] = { "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", NULL };
static const char *const crypto[] = { "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
				      "/usr/lib64/libcrypto.so.3", NULL };
static const char *const perl[] = { "/usr/bin/perl", NULL };
static const char *const python[] = { "/usr/bin/python3", "/usr/bin/python3.11", NULL };
static const char *const gdb[] = { "/usr/bin/gdb", NULL };

#define PROGRAM(names)                                                                   \
	{                                                                                \
		"no_jump_into_the_text_of_" #names "_changes_anything_for_others",       \
			no_jump_into_the_text_of, NULL, NULL, (void *)(uintptr_t)(names) \
	}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_jump_into_an_instruction_spoils_it_for_the_jumper_alone),
		cmocka_unit_test(text_that_is_mapped_shared_is_never_patched),
		PROGRAM(libc),
		PROGRAM(crypto),
		PROGRAM(perl),
		PROGRAM(python),
		PROGRAM(gdb),
	};
	struct systrap_options options = { 0 };

	if (argc < 3)
		return 2;
	options.stub_fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	options.profile = strcmp(argv[2], "direct") == 0 ? SYSTRAP_DIRECT : SYSTRAP_CHECKED;
	systrap_set_options(&options);
	platform = &platform_systrap;
	return cmocka_run_group_tests_name("sentry/systrap text", tests, setup, NULL);
}
