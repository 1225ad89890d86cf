/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "base/fd.h"
#include "host/sockets.h"

struct place {
	char dir[32];
	char socket[64];
	int listener;
};

static void place_make(struct place *p)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(p->dir, "/tmp/test_sockets_XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->socket, sizeof(p->socket), "%s/s", p->dir);
	strcpy(address.sun_path, p->socket);
	p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(p->listener, 4), 0);
}

static void place_remove(struct place *p)
{
	close(p->listener);
	unlink(p->socket);
	rmdir(p->dir);
}

static void what_is_no_socket_is_refused_with_its_path(void **state)
{
	const int before = open_descriptors();
	struct err err = { 0 };

	assert_int_equal(socket_connect("", &err), -ENOENT);
	assert_int_equal(socket_connect("/etc/passwd", &err), -ECONNREFUSED);
	assert_says(err, "/etc/passwd");
	assert_int_equal(socket_connect("/etc/passwd/x", &err), -ENOTDIR);
	assert_int_equal(socket_connect("/tmp", &err), -ECONNREFUSED);
	assert_int_equal(socket_connect("/nonexistent/socket", &err), -ENOENT);
	assert_says(err, "/nonexistent/socket");
	assert_int_equal(open_descriptors(), before);
}

/* A datagram socket takes no stream connection. */
static void a_socket_of_another_kind_is_refused(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/test_sockets_XXXXXX";
	const int server = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct err err = { 0 };

	assert_non_null(mkdtemp(dir));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(socket_connect(address.sun_path, &err), -EPROTOTYPE);
	close(server);
	unlink(address.sun_path);
	rmdir(dir);
}

static void a_descriptor_that_is_none_cannot_be_sent(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/test_sockets_XXXXXX";
	const int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int before = open_descriptors();
	struct err err = { 0 };

	assert_non_null(mkdtemp(dir));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(socket_send_fd(address.sun_path, "x", 1, 9999, &err), -EBADF);
	assert_int_equal(open_descriptors(), before);
	close(server);
	unlink(address.sun_path);
	rmdir(dir);
}

static void a_socket_without_a_listener_is_refused(void **state)
{
	struct place p;
	struct err err = { 0 };

	place_make(&p);
	close(p.listener);
	p.listener = -EBADF;
	assert_int_equal(socket_connect(p.socket, &err), -ECONNREFUSED);
	place_remove(&p);
}

static void the_descriptor_arrives_with_the_message(void **state)
{
	const int memory = memfd_create("sent", MFD_CLOEXEC);
	struct place p;
	struct err err = { 0 };
	struct stat sent, got;
	char text[64] = { 0 };
	int peer, received = -1;
	size_t nfds = 1;

	place_make(&p);
	assert_int_equal(socket_send_fd(p.socket, "name", 4, memory, &err), 0);
	peer = accept(p.listener, NULL, NULL);
	assert_int_equal(fd_recv(peer, text, sizeof(text) - 1, &received, &nfds), 4);
	assert_int_equal(nfds, 1);
	assert_string_equal(text, "name");
	assert_int_equal(fstat(memory, &sent), 0);
	assert_int_equal(fstat(received, &got), 0);
	assert_int_equal(got.st_ino, sent.st_ino);
	assert_int_equal(fd_recv(peer, text, sizeof(text), NULL, NULL), 0); /* closed after it */
	close(peer);
	close(received);
	close(memory);
	place_remove(&p);
}

/* Goal: engines put sockets below long directories; sun_path has 108 bytes. */
static void a_long_socket_path_works(void **state)
{
	struct place p;
	struct err err = { 0 };
	char path[400], deep[300];
	int own, peer;

	place_make(&p);
	snprintf(deep, sizeof(deep), "%s/", p.dir);
	memset(deep + strlen(deep), 'd', 200);
	deep[strlen(p.dir) + 201] = '\0';
	assert_int_equal(mkdir(deep, 0700), 0);
	snprintf(path, sizeof(path), "%s/../s", deep);
	own = socket_connect(path, &err);
	assert_true(own >= 0);
	peer = accept(p.listener, NULL, NULL);
	assert_true(peer >= 0);
	close(own);
	close(peer);
	snprintf(path, sizeof(path), "%s/none", deep);
	assert_int_equal(socket_connect(path, &err), -ENOENT);
	rmdir(deep);
	assert_int_equal(socket_connect(path, &err), -ENOENT);
	memset(path, 'x', 200);
	path[200] = '\0';
	assert_int_equal(socket_connect(path, &err), -ENAMETOOLONG);
	place_remove(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_socket_is_refused_with_its_path),
		cmocka_unit_test(a_socket_of_another_kind_is_refused),
		cmocka_unit_test(a_descriptor_that_is_none_cannot_be_sent),
		cmocka_unit_test(a_socket_without_a_listener_is_refused),
		cmocka_unit_test(the_descriptor_arrives_with_the_message),
		cmocka_unit_test(a_long_socket_path_works),
	};

	return cmocka_run_group_tests_name("host/sockets", tests, NULL, NULL);
}
