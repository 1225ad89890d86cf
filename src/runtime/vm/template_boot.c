/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot, HELLO, CPUs off line, save. Nothing is asked of the agent behind that, so that its channel
 * is at rest when the machine stands still.
 */
#include "runtime/vm/template_boot.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/loop.h"
#include "base/str.h"
#include "host/pidfd.h"
#include "hypervisor/console.h"
#include "hypervisor/control.h"
#include "hypervisor/qemu.h"
#include "ns/stage.h"
#include "wire/agent_codec.h"
#include "wire/mux.h"

#define SAVE_MS	    30000 /* of a machine that another load starves */
#define SETTLE_MS   500	  /* until a process whose channel has ended is dead */
#define CONSOLE_MAX 200u  /* bytes of what the guest said, NUL included */
#define WORDS_MAX   160u  /* ... and of what QEMU said */

enum channel { MONITOR, AGENT, CONSOLE, WORDS, CHANNELS };

struct boot {
	const struct template_boot *b;
	int ours[CHANNELS], theirs[CHANNELS]; /* owned */
	struct loop *loop;
	struct mux *mux;
	struct loop_source *channel, *process;
	struct voice {
		struct loop_source *source; /* NULL: it says no more */
		struct vm_console said;
	} console, words;
	pid_t pid;
	int pidfd, status;
	bool ended; /* QEMU, and it is reaped */
	bool ready; /* the agent has said all it must */
	struct err why;
};

static void done(struct boot *t)
{
	if (t->pid > 0 && !t->ended) {
		(void)kill(t->pid, SIGKILL);
		(void)waitpid(t->pid, NULL, 0);
	}
	mux_free(t->mux);
	loop_free(t->loop);
	for (int i = 0; i < CHANNELS; i++) {
		auto_close_p(&t->ours[i]);
		auto_close_p(&t->theirs[i]);
	}
	auto_close_p(&t->pidfd);
}

/* ---- QEMU ---- */

static int make_channels(struct boot *t)
{
	int r = 0;

	for (int i = 0; r == 0 && i < CHANNELS; i++) {
		int pair[2];

		if ((i == WORDS ? pipe2(pair, O_CLOEXEC)
				: socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) < 0)
			return -errno;
		t->ours[i] = pair[0];
		t->theirs[i] = pair[1];
		r = fd_lift(&t->ours[i]);
		if (r == 0)
			r = fd_lift(&t->theirs[i]);
	}
	return r;
}

static void become_qemu(const struct boot *t, const struct machine *m)
{
	const struct template_plan *p = t->b->plan;
	const struct qemu_plan plan = { .machine = m,
					.program = p->qemu,
					.uid = p->uid,
					.gid = p->gid,
					.words = t->theirs[WORDS] };
	struct err failure = { 0 };

	(void)qemu_become(&plan, &failure);
	(void)fd_write_all(t->theirs[WORDS], failure.msg, strlen(failure.msg));
	_exit(1);
}

static int start_qemu(struct boot *t, struct machine *m)
{
	template_machine(t->b->plan, m);
	m->role = MACHINE_TEMPLATE;
	m->memory_file = t->b->memory;
	m->state = t->b->state;
	m->monitor = t->theirs[MONITOR];
	m->agent = t->theirs[AGENT];
	m->console = t->theirs[CONSOLE];
	t->pid = stage_clone(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, -EBADF,
			     &t->pidfd);
	if (t->pid == 0)
		become_qemu(t, m);
	for (int i = 0; i < CHANNELS; i++) {
		auto_close_p(&t->theirs[i]);
		t->theirs[i] = -EBADF;
	}
	return t->pid < 0 ? t->pid : 0;
}

/* ---- What is said ---- */

static void on_words(void *arg, int fd, uint32_t events)
{
	struct voice *v = arg;
	char bytes[4096];
	const ssize_t n = read(fd, bytes, sizeof(bytes));

	(void)events;
	if (n > 0)
		vm_console_put(&v->said, bytes, (size_t)n);
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	loop_remove(v->source);
	v->source = NULL;
}

static void on_end(void *arg, int fd, uint32_t events)
{
	struct boot *t = arg;

	(void)fd;
	(void)events;
	if (waitpid(t->pid, &t->status, WNOHANG) != t->pid)
		return;
	t->ended = true;
	loop_remove(t->process);
	t->process = NULL;
}

/* ---- The agent ---- */

static void take_cpus_off(struct boot *t)
{
	const struct agent_online online = { .cpus = 1 };
	AUTO_BUF struct buf body = { 0 };
	uint32_t serial;

	if (agent_request_encode(AGENT_ONLINE, &online, &body, &t->why) == 0)
		(void)mux_ask(t->mux, AGENT_ONLINE, body.data, body.len, &serial, &t->why);
}

static void on_hello(void *arg, const struct agent_hello *hello)
{
	struct boot *t = arg;

	if (hello->version != AGENT_VERSION)
		(void)err_set(&t->why, -EPROTO,
			      "the agent in the machine's image has version %u, not %u",
			      hello->version, AGENT_VERSION);
	else if (t->b->plan->cpus > 1)
		take_cpus_off(t);
	else
		t->ready = true;
}

