/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From two sealed files to a process that holds them: the socket, the cage, the proof.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/pidfd.h"
#include "jail/jail.h"
#include "ns/stage.h"
#include "runtime/sandbox/creds.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/vm/holder.h"
#include "wire/template_msg.h"

#define BACKLOG 128

/* A holder under way. */
struct birth {
	const struct holder_start *s;
	int sock, message; /* owned */
	int word[2];	   /* owned: its birth; [0] its end */
	int report[2];	   /* owned: a struct err, or the end with the exec; [1] its end */
	int pidfd;	   /* owned */
	pid_t pid;
};

static void birth_done(struct birth *b)
{
	auto_close_p(&b->sock);
	auto_close_p(&b->message);
	for (int i = 0; i < 2; i++) {
		auto_close_p(&b->word[i]);
		auto_close_p(&b->report[i]);
	}
	auto_close_p(&b->pidfd);
}

/* Bound here, so that a name that is too long or taken is told; it listens when it is alone. */
static int bind_socket(int dir_fd, const char *name, int *ret, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path),
		       "/proc/self/fd/%d/%.32s/" HOLDER_SOCKET, dir_fd, name);
	if (sock < 0 || fchmod(sock, 0600) < 0 ||
	    bind(sock, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, -errno, "template: its socket");
	*ret = TAKE_FD(sock);
	return 0;
}

static int write_message(const struct holder_start *s, int *ret, struct err *err)
{
	AUTO_BUF struct buf b = { 0 };
	struct timespec now = { 0 };
	struct template_head head = { .magic = TEMPLATE_MAGIC, .memory = s->memory_bytes };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	head.created_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	head.text_len = (uint32_t)strlen(s->key->text);
	(void)buf_append(&b, &head, sizeof(head));
	(void)buf_puts(&b, s->key->text);
	if (buf_error(&b))
		return err_sys(err, buf_error(&b), "template: its message");
	*ret = sandbox_seal(&b, err);
	return *ret < 0 ? *ret : 0;
}

static int prepare(struct birth *b, int dir_fd, const char *name, struct err *err)
{
	int r = bind_socket(dir_fd, name, &b->sock, err);

	if (r == 0)
		r = write_message(b->s, &b->message, err);
	if (r == 0 && (pipe2(b->word, O_CLOEXEC) < 0 ||
		       socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, b->report) < 0))
		r = err_sys(err, -errno, "template: pipes to its holder");
	return r;
}

/* ---- In the holder ---- */

/* Sources are lifted above all targets; *ret_program is the highest. */
static int lay_out(const struct birth *b, int *ret_program, int *ret_report, struct err *err)
{
	const int from[HOLDER_FDS] = {
		[HOLDER_FD_SOCKET] = b->sock,	 [HOLDER_FD_MEMORY] = b->s->memory,
		[HOLDER_FD_STATE] = b->s->state, [HOLDER_FD_BIRTH] = b->word[0],
		[HOLDER_FD_HELD] = b->s->held,	 [HOLDER_FD_MESSAGE] = b->message,
	};
	int lifted[HOLDER_FDS], r = 0;

	*ret_program = fcntl(b->s->program, F_DUPFD_CLOEXEC, HOLDER_FDS);
	*ret_report = fcntl(b->report[1], F_DUPFD_CLOEXEC, HOLDER_FDS);
	for (int i = 0; i < HOLDER_FDS; i++) {
		lifted[i] = fcntl(from[i], F_DUPFD_CLOEXEC, HOLDER_FDS);
		if (lifted[i] < 0)
			r = -errno;
	}
	if (r < 0 || *ret_program < 0 || *ret_report < 0)
		return err_sys(err, r < 0 ? r : -errno, "template: its descriptors");
	for (int i = 0; i < HOLDER_FDS; i++) {
		if (dup2(lifted[i], i) < 0)
			return err_sys(err, -errno, "template: descriptor %d", i);
	}
	r = fd_close_range(HOLDER_FDS, ~0u, CLOSE_RANGE_CLOEXEC);
	return r < 0 ? err_sys(err, r, "close_range") : 0;
}

