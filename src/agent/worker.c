/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/container.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/pidfd.h"

#define KEEP_MAX 16u /* descriptors of a worker */

enum word_type {
	WORD_MADE = 1, /* pid; its pidfd comes along, and its terminal */
	WORD_DONE,     /* result */
};

struct word {
	enum word_type type;
	pid_t pid;
	pid_t carriers[3];
	struct err result;
};

struct worker {
	struct list_head node; /* of agent.workers */
	struct agent *agent;
	struct worker_job job;
	pid_t pid;
	int pidfd;		    /* owned; in the worker -EBADF */
	int sock;		    /* owned: the other end's, in the worker ours */
	const struct err *why;	    /* borrowed: it is being cancelled */
	struct loop_source *source; /* NULL: done() was called */
};

/* ---- In the worker -------------------------------------------------------------------------- */

int worker_tell(struct worker *w, const struct ns_child *child, const pid_t carriers[3],
		struct err *err)
{
	const struct word word = { .type = WORD_MADE,
				   .pid = child->pid,
				   .carriers = { carriers[0], carriers[1], carriers[2] } };
	const int fds[] = { child->pidfd, child->master };
	const int r = fd_send(w->sock, &word, sizeof(word), fds, child->master >= 0 ? 2 : 1);

	return r < 0 ? err_sys(err, r, "tell the agent") : 0;
}

/* A stream whose other end stayed open here would not end while we hang. */
__attribute__((noreturn)) static void work(struct worker *w)
{
	struct word word = { .type = WORD_DONE };
	int keep[KEEP_MAX] = { w->sock, w->agent->gates, w->agent->null, log_fd(),
			       cgroup_program_fd(w->agent->program) };
	size_t len = 5;
	sigset_t none;
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "caisson-worker");
	for (size_t i = 0; i < w->job.keep_len; i++)
		keep[len++] = w->job.keep[i];
	/* The loop has all signals blocked; what is made would keep that. */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (fd_keep_only(3, keep, len) < 0 || setrlimit(RLIMIT_NOFILE, &w->agent->files) < 0)
		r = err_set(&word.result, -EIO, "close what belongs to others");
	else
		r = w->job.run(w, w->job.arg, &word.result);
	/* Who asked whether something is there, and was content that it is not, leaves a sentence.
	 */
	if (r == 0)
		word.result = (struct err){ 0 };
	else if (word.result.code != r)
		(void)err_sys(&word.result, r, "%s", agent_call_name(w->job.call));
	(void)fd_send(w->sock, &word, sizeof(word), NULL, 0);
	_exit(0);
}

/* ---- In the agent --------------------------------------------------------------------------- */

static void forget(struct worker *w)
{
	list_del(&w->node);
	w->agent->workers_len--;
	loop_remove(w->source);
	auto_close_p(&w->pidfd);
	auto_close_p(&w->sock);
	free(w);
}

/* The record stays until its process is reaped: so many there are. */
static void finish(struct worker *w, void (*how)(void *owner, const struct err *result),
		   const struct err *result)
{
	if (!w->source)
		return;
	loop_remove(TAKE_PTR(w->source));
	auto_close_p(&w->sock);
	w->sock = -EBADF;
	how(w->job.owner, result);
}

static void lose(struct worker *w, const struct err *why)
{
	finish(w, w->job.lost ? w->job.lost : w->job.done, why);
}

static void lose_dead(struct worker *w)
{
	struct err err = { 0 };

	(void)err_set(&err, -EPROTO, "the process that served %s has died",
		      agent_call_name(w->job.call));
	lose(w, w->why ? w->why : &err);
}

static int take_child(struct worker *w, const struct word *word, int fds[static 2], struct err *err)
{
	struct ns_child child = NS_CHILD_INIT;
	int r;

	child.pid = word->pid;
	child.pidfd = TAKE_FD(fds[0]);
	child.master = TAKE_FD(fds[1]);
	r = w->job.made ? w->job.made(w->job.owner, &child, word->carriers, err) : 0;
	if (r < 0)
		(void)pidfd_kill(child.pidfd, SIGKILL);
	ns_child_done(&child);
	return r;
}

/* One word: whether there may be more. */
static bool hear(struct worker *w)
{
	struct word word = { .type = WORD_DONE };
	int fds[2] = { -EBADF, -EBADF };
	size_t fds_len = 2;
	struct err err = { 0 };
	const ssize_t n = fd_recv(w->sock, &word, sizeof(word), fds, &fds_len);

	if (n == -EAGAIN)
		return false;
	if (fds_len < 2)
		fds[1] = -EBADF;
	if (fds_len < 1)
		fds[0] = -EBADF;
	if (n != sizeof(word)) {
		/* Also a word whose descriptors found no place: what it is of shall not run. */
		(void)pidfd_kill(w->pidfd, SIGKILL);
		lose_dead(w);
	} else if (word.type == WORD_DONE) {
		finish(w, w->job.done, &word.result);
	} else if (take_child(w, &word, fds, &err) < 0) {
		(void)pidfd_kill(w->pidfd, SIGKILL);
		lose(w, &err);
	}
	auto_close_p(&fds[0]);
	auto_close_p(&fds[1]);
	return w->source != NULL;
}

static void on_word(void *arg, int fd, uint32_t events)
{
	struct worker *w = arg;

	(void)fd;
	(void)events;
	while (hear(w))
		;
}

