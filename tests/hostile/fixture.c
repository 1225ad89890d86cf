/* SPDX-License-Identifier: Apache-2.0 */
/* tests/hostile/fixture.c - see fixture.h. */
#include "hostile/fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sentry/core/kclock.h"
#include "sentry/core/kloop.h"
#include "sentry/core/ktimer.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define PATNO 0x5afe5afe5afe5afeull

/* mov $110,%eax; syscall; jmp back: what an honest guest does for ever. */
const uint8_t hostile_honest_code[HONEST_CODE_LEN] = { 0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7 };

/* jmp to itself */
const uint8_t hostile_spin_code[SPIN_CODE_LEN] = { 0xeb, 0xfe };

struct platform_thread *hostile_honest;
uint8_t hostile_stub_image[STUB_TEXT_LEN];
size_t hostile_stub_len;

struct platform_thread *hostile_guest(const uint8_t *code, size_t len)
{
	const struct platform_map code_map = {
		.addr = CODE, .len = PAGE, .prot = PROT_READ | PROT_WRITE, .host_fd = -1
	};
	const struct platform_map data_map = {
		.addr = DATA, .len = 4 * PAGE, .prot = PROT_READ | PROT_WRITE, .host_fd = -1
	};
	struct platform_thread *t;
	struct arch_regs regs;

	assert_int_equal(platform->space_new(NULL, &t), 0);
	assert_int_equal(platform->map(t, &code_map), 0);
	assert_int_equal(platform->map(t, &data_map), 0);
	assert_int_equal(platform->write(platform->thread_space(t), CODE, code, len), len);
	assert_int_equal(platform->protect(t, CODE, PAGE, PROT_READ | PROT_EXEC), 0);
	assert_int_equal(platform->thread_get_regs(t, &regs), 0);
	regs.r.rip = CODE;
	regs.r.rsp = DATA + 2 * PAGE;
	assert_int_equal(platform->thread_set_regs(t, &regs), 0);
	return t;
}

void hostile_at(struct platform_thread *t, uint64_t rip, uint64_t nr, const uint64_t a[6])
{
	struct arch_regs regs;

	assert_int_equal(platform->thread_get_regs(t, &regs), 0);
	regs.r.rip = rip;
	regs.r.rax = nr;
	regs.r.rdi = a[0];
	regs.r.rsi = a[1];
	regs.r.rdx = a[2];
	regs.r.r10 = a[3];
	regs.r.r8 = a[4];
	regs.r.r9 = a[5];
	regs.r.rbx = regs.r.rbp = DATA + PAGE;
	assert_int_equal(platform->thread_set_regs(t, &regs), 0);
}

static struct ktimer alarm_timer;
static struct platform_thread *alarmed;

static void on_alarm(struct ktimer *timer)
{
	platform->thread_interrupt(alarmed);
}

/* Run for at most so long; what ended it. Calls are answered, with one in eight that fails. */
enum platform_event_kind hostile_run_for(struct platform_thread *t, nsec_t ns)
{
	const nsec_t end = kclock_monotonic() + ns;
	struct platform_event e;

	do {
		alarmed = t;
		ktimer_init(&alarm_timer, on_alarm);
		ktimer_arm(&alarm_timer, end);
		platform->thread_run(t, &e);
		ktimer_cancel(&alarm_timer);
		if (e.kind == PLATFORM_SYSCALL)
			platform->thread_set_result(t, e.nr % 8 ? 0 : (uint64_t)-22);
	} while (e.kind == PLATFORM_SYSCALL && kclock_monotonic() < end);
	return e.kind;
}

void hostile_honest_lives(void)
{
	struct platform_event e;
	uint64_t word = 0;

	for (unsigned int i = 0; i < 3; i++) {
		platform->thread_run(hostile_honest, &e);
		assert_int_equal(e.kind, PLATFORM_SYSCALL);
		assert_int_equal(e.nr, 110);
		platform->thread_set_result(hostile_honest, 7);
	}
	assert_int_equal(platform->read(platform->thread_space(hostile_honest), &word, DATA, 8), 8);
	assert_true(word == PATNO);
}

void hostile_honest_begins(void)
{
	const uint64_t word = PATNO;

	hostile_honest = hostile_guest(hostile_honest_code, sizeof(hostile_honest_code));
	assert_int_equal(platform->write(platform->thread_space(hostile_honest), DATA, &word, 8),
			 8);
	hostile_honest_lives();
}

uint64_t hostile_next_syscall(uint64_t after)
{
	for (uint64_t i = after; i + 1 < hostile_stub_len; i++) {
		if (hostile_stub_image[i] == 0x0f && hostile_stub_image[i + 1] == 0x05)
			return i;
	}
	return UINT64_MAX;
}

static void (*body)(void);

static void fiber_body(void *arg)
{
	body();
	kloop_stop(0);
}

void hostile_on_fiber_until(void (*fn)(void), int status)
{
	int r;

	body = fn;
	assert_int_equal(fiber_spawn("test", fiber_body, NULL, NULL), 0);
	r = kloop_run();
	if (r != 0)
		assert_int_equal(r, status);
}

void hostile_on_fiber(void (*fn)(void))
{
	hostile_on_fiber_until(fn, 0);
}

static int setup(void **state)
{
	return kloop_init() < 0 ? -1 : platform->init();
}

static int read_stub(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	/* Its one segment begins at the first page. */
	if (fd < 0 || pread(fd, hostile_stub_image, sizeof(hostile_stub_image), PAGE) !=
			      sizeof(hostile_stub_image))
		return -1;
	hostile_stub_len = sizeof(hostile_stub_image);
	while (hostile_stub_len > 0 && hostile_stub_image[hostile_stub_len - 1] == 0)
		hostile_stub_len--;
	return fd;
}

bool hostile_choose(int argc, char **argv)
{
	struct systrap_options options = { 0 };

	if (argc < 3)
		return false;
	options.stub_fd = read_stub(argv[1]);
	options.profile = strcmp(argv[2], "direct") == 0 ? SYSTRAP_DIRECT : SYSTRAP_CHECKED;
	systrap_set_options(&options);
	platform = &platform_systrap;
	return options.stub_fd >= 0;
}

int hostile_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests, size_t n)
{
	return hostile_choose(argc, argv) ? _cmocka_run_group_tests(name, tests, n, setup, NULL)
					  : 2;
}
