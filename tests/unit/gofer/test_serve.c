/* SPDX-License-Identifier: Apache-2.0 */
/* What a hostile client may try: names, ids, messages, kinds of files, limits. */
#include "unit/gofer/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"

/* A WALK with any bytes as its name. */
static int walk_raw(struct fixture *f, uint64_t node, const char *name, uint8_t len)
{
	struct {
		struct gofer_request_head head;
		struct gofer_walk walk;
		char name[260];
	} m = { .head = { .type = GOFER_WALK, .tag = 1 }, .walk = { .node = node, .count = 1 } };
	struct gofer_walk_reply reply;
	int r;

	m.name[0] = (char)len;
	memcpy(m.name + 1, name, len);
	m.head.size = (uint32_t)(sizeof(m.head) + sizeof(m.walk) + len + 2u);
	r = call_raw(f, &m, m.head.size);
	if (r != 0)
		return r;
	memcpy(&reply, (char *)f->message + sizeof(struct gofer_reply), sizeof(reply));
	return reply.stop;
}

static void a_name_that_is_no_single_component_is_refused(void **state)
{
	static const char *const bad[] = { "..", ".", "/", "a/b", "../secret", "/etc", "a/", "" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (walk_raw(f, f->root, bad[i], (uint8_t)strlen(bad[i])) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	assert_int_equal(walk_raw(f, f->root, "a\0b", 3), -EINVAL);
	assert_int_equal(walk_raw(f, f->root, "...", 3), -ENOENT);
	assert_alive(f);
}

static void a_link_is_never_followed(void **state)
{
	struct fixture *f = *state;
	struct gofer_entry entry = { 0 };
	char text[64] = "";

	assert_int_equal(symlinkat("../secret", f->dir, "rw/dir"), 0);
	assert_int_equal(symlinkat("../secret/key", f->dir, "rw/file"), 0);
	assert_int_equal(walk(f, f->root, "dir", &entry), 0);
	assert_true(S_ISLNK(entry.attr.mode));
	assert_int_equal(walk(f, entry.node, "key", &(struct gofer_entry){ 0 }), -ENOTDIR);
	assert_int_equal(create(f, entry.node, "new", 0644, NULL), -ENOTDIR);
	assert_int_equal(unlink_name(f, entry.node, "key", 0), -ENOTDIR);
	assert_int_equal(open_node(f, must_walk(f, "file"), GOFER_OPEN_READ), -ELOOP);
	assert_int_equal(create(f, f->root, "file", 0644, NULL), -EEXIST);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_READLINK,
							  .node = { must_walk(f, "file") } }),
			 0);
	memcpy(text, f->answer.tail, f->answer.tail_len);
	assert_string_equal(text, "../secret/key");
}

static void a_walk_stops_behind_a_link_and_at_what_is_missing(void **state)
{
	struct fixture *f = *state;
	struct gofer_entry entry;

	assert_int_equal(mkdirat(f->dir, "rw/a", 0755), 0);
	assert_int_equal(mkdirat(f->dir, "rw/a/b", 0755), 0);
	assert_int_equal(symlinkat("b", f->dir, "rw/a/link"), 0);
	put_file(f, "rw/a/file", "");
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_WALK,
							  .walk = { f->root, 4, 0 },
							  .names = { "a", "b", "c", "d" } }),
			 0);
	assert_int_equal(f->answer.walk.found, 2);
	assert_int_equal(f->answer.walk.stop, -ENOENT);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_WALK,
							  .walk = { f->root, 3, 0 },
							  .names = { "a", "link", "x" } }),
			 0);
	assert_int_equal(f->answer.walk.found, 2);
	assert_int_equal(f->answer.walk.stop, 0);
	gofer_answer_entry(&f->answer, 1, &entry);
	assert_true(S_ISLNK(entry.attr.mode));
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_WALK,
							  .walk = { f->root, 3, 0 },
							  .names = { "a", "file", "x" } }),
			 0);
	assert_int_equal(f->answer.walk.found, 2);
	assert_int_equal(f->answer.walk.stop, -ENOTDIR);
}

