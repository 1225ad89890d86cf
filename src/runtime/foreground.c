/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One poll(2) loop over signalfd(2), the process's pidfd and, with a terminal, our standard input
 * and output and the pty master. Each direction has one buffer; a side is polled only while its
 * buffer has room or bytes, so nothing spins and nothing is lost to a slow reader.
 *
 * Our own streams are left in blocking mode, since they are shared with others (a shell): a read or
 * write happens only after poll said that it would not block.
 */
#include "runtime/foreground.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "host/console.h"
#include "host/pidfd.h"
#include "runtime/notify.h"

#define COPY_MAX 8192 /* bytes on the way, each direction */
/* More than a terminal holds (640 KiB in tty_buffer.c): what comes after that was written later. */
#define DRAIN_MAX (1u << 20) /* bytes */
/*
 * A signal that came this shortly before the end met a process that was as good as gone: class
 * sentry reports an end when the terminal inside has been emptied or nobody took it for 2 s. It is
 * then meant for us, and a reader is waited for only while it takes something.
 */
#define ASKED_NS    (3 * 1000000000ull)
#define PATIENCE_MS 500
/* A pipe or terminal that poll calls writable takes this much without blocking (PIPE_BUF). */
#define WRITE_MAX 4096

struct stream {
	char bytes[COPY_MAX];
	size_t start, end; /* bytes[start..end) wait to be written */
	int from, to;	   /* -1: that side is closed */
};

struct loop {
	const struct foreground *fg;
	struct stream in, out;
	struct termios saved;
	int raw_fd; /* the terminal that is raw now, or -1 */
	int notify;
	uint64_t asked; /* when a signal that means an end last came, monotonic ns; 0: never */
};

void foreground_unblock(void)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int foreground_signals(struct err *err)
{
	sigset_t all;
	int fd;

	(void)sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return err_sys(err, -errno, "block signals");
	fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_sys(err, -errno, "signalfd") : fd;
}

