/* SPDX-License-Identifier: Apache-2.0 */
/* shim/serve.c - the shim's process: its loop, its signals, its end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "shim/address.h"
#include "shim/manage.h"
#include "shim/program.h"
#include "shim/service.h"
#include "shim/shim.h"

#define TTRPC_VARIABLE "TTRPC_ADDRESS"
#define CREATE_MS      20000 /* until the first container is asked for */

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct shim *s = arg;

	if (info->ssi_signo == SIGCHLD)
		shim_reap(s);
	else if ((info->ssi_signo == SIGTERM || info->ssi_signo == SIGINT) && list_empty(&s->tasks))
		shim_end(s);
	/* Anything else, and while there are containers: the shim goes on. */
}

/*
 * containerd was killed between `start` and Create: started anew, it knows of a shim that has
 * nothing, and asks it for nothing. It removes the bundle when the shim has gone.
 */
static void on_unused(void *arg)
{
	struct shim *s = arg;

	loop_remove(s->first_timer);
	s->first_timer = NULL;
	if (list_empty(&s->tasks))
		shim_end(s);
}

/* What a service manager meant for containerd is neither ours nor a container's. */
static void clean_environment(void)
{
	static const char *const names[] = { "NOTIFY_SOCKET",  "LISTEN_FDS",	"LISTEN_PID",
					     "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unsetenv(names[i]);
}

/* Pods run without it, too. */
static void begin_manage(struct shim *s, int sock)
{
	struct err err = { 0 };

	if (sock >= 0 && manage_new(s, sock, &s->manage, &err) < 0)
		log_warning("%s", err.msg);
}

static int set_up(struct shim *s, const struct program_options *o,
		  const struct program_sockets *sockets, struct err *err)
{
	const char *ttrpc = getenv(TTRPC_VARIABLE);
	const char *path = ttrpc ? str_after(ttrpc, ADDRESS_SCHEME) : NULL;
	const struct publisher_options events = { .ns = o->ns,
						  .address = o->address,
						  .ttrpc = path		     ? path
							   : ttrpc && *ttrpc ? ttrpc
									     : NULL,
						  .binary = o->publish_binary };
	AUTO_CLOSE int calls = sockets->calls;
	AUTO_CLOSE int manage = sockets->manage;
	int r = loop_new(&s->loop);

	if (r == 0)
		r = loop_on_signals(s->loop, on_signal, s);
	if (r == 0)
		r = loop_add_timer(s->loop, CREATE_MS, on_unused, s, &s->first_timer);
	if (r < 0)
		return err_sys(err, r, "the shim's loop");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_sys(err, -errno, "become a subreaper");
	s->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (s->null_fd < 0)
		return err_sys(err, -errno, "open /dev/null");
	r = publisher_new(s->loop, &events, &s->publisher, err);
	if (r == 0)
		r = ttrpc_server_new(s->loop, TAKE_FD(calls), (uint32_t)geteuid(), service_tasks,
				     SERVICE_TASKS, s, &s->server, err);
	if (r == 0)
		begin_manage(s, TAKE_FD(manage));
	return r;
}

int program_serve(const struct program_options *o, const struct program_sockets *sockets,
		  struct err *err)
{
	struct shim s = { .program = o->program, .ns = o->ns, .group = o->id, .null_fd = -EBADF };
	struct sockaddr_un address = { 0 };
	socklen_t len = sizeof(address);
	int r;

	if (getsockname(sockets->calls, (struct sockaddr *)&address, &len) == 0 &&
	    address.sun_path[0] == '/')
		s.socket = address.sun_path;
	list_init(&s.tasks);
	list_init(&s.workers);
	clean_environment();
	r = set_up(&s, o, sockets, err);
	if (r == 0) {
		log_debug("the shim serves %s", o->id);
		r = loop_run(s.loop);
		if (r < 0)
			(void)err_sys(err, r, "the shim's loop");
	} else
		shim_unlink(&s);
	manage_free(s.manage);
	ttrpc_server_free(s.server);
	publisher_free(s.publisher);
	auto_close_p(&s.null_fd);
	loop_free(s.loop);
	if (address.sun_path[0] == '/')
		address_sweep(address.sun_path);
	return r;
}
