/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/ttrpc_frame.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ttrpc_head_put(const struct ttrpc_head *head, uint8_t ret[static TTRPC_HEAD])
{
	const uint32_t length = htobe32(head->length), stream = htobe32(head->stream);

	memcpy(ret, &length, sizeof(length));
	memcpy(ret + 4, &stream, sizeof(stream));
	ret[8] = head->type;
	ret[9] = head->flags;
}

void ttrpc_head_get(const uint8_t bytes[static TTRPC_HEAD], struct ttrpc_head *ret)
{
	uint32_t length, stream;

	memcpy(&length, bytes, sizeof(length));
	memcpy(&stream, bytes + 4, sizeof(stream));
	*ret = (struct ttrpc_head){ be32toh(length), be32toh(stream), bytes[8], bytes[9] };
}

/* ---- Decoding ---- */

/*
 * What protobuf-c allocates for one message is chained: freeing needs no knowledge of its type, and
 * what it would free meanwhile counts until the end.
 */
struct ttrpc_block {
	struct ttrpc_block *next;
	_Alignas(max_align_t) char bytes[];
};

struct arena {
	struct ttrpc_block *blocks;
	size_t left;
};

static void *arena_alloc(void *arg, size_t size)
{
	struct arena *a = arg;
	struct ttrpc_block *b;

	if (a->left < sizeof(*b) || size > a->left - sizeof(*b))
		return NULL;
	b = malloc(sizeof(*b) + size);
	if (!b)
		return NULL;
	a->left -= sizeof(*b) + size;
	b->next = a->blocks;
	a->blocks = b;
	return b->bytes;
}

static void arena_free(void *arg, void *pointer)
{
	(void)arg;
	(void)pointer;
}

void ttrpc_message_done(struct ttrpc_message *m)
{
	while (m->blocks) {
		struct ttrpc_block *b = m->blocks;

		m->blocks = b->next;
		free(b);
	}
	m->root = NULL;
}

int ttrpc_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t len,
		 struct ttrpc_message *ret)
{
	struct arena arena = { .left = TTRPC_DECODED_MAX };
	ProtobufCAllocator allocator = { arena_alloc, arena_free, &arena };

	ret->root = protobuf_c_message_unpack(type, &allocator, len, bytes);
	ret->blocks = arena.blocks;
	if (ret->root)
		return 0;
	ttrpc_message_done(ret);
	return -EBADMSG;
}

/* ---- Encoding ---- */

int ttrpc_frame_append(struct buf *b, uint32_t stream, enum ttrpc_type type,
		       const ProtobufCMessage *message)
{
	const size_t len = protobuf_c_message_get_packed_size(message);
	const struct ttrpc_head head = { .length = (uint32_t)len,
					 .stream = stream,
					 .type = (uint8_t)type };
	int r;

	if (len > TTRPC_MESSAGE_MAX)
		return -E2BIG;
	r = buf_reserve(b, TTRPC_HEAD + len);
	if (r < 0) {
		b->error = 0;
		return r;
	}
	ttrpc_head_put(&head, (uint8_t *)b->data + b->len);
	(void)protobuf_c_message_pack(message, (uint8_t *)b->data + b->len + TTRPC_HEAD);
	b->len += TTRPC_HEAD + len;
	b->data[b->len] = '\0';
	return 0;
}