static bool means_an_end(int sig)
{
	return sig == SIGTERM || sig == SIGINT || sig == SIGHUP || sig == SIGQUIT;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void pass_signals(struct loop *loop)
{
	struct signalfd_siginfo info[8];
	const struct process *process = loop->fg->process;
	ssize_t n;

	while ((n = read(loop->fg->signals, info, sizeof(info))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(info[0]); i++) {
			const int sig = (int)info[i].ssi_signo;

			switch (sig) {
			case SIGCHLD:
			case SIGPIPE:
			case SIGURG:
				break;
			case SIGWINCH:
				if (process->master >= 0 && loop->raw_fd >= 0)
					(void)console_copy_size(loop->raw_fd, process->master);
				break;
			default:
				if (means_an_end(sig))
					loop->asked = now_ns();
				(void)pidfd_kill(process->pidfd, sig);
			}
		}
	}
}

/* Fill from `from`. False: that side has nothing more. */
static bool stream_read(struct stream *s)
{
	ssize_t n;

	if (s->start == s->end)
		s->start = s->end = 0;
	if (s->end == COPY_MAX)
		return true;
	n = read(s->from, s->bytes + s->end, COPY_MAX - s->end);
	if (n > 0)
		s->end += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		s->from = -1;
	return n > 0;
}

static void stream_write(struct stream *s)
{
	size_t len = s->end - s->start;
	ssize_t n;

	if (len > WRITE_MAX)
		len = WRITE_MAX;
	n = write(s->to, s->bytes + s->start, len);
	if (n > 0)
		s->start += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		s->to = -1;
	/* Nobody takes it any more: drop, so that the writer is not stopped by a full buffer. */
	if (s->to < 0)
		s->start = s->end = 0;
}

/* The fd to poll for reading: none while the buffer is full. */
static int read_side(const struct stream *s)
{
	return s->end == COPY_MAX && s->start != s->end ? -1 : s->from;
}

static int write_side(const struct stream *s)
{
	return s->start != s->end ? s->to : -1;
}

static void start_terminal(struct loop *loop)
{
	const int master = loop->fg->process->master;

	loop->raw_fd = -1;
	loop->in.from = loop->in.to = loop->out.from = loop->out.to = -1;
	if (master < 0)
		return;
	(void)fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	loop->in = (struct stream){ .from = STDIN_FILENO, .to = master };
	loop->out = (struct stream){ .from = master, .to = STDOUT_FILENO };
	if (console_raw(STDIN_FILENO, &loop->saved) == 0) {
		loop->raw_fd = STDIN_FILENO;
		(void)console_copy_size(STDIN_FILENO, master);
	}
}

/* A signal that means us, now that there is no process to pass it to. */
static bool asked_to_end(const struct loop *loop)
{
	struct signalfd_siginfo info;
	bool ends = false;

	while (read(loop->fg->signals, &info, sizeof(info)) == sizeof(info))
		ends = ends || means_an_end((int)info.ssi_signo);
	return ends;
}

/*
 * The process is gone: what its terminal still holds goes out, however slowly it is taken, unless
 * somebody wants us to end. Others in the container may go on writing: not for ever.
 */
static void drain(struct loop *loop)
{
	const bool asked = loop->asked && now_ns() - loop->asked < ASKED_NS;
	struct stream *s = &loop->out;
	size_t taken = 0;

	while (s->to >= 0) {
		struct pollfd p[] = { { .fd = s->to, .events = POLLOUT },
				      { .fd = loop->fg->signals, .events = POLLIN } };
		const size_t held = s->end - s->start;
		const bool more = s->from >= 0 && taken < DRAIN_MAX && stream_read(s);
		int r;

		taken += s->end - s->start - held;
		if (s->start == s->end && !more)
			break;
		r = poll(p, 2, asked ? PATIENCE_MS : -1);
		if (r == 0)
			break;
		if (r < 0)
			continue;
		if (p[1].revents && asked_to_end(loop))
			break;
		if (p[0].revents)
			stream_write(s);
	}
}

static void serve_notify(struct loop *loop)
{
	struct err problem = { 0 };
	const int r = notify_serve(loop->notify, loop->fg->process->pid, false, &problem);

	if (r < 0)
		log_warning("%s", problem.msg);
	if (r != 0)
		loop->notify = -1;
}

/* One round. 1: the process has ended. */
static int serve(struct loop *loop, struct err *err)
{
	enum { SIGNALS, PROCESS, NOTIFY, IN_READ, IN_WRITE, OUT_READ, OUT_WRITE, N };
	struct pollfd p[N] = {
		[SIGNALS] = { .fd = loop->fg->signals, .events = POLLIN },
		[PROCESS] = { .fd = loop->fg->process->pidfd, .events = POLLIN },
		[NOTIFY] = { .fd = loop->notify, .events = POLLIN },
		[IN_READ] = { .fd = read_side(&loop->in), .events = POLLIN },
		[IN_WRITE] = { .fd = write_side(&loop->in), .events = POLLOUT },
		[OUT_READ] = { .fd = read_side(&loop->out), .events = POLLIN },
		[OUT_WRITE] = { .fd = write_side(&loop->out), .events = POLLOUT },
	};

	if (poll(p, N, -1) < 0 && errno != EINTR)
		return err_sys(err, -errno, "poll");
	if (p[SIGNALS].revents)
		pass_signals(loop);
	if (p[NOTIFY].revents)
		serve_notify(loop);
	if (p[IN_READ].revents)
		(void)stream_read(&loop->in);
	if (p[IN_WRITE].revents)
		stream_write(&loop->in);
	if (p[OUT_READ].revents)
		(void)stream_read(&loop->out);
	if (p[OUT_WRITE].revents)
		stream_write(&loop->out);
	return p[PROCESS].revents ? 1 : 0;
}

int foreground_wait(const struct foreground *fg, int *ret_status, struct err *err)
{
	struct loop loop = { .fg = fg, .notify = fg->notify };
	int status, r;

	start_terminal(&loop);
	do {
		r = serve(&loop, err);
	} while (r == 0);
	if (r > 0) {
		drain(&loop);
		r = pidfd_reap(fg->process->pidfd, &status);
		if (r < 0)
			r = err_sys(err, r, "wait for process %d", (int)fg->process->pid);
	}
	if (loop.raw_fd >= 0)
		(void)console_restore(loop.raw_fd, &loop.saved);
	if (r < 0)
		return r;
	*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return 0;
}
