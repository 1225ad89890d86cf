/* SPDX-License-Identifier: Apache-2.0 */
/* What a client gets: files of the asked owner and mode, descriptors of the asked access, listings.
 */
#include "unit/gofer/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/xattr.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static struct stat stat_of(const struct fixture *f, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(f->dir, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static int make_for(struct fixture *f, uint32_t type, const char *name, uint32_t mode, uint32_t uid,
		    uint32_t gid)
{
	return call(f, &(struct gofer_request){
			       .type = type,
			       .make = { f->root, mode, uid, gid,
					 type == GOFER_CREATE ? GOFER_OPEN_WRITE : 0u },
			       .names = { name } });
}

static void a_new_file_has_the_asked_owner_and_mode(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	if (geteuid() != 0)
		return;
	assert_int_equal(make_for(f, GOFER_CREATE, "file", 06751, 1234, 2345), 0);
	assert_int_equal(f->answer.entry.attr.mode, S_IFREG | 06751);
	st = stat_of(f, "rw/file");
	assert_int_equal(st.st_mode, S_IFREG | 06751);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_gid, 2345);
	assert_int_equal(make_for(f, GOFER_MKDIR, "dir", 03777, 1234, 2345), 0);
	st = stat_of(f, "rw/dir");
	assert_int_equal(st.st_mode, S_IFDIR | 03777);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(make_for(f, GOFER_MKNOD, "fifo", S_IFIFO | 0622, 1, 2), 0);
	assert_int_equal(stat_of(f, "rw/fifo").st_mode, S_IFIFO | 0622);
	assert_int_equal(stat_of(f, "rw/fifo").st_gid, 2);
	assert_int_equal(make_for(f, GOFER_MKNOD, "socket", S_IFSOCK | 0777, 0, 0), 0);
	assert_int_equal(stat_of(f, "rw/socket").st_mode, S_IFSOCK | 0777);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_SYMLINK,
							  .symlink = { f->root, 7, 8, 6, 0 },
							  .names = { "link" },
							  .blob = "/a/b/c",
							  .blob_len = 6 }),
			 0);
	assert_int_equal(f->answer.entry.attr.size, 6);
	assert_int_equal(stat_of(f, "rw/link").st_uid, 7);
	assert_int_equal(stat_of(f, "rw/link").st_gid, 8);
}

static void what_cannot_be_given_away_is_not_made(void **state)
{
	struct fixture *f = *state;

	/* -1 is no user: chown(2) would leave the owner as it is; a mode of no bits is fine. */
	assert_int_equal(make_for(f, GOFER_CREATE, "plain", 0, geteuid(), getegid()), 0);
	assert_int_equal(stat_of(f, "rw/plain").st_mode, S_IFREG);
	if (geteuid() == 0)
		return;
	assert_int_equal(make_for(f, GOFER_CREATE, "file", 0644, 0, 0), -EPERM);
	assert_int_equal(make_for(f, GOFER_MKDIR, "dir", 0755, 0, 0), -EPERM);
	assert_int_equal(faccessat(f->dir, "rw/file", F_OK, 0), -1);
	assert_int_equal(faccessat(f->dir, "rw/dir", F_OK, 0), -1);
}

