/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse_client.h"

#include <errno.h>
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define MEMORY	    (4u << 20)
#define GUEST_START 0x100000u
#define RING	    128u /* descriptors */
#define QUEUE	    1u	 /* of requests; 0 is that of the urgent ones */

#define AT_AVAIL 0x1000u
#define AT_USED	 0x2000u
#define AT_OUT	 0x100000u
#define AT_IN	 0x200000u

enum {
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
};

struct message {
	uint32_t request, flags, size;
	union {
		uint64_t number;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct {
			uint32_t regions, padding;
			uint64_t guest, size, user, offset;
		} memory;
	};
} __attribute__((packed));

static int tell(int sock, struct message *m, size_t size, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	const size_t len = offsetof(struct message, number) + size;
	struct iovec iov = { m, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	m->flags = 1; /* the version */
	m->size = (uint32_t)size;
	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.room);
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -EPIPE;
}

static int tell_number(int sock, uint32_t request, uint64_t number, int fd)
{
	struct message m = { .request = request, .number = number };

	return tell(sock, &m, sizeof(m.number), fd);
}

static int tell_state(int sock, uint32_t request, uint32_t number)
{
	struct message m = { .request = request, .state = { QUEUE, number } };

	return tell(sock, &m, sizeof(m.state), -1);
}

static int tell_memory(const struct fuse_client *c, int memfd)
{
	struct message m = { .request = SET_MEM_TABLE,
			     .memory = { .regions = 1,
					 .guest = GUEST_START,
					 .size = MEMORY,
					 .user = (uintptr_t)c->memory } };

	return tell(c->sock, &m, sizeof(m.memory), memfd);
}

static int tell_ring(const struct fuse_client *c)
{
	const uint64_t memory = (uintptr_t)c->memory;
	struct message m = { .request = SET_VRING_ADDR,
			     .addr = { .index = QUEUE,
				       .desc_user_addr = memory,
				       .avail_user_addr = memory + AT_AVAIL,
				       .used_user_addr = memory + AT_USED } };

	return tell(c->sock, &m, sizeof(m.addr), -1);
}

int fuse_client_open(struct fuse_client *c, int sock)
{
	AUTO_CLOSE int memfd = memfd_create("guest", MFD_CLOEXEC);
	int r;

	*c = (struct fuse_client){ .sock = sock };
	c->kick = eventfd(0, EFD_CLOEXEC);
	c->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (memfd < 0 || c->kick < 0 || c->call < 0 || ftruncate(memfd, MEMORY) < 0)
		return -errno;
	c->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (c->memory == MAP_FAILED)
		return -errno;
	c->out = c->memory + AT_OUT;
	c->in = c->memory + AT_IN;
	r = tell(sock, &(struct message){ .request = SET_OWNER }, 0, -1);
	if (r == 0)
		r = tell_number(sock, SET_FEATURES, UINT64_C(1) << VIRTIO_F_VERSION_1, -1);
	if (r == 0)
		r = tell_memory(c, memfd);
	if (r == 0)
		r = tell_state(sock, SET_VRING_NUM, RING);
	if (r == 0)
		r = tell_state(sock, SET_VRING_BASE, 0);
	if (r == 0)
		r = tell_ring(c);
	if (r == 0)
		r = tell_number(sock, SET_VRING_CALL, QUEUE, c->call);
	return r < 0 ? r : tell_number(sock, SET_VRING_KICK, QUEUE, c->kick);
}

void fuse_client_close(struct fuse_client *c)
{
	(void)munmap(c->memory, MEMORY);
	(void)close(c->kick);
	(void)close(c->call);
}

uint64_t fuse_client_address(const struct fuse_client *c, const void *at)
{
	return GUEST_START + (uint64_t)((const uint8_t *)at - c->memory);
}

/* The answer to what was posted last, of which there is one at a time. */
static ssize_t await(struct fuse_client *c, int timeout_ms)
{
	const struct vring_used *used = (const void *)(c->memory + AT_USED);
	const int64_t end = clock_ms() + timeout_ms;

	while (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) != c->posted) {
		struct pollfd p[2] = { { .fd = c->call, .events = POLLIN }, { .fd = c->sock } };
		const int64_t left = end - clock_ms();
		uint64_t count;

		if (left <= 0 || poll(p, 2, (int)left) <= 0)
			return -ETIMEDOUT;
		if (p[0].revents)
			(void)!read(c->call, &count, sizeof(count));
		else if (p[1].revents)
			return -EPIPE;
	}
	return used->ring[(uint16_t)(c->posted - 1) % RING].len;
}

ssize_t fuse_client_offer(struct fuse_client *c, const struct vring_desc *descriptors, size_t len,
			  int timeout_ms)
{
	struct vring_avail *avail = (void *)(c->memory + AT_AVAIL);
	const uint64_t one = 1;

	memcpy(c->memory, descriptors, len * sizeof(*descriptors));
	avail->ring[c->posted % RING] = 0;
	__atomic_store_n(&avail->idx, ++c->posted, __ATOMIC_RELEASE);
	if (write(c->kick, &one, sizeof(one)) < 0)
		return -errno;
	return await(c, timeout_ms);
}

ssize_t fuse_client_send(struct fuse_client *c, size_t out_len, size_t in_len, int timeout_ms)
{
	const struct vring_desc descriptors[] = {
		{ fuse_client_address(c, c->out), (uint32_t)out_len, VRING_DESC_F_NEXT, 1 },
		{ fuse_client_address(c, c->in), (uint32_t)in_len, VRING_DESC_F_WRITE, 0 },
	};

	return fuse_client_offer(c, descriptors, 2, timeout_ms);
}
