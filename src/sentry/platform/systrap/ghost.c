/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ghost: a task that came of a clone that was allowed and that never made its birth call. It has
 * the filter, so it can make no call; but it runs, and no guest's kill(2) finds it.
 *
 * The sentry is pid 1 of a namespace whose numbers are given out in order and begin anew behind the
 * reserved ones (pid_namespaces(7)). Who has one of those behind the last birth, can be signalled
 * by us, and is in no book, is a child under way or a ghost: time tells.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/core/kclock.h"
#include "sentry/core/klog.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define NUMBERS	    1024  /* and one for each clone that is under way */
#define NUMBERS_MAX 32768 /* that were given out since, one look */
#define FIRST_AGAIN 300	  /* RESERVED_PIDS of Linux */
#define PID_MAX	    32768 /* the least that a host is set to by itself */
#define LOOK_NS	    (NSEC_PER_SEC / 200)
#define UNDER_WAY   3200 /* looks: 16 s, longer than a birth may take; a freezer adds none */

/* A living process of our stubs' user; nobody else's can be signalled, and a zombie is readable. */
static bool is_process(pid_t pid)
{
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && pid != systrap.self && pid != systrap.zygote_pid &&
	       syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0 && poll(&end, 1, 0) == 0;
}

/*
 * Tasks that have a number and are not born yet are behind the newest that is; of a clone that took
 * long (it copies the memory first) others may have been born meanwhile.
 */
static pid_t count_numbers(const struct systrap_birth *of)
{
	const struct systrap_birth *b;
	pid_t n = systrap.last_born > of->since	  ? systrap.last_born - of->since
		  : systrap.last_born < of->since ? systrap.last_born
						  : 0;

	if (n > NUMBERS_MAX)
		n = NUMBERS_MAX;
	n += NUMBERS;
	list_for_each(b, &systrap.births, node) n++;
	return n;
}

static pid_t look(const struct systrap_birth *b, pid_t from, pid_t numbers)
{
	const pid_t tgid = b->parent->space->tgid;

	for (pid_t n = from; n < from + numbers; n++) {
		if (systrap_thread_by_tid(n))
			continue;
		if (b->process ? is_process(n) : syscall(SYS_tgkill, tgid, n, 0) == 0)
			return n;
	}
	return 0;
}

static void end(const struct systrap_birth *b, pid_t ghost)
{
	AUTO_CLOSE int pidfd = b->process ? (int)syscall(SYS_pidfd_open, ghost, 0) : -1;

	if (pidfd >= 0) {
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		systrap_zygote_reap(pidfd);
	}
	systrap_space_kill(b->parent->space);
}

int systrap_no_ghost(const struct systrap_birth *b)
{
	unsigned int looks = 0;
	const pid_t numbers = count_numbers(b);
	pid_t found, last = 0;

	/* Without a namespace of our own (test programs) the numbers are everybody's. */
	while (systrap.self == 1) {
		found = look(b, b->since + 1, numbers);
		if (found == 0 && (b->since + numbers > PID_MAX || systrap.last_born < b->since))
			found = look(b, FIRST_AGAIN, numbers);
		if (found == 0)
			break;
		looks = found == last ? looks + 1 : 0;
		last = found;
		if (looks == UNDER_WAY) {
			klog(platform, "task %d came of a clone that was taken back", found);
			end(b, found);
			break;
		}
		(void)fiber_park(nsec_add(kclock_monotonic(), LOOK_NS), false);
	}
	return b->parent->space->dead ? -ESRCH : 0;
}