static void a_descriptor_has_the_asked_access_and_no_more(void **state)
{
	struct fixture *f = *state;
	char byte;
	uint64_t node;

	put_file(f, "rw/file", "text");
	node = must_walk(f, "file");
	assert_int_equal(open_node(f, node, GOFER_OPEN_READ), 0);
	assert_int_equal(fcntl(f->fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(write(f->fd, "x", 1), -1);
	assert_ptr_equal(mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0), MAP_FAILED);
	assert_int_equal(open_node(f, node, GOFER_OPEN_WRITE), 0);
	assert_int_equal(fcntl(f->fd, F_GETFL) & O_ACCMODE, O_WRONLY);
	assert_int_equal(read(f->fd, &byte, 1), -1);
	assert_int_equal(open_node(f, node, GOFER_OPEN_WRITE | GOFER_OPEN_READ), 0);
	assert_int_equal(fcntl(f->fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(f->answer.attr.attr.size, 4);
	assert_int_equal(open_node(f, node, GOFER_OPEN_WRITE | GOFER_OPEN_TRUNC), 0);
	assert_int_equal(f->answer.attr.attr.size, 0);
	assert_int_equal(create(f, f->root, "file", 0644, NULL), -EEXIST);
	assert_int_equal(create(f, f->root, "new", 0644, NULL), 0);
	assert_int_equal(fcntl(f->fd, F_GETFL) & O_ACCMODE, O_RDWR);
}

static int setattr(struct fixture *f, struct gofer_setattr set)
{
	return call(f, &(struct gofer_request){ .type = GOFER_SETATTR, .setattr = set });
}

static void attributes_are_set_and_told(void **state)
{
	struct fixture *f = *state;
	const struct gofer_attr *attr = &f->answer.attr.attr;
	uint64_t node;

	put_file(f, "rw/file", "0123456789");
	node = must_walk(f, "file");
	assert_int_equal(
		setattr(f, (struct gofer_setattr){ .node = node,
						   .valid = GOFER_SET_MODE | GOFER_SET_SIZE |
							    GOFER_SET_ATIME | GOFER_SET_MTIME,
						   .mode = 04750,
						   .size = 4,
						   .atime_ns = -1500000000,
						   .mtime_ns = 1234567890123456789 }),
		0);
	assert_int_equal(attr->mode, S_IFREG | 04750);
	assert_int_equal(attr->size, 4);
	assert_int_equal(attr->atime_ns, -1500000000);
	assert_int_equal(attr->mtime_ns, 1234567890123456789);
	assert_int_equal(
		setattr(f, (struct gofer_setattr){ .node = node, .valid = GOFER_SET_ATIME_NOW }),
		0);
	assert_true(attr->atime_ns > attr->mtime_ns);
	if (geteuid() == 0) {
		assert_int_equal(setattr(f, (struct gofer_setattr){ .node = node,
								    .valid = GOFER_SET_UID,
								    .uid = 77 }),
				 0);
		assert_int_equal(attr->uid, 77);
		assert_int_equal(attr->gid, getegid());
		assert_int_equal(attr->mode, S_IFREG | 0750);
	}
	assert_int_equal(setattr(f, (struct gofer_setattr){ .node = node }), -EINVAL);
	assert_int_equal(setattr(f, (struct gofer_setattr){ .node = node,
							    .valid = GOFER_SET_ATIME |
								     GOFER_SET_ATIME_NOW }),
			 -EINVAL);
	assert_int_equal(
		setattr(f, (struct gofer_setattr){ .node = f->root, .valid = GOFER_SET_SIZE }),
		-EISDIR);
}

static void attributes_of_what_cannot_be_opened_are_set_too(void **state)
{
	struct fixture *f = *state;
	uint64_t link, fifo;

	assert_int_equal(symlinkat("nowhere", f->dir, "rw/link"), 0);
	assert_int_equal(mkfifoat(f->dir, "rw/fifo", 0600), 0);
	link = must_walk(f, "link");
	fifo = must_walk(f, "fifo");
	assert_int_equal(setattr(f, (struct gofer_setattr){ .node = link,
							    .valid = GOFER_SET_MTIME,
							    .mtime_ns = 5 }),
			 0);
	assert_int_equal(stat_of(f, "rw/link").st_mtim.tv_nsec, 5);
	assert_int_equal(setattr(f, (struct gofer_setattr){ .node = link,
							    .valid = GOFER_SET_MODE,
							    .mode = 0600 }),
			 -EOPNOTSUPP);
	assert_int_equal(
		setattr(f, (struct gofer_setattr){ .node = link, .valid = GOFER_SET_SIZE }),
		-ELOOP);
	assert_int_equal(setattr(f, (struct gofer_setattr){ .node = fifo,
							    .valid = GOFER_SET_MODE,
							    .mode = 0622 }),
			 0);
	assert_int_equal(stat_of(f, "rw/fifo").st_mode, S_IFIFO | 0622);
	assert_int_equal(
		setattr(f, (struct gofer_setattr){ .node = fifo, .valid = GOFER_SET_SIZE }),
		-ENXIO);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_LINK,
							  .link = { f->root, link },
							  .names = { "second" } }),
			 0);
	assert_int_equal(stat_of(f, "rw/second").st_ino, stat_of(f, "rw/link").st_ino);
	assert_true(S_ISLNK(stat_of(f, "rw/second").st_mode));
}

