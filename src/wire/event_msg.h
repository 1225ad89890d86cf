/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/event_msg.h - records of the typed event stream (docs/EVENTS.md).
 *
 * A record is struct event_head, then the fields of `common`, then those of its event, in the order
 * of wire/events.def: numbers as 8 bytes, a text as its length (4 bytes, EVENT_CUT when it was cut)
 * and its bytes, a list as the number of its texts (with EVENT_CUT) and the texts. Little-endian.
 * Records follow each other in a file; on a SOCK_SEQPACKET socket each is a message.
 *
 * A reader skips what it does not know: events with larger numbers, and bytes behind the fields
 * that it knows. Another version is another form.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_VERSION	 1u
#define EVENT_TEXT_MAX	 1024u	/* bytes of one text */
#define EVENT_LIST_MAX	 64u	/* texts of a list */
#define EVENT_LIST_BYTES 4096u	/* of all texts of a list */
#define EVENT_RECORD_MAX 16384u /* bytes of a record, head included */
#define EVENT_CUT	 0x80000000u

struct event_head {
	uint32_t size;	   /* bytes of the record, head included */
	uint16_t version;  /* EVENT_VERSION */
	uint16_t type;	   /* number of wire/events.def, not 0 */
	uint64_t sequence; /* of this stream, from 1; those of lost records are missing */
	uint64_t time_ns;  /* since the epoch */
};

_Static_assert(sizeof(struct event_head) == 24, "wire");

enum event_type {
#define EVENT(number, name, what) EVENT_##name = (number),
#define FIELD(event, kind, name, what)
#define END(event)
#include "wire/events.def"
#undef EVENT
#undef FIELD
#undef END
	EVENT_TYPES, /* one above the last */
};

struct event_text {
	const char *bytes; /* borrowed; not NUL-terminated */
	uint32_t len;
	bool cut;
};

struct event_list {
	struct event_text items[EVENT_LIST_MAX];
	uint32_t len;
	bool cut;
};

typedef int64_t event_kind_i64;
typedef uint64_t event_kind_u64;
typedef uint64_t event_kind_hex;
typedef struct event_text event_kind_text;
typedef struct event_list event_kind_list;

/* struct event_open and so on: the fields of an event in C. */
#define EVENT(number, name, what)      struct event_##name {
#define FIELD(event, kind, name, what) event_kind_##kind name;
#define END(event) \
	}          \
	;
#include "wire/events.def"
#undef EVENT
#undef FIELD
#undef END

/* One record in C: `fields` is a struct event_NAME of its type. */
struct event_record {
	struct event_head head;
	struct event_common common;
	union {
#define EVENT(number, name, what) struct event_##name name;
#define FIELD(event, kind, name, what)
#define END(event)
#include "wire/events.def"
#undef EVENT
#undef FIELD
#undef END
	} u;
};
