/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table says what a request of each type looks like; encoder and decoder both walk it, so they
 * cannot differ. Lengths come from a hostile peer: each is compared with what is left of the
 * message before it is used, and nothing may be left over.
 */
#include "wire/gofer_codec.h"

#include <errno.h>
#include <linux/xattr.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct shape {
	uint8_t fixed;	  /* bytes of fields */
	uint8_t names;	  /* number of names; 255: a field says it */
	uint8_t min_blob; /* a blob follows, of at least so many bytes */
	uint8_t has_blob;
};

#define NAMES_COUNTED 255

static bool shape_of(uint32_t type, struct shape *ret)
{
	static const struct shape shapes[GOFER_TYPE_MAX] = {
		[GOFER_ATTACH] = { sizeof(struct gofer_attach), 0, 0, 0 },
		[GOFER_WALK] = { sizeof(struct gofer_walk), NAMES_COUNTED, 0, 0 },
		[GOFER_GETATTR] = { sizeof(struct gofer_node), 0, 0, 0 },
		[GOFER_SETATTR] = { sizeof(struct gofer_setattr), 0, 0, 0 },
		[GOFER_OPEN] = { sizeof(struct gofer_open), 0, 0, 0 },
		[GOFER_CREATE] = { sizeof(struct gofer_make), 1, 0, 0 },
		[GOFER_MKDIR] = { sizeof(struct gofer_make), 1, 0, 0 },
		[GOFER_SYMLINK] = { sizeof(struct gofer_symlink), 1, 1, 1 },
		[GOFER_MKNOD] = { sizeof(struct gofer_make), 1, 0, 0 },
		[GOFER_LINK] = { sizeof(struct gofer_link), 1, 0, 0 },
		[GOFER_UNLINK] = { sizeof(struct gofer_unlink), 1, 0, 0 },
		[GOFER_RENAME] = { sizeof(struct gofer_rename), 2, 0, 0 },
		[GOFER_READLINK] = { sizeof(struct gofer_node), 0, 0, 0 },
		[GOFER_READDIR] = { sizeof(struct gofer_readdir), 0, 0, 0 },
		[GOFER_STATFS] = { sizeof(struct gofer_node), 0, 0, 0 },
		[GOFER_GETXATTR] = { sizeof(struct gofer_xattr), 1, 0, 0 },
		[GOFER_SETXATTR] = { sizeof(struct gofer_setxattr), 1, 0, 1 },
		[GOFER_LISTXATTR] = { sizeof(struct gofer_xattr), 0, 0, 0 },
		[GOFER_REMOVEXATTR] = { sizeof(struct gofer_xattr), 1, 0, 0 },
		[GOFER_FSYNC] = { sizeof(struct gofer_fsync), 0, 0, 0 },
		[GOFER_CLOSE] = { sizeof(struct gofer_close), 0, 1, 1 },
		[GOFER_COPY_RANGE] = { sizeof(struct gofer_copy_range), 0, 0, 0 },
		[GOFER_CONNECT] = { sizeof(struct gofer_connect), 0, 0, 0 },
		[GOFER_BIND] = { sizeof(struct gofer_bind), 1, 0, 0 },
		[GOFER_TMPFILE] = { sizeof(struct gofer_make), 0, 0, 0 },
		[GOFER_STAY] = { sizeof(struct gofer_stay), 0, 0, 0 },
		[GOFER_LOOKUP] = { sizeof(struct gofer_lookup), NAMES_COUNTED, 0, 0 },
		[GOFER_READER] = { 0, 0, 0, 0 },
		[GOFER_OPEN_MANY] = { sizeof(struct gofer_open_many), 0, 1, 1 },
	};

	if (type == 0 || type >= GOFER_TYPE_MAX)
		return false;
	*ret = shapes[type];
	return true;
}

/* How many bytes of blob the fields announce; -EPROTO past the limit of the type. */
static int64_t blob_length(const struct gofer_request *r)
{
	switch (r->type) {
	case GOFER_SYMLINK:
		return r->symlink.target_len <= GOFER_SYMLINK_MAX ? (int64_t)r->symlink.target_len
								  : -EPROTO;
	case GOFER_SETXATTR:
		return r->setxattr.value_len <= GOFER_XATTR_MAX ? (int64_t)r->setxattr.value_len
								: -EPROTO;
	case GOFER_CLOSE:
		return r->close.count <= GOFER_CLOSE_MAX
			       ? (int64_t)(r->close.count * sizeof(uint64_t))
			       : -EPROTO;
	case GOFER_OPEN_MANY:
		return r->open_many.count <= GOFER_OPEN_MAX
			       ? (int64_t)(r->open_many.count * sizeof(uint64_t))
			       : -EPROTO;
	default:
		return 0;
	}
}