static int readdir_at(struct fixture *f, uint64_t cookie, uint32_t max)
{
	return call(f, &(struct gofer_request){ .type = GOFER_READDIR,
						.readdir = { f->root, cookie, max, 0 } });
}

#define MANY 3000

/* Goal: whatever the size of the pieces, each name once, though what was read is removed meanwhile.
 */
static void list_all(struct fixture *f, uint32_t max, bool remove)
{
	static bool seen[MANY];
	struct gofer_dirent_view view;
	uint64_t cookie = 0;
	int total = 0, number;
	char names[256][16];

	memset(seen, 0, sizeof(seen));
	do {
		size_t at = 0;
		int n = 0;

		assert_int_equal(readdir_at(f, cookie, max), 0);
		while (gofer_answer_dirent(&f->answer, &at, &view) > 0) {
			assert_int_equal(sscanf(view.name, "file%d", &number), 1);
			assert_true(number >= 0 && number < MANY && !seen[number]);
			assert_true(view.type == DT_REG || view.type == DT_UNKNOWN);
			seen[number] = true;
			cookie = view.cookie;
			total++;
			if (remove && n < 256)
				(void)snprintf(names[n++], sizeof(names[0]), "%s", view.name);
		}
		number = (int)f->answer.readdir.eof;
		for (int i = 0; i < n; i++)
			assert_int_equal(unlink_name(f, f->root, names[i], 0), 0);
	} while (!number);
	assert_int_equal(total, MANY);
}

static void a_listing_has_every_name_once(void **state)
{
	struct fixture *f = *state;
	char path[32];

	assert_int_equal(readdir_at(f, 0, 0), 0);
	assert_int_equal(f->answer.readdir.count, 0);
	assert_int_equal(f->answer.readdir.eof, 1);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(path, sizeof(path), "rw/file%d", i);
		put_file(f, path, "");
	}
	list_all(f, 0, false);
	list_all(f, 1000, false);
	assert_int_equal(readdir_at(f, 0, 10), -EINVAL);
	assert_int_equal(readdir_at(f, UINT64_MAX, 0), -EINVAL);
	list_all(f, 4096, true);
	assert_int_equal(readdir_at(f, 0, 0), 0);
	assert_int_equal(f->answer.readdir.count, 0);
	put_file(f, "rw/file", "");
	assert_int_equal(
		call(f, &(struct gofer_request){ .type = GOFER_READDIR,
						 .readdir = { must_walk(f, "file"), 0, 0, 0 } }),
		-ENOTDIR);
}

/* More directories being read at one time than streams. */
static void many_directories_are_read_at_once(void **state)
{
	struct fixture *f = *state;
	uint64_t node[40], cookie[40];
	struct gofer_dirent_view view;
	char path[48];

	for (int d = 0; d < 40; d++) {
		(void)snprintf(path, sizeof(path), "rw/d%d", d);
		assert_int_equal(mkdirat(f->dir, path, 0755), 0);
		for (int i = 0; i < 5; i++) {
			(void)snprintf(path, sizeof(path), "rw/d%d/%c", d, 'a' + i);
			put_file(f, path, "");
		}
		(void)snprintf(path, sizeof(path), "d%d", d);
		node[d] = must_walk(f, path);
		cookie[d] = 0;
	}
	for (int i = 0; i < 5; i++) {
		for (int d = 0; d < 40; d++) {
			size_t at = 0;

			/* Room for two of a host's entries at least, and the dots. */
			assert_int_equal(
				call(f, &(struct gofer_request){ .type = GOFER_READDIR,
								 .readdir = { node[d], cookie[d],
									      24, 0 } }),
				0);
			assert_int_equal(f->answer.readdir.count, 1);
			assert_int_equal(gofer_answer_dirent(&f->answer, &at, &view), 1);
			cookie[d] = view.cookie;
		}
	}
	for (int d = 0; d < 40; d++) {
		assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_READDIR,
								  .readdir = { node[d], cookie[d],
									       24, 0 } }),
				 0);
		assert_int_equal(f->answer.readdir.count, 0);
		assert_int_equal(f->answer.readdir.eof, 1);
		assert_int_equal(close_node(f, node[d]), 0);
	}
}

