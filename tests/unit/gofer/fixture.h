/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gofer over a temporary directory, and a client that says what it likes to it.
 *
 * Below the directory: "rw" (root 0), "ro" (root 1, read-only), "attr" (root 2, all attributes),
 * "sockets" (root 3, with sockets of the host), "secret" (no root: nothing of it may ever be
 * reached). With GOFER_PROGRAM in the environment the
 * gofer is that program in its cage, else this room's code in a forked child.
 */
#pragma once

#include <sys/types.h>

#include "lib/unit.h"
#include "wire/gofer_codec.h"

#define ROOT_RW	     0u
#define ROOT_RO	     1u
#define ROOT_ATTR    2u
#define ROOT_SOCKETS 3u

struct fixture {
	char path[64]; /* of the temporary directory */
	int dir;       /* the same, as a descriptor */
	int sock;
	pid_t pid; /* of the gofer */
	uint64_t tag;
	uint64_t root; /* node of ROOT_RW */
	uint64_t message[GOFER_MESSAGE_MAX / 8 + 8];
	struct gofer_answer answer; /* of the last call; points into message */
	int fd;			    /* that came with it, or -1; the fixture closes it */
	int fds[GOFER_OPEN_MAX];    /* the same, of OPEN_MANY */
	size_t fds_len;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Sends and awaits: answer.error. */
int call(struct fixture *f, const struct gofer_request *r);
/* The same, and descriptors go along. */
int call_with(struct fixture *f, const struct gofer_request *r, const int *fds, size_t nfds);
/* Sends bytes as they are; awaits a reply. Its error, or 1 if the connection ended. */
int call_raw(struct fixture *f, const void *bytes, size_t len);

/* Shorthands; all return answer.error, or what walk stops at. */
int attach(struct fixture *f, uint32_t root, struct gofer_entry *ret);
int walk(struct fixture *f, uint64_t node, const char *name, struct gofer_entry *ret);
int open_node(struct fixture *f, uint64_t node, uint32_t flags);
int create(struct fixture *f, uint64_t dir, const char *name, uint32_t mode,
	   struct gofer_entry *ret);
int make(struct fixture *f, uint32_t type, uint64_t dir, const char *name, uint32_t mode,
	 struct gofer_entry *ret);
int getattr(struct fixture *f, uint64_t node, struct gofer_attr *ret);
int unlink_name(struct fixture *f, uint64_t dir, const char *name, uint32_t flags);
int close_node(struct fixture *f, uint64_t node);

/* A file with this text, made by the test itself, below the temporary directory. */
void put_file(const struct fixture *f, const char *path, const char *text);
/* The node of `name` in the root, which must be there. */
uint64_t must_walk(struct fixture *f, const char *name);
/* The gofer is still there and answers. */
void assert_alive(struct fixture *f);

#define GOFER_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
