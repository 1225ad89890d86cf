/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of requests, and the server that clients talk to. */
#include "shim/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "lib/unit.h"

#define GET  "GET /p HTTP/1.1\r\nHost: x\r\n\r\n"
#define HOST "Host: x\r\n"

static void judge(const char *text, enum http_status wanted)
{
	char path[HTTP_PATH_MAX] = "unset";
	const enum http_status got = http_read_head(text, strlen(text), path);

	if (got != wanted)
		fail_msg("%d, not %d: %s", (int)got, (int)wanted, text);
	if (got != HTTP_OK)
		assert_string_equal(path, "unset");
}

static void malformed_requests_are_refused(void **state)
{
	static const char *const heads[] = {
		"\r\n" GET,
		"GET /p HTTP/1.1\n" HOST "\r\n",
		"GET /p HTTP/1.1\r\nHost: x\n\r\n",
		"\n",
		"GET\r\n" HOST "\r\n",
		"GET /p\r\n" HOST "\r\n",
		"GET  /p HTTP/1.1\r\n" HOST "\r\n",
		"GET /p  HTTP/1.1\r\n" HOST "\r\n",
		"GET /p HTTP/1.1 \r\n" HOST "\r\n",
		" GET /p HTTP/1.1\r\n" HOST "\r\n",
		"GET /p HTTP/1\r\n" HOST "\r\n",
		"GET /p http/1.1\r\n" HOST "\r\n",
		"GET p HTTP/1.1\r\n" HOST "\r\n",
		"GET http://x/p HTTP/1.1\r\n" HOST "\r\n",
		"GET /\x7f HTTP/1.1\r\n" HOST "\r\n",
		"GET /\xc3\xbc HTTP/1.1\r\n" HOST "\r\n",
		"GET /p\t HTTP/1.1\r\n" HOST "\r\n",
		"G(T /p HTTP/1.1\r\n" HOST "\r\n",
		"GET /p HTTP/1.1\r\n\r\n",
		"GET /p HTTP/1.1\r\n" HOST HOST "\r\n",
		"GET /p HTTP/1.1\r\nHost : x\r\n\r\n",
		"GET /p HTTP/1.1\r\n" HOST " folded\r\n\r\n",
		"GET /p HTTP/1.1\r\n" HOST "no colon\r\n\r\n",
		"GET /p HTTP/1.1\r\n" HOST ": x\r\n\r\n",
		"GET /p HTTP/1.1\r\n" HOST "A: \r\r\n\r\n",
		"GET /p HTTP/1.1\r\n" HOST "A: \x01\r\n\r\n",
		"GET /p HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n",
		"GET /p HTTP/1.1\r\n" HOST "content-length:\r\n\r\n",
		"GET /p HTTP/1.1\r\n" HOST "Content-Length: 0, 0\r\n\r\n",
		"GET /p HTTP/1.1\r\n" HOST "Content-Length: -0\r\n\r\n",
		"GET /p HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		judge(heads[i], HTTP_BAD_REQUEST);
}

static void other_methods_and_versions_are_refused(void **state)
{
	judge("POST /p HTTP/1.1\r\n", HTTP_METHOD_NOT_ALLOWED);
	judge("get /p HTTP/1.1\r\n", HTTP_METHOD_NOT_ALLOWED);
	judge("CONNECT x:1 HTTP/1.1\r\n", HTTP_METHOD_NOT_ALLOWED);
	judge("GET /p HTTP/2.0\r\n", HTTP_VERSION_NOT_SUPPORTED);
	judge("PRI * HTTP/2.0\r\n", HTTP_VERSION_NOT_SUPPORTED);
}

static void a_nul_is_no_character(void **state)
{
	static const char head[] = "GET /a\0b HTTP/1.1\r\n" HOST "\r\n";
	static const char value[] = "GET /p HTTP/1.1\r\nHost: a\0b\r\n\r\n";
	char path[HTTP_PATH_MAX];

	assert_int_equal(http_read_head(head, sizeof(head) - 1, path), HTTP_BAD_REQUEST);
	assert_int_equal(http_read_head(value, sizeof(value) - 1, path), HTTP_BAD_REQUEST);
}

static void too_long_is_refused(void **state)
{
	AUTO_BUF struct buf b = { 0 };
	char line[HTTP_LINE_MAX + 1];

	memset(line, 'a', sizeof(line));
	line[HTTP_LINE_MAX] = '\0';
	buf_printf(&b, "GET /%s", line);
	judge(b.data, HTTP_URI_TOO_LONG);
	b.len = 0;
	buf_printf(&b, "GET /p HTTP/1.1\r\n" HOST "A: %s", line);
	judge(b.data, HTTP_HEADERS_TOO_LARGE);
	b.len = 0;
	buf_puts(&b, "GET /p HTTP/1.1\r\n" HOST);
	for (unsigned int i = 0; i < HTTP_HEADERS_MAX; i++)
		buf_puts(&b, "A: b\r\n");
	judge(b.data, HTTP_HEADERS_TOO_LARGE);
	b.len = 0;
	buf_puts(&b, "GET /p HTTP/1.1\r\n" HOST);
	for (unsigned int i = 0; i < 5; i++)
		buf_printf(&b, "A: %.900s\r\n", line);
	judge(b.data, HTTP_HEADERS_TOO_LARGE);
}

static void a_head_is_read_byte_by_byte(void **state)
{
	static const char head[] = "GET /state?a=/b HTTP/1.1\r\nhost:x\r\nA: \xc3\xbc\t b \r\n"
				   "Content-Length: 0\r\n\r\n";
	char path[HTTP_PATH_MAX];

	for (size_t len = 0; len < sizeof(head) - 1; len++)
		assert_int_equal(http_read_head(head, len, path), HTTP_UNFINISHED);
	assert_int_equal(http_read_head(head, sizeof(head) - 1, path), HTTP_OK);
	assert_string_equal(path, "/state");
	judge("GET / HTTP/1.0\r\n\r\n", HTTP_OK);
}

/* ---- The server ---- */

struct world {
	struct loop *loop;
	struct http_server *server;
	struct http_call *held;
	unsigned int asked;
	char dir[64];
	struct sockaddr_un address;
};

static void handle(void *arg, struct http_call *call, const char *path)
{
	struct world *w = arg;

	w->asked++;
	if (strcmp(path, "/hold") == 0)
		w->held = call;
	else if (strcmp(path, "/big") == 0) {
		const int fd = memfd_create("big", MFD_CLOEXEC);

		assert_int_equal(ftruncate(fd, 1 << 20), 0);
		http_answer_file(call, "text/plain", fd, 1 << 20);
	} else
		http_fail(call, HTTP_NOT_FOUND, "nothing is there");
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct err err = { 0 };

	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/http.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->address.sun_family = AF_UNIX;
	(void)snprintf(w->address.sun_path, sizeof(w->address.sun_path), "%s/s", w->dir);
	assert_int_equal(bind(fd, (const struct sockaddr *)&w->address, sizeof(w->address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(loop_new(&w->loop), 0);
	assert_int_equal(
		http_server_new(w->loop, fd, (uint32_t)geteuid(), handle, w, &w->server, &err), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	http_server_free(w->server);
	if (w->held)
		http_fail(w->held, HTTP_UNAVAILABLE, "too late");
	loop_free(w->loop);
	(void)unlink(w->address.sun_path);
	(void)rmdir(w->dir);
	free(w);
	return 0;
}

static void serve(const struct world *w)
{
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_once(w->loop, 0), 0);
}

static int connect_to(const struct world *w)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&w->address, sizeof(w->address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	serve(w);
	return fd;
}

static void say(const struct world *w, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	serve(w);
}

/* All that comes until the end, which must come. */
static void hear(const struct world *w, int fd, struct buf *ret)
{
	for (int i = 0; i < 100000; i++) {
		char bytes[16384];
		const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		if (n == 0)
			return;
		if (n > 0)
			assert_int_equal(buf_append(ret, bytes, (size_t)n), 0);
		else
			assert_true(errno == EAGAIN);
		serve(w);
	}
	fail_msg("no end came");
}

static void a_refusal_says_why_and_ends(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int fd = connect_to(w);
	AUTO_BUF struct buf got = { 0 };

	say(w, fd, GET);
	hear(w, fd, &got);
	assert_string_equal(got.data,
			    "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"
			    "Content-Length: 17\r\nConnection: close\r\n\r\nnothing is there\n");
	assert_int_equal(http_server_counts(w->server).refused, 1);
}

static void another_method_is_told_which_there_is(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int fd = connect_to(w);
	AUTO_BUF struct buf got = { 0 };

	say(w, fd, "DELETE / HTTP/1.1\r\n" HOST "\r\n");
	hear(w, fd, &got);
	assert_non_null(strstr(got.data, "HTTP/1.1 405 Method Not Allowed\r\n"));
	assert_non_null(strstr(got.data, "\r\nAllow: GET\r\n"));
	assert_int_equal(w->asked, 0);
}

static void a_file_comes_whole(void **state)
{
	struct world *w = *state;
	AUTO_CLOSE int fd = connect_to(w);
	AUTO_BUF struct buf got = { 0 };

	/* A second request behind it is not heard. */
	say(w, fd, "GET /big HTTP/1.1\r\n" HOST "\r\n" GET);
	hear(w, fd, &got);
	assert_non_null(strstr(got.data, "\r\nContent-Length: 1048576\r\n"));
	assert_int_equal(got.len - (size_t)(strstr(got.data, "\r\n\r\n") + 4 - got.data), 1 << 20);
	assert_int_equal(w->asked, 1);
	assert_int_equal(http_server_counts(w->server).answered, 1);
}

static void a_client_that_goes_is_forgotten(void **state)
{
	struct world *w = *state;
	const int fd = connect_to(w);

	say(w, fd, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	assert_non_null(w->held);
	(void)close(fd);
	serve(w);
	http_fail(TAKE_PTR(w->held), HTTP_UNAVAILABLE, "nobody hears it");
	serve(w);
	assert_int_equal(http_server_counts(w->server).refused, 0);
}

static void one_too_many_is_told_to_come_again(void **state)
{
	struct world *w = *state;
	int clients[HTTP_CLIENTS_MAX];
	AUTO_BUF struct buf got = { 0 };
	int more;

	for (unsigned int i = 0; i < HTTP_CLIENTS_MAX; i++)
		clients[i] = connect_to(w);
	more = connect_to(w);
	hear(w, more, &got);
	assert_non_null(strstr(got.data, "HTTP/1.1 503 "));
	(void)close(more);
	/* And there is room when one has gone. */
	(void)close(clients[0]);
	serve(w);
	clients[0] = connect_to(w);
	say(w, clients[0], GET);
	got.len = 0;
	hear(w, clients[0], &got);
	assert_non_null(strstr(got.data, "HTTP/1.1 404 "));
	for (unsigned int i = 0; i < HTTP_CLIENTS_MAX; i++)
		(void)close(clients[i]);
}

int main(void)
{
#define SERVED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_requests_are_refused),
		cmocka_unit_test(other_methods_and_versions_are_refused),
		cmocka_unit_test(a_nul_is_no_character),
		cmocka_unit_test(too_long_is_refused),
		cmocka_unit_test(a_head_is_read_byte_by_byte),
		SERVED(a_refusal_says_why_and_ends),
		SERVED(another_method_is_told_which_there_is),
		SERVED(a_file_comes_whole),
		SERVED(a_client_that_goes_is_forgotten),
		SERVED(one_too_many_is_told_to_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
