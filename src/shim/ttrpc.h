/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/ttrpc.h - a ttrpc server on an event loop: containerd's calls to its shims.
 *
 * A connection carries frames: a head of ten bytes (length, stream, type, flags; big-endian) and a
 * protobuf message. A client numbers its requests 1, 3, 5 ...; each is answered once, in any order,
 * by a response of the same number (ttrpc, "Protocol Specification"). Streams (DATA frames) are not
 * offered: no call of a shim has them.
 *
 * What a peer sends is decoded with limits; what it gets wrong is answered with a status, and only
 * a frame that nothing can be made of ends the connection.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

#define TTRPC_CONNECTIONS_MAX 256u	  /* containerd has one for each container of a pod */
#define TTRPC_CALLS_MAX	      1024u	  /* of one connection that wait for their answers */
#define TTRPC_OUT_MAX	      (16u << 20) /* bytes of answers that a peer has not read */

/* Of gRPC (google.rpc.Code). */
enum ttrpc_code {
	TTRPC_OK = 0,
	TTRPC_CANCELED = 1,
	TTRPC_UNKNOWN = 2,
	TTRPC_INVALID_ARGUMENT = 3,
	TTRPC_DEADLINE_EXCEEDED = 4,
	TTRPC_NOT_FOUND = 5,
	TTRPC_ALREADY_EXISTS = 6,
	TTRPC_PERMISSION_DENIED = 7,
	TTRPC_RESOURCE_EXHAUSTED = 8,
	TTRPC_FAILED_PRECONDITION = 9,
	TTRPC_UNIMPLEMENTED = 12,
	TTRPC_INTERNAL = 13,
	TTRPC_UNAVAILABLE = 14,
};

struct ttrpc_server;

/*
 * One request that waits for its answer. It is the method's until ttrpc_answer() or ttrpc_fail(),
 * which free it, and outlives its connection: an answer that nobody wants any more is dropped.
 */
struct ttrpc_call;

/* `request` is of the method's type and goes when the function returns. */
typedef void ttrpc_method_fn(void *arg, struct ttrpc_call *call, const ProtobufCMessage *request);

struct ttrpc_method {
	const char *name;
	const ProtobufCMessageDescriptor *request;
	ttrpc_method_fn *fn;
};

struct ttrpc_service {
	const char *name; /* "containerd.task.v2.Task" */
	const struct ttrpc_method *methods;
	size_t methods_len;
};

/*
 * `listener`: a listening unix socket, which becomes the server's; only peers of `uid` are heard.
 * `services` and `arg` outlive the server.
 */
int ttrpc_server_new(struct loop *loop, int listener, uint32_t uid,
		     const struct ttrpc_service *services, size_t services_len, void *arg,
		     struct ttrpc_server **ret, struct err *err);
/* No connection more, and those that are there end. Calls that wait may be answered still. */
void ttrpc_server_free(struct ttrpc_server *s);

struct ttrpc_counts {
	uint64_t calls;	      /* that came */
	unsigned int waiting; /* for their answers, with their connections there */
	unsigned int connections;
};
struct ttrpc_counts ttrpc_server_counts(const struct ttrpc_server *s);

/* Every answer that was given has been written, or its connection has ended. */
bool ttrpc_server_quiet(const struct ttrpc_server *s);

void ttrpc_answer(struct ttrpc_call *call, const ProtobufCMessage *response);
void ttrpc_fail(struct ttrpc_call *call, enum ttrpc_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Somebody still waits for the answer: the connection is there, and the caller's time is not over.
 */
bool ttrpc_call_is_wanted(const struct ttrpc_call *call);

/* Milliseconds that the caller has given it; 0: as long as it takes. */
uint32_t ttrpc_call_timeout_ms(const struct ttrpc_call *call);
