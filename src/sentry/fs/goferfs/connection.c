/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections to the gofers, one for each container: requests of many fibers, answers in any
 * order. The loop reads answers and wakes who waits; a fiber sends its request itself. An answer
 * that breaks the protocol ends the connection: the gofer is not trusted, and cannot be understood
 * any more.
 */
#include "sentry/fs/goferfs/internal.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sentry/arch/yield.h"
#include "sentry/core/hostfd.h"
#include "sentry/core/kclock.h"
#include "sentry/core/klog.h"
#include "sentry/core/kloop.h"

#define FORGET_AT     64u /* nodes that are worth a message */
#define NEAR_AFTER    8u  /* calls from one CPU that bring the gofer there */
#define YIELDS	      4u  /* without an answer */
#define ALOOF	      64u
#define YIELD_LONG_NS 1000000u

struct gofer_conn {
	unsigned int refs;
	struct list_head node;
	struct kloop_fd source;
	bool dead;
	void (*on_death)(void *arg);
	void *on_death_arg;
	uint64_t tag; /* of the youngest request; 0 is nobody's */
	unsigned int in_flight;
	struct list_head calls; /* that wait for an answer */
	struct waitq progress;	/* an answer has come */
	uint32_t cpu, seen;	/* where the gofer stays; where we are of late, or GOFER_ANYWHERE */
	unsigned int streak;	/* calls in a row from `seen` */
	unsigned int beside;	/* calls since the gofer came here, from its CPU */
	unsigned int aloof;	/* calls that are not waited for by a yield */
	bool asks;		/* it is being told, or cannot be */
	uint32_t nodes;
	uint64_t forgotten[GOFER_CLOSE_MAX];
	unsigned int forgotten_len;
	struct gofer_call near; /* goferfs_call_near() */
};

/* All that anybody still refers to; the first is the sandbox's own. */
static struct list_head conns = { &conns, &conns };
static struct gofer_conn *first;
static uint64_t requests, opens; /* of all that ever were */
/* One message at a time: nobody parks with it. */
static uint64_t in[GOFER_MESSAGE_MAX / 8], out[GOFER_MESSAGE_MAX / 8];

static void finish(struct gofer_call *call, int status)
{
	list_del(&call->node);
	call->status = status;
	if (call->fiber && call->fiber != fiber_self())
		fiber_wake(call->fiber);
}

static void hang_up(struct gofer_conn *c)
{
	struct gofer_call *call, *next;

	if (c->dead)
		return;
	c->dead = true;
	kloop_remove(&c->source);
	(void)close(TAKE_FD(c->source.host_fd));
	list_for_each_safe(call, next, &c->calls, node) finish(call, -EIO);
	waitq_wake(&c->progress, WAIT_ALL);
}

static void die(struct gofer_conn *c)
{
	if (c->dead)
		return;
	hang_up(c);
	if (c->on_death)
		c->on_death(c->on_death_arg);
}

static struct gofer_call *find_call(struct gofer_conn *c, uint64_t tag)
{
	struct gofer_call *call;

	list_for_each(call, &c->calls, node) if (call->request.tag == tag) return call;
	return NULL;
}

static unsigned int results_in(const struct gofer_answer *a)
{
	struct gofer_lookup_result result;
	unsigned int n = 0;

	for (uint32_t i = 0; i < a->lookup.count; i++) {
		gofer_answer_result(a, i, &result);
		n += result.error == 0;
	}
	return n;
}

static unsigned int nodes_in(const struct gofer_answer *a, uint32_t type)
{
	switch (a->error ? 0 : type) {
	case GOFER_WALK:
		return a->walk.found;
	case GOFER_LOOKUP:
		return results_in(a);
	case GOFER_ATTACH:
	case GOFER_CREATE:
	case GOFER_TMPFILE:
	case GOFER_MKDIR:
	case GOFER_SYMLINK:
	case GOFER_MKNOD:
		return 1;
	default:
		return 0;
	}
}

