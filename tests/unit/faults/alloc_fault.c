/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An allocator that fails on demand.
 *
 *   CAISSON_ALLOC_FAULT=N    the N-th allocation fails (0: none, they are only counted)
 *   CAISSON_ALLOC_FAULT=N+   and all after it, as on a host without memory
 *
 * One count over the program and the processes that it forks. At the end of the program standard
 * error gets one line: "faulty: calls=C hit=0|1 at=OFFSET by=command|child|nobody"; OFFSET is for
 * addr2line(1).
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef ALLOC_FAULT_INTERPOSE
/* The program's own definition precedes those of shared libraries, and calls theirs. */
#define NAME(function) function
#define SHOWN	       __attribute__((visibility("default")))
typedef void *(*malloc_fn)(size_t);
typedef void *(*calloc_fn)(size_t, size_t);
typedef void *(*realloc_fn)(void *, size_t);
#define REAL(function) ((function##_fn)real(#function))

__attribute__((no_sanitize("address", "undefined"))) static void *real(const char *name)
{
	void *const found = dlsym(RTLD_NEXT, name);

	if (!found)
		abort();
	return found;
}
#else
/* ld(1), --wrap */
#define NAME(function) __wrap_##function
#define SHOWN
#define REAL(function) __real_##function
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
#endif

SHOWN void *NAME(malloc)(size_t size);
SHOWN void *NAME(calloc)(size_t count, size_t size);
SHOWN void *NAME(realloc)(void *old, size_t size);

extern const char __executable_start[];

/* Shared with the processes that are forked. */
struct record {
	atomic_ulong calls;
	atomic_ulong hits;
	uintptr_t at;
	pid_t pid;
};

static struct {
	unsigned long n;
	bool from; /* all after the n-th as well */
	pid_t command;
	struct record *record;
} fault;

/* What libc allocates for itself before main() is not ours to judge. */
__attribute__((constructor)) static void set_up(void)
{
	const char *text = getenv("CAISSON_ALLOC_FAULT");
	char *end;
	void *page;

	if (!text)
		return;
	fault.n = strtoul(text, &end, 10);
	fault.from = *end == '+';
	fault.command = getpid();
	page = mmap(NULL, sizeof(*fault.record), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		    -1, 0);
	if (page == MAP_FAILED)
		abort();
	fault.record = page;
}

/* True if this allocation fails. */
static bool fails(const void *caller)
{
	unsigned long number;

	if (!fault.record)
		return false;
	number = atomic_fetch_add(&fault.record->calls, 1) + 1;
	if (!fault.n || number < fault.n || (number > fault.n && !fault.from))
		return false;
	if (atomic_fetch_add(&fault.record->hits, 1) == 0) {
		fault.record->at = (uintptr_t)caller - (uintptr_t)__executable_start;
		fault.record->pid = getpid();
	}
	errno = ENOMEM;
	return true;
}

void *NAME(malloc)(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : REAL(malloc)(size);
}

void *NAME(calloc)(size_t count, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : REAL(calloc)(count, size);
}

void *NAME(realloc)(void *old, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : REAL(realloc)(old, size);
}

/* Without stdio, which may want to allocate. */
__attribute__((destructor)) static void report(void)
{
	const struct record *r = fault.record;
	char line[128];
	int len;

	if (!r || getpid() != fault.command)
		return;
	len = snprintf(line, sizeof(line), "faulty: calls=%lu hit=%d at=0x%lx by=%s\n",
		       atomic_load(&r->calls), atomic_load(&r->hits) > 0, (unsigned long)r->at,
		       !r->pid			 ? "nobody"
		       : r->pid == fault.command ? "command"
						 : "child");
	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		_exit(125);
}
