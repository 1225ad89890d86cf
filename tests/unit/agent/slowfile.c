/* SPDX-License-Identifier: Apache-2.0 */
#include "slowfile.h"

#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_ID	  2u /* and what is above */
#define OTHER_ID  3u
#define FILE_SIZE 65536u
#define WAIT_MAX  64u
#define MESSAGE	  (1u << 17)

static int device = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fuse_in_header waiting[WAIT_MAX];
static uint32_t sizes[WAIT_MAX];
static unsigned int waiting_len, reads, other_opened;
static bool stopped;
static const char zeros[MESSAGE];

/* Who has gone meanwhile needs no answer. */
static void reply(uint64_t unique, int error, const void *body, size_t len)
{
	struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + len),
					.error = error,
					.unique = unique };
	const struct iovec iov[] = { { &head, sizeof(head) }, { (void *)(uintptr_t)body, len } };

	(void)!writev(device, iov, len ? 2 : 1);
}

static struct fuse_attr attributes(uint64_t id)
{
	return (struct fuse_attr){ .ino = id,
				   .size = id >= FILE_ID ? FILE_SIZE : 0,
				   .mode = id >= FILE_ID ? S_IFREG | 0755 : S_IFDIR | 0755,
				   .nlink = 1 };
}

/* 0: there is none. */
static uint64_t id_of(const char *name)
{
	static const char *const names[] = { "file", "other" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return FILE_ID + i;
	}
	return 0;
}

static void wait_with(const struct fuse_in_header *in, const struct fuse_read_in *read_in)
{
	(void)pthread_mutex_lock(&lock);
	if (stopped) {
		reply(in->unique, 0, zeros,
		      read_in->size < sizeof(zeros) ? read_in->size : sizeof(zeros));
	} else if (waiting_len < WAIT_MAX) {
		sizes[waiting_len] = read_in->size;
		waiting[waiting_len++] = *in;
	}
	reads++;
	(void)pthread_mutex_unlock(&lock);
}

static void serve_one(const struct fuse_in_header *in, const void *body)
{
	const struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
					    .minor = 31,
					    .max_write = 4096 };
	struct fuse_entry_out entry = { 0 };
	const struct fuse_attr_out attr = { .attr = attributes(in->nodeid) };
	struct fuse_open_out open_out = { 0 };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		entry.nodeid = id_of(body);
		entry.attr = attributes(entry.nodeid);
		if (entry.nodeid)
			reply(in->unique, 0, &entry, sizeof(entry));
		else
			reply(in->unique, -ENOENT, NULL, 0);
		break;
	case FUSE_GETATTR:
		reply(in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		/* The second time past the page cache. */
		if (in->nodeid == OTHER_ID && other_opened++)
			open_out.open_flags = FOPEN_DIRECT_IO;
		reply(in->unique, 0, &open_out, sizeof(open_out));
		break;
	case FUSE_OPENDIR:
		reply(in->unique, 0, &open_out, sizeof(open_out));
		break;
	case FUSE_READ:
		wait_with(in, body);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		reply(in->unique, 0, NULL, 0);
		break;
	default:
		reply(in->unique, -ENOSYS, NULL, 0);
	}
}

static void *serve(void *arg)
{
	static char message[MESSAGE] __attribute__((aligned(8)));

	for (;;) {
		const ssize_t n = read(device, message, sizeof(message));

		if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			return arg;
		serve_one((const struct fuse_in_header *)message,
			  message + sizeof(struct fuse_in_header));
	}
}

bool slowfile_mount(const char *path)
{
	char options[128];
	pthread_t thread;

	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return false;
	(void)snprintf(options, sizeof(options),
		       "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
	if (mount("slowfile", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		return false;
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	assert_int_equal(pthread_detach(thread), 0);
	return true;
}

unsigned int slowfile_reads(void)
{
	unsigned int n;

	(void)pthread_mutex_lock(&lock);
	n = reads;
	(void)pthread_mutex_unlock(&lock);
	return n;
}

void slowfile_release(void)
{
	(void)pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < waiting_len; i++)
		reply(waiting[i].unique, 0, zeros,
		      sizes[i] < sizeof(zeros) ? sizes[i] : sizeof(zeros));
	waiting_len = 0;
	(void)pthread_mutex_unlock(&lock);
}

void slowfile_stop(void)
{
	(void)pthread_mutex_lock(&lock);
	stopped = true;
	(void)pthread_mutex_unlock(&lock);
	slowfile_release();
}
