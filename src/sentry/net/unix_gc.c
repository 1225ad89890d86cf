/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mark and sweep. A socket is a candidate when every reference to it is in a message; those that a
 * message in the queue of a living socket carries are alive. The messages of the others are freed.
 * Nothing parks between the count and the end of the marking.
 */
#include "sentry/net/unix_gc.h"

#include "sentry/net/unix.h"

static struct list_head all = LIST_HEAD_INIT(all); /* sockets in flight: unix_socket.gc_node */
static unsigned int sockets_in_flight;
static bool running;

static struct unix_socket *unix_of(struct file *f)
{
	struct socket *s = socket_from_file(f);

	return s && s->family == AF_UNIX ? to_unix(s) : NULL;
}

void unix_gc_sent(struct file *f)
{
	struct unix_socket *u = unix_of(f);

	if (!u)
		return;
	sockets_in_flight++;
	if (u->in_flight++ == 0)
		list_add_tail(&u->gc_node, &all);
}

void unix_gc_landed(struct file *f)
{
	struct unix_socket *u = unix_of(f);

	if (!u)
		return;
	sockets_in_flight--;
	if (--u->in_flight == 0)
		list_del(&u->gc_node);
}

static bool candidate(const struct unix_socket *u)
{
	return u->in_flight && u->sock.file.refs == u->in_flight;
}

/*
 * Take the references that messages in u's queue hold out of the count, or put them back: what
 * remains above zero comes from outside.
 */
static void each_file(struct unix_socket *u, void (*fn)(struct unix_socket *found))
{
	struct unix_socket *embryo;
	struct packet *p;

	list_for_each(p, &u->st.rx.packets, node)
	{
		for (unsigned int i = 0; i < p->scm.files_len; i++) {
			struct unix_socket *found = unix_of(p->scm.files[i]);

			if (found)
				fn(found);
		}
	}
	list_for_each(embryo, &u->pending, pending_node) each_file(embryo, fn);
}

/* References to a candidate from the queues of other candidates. */
static void count_inner(struct unix_socket *found)
{
	found->gc_inner++;
}

static struct list_head todo = LIST_HEAD_INIT(todo); /* reachable, but not yet what they lead to */

static void mark(struct unix_socket *found)
{
	if (candidate(found) && !found->reachable) {
		found->reachable = true;
		list_add_tail(&found->gc_todo, &todo);
	}
}

/* Everything that a socket with a reference from outside the candidates' queues leads to. */
static void mark_all(void)
{
	struct unix_socket *u;

	list_for_each(u, &all, gc_node)
	{
		u->reachable = false;
		u->gc_inner = 0;
	}
	list_for_each(u, &all, gc_node)
	{
		if (candidate(u))
			each_file(u, count_inner);
	}
	list_for_each(u, &all, gc_node)
	{
		if (!candidate(u))
			u->reachable = true;
		else if (u->gc_inner < u->in_flight)
			mark(u);
	}
	while (!list_empty(&todo)) {
		u = list_first(&todo, struct unix_socket, gc_todo);
		list_del(&u->gc_todo);
		each_file(u, mark);
	}
}

/* A message that waits at u, or at a connection that u has not accepted. */
static struct packet *take_message(struct unix_socket *u)
{
	struct packet *p = packet_first(&u->st.rx);
	struct unix_socket *embryo;

	if (p) {
		packet_remove(&u->st.rx, p);
		return p;
	}
	list_for_each(embryo, &u->pending, pending_node)
	{
		p = take_message(embryo);
		if (p)
			return p;
	}
	return NULL;
}

/* One message of a garbage socket. */
static struct packet *take_garbage(void)
{
	struct unix_socket *u;

	list_for_each(u, &all, gc_node)
	{
		struct packet *p = candidate(u) && !u->reachable ? take_message(u) : NULL;

		if (p)
			return p;
	}
	return NULL;
}

void unix_gc_run(void)
{
	static unsigned int closes; /* since the last run: its cost is shared among them */
	struct packet *p;

	if (!sockets_in_flight || running || ++closes * 8 < sockets_in_flight)
		return;
	closes = 0;
	running = true;
	for (;;) {
		mark_all();
		p = take_garbage();
		if (!p)
			break;
		packet_free(p); /* may park and release sockets: count again */
	}
	running = false;
}