static int rename_flags(struct fixture *f, const char *from, const char *to, uint32_t flags)
{
	return call(f, &(struct gofer_request){ .type = GOFER_RENAME,
						.rename = { f->root, f->root, flags, 0 },
						.names = { from, to } });
}

static void names_are_linked_moved_and_removed(void **state)
{
	struct fixture *f = *state;
	ino_t a, b;

	put_file(f, "rw/a", "");
	put_file(f, "rw/b", "");
	a = stat_of(f, "rw/a").st_ino;
	b = stat_of(f, "rw/b").st_ino;
	assert_int_equal(rename_flags(f, "a", "b", GOFER_RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(rename_flags(f, "a", "b", GOFER_RENAME_EXCHANGE), 0);
	assert_int_equal(stat_of(f, "rw/a").st_ino, b);
	assert_int_equal(rename_flags(f, "a", "b", 3), -EINVAL);
	assert_int_equal(rename_flags(f, "a", "b", 4), -EINVAL);
	assert_int_equal(rename_flags(f, "b", "c", 0), 0);
	assert_int_equal(stat_of(f, "rw/c").st_ino, a);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_LINK,
							  .link = { f->root, must_walk(f, "c") },
							  .names = { "d" } }),
			 0);
	assert_int_equal(f->answer.attr.attr.nlink, 2);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_LINK,
							  .link = { f->root, f->root },
							  .names = { "e" } }),
			 -EPERM);
	assert_int_equal(unlink_name(f, f->root, "c", GOFER_UNLINK_DIR), -ENOTDIR);
	assert_int_equal(unlink_name(f, f->root, "c", 0), 0);
	assert_int_equal(unlink_name(f, f->root, "c", 0), -ENOENT);
	assert_int_equal(mkdirat(f->dir, "rw/dir", 0755), 0);
	assert_int_equal(unlink_name(f, f->root, "dir", 0), -EISDIR);
	assert_int_equal(unlink_name(f, f->root, "dir", GOFER_UNLINK_DIR), 0);
}

static int xattr(struct fixture *f, uint32_t type, uint64_t node, const char *name, uint32_t max)
{
	return call(f, &(struct gofer_request){
			       .type = type, .xattr = { node, max, 0 }, .names = { name } });
}

static int setxattr_node(struct fixture *f, uint64_t node, const char *name, const char *value,
			 uint32_t flags)
{
	return call(f,
		    &(struct gofer_request){ .type = GOFER_SETXATTR,
					     .setxattr = { node, flags, (uint32_t)strlen(value) },
					     .names = { name },
					     .blob = value,
					     .blob_len = strlen(value) });
}

static void attributes_of_users_are_served(void **state)
{
	struct fixture *f = *state;
	uint64_t node, fifo;

	put_file(f, "rw/file", "");
	node = must_walk(f, "file");
	if (setxattr_node(f, node, "user.one", "value", 0) == -EOPNOTSUPP)
		return; /* the file system of /tmp has none */
	assert_int_equal(setxattr_node(f, node, "user.one", "v", XATTR_CREATE), -EEXIST);
	assert_int_equal(setxattr_node(f, node, "user.two", "v", XATTR_REPLACE), -ENODATA);
	assert_int_equal(xattr(f, GOFER_GETXATTR, node, "user.one", 0), 0);
	assert_int_equal(f->answer.bytes.len, 5);
	assert_int_equal(xattr(f, GOFER_GETXATTR, node, "user.one", 4), -ERANGE);
	assert_int_equal(xattr(f, GOFER_GETXATTR, node, "user.one", 100), 0);
	assert_memory_equal(f->answer.tail, "value", 5);
	assert_int_equal(xattr(f, GOFER_LISTXATTR, node, NULL, 100), 0);
	assert_memory_equal(f->answer.tail, "user.one", 9);
	assert_int_equal(xattr(f, GOFER_LISTXATTR, node, NULL, 8), -ERANGE);
	assert_int_equal(xattr(f, GOFER_REMOVEXATTR, node, "user.one", 0), 0);
	assert_int_equal(xattr(f, GOFER_GETXATTR, node, "user.one", 0), -ENODATA);
	assert_int_equal(mkfifoat(f->dir, "rw/fifo", 0600), 0);
	fifo = must_walk(f, "fifo");
	assert_int_equal(setxattr_node(f, fifo, "user.one", "v", 0), -EPERM);
	assert_int_equal(xattr(f, GOFER_GETXATTR, fifo, "user.one", 0), -ENODATA);
	assert_int_equal(xattr(f, GOFER_LISTXATTR, fifo, NULL, 8), 0);
}

