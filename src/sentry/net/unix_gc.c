/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mark and sweep. A socket is a candidate when every reference to it is in a message; those that a
 * message in the queue of a living socket carries are alive. The messages of the others are freed:
 * all are taken first, for a socket goes with the last message that carries it. Nothing parks
 * between the count and that.
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

/* The messages that wait at u, and at connections that u has not accepted. */
static void take_messages(struct unix_socket *u, struct list_head *taken)
{
	struct unix_socket *embryo;
	struct packet *p;

	while ((p = packet_first(&u->st.rx)) != NULL) {
		packet_remove(&u->st.rx, p);
		list_add_tail(&p->node, taken);
	}
	list_for_each(embryo, &u->pending, pending_node) take_messages(embryo, taken);
}

void unix_gc_run(void)
{
	static unsigned int closes; /* since the last run: its cost is shared among them */
	struct list_head taken = LIST_HEAD_INIT(taken);
	struct unix_socket *u;

	if (!sockets_in_flight || running || ++closes * 8 < sockets_in_flight)
		return;
	closes = 0;
	running = true;
	mark_all();
	list_for_each(u, &all, gc_node)
	{
		if (candidate(u) && !u->reachable)
			take_messages(u, &taken);
	}
	while (!list_empty(&taken)) {
		struct packet *p = list_first(&taken, struct packet, node);

		list_del(&p->node);
		packet_free(p); /* may park and release sockets */
	}
	running = false;
}
