/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hook's standard error goes to a pipe of which the last line is kept. Nothing that a hook leaves
 * running is waited for: its control connection ends with the hook's own process.
 */
#include "runtime/sentry/inner_hooks.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/container.h"
#include "runtime/sandbox/client.h"
#include "runtime/sentry/describe.h"

#define TAIL_MAX 1024 /* bytes of standard error that are kept */

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct run {
	int control, errors; /* owned: connection, read end of standard error */
	char tail[TAIL_MAX + 1];
	size_t tail_len;
	int code; /* exit code */
};

static void run_done(struct run *run)
{
	auto_close_p(&run->control);
	auto_close_p(&run->errors);
}

/* False at the end of the pipe. */
static bool read_tail(struct run *run)
{
	char bytes[TAIL_MAX];
	const ssize_t n = read(run->errors, bytes, sizeof(bytes));
	size_t keep;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	keep = run->tail_len < TAIL_MAX - (size_t)n ? run->tail_len : TAIL_MAX - (size_t)n;
	memmove(run->tail, run->tail + (run->tail_len - keep), keep);
	memcpy(run->tail + keep, bytes, (size_t)n);
	run->tail_len = keep + (size_t)n;
	return true;
}

static const char *last_line(struct run *run)
{
	char *line;

	while (run->tail_len > 0 && run->tail[run->tail_len - 1] == '\n')
		run->tail_len--;
	run->tail[run->tail_len] = '\0';
	line = memrchr(run->tail, '\n', run->tail_len);
	return line ? line + 1 : run->tail;
}

/* The state in a file in memory, at its start. */
static int text_fd(const char *text)
{
	AUTO_CLOSE int fd = memfd_create("state.json", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, text, strlen(text));
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : TAKE_FD(fd);
}

/* The hook as a process of the container. The environment is the hook's own. */
static int describe_hook(const struct oci_spec *spec, const struct oci_hook *hook, struct err *err)
{
	const char *only_path[] = { hook->path, NULL };
	struct oci_spec copy = *spec;
	const struct describe_process process = { .spec = &copy, .program = hook->path };

	copy.process.args = hook->args.len ? hook->args : (struct oci_strs){ only_path, 1 };
	copy.process.env = hook->env;
	copy.process.cwd = "/";
	copy.process.terminal = false;
	return describe_exec(&process, err);
}

static int begin(struct container *c, const struct oci_spec *spec, const struct oci_hook *hook,
		 const char *state, struct run *run, struct err *err)
{
	AUTO_CLOSE int description = describe_hook(spec, hook, err);
	AUTO_CLOSE int in = text_fd(state);
	AUTO_CLOSE int null = open("/dev/null", O_WRONLY | O_CLOEXEC | O_NOCTTY);
	AUTO_CLOSE int errors = -EBADF;
	struct sentry_reply reply;
	int pair[2];

	if (description < 0)
		return description;
	if (in < 0 || null < 0 || pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, in < 0 ? in : -errno, "descriptors");
	run->errors = pair[0];
	errors = pair[1];
	run->control = client_connect_patient(c, err);
	if (run->control < 0)
		return run->control;

	const int fds[] = { description, in, null, errors };
	const struct client_call call = {
		.of = c, .request = { .type = SENTRY_EXEC }, .fds = fds, .fds_len = ARRAY_LEN(fds)
	};

	return client_call(run->control, &call, &reply, NULL, NULL, err);
}

/* Until the process has ended, or its time. */
static int follow(const struct container *c, struct run *run, int timeout_s, struct err *err)
{
	const struct client_call exited = { .of = c, .request = { .type = SENTRY_EXITED } };
	const int64_t deadline = now_ms() + (int64_t)timeout_s * 1000;
	struct pollfd p[] = { { .fd = run->control, .events = POLLIN },
			      { .fd = run->errors, .events = POLLIN } };
	struct sentry_reply reply;
	int r;

	for (;;) {
		const int64_t left = deadline - now_ms();

		if (timeout_s && left <= 0)
			return err_set(err, -ETIMEDOUT, "still running after %d s, killed",
				       timeout_s);
		if (poll(p, 2, timeout_s ? (int)left : -1) < 0 && errno != EINTR)
			return err_sys(err, -errno, "poll");
		if (p[1].revents && !read_tail(run))
			p[1].fd = -1;
		if (p[0].revents)
			break;
	}
	r = client_recv(run->control, &exited, &reply, NULL, NULL, err);
	run->code = r == 0 ? reply.value : 0;
	while (p[1].fd >= 0 && poll(&p[1], 1, 0) > 0 && read_tail(run))
		;
	return r;
}

static int run_one(struct container *c, const struct oci_spec *spec, const struct oci_hook *hook,
		   const char *state, struct err *err)
{
	AUTO(run_done) struct run run = { .control = -EBADF, .errors = -EBADF };
	const char *line;
	int r = begin(c, spec, hook, state, &run, err);

	if (r == 0)
		r = follow(c, &run, hook->timeout_s, err);
	if (r < 0 || run.code == 0)
		return r;
	line = last_line(&run);
	if (run.code > 128)
		return err_set(err, -ECANCELED, "killed by signal %d%s%s", run.code - 128,
			       *line ? ": " : "", line);
	return err_set(err, -ECANCELED, "exit status %d%s%s", run.code, *line ? ": " : "", line);
}

int inner_hooks_run(struct container *c, const struct oci_spec *spec, struct err *err)
{
	const struct oci_hook_list *hooks = &spec->hooks.start_container;
	AUTO_FREE char *state = NULL;
	int r;

	if (hooks->len == 0)
		return 0;
	r = container_state_text(c, OCI_CREATED, c->pid, &state, err);
	for (size_t i = 0; r == 0 && i < hooks->len; i++) {
		r = run_one(c, spec, &hooks->items[i], state, err);
		if (r < 0)
			(void)err_prefix(err, r, "startContainer hook %zu (%s)", i,
					 hooks->items[i].path);
	}
	if (r == 0)
		log_debug("container %s: %zu startContainer hooks have run", c->id, hooks->len);
	return r;
}
