/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscall/strace.c - the log of system calls (--strace), a line per call:
 * "[7:7 sh] openat(AT_FDCWD, "/etc/passwd", 0x80000) = 3".
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sentry/syscall/dispatch.h"
#include "sentry/syscall/observe.h"
#include "sentry/task/answers.h"

#define LINE_MAX_BYTES 768
#define STRING_SHOWN   48 /* bytes of a string or buffer */
#define IOV_SHOWN      3

static int log_to = -1;

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
};

static void put(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct line *l, const char *fmt, ...)
{
	const size_t left = sizeof(l->text) - l->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->len, left, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->len += (size_t)n < left ? (size_t)n : left - 1;
}

static void put_bytes(struct line *l, const char *s, size_t len, bool more)
{
	put(l, "\"");
	for (size_t i = 0; i < len; i++) {
		const unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			put(l, "\\%c", c);
		else if (c == '\n')
			put(l, "\\n");
		else if (c >= 0x20 && c < 0x7f)
			put(l, "%c", c);
		else
			put(l, "\\x%02x", c);
	}
	put(l, more ? "\"..." : "\"");
}

static void put_string(struct line *l, struct task *t, uaddr_t addr)
{
	char s[STRING_SHOWN + 1];
	ssize_t n;

	if (!addr) {
		put(l, "NULL");
		return;
	}
	n = user_copy_string(task_um(t), s, addr, sizeof(s));
	if (n == -EFAULT)
		put(l, "%#" PRIx64, addr);
	else
		put_bytes(l, s, strnlen(s, STRING_SHOWN), n == -ENAMETOOLONG);
}

static void put_buffer(struct line *l, struct task *t, uaddr_t addr, uint64_t len)
{
	char s[STRING_SHOWN];
	const size_t shown = len < sizeof(s) ? len : sizeof(s);

	if (!addr || user_copy_in(task_um(t), s, addr, shown) < 0)
		put(l, "%#" PRIx64, addr);
	else
		put_bytes(l, s, shown, shown < len);
}

static void put_iov(struct line *l, struct task *t, uaddr_t addr, uint64_t count)
{
	struct iovec v;

	put(l, "[");
	for (uint64_t i = 0; i < count && i < IOV_SHOWN; i++) {
		if (user_copy_in(task_um(t), &v, addr + i * sizeof(v), sizeof(v)) < 0)
			break;
		put(l, i ? ", " : "");
		put_buffer(l, t, (uint64_t)(uintptr_t)v.iov_base, v.iov_len);
	}
	put(l, count > IOV_SHOWN ? ", ...]" : "]");
}

/* "buf:2" speaks of argument 2. */
static uint64_t counted(const char *kind, const struct syscall_args *a)
{
	const char *colon = strchr(kind, ':');
	const int n = colon ? colon[1] - '0' : -1;

	return n >= 0 && n < ARCH_SYSCALL_ARGS ? a->v[n] : 0;
}

static bool is(const char *kind, size_t len, const char *name)
{
	return len == strlen(name) && !memcmp(kind, name, len);
}

/* Bytes of a buffer: what the call gave, where the result says how many. */
static uint64_t buffer_len(const char *kind, const struct syscall_args *a, sysret_t result)
{
	const uint64_t len = counted(kind, a);

	return result >= 0 && (uint64_t)result < len ? (uint64_t)result : len;
}

static void put_arg(struct line *l, struct task *t, const char *kind, size_t len,
		    const struct syscall_args *a, unsigned int i, sysret_t result)
{
	const uint64_t v = a->v[i];

	if (is(kind, len, "dirfd") && (int)v == AT_FDCWD)
		put(l, "AT_FDCWD");
	else if (is(kind, len, "fd") || is(kind, len, "dirfd") || is(kind, len, "int") ||
		 is(kind, len, "pid"))
		put(l, "%d", (int)v);
	else if (is(kind, len, "uint") || is(kind, len, "uid"))
		put(l, "%u", (unsigned int)v);
	else if (is(kind, len, "size") || is(kind, len, "u64"))
		put(l, "%" PRIu64, v);
	else if (is(kind, len, "off"))
		put(l, "%" PRId64, (int64_t)v);
	else if (is(kind, len, "mode") || is(kind, len, "oct"))
		put(l, "%#o", (unsigned int)v);
	else if (is(kind, len, "sig"))
		put(l, "SIG%s", sigabbrev_np((int)v) ? sigabbrev_np((int)v) : "?");
	else if (is(kind, len, "path") || is(kind, len, "str"))
		put_string(l, t, v);
	else if (!strncmp(kind, "buf:", 4))
		put_buffer(l, t, v, buffer_len(kind, a, result));
	else if (!strncmp(kind, "iov:", 4))
		put_iov(l, t, v, counted(kind, a));
	else
		put(l, "%#" PRIx64, v);
}

static void put_call(struct line *l, struct task *t, uint64_t nr, const struct syscall_args *a,
		     sysret_t result)
{
	const struct syscall_row *row = syscall_row(nr);
	const char *kind = row->args;

	put(l, "[%d:%d %s] %s(", task_tgid(t, task_pid_ns(t)), task_tid(t, task_pid_ns(t)), t->comm,
	    row->name);
	for (unsigned int i = 0; i < ARCH_SYSCALL_ARGS && *kind; i++) {
		const size_t len = strcspn(kind, ",");

		if (is(kind, len, "none"))
			break;
		put(l, i ? ", " : "");
		put_arg(l, t, kind, len, a, i, result);
		kind += len;
		kind += *kind == ',';
	}
	put(l, ")");
}

static void flush(struct line *l)
{
	if (l->len == sizeof(l->text) - 1)
		l->len--;
	l->text[l->len++] = '\n';
	if (write(log_to, l->text, l->len) < 0)
		return; /* the log is full or gone: the guest goes on */
}

static bool never_returns(uint64_t nr)
{
	const char *name = syscall_name(nr);

	return !strncmp(name, "exit", 4) || !strncmp(name, "execve", 6);
}

static void strace_enter(struct task *t, uint64_t nr, const struct syscall_args *a)
{
	struct line l = { .len = 0 };

	if (!never_returns(nr))
		return;
	put_call(&l, t, nr, a, 0);
	flush(&l);
}

static void strace_leave(struct task *t, uint64_t nr, const struct syscall_args *a, sysret_t result)
{
	struct line l = { .len = 0 };

	if (t->exiting || !t->mm)
		return;
	if (!strncmp(syscall_name(nr), "execve", 6))
		put(&l, "[%d:%d %s] ...", task_tgid(t, task_pid_ns(t)), task_tid(t, task_pid_ns(t)),
		    t->comm);
	else
		put_call(&l, t, nr, a, result);
	if (result < 0 && result >= -4095) {
		const char *name = strerrorname_np((int)-result);

		put(&l, " = -1 %s", name ? name : result <= -512 ? "(restart)" : "?");
	} else if (result > 0xffffff) {
		put(&l, " = %#" PRIx64, result);
	} else {
		put(&l, " = %" PRId64, result);
	}
	flush(&l);
}

static const struct syscall_observer strace = { .enter = strace_enter, .leave = strace_leave };

int strace_setup(const char *expr, int fd)
{
	if (!expr || !*expr)
		return 0;
	log_to = fd;
	task_answers_off();
	return syscall_observe(&strace, expr);
}