static void other_attributes_are_served_where_the_root_allows(void **state)
{
	struct fixture *f = *state;
	struct gofer_entry root, file;
	uint64_t node;

	put_file(f, "attr/file", "");
	put_file(f, "rw/file", "");
	if (geteuid() != 0 || getenv("GOFER_PROGRAM")) /* the cage has no CAP_SYS_ADMIN */
		return;
	node = must_walk(f, "file");
	assert_int_equal(setxattr_node(f, node, "trusted.x", "v", 0), -EPERM);
	assert_int_equal(setxattr_node(f, node, "security.x", "v", 0), -EPERM);
	assert_int_equal(attach(f, ROOT_ATTR, &root), 0);
	assert_int_equal(walk(f, root.node, "file", &file), 0);
	assert_int_equal(setxattr_node(f, file.node, "trusted.x", "v", 0), 0);
	assert_int_equal(xattr(f, GOFER_LISTXATTR, file.node, NULL, 100), 0);
	assert_memory_equal(f->answer.tail, "trusted.x", 10);
	/* The same file through a root that does not. */
	assert_int_equal(linkat(f->dir, "attr/file", f->dir, "rw/same", 0), 0);
	assert_int_equal(xattr(f, GOFER_LISTXATTR, must_walk(f, "same"), NULL, 100), 0);
	assert_int_equal(f->answer.bytes.len, 0);
	assert_int_equal(xattr(f, GOFER_GETXATTR, must_walk(f, "same"), "trusted.x", 9), -ENODATA);
}

static void data_is_synced_and_copied(void **state)
{
	struct fixture *f = *state;
	uint64_t from, to, fifo;

	put_file(f, "rw/from", "0123456789");
	put_file(f, "rw/to", "");
	from = must_walk(f, "from");
	to = must_walk(f, "to");
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_COPY_RANGE,
							  .copy = { from, to, 2, 1, 100 } }),
			 0);
	assert_int_equal(f->answer.copy.copied, 8);
	assert_int_equal(stat_of(f, "rw/to").st_size, 9);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_COPY_RANGE,
							  .copy = { from, f->root, 0, 0, 1 } }),
			 -EISDIR);
	assert_int_equal(
		call(f, &(struct gofer_request){ .type = GOFER_FSYNC, .fsync = { to, 1, 0 } }), 0);
	assert_int_equal(
		call(f, &(struct gofer_request){ .type = GOFER_FSYNC, .fsync = { f->root, 0, 0 } }),
		0);
	assert_int_equal(mkfifoat(f->dir, "rw/fifo", 0600), 0);
	fifo = must_walk(f, "fifo");
	assert_int_equal(
		call(f, &(struct gofer_request){ .type = GOFER_FSYNC, .fsync = { fifo, 0, 0 } }),
		-EINVAL);
	assert_int_equal(
		call(f, &(struct gofer_request){ .type = GOFER_STATFS, .node = { f->root } }), 0);
	assert_true(f->answer.statfs.block_size > 0 && f->answer.statfs.name_max >= 255);
}