void worker_hear_all(struct agent *a)
{
	struct worker *w, *next;

	/* None is freed here; one that begins has said nothing yet. */
	list_for_each_safe(w, next, &a->workers, node)
	{
		while (w->source && hear(w))
			;
	}
}

bool worker_ended(struct agent *a, pid_t pid)
{
	struct worker *w;

	list_for_each(w, &a->workers, node)
	{
		if (w->pid != pid)
			continue;
		while (w->source && hear(w))
			;
		/* What it had made may hold its end open. */
		if (w->source)
			lose_dead(w);
		forget(w);
		return true;
	}
	return false;
}

static void cancel(struct worker *w, const struct err *why)
{
	(void)pidfd_kill(w->pidfd, SIGKILL);
	w->why = why;
	/* What it has made is told before it runs: nothing more can come, but what lies there is
	   somebody's to end. */
	while (w->source && hear(w))
		;
	lose(w, why);
}

void worker_cancel(struct agent *a, enum agent_call call, uint32_t serial)
{
	struct worker *w, *next;
	struct err err = { 0 };

	(void)err_set(&err, -ECANCELED, "%s was cancelled", agent_call_name(call));
	list_for_each_safe(w, next, &a->workers, node)
	{
		if (w->source && w->job.serial == serial && w->job.call == call)
			cancel(w, &err);
	}
}

void worker_cancel_all(struct agent *a, const struct container *c)
{
	struct worker *w, *next;
	struct err err = { 0 };

	(void)err_set(&err, -ECANCELED, "container %s has ended", c->id);
	list_for_each_safe(w, next, &a->workers, node)
	{
		if (w->source && w->job.container == c)
			cancel(w, &err);
	}
}

bool worker_serves(const struct agent *a, const struct container *c, enum agent_call call)
{
	const struct worker *w;

	list_for_each(w, &a->workers, node)
	{
		if (w->source && w->job.container == c && w->job.call == call)
			return true;
	}
	return false;
}

int worker_given_up(const struct agent *a, const struct container *c, enum agent_call call)
{
	const struct worker *w;

	list_for_each(w, &a->workers, node)
	{
		if (!w->source && w->job.container == c && w->job.call == call)
			return w->pidfd;
	}
	return -EBADF;
}

static int begin(struct worker *w, struct err *err)
{
	AUTO_CLOSE int theirs = -EBADF;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "make a pair of sockets");
	w->sock = pair[0];
	theirs = pair[1];
	if (fcntl(w->sock, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, -errno, "fcntl");
	w->pid = fork();
	if (w->pid < 0)
		return err_sys(err, -errno, "fork");
	if (w->pid == 0) {
		w->sock = TAKE_FD(theirs);
		work(w);
	}
	w->pidfd = pidfd_get(w->pid);
	r = w->pidfd < 0 ? w->pidfd
			 : loop_add_fd(w->agent->loop, w->sock, EPOLLIN, on_word, w, &w->source);
	if (r < 0)
		(void)kill(w->pid, SIGKILL);
	return r < 0 ? err_sys(err, r, "watch a process") : 0;
}

/* What ends or frees others has room when all the others wait. */
static unsigned int room(enum agent_call call)
{
	switch (call) {
	case AGENT_DELETE:
		return WORKERS_MAX + WORKERS_SIGNAL + AGENT_CONTAINERS_MAX;
	case AGENT_SIGNAL:
	case AGENT_RESUME:
		return WORKERS_MAX + WORKERS_SIGNAL;
	default:
		return WORKERS_MAX;
	}
}

int worker_start(struct agent *a, const struct worker_job *job, struct err *err)
{
	struct worker *w;
	int r;

	if (a->workers_len >= room(job->call))
		return err_set(err, -EAGAIN, "%s: %u calls wait for files already",
			       agent_call_name(job->call), a->workers_len);
	w = calloc(1, sizeof(*w));
	if (!w)
		return err_sys(err, -ENOMEM, "%s", agent_call_name(job->call));
	w->agent = a;
	w->job = *job;
	w->pidfd = w->sock = -EBADF;
	list_add_tail(&w->node, &a->workers);
	a->workers_len++;
	r = begin(w, err);
	if (r < 0) {
		forget(w);
		return r;
	}
	/* The caller's; they are of the moment of the fork. */
	w->job.arg = NULL;
	w->job.keep = NULL;
	return 1;
}

/* ---- Closing -------------------------------------------------------------------------------- */

/* Has the last descriptor, from when the agent has closed `gate`. */
__attribute__((noreturn)) static void hold_until(int fd, int gate)
{
	int keep[] = { fd, gate };
	char byte;

	(void)prctl(PR_SET_NAME, "caisson-closer");
	(void)fd_keep_only(3, keep, ARRAY_LEN(keep));
	(void)!read(gate, &byte, 1);
	_exit(0);
}

void agent_close(int fd)
{
	int gate[2];
	pid_t pid;

	if (fd < 0)
		return;
	if (pipe2(gate, O_CLOEXEC) < 0) {
		(void)close(fd);
		return;
	}
	pid = fork();
	if (pid == 0) {
		(void)close(gate[1]);
		hold_until(fd, gate[0]);
	}
	(void)close(fd);
	(void)close(gate[0]);
	(void)close(gate[1]);
}
