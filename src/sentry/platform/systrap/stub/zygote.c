/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zygote: pid 1 of the stubs' pid namespace. It makes the layout of abi.h, forks the template
 * (the stub from which all others are forked, under the filter), and then only reaps what the
 * sentry tells it to. The end of its socket is the end of all: when pid 1 exits, the kernel kills
 * the namespace; without a namespace it kills its process group, which no stub can leave.
 */
#include "sentry/platform/systrap/stub/stub.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "jail/jail.h"

#define PAGE		 4096ull
#define SA_RESTORER_FLAG 0x04000000ul
#define SYS_MSEAL	 462
#define VDSO_ASIDE	 0x7e0000000000 /* below all that the kernel and stubs map */
#define LISTENER_FLAGS	 (SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)

static long map_fixed(uint64_t at, uint64_t len, int prot, int flags, int fd)
{
	return sys6(SYS_mmap, (long)at, (long)len, prot, flags | MAP_FIXED, fd, 0);
}

static void must(long r)
{
	if (r < 0)
		stub_die(120);
}

static long receive(int sock, void *bytes, size_t len, int flags, int *fds, unsigned int *n)
{
	union {
		struct cmsghdr header;
		uint8_t space[CMSG_SPACE(ZYGOTE_REAP_MAX * sizeof(int))];
	} control;
	struct {
		void *base;
		size_t len;
	} iov = { bytes, len };
	struct {
		void *name;
		uint32_t name_len;
		void *iov;
		size_t iov_len;
		void *control;
		size_t control_len;
		int flags;
	} msg = { .iov = &iov, .iov_len = 1, .control = &control, .control_len = sizeof(control) };
	const unsigned int max = *n;
	long r;

	*n = 0;
	r = SYS3(SYS_recvmsg, sock, &msg, flags);
	if (r < 0 || msg.control_len < sizeof(struct cmsghdr) ||
	    control.header.cmsg_type != SCM_RIGHTS)
		return r;
	*n = (unsigned int)((control.header.cmsg_len - sizeof(struct cmsghdr)) / sizeof(int));
	if (*n > max)
		*n = max;
	for (unsigned int i = 0; i < *n; i++)
		fds[i] = ((const int *)(const void *)CMSG_DATA(&control.header))[i];
	return r;
}

