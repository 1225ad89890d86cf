/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "shim/shim.h"

#define KEEP_MAX 16u

/* An answer as it travels: without the rest of the payload. */
#define HEAD_SIZE offsetof(struct worker_answer, payload)

struct worker {
	struct list_head node; /* of shim.workers */
	struct shim *shim;
	struct worker_job job;
	pid_t pid;
	int sock;		    /* owned */
	struct loop_source *source; /* NULL: done() was called */
};

static void answer_init(struct worker_answer *a)
{
	/* Not the payload: 32 KiB would become ours for nothing. */
	memset(a, 0, HEAD_SIZE);
	a->fd = -EBADF;
}

/* Also what an error says when run() left no sentence. */
static void run_job(const struct worker_job *job, struct worker_answer *a)
{
	const int r = job->run(job->arg, a, &a->err);

	if (r == 0)
		a->err = (struct err){ 0 };
	else if (a->err.code != r)
		(void)err_sys(&a->err, r, "%s", job->what);
}

/* ---- In the worker ---- */

static int set_stdio(const struct worker *w)
{
	for (int i = 0; i < 3; i++) {
		const int fd =
			w->job.stdio && w->job.stdio[i] >= 0 ? w->job.stdio[i] : w->shim->null_fd;

		if (dup2(fd, i) < 0)
			return -errno;
	}
	return 0;
}

__attribute__((noreturn)) static void work(struct worker *w, pid_t shim)
{
	static struct worker_answer answer;
	int keep[KEEP_MAX] = { w->sock, log_fd() };
	size_t len = 2;
	sigset_t none;

	answer_init(&answer);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may have died before: its container is cleaned up after already. */
	if (getppid() != shim)
		_exit(EXIT_FAILURE);
	(void)prctl(PR_SET_NAME, "caisson-worker");
	for (size_t i = 0; i < w->job.keep_len && len < KEEP_MAX; i++)
		keep[len++] = w->job.keep[i];
	/* The loop has all signals blocked; what is made would keep that. */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (set_stdio(w) < 0 || fd_keep_only(3, keep, len) < 0)
		(void)err_set(&answer.err, -EIO, "close what belongs to others");
	else
		run_job(&w->job, &answer);
	(void)fd_send(w->sock, &answer, HEAD_SIZE + answer.payload_len, &answer.fd,
		      answer.fd >= 0 ? 1 : 0);
	_exit(0);
}

/* ---- In the shim ---- */

static void forget(struct worker *w)
{
	list_del(&w->node);
	w->shim->workers_len--;
	loop_remove(w->source);
	auto_close_p(&w->sock);
	free(w);
}

static void finish(struct worker *w, struct worker_answer *answer)
{
	loop_remove(TAKE_PTR(w->source));
	auto_close_p(&w->sock);
	w->sock = -EBADF;
	w->job.done(w->job.owner, answer);
	auto_close_p(&answer->fd);
}

static void hear(struct worker *w)
{
	AUTO_FREE struct worker_answer *answer = malloc(sizeof(*answer));
	size_t fds_len = 1;
	ssize_t n;

	if (!answer)
		return; /* the socket stays readable */
	answer_init(answer);
	n = fd_recv(w->sock, answer, sizeof(*answer), &answer->fd, &fds_len);
	if (n == -EAGAIN)
		return;
	if (fds_len < 1)
		answer->fd = -EBADF;
	if (n < (ssize_t)HEAD_SIZE || answer->payload_len != (size_t)n - HEAD_SIZE) {
		auto_close_p(&answer->fd);
		answer_init(answer);
		(void)kill(w->pid, SIGKILL);
		(void)err_set(&answer->err, -EPROTO, "the process that served %s has died",
			      w->job.what);
	}
	finish(w, answer);
}

static void on_answer(void *arg, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	hear(arg);
}

void worker_hear_all(struct shim *s)
{
	struct worker *w, *next;

	/* None is freed here; those that begin meanwhile stand at the end. */
	list_for_each_safe(w, next, &s->workers, node)
	{
		if (w->source)
			hear(w);
	}
}

int worker_ended(struct shim *s, pid_t pid)
{
	struct worker *w;

	list_for_each(w, &s->workers, node)
	{
		struct worker_answer answer;

		if (w->pid != pid)
			continue;
		if (w->source)
			hear(w);
		/* What it had made may hold its end open. */
		if (w->source) {
			answer_init(&answer);
			answer.payload_len = 0;
			(void)err_set(&answer.err, -EPROTO, "the process that served %s has died",
				      w->job.what);
			finish(w, &answer);
		}
		forget(w);
		return 1;
	}
	return 0;
}

static int begin(struct worker *w, struct err *err)
{
	AUTO_CLOSE int theirs = -EBADF;
	int pair[2], r;
	pid_t shim;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "make a pair of sockets");
	w->sock = pair[0];
	theirs = pair[1];
	if (fcntl(w->sock, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, -errno, "fcntl");
	r = loop_add_fd(w->shim->loop, w->sock, EPOLLIN, on_answer, w, &w->source);
	if (r < 0)
		return err_sys(err, r, "watch a process");
	shim = getpid();
	w->pid = fork();
	if (w->pid < 0)
		return err_sys(err, -errno, "fork");
	if (w->pid == 0) {
		w->sock = TAKE_FD(theirs);
		work(w, shim);
	}
	return 0;
}

int worker_start(struct shim *s, const struct worker_job *job, struct err *err)
{
	struct worker *w;
	int r;

	if (s->workers_len >= WORKERS_MAX)
		return err_set(err, -EAGAIN, "%s: %u calls are being served already", job->what,
			       WORKERS_MAX);
	w = calloc(1, sizeof(*w));
	if (!w)
		return err_sys(err, -ENOMEM, "%s", job->what);
	w->shim = s;
	w->job = *job;
	w->sock = -EBADF;
	list_add_tail(&w->node, &s->workers);
	s->workers_len++;
	r = begin(w, err);
	if (r < 0) {
		forget(w);
		return r;
	}
	s->workers_started++;
	/* The caller's; they are of the moment of the fork. */
	w->job.arg = NULL;
	w->job.keep = NULL;
	w->job.stdio = NULL;
	return 0;
}

void worker_run_here(const struct worker_job *job)
{
	AUTO_FREE struct worker_answer *answer = malloc(sizeof(*answer));
	struct worker_answer *a = answer;

	if (!a) {
		/* On the stack, once in a blue moon. */
		struct worker_answer poor;

		answer_init(&poor);
		(void)err_sys(&poor.err, -ENOMEM, "%s", job->what);
		job->done(job->owner, &poor);
		return;
	}
	answer_init(a);
	run_job(job, a);
	job->done(job->owner, a);
	auto_close_p(&a->fd);
}
