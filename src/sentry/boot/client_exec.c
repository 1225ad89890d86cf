/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/boot/first.h"
#include "sentry/boot/sandbox.h"
#include "sentry/boot/terminal.h"
#include "sentry/syscall/event.h"
#include "wire/sentry_codec.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Nobody changes it while we read. */
int client_read_sealed(int fd, void **ret, size_t *ret_len, struct err *err)
{
	AUTO_FREE char *bytes = NULL;
	const int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0)
		return err_set(err, -EBADMSG, "the description is not sealed");
	if (st.st_size <= 0 || st.st_size > (off_t)SENTRY_MSG_MAX)
		return err_set(err, -EBADMSG, "the description has %lld bytes",
			       (long long)st.st_size);
	bytes = malloc((size_t)st.st_size);
	if (!bytes)
		return err_sys(err, -ENOMEM, "read the description");
	if (pread(fd, bytes, (size_t)st.st_size, 0) != st.st_size)
		return err_set(err, -EIO, "the description cannot be read");
	*ret = TAKE_PTR(bytes);
	*ret_len = (size_t)st.st_size;
	return 0;
}

static int read_process(int fd, struct sentry_process **ret, struct err *err)
{
	void *bytes;
	size_t len;
	int r = client_read_sealed(fd, &bytes, &len, err);

	if (r < 0)
		return r;
	r = sentry_process_decode(bytes, len, ret, err);
	free(bytes);
	return r;
}

/* The end of a process with a terminal, on a fiber: its last words are waited for. */
struct ending {
	struct client *c;
	int code;
};

static void end_terminal(void *arg)
{
	struct ending *e = arg;
	struct client *c = e->c;

	terminal_end(TAKE_PTR(c->terminal));
	client_push(c, &(struct sentry_reply){ .type = SENTRY_EXITED, .value = e->code });
	client_unref(c);
	free(e);
}

/* A client that goes takes this callback away. */
static void on_process_exit(void *arg, struct thread_group *tg, int wait_status)
{
	struct client *c = arg;
	struct task *process = TAKE_PTR(c->process);
	struct ending *e = c->terminal ? malloc(sizeof(*e)) : NULL;
	const int code = exit_code_of(wait_status);

	(void)tg;
	if (e) {
		*e = (struct ending){ .c = client_ref(c), .code = code };
		if (fiber_spawn("end", end_terminal, e, NULL) < 0) {
			client_unref(c);
			free(TAKE_PTR(e));
		}
	}
	if (!e)
		client_push(c, &(struct sentry_reply){ .type = SENTRY_EXITED, .value = code });
	task_unref(process);
}

static int load(struct client *c, struct control_request *request, struct err *err)
{
	const struct member *m = c->member;
	struct first_options options = { .container = m->container,
					 .ns = m->ns,
					 .mounts = m->mounts,
					 .host_fds = request->fds + 1,
					 .ret_terminal = &c->terminal,
					 .on_exit = on_process_exit,
					 .on_exit_arg = c };
	struct sentry_process *process = NULL;
	struct mount_ns *mounts;
	struct namespaces *ns;
	struct task *t;
	int r = read_process(request->fds[0], &process, err);

	if (r < 0)
		return r;
	if (request->fds_len != 4 + process->preserve_fds) {
		sentry_process_free(process);
		return err_set(err, -EPROTO, "%zu descriptors came with the process",
			       request->fds_len);
	}
	options.process = process;
	/* The container may end meanwhile. */
	ns = namespaces_ref(m->ns);
	mounts = mount_ns_ref(m->mounts);
	r = first_load(&options, &t, err);
	namespaces_unref(ns);
	mount_ns_unref(mounts);
	/* Taken over. */
	for (size_t i = 1; i < request->fds_len; i++)
		request->fds[i] = -EBADF;
	if (r == 0 && event_wanted(EVENT_enter))
		event_enter(t, process->args.items);
	sentry_process_free(process);
	if (r < 0)
		return r;
	c->process = task_ref(t);
	return task_tgid(t, m->pid_ns);
}

int client_exec(struct client *c, struct control_request *request)
{
	struct err err = { 0 };
	struct task *t;
	int pid, r;

	if (c->process || c->is_maker)
		pid = err_set(&err, -EBUSY, "this connection has a process");
	else if (c->member->ended)
		pid = err_set(&err, -ESRCH, "container not running");
	else if (request->fds_len == 0)
		pid = err_set(&err, -EPROTO, "no description came with the process");
	else
		pid = load(c, request, &err);
	r = client_answer(c, SENTRY_EXEC, pid, pid < 0 ? pid : 0, &err);
	if (pid < 0)
		return r;
	t = c->process;
	if (t && c->member->ended)
		(void)signal_send_group(t->tg, SIGKILL, NULL);
	/* On failure it ends as if it had been killed, and on_process_exit() says so. */
	if (t)
		(void)task_start(t);
	return r;
}
