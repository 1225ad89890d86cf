/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/life_hooks.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/log.h"
#include "ns/hooks.h"
#include "runtime/container.h"

/* The file that an annotation names, opened for appending; -EBADF without the annotation. */
static int output_open(const struct container *c, const char *key, struct err *err)
{
	const char *path = json_string_value(json_object_get(c->annotations, key));
	int fd;

	if (!path)
		return -EBADF;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0700);
	return fd < 0 ? err_sys(err, -errno, "annotation %s: open %s", key, path) : fd;
}

static int run(const struct container *c, const struct life_hooks *hooks, struct err *err)
{
	AUTO_CLOSE int out = output_open(c, "run.oci.hooks.stdout", err);
	AUTO_CLOSE int problems = output_open(c, "run.oci.hooks.stderr", err);
	AUTO_FREE char *state = NULL;
	struct hooks_io io = { .out_fd = out, .err_fd = problems };
	int r;

	if (out < 0 && out != -EBADF)
		return out;
	if (problems < 0 && problems != -EBADF)
		return problems;
	r = container_state_text(c, hooks->status, hooks->pid, &state, err);
	if (r < 0)
		return r;
	io.state_json = state;
	r = hooks_run(hooks->list, hooks->name, &io, err);
	if (r == 0)
		log_debug("container %s: %zu %s hooks have run", c->id, hooks->list->len,
			  hooks->name);
	return r;
}

int life_hooks_run(const struct container *c, const struct life_hooks *hooks, struct err *err)
{
	AUTO_CLOSE int here = -EBADF;
	int r;

	if (hooks->list->len == 0)
		return 0;
	if (!hooks->in_bundle)
		return run(c, hooks, err);
	here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* A bundle that is gone by the time of poststop is no reason to skip the hook. */
	if (here >= 0 && chdir(c->bundle) < 0)
		(void)close(TAKE_FD(here));
	r = run(c, hooks, err);
	if (here >= 0 && fchdir(here) < 0 && r == 0)
		r = err_sys(err, -errno, "return from the bundle");
	return r;
}
