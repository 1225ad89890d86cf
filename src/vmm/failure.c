/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/failure.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/str.h"
#include "wire/vmm_msg.h"

#define CONSOLE_MAX 240u /* bytes of what the guest said, NUL included */
#define WORDS_MAX   160u /* ... and of what QEMU said */
#define PANIC	    "Kernel panic - not syncing: "

__attribute__((format(printf, 2, 3))) static void add(struct err *ret, const char *fmt, ...)
{
	const size_t at = strlen(ret->msg);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(ret->msg + at, sizeof(ret->msg) - at, fmt, ap);
	va_end(ap);
}

static uint64_t mib(uint64_t bytes)
{
	return bytes >> 20;
}

/* What the host's kernel did, why, and who can change it. */
static void add_starved(struct err *ret, const char *program, const struct failure_facts *f)
{
	add(ret,
	    "the host has killed %s for want of memory: a machine of %" PRIu64
	    " MiB needs up to %" PRIu64 " MiB of the host, and ",
	    program, mib(f->memory), mib(f->memory + VMM_HOST_OVERHEAD));
	if (f->host_limit < f->memory + VMM_HOST_OVERHEAD)
		add(ret, "the limit of its cgroup is %" PRIu64 " MiB", mib(f->host_limit));
	else
		add(ret, "a cgroup above its own, or the host, has less: raise that limit, or "
			 "lower the container's or vm.memory");
}

static void add_status(struct err *ret, const char *program, int status,
		       const struct failure_facts *f)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && f->starved)
		add_starved(ret, program, f);
	else if (WIFSIGNALED(status))
		add(ret, "%s was killed by signal %d", program, WTERMSIG(status));
	else
		add(ret, "%s ended with status %d", program, WEXITSTATUS(status));
}

/* Who has ended first is not known: of two the one that did not end by itself. */
static bool is_files_fault(const struct failure_facts *f)
{
	return f->files_ended && (!f->qemu_ended || (f->qemu_status == 0 && f->files_status != 0));
}

/* A panic explains an end and a silence, but no lie. */
static bool may_be_panic(const struct err *why)
{
	return why->code != -EPROTO && why->code != -EBADMSG;
}

void failure_compose(const struct err *why, const struct failure_facts *f, struct err *ret)
{
	char words[WORDS_MAX], console[CONSOLE_MAX];
	const char *panic;

	(void)vm_console_telling(&f->words, words, sizeof(words));
	(void)vm_console_telling(&f->console, console, sizeof(console));
	panic = may_be_panic(why) ? str_after(console, PANIC) : NULL;
	*ret = (struct err){ .code = why->code };
	if (panic)
		add(ret, "the guest's kernel has panicked: %s", panic);
	else if (f->panicked && may_be_panic(why))
		add(ret, "the guest's kernel has panicked");
	else if (is_files_fault(f))
		add_status(ret, "virtiofsd", f->files_status, f);
	else if (f->qemu_ended)
		add_status(ret, "QEMU", f->qemu_status, f);
	else
		add(ret, "%s", why->msg);
	if (f->qemu_ended && f->reason[0] && !panic)
		add(ret, " (%s)", f->reason);
	if (words[0])
		add(ret, "; QEMU said: %s", words);
	if (console[0] && !panic)
		add(ret, "; the guest said last: %s", console);
}
