/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies, as the sentry reads them: the gofer works on files of strangers and may have fallen to
 * one of them, so its words are checked like a guest's.
 */
#include "wire/gofer_codec.h"

#include <errno.h>
#include <string.h>

#define ERRNO_MAX 4095 /* what a host call returns at most */

int gofer_reply_tag(const void *message, size_t len, uint64_t *ret_tag)
{
	struct gofer_reply head;

	if (len < sizeof(head) || len > GOFER_MESSAGE_MAX)
		return -EBADMSG;
	memcpy(&head, message, sizeof(head));
	if (head.size != len)
		return -EBADMSG;
	*ret_tag = head.tag;
	return 0;
}

/* Bytes of fields behind the head of a successful reply. */
static size_t fields_of(uint32_t type)
{
	switch (type) {
	case GOFER_ATTACH:
		return sizeof(struct gofer_attach_reply);
	case GOFER_WALK:
		return sizeof(struct gofer_walk_reply);
	case GOFER_LOOKUP:
		return sizeof(struct gofer_lookup_reply);
	case GOFER_OPEN_MANY:
		return sizeof(struct gofer_open_many_reply);
	case GOFER_GETATTR:
	case GOFER_SETATTR:
	case GOFER_OPEN:
	case GOFER_LINK:
		return sizeof(struct gofer_attr_reply);
	case GOFER_CREATE:
	case GOFER_TMPFILE:
	case GOFER_MKDIR:
	case GOFER_SYMLINK:
	case GOFER_MKNOD:
	case GOFER_BIND:
		return sizeof(struct gofer_entry);
	case GOFER_READLINK:
	case GOFER_GETXATTR:
	case GOFER_LISTXATTR:
		return sizeof(struct gofer_bytes_reply);
	case GOFER_READDIR:
		return sizeof(struct gofer_readdir_reply);
	case GOFER_STATFS:
		return sizeof(struct gofer_statfs_reply);
	case GOFER_COPY_RANGE:
		return sizeof(struct gofer_copy_reply);
	default:
		return 0;
	}
}

static bool error_valid(int32_t error)
{
	return error <= 0 && error >= -ERRNO_MAX;
}

static bool dirents_valid(const struct gofer_answer *a)
{
	struct gofer_dirent_view view;
	size_t at = 0;
	uint32_t n = 0;
	int r;

	while ((r = gofer_answer_dirent(a, &at, &view)) > 0)
		n++;
	return r == 0 && n == a->readdir.count;
}

/* GETXATTR and LISTXATTR that ask for the length alone have a len and no bytes. */
static bool bytes_valid(uint32_t type, const struct gofer_answer *a)
{
	if (a->bytes.reserved || a->bytes.len > GOFER_MESSAGE_MAX)
		return false;
	if (a->tail_len == 0 && type != GOFER_READLINK)
		return true;
	if (type == GOFER_READLINK && (a->bytes.len == 0 || a->bytes.len > GOFER_SYMLINK_MAX ||
				       memchr(a->tail, '\0', a->tail_len)))
		return false;
	return a->tail_len == a->bytes.len;
}

static bool results_valid(const struct gofer_answer *a)
{
	struct gofer_lookup_result result;

	if (a->lookup.reserved || a->lookup.count > GOFER_LOOKUP_MAX ||
	    a->tail_len != a->lookup.count * sizeof(result))
		return false;
	for (uint32_t i = 0; i < a->lookup.count; i++) {
		gofer_answer_result(a, i, &result);
		if (!error_valid(result.error) || result.reserved)
			return false;
	}
	return true;
}

static bool opened_valid(const struct gofer_answer *a)
{
	unsigned int fds = 0;

	if (a->open_many.reserved || a->open_many.count > GOFER_OPEN_MAX ||
	    a->tail_len != a->open_many.count * sizeof(int32_t))
		return false;
	for (uint32_t i = 0; i < a->open_many.count; i++) {
		const int error = gofer_answer_opened(a, i);

		if (!error_valid(error))
			return false;
		fds += error == 0;
	}
	return fds == a->fds;
}

static bool tail_valid(uint32_t type, const struct gofer_answer *a)
{
	switch (type) {
	case GOFER_WALK:
		return a->walk.found <= GOFER_WALK_MAX && error_valid(a->walk.stop) &&
		       a->tail_len == a->walk.found * sizeof(struct gofer_entry);
	case GOFER_LOOKUP:
		return results_valid(a);
	case GOFER_OPEN_MANY:
		return opened_valid(a);
	case GOFER_READLINK:
	case GOFER_GETXATTR:
	case GOFER_LISTXATTR:
		return bytes_valid(type, a);
	case GOFER_READDIR:
		return dirents_valid(a);
	default:
		return a->tail_len == 0;
	}
}

static bool brings_descriptor(uint32_t type)
{
	return type == GOFER_OPEN || type == GOFER_CREATE || type == GOFER_TMPFILE ||
	       type == GOFER_CONNECT || type == GOFER_BIND || type == GOFER_READER;
}

int gofer_reply_decode(const void *message, size_t len, uint32_t type, struct gofer_answer *ret)
{
	const size_t fixed = fields_of(type);
	const char *at = message;
	struct gofer_reply head;

	memset(ret, 0, sizeof(*ret));
	if (len < sizeof(head) || len > GOFER_MESSAGE_MAX)
		return -EPROTO;
	memcpy(&head, at, sizeof(head));
	ret->tag = head.tag;
	ret->error = head.error;
	ret->fds = head.fds;
	if (head.size != len || head.type != type || !error_valid(head.error))
		return -EPROTO;
	len -= sizeof(head);
	if (head.error)
		return len == 0 && head.fds == 0 ? 0 : -EPROTO;
	if ((type != GOFER_OPEN_MANY && head.fds != brings_descriptor(type)) || len < fixed)
		return -EPROTO;
	memcpy(&ret->attach, at + sizeof(head), fixed);
	ret->tail = at + sizeof(head) + fixed;
	ret->tail_len = len - fixed;
	return tail_valid(type, ret) ? 0 : -EPROTO;
}

void gofer_answer_entry(const struct gofer_answer *a, unsigned int i, struct gofer_entry *ret)
{
	memcpy(ret, (const char *)a->tail + i * sizeof(*ret), sizeof(*ret));
}

void gofer_answer_result(const struct gofer_answer *a, unsigned int i,
			 struct gofer_lookup_result *ret)
{
	memcpy(ret, (const char *)a->tail + i * sizeof(*ret), sizeof(*ret));
}

int gofer_answer_opened(const struct gofer_answer *a, unsigned int i)
{
	int32_t error;

	memcpy(&error, (const char *)a->tail + i * sizeof(error), sizeof(error));
	return error;
}

int gofer_answer_dirent(const struct gofer_answer *a, size_t *at, struct gofer_dirent_view *ret)
{
	const char *p = (const char *)a->tail + *at;
	const size_t left = a->tail_len - *at;
	struct gofer_dirent d;

	if (left == 0)
		return 0;
	if (left < sizeof(d))
		return -EPROTO;
	memcpy(&d, p, sizeof(d));
	p += sizeof(d);
	if (left < sizeof(d) + d.name_len + 1u || p[d.name_len] != '\0' ||
	    !gofer_name_valid(p, d.name_len))
		return -EPROTO;
	*ret = (struct gofer_dirent_view){
		.ino = d.ino, .cookie = d.cookie, .type = d.type, .name_len = d.name_len, .name = p
	};
	*at += sizeof(d) + d.name_len + 1u;
	return 1;
}
