/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; NUL has no place in a command line. */
static int decode(char *text)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		int byte = (unsigned char)*in;

		if (*in == '+') {
			byte = ' ';
		} else if (*in == '%') {
			const int high = hex(in[1]);
			const int low = high < 0 ? -1 : hex(in[2]);

			if (low < 0 || (high == 0 && low == 0))
				return -EINVAL;
			byte = high * 16 + low;
			in += 2;
		}
		*out++ = (char)byte;
	}
	*out = '\0';
	return 0;
}

static int add_word(char ***words, const char *text, size_t len)
{
	char *word = strndup(text, len);
	int r;

	if (!word)
		return -ENOMEM;
	r = decode(word);
	if (r < 0) {
		free(word);
		return r;
	}
	return strv_len(*words) < LOGGER_ARGS_MAX ? strv_push(words, word) : (free(word), -E2BIG);
}

int logger_words(const char *uri, char ***ret, struct err *err)
{
	AUTO_STRV char **words = NULL;
	const char *rest = str_after(uri, LOGGER_SCHEME);
	size_t len = rest ? strcspn(rest, "?#") : 0;
	int r;

	if (!rest || rest[0] != '/')
		return err_set(err, -EINVAL, "%s: no absolute path of a logger", uri);
	r = add_word(&words, rest, len);
	rest += len;
	while (r == 0 && (*rest == '?' || *rest == '&')) {
		size_t key;

		rest++;
		len = strcspn(rest, "&#");
		key = strcspn(rest, "=&#");
		if (len > 0)
			r = add_word(&words, rest, key);
		if (r == 0 && key + 1 < len)
			r = add_word(&words, rest + key + 1, len - key - 1);
		rest += len;
	}
	if (r < 0)
		return err_sys(err, r, "%s", uri);
	*ret = TAKE_PTR(words);
	return 0;
}

/* 3, 4 and 5 are what the logger expects there; the rest ends with exec. */
static int place(const int fds[static 3])
{
	int high[3];

	for (int i = 0; i < 3; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 6);
		if (high[i] < 0)
			return -errno;
	}
	for (int i = 0; i < 3; i++) {
		if (dup2(high[i], 3 + i) < 0)
			return -errno;
	}
	return fd_close_range(6, ~0u, 0);
}

__attribute__((noreturn)) static void become(char **words, const int fds[static 3])
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, 0);
	(void)setsid();
	for (int i = 0; i < 3; i++)
		(void)dup2(null, i);
	if (place(fds) == 0)
		(void)execv(words[0], words);
	_exit(127);
}

static int wait_ready(int fd, const char *uri, struct err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	do {
		r = poll(&p, 1, LOGGER_TIMEOUT_MS);
	} while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : err_set(err, -ETIMEDOUT, "%s: the logger does not get ready", uri);
}

/* An empty one for each output that is somewhere else. */
static int open_empty(int outputs[static 2], int *ret_owned)
{
	if (outputs[0] >= 0 && outputs[1] >= 0)
		return 0;
	*ret_owned = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		if (outputs[i] < 0)
			outputs[i] = *ret_owned;
	}
	return *ret_owned < 0 ? -errno : 0;
}

int logger_start(const char *uri, const int outputs[static 2], const char *id, const char *ns,
		 struct err *err)
{
	AUTO_STRV char **words = NULL;
	AUTO_CLOSE int ready = -EBADF;
	AUTO_CLOSE int say = -EBADF;
	AUTO_CLOSE int empty = -EBADF;
	int fds[3] = { outputs[0], outputs[1] };
	int pair[2];
	pid_t pid;
	int r = logger_words(uri, &words, err);

	if (r < 0)
		return r;
	if (access(words[0], X_OK) < 0)
		return err_sys(err, -errno, "logger %s", words[0]);
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "logger %s", words[0]);
	ready = pair[0];
	fds[2] = say = pair[1];
	if (open_empty(fds, &empty) < 0 || setenv("CONTAINER_ID", id, 1) < 0 ||
	    setenv("CONTAINER_NAMESPACE", ns, 1) < 0)
		return err_sys(err, -errno, "logger %s", words[0]);
	pid = fork();
	if (pid == 0)
		become(words, fds);
	(void)unsetenv("CONTAINER_ID");
	(void)unsetenv("CONTAINER_NAMESPACE");
	if (pid < 0)
		return err_sys(err, -errno, "fork");
	auto_close_p(&say);
	say = -EBADF;
	r = wait_ready(ready, uri, err);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	return r;
}