static bool socket_type_valid(uint32_t type)
{
	return type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET;
}

static bool flags_valid(const struct gofer_request *r)
{
	const uint32_t set = r->setattr.valid;

	switch (r->type) {
	case GOFER_SETATTR:
		return !(set & ~GOFER_SET_ALL) && set &&
		       !((set & GOFER_SET_ATIME) && (set & GOFER_SET_ATIME_NOW)) &&
		       !((set & GOFER_SET_MTIME) && (set & GOFER_SET_MTIME_NOW)) &&
		       !((set & GOFER_SET_MODE) && (r->setattr.mode & ~07777u)) &&
		       !((set & GOFER_SET_SIZE) && r->setattr.size > INT64_MAX);
	case GOFER_OPEN:
		return !(r->open.flags & ~GOFER_OPEN_ALL) && (r->open.flags & 3) &&
		       (!(r->open.flags & GOFER_OPEN_TRUNC) || (r->open.flags & GOFER_OPEN_WRITE));
	case GOFER_CREATE:
	case GOFER_TMPFILE:
		return !(r->make.flags & ~3u) && r->make.flags && !(r->make.mode & ~07777u);
	case GOFER_MKDIR:
		return !r->make.flags && !(r->make.mode & ~07777u);
	case GOFER_MKNOD:
		return !r->make.flags && !(r->make.mode & ~(07777u | S_IFMT));
	case GOFER_UNLINK:
		return !(r->unlink.flags & ~GOFER_UNLINK_DIR);
	case GOFER_CONNECT:
		return socket_type_valid(r->connect.socket_type);
	case GOFER_BIND:
		return socket_type_valid(r->bind.socket_type) && r->bind.mode <= 07777;
	case GOFER_RENAME:
		return r->rename.flags <= GOFER_RENAME_EXCHANGE;
	case GOFER_GETXATTR:
	case GOFER_LISTXATTR:
		return r->xattr.max_bytes <= GOFER_XATTR_MAX;
	case GOFER_REMOVEXATTR:
		return !r->xattr.max_bytes;
	case GOFER_SETXATTR:
		return r->setxattr.flags <= XATTR_REPLACE;
	case GOFER_FSYNC:
		return r->fsync.data_only <= 1;
	case GOFER_STAY:
		return r->stay.cpu < GOFER_CPUS_MAX || r->stay.cpu == GOFER_ANYWHERE;
	case GOFER_COPY_RANGE:
		return r->copy.in_offset <= INT64_MAX && r->copy.out_offset <= INT64_MAX;
	default:
		return true;
	}
}

static bool reserved_zero(const struct gofer_request *r)
{
	switch (r->type) {
	case GOFER_WALK:
		return !r->walk.reserved;
	case GOFER_LOOKUP:
		return !r->lookup.reserved;
	case GOFER_OPEN:
		return !r->open.reserved;
	case GOFER_OPEN_MANY:
		return !r->open_many.reserved;
	case GOFER_SYMLINK:
		return !r->symlink.reserved;
	case GOFER_UNLINK:
		return !r->unlink.reserved;
	case GOFER_CONNECT:
		return !r->connect.reserved;
	case GOFER_RENAME:
		return !r->rename.reserved;
	case GOFER_READDIR:
		return !r->readdir.reserved;
	case GOFER_GETXATTR:
	case GOFER_LISTXATTR:
	case GOFER_REMOVEXATTR:
		return !r->xattr.reserved;
	case GOFER_FSYNC:
		return !r->fsync.reserved;
	case GOFER_CLOSE:
		return !r->close.reserved;
	case GOFER_STAY:
		return !r->stay.reserved;
	default:
		return true;
	}
}

