/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gofer that fell and keeps to the protocol: what it says of files is a lie. It is a thread here
 * that has a directory "d" with four files, in its root.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/sentry/vfs/world.h"

#include "sentry/fs/goferfs/internal.h"

enum { INO_ROOT = 1, INO_DIR, INO_FILES };

static int server;
static uint64_t serial;

static struct gofer_entry entry_of(uint64_t ino)
{
	return (struct gofer_entry){ .node = ++serial,
				     .attr = { .dev = 1,
					       .ino = ino,
					       .mode = ino < INO_FILES ? S_IFDIR | 0755
								       : S_IFREG | 0644,
					       .nlink = 2 } };
}

static size_t put(char *out, size_t len, const void *bytes, size_t n)
{
	memcpy(out + len, bytes, n);
	return len + n;
}

static size_t list(char *out)
{
	const struct gofer_readdir_reply reply = { .count = 4, .eof = 1 };
	size_t len = put(out, 0, &reply, sizeof(reply));

	for (uint64_t i = 0; i < reply.count; i++) {
		const struct gofer_dirent d = {
			.ino = INO_FILES + i, .cookie = i + 1, .type = DT_REG, .name_len = 1
		};
		const char name[2] = { (char)('a' + i), '\0' };

		len = put(out, len, &d, sizeof(d));
		len = put(out, len, name, sizeof(name));
	}
	return len;
}

/* The wanted file is there; all that come along with it are the directory itself. */
static size_t look_up(const struct gofer_request *r, char *out)
{
	const struct gofer_lookup_reply reply = { .count = r->lookup.count };
	size_t len = put(out, 0, &reply, sizeof(reply));

	for (uint32_t i = 0; i < reply.count; i++) {
		const struct gofer_lookup_result result = {
			.entry = entry_of(i ? INO_DIR : INO_FILES + (uint64_t)(*r->names[0] - 'a')),
		};

		len = put(out, len, &result, sizeof(result));
	}
	return len;
}

static int answer(const struct gofer_request *r, char *out, size_t *ret_len)
{
	const struct gofer_walk_reply found = { .found = 1 };
	const struct gofer_attach_reply attached = { .entry = entry_of(INO_ROOT) };
	const struct gofer_entry dir = entry_of(INO_DIR);

	*ret_len = 0;
	switch (r->type) {
	case GOFER_ATTACH:
		*ret_len = put(out, 0, &attached, sizeof(attached));
		return 0;
	case GOFER_WALK:
		if (strcmp(r->names[0], "d") != 0)
			return -ENFILE;
		*ret_len = put(out, put(out, 0, &found, sizeof(found)), &dir, sizeof(dir));
		return 0;
	case GOFER_LOOKUP:
		*ret_len = look_up(r, out);
		return 0;
	case GOFER_READDIR:
		*ret_len = list(out);
		return 0;
	case GOFER_CLOSE:
	case GOFER_STAY:
		return 0;
	default:
		return -EIO;
	}
}

static void *serve(void *arg)
{
	static char in[GOFER_MESSAGE_MAX], out[GOFER_MESSAGE_MAX];
	ssize_t n;

	while ((n = recv(server, in, sizeof(in), 0)) > 0) {
		struct gofer_reply head = { .size = sizeof(head) };
		struct gofer_request r;
		size_t len = 0;

		head.error = gofer_request_decode(in, (size_t)n, &r);
		if (head.error == 0)
			head.error = answer(&r, out + sizeof(head), &len);
		head.type = r.type;
		head.tag = r.tag;
		head.size += (uint32_t)len;
		memcpy(out, &head, sizeof(head));
		if (send(server, out, head.size, MSG_NOSIGNAL) < 0)
			break;
	}
	return arg;
}

static bool go_on(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		  unsigned int type, uint64_t next_pos)
{
	return true;
}

static struct gofer_conn *gofer;

static void look_ahead(void *arg)
{
	struct dir_sink sink = { .emit = go_on };
	struct superblock *sb;
	struct stat st;
	struct path at;
	struct file *f;

	assert_int_equal(goferfs_mount(gofer, 0, true, &sb), 0);
	assert_int_equal(w_mkdir("e"), 0);
	assert_int_equal(path_walk(&world.as_root, NULL, "e", 0, &at), 0);
	assert_int_equal(vfs_attach(world.ns, sb, &at, 0, "none"), 0);
	path_unref(&at);
	assert_int_equal(w_open("e/d", O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(file_iterate(f, &sink), 0);
	file_unref(f);
	assert_int_equal(w_stat("e/d/a", &st), 0);
	/* The files' names go first, then the directory's: nothing but the root is left. */
	for (int i = 0; i < 4; i++)
		(void)dentry_prune(sb, 100);
	assert_int_equal(goferfs_inodes(), 1);
	/* A table that is full lets go of all that came along. */
	assert_int_equal(w_stat("e/full", &st), -ENFILE);
	superblock_unref(sb);
}

static void a_directory_is_not_kept_by_itself(void **state)
{
	pthread_t thread;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	server = pair[1];
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	assert_int_equal(goferfs_connect(pair[0], &gofer), 0);
	in_fiber(look_ahead, NULL);
	(void)shutdown(server, SHUT_RDWR);
	(void)pthread_join(thread, NULL);
	goferfs_disconnect(gofer);
	(void)close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_directory_is_not_kept_by_itself, world_setup,
						world_teardown),
	};

	return cmocka_run_group_tests_name("sentry/fs/fallen_gofer", tests, NULL, NULL);
}
