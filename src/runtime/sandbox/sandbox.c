/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/sandbox.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "host/pidfd.h"
#include "runtime/isolation.h"
#include "wire/sentry_msg.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define DEATH_WAIT_MS 1000 /* from the end of its socket to that of the process */

void sandbox_done(struct sandbox *s)
{
	auto_close_p(&s->pidfd);
	auto_close_p(&s->report);
	auto_close_p(&s->master);
	*s = (struct sandbox)SANDBOX_INIT;
}

/* It ended without a word: how. */
static int died(const struct sandbox *s, struct err *err)
{
	siginfo_t info = { 0 };

	if (pidfd_wait(s->pidfd, DEATH_WAIT_MS) < 0 ||
	    waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED | WNOWAIT | WNOHANG) < 0 ||
	    info.si_pid == 0)
		return err_set(err, -EPROTO, "the sandbox closed its socket during its start");
	if (info.si_code == CLD_EXITED)
		return err_set(err, -EPROTO, "the sandbox ended during its start with status %d",
			       info.si_status);
	return err_set(err, -EPROTO, "the sandbox was killed by signal %d during its start",
		       info.si_status);
}

int sandbox_await(const struct sandbox *s, uint32_t wanted, struct err *err)
{
	struct sentry_report report = { 0 };
	size_t nfds = 0;
	const ssize_t n = fd_recv(s->report, &report, sizeof(report), NULL, &nfds);

	if (n == 0 || n == -ECONNRESET)
		return died(s, err);
	if (n < 0)
		return err_sys(err, (int)n, "read from the sandbox");
	if (n != sizeof(report))
		return err_set(err, -EPROTO, "the sandbox sent %zd bytes", n);
	report.text[sizeof(report.text) - 1] = '\0';
	if (report.type == SENTRY_REPORT_NO_CLONE)
		return err_set(err, SANDBOX_NO_CLONE, "%s", report.text);
	if (report.type == SENTRY_REPORT_FAILED)
		return err_set(err, report.code < 0 ? report.code : -EPROTO, "%s", report.text);
	return report.type == wanted
		       ? 0
		       : err_set(err, -EPROTO, "the sandbox said %u where %u was expected",
				 report.type, wanted);
}

int sandbox_go(struct sandbox *s, char go, struct err *err)
{
	int r = fd_send(s->report, &go, 1, NULL, 0);

	if (r == -EPIPE || r == -ECONNRESET)
		r = died(s, err);
	else if (r < 0)
		r = err_sys(err, r, "write to the sandbox");
	else if (go == SENTRY_GO_START)
		r = sandbox_await(s, SENTRY_REPORT_STARTED, err);
	if (r < 0)
		return r;
	auto_close_p(&s->report);
	s->report = -EBADF;
	return 0;
}

int sandbox_program(const struct runtime *rt, const char *name, struct err *err)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", rt->libexec ? rt->libexec : "", name);
	fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_sys(err, -errno, "program %s", path) : fd;
}

int sandbox_seal(const struct buf *b, struct err *err)
{
	AUTO_CLOSE int fd =
		memfd_create("description", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	int r;

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("description", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(err, -errno, "memfd_create for the description");
	r = fd_write_all(fd, b->data, b->len);
	if (r < 0)
		return err_sys(err, r, "write the description");
	if (lseek(fd, 0, SEEK_SET) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return err_sys(err, -errno, "seal the description");
	return TAKE_FD(fd);
}

int sandbox_setting(const struct runtime *rt, const struct oci_spec *spec, const char *key,
		    const char *otherwise, const char **ret, struct err *err)
{
	const char *text = oci_annotation(spec, key);

	*ret = text ? text : otherwise;
	if (text && !isolation_annotation_allowed(rt, key))
		return err_set(err, -EPERM, "annotation %s: allowed_annotations does not list it",
			       key);
	return 0;
}