static bool opens_a_file(uint32_t type)
{
	return type == GOFER_OPEN || type == GOFER_CREATE || type == GOFER_TMPFILE ||
	       type == GOFER_OPEN_MANY;
}

/* What came with one message. */
struct came {
	unsigned int len;
	int fd[GOFER_OPEN_MAX];
};

/* The kernel fills a buffer for so many, rounded up to eight bytes, whatever the gofer sends. */
_Static_assert(CMSG_SPACE(GOFER_OPEN_MAX * sizeof(int)) == CMSG_LEN(GOFER_OPEN_MAX * sizeof(int)),
	       "no more descriptors than `fd` has places");

static void close_all(const struct came *fds)
{
	for (unsigned int i = 0; i < fds->len; i++)
		(void)close(fds->fd[i]);
}

static void give_to(struct gofer_call *call, const struct came *fds)
{
	if (call->request.type == GOFER_OPEN_MANY) {
		memcpy(call->many, fds->fd, sizeof(call->many));
		call->many_len = fds->len;
	} else if (fds->len) {
		call->fd = fds->fd[0];
	}
}

/* One answer for its caller. Takes the descriptors over. 0 or -EPROTO. */
static int deliver(struct gofer_conn *c, size_t len, const struct came *fds)
{
	struct gofer_call *call;
	struct gofer_answer answer;
	uint64_t tag;
	int r = gofer_reply_tag(in, len, &tag);

	if (r == 0 && tag == 0) {
		/* CLOSE, which nobody waits for. */
		r = gofer_reply_decode(in, len, GOFER_CLOSE, &answer);
		call = NULL;
	} else {
		call = r == 0 ? find_call(c, tag) : NULL;
		if (!call)
			r = -EPROTO;
		else
			r = gofer_reply_decode(in, len, call->request.type, &answer);
	}
	if (r < 0 || !call || fds->len > answer.fds) {
		close_all(fds);
		return r < 0 || fds->len ? -EPROTO : 0;
	}
	c->nodes += nodes_in(&answer, call->request.type);
	opens += !answer.error && opens_a_file(call->request.type);
	give_to(call, fds);
	call->message = malloc(len);
	if (!call->message) {
		finish(call, -ENOMEM);
		return 0;
	}
	memcpy(call->message, in, len);
	r = gofer_reply_decode(call->message, len, call->request.type, &call->answer);
	klog(fs, "gofer: request %u of type %u: %d", (unsigned int)call->request.tag,
	     call->request.type, r < 0 ? r : answer.error);
	/* No descriptor though one was announced: there was no room in our table. */
	finish(call, r < 0 ? r : gofer_errno(answer.error));
	return 0;
}

