/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pause image's only program: the first process of a pod. It sleeps,
 * reaps the children that it inherits in a shared pid namespace, and ends
 * with status 0 on SIGTERM or SIGINT.
 *
 * The signals are blocked and waited for rather than handled: as process 1
 * it would otherwise miss those whose disposition is the default.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>

int main(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return 1;
	for (;;) {
		int sig = sigwaitinfo(&set, NULL);

		if (sig == SIGTERM || sig == SIGINT)
			return 0;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
