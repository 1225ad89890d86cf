/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helper threads: a queue of jobs under a mutex, an eventfd that tells the loop of finished ones.
 * A job lives on the stack of the fiber that waits for it.
 */
#include "sentry/core/hostwork.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sentry/core/fiber.h"
#include "sentry/core/kloop.h"

#define HOSTWORK_STACK_BYTES (128u << 10)

struct job {
	long (*fn)(void *arg);
	void *arg;
	long result;
	bool done; /* worker only */
	struct fiber *fiber;
	struct list_head node; /* lock */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct list_head todo = LIST_HEAD_INIT(todo);
static struct list_head finished = LIST_HEAD_INIT(finished);
static pthread_cond_t up = PTHREAD_COND_INITIALIZER;
static unsigned int thread_count;
static unsigned int up_count; /* lock */
static struct kloop_fd bell;

static void *helper(void *unused)
{
	(void)pthread_mutex_lock(&lock);
	up_count++;
	(void)pthread_cond_signal(&up);
	for (;;) {
		struct job *job;

		while (list_empty(&todo))
			(void)pthread_cond_wait(&more, &lock);
		job = list_first(&todo, struct job, node);
		list_del(&job->node);
		(void)pthread_mutex_unlock(&lock);
		job->result = job->fn(job->arg);
		(void)pthread_mutex_lock(&lock);
		list_add_tail(&job->node, &finished);
		(void)eventfd_write(bell.host_fd, 1);
	}
	return NULL;
}

static void on_bell(struct kloop_fd *source, uint32_t events)
{
	struct list_head batch = LIST_HEAD_INIT(batch);
	eventfd_t count;

	(void)eventfd_read(source->host_fd, &count);
	(void)pthread_mutex_lock(&lock);
	list_splice_tail(&finished, &batch);
	(void)pthread_mutex_unlock(&lock);
	while (!list_empty(&batch)) {
		struct job *job = list_first(&batch, struct job, node);

		list_del(&job->node);
		job->done = true;
		fiber_wake(job->fiber);
	}
}

int hostwork_init(unsigned int threads)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r = 0;

	bell.fn = on_bell;
	bell.host_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bell.host_fd < 0)
		return -errno;
	r = kloop_add(&bell, EPOLLIN);
	if (r < 0)
		return r;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, HOSTWORK_STACK_BYTES);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned int i = 0; i < threads && r == 0; i++) {
		pthread_t thread;

		r = -pthread_create(&thread, &attr, helper, NULL);
		if (r == 0)
			thread_count++;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return r;
}

void hostwork_await(void)
{
	(void)pthread_mutex_lock(&lock);
	while (up_count < thread_count)
		(void)pthread_cond_wait(&up, &lock);
	(void)pthread_mutex_unlock(&lock);
}

long hostwork_call(long (*fn)(void *arg), void *arg)
{
	struct job job = { .fn = fn, .arg = arg, .fiber = fiber_self() };

	if (!job.fiber || !thread_count)
		return fn(arg);
	(void)pthread_mutex_lock(&lock);
	list_add_tail(&job.node, &todo);
	(void)pthread_cond_signal(&more);
	(void)pthread_mutex_unlock(&lock);
	while (!job.done)
		(void)fiber_park(NSEC_NEVER, false);
	return job.result;
}
