/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/listener.h"

#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"

#define REST_MS 100

struct listener {
	struct loop_source *source;
	struct loop_source *rest; /* until connections are taken again */
	bool full;		  /* the table of descriptors: that was told */
	int sock;		  /* owned */
	uint32_t uid;
	const char *what;
	listener_fn *fn;
	void *arg;
};

static bool is_wanted(const struct listener *l, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && len == sizeof(peer) &&
	       peer.uid == l->uid;
}

static void on_rested(void *arg)
{
	struct listener *l = arg;

	if (loop_set_events(l->source, EPOLLIN) < 0)
		(void)loop_set_timer(l->rest, REST_MS);
}

/* The connection that found no room waits, and would wake us for ever. */
static void take_a_rest(struct listener *l, int error)
{
	if (error != EMFILE && error != ENFILE && error != ENOMEM && error != ENOBUFS)
		return;
	if (!l->full)
		log_warning("%s: accept: %s", l->what, strerror(error));
	l->full = true;
	if (loop_set_timer(l->rest, REST_MS) == 0)
		(void)loop_set_events(l->source, 0);
}

static void on_connect(void *arg, int sock, uint32_t events)
{
	struct listener *l = arg;
	AUTO_CLOSE int fd = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		take_a_rest(l, errno);
		return;
	}
	l->full = false;
	if (is_wanted(l, fd))
		l->fn(l->arg, TAKE_FD(fd));
}

int listener_new(struct loop *loop, int sock, uint32_t uid, const char *what, listener_fn *fn,
		 void *arg, struct listener **ret, struct err *err)
{
	AUTO_CLOSE int own = sock;
	struct listener *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_sys(err, -ENOMEM, "%s", what);
	*l = (struct listener){ .uid = uid, .what = what, .fn = fn, .arg = arg };
	r = loop_add_timer(loop, -1, on_rested, l, &l->rest);
	if (r == 0)
		r = loop_add_fd(loop, sock, EPOLLIN, on_connect, l, &l->source);
	if (r < 0) {
		loop_remove(l->rest);
		free(l);
		return err_sys(err, r, "%s: wait for connections", what);
	}
	l->sock = TAKE_FD(own);
	*ret = l;
	return 0;
}

void listener_free(struct listener *l)
{
	if (!l)
		return;
	loop_remove(l->source);
	loop_remove(l->rest);
	(void)close(l->sock);
	free(l);
}
