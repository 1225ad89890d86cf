/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile sentry: a run of messages, each behind two bytes of length, to a gofer over a temporary
 * directory. Whatever they say, nothing outside of the directory changes, every answer is one that
 * the sentry's decoder takes, and no descriptor is left. The same bytes are also read as answers.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gofer/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DISK_MAX (1u << 20) /* bytes of a file: ftruncate and copies stay small */

static struct gofer_server server;
static char top[] = "/tmp/gofer-fuzz-XXXXXX";
static int top_fd, proc_fd, first_free;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void clean_up(void)
{
	(void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void set_up(void)
{
	const struct rlimit small = { DISK_MAX, DISK_MAX };
	int fd;

	(void)signal(SIGXFSZ, SIG_IGN);
	(void)setrlimit(RLIMIT_FSIZE, &small);
	if (!mkdtemp(top))
		abort();
	(void)atexit(clean_up);
	top_fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert(top_fd >= 0 && proc_fd >= 0 && mkdirat(top_fd, "outside", 0755) == 0);
	fd = openat(top_fd, "outside/key", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert(fd >= 0 && write(fd, "key", 3) == 3);
	(void)close(fd);
	(void)umask(0);
}

/* The same small tree for each input. */
static void plant(void)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/in", top);
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	assert(mkdirat(top_fd, "in", 0755) == 0 && mkdirat(top_fd, "in/d", 0755) == 0);
	assert(symlinkat("../outside", top_fd, "in/l") == 0);
	assert(mkfifoat(top_fd, "in/p", 0644) == 0);
	fd = openat(top_fd, "in/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	assert(fd >= 0 && write(fd, "text", 4) == 4);
	(void)close(fd);
}

static void outside_is_as_it_was(void)
{
	struct stat key, dir;

	assert(fstatat(top_fd, "outside/key", &key, AT_SYMLINK_NOFOLLOW) == 0);
	assert(key.st_size == 3 && key.st_nlink == 1 && (key.st_mode & 07777) == 0600);
	assert(fstatat(top_fd, "outside", &dir, AT_SYMLINK_NOFOLLOW) == 0);
	assert((dir.st_mode & 07777) == 0755 && dir.st_nlink == 2);
}

static void ask(const uint8_t *message, size_t len)
{
	struct gofer_answer answer;
	struct gofer_reply head;
	struct gofer_fds fds;
	const int r = gofer_handle(&server, message, len, &fds);

	assert(fds.len <= GOFER_OPEN_MAX);
	for (unsigned int i = 0; i < fds.len; i++) {
		struct stat st;

		assert(fstat(fds.fd[i], &st) == 0 && S_ISREG(st.st_mode));
		(void)close(fds.fd[i]);
	}
	if (r < 0) {
		assert(r == -EBADMSG && fds.len == 0);
		return;
	}
	memcpy(&head, server.out, sizeof(head));
	assert(head.fds == fds.len);
	/* A type that does not exist has no answer but its error. */
	if (head.type > 0 && head.type < GOFER_TYPE_MAX)
		assert(gofer_reply_decode(server.out, (size_t)r, head.type, &answer) == 0);
	else
		assert(head.error == -EPROTO);
}

static void read_as_answers(const uint8_t *data, size_t size)
{
	struct gofer_answer answer;
	struct gofer_dirent_view view;
	struct gofer_entry entry;
	uint64_t tag;

	(void)gofer_reply_tag(data, size, &tag);
	for (uint32_t type = 0; type <= GOFER_TYPE_MAX; type++) {
		size_t at = 0;

		if (gofer_reply_decode(data, size, type, &answer) != 0 || answer.error)
			continue;
		for (uint32_t i = 0; type == GOFER_WALK && i < answer.walk.found; i++)
			gofer_answer_entry(&answer, i, &entry);
		for (uint32_t i = 0; type == GOFER_OPEN_MANY && i < answer.open_many.count; i++)
			assert(gofer_answer_opened(&answer, i) <= 0);
		while (type == GOFER_READDIR && gofer_answer_dirent(&answer, &at, &view) > 0)
			assert(gofer_name_valid(view.name, view.name_len));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gofer_request attach = { .type = GOFER_ATTACH, .attach.version = GOFER_MSG_VERSION };
	uint64_t message[64];
	int fd;

	if (!top_fd)
		set_up();
	read_as_answers(data, size);
	plant();
	first_free = dup(0);
	(void)close(first_free);
	memset(&server, 0, offsetof(struct gofer_server, in));
	gofer_server_init(&server, -1, proc_fd, 1000);
	fd = openat(top_fd, "in", O_PATH | O_CLOEXEC);
	assert(fd >= 0 && gofer_server_add_root(&server, fd, 0) == 0);
	fd = openat(top_fd, "in", O_PATH | O_CLOEXEC);
	assert(fd >= 0 && gofer_server_add_root(&server, fd, GOFER_ROOT_RO) == 0);
	/* Node 32768 is the root that can be written, 65537 the other. */
	ask((uint8_t *)message, (size_t)gofer_request_encode(&attach, message));
	attach.attach.root = 1;
	ask((uint8_t *)message, (size_t)gofer_request_encode(&attach, message));
	while (size >= 2) {
		const size_t said = data[0] | (size_t)data[1] << 8;
		const size_t len = said < size - 2 ? said : size - 2;

		ask(data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	gofer_server_done(&server);
	fd = dup(0);
	assert(fd == first_free);
	(void)close(fd);
	outside_is_as_it_was();
	return 0;
}
