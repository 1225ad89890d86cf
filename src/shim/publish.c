/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "shim/task_events.pb-c.h"
#include "shim/ttrpc.pb-c.h"
#include "shim/ttrpc_frame.h"

#define SERVICE	     "containerd.services.events.ttrpc.v1.Events"
#define RETRY_MS     100
#define RETRY_MAX_MS 2000
#define READ_SIZE    4096

struct event {
	struct list_head node;
	const char *topic; /* a constant */
	uint8_t *any;	   /* owned: a packed Any */
	size_t any_len;
	struct timespec when;
	unsigned int tries;
};

struct publisher {
	struct loop *loop;
	struct publisher_options options;
	struct list_head queue;
	unsigned int queue_len;
	uint64_t told, forgotten;
	struct loop_source *timer;
	int retry_ms;
	bool waiting; /* for the timer */
	/* The connection. */
	int fd;
	struct loop_source *source;
	uint32_t stream;
	bool asked; /* the first of the queue has been sent, or is in `out` */
	struct buf in, out;
	size_t out_at;
	/* The binary. */
	pid_t child; /* 0: none */
};

static void serve(struct publisher *p);

static struct event *first(struct publisher *p)
{
	return list_empty(&p->queue) ? NULL : list_first(&p->queue, struct event, node);
}

static void drop(struct publisher *p, struct event *e)
{
	list_del(&e->node);
	p->queue_len--;
	free(e->any);
	free(e);
}

static void drop_first(struct publisher *p)
{
	drop(p, first(p));
}

static void drop_told(struct publisher *p)
{
	p->told++;
	drop_first(p);
}

static void later(struct publisher *p)
{
	p->waiting = loop_set_timer(p->timer, p->retry_ms) == 0;
	p->retry_ms = p->retry_ms * 2 < RETRY_MAX_MS ? p->retry_ms * 2 : RETRY_MAX_MS;
}

static void on_timer(void *arg)
{
	struct publisher *p = arg;

	p->waiting = false;
	serve(p);
}

/* ---- Over ttrpc ---- */

static void disconnect(struct publisher *p)
{
	loop_remove(TAKE_PTR(p->source));
	if (p->fd >= 0)
		(void)close(p->fd);
	p->fd = -EBADF;
	p->asked = false;
	buf_done(&p->in);
	buf_done(&p->out);
	p->out_at = 0;
}

static void flush(struct publisher *p)
{
	while (p->out_at < p->out.len) {
		const ssize_t n = send(p->fd, p->out.data + p->out_at, p->out.len - p->out_at,
				       MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* room or an end will wake us */
		p->out_at += (size_t)n;
	}
	if (p->out_at == p->out.len) {
		buf_done(&p->out);
		p->out_at = 0;
	}
	(void)loop_set_events(p->source, EPOLLIN | (p->out.len > 0 ? EPOLLOUT : 0));
}

static int pack(const ProtobufCMessage *message, uint8_t **ret, size_t *ret_len)
{
	const size_t len = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(len ? len : 1);

	if (!bytes)
		return -ENOMEM;
	*ret_len = protobuf_c_message_pack(message, bytes);
	*ret = bytes;
	return 0;
}

static int append_request(struct publisher *p, const struct event *e)
{
	Caisson__Shim__Timestamp when = CAISSON__SHIM__TIMESTAMP__INIT;
	Caisson__Shim__Envelope envelope = CAISSON__SHIM__ENVELOPE__INIT;
	Caisson__Shim__ForwardRequest forward = CAISSON__SHIM__FORWARD_REQUEST__INIT;
	Caisson__Ttrpc__Request request = CAISSON__TTRPC__REQUEST__INIT;
	Caisson__Shim__Any *any = caisson__shim__any__unpack(NULL, e->any_len, e->any);
	AUTO_FREE uint8_t *payload = NULL;
	int r = any ? 0 : -ENOMEM;

	when.seconds = e->when.tv_sec;
	when.nanos = (int32_t)e->when.tv_nsec;
	envelope.timestamp = &when;
	envelope.namespace_ = (char *)p->options.ns;
	envelope.topic = (char *)e->topic;
	envelope.event = any;
	forward.envelope = &envelope;
	if (r == 0)
		r = pack(&forward.base, &payload, &request.payload.len);
	caisson__shim__any__free_unpacked(any, NULL);
	request.service = (char[]){ SERVICE };
	request.method = (char[]){ "Forward" };
	request.payload.data = payload;
	if (r == 0)
		r = ttrpc_frame_append(&p->out, p->stream, TTRPC_REQUEST, &request.base);
	return r;
}

/* One answer: whether there was a whole one. */
static bool take_answer(struct publisher *p)
{
	AUTO_TTRPC_MESSAGE struct ttrpc_message message = TTRPC_MESSAGE_INIT;
	const Caisson__Ttrpc__Response *response;
	struct ttrpc_head head;

	if (p->in.len < TTRPC_HEAD)
		return false;
	ttrpc_head_get((const uint8_t *)p->in.data, &head);
	if (head.length > TTRPC_MESSAGE_MAX) {
		disconnect(p);
		return false;
	}
	if (p->in.len - TTRPC_HEAD < head.length)
		return false;
	if (p->asked && head.stream == p->stream && head.type == TTRPC_RESPONSE) {
		response = ttrpc_unpack(&caisson__ttrpc__response__descriptor,
					p->in.data + TTRPC_HEAD, head.length, &message) == 0
				   ? (const Caisson__Ttrpc__Response *)message.root
				   : NULL;
		if (response && response->status && response->status->code)
			log_warning("event %s: containerd refuses it: %.200s", first(p)->topic,
				    response->status->message);
		drop_told(p);
		p->asked = false;
		p->stream += 2;
		p->retry_ms = RETRY_MS;
	}
	p->in.len -= TTRPC_HEAD + head.length;
	memmove(p->in.data, p->in.data + TTRPC_HEAD + head.length, p->in.len);
	return true;
}

static void on_connection(void *arg, int fd, uint32_t events)
{
	struct publisher *p = arg;
	ssize_t n;

	if (events & EPOLLOUT)
		flush(p);
	if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		return;
	n = buf_reserve(&p->in, READ_SIZE) == 0
		    ? recv(fd, p->in.data + p->in.len, READ_SIZE, MSG_DONTWAIT)
		    : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		disconnect(p);
	} else {
		p->in.len += (size_t)n;
		while (p->fd >= 0 && take_answer(p))
			;
	}
	/* What was asked and not answered is asked again, but not at once: it may be refused so. */
	if (p->fd < 0 && first(p) && !p->waiting)
		later(p);
	serve(p);
}