/* 1: one answer was taken, 0: there is none now, -errno: the end. */
static int receive(struct gofer_conn *c)
{
	union {
		char bytes[CMSG_SPACE(GOFER_OPEN_MAX * sizeof(int))];
		struct cmsghdr head;
	} control;
	struct iovec iov = { .iov_base = in, .iov_len = sizeof(in) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	const ssize_t n = recvmsg(c->source.host_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *rights;
	struct came fds = { 0 };

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (n <= 0 || msg.msg_flags & MSG_TRUNC)
		return -EIO;
	rights = CMSG_FIRSTHDR(&msg);
	if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS) {
		fds.len = (unsigned int)((rights->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds.fd, CMSG_DATA(rights), fds.len * sizeof(int));
	}
	/* As if the table had been full there. */
	while (fds.len > 0 && !hostfd_fits(fds.fd[fds.len - 1], HOSTFD_GUEST))
		(void)close(fds.fd[--fds.len]);
	if (c->in_flight == 0) {
		close_all(&fds);
		return -EPROTO;
	}
	c->in_flight--;
	return deliver(c, (size_t)n, &fds) < 0 ? -EPROTO : 1;
}

static void on_readable(struct kloop_fd *source, uint32_t events)
{
	struct gofer_conn *c = container_of(source, struct gofer_conn, source);
	int r;

	(void)events;
	/* Without a request under way only the end of the connection can come: the next round. */
	do {
		r = receive(c);
	} while (r > 0 && c->in_flight > 0);
	waitq_wake(&c->progress, WAIT_ALL);
	if (r < 0)
		die(c);
}

static ssize_t send_with(const struct gofer_conn *c, size_t len, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = { .head = { .cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS,
				.cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec iov = { out, len };
	const struct msghdr msg = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = &control,
				    .msg_controllen = sizeof(control.bytes) };

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	return sendmsg(c->source.host_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* fd: goes along, if it is one. 0, -EAGAIN: no room now, -EIO. */
static int send_now(struct gofer_conn *c, size_t len, int fd)
{
	ssize_t n;

	do {
		n = fd >= 0 ? send_with(c, len, fd)
			    : send(c->source.host_fd, out, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n < 0) {
		die(c);
		return -EIO;
	}
	c->in_flight++;
	requests++;
	return 0;
}

/* Only what fits now: the rest goes with the next ones. */
static void tell_forgotten(struct gofer_conn *c)
{
	const struct gofer_request r = { .type = GOFER_CLOSE,
					 .close.count = c->forgotten_len,
					 .blob = c->forgotten,
					 .blob_len = c->forgotten_len * sizeof(uint64_t) };
	int len;

	if (!c->forgotten_len || c->dead || c->in_flight >= GOFER_IN_FLIGHT)
		return;
	len = gofer_request_encode(&r, out);
	if (len < 0 || send_now(c, (size_t)len, -EBADF) < 0)
		return;
	c->nodes -= c->forgotten_len < c->nodes ? c->forgotten_len : c->nodes;
	c->forgotten_len = 0;
}

void gofer_forget(struct gofer_conn *c, uint64_t node)
{
	if (c->dead)
		return;
	/* Never full unless the gofer has stopped answering; then its own limit holds. */
	if (c->forgotten_len < GOFER_CLOSE_MAX)
		c->forgotten[c->forgotten_len++] = node;
	if (c->forgotten_len >= FORGET_AT)
		tell_forgotten(c);
}

void gofer_forget_now(struct gofer_conn *c)
{
	tell_forgotten(c);
}

int gofer_errno(int error)
{
	static const uint8_t known[] = {
		EPERM,	ENOENT,	    ENXIO,	  E2BIG,      EAGAIN,	  ENOMEM,	   EACCES,
		EBUSY,	EEXIST,	    EXDEV,	  ENODEV,     ENOTDIR,	  EISDIR,	   EINVAL,
		ENFILE, EMFILE,	    ETXTBSY,	  EFBIG,      ENOSPC,	  EROFS,	   EMLINK,
		ERANGE, ENODATA,    ENAMETOOLONG, ENOTEMPTY,  ELOOP,	  EOVERFLOW,	   ESTALE,
		EDQUOT, EOPNOTSUPP, ECONNREFUSED, EPROTOTYPE, EADDRINUSE, EPROTONOSUPPORT,
	};

	for (size_t i = 0; i < sizeof(known); i++) {
		if (error == -known[i])
			return error;
	}
	return error ? -EIO : 0;
}

/* Before the loop runs nobody else does: the answer is awaited here. */
static void wait_here(const struct gofer_call *call)
{
	struct gofer_conn *c = call->conn;
	struct pollfd p = { .fd = c->source.host_fd, .events = POLLIN };

	while (call->status > 0 && !c->dead) {
		if (poll(&p, 1, -1) >= 0)
			on_readable(&c->source, 0);
	}
}

/*
 * While nobody else has anything to do, a gofer on our CPU gets it by a yield, and its answer is
 * taken here: the guest's thread need not be told that it will take long, and goes on spinning. A
 * gofer that waits for a disk leaves the CPU to us at once; so do we then.
 */
static void wait_directly(const struct gofer_call *call)
{
	struct gofer_conn *c = call->conn;
	nsec_t from;

	if (c->cpu == GOFER_ANYWHERE || c->cpu != c->seen)
		return;
	if (c->aloof) {
		c->aloof--;
		return;
	}
	from = kclock_monotonic();
	for (unsigned int i = 0; i < YIELDS && call->status > 0 && !fiber_any_ready(); i++) {
		arch_yield();
		on_readable(&c->source, 0);
	}
	/* Others want this CPU, and a yield gives them more of it than it should. */
	if (kclock_monotonic() - from > YIELD_LONG_NS)
		c->aloof = ALOOF;
}

static void wait_for(struct gofer_call *call)
{
	if (!call->fiber) {
		wait_here(call);
		return;
	}
	wait_directly(call);
	while (call->status > 0)
		(void)fiber_park(NSEC_NEVER, false);
}

/* Room for one more request. */
static void await_room(struct gofer_conn *c)
{
	if (fiber_self())
		WAIT_EVENT_ALWAYS(&c->progress, c->dead || c->in_flight < GOFER_IN_FLIGHT);
}

/* Encodes and sends; on success the call is on the list. */
static int start(struct gofer_call *call)
{
	struct gofer_conn *c = call->conn;

	for (;;) {
		unsigned int before;
		int r;

		await_room(c);
		if (c->dead)
			return -EIO;
		call->request.tag = ++c->tag;
		r = gofer_request_encode(&call->request, out);
		if (r < 0)
			return r;
		r = send_now(c, (size_t)r,
			     call->request.type == GOFER_READER ? call->send_fd : -EBADF);
		if (r == 0) {
			list_add_tail(&call->node, &c->calls);
			return 0;
		}
		/* The socket is full of requests: an answer makes room. */
		before = c->in_flight;
		if (r != -EAGAIN || before == 0 || !fiber_self())
			return -EIO;
		WAIT_EVENT_ALWAYS(&c->progress, c->dead || c->in_flight < before);
	}
}

/*
 * Who waits for one answer after the other is served by the CPU that it leaves idle; with several
 * requests under way the host may place the gofer where it wants.
 */
static void keep_near(struct gofer_conn *c)
{
	const int here = c->in_flight == 0 ? sched_getcpu() : -1;
	const uint32_t cpu = here < 0 ? GOFER_ANYWHERE : (uint32_t)here;
	const struct gofer_request r = { .type = GOFER_STAY, .stay = { .cpu = cpu } };
	/*
	 * Once near for a while, it follows at once: from another CPU each answer would wake the
	 * guest. Not whom the host moves at every call, just because the gofer is here.
	 */
	const bool follows = c->beside >= NEAR_AFTER && cpu != GOFER_ANYWHERE;

	if (cpu != c->seen) {
		c->seen = cpu;
		c->streak = 0;
	}
	if (cpu == c->cpu) {
		c->beside++;
		return;
	}
	if (c->asks || ++c->streak < (follows ? 1 : NEAR_AFTER))
		return;
	c->asks = true;
	if (gofer_ask(c, &r) == 0) {
		c->beside = 0;
		c->cpu = cpu;
		c->asks = false;
	}
}

int gofer_call(struct gofer_call *call)
{
	struct gofer_conn *c = call->conn;
	int r;

	if (fiber_self())
		keep_near(c);

	call->fd = -EBADF;
	call->many_len = 0;
	call->message = NULL;
	call->status = 1;
	call->fiber = fiber_self();
	list_init(&call->node);
	if (c->forgotten_len >= FORGET_AT || c->nodes > gofer_limits.nodes)
		tell_forgotten(c);
	r = start(call);
	if (r < 0)
		return r;
	wait_for(call);
	list_del(&call->node); /* off the list since it was answered */
	return call->status > 0 ? -EIO : call->status;
}

void gofer_call_done(struct gofer_call *call)
{
	if (call->fd >= 0)
		(void)close(call->fd);
	call->fd = -EBADF;
	while (call->many_len > 0) {
		const int fd = call->many[--call->many_len];

		if (fd >= 0)
			(void)close(fd);
	}
	free(call->message);
	call->message = NULL;
}

int gofer_ask(struct gofer_conn *c, const struct gofer_request *request)
{
	struct gofer_call call = { .conn = c, .request = *request, .fd = -EBADF };
	const int r = gofer_call(&call);

	gofer_call_done(&call);
	return r;
}

int goferfs_reader(int fd)
{
	GOFER_CALL(call, first, .type = GOFER_READER);
	int r;

	call.send_fd = fd;
	r = gofer_call(&call);
	if (r < 0)
		return r;
	return call.fd >= 0 ? TAKE_FD(call.fd) : -ENFILE;
}

int goferfs_connect(int sock, struct gofer_conn **ret)
{
	struct gofer_conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->refs = 1;
	c->source = (struct kloop_fd){ .host_fd = sock, .fn = on_readable };
	list_init(&c->calls);
	waitq_init(&c->progress);
	c->cpu = c->seen = GOFER_ANYWHERE;
	r = kloop_add(&c->source, EPOLLIN);
	if (r < 0) {
		free(c);
		return r;
	}
	list_add_tail(&c->node, &conns);
	if (!first)
		first = c;
	*ret = c;
	return 0;
}

void goferfs_set_on_death(struct gofer_conn *c, void (*fn)(void *arg), void *arg)
{
	c->on_death = fn;
	c->on_death_arg = arg;
}

struct gofer_conn *gofer_conn_ref(struct gofer_conn *c)
{
	c->refs++;
	return c;
}

void gofer_conn_unref(struct gofer_conn *c)
{
	if (!c || --c->refs)
		return;
	hang_up(c);
	if (first == c)
		first = NULL;
	list_del(&c->node);
	free(c);
}

uint32_t gofer_nodes(const struct gofer_conn *c)
{
	return c->nodes;
}

void goferfs_disconnect(struct gofer_conn *c)
{
	if (!c)
		return;
	hang_up(c);
	gofer_conn_unref(c);
}

void goferfs_call_near(struct gofer_conn *c)
{
	const int here = sched_getcpu();

	if (here < 0)
		return;
	c->near =
		(struct gofer_call){ .conn = c,
				     .request = { .type = GOFER_STAY, .stay = { (uint32_t)here } },
				     .fd = -EBADF,
				     .status = 1 };
	/* Nobody waits for it. If the gofer may not, it is told again later, and then asked. */
	if (start(&c->near) == 0)
		c->cpu = c->seen = (uint32_t)here;
}

struct gofer_limits gofer_limits = { GOFERFS_NODES_LEAST, GOFERFS_IDLE_LEAST,
				     GOFERFS_CONTENT_LEAST };

static uint32_t within(uint64_t value, uint32_t least, uint32_t most)
{
	return value < least ? least : value < most ? (uint32_t)value : most;
}

void goferfs_set_limits(uint64_t memory_bytes, uint64_t descriptors)
{
	uint64_t idle = memory_bytes / GOFERFS_IDLE_MEMORY;

	/* Half of the descriptors are for others. */
	if (idle > descriptors / 2)
		idle = descriptors / 2;
	gofer_limits.nodes =
		within(memory_bytes / GOFERFS_NODE_MEMORY, GOFERFS_NODES_LEAST, GOFERFS_NODES_MOST);
	gofer_limits.idle = within(idle, GOFERFS_IDLE_LEAST, GOFERFS_IDLE_MOST);
	gofer_limits.content = within(memory_bytes / GOFERFS_CONTENT_SHARE, GOFERFS_CONTENT_LEAST,
				      GOFERFS_CONTENT_MOST);
}

void goferfs_counts(struct goferfs_counts *ret)
{
	const struct gofer_conn *c;

	*ret = (struct goferfs_counts){ .requests = requests,
					.opens = opens,
					.idle = gofer_idle_count(),
					.content = gofer_content_bytes() };
	list_for_each(c, &conns, node) ret->nodes += c->nodes;
}