static void many_names_are_looked_up_at_once(void **state)
{
	struct fixture *f = *state;
	struct gofer_request r = { .type = GOFER_LOOKUP, .lookup = { f->root, 3, 0 } };
	struct gofer_lookup_result result;

	put_file(f, "rw/a", "x");
	assert_int_equal(symlinkat("../secret", f->dir, "rw/l"), 0);
	r.names[0] = "a";
	r.names[1] = "nope";
	r.names[2] = "l";
	assert_int_equal(call(f, &r), 0);
	assert_int_equal(f->answer.lookup.count, 3);
	gofer_answer_result(&f->answer, 0, &result);
	assert_int_equal(result.error, 0);
	assert_int_equal(result.entry.attr.size, 1);
	gofer_answer_result(&f->answer, 1, &result);
	assert_int_equal(result.error, -ENOENT);
	assert_int_equal(result.entry.node, 0);
	gofer_answer_result(&f->answer, 2, &result);
	assert_true(S_ISLNK(result.entry.attr.mode));
	r.lookup.dir = must_walk(f, "a");
	assert_int_equal(call(f, &r), -ENOTDIR);
	r.lookup.dir = 1;
	assert_int_equal(call(f, &r), -EBADF);
}

static void an_id_that_was_not_given_out_is_refused(void **state)
{
	struct fixture *f = *state;
	const uint64_t bad[] = {
		0, 1, f->root + 1, f->root + (1u << 13), f->root | 1ull << 63, UINT64_MAX
	};
	struct gofer_attr attr;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(getattr(f, bad[i], &attr), -EBADF);
		assert_int_equal(open_node(f, bad[i], GOFER_OPEN_READ), -EBADF);
		assert_int_equal(create(f, bad[i], "x", 0644, NULL), -EBADF);
		assert_int_equal(close_node(f, bad[i]), -EBADF);
	}
	assert_int_equal(attach(f, ROOT_SOCKETS + 1, &(struct gofer_entry){ 0 }), -EBADF);
	assert_int_equal(attach(f, UINT32_MAX, &(struct gofer_entry){ 0 }), -EBADF);
	assert_alive(f);
}

/* Of a sentry that was there before the programs were replaced. */
static void another_version_is_refused(void **state)
{
	struct fixture *f = *state;
	struct gofer_request r = { .type = GOFER_ATTACH };

	for (uint32_t i = 0; i < 2; i++) {
		r.attach.version = i ? GOFER_MSG_VERSION + 1 : 0;
		assert_int_equal(call(f, &r), -EPROTONOSUPPORT);
	}
	assert_alive(f);
}

static void a_closed_id_never_comes_back(void **state)
{
	struct fixture *f = *state;
	struct gofer_attr attr;
	uint64_t last = f->root;

	put_file(f, "rw/file", "");
	for (int i = 0; i < 100; i++) {
		const uint64_t node = must_walk(f, "file");

		assert_true(node > last);
		assert_int_equal(close_node(f, node), 0);
		assert_int_equal(getattr(f, node, &attr), -EBADF);
		assert_int_equal(close_node(f, node), -EBADF);
		last = node;
	}
}

static void closing_checks_all_ids_before_it_closes_one(void **state)
{
	struct fixture *f = *state;
	uint64_t ids[3];
	struct gofer_attr attr;

	put_file(f, "rw/file", "");
	ids[0] = must_walk(f, "file");
	ids[1] = 77;
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_CLOSE,
							  .close.count = 2,
							  .blob = ids,
							  .blob_len = 16 }),
			 -EBADF);
	assert_int_equal(getattr(f, ids[0], &attr), 0);
	ids[1] = ids[0];
	ids[2] = must_walk(f, "file");
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_CLOSE,
							  .close.count = 3,
							  .blob = ids,
							  .blob_len = 24 }),
			 0);
	assert_int_equal(getattr(f, ids[2], &attr), -EBADF);
	assert_alive(f);
}