bool gofer_name_valid(const char *name, size_t len)
{
	if (len == 0 || len > GOFER_NAME_MAX || memchr(name, '\0', len) || memchr(name, '/', len))
		return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

static bool is_xattr(uint32_t type)
{
	return type == GOFER_GETXATTR || type == GOFER_SETXATTR || type == GOFER_REMOVEXATTR;
}

/* The name of an attribute is no path: any bytes but NUL (xattr(7)). */
static bool name_fits(uint32_t type, const char *name, size_t len)
{
	if (is_xattr(type))
		return len > 0 && len <= GOFER_NAME_MAX && !memchr(name, '\0', len);
	return gofer_name_valid(name, len);
}

/* 0, -EPROTO, or -EINVAL once all lengths are known to be right. */
static int decode_names(struct gofer_request *r, unsigned int count, const char **at,
			const char *end)
{
	int bad = 0;

	for (unsigned int i = 0; i < count; i++) {
		size_t len;

		if (end - *at < 2)
			return -EPROTO;
		len = (uint8_t) * *at;
		if ((size_t)(end - *at) < len + 2 || (*at)[1 + len] != '\0')
			return -EPROTO;
		if (!name_fits(r->type, *at + 1, len))
			bad = -EINVAL;
		r->names[i] = *at + 1;
		*at += len + 2;
	}
	r->names_len = count;
	return bad;
}

/* Where a field says how many names there are: within its limit. */
static bool count_names(const struct gofer_request *r, struct shape *shape)
{
	const bool walk = r->type == GOFER_WALK;
	const uint32_t count = walk ? r->walk.count : r->lookup.count;

	if (shape->names != NAMES_COUNTED)
		return true;
	if (count == 0 || count > (walk ? GOFER_WALK_MAX : GOFER_LOOKUP_MAX))
		return false;
	shape->names = (uint8_t)count;
	return true;
}

int gofer_request_decode(const void *message, size_t len, struct gofer_request *ret)
{
	struct gofer_request_head head;
	const char *at = message, *end = at + len;
	struct shape shape;
	int64_t blob;
	int bad;

	memset(ret, 0, sizeof(*ret));
	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, at, sizeof(head));
	at += sizeof(head);
	ret->type = head.type;
	ret->tag = head.tag;
	if (head.size != len || len > GOFER_MESSAGE_MAX || !shape_of(head.type, &shape) ||
	    (size_t)(end - at) < shape.fixed)
		return -EPROTO;
	memcpy(&ret->attach, at, shape.fixed);
	at += shape.fixed;
	if (!reserved_zero(ret))
		return -EPROTO;
	if (!count_names(ret, &shape))
		return -EPROTO;
	bad = decode_names(ret, shape.names, &at, end);
	if (bad == -EPROTO)
		return bad;
	blob = blob_length(ret);
	if (blob < shape.min_blob || blob != end - at)
		return -EPROTO;
	if (shape.has_blob)
		ret->blob = at;
	ret->blob_len = (size_t)blob;
	if (ret->type == GOFER_SYMLINK && memchr(at, '\0', ret->blob_len))
		bad = -EINVAL;
	return bad ? bad : flags_valid(ret) ? 0 : -EINVAL;
}

int gofer_request_encode(const struct gofer_request *r, void *message)
{
	struct gofer_request_head head = { .type = r->type, .tag = r->tag };
	char *at = message, *const end = at + GOFER_MESSAGE_MAX;
	struct shape shape;

	if (!shape_of(r->type, &shape) || !count_names(r, &shape))
		return -EINVAL;
	at += sizeof(head);
	memcpy(at, &r->attach, shape.fixed);
	at += shape.fixed;
	for (unsigned int i = 0; i < shape.names; i++) {
		const size_t n = strlen(r->names[i]);

		if (n > GOFER_NAME_MAX)
			return -ENAMETOOLONG;
		if (!name_fits(r->type, r->names[i], n))
			return -EINVAL;
		if ((size_t)(end - at) < n + 2)
			return -E2BIG;
		*at++ = (char)(uint8_t)n;
		memcpy(at, r->names[i], n + 1);
		at += n + 1;
	}
	if (shape.has_blob) {
		if (r->blob_len > (size_t)(end - at))
			return -E2BIG;
		if (r->blob_len)
			memcpy(at, r->blob, r->blob_len);
		at += r->blob_len;
	}
	head.size = (uint32_t)(at - (char *)message);
	memcpy(message, &head, sizeof(head));
	return (int)head.size;
}
