/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/gofer_codec.h - messages of wire/gofer_msg.h, checked whole before a field is used.
 *
 * Both sides take the other for hostile: the gofer a sentry that a guest has taken over, the sentry
 * a gofer that reads a volume of strangers. The functions look at one message in the caller's
 * memory, which nobody else can change, and copy nothing but fixed fields; no allocation, no libc
 * but memcpy(3), memchr(3), so that caisson-gofer can do without one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/gofer_msg.h"

/* A checked request. Pointers lead into the message. */
struct gofer_request {
	uint32_t type;
	uint64_t tag;
	/* The fields of the type; aligned, whole. */
	union {
		struct gofer_attach attach;
		struct gofer_stay stay;
		struct gofer_walk walk;
		struct gofer_lookup lookup;
		struct gofer_node node;
		struct gofer_setattr setattr;
		struct gofer_open open;
		struct gofer_open_many open_many;
		struct gofer_make make;
		struct gofer_symlink symlink;
		struct gofer_link link;
		struct gofer_unlink unlink;
		struct gofer_rename rename;
		struct gofer_readdir readdir;
		struct gofer_xattr xattr;
		struct gofer_setxattr setxattr;
		struct gofer_fsync fsync;
		struct gofer_close close;
		struct gofer_copy_range copy;
		struct gofer_connect connect;
		struct gofer_bind bind;
	};
	unsigned int names_len;
	const char *names[GOFER_LOOKUP_MAX]; /* NUL-terminated */
	const void *blob;		     /* target, value, ids; NULL without */
	size_t blob_len;		     /* bytes */
};

/*
 * Checks structure: sizes, counts, the form of names (not what they mean on the host), reserved
 * fields, flags that exist. 0; -EBADMSG when not even the head is whole (nothing can be answered);
 * -EPROTO for any other fault of structure, -EINVAL for a name or a flag; with the latter two type
 * and tag of *ret are set.
 */
int gofer_request_decode(const void *message, size_t len, struct gofer_request *ret);

/* One path component that may go to the host. */
bool gofer_name_valid(const char *name, size_t len);

/*
 * Writes a request into `message` (room for GOFER_MESSAGE_MAX bytes): the fields of r->type, its
 * names and its blob. Returns the length, -ENAMETOOLONG or -EINVAL for a name, -E2BIG if it does
 * not fit, -EINVAL for an unknown type.
 */
int gofer_request_encode(const struct gofer_request *r, void *message);

/* A checked reply. */
struct gofer_answer {
	uint64_t tag;
	int error; /* 0 or -errno */
	unsigned int fds;
	union {
		struct gofer_attach_reply attach;
		struct gofer_attr_reply attr;
		struct gofer_entry entry;
		struct gofer_walk_reply walk;
		struct gofer_lookup_reply lookup;
		struct gofer_open_many_reply open_many;
		struct gofer_bytes_reply bytes;
		struct gofer_readdir_reply readdir;
		struct gofer_statfs_reply statfs;
		struct gofer_copy_reply copy;
	};
	const void *tail; /* entries, bytes, dirents: in the message, not aligned */
	size_t tail_len;  /* bytes */
};

/* The tag of a reply, so that its request can be found. 0 or -EBADMSG: not even the head is whole.
 */
int gofer_reply_tag(const void *message, size_t len, uint64_t *ret_tag);

/*
 * Checks a reply to a request of this type: sizes, counts, names, an error in [-4095, 0], the
 * number of descriptors that it announces. 0 or -EPROTO.
 */
int gofer_reply_decode(const void *message, size_t len, uint32_t type, struct gofer_answer *ret);

/* Entry i of a WALK's answer; i < found. */
void gofer_answer_entry(const struct gofer_answer *a, unsigned int i, struct gofer_entry *ret);

/* Result i of a LOOKUP's answer; i < lookup.count. */
void gofer_answer_result(const struct gofer_answer *a, unsigned int i,
			 struct gofer_lookup_result *ret);

/* 0 or -errno of node i of an OPEN_MANY; i < open_many.count. */
int gofer_answer_opened(const struct gofer_answer *a, unsigned int i);

struct gofer_dirent_view {
	uint64_t ino, cookie;
	uint8_t type;
	uint8_t name_len;
	const char *name; /* NUL-terminated, in the message */
};

/*
 * The entries of a READDIR's answer: *at starts at 0. 1 and *ret, 0 at the end, -EPROTO (which
 * gofer_reply_decode() has excluded).
 */
int gofer_answer_dirent(const struct gofer_answer *a, size_t *at, struct gofer_dirent_view *ret);
