/* SPDX-License-Identifier: Apache-2.0 */
/* Files whose host takes its time: mapped, read, and mapped below a call of ours. */
#include "guest.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

/* Touch a page while signals come: the thread takes them when the page is there. */
static int touch(const char *page)
{
	const struct itimerval tick = { { 0, 20000 }, { 0, 20000 } };
	struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

	(void)sigaction(SIGALRM, &act, NULL);
	(void)setitimer(ITIMER_REAL, &tick, NULL);
	if (*(const volatile char *)page != 's')
		return 1;
	while (!alarms)
		;
	return 0;
}

int guest_slow(int argc, char **argv)
{
	static char bytes[4096];
	const int fd = open(argc > 2 ? argv[2] : "", O_RDONLY);
	char *page = mmap(NULL, sizeof(bytes), PROT_READ, MAP_SHARED, fd, 0);
	int p[2], r = 64;

	if (fd < 0 || page == MAP_FAILED || pipe(p) < 0)
		return 3;
	if (strcmp(argv[1], "touch") == 0)
		r = touch(page);
	else if (strcmp(argv[1], "read") == 0)
		r = read(fd, bytes, sizeof(bytes)) != sizeof(bytes) || bytes[0] != 's';
	else if (strcmp(argv[1], "copy") == 0)
		r = write(p[1], page, sizeof(bytes)) != sizeof(bytes);
	(void)dprintf(STDOUT_FILENO, "%s %d\n", argv[1], r);
	return r;
}
