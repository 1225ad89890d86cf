/* SPDX-License-Identifier: Apache-2.0 */
/* shim/ttrpc_frame.h - heads of ttrpc frames, and protobuf messages decoded within a limit. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define TTRPC_HEAD	  10
#define TTRPC_MESSAGE_MAX (4u << 20)  /* bytes behind a head, as every implementation has it */
#define TTRPC_DECODED_MAX (32u << 20) /* bytes that one decoded message may take */

enum ttrpc_type { TTRPC_REQUEST = 1, TTRPC_RESPONSE = 2, TTRPC_DATA = 3 };

struct ttrpc_head {
	uint32_t length; /* of the message */
	uint32_t stream;
	uint8_t type; /* enum ttrpc_type */
	uint8_t flags;
};

void ttrpc_head_put(const struct ttrpc_head *head, uint8_t ret[static TTRPC_HEAD]);
void ttrpc_head_get(const uint8_t bytes[static TTRPC_HEAD], struct ttrpc_head *ret);

/* A message and all that belongs to it. */
struct ttrpc_message {
	ProtobufCMessage *root; /* of the type that was asked for */
	struct ttrpc_block *blocks;
};
#define TTRPC_MESSAGE_INIT \
	{                  \
		0          \
	}
void ttrpc_message_done(struct ttrpc_message *m);
#define AUTO_TTRPC_MESSAGE AUTO(ttrpc_message_done)

/*
 * -EBADMSG: the bytes are no message of the type, or it would take more than TTRPC_DECODED_MAX (a
 * field of two bytes may ask for a hundred).
 */
int ttrpc_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t len,
		 struct ttrpc_message *ret);

/* Appends a head and the message. -E2BIG, -ENOMEM: the buffer is as it was. */
int ttrpc_frame_append(struct buf *b, uint32_t stream, enum ttrpc_type type,
		       const ProtobufCMessage *message);