static void a_malformed_message_is_answered_and_forgotten(void **state)
{
	struct fixture *f = *state;
	struct {
		struct gofer_request_head head;
		struct gofer_open open;
		char more[64];
	} m = { .head = { .size = sizeof(m.head) + sizeof(m.open), .type = GOFER_OPEN, .tag = 5 },
		.open = { .node = f->root, .flags = GOFER_OPEN_READ } };

	for (uint32_t cut = sizeof(m.head); cut < m.head.size; cut++)
		assert_int_equal(call_raw(f, &m, cut), -EPROTO);
	m.head.size++;
	assert_int_equal(call_raw(f, &m, m.head.size), -EPROTO);
	m.head.size--;
	assert_int_equal(call_raw(f, &m, m.head.size), -EISDIR);
	m.open.reserved = 1;
	assert_int_equal(call_raw(f, &m, m.head.size), -EPROTO);
	m.open.reserved = 0;
	m.open.flags = 8;
	assert_int_equal(call_raw(f, &m, m.head.size), -EINVAL);
	m.open.flags = 0;
	assert_int_equal(call_raw(f, &m, m.head.size), -EINVAL);
	for (uint32_t type = GOFER_TYPE_MAX; type < GOFER_TYPE_MAX + 3; type++) {
		m.head.type = type;
		assert_int_equal(call_raw(f, &m, m.head.size), -EPROTO);
	}
	m.head.type = 0;
	assert_int_equal(call_raw(f, &m, m.head.size), -EPROTO);
	assert_alive(f);
}

static int open_many(struct fixture *f, const uint64_t *nodes, uint32_t count)
{
	return call(f, &(struct gofer_request){ .type = GOFER_OPEN_MANY,
						.open_many.count = count,
						.blob = nodes,
						.blob_len = count * sizeof(*nodes) });
}

static void many_files_are_opened_to_be_read_alone(void **state)
{
	struct fixture *f = *state;
	struct gofer_entry ro, file;
	uint64_t nodes[GOFER_OPEN_MAX + 1];
	char text[8];

	put_file(f, "rw/a", "one");
	put_file(f, "ro/b", "two");
	assert_int_equal(attach(f, ROOT_RO, &ro), 0);
	assert_int_equal(walk(f, ro.node, "b", &file), 0);
	for (unsigned int i = 0; i <= GOFER_OPEN_MAX; i++)
		nodes[i] = file.node;
	nodes[0] = must_walk(f, "a");
	nodes[1] = f->root;
	nodes[3] = 12345;
	assert_int_equal(open_many(f, nodes, GOFER_OPEN_MAX), 0);
	assert_int_equal(f->answer.open_many.count, GOFER_OPEN_MAX);
	assert_int_equal(f->fds_len, GOFER_OPEN_MAX - 2);
	for (unsigned int i = 0; i < GOFER_OPEN_MAX; i++)
		assert_int_equal(gofer_answer_opened(&f->answer, i), i == 1   ? -EISDIR
								     : i == 3 ? -EBADF
									      : 0);
	for (size_t i = 0; i < f->fds_len; i++) {
		assert_int_equal(fcntl(f->fds[i], F_GETFL) & O_ACCMODE, O_RDONLY);
		assert_int_equal(read(f->fds[i], text, sizeof(text)), 3);
		assert_memory_equal(text, i == 0 ? "one" : "two", 3);
	}
	assert_int_equal(open_many(f, nodes + 1, 1), 0);
	assert_int_equal(f->fds_len, 0);
	assert_int_equal(open_many(f, nodes, 0), -EPROTO);
	assert_int_equal(open_many(f, nodes, GOFER_OPEN_MAX + 1), -EPROTO);
	assert_alive(f);
}