static int connect_to(struct publisher *p)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r;

	if (fd < 0)
		return -errno;
	if (strlen(p->options.ttrpc) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, p->options.ttrpc, strlen(p->options.ttrpc));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	r = loop_add_fd(p->loop, fd, EPOLLIN, on_connection, p, &p->source);
	if (r < 0)
		return r;
	p->fd = TAKE_FD(fd);
	p->stream = 1;
	return 0;
}

static void ask(struct publisher *p)
{
	if (p->asked)
		return;
	if (p->fd < 0 && connect_to(p) < 0) {
		later(p);
		return;
	}
	if (append_request(p, first(p)) < 0) {
		later(p);
		return;
	}
	p->asked = true;
	flush(p);
}

/* ---- By the binary ---- */

static int event_file(const struct event *e)
{
	AUTO_CLOSE int fd = memfd_create("event", MFD_CLOEXEC);

	if (fd < 0 || fd_write_all(fd, e->any, e->any_len) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void run_binary(struct publisher *p)
{
	struct event *e = first(p);
	AUTO_CLOSE int event = event_file(e);
	const char *argv[] = {
		p->options.binary, "--address",	  p->options.address, "publish", "--topic",
		e->topic,	   "--namespace", p->options.ns,      NULL,
	};
	sigset_t none;

	if (p->child)
		return;
	if (event < 0) {
		later(p);
		return;
	}
	p->child = fork();
	if (p->child == 0) {
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		if (dup2(event, 0) == 0 && fd_close_range(3, ~0u, 0) == 0)
			(void)execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (p->child < 0) {
		p->child = 0;
		later(p);
	}
}

bool publisher_ended(struct publisher *p, pid_t pid, int status)
{
	if (!pid || p->child != pid)
		return false;
	p->child = 0;
	if (status == 0 || ++first(p)->tries >= PUBLISH_TRIES_MAX) {
		if (status)
			log_warning("event %s: %s ended with status %#x", first(p)->topic,
				    p->options.binary, (unsigned int)status);
		drop_told(p);
		p->retry_ms = RETRY_MS;
		serve(p);
	} else {
		later(p);
	}
	return true;
}

/* ---- Both ---- */

static void serve(struct publisher *p)
{
	if (!first(p) || p->waiting)
		return;
	if (p->options.ttrpc)
		ask(p);
	else
		run_binary(p);
}

static struct event *event_new(const char *topic, const char *type, const ProtobufCMessage *message)
{
	Caisson__Shim__Any any = CAISSON__SHIM__ANY__INIT;
	AUTO_FREE uint8_t *value = NULL;
	struct event *e = calloc(1, sizeof(*e));

	if (!e || pack(message, &value, &any.value.len) < 0) {
		free(e);
		return NULL;
	}
	any.type_url = (char *)type;
	any.value.data = value;
	if (pack(&any.base, &e->any, &e->any_len) < 0) {
		free(e);
		return NULL;
	}
	e->topic = topic;
	(void)clock_gettime(CLOCK_REALTIME, &e->when);
	return e;
}

/* The first may be on its way. */
static void drop_oldest(struct publisher *p)
{
	struct event *e = first(p);

	if (p->asked || p->child)
		e = list_entry(e->node.next, struct event, node);
	log_warning("event %s: nobody takes it, and there are too many", e->topic);
	p->forgotten++;
	drop(p, e);
}

void publisher_tell(struct publisher *p, const char *topic, const char *type,
		    const ProtobufCMessage *message)
{
	struct event *e = event_new(topic, type, message);

	if (!e) {
		log_warning("event %s: no memory for it", topic);
		return;
	}
	if (p->queue_len >= PUBLISH_QUEUE_MAX)
		drop_oldest(p);
	list_add_tail(&e->node, &p->queue);
	p->queue_len++;
	serve(p);
}

bool publisher_idle(const struct publisher *p)
{
	return list_empty(&p->queue);
}

struct publisher_counts publisher_counts(const struct publisher *p)
{
	return (struct publisher_counts){ .told = p->told,
					  .forgotten = p->forgotten,
					  .waiting = p->queue_len };
}

int publisher_new(struct loop *loop, const struct publisher_options *options,
		  struct publisher **ret, struct err *err)
{
	struct publisher *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_sys(err, -ENOMEM, "events");
	p->loop = loop;
	p->options = *options;
	p->fd = -EBADF;
	p->retry_ms = RETRY_MS;
	list_init(&p->queue);
	r = loop_add_timer(loop, -1, on_timer, p, &p->timer);
	if (r < 0) {
		free(p);
		return err_sys(err, r, "events");
	}
	*ret = p;
	return 0;
}

void publisher_free(struct publisher *p)
{
	if (!p)
		return;
	disconnect(p);
	loop_remove(p->timer);
	while (first(p))
		drop_first(p);
	free(p);
}
