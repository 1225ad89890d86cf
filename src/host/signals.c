/* SPDX-License-Identifier: Apache-2.0 */
#include "host/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <strings.h>

#include "base/str.h"

#define RT_FIRST 34 /* SIGRTMIN of glibc and musl alike, as the engines count */

static const struct {
	const char *name;
	int number;
} table[] = {
	{ "SIGHUP", SIGHUP },
	{ "SIGINT", SIGINT },
	{ "SIGQUIT", SIGQUIT },
	{ "SIGILL", SIGILL },
	{ "SIGTRAP", SIGTRAP },
	{ "SIGABRT", SIGABRT },
	{ "SIGBUS", SIGBUS },
	{ "SIGFPE", SIGFPE },
	{ "SIGKILL", SIGKILL },
	{ "SIGUSR1", SIGUSR1 },
	{ "SIGSEGV", SIGSEGV },
	{ "SIGUSR2", SIGUSR2 },
	{ "SIGPIPE", SIGPIPE },
	{ "SIGALRM", SIGALRM },
	{ "SIGTERM", SIGTERM },
	{ "SIGSTKFLT", SIGSTKFLT },
	{ "SIGCHLD", SIGCHLD },
	{ "SIGCONT", SIGCONT },
	{ "SIGSTOP", SIGSTOP },
	{ "SIGTSTP", SIGTSTP },
	{ "SIGTTIN", SIGTTIN },
	{ "SIGTTOU", SIGTTOU },
	{ "SIGURG", SIGURG },
	{ "SIGXCPU", SIGXCPU },
	{ "SIGXFSZ", SIGXFSZ },
	{ "SIGVTALRM", SIGVTALRM },
	{ "SIGPROF", SIGPROF },
	{ "SIGWINCH", SIGWINCH },
	{ "SIGIO", SIGIO },
	{ "SIGPWR", SIGPWR },
	{ "SIGSYS", SIGSYS },
	/* Second names; the first one of a number is the one that signal_name() gives. */
	{ "SIGIOT", SIGIOT },
	{ "SIGCLD", SIGCHLD },
	{ "SIGPOLL", SIGPOLL },
};

/* "RTMIN+3" and "RTMAX-1" without the "SIG". */
static int real_time_from_text(const char *text)
{
	const bool from_min = strncasecmp(text, "RTMIN", 5) == 0;
	const bool from_max = strncasecmp(text, "RTMAX", 5) == 0;
	uint64_t offset = 0;

	if (!from_min && !from_max)
		return -EINVAL;
	text += 5;
	if (*text == '\0')
		return from_min ? RT_FIRST : SIGNAL_MAX;
	if (*text != (from_min ? '+' : '-'))
		return -EINVAL;
	if (str_to_u64(text + 1, SIGNAL_MAX - RT_FIRST, &offset) < 0)
		return -EINVAL;
	return from_min ? RT_FIRST + (int)offset : SIGNAL_MAX - (int)offset;
}

int signal_from_text(const char *text)
{
	uint64_t number;

	if (!text || !*text)
		return -EINVAL;
	if (str_to_u64(text, SIGNAL_MAX, &number) == 0)
		return (int)number;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (strcasecmp(table[i].name + 3, text) == 0)
			return table[i].number;
	}
	return real_time_from_text(text);
}

const char *signal_name(int signal)
{
	static char real_time[SIGNAL_MAX - RT_FIRST + 1][16];

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].number == signal)
			return table[i].name;
	}
	if (signal < RT_FIRST || signal > SIGNAL_MAX)
		return NULL;
	(void)snprintf(real_time[signal - RT_FIRST], sizeof(real_time[0]), "SIGRTMIN+%d",
		       signal - RT_FIRST);
	return real_time[signal - RT_FIRST];
}
