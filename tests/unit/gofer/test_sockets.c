/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets of the host: refused but where a root allows them, and then only below it. */
#include "unit/gofer/fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address(const struct fixture *f, const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", f->path, name);
	return un;
}

static int listen_at(const struct fixture *f, const char *name, int type)
{
	const struct sockaddr_un un = address(f, name);
	const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&un, sizeof(un)), 0);
	if (type != SOCK_DGRAM)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static uint64_t root_of(struct fixture *f, uint32_t root)
{
	struct gofer_entry entry;

	assert_int_equal(attach(f, root, &entry), 0);
	return entry.node;
}

static int do_connect(struct fixture *f, uint64_t node, uint32_t type)
{
	return call(f, &(struct gofer_request){ .type = GOFER_CONNECT, .connect = { node, type } });
}

static int do_bind(struct fixture *f, uint64_t dir, const char *name, uint32_t mode, uint32_t type)
{
	return call(f, &(struct gofer_request){ .type = GOFER_BIND,
						.bind = { dir, mode, 3, 4, type },
						.names = { name } });
}

static void root_that_does_not_allow_them_has_none(void **state)
{
	struct fixture *f = *state;
	const int fd = listen_at(f, "rw/socket", SOCK_STREAM);
	struct stat st;

	assert_int_equal(do_connect(f, must_walk(f, "socket"), SOCK_STREAM), GOFER_NO_SOCKETS);
	assert_int_equal(do_bind(f, f->root, "new", 0600, SOCK_STREAM), GOFER_NO_SOCKETS);
	assert_int_equal(do_bind(f, root_of(f, ROOT_RO), "new", 0600, SOCK_STREAM), -EROFS);
	assert_int_equal(fstatat(f->dir, "rw/new", &st, 0), -1);
	assert_int_equal(f->fd, -1);
	(void)close(fd);
}

static void what_is_no_socket_refuses(void **state)
{
	struct fixture *f = *state;
	const uint64_t root = root_of(f, ROOT_SOCKETS);
	struct gofer_entry file, link, dead;

	put_file(f, "sockets/file", "x");
	put_file(f, "secret/key", "x");
	assert_int_equal(symlinkat("file", f->dir, "sockets/link"), 0);
	(void)close(listen_at(f, "sockets/dead", SOCK_STREAM));
	assert_int_equal(walk(f, root, "file", &file), 0);
	assert_int_equal(walk(f, root, "link", &link), 0);
	assert_int_equal(walk(f, root, "dead", &dead), 0);
	assert_int_equal(do_connect(f, file.node, SOCK_STREAM), -ECONNREFUSED);
	assert_int_equal(do_connect(f, link.node, SOCK_STREAM), -ECONNREFUSED);
	assert_int_equal(do_connect(f, root, SOCK_STREAM), -ECONNREFUSED);
	assert_int_equal(do_connect(f, dead.node, SOCK_STREAM), -ECONNREFUSED);
	assert_int_equal(do_connect(f, dead.node + 1000, SOCK_STREAM), -EBADF);
	assert_int_equal(do_connect(f, dead.node, SOCK_RAW), -EINVAL);
	assert_int_equal(do_connect(f, dead.node, 0), -EINVAL);
	assert_int_equal(do_bind(f, file.node, "x", 0600, SOCK_STREAM), -ENOTDIR);
	assert_int_equal(do_bind(f, root, "file", 0600, SOCK_STREAM), -EADDRINUSE);
	assert_int_equal(do_bind(f, root, "link", 0600, SOCK_STREAM), -EADDRINUSE);
	assert_int_equal(do_bind(f, root, "x", 0600, SOCK_RAW), -EINVAL);
	assert_int_equal(do_bind(f, root, "x", S_IFREG | 0600, SOCK_STREAM), -EINVAL);
	assert_alive(f);
}

static void name_longer_than_an_address_is_an_error(void **state)
{
	struct fixture *f = *state;
	const uint64_t root = root_of(f, ROOT_SOCKETS);
	char name[GOFER_NAME_MAX + 1];

	memset(name, 'n', GOFER_NAME_MAX);
	name[GOFER_NAME_MAX] = '\0';
	assert_int_equal(do_bind(f, root, name, 0600, SOCK_STREAM), -ENAMETOOLONG);
	assert_alive(f);
}

static void connection_leads_to_the_hosts_listener(void **state)
{
	struct fixture *f = *state;
	const int fd = listen_at(f, "sockets/s", SOCK_STREAM);
	const uint64_t root = root_of(f, ROOT_SOCKETS);
	struct gofer_entry entry;
	char got[8] = "";
	int peer;

	assert_int_equal(walk(f, root, "s", &entry), 0);
	assert_int_equal(do_connect(f, entry.node, SOCK_DGRAM), -EPROTOTYPE);
	assert_int_equal(do_connect(f, entry.node, SOCK_STREAM), 0);
	assert_true(f->fd >= 0);
	peer = accept(fd, NULL, NULL);
	assert_true(peer >= 0);
	assert_int_equal(write(f->fd, "hello", 5), 5);
	assert_int_equal(read(peer, got, sizeof(got)), 5);
	assert_string_equal(got, "hello");
	(void)close(peer);
	(void)close(fd);
}

static void datagrams_and_packets_have_their_types(void **state)
{
	struct fixture *f = *state;
	const int d = listen_at(f, "sockets/d", SOCK_DGRAM),
		  p = listen_at(f, "sockets/p", SOCK_SEQPACKET);
	const uint64_t root = root_of(f, ROOT_SOCKETS);
	struct gofer_entry entry;
	char got[8] = "";

	assert_int_equal(walk(f, root, "d", &entry), 0);
	assert_int_equal(do_connect(f, entry.node, SOCK_DGRAM), 0);
	assert_int_equal(send(f->fd, "READY", 5, 0), 5);
	assert_int_equal(recv(d, got, sizeof(got), 0), 5);
	assert_int_equal(walk(f, root, "p", &entry), 0);
	assert_int_equal(do_connect(f, entry.node, SOCK_SEQPACKET), 0);
	(void)close(d);
	(void)close(p);
}

static void bound_socket_is_found_by_the_host(void **state)
{
	struct fixture *f = *state;
	const struct sockaddr_un un = address(f, "sockets/new");
	const uint64_t root = root_of(f, ROOT_SOCKETS);
	const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;
	int peer;

	assert_int_equal(do_bind(f, root, "new", 0640, SOCK_STREAM), 0);
	assert_int_equal(f->answer.entry.attr.mode, S_IFSOCK | 0640);
	assert_int_equal(f->answer.entry.attr.uid, 3);
	assert_int_equal(fstatat(f->dir, "sockets/new", &st, 0), 0);
	assert_int_equal(st.st_gid, 4);
	assert_int_equal(connect(client, (const struct sockaddr *)&un, sizeof(un)), 0);
	peer = accept(f->fd, NULL, NULL);
	assert_true(peer >= 0);
	(void)close(peer);
	(void)close(client);
	assert_int_equal(do_bind(f, root, "d", 0600, SOCK_DGRAM), 0);
	assert_int_equal(do_bind(f, root, "d", 0600, SOCK_DGRAM), -EADDRINUSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GOFER_TEST(root_that_does_not_allow_them_has_none),
		GOFER_TEST(what_is_no_socket_refuses),
		GOFER_TEST(name_longer_than_an_address_is_an_error),
		GOFER_TEST(connection_leads_to_the_hosts_listener),
		GOFER_TEST(datagrams_and_packets_have_their_types),
		GOFER_TEST(bound_socket_is_found_by_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
