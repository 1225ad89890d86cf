/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/runtime/fuse_client.h - a machine without a kernel: it speaks to virtiofsd as the
 * monitor does (vhost-user, docs/interop/vhost-user.rst of QEMU), and puts whatever it likes into
 * the queue of requests, as a driver of a guest's own may (virtio 1.2, sections 2.7 and 5.11;
 * <linux/fuse.h>).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FUSE_CLIENT_BUFFER (1u << 16) /* bytes, of a request and of an answer */

struct vring_desc;

struct fuse_client {
	int sock;	 /* borrowed: the monitor's end */
	int kick, call;	 /* owned */
	uint8_t *memory; /* owned: the guest's */
	uint8_t *out, *in;
	uint16_t posted;
	uint64_t unique;
};

/* Connect to who serves `sock`. 0 or -errno. */
int fuse_client_open(struct fuse_client *c, int sock);
void fuse_client_close(struct fuse_client *c);

/* The guest's address of a place in `memory`. */
uint64_t fuse_client_address(const struct fuse_client *c, const void *at);

/*
 * Offer these descriptors, from 0 on, and wait: how many bytes were written to the guest. -EPIPE:
 * who serves has ended; -ETIMEDOUT: he did not answer.
 */
ssize_t fuse_client_offer(struct fuse_client *c, const struct vring_desc *descriptors, size_t len,
			  int timeout_ms);

/* Offer the first bytes of c->out, with this much room for the answer in c->in. */
ssize_t fuse_client_send(struct fuse_client *c, size_t out_len, size_t in_len, int timeout_ms);
