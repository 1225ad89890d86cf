/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/do_init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

/* In the child: an own process group, in front of the terminal if there is one. */
static void start_program(char **argv, const sigset_t *mask)
{
	int error;

	(void)setpgid(0, 0);
	if (isatty(STDIN_FILENO))
		(void)tcsetpgrp(STDIN_FILENO, getpgrp()); /* SIGTTOU is still blocked */
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	(void)execvp(argv[0], argv);
	error = errno;
	if (error == ENOENT && !strchr(argv[0], '/'))
		log_error("exec: \"%s\": executable file not found in $PATH", argv[0]);
	else
		log_error("exec: \"%s\": %s", argv[0], strerrordesc_np(error));
	_exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* Reap whatever has ended. True when the program has: *ret_status is its wait(2) status. */
static bool reap(pid_t program, int *ret_status)
{
	bool ended = false;
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (WIFSTOPPED(status)) {
			/* Nobody could ever say "fg" to it. */
			if (pid == program)
				(void)kill(-program, SIGCONT);
			continue;
		}
		if (pid == program) {
			*ret_status = status;
			ended = true;
		}
	}
	return ended;
}

int do_init_run(char **argv)
{
	sigset_t all, old;
	int status = 0;
	pid_t program;

	/* Without whoever waits for it a sandbox has no purpose. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	program = fork();
	if (program < 0) {
		log_error("fork: %s", strerrordesc_np(errno));
		return EXIT_NOT_EXECUTABLE;
	}
	if (program == 0)
		start_program(argv, &old);
	for (;;) {
		siginfo_t info;
		const int signal = sigwaitinfo(&all, &info);

		if (signal == SIGCHLD && reap(program, &status))
			break;
		/* From the kernel (terminal) the program's group has it already, if it was meant.
		 */
		if (signal > 0 && signal != SIGCHLD)
			(void)kill(program, signal);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
