/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/fd.h"
#include "host/sockets.h"

static void what_is_no_socket_is_refused_with_its_path(void **state)
{
	const int before = open_descriptors();
	struct err err = { 0 };

	assert_int_equal(socket_connect("", &err), -ENOENT);
	assert_int_equal(socket_connect("/etc/passwd", &err), -ECONNREFUSED);
	assert_says(err, "/etc/passwd");
	assert_int_equal(socket_connect("/etc/passwd/x", &err), -ENOTDIR);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_socket_is_refused_with_its_path),
		cmocka_unit_test(a_socket_of_another_kind_is_refused),
		cmocka_unit_test(a_descriptor_that_is_none_cannot_be_sent),
	};

	return cmocka_run_group_tests_name("host/sockets", tests, NULL, NULL);
}
