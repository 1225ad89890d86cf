/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/http.h - an HTTP/1.1 server on an event loop: GET, one request for each connection, answers
 * whose bytes somebody else made (http_request.h has the reader).
 *
 * A client has HTTP_HEAD_MS for its request and HTTP_SEND_MS for taking the answer. Time that the
 * answer takes to be made is its maker's affair.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "shim/http_request.h"

#define HTTP_CLIENTS_MAX 16u
#define HTTP_HEAD_MS	 5000
#define HTTP_SEND_MS	 10000
#define HTTP_BODY_MAX	 (16u << 20)

struct http_server;

/* One request. It is the handler's until it is answered, and outlives its connection. */
struct http_call;

/* `path` goes when the function returns. */
typedef void http_fn(void *arg, struct http_call *call, const char *path);

struct http_counts {
	uint64_t answered, refused; /* 200; anything else */
};

/* `sock`: a listening unix socket, which becomes the server's; only peers of `uid` are heard. */
int http_server_new(struct loop *loop, int sock, uint32_t uid, http_fn *fn, void *arg,
		    struct http_server **ret, struct err *err);
/* Connections end. Calls that wait may be answered still. Accepts NULL. */
void http_server_free(struct http_server *s);

struct http_counts http_server_counts(const struct http_server *s);

/* The first `len` bytes of the file `fd`, which becomes the call's. */
void http_answer_file(struct http_call *call, const char *type, int fd, size_t len);
/* A sentence: why not. */
void http_fail(struct http_call *call, enum http_status status, const char *text);