static int become_holder(const struct birth *b, int *ret_report, struct err *err)
{
	char name[] = "caisson-template", hash[TEMPLATE_HASH];
	char *const argv[] = { name, hash, NULL }, *const envp[] = { NULL };
	int program, r = b->s->join ? cgroup_join(b->s->join, NULL) : 0;

	memcpy(hash, b->s->key->hash, sizeof(hash));
	if (r < 0)
		return err_sys(err, r, "template: enter its cgroup");
	stage_default_signals();
	(void)setsid();
	/* Who connects learns who listens: this process, as root. */
	if (listen(b->sock, BACKLOG) < 0)
		return err_sys(err, -errno, "template: listen");
	r = lay_out(b, &program, ret_report, err);
	if (r < 0)
		return r;
	r = jail_empty_root();
	if (r < 0)
		return err_sys(err, r, "make an empty root directory");
	r = creds_become(b->s->uid, 0, CREDS_ALL, err);
	if (r < 0)
		return r;
	(void)syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
	return err_sys(err, -errno, "exec caisson-template");
}

__attribute__((noreturn)) static void run_holder(const struct birth *b)
{
	struct err failure = { 0 };
	int report = b->report[1];

	(void)close(b->report[0]);
	(void)close(b->word[1]);
	(void)become_holder(b, &report, &failure);
	(void)fd_send(report, &failure, sizeof(failure), NULL, 0);
	_exit(1);
}

/* ---- Beside it ---- */

static int await_exec(struct birth *b, struct err *err)
{
	struct err failure;
	ssize_t n;

	auto_close_p(&b->report[1]);
	b->report[1] = -EBADF;
	n = fd_recv(b->report[0], &failure, sizeof(failure), NULL, NULL);
	if (n == 0)
		return 0;
	if (n != (ssize_t)sizeof(failure))
		return err_set(err, -EIO, "template: its holder has ended");
	failure.msg[ERR_MSG_MAX - 1] = '\0';
	return err_set(err, failure.code, "%s", failure.msg);
}

/* It answers from its cage what a start would have to hear. */
static int prove(const struct birth *b, int dir_fd, const char *name, struct err *err)
{
	AUTO_HOLDER struct holder h = HOLDER_INIT;
	int r = holder_ask(dir_fd, name, HOLDER_PROVE_MS, &h, err);

	if (r == 0 && (!str_eq(h.text, b->s->key->text) || h.pid != b->pid))
		r = err_set(err, -EPROTO, "somebody else answers");
	return r < 0 ? err_prefix(err, r, "template: its holder") : 0;
}

static int finish(struct birth *b, int dir_fd, const char *name, struct err *err)
{
	const char word = 1;
	int r = await_exec(b, err);

	if (r == 0)
		r = prove(b, dir_fd, name, err);
	if (r == 0 && renameat(dir_fd, name, dir_fd, b->s->key->hash) < 0)
		r = err_sys(err, -errno, "template: name its directory");
	if (r == 0 && fd_write_all(b->word[1], &word, 1) < 0)
		r = err_set(err, -EPIPE, "template: its holder has ended");
	return r;
}

int holder_start(int dir_fd, const struct holder_start *start, struct err *err)
{
	AUTO(birth_done)
	struct birth b = { .s = start,
			   .sock = -EBADF,
			   .message = -EBADF,
			   .word = { -EBADF, -EBADF },
			   .report = { -EBADF, -EBADF },
			   .pidfd = -EBADF };
	char name[HOLDER_NAME_MAX];
	int r;

	(void)snprintf(name, sizeof(name), "%s" HOLDER_MAKING, start->key->hash);
	r = prepare(&b, dir_fd, name, err);
	if (r < 0)
		return r;
	b.pid = stage_clone(0, start->cgroup_fd, &b.pidfd);
	if (b.pid < 0)
		return err_sys(err, b.pid, "clone the template's holder");
	if (b.pid == 0)
		run_holder(&b);
	r = finish(&b, dir_fd, name, err);
	if (r < 0) {
		(void)pidfd_kill(b.pidfd, SIGKILL);
		(void)pidfd_reap(b.pidfd, &(int){ 0 });
	}
	return r;
}