static void an_answer_brings_a_descriptor_for_each_file_that_was_opened(void **state)
{
	struct {
		struct gofer_reply head;
		struct gofer_open_many_reply many;
		int32_t errors[GOFER_OPEN_MAX + 1];
	} m = { .head = { .type = GOFER_OPEN_MANY, .fds = 2 }, .many = { .count = 3 } };
	const uint32_t fixed = sizeof(m.head) + sizeof(m.many);
	struct gofer_answer answer;

	(void)state;
	m.errors[1] = -EACCES;
	m.head.size = fixed + 3 * sizeof(m.errors[0]);
	assert_int_equal(gofer_reply_decode(&m, m.head.size, GOFER_OPEN_MANY, &answer), 0);
	assert_int_equal(gofer_answer_opened(&answer, 1), -EACCES);
	m.head.fds = 3;
	assert_int_equal(gofer_reply_decode(&m, m.head.size, GOFER_OPEN_MANY, &answer), -EPROTO);
	m.head.fds = 1;
	assert_int_equal(gofer_reply_decode(&m, m.head.size, GOFER_OPEN_MANY, &answer), -EPROTO);
	m.head.fds = 2;
	m.errors[1] = 1;
	assert_int_equal(gofer_reply_decode(&m, m.head.size, GOFER_OPEN_MANY, &answer), -EPROTO);
	m.errors[1] = -EACCES;
	m.many.count = 2;
	assert_int_equal(gofer_reply_decode(&m, m.head.size, GOFER_OPEN_MANY, &answer), -EPROTO);
	m.many.count = m.head.fds = GOFER_OPEN_MAX + 1;
	m.errors[1] = 0;
	m.head.size = fixed + sizeof(m.errors);
	assert_int_equal(gofer_reply_decode(&m, m.head.size, GOFER_OPEN_MANY, &answer), -EPROTO);
}

static void a_message_without_a_head_ends_the_connection(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(call_raw(f, "short", 5), 1);
}

static void an_oversized_message_ends_the_connection(void **state)
{
	struct fixture *f = *state;
	static char big[GOFER_MESSAGE_MAX + 1];
	struct gofer_request_head head = { .size = sizeof(big), .type = GOFER_CLOSE };

	memcpy(big, &head, sizeof(head));
	assert_int_equal(call_raw(f, big, sizeof(big)), 1);
}

static void a_descriptor_from_the_client_ends_the_connection(void **state)
{
	struct fixture *f = *state;
	const int fd = f->dir;
	char byte;

	struct gofer_request r = { .type = GOFER_GETATTR, .node = { f->root } };
	const int len = gofer_request_encode(&r, f->message);

	assert_int_equal(fd_send(f->sock, f->message, (size_t)len, &fd, 1), 0);
	assert_true(recv(f->sock, &byte, 1, 0) <= 0);
}

static void only_regular_files_are_opened(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkfifoat(f->dir, "rw/fifo", 0666), 0);
	assert_int_equal(mknodat(f->dir, "rw/socket", S_IFSOCK | 0666, 0), 0);
	for (uint32_t flags = 1; flags < 4; flags++) {
		assert_int_equal(open_node(f, f->root, flags), -EISDIR);
		assert_int_equal(open_node(f, must_walk(f, "fifo"), flags), -ENXIO);
		assert_int_equal(open_node(f, must_walk(f, "socket"), flags), -ENXIO);
	}
	if (geteuid() == 0 && mknodat(f->dir, "rw/null", S_IFCHR | 0666, makedev(1, 3)) == 0)
		assert_int_equal(open_node(f, must_walk(f, "null"), GOFER_OPEN_READ), -ENXIO);
	assert_int_equal(f->fd, -1);
}

static void no_device_node_is_made(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(make(f, GOFER_MKNOD, f->root, "c", S_IFCHR | 0666, NULL), -EPERM);
	assert_int_equal(make(f, GOFER_MKNOD, f->root, "b", S_IFBLK | 0666, NULL), -EPERM);
	assert_int_equal(make(f, GOFER_MKNOD, f->root, "d", S_IFDIR | 0666, NULL), -EPERM);
	assert_int_equal(make(f, GOFER_MKNOD, f->root, "l", S_IFLNK | 0666, NULL), -EPERM);
	assert_int_equal(make(f, GOFER_MKNOD, f->root, "n", 0666, NULL), -EPERM);
	assert_int_equal(faccessat(f->dir, "rw/n", F_OK, 0), -1);
}

