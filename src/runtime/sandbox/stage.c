/* SPDX-License-Identifier: Apache-2.0 */
/* The staged child's part of launch.h. */
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "ns/stage.h"
#include "runtime/sandbox/launch.h"
#include "runtime/sandbox/stdio.h"

#define FILES_WANTED 65536 /* descriptors of a process that serves files */

int sandbox_die_with_parent(struct err *err)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? err_sys(err, -errno, "prctl PR_SET_PDEATHSIG")
						    : 0;
}

int sandbox_stage_begin(const struct sandbox_launch *l, struct err *err)
{
	int r = sandbox_die_with_parent(err);

	stage_default_signals();
	if (r == 0 && l->unprivileged) {
		r = stage_await(l->stage[1], STAGE_MAPPED, err);
		if (r == 0)
			r = namespace_become_root(&l->cr->spec.process.user, err);
		if (r == 0)
			r = sandbox_die_with_parent(err);
	}
	if (r == 0 && l->unshare && unshare(l->unshare) < 0)
		r = err_sys(err, -errno, "make the sandbox's namespaces");
	return r;
}

bool sandbox_has_hooks(const struct sandbox_launch *l)
{
	const struct oci_hooks *hooks = &l->cr->spec.hooks;

	return hooks->prestart.len || hooks->create_runtime.len || hooks->create_container.len;
}

int sandbox_stage_place(struct sandbox_launch *l, struct err *err)
{
	int r;

	if (l->placed)
		return 0;
	l->placed = true;
	r = stage_await_placed(l->stage[1], err);
	if (r == 0 && l->on_cgroups && stage_send(l->stage[1], STAGE_JOINED, 0, -EBADF) < 0)
		r = err_set(err, -EPIPE, "the runtime is gone");
	return r;
}

int sandbox_stage_hooks(struct sandbox_launch *l, struct err *err)
{
	const struct oci_hooks *hooks = &l->cr->spec.hooks;
	int r;

	if (!sandbox_has_hooks(l))
		return 0;
	r = sandbox_stage_place(l, err);
	if (r == 0 && (hooks->prestart.len || hooks->create_runtime.len)) {
		if (stage_send(l->stage[1], STAGE_ENVIRONMENT, 0, -EBADF) < 0)
			return err_set(err, -EPIPE, "the runtime is gone");
		r = stage_await(l->stage[1], STAGE_ENVIRONED, err);
	}
	if (r == 0 && hooks->create_container.len) {
		if (chdir(l->cr->c->rootfs) < 0)
			return err_sys(err, -errno, "enter the root file system %s",
				       l->cr->c->rootfs);
		r = creation_on_container(l->cr, getpid(), err);
	}
	return r;
}

int sandbox_stage_terminal(const struct sandbox_launch *l, int *ret_slave, struct err *err)
{
	AUTO_CLOSE int master = -EBADF;
	AUTO_CLOSE int slave = -EBADF;
	int r = stdio_terminal(&l->cr->terminal, &slave, &master, err);

	if (r < 0 || slave < 0)
		return r;
	if (master >= 0) {
		r = stage_send(l->stage[1], STAGE_TERMINAL, 0, master);
		if (r < 0)
			return err_sys(err, r, "send the console's master");
	}
	/* Its keys are signals to us, which the supervisor passes on. */
	if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0L) < 0)
		return err_sys(err, -errno, "make the console the controlling terminal");
	*ret_slave = TAKE_FD(slave);
	return 0;
}

int sandbox_raise_files(struct err *err)
{
	struct rlimit files, wanted;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(err, -errno, "getrlimit RLIMIT_NOFILE");
	/* Who may not keeps to the limit: names and descriptors are cached within it. */
	wanted = (struct rlimit){ FILES_WANTED, FILES_WANTED };
	if (files.rlim_max < FILES_WANTED && setrlimit(RLIMIT_NOFILE, &wanted) == 0)
		return 0;
	files.rlim_cur = files.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &files) < 0
		       ? err_sys(err, -errno, "setrlimit RLIMIT_NOFILE")
		       : 0;
}

void sandbox_stage_fail(struct sandbox_launch *l, const struct err *err)
{
	struct err ignored = { 0 };

	/* Nothing may lie unread in our end when it closes: the other would not get our words. */
	(void)sandbox_stage_place(l, &ignored);
	stage_fail(l->stage[1], err);
}
