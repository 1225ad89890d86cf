/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/goferfs/goferfs.h - files of the host, served by caisson-gofer (wire/gofer_msg.h).
 *
 * Names and attributes come over the connection; the data of a regular file never does: the gofer
 * donates a host descriptor with the access of the guest's open file, on which reads, writes and
 * mappings work.
 *
 * Exclusive (the root file system by default): nobody else changes the files, so names, missing
 * names, attributes, link targets and listings are cached here as long as the VFS keeps the dentry.
 * Shared (volumes): each component is asked for again at every use, attributes at every stat(2),
 * listings at every rewind; nothing that is missing is remembered.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct superblock;
struct gofer_conn;

/*
 * A container's connection: the descriptor (SOCK_SEQPACKET) is taken over, unless it fails, and put
 * into the loop. The first is the sandbox's own. *ret ends with goferfs_disconnect(); filesystems
 * that outlive it are -EIO from then on. 0 or -errno.
 */
int goferfs_connect(int sock, struct gofer_conn **ret);
void goferfs_disconnect(struct gofer_conn *conn); /* accepts NULL */

/*
 * Once, before the first request: let the gofer come to this CPU while we do something else. A
 * start waits for one answer after the other.
 */
void goferfs_call_near(struct gofer_conn *conn);

/*
 * Called from the loop, or from a fiber in a request, when the gofer is gone: every file of it is
 * -EIO from then on. Not for a connection that we ended.
 */
void goferfs_set_on_death(struct gofer_conn *conn, void (*fn)(void *arg), void *arg);

/*
 * One of the gofer's roots as a filesystem; its root may be a file. In a fiber, or before the loop
 * runs. 0, -EBADF (no such root), -ENOMEM, -EIO.
 */
int goferfs_mount(struct gofer_conn *conn, uint32_t root, bool exclusive, struct superblock **ret);

/*
 * Boot: `len` different names of the root directory that are about to be looked up there, of at
 * most GOFER_LOOKUP_MAX and GOFER_NAME_MAX bytes each: one request for all. The names are copied
 * before anything else. Only where nobody else changes the files; a failure shows at the lookup. In
 * a fiber.
 */
void goferfs_expect(struct superblock *sb, const char *const *names, uint32_t len);
void goferfs_expect_end(struct superblock *sb);

/*
 * A new file without a name on the disk of a filesystem of goferfs_mount(): a host descriptor for
 * reading and writing, the caller's; the disk is free of it with the last descriptor. In a fiber.
 * 0, or -errno of the host (-EROFS, -ENOSPC, -EMFILE).
 */
int goferfs_nameless_file(struct superblock *sb, int *ret_fd);

/*
 * Boot: how many names and descriptors may be kept, by what the sandbox has of memory and the
 * process of descriptors.
 */
void goferfs_set_limits(uint64_t memory_bytes, uint64_t descriptors);

/*
 * A second descriptor of a nameless file of ours, which can only read it (mem/memfile.h), by the
 * sandbox's own gofer. From a fiber. The caller's, or -errno.
 */
int goferfs_reader(int fd);

/* For metrics and tests. */
struct goferfs_counts {
	uint64_t requests; /* sent */
	uint64_t opens;	   /* of them: OPEN, OPEN_MANY, CREATE, TMPFILE */
	uint32_t nodes;	   /* held at the gofer */
	uint32_t idle;	   /* inodes whose descriptors are kept though nobody has them open */
	uint64_t content;  /* bytes of small files that are kept here */
};
void goferfs_counts(struct goferfs_counts *ret);