static void a_read_only_root_changes_in_no_way(void **state)
{
	struct fixture *f = *state;
	struct gofer_entry root, file;
	uint32_t type;

	put_file(f, "ro/file", "text");
	put_file(f, "rw/file", "text");
	assert_int_equal(attach(f, ROOT_RO, &root), 0);
	assert_int_equal(f->answer.attach.flags, GOFER_ROOT_RO);
	type = f->answer.attach.fs_type;
	assert_int_equal(
		call(f, &(struct gofer_request){ .type = GOFER_STATFS, .node.node = root.node }),
		0);
	assert_int_equal(type, (uint32_t)f->answer.statfs.type);
	assert_int_equal(walk(f, root.node, "file", &file), 0);
	assert_int_equal(open_node(f, file.node, GOFER_OPEN_READ), 0);
	assert_int_equal(open_node(f, file.node, GOFER_OPEN_WRITE), -EROFS);
	assert_int_equal(open_node(f, file.node, 3), -EROFS);
	assert_int_equal(create(f, root.node, "x", 0644, NULL), -EROFS);
	assert_int_equal(make(f, GOFER_MKDIR, root.node, "x", 0755, NULL), -EROFS);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_TMPFILE,
							  .make = { root.node, 0600, 0, 0, 1 } }),
			 -EROFS);
	assert_int_equal(make(f, GOFER_MKNOD, root.node, "x", S_IFIFO | 0644, NULL), -EROFS);
	assert_int_equal(unlink_name(f, root.node, "file", 0), -EROFS);
	assert_int_equal(
		call(f, &(struct gofer_request){ .type = GOFER_SYMLINK,
						 .symlink = { .dir = root.node, .target_len = 1 },
						 .names = { "x" },
						 .blob = "t",
						 .blob_len = 1 }),
		-EROFS);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_LINK,
							  .link = { root.node, file.node },
							  .names = { "x" } }),
			 -EROFS);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_RENAME,
							  .rename = { root.node, f->root, 0, 0 },
							  .names = { "file", "y" } }),
			 -EROFS);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_RENAME,
							  .rename = { f->root, root.node, 0, 0 },
							  .names = { "file", "y" } }),
			 -EROFS);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_SETATTR,
							  .setattr = { .node = file.node,
								       .valid = GOFER_SET_MODE } }),
			 -EROFS);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_SETXATTR,
							  .setxattr = { file.node, 0, 1 },
							  .names = { "user.x" },
							  .blob = "t",
							  .blob_len = 1 }),
			 -EROFS);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_REMOVEXATTR,
							  .xattr = { file.node, 0, 0 },
							  .names = { "user.x" } }),
			 -EROFS);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_COPY_RANGE,
							  .copy = { must_walk(f, "file"), file.node,
								    0, 0, 4 } }),
			 -EROFS);
}

static void nothing_crosses_from_one_root_to_another(void **state)
{
	struct fixture *f = *state;
	struct gofer_entry other;

	put_file(f, "rw/file", "");
	assert_int_equal(attach(f, ROOT_ATTR, &other), 0);
	assert_int_equal(
		call(f, &(struct gofer_request){ .type = GOFER_LINK,
						 .link = { other.node, must_walk(f, "file") },
						 .names = { "x" } }),
		-EXDEV);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_RENAME,
							  .rename = { f->root, other.node, 0, 0 },
							  .names = { "file", "x" } }),
			 -EXDEV);
}

static int stay(struct fixture *f, uint32_t cpu, uint32_t reserved)
{
	return call(f, &(struct gofer_request){ .type = GOFER_STAY,
						.stay = { .cpu = cpu, .reserved = reserved } });
}

static void it_stays_on_a_cpu_that_is_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(stay(f, GOFER_CPUS_MAX, 0), -EINVAL);
	assert_int_equal(stay(f, 0, 1), -EPROTO);
	assert_int_equal(stay(f, GOFER_CPUS_MAX - 1, 0), -EINVAL); /* nobody has that many */
	assert_int_equal(stay(f, (uint32_t)sched_getcpu(), 0), 0);
	assert_alive(f);
	assert_int_equal(stay(f, GOFER_ANYWHERE, 0), 0);
	assert_alive(f);
}