static void on_answer(void *arg, uint32_t serial, enum agent_call call, int error, const void *body,
		      size_t len)
{
	struct boot *t = arg;

	(void)serial;
	(void)len;
	if (error)
		(void)err_set(&t->why, error, "agent: %s: %s", agent_call_name(call),
			      (const char *)body);
	else
		t->ready = true;
}

static void on_poll(void *arg)
{
	struct boot *t = arg;

	if (t->channel)
		(void)loop_set_events(t->channel, (uint32_t)mux_events(t->mux));
}

static void on_channel(void *arg, int fd, uint32_t events)
{
	struct boot *t = arg;
	struct err err = { 0 };

	(void)fd;
	if (mux_ready(t->mux, (short)events, &err) == 0)
		return;
	loop_remove(t->channel);
	t->channel = NULL;
	if (!t->why.code)
		t->why = err;
}

static int listen_to_all(struct boot *t)
{
	static const struct mux_ops ops = { .hello = on_hello,
					    .answer = on_answer,
					    .poll = on_poll };
	int r = loop_new(&t->loop);

	if (r == 0)
		r = mux_new(TAKE_FD(t->ours[AGENT]), MUX_HOST, &ops, t, &t->mux);
	if (r == 0)
		r = loop_add_fd(t->loop, mux_fd(t->mux), (uint32_t)mux_events(t->mux), on_channel,
				t, &t->channel);
	if (r == 0)
		r = loop_add_fd(t->loop, t->ours[CONSOLE], EPOLLIN, on_words, &t->console,
				&t->console.source);
	if (r == 0)
		r = loop_add_fd(t->loop, t->ours[WORDS], EPOLLIN, on_words, &t->words,
				&t->words.source);
	if (r == 0)
		r = loop_add_fd(t->loop, t->pidfd, EPOLLIN, on_end, t, &t->process);
	return r;
}

/* ---- The whole ---- */

static void serve(struct boot *t, int64_t deadline)
{
	while (!t->ready && !t->ended && !t->why.code) {
		const int64_t left = deadline - clock_ms();

		if (left <= 0)
			(void)err_set(&t->why, -ETIMEDOUT,
				      "the machine has not come up: its agent has said nothing for "
				      "%u ms",
				      t->b->boot_ms);
		else
			(void)loop_once(t->loop, (int)left);
	}
	if (t->ended && !t->why.code)
		(void)err_set(&t->why, -EPIPE, "the machine has ended");
}

static void save(struct boot *t, const struct machine *m)
{
	struct qmp *qmp = NULL;
	unsigned int asked = 0;
	int r = qmp_new(TAKE_FD(t->ours[MONITOR]), NULL, NULL, &qmp);

	if (r < 0) {
		(void)err_sys(&t->why, r, "QEMU's monitor");
		return;
	}
	r = hypervisor_qemu.greet(qmp, m, &asked, &t->why);
	while (r == 0 && asked-- > 0)
		r = qmp_answer(qmp, SAVE_MS, NULL, &t->why);
	if (r == 0)
		(void)hypervisor_qemu.save(qmp, t->b->state, SAVE_MS, &t->why);
	qmp_free(qmp);
}

/* What QEMU and its guest have to say comes a little later than the end of a channel. */
static void settle(struct boot *t)
{
	const int64_t deadline = clock_ms() + SETTLE_MS;

	while (t->why.code && (!t->ended || t->console.source || t->words.source) &&
	       clock_ms() < deadline)
		(void)loop_once(t->loop, 50);
	if (t->ended)
		return;
	(void)kill(t->pid, SIGKILL);
	(void)waitpid(t->pid, NULL, 0);
	t->pid = 0;
}

static int compose(const struct boot *t, struct err *err)
{
	char words[WORDS_MAX], console[CONSOLE_MAX], status[64] = "";
	const bool killed = WIFSIGNALED(t->status);

	if (!t->why.code)
		return 0;
	(void)vm_console_telling(&t->words.said, words, sizeof(words));
	(void)vm_console_telling(&t->console.said, console, sizeof(console));
	if (t->ended)
		(void)snprintf(status, sizeof(status), "; QEMU %s %d",
			       killed ? "was killed by signal" : "ended with status",
			       killed ? WTERMSIG(t->status) : WEXITSTATUS(t->status));
	return err_set(err, t->why.code, "%.100s%s%s%s%s%s", t->why.msg, status,
		       *words ? "; QEMU said: " : "", words,
		       *console ? "; the guest said last: " : "", console);
}

int template_boot(const struct template_boot *boot, struct err *err)
{
	AUTO(done)
	struct boot t = { .b = boot,
			  .ours = { -EBADF, -EBADF, -EBADF, -EBADF },
			  .theirs = { -EBADF, -EBADF, -EBADF, -EBADF },
			  .pidfd = -EBADF };
	const int64_t deadline = clock_ms() + boot->boot_ms;
	struct machine m;
	int r = make_channels(&t);

	if (r < 0)
		return err_sys(err, r, "channels of QEMU");
	r = start_qemu(&t, &m);
	if (r < 0)
		return err_sys(err, r, "clone QEMU's process");
	r = listen_to_all(&t);
	if (r < 0)
		return err_sys(err, r, "listen to QEMU");
	serve(&t, deadline);
	if (!t.why.code)
		save(&t, &m);
	settle(&t);
	return compose(&t, err);
}