static void a_file_without_a_name_can_get_one(void **state)
{
	struct fixture *f = *state;
	struct gofer_request r = { .type = GOFER_TMPFILE,
				   .make = { f->root, 0640, geteuid(), getegid(), 3 } };
	uint64_t node;
	int error = call(f, &r);

	if (error == -EOPNOTSUPP)
		return;
	assert_int_equal(error, 0);
	node = f->answer.entry.node;
	assert_int_equal(f->answer.entry.attr.nlink, 0);
	assert_int_equal(f->answer.entry.attr.mode, S_IFREG | 0640);
	assert_int_equal(write(f->fd, "text", 4), 4);
	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_LINK,
							  .link = { f->root, node },
							  .names = { "named" } }),
			 0);
	assert_int_equal(stat_of(f, "rw/named").st_size, 4);
	r.make.dir = node;
	assert_int_equal(call(f, &r), -ENOTDIR);
}

static void a_file_size_limit_is_an_error_and_not_the_end(void **state)
{
	struct fixture *f = *state;
	const struct rlimit small = { 4096, 4096 };
	uint64_t node;

	put_file(f, "rw/file", "");
	node = must_walk(f, "file");
	if (!getenv("GOFER_PROGRAM") || prlimit(f->pid, RLIMIT_FSIZE, &small, NULL) < 0)
		return;
	assert_int_equal(setattr(f, (struct gofer_setattr){ .node = node,
							    .valid = GOFER_SET_SIZE,
							    .size = 8192 }),
			 -EFBIG);
	assert_alive(f);
}

static int ask_reader(struct fixture *f, int fd)
{
	return call_with(f, &(struct gofer_request){ .type = GOFER_READER }, &fd, 1);
}

static void a_memory_file_is_opened_again_to_be_read(void **state)
{
	struct fixture *f = *state;
	const int memory = memfd_create("memory", MFD_CLOEXEC);
	char byte = 'x';

	assert_int_equal(write(memory, &byte, 1), 1);
	assert_int_equal(ask_reader(f, memory), 0);
	assert_true(f->fd >= 0);
	assert_int_equal(fcntl(f->fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(pread(f->fd, &byte, 1, 0), 1);
	assert_int_equal(pwrite(f->fd, &byte, 1, 0), -1);
	assert_true(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0) == MAP_FAILED);
	(void)close(memory);
}

/* A fallen sentry cannot have more of what it holds than it was given. */
static void nothing_but_a_memory_file_is_opened_again(void **state)
{
	struct fixture *f = *state;
	int ends[2], fd;

	assert_int_equal(call(f, &(struct gofer_request){ .type = GOFER_READER }), -EPROTO);
	put_file(f, "rw/file", "secret");
	fd = openat(AT_FDCWD, "/proc/self/exe", O_PATH | O_CLOEXEC);
	assert_int_equal(ask_reader(f, fd), -EINVAL);
	(void)close(fd);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(ask_reader(f, ends[1]), -EINVAL);
	assert_int_equal(ask_reader(f, f->sock), -EINVAL);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(ask_reader(f, fd), -EINVAL);
	(void)close(fd);
	fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(ask_reader(f, fd), -EINVAL);
	(void)close(fd);
	assert_alive(f);
	(void)close(ends[1]);
	(void)close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GOFER_TEST(a_new_file_has_the_asked_owner_and_mode),
		GOFER_TEST(what_cannot_be_given_away_is_not_made),
		GOFER_TEST(a_descriptor_has_the_asked_access_and_no_more),
		GOFER_TEST(attributes_are_set_and_told),
		GOFER_TEST(attributes_of_what_cannot_be_opened_are_set_too),
		GOFER_TEST(a_listing_has_every_name_once),
		GOFER_TEST(many_directories_are_read_at_once),
		GOFER_TEST(names_are_linked_moved_and_removed),
		GOFER_TEST(attributes_of_users_are_served),
		GOFER_TEST(other_attributes_are_served_where_the_root_allows),
		GOFER_TEST(data_is_synced_and_copied),
		GOFER_TEST(a_file_without_a_name_can_get_one),
		GOFER_TEST(a_file_size_limit_is_an_error_and_not_the_end),
		GOFER_TEST(a_memory_file_is_opened_again_to_be_read),
		GOFER_TEST(nothing_but_a_memory_file_is_opened_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