/* Goal: the client cannot make the gofer run out of descriptors, and gets room back by closing. */
static void too_many_nodes_are_refused_until_some_are_closed(void **state)
{
	struct fixture *f = *state;
	uint64_t some[1000], id;
	struct gofer_entry entry;
	int r = 0, n = 0;

	put_file(f, "rw/file", "");
	do {
		r = walk(f, f->root, "file", &entry);
		if (r == 0 && n < 1000)
			some[n] = entry.node;
		n++;
	} while (r == 0 && n <= (int)GOFER_NODES_MAX + 1);
	assert_int_equal(r, -ENFILE);
	assert_true(n > 1000);
	assert_int_equal(create(f, f->root, "new", 0644, NULL), -ENFILE);
	assert_int_equal(make(f, GOFER_MKDIR, f->root, "new", 0755, NULL), -ENFILE);
	assert_int_equal(make(f, GOFER_MKNOD, f->root, "new", S_IFIFO | 0644, NULL), -ENFILE);
	assert_int_equal(faccessat(f->dir, "rw/new", F_OK, 0), -1);
	/* What needs no node still works. */
	assert_int_equal(open_node(f, some[0], GOFER_OPEN_READ), 0);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_CLOSE,
							  .close.count = 1000,
							  .blob = some,
							  .blob_len = sizeof(some) }),
			 0);
	id = must_walk(f, "file");
	assert_true(id > entry.node);
}

static void a_node_stays_on_its_file_when_names_move(void **state)
{
	struct fixture *f = *state;
	char text[8] = "";
	uint64_t node, dir;

	put_file(f, "rw/file", "old");
	node = must_walk(f, "file");
	put_file(f, "rw/new", "new");
	assert_int_equal(renameat(f->dir, "rw/new", f->dir, "rw/file"), 0);
	assert_int_equal(open_node(f, node, GOFER_OPEN_READ), 0);
	assert_int_equal(read(f->fd, text, sizeof(text)), 3);
	assert_string_equal(text, "old");
	/* A directory that was moved out of the root leads nowhere above itself. */
	assert_int_equal(mkdirat(f->dir, "rw/d", 0755), 0);
	dir = must_walk(f, "d");
	assert_int_equal(renameat(f->dir, "rw/d", f->dir, "secret/d"), 0);
	assert_int_equal(walk(f, dir, "key", &(struct gofer_entry){ 0 }), -ENOENT);
	assert_int_equal(walk_raw(f, dir, "..", 2), -EINVAL);
}

static void many_requests_may_be_in_flight(void **state)
{
	struct fixture *f = *state;
	struct gofer_request r = { .type = GOFER_GETATTR, .node = { f->root } };
	int len;

	for (uint64_t i = 0; i < GOFER_IN_FLIGHT; i++) {
		r.tag = 1000 + i;
		len = gofer_request_encode(&r, f->message);
		assert_int_equal(send(f->sock, f->message, (size_t)len, 0), len);
	}
	for (uint64_t i = 0; i < GOFER_IN_FLIGHT; i++) {
		const ssize_t n = recv(f->sock, f->message, sizeof(f->message), 0);
		uint64_t tag = 0;

		assert_int_equal(gofer_reply_tag(f->message, (size_t)n, &tag), 0);
		assert_int_equal(tag, 1000 + i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GOFER_TEST(a_name_that_is_no_single_component_is_refused),
		GOFER_TEST(a_link_is_never_followed),
		GOFER_TEST(a_walk_stops_behind_a_link_and_at_what_is_missing),
		GOFER_TEST(many_names_are_looked_up_at_once),
		GOFER_TEST(an_id_that_was_not_given_out_is_refused),
		GOFER_TEST(another_version_is_refused),
		GOFER_TEST(a_closed_id_never_comes_back),
		GOFER_TEST(closing_checks_all_ids_before_it_closes_one),
		GOFER_TEST(a_malformed_message_is_answered_and_forgotten),
		GOFER_TEST(many_files_are_opened_to_be_read_alone),
		cmocka_unit_test(an_answer_brings_a_descriptor_for_each_file_that_was_opened),
		GOFER_TEST(a_message_without_a_head_ends_the_connection),
		GOFER_TEST(an_oversized_message_ends_the_connection),
		GOFER_TEST(a_descriptor_from_the_client_ends_the_connection),
		GOFER_TEST(only_regular_files_are_opened),
		GOFER_TEST(no_device_node_is_made),
		GOFER_TEST(a_read_only_root_changes_in_no_way),
		GOFER_TEST(nothing_crosses_from_one_root_to_another),
		GOFER_TEST(it_stays_on_a_cpu_that_is_there),
		GOFER_TEST(too_many_nodes_are_refused_until_some_are_closed),
		GOFER_TEST(a_node_stays_on_its_file_when_names_move),
		GOFER_TEST(many_requests_may_be_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
