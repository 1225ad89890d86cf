/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caisson-gofer SOCKET[,LINKS] ROOT...: serves the files of one container on descriptor SOCKET
 * (wire/gofer_msg.h) until the other end closes.
 *
 * LINKS is a descriptor of its /proc/self/fd, from whoever has given it an empty root already.
 * Without one the program needs /proc at its start, and CAP_SYS_ADMIN in its user namespace to have
 * an empty root.
 *
 * A ROOT is the number of a descriptor (O_PATH; best of a detached mount, so that nothing else is
 * reachable from it), followed by words: ",ro" ",xattr" ",connect" ",bind" (enum gofer_root_flags).
 * The container's root file system is the first. The program keeps CAP_CHOWN, CAP_DAC_OVERRIDE,
 * CAP_FOWNER and CAP_FSETID of what it has. It says on standard error why it could not start, and
 * ends with 1.
 */
#include "gofer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/resource.h>

#include "base/start.h"
#include "base/sys.h"
#include "gofer/cage.h"
#include "jail/jail.h"

#define FIRST_MOVED 16 /* above every number that the filter pins */
#define SIGNAL_XFSZ 25 /* signal(7); <signal.h> belongs to libc */

static struct gofer_server server;

/* 2, 3, 4 and the roots. */
static int keep[3 + GOFER_ROOTS_MAX];

__attribute__((noreturn)) static void leave(int status)
{
	for (;;)
		(void)SYS1(SYS_exit_group, status);
}

static void say(const char *text)
{
	(void)SYS3(SYS_write, 2, text, strlen(text));
}

__attribute__((noreturn)) static void fail(const char *what, long code)
{
	char number[GOFER_NUMBER_MAX];

	say("caisson-gofer: ");
	say(what);
	say(": errno ");
	say(gofer_number((int)-code, number));
	say("\n");
	leave(1);
}

/* A decimal number at the start of *at, which moves behind it; -1 without one. */
static int parse_number(const char **at)
{
	int n = 0;

	if (**at < '0' || **at > '9')
		return -1;
	while (**at >= '0' && **at <= '9' && n < 1000000)
		n = n * 10 + (*(*at)++ - '0');
	return n;
}

static bool take_word(const char **at, const char *word)
{
	const size_t len = strlen(word);

	if (strncmp(*at, word, len) != 0 || ((*at)[len] != '\0' && (*at)[len] != ','))
		return false;
	*at += len;
	return true;
}

/* ",ro,xattr"; UINT32_MAX for what is not known. */
static uint32_t parse_flags(const char *at)
{
	uint32_t flags = 0;

	while (*at) {
		if (take_word(&at, ",ro"))
			flags |= GOFER_ROOT_RO;
		else if (take_word(&at, ",xattr"))
			flags |= GOFER_ROOT_XATTR;
		else if (take_word(&at, ",connect"))
			flags |= GOFER_ROOT_CONNECT;
		else if (take_word(&at, ",bind"))
			flags |= GOFER_ROOT_BIND;
		else
			return UINT32_MAX;
	}
	return flags;
}

/* The same file above the numbers that the filter pins; each is higher than the one before. */
static int move_up(int fd, const char *what)
{
	const long r = SYS3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, FIRST_MOVED);

	if (r < 0)
		fail(what, r);
	return (int)r;
}

/*
 * /proc/self/fd; as a mount of its own where that is allowed, so that nothing of /proc lies around
 * it.
 */
static int open_proc(void)
{
	long r =
		SYS3(SYS_open_tree, AT_FDCWD, "/proc/self/fd", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (r < 0)
		r = SYS4(SYS_openat, AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC,
			 0);
	if (r < 0)
		fail("/proc/self/fd", r);
	return (int)r;
}

static void put_at(int fd, int number)
{
	const long r = SYS3(SYS_dup3, fd, number, O_CLOEXEC);

	if (r < 0)
		fail("dup3", r);
}

/* All that may be open: the hard limit. */
static uint64_t raise_files(void)
{
	struct rlimit64 files = { 0 };
	long r = SYS4(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &files);

	if (r == 0) {
		files.rlim_cur = files.rlim_max;
		r = SYS4(SYS_prlimit64, 0, RLIMIT_NOFILE, &files, 0);
	}
	if (r < 0)
		fail("RLIMIT_NOFILE", r);
	return files.rlim_cur;
}

/* RLIMIT_FSIZE of whoever started us is an errno, not our end. The kernel's struct, not libc's. */
static void ignore_xfsz(void)
{
	const struct {
		uintptr_t handler; /* 1: SIG_IGN */
		uint64_t flags, restorer, mask;
	} ignore = { .handler = 1 };
	const long r = SYS4(SYS_rt_sigaction, SIGNAL_XFSZ, &ignore, 0, sizeof(ignore.mask));

	if (r < 0)
		fail("SIGXFSZ", r);
}

static void take_roots(int argc, const char *const *argv)
{
	for (int i = 2; i < argc; i++) {
		const char *at = argv[i];
		const int fd = parse_number(&at);
		const uint32_t flags = parse_flags(at);
		int moved;

		if (fd < 0 || flags == UINT32_MAX)
			fail(argv[i], -EINVAL);
		moved = move_up(fd, argv[i]);
		if (gofer_server_add_root(&server, moved, flags) < 0)
			fail("too many roots", -ENFILE);
		keep[3 + i - 2] = moved;
	}
}

static void enter_cage(bool rooted)
{
	const struct jail_plan plan = {
		.keep = keep,
		.keep_len = 3 + server.roots_len,
		.trees = keep + 3,
		.trees_len = server.roots_len,
		.rooted = rooted,
		.capabilities = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER |
				1u << CAP_FSETID,
		.filter = gofer_filter,
		.filter_len = gofer_filter_len,
	};
	enum jail_stage failed;
	const int r = jail_enter(&plan, &failed);

	if (r < 0)
		fail(jail_stage_name(failed), r);
}

void bare_main(int argc, const char *const *argv)
{
	const char *at = argc > 1 ? argv[1] : "";
	const int given = parse_number(&at);
	const bool rooted = *at == ',';
	const int links = rooted ? (at++, parse_number(&at)) : 0;
	int sock;

	if (argc < 3 || given < 0 || links < 0 || *at)
		fail("usage: caisson-gofer SOCKET[,LINKS] ROOT[,ro][,xattr]...", -EINVAL);
	(void)SYS0(SYS_setsid); /* a terminal's signals are for the container, not for its files */
	(void)SYS1(SYS_umask, 0);
	ignore_xfsz();
	gofer_server_init(&server, CAGE_SOCKET, CAGE_PROC, raise_files());
	sock = move_up(given, "socket");
	take_roots(argc, argv);
	put_at(sock, CAGE_SOCKET);
	put_at(move_up(rooted ? links : open_proc(), "/proc/self/fd"), CAGE_PROC);
	keep[0] = 2;
	keep[1] = CAGE_SOCKET;
	keep[2] = CAGE_PROC;
	enter_cage(rooted);
	(void)gofer_close_fd(2);
	leave(gofer_serve(&server) < 0 ? 1 : 0);
}
