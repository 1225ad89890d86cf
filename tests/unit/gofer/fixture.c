/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/gofer/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "gofer/server.h"

#define ROOTS 4u

static const char *const root_names[ROOTS] = { "rw", "ro", "attr", "sockets" };

static void serve_here(const struct fixture *f, int sock)
{
	struct gofer_server *s = calloc(1, sizeof(*s));
	struct rlimit files = { 0 };
	const uint32_t flags[ROOTS] = { 0, GOFER_ROOT_RO, GOFER_ROOT_XATTR,
					GOFER_ROOT_CONNECT | GOFER_ROOT_BIND };
	const int proc = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)umask(0);
	if (!s || proc < 0)
		_exit(90);
	gofer_server_init(s, sock, proc, files.rlim_cur);
	for (unsigned int i = 0; i < ROOTS; i++) {
		const int fd = openat(f->dir, root_names[i], O_PATH | O_CLOEXEC);

		if (fd < 0 || gofer_server_add_root(s, fd, flags[i]) < 0)
			_exit(91);
	}
	_exit(gofer_serve(s) < 0 ? 1 : 0);
}

static void exec_program(const struct fixture *f, const char *program, int sock)
{
	static const char *const words[] = { "", ",ro", ",xattr", ",connect,bind" };
	char args[ROOTS + 1][32];

	(void)snprintf(args[0], sizeof(args[0]), "%d", dup(sock));
	for (unsigned int i = 0; i < ROOTS; i++)
		(void)snprintf(args[i + 1], sizeof(args[0]), "%d%s",
			       openat(f->dir, root_names[i], O_PATH), words[i]);
	(void)execl(program, "caisson-gofer", args[0], args[1], args[2], args[3], args[4],
		    (char *)NULL);
	_exit(92);
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *program = getenv("GOFER_PROGRAM");
	int pair[2];

	if (!f)
		return -1;
	*state = f;
	f->fd = -1;
	(void)snprintf(f->path, sizeof(f->path), "/tmp/gofer-test-XXXXXX");
	if (!mkdtemp(f->path))
		return -1;
	f->dir = open(f->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->dir < 0 || mkdirat(f->dir, "secret", 0755) < 0)
		return -1;
	for (unsigned int i = 0; i < ROOTS; i++) {
		if (mkdirat(f->dir, root_names[i], 0755) < 0)
			return -1;
	}
	put_file(f, "secret/key", "secret");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	f->pid = fork();
	if (f->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(pair[0]);
		if (program)
			exec_program(f, program, pair[1]);
		serve_here(f, pair[1]);
	}
	(void)close(pair[1]);
	f->sock = pair[0];
	if (f->pid < 0)
		return -1;
	if (attach(f, ROOT_RW, &(struct gofer_entry){ 0 }) != 0)
		return -1;
	f->root = f->answer.attach.entry.node;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

static void close_fds(struct fixture *f)
{
	while (f->fds_len > 0)
		(void)close(f->fds[--f->fds_len]);
	f->fd = -1;
}

/* The gofer ends by itself when its client is gone. */
int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	int status = -1;

	close_fds(f);
	(void)close(f->sock);
	(void)waitpid(f->pid, &status, 0);
	(void)close(f->dir);
	(void)nftw(f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return WIFEXITED(status) && WEXITSTATUS(status) <= 1 ? 0 : -1;
}

static int await(struct fixture *f, ssize_t *ret_len)
{
	size_t nfds = GOFER_OPEN_MAX;

	close_fds(f);
	*ret_len = fd_recv(f->sock, f->message, sizeof(f->message), f->fds, &nfds);
	f->fds_len = *ret_len > 0 ? nfds : 0;
	f->fd = f->fds_len ? f->fds[0] : -1;
	return *ret_len > 0 ? 0 : 1;
}

int call(struct fixture *f, const struct gofer_request *r)
{
	return call_with(f, r, NULL, 0);
}

int call_with(struct fixture *f, const struct gofer_request *r, const int *fds, size_t nfds)
{
	struct gofer_request request = *r;
	uint64_t tag;
	ssize_t n;
	int len;

	request.tag = ++f->tag;
	len = gofer_request_encode(&request, f->message);
	if (len < 0)
		fail_msg("request of type %u cannot be written: %d", r->type, len);
	assert_int_equal(fd_send(f->sock, f->message, (size_t)len, fds, nfds), 0);
	if (await(f, &n) != 0)
		fail_msg("request of type %u: the gofer is gone", r->type);
	assert_int_equal(gofer_reply_tag(f->message, (size_t)n, &tag), 0);
	assert_int_equal(tag, f->tag);
	assert_int_equal(gofer_reply_decode(f->message, (size_t)n, r->type, &f->answer), 0);
	assert_int_equal(f->answer.fds, f->fds_len);
	return f->answer.error;
}

int call_raw(struct fixture *f, const void *bytes, size_t len)
{
	struct gofer_reply head;
	ssize_t n;

	if (send(f->sock, bytes, len, MSG_NOSIGNAL) < 0)
		return 1;
	if (await(f, &n) != 0)
		return 1;
	assert_true((size_t)n >= sizeof(head));
	memcpy(&head, f->message, sizeof(head));
	return head.error;
}

int attach(struct fixture *f, uint32_t root, struct gofer_entry *ret)
{
	const int r = call(f, &(struct gofer_request){
				      .type = GOFER_ATTACH,
				      .attach = { .root = root, .version = GOFER_MSG_VERSION } });

	if (r == 0)
		*ret = f->answer.attach.entry;
	return r;
}

int walk(struct fixture *f, uint64_t node, const char *name, struct gofer_entry *ret)
{
	const int r = call(f, &(struct gofer_request){ .type = GOFER_WALK,
						       .walk = { .node = node, .count = 1 },
						       .names = { name } });

	if (r < 0)
		return r;
	if (f->answer.walk.found == 1)
		gofer_answer_entry(&f->answer, 0, ret);
	return f->answer.walk.stop;
}

int open_node(struct fixture *f, uint64_t node, uint32_t flags)
{
	return call(f, &(struct gofer_request){ .type = GOFER_OPEN,
						.open = { .node = node, .flags = flags } });
}

static int make_with(struct fixture *f, const struct gofer_request *r, struct gofer_entry *ret)
{
	const int error = call(f, r);

	if (error == 0 && ret)
		*ret = f->answer.entry;
	return error;
}

int create(struct fixture *f, uint64_t dir, const char *name, uint32_t mode,
	   struct gofer_entry *ret)
{
	return make_with(f,
			 &(struct gofer_request){ .type = GOFER_CREATE,
						  .make = { dir, mode, geteuid(), getegid(),
							    GOFER_OPEN_READ | GOFER_OPEN_WRITE },
						  .names = { name } },
			 ret);
}

int make(struct fixture *f, uint32_t type, uint64_t dir, const char *name, uint32_t mode,
	 struct gofer_entry *ret)
{
	return make_with(f,
			 &(struct gofer_request){ .type = type,
						  .make = { dir, mode, geteuid(), getegid(), 0 },
						  .names = { name } },
			 ret);
}

int getattr(struct fixture *f, uint64_t node, struct gofer_attr *ret)
{
	const int r = call(f, &(struct gofer_request){ .type = GOFER_GETATTR, .node = { node } });

	if (r == 0)
		*ret = f->answer.attr.attr;
	return r;
}

int unlink_name(struct fixture *f, uint64_t dir, const char *name, uint32_t flags)
{
	return call(f, &(struct gofer_request){ .type = GOFER_UNLINK,
						.unlink = { .dir = dir, .flags = flags },
						.names = { name } });
}

int close_node(struct fixture *f, uint64_t node)
{
	return call(f, &(struct gofer_request){ .type = GOFER_CLOSE,
						.close.count = 1,
						.blob = &node,
						.blob_len = sizeof(node) });
}

void put_file(const struct fixture *f, const char *path, const char *text)
{
	const int fd = openat(f->dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	(void)close(fd);
}

uint64_t must_walk(struct fixture *f, const char *name)
{
	struct gofer_entry entry = { 0 };

	if (walk(f, f->root, name, &entry) != 0)
		fail_msg("no \"%s\"", name);
	return entry.node;
}

void assert_alive(struct fixture *f)
{
	struct gofer_attr attr;

	assert_int_equal(getattr(f, f->root, &attr), 0);
	assert_true(S_ISDIR(attr.mode));
}