static long move(uint64_t from, uint64_t len, uint64_t to)
{
	return SYS5(SYS_mremap, from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

/*
 * Move the mappings from `low` to `high`, which the kernel does not let anybody split, with their
 * distances. There is no /proc to ask: a mapping moves at its whole length or not at all.
 */
static bool move_all(uint64_t low, uint64_t high, uint64_t to)
{
	for (uint64_t at = low; at < high;) {
		uint64_t len = high - at;

		while (len > 0 && move(at, len, to + (at - low)) < 0)
			len -= PAGE;
		if (len == 0)
			return false;
		at += len;
	}
	return true;
}

static bool is_mapped(uint64_t at)
{
	uint8_t resident;

	return SYS3(SYS_mincore, at, PAGE, &resident) == 0;
}

/*
 * Where the auxiliary vector has the value of `type`, or NULL. The initial stack: argc, argv, NULL,
 * envp, NULL, auxv (System V ABI, process initialisation).
 */
static uintptr_t *auxiliary(uintptr_t *stack, uintptr_t type)
{
	uintptr_t *p = stack + 1 + stack[0] + 1;

	while (*p)
		p++;
	for (p++; p[0] != AT_NULL; p += 2) {
		if (p[0] == type)
			return &p[1];
	}
	return NULL;
}

/* The end of the initial stack, whose last text is the name of the program; 0: not known. */
static uint64_t stack_end(uintptr_t *stack)
{
	const uintptr_t *name = auxiliary(stack, AT_EXECFN);
	uint64_t at = name ? *name : 0;

	while (at && *(const char *)at)
		at++;
	return at ? (at | (PAGE - 1)) + 1 : 0;
}

/*
 * [vvar], [vvar_vclock] and [vdso] are neighbours. Newer kernels put them anywhere among the
 * mappings, and so now and then where a stub has its areas; older ones above the stack, now and
 * then next to it: they go aside before anything is mapped. The auxiliary vector says where the
 * vdso is then, or 0.
 */
static void put_vdso_aside(uintptr_t *stack)
{
	uintptr_t *entry = auxiliary(stack, AT_SYSINFO_EHDR);
	const uint64_t vdso = entry ? *entry : 0, below = stack_end(stack);
	uint64_t low = vdso, high = vdso;

	if (vdso == 0)
		return;
	while (low != below && low != stub_at(STUB_TEXT) + STUB_TEXT_LEN && is_mapped(low - PAGE) &&
	       vdso - low < STUB_VDSO_LEN / 2)
		low -= PAGE;
	while (high != stub_at(STUB_TEXT) && is_mapped(high) && high - vdso < STUB_VDSO_LEN / 2)
		high += PAGE;
	*entry = move_all(low, high, VDSO_ASIDE) ? VDSO_ASIDE + (vdso - low) : 0;
}

/* From aside to where it stays. Returns its new address, or 0. */
static uint64_t place_vdso(uint64_t vdso)
{
	uint64_t high = vdso;

	if (vdso == 0)
		return 0;
	while (is_mapped(high) && high - vdso < STUB_VDSO_LEN / 2)
		high += PAGE;
	return move_all(VDSO_ASIDE, high, stub_at(STUB_VDSO))
		       ? stub_at(STUB_VDSO) + (vdso - VDSO_ASIDE)
		       : 0;
}

static void limit(int resource, uint64_t value)
{
	const struct rlimit64 l = { value, value };

	(void)SYS4(SYS_prlimit64, 0, resource, &l, NULL);
}

static void handle(int sig, void (*fn)(int, void *, void *))
{
	struct {
		void (*fn)(int, void *, void *);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} act = { fn, SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART | SA_RESTORER_FLAG,
		  stub_restorer, 1ull << (SIGURG - 1) };

	must(SYS4(SYS_rt_sigaction, sig, &act, NULL, 8));
}

static void install_handlers(void)
{
	const uint64_t urgent = 1ull << (SIGURG - 1);

	must(SYS4(SYS_rt_sigprocmask, SIG_SETMASK, &urgent, NULL, 8));
	handle(SIGSYS, stub_on_syscall);
	handle(SIGSEGV, stub_on_fault);
	handle(SIGBUS, stub_on_fault);
	handle(SIGFPE, stub_on_fault);
	handle(SIGILL, stub_on_fault);
	handle(SIGTRAP, stub_on_fault);
	handle(SIGURG, stub_on_interrupt);
}

static void seal(uint64_t at, uint64_t len)
{
	(void)SYS3(SYS_MSEAL, at, len, 0); /* older kernels: the filter alone is the wall */
}

/* From here on everything is allowed once more and then never again. */
NORETURN static void template_main(const struct sock_filter *filter, uint16_t len, uint64_t vdso)
{
	const struct {
		uint16_t len;
		const struct sock_filter *filter;
	} program = { len, filter };
	struct stub_ctx *c = stub_slot(0);
	const stack_t stack = { .ss_sp = (uint8_t *)c + STUB_SIGSTACK,
				.ss_size = STUB_SIGSTACK_LEN };
	const char hello = 'T';
	long listener;

	must(map_fixed(stub_at(STUB_PRW), STUB_PRW_LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
		       STUB_FD_PRW));
	must(SYS1(SYS_close, STUB_FD_PRW));
	must(SYS2(SYS_sigaltstack, &stack, NULL));
	__asm__ volatile("wrgsbase %0" : : "r"(c));
	/* The kernel tells the sentry who sent this. */
	must(sys6(SYS_sendto, ZYGOTE_FD, SYS_ARG(&hello), 1, MSG_NOSIGNAL, 0, 0));
	must(SYS1(SYS_close, ZYGOTE_FD));
	listener = SYS3(SYS_seccomp, SECCOMP_SET_MODE_FILTER, LISTENER_FLAGS, &program);
	if (listener < 0)
		listener = SYS3(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	c->args[0] = vdso;
	c->args[1] = (uint64_t)stub_enter;
	stub_post(c, STUB_REQ_LISTENER, (uint64_t)listener);
	(void)SYS1(SYS_close, listener);
	stub_serve(c);
}

NORETURN static void reap_until_the_end(void)
{
	for (;;) {
		int fds[ZYGOTE_REAP_MAX];
		unsigned int n = ZYGOTE_REAP_MAX;
		char byte;
		const long r = receive(ZYGOTE_FD, &byte, 1, 0, fds, &n);

		if (r == -EINTR)
			continue;
		if (r <= 0)
			break;
		for (unsigned int i = 0; i < n; i++) {
			(void)SYS5(SYS_waitid, P_PIDFD, fds[i], NULL, WEXITED, NULL);
			(void)SYS1(SYS_close, fds[i]);
		}
	}
	(void)SYS2(SYS_kill, 0, SIGKILL);
	stub_die(0);
}

/* What the sentry has said, and where the vdso is. */
struct start {
	struct {
		struct zygote_init init;
		struct sock_filter filter[ZYGOTE_FILTER_MAX];
	} msg;
	int fds[ZYGOTE_INIT_FDS];
	uint64_t vdso;
};

static void place_descriptors(int fds[ZYGOTE_INIT_FDS])
{
	must(map_fixed(stub_at(STUB_GRO), STUB_GRO_LEN, PROT_READ, MAP_SHARED, fds[0]));
	must(map_fixed(stub_at(STUB_WRO), STUB_WRO_LEN, PROT_READ, MAP_SHARED, fds[1]));
	must(map_fixed(stub_at(STUB_IDS), STUB_IDS_LEN, PROT_READ, MAP_SHARED, fds[4]));
	/* They came in order behind ZYGOTE_FD, far below the places that they get. */
	must(SYS3(SYS_dup3, fds[3], STUB_FD_DOORBELL, 0));
	must(SYS3(SYS_dup3, fds[2], STUB_FD_PRW, 0));
	must(SYS3(SYS_close_range, 0, ZYGOTE_FD - 1, 0));
	must(SYS3(SYS_close_range, ZYGOTE_FD + 1, STUB_FD_DOORBELL - 1, 0));
	must(SYS3(SYS_close_range, STUB_FD_PRW + 1, ~0u, 0));
}

/* Where it lies for good: nothing else stays mapped. */
NORETURN static void zygote_go(void *arg)
{
	struct start *start = arg;
	const uint64_t vdso = place_vdso(start->vdso), end = stub_at(STUB_END);
	long r;

	must(SYS2(SYS_munmap, 0, stub_at(STUB_BASE)));
	must(SYS2(SYS_munmap, end, STUB_ADDRESS_MAX - end));
	place_descriptors(start->fds);
	seal(stub_at(STUB_TEXT), STUB_TEXT_LEN);
	seal(stub_at(STUB_GRO), STUB_GRO_LEN);
	seal(stub_at(STUB_WRO), STUB_WRO_LEN);
	seal(stub_at(STUB_IDS), STUB_IDS_LEN);
	install_handlers();
	(void)SYS2(SYS_prctl, PR_SET_DUMPABLE, start->msg.init.dumpable);
	limit(RLIMIT_NOFILE, STUB_FD_LIMIT);
	limit(RLIMIT_CORE, 1); /* not 0: that would not stop a pipe's handler (core(5)) */
	limit(RLIMIT_MEMLOCK, 0);
	limit(RLIMIT_MSGQUEUE, 0);
	limit(RLIMIT_SIGPENDING, 64);
	limit(RLIMIT_RTPRIO, 0);
	limit(RLIMIT_NICE, 0);
	/* Behind the filter: no file, no network, no signal to the outside. */
	must(jail_landlock(NULL, 0));
	r = jail_landlock_signals();
	if (r >= 0) {
		must(SYS3(SYS_dup3, r, STUB_FD_SCOPE, 0));
		must(SYS1(SYS_close, r));
	}
	r = SYS1(SYS_clone, SIGCHLD);
	if (r == 0)
		template_main(start->msg.filter, (uint16_t)start->msg.init.filter_len, vdso);
	must(r);
	must(SYS3(SYS_close_range, STUB_FD_DOORBELL, ~0u, 0));
	reap_until_the_end();
}

static void map_new(uint64_t at, uint64_t len, int flags)
{
	const long r = sys6(SYS_mmap, (long)at, (long)len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | flags, -1, 0);

	if ((uint64_t)r != at)
		stub_die(122);
}

/* A copy of the program, with a stack on which the start lies, elsewhere; and on there. */
NORETURN static void move_and_go(const struct start *start)
{
	const uint64_t slide = start->msg.init.slide, text = stub_at(STUB_TEXT) + slide;
	const uint64_t slots = stub_at(STUB_PRW) + slide;
	const uint64_t top = stub_stack_top(0) + slide;
	const uint64_t copy = (top - sizeof(*start)) & ~63ull;

	map_new(text, STUB_TEXT_LEN, 0);
	(void)stub_copy((void *)text, _start, (size_t)(stub_end - _start));
	(void)stub_copy((void *)((uint64_t)stub_slots + slide), &slots, sizeof(slots));
	must(SYS3(SYS_mprotect, text, STUB_TEXT_LEN, PROT_READ | PROT_EXEC));
	map_new(stub_at(STUB_STACKS) + slide, STUB_STACKS_LEN, MAP_NORESERVE);
	(void)stub_copy((void *)copy, start, sizeof(*start));
	zygote_jump((void *)copy, copy, (uint64_t)zygote_go + slide);
}

void zygote_main(uintptr_t *stack)
{
	const uintptr_t *vdso = auxiliary(stack, AT_SYSINFO_EHDR);
	struct start start;
	unsigned int n = ZYGOTE_INIT_FDS;
	const long r = receive(ZYGOTE_FD, &start.msg, sizeof(start.msg), 0, start.fds, &n);

	if (r < (long)sizeof(start.msg.init) || n != ZYGOTE_INIT_FDS ||
	    start.msg.init.filter_len > ZYGOTE_FILTER_MAX)
		stub_die(121);
	start.vdso = vdso ? *vdso : 0;
	if (start.msg.init.slide)
		move_and_go(&start);
	zygote_go(&start);
}

void zygote_start(uintptr_t *stack)
{
	must(SYS2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL));
	must(SYS5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	(void)sys6(SYS_setsid, 0, 0, 0, 0, 0, 0);
	put_vdso_aside(stack);
	must(sys6(SYS_mmap, STUB_STACKS, STUB_STACKS_LEN, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0));
	zygote_switch(stack, stub_stack_top(0));
}
