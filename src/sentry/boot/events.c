/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/events.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sentry/core/hostwork.h"
#include "sentry/core/kclock.h"
#include "sentry/core/kloop.h"
#include "sentry/syscall/event_sink.h"

#define BATCH_BYTES (64u << 10)
#define END_WAIT_NS NSEC_PER_SEC

/* The one stream of --event-sink. */
static struct stream {
	struct event_sink sink;
	struct waitq changed;
	struct kloop_fd source;
	bool is_file; /* epoll does not know it: writing may block */
	bool writable;
	char *batch;
} stream;

struct write_job {
	const char *bytes;
	size_t len;
};

static long write_file(void *arg)
{
	const struct write_job *job = arg;
	const ssize_t n = write(SENTRY_FD_EVENTS, job->bytes, job->len);

	return n < 0 ? -errno : n;
}

static void on_writable(struct kloop_fd *source, uint32_t events)
{
	stream.writable = true;
	waitq_wake(&stream.changed, WAIT_ALL);
}

/* All of it, however long it takes. -errno: nobody reads any more, or the disk is full. */
static int write_batch(size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct write_job job = { stream.batch + done, len - done };
		const long n = stream.is_file ? hostwork_call(write_file, &job) : write_file(&job);

		if (n == -EAGAIN && !stream.is_file) {
			stream.writable = false;
			WAIT_EVENT_ALWAYS(&stream.changed, stream.writable);
		} else if (n < 0 && n != -EINTR) {
			return (int)n;
		} else if (n > 0) {
			done += (size_t)n;
		}
	}
	return 0;
}

static void stream_main(void *arg)
{
	int r = 0;

	while (r == 0) {
		size_t len;

		WAIT_EVENT_ALWAYS(&stream.changed, event_sink_has(&stream.sink));
		/* A message of a socket is one record. */
		len = event_sink_take(&stream.sink, stream.batch, BATCH_BYTES,
				      stream.is_file ? UINT_MAX : 1);
		r = write_batch(len);
		event_sink_written(&stream.sink);
	}
	event_sink_remove(&stream.sink);
	if (!stream.is_file)
		kloop_remove(&stream.source);
	free(stream.batch);
	stream.batch = NULL;
}

int events_start(const struct sentry_container *c, struct err *err)
{
	int r;

	if (!c->events)
		return 0;
	waitq_init(&stream.changed);
	stream.source = (struct kloop_fd){ .host_fd = SENTRY_FD_EVENTS, .fn = on_writable };
	stream.batch = malloc(BATCH_BYTES);
	if (!stream.batch)
		return err_sys(err, -ENOMEM, "event stream");
	r = kloop_add(&stream.source, EPOLLOUT | EPOLLET);
	stream.is_file = r == -EPERM;
	if (r == 0 || stream.is_file)
		r = event_sink_add(&stream.sink, c->events, &stream.changed);
	if (r == 0)
		r = fiber_spawn("events", stream_main, NULL, NULL);
	return r < 0 ? err_sys(err, r, "event stream") : 0;
}

void events_end(void)
{
	(void)WAIT_EVENT_UNTIL(&event_sinks_drained, event_sinks_idle(),
			       nsec_add(kclock_monotonic(), END_WAIT_NS));
}
