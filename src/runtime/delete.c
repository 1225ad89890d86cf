/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delete: end what lives, remove what was made, the directory last, so that a delete that was
 * killed can be repeated.
 */
#include <fcntl.h>
#include <signal.h>

#include "base/log.h"
#include "base/str.h"
#include "host/pidfd.h"
#include "host/rdt.h"
#include "runtime/container.h"
#include "runtime/isolation.h"
#include "runtime/life_hooks.h"
#include "runtime/store.h"

#define KILL_TIMEOUT_MS 10000 /* for init to be gone after SIGKILL */
#define THAW_AGAIN_MS	50    /* a process that is still to die may have frozen a group again */

int container_kill_process(const struct cgroup *cg, int pidfd)
{
	int r = pidfd_kill(pidfd, SIGKILL);

	if (r < 0 && r != -ESRCH)
		return r;
	r = -ETIMEDOUT;
	for (int waited = 0; r == -ETIMEDOUT && waited < KILL_TIMEOUT_MS; waited += THAW_AGAIN_MS) {
		if (cg)
			cgroup_thaw_all(cg);
		r = pidfd_wait(pidfd, THAW_AGAIN_MS);
	}
	return r;
}

/* SIGKILL to init and wait. The kernel ends a pid namespace with its init. */
static int end_init(struct container *c, struct err *err)
{
	struct err gone = { 0 };
	AUTO_CLOSE int pidfd = container_open_init(c, &gone);
	int r;

	if (pidfd == -ESRCH)
		return 0;
	if (pidfd < 0)
		return err_set(err, pidfd, "%s", gone.msg);
	r = container_kill_process(c->cgroup, pidfd);
	return r < 0 ? err_sys(err, r, "end process %d", c->pid) : 0;
}

int container_end_processes(struct container *c, struct err *err)
{
	const bool had_init = c->pid != 0;
	int r = had_init ? end_init(c, err) : 0;

	if (r < 0)
		return r;
	/*
	 * The rest: without a pid namespace of its own all of them; otherwise processes that were
	 * put into the cgroup from outside, or the remains of a create that died before it wrote
	 * the pid.
	 */
	if (c->cgroup && (!c->private_pid || !had_init)) {
		r = cgroup_signal_all(c->cgroup, SIGKILL, err);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	c->pid = 0;
	c->status = OCI_STOPPED;
	return 0;
}

/*
 * Guests of a part of a pod that is paused cannot end: they are the sandbox's until it goes on, as
 * what it still has of them.
 */
static void hand_over(const struct container *c)
{
	AUTO(container_free_p) struct container *sandbox = NULL;
	struct err problem = { 0 };
	int r = container_load(c->runtime, c->sandbox, false, &sandbox, &problem);

	if (r == 0 && sandbox->cgroup)
		r = cgroup_hand_over(c->cgroup, sandbox->cgroup);
	if (r < 0)
		log_debug("container %s: what is left in its cgroup: %s", c->id, strerror(-r));
}

static int remove_cgroup(struct container *c, struct err *err)
{
	int r;

	if (!c->cgroup)
		return 0;
	if (container_sandbox_is_paused(c))
		hand_over(c);
	r = cgroup_remove(c->cgroup, err);
	if (r != -EBUSY)
		return r;
	/* Somebody joined it from outside. */
	r = cgroup_signal_all(c->cgroup, SIGKILL, err);
	return r < 0 ? r : cgroup_remove(c->cgroup, err);
}

static void remove_rdt(const struct container *c)
{
	struct err problem = { 0 };
	struct oci_intel_rdt rdt = { .set = true, .clos_id = c->rdt_clos };
	AUTO_CLOSE int resctrl = -EBADF;

	if (!c->rdt_clos)
		return;
	if (str_eq(c->rdt_clos, c->id))
		rdt.clos_id = NULL;
	resctrl = rdt_open(&problem);
	if (resctrl < 0 || rdt_remove(resctrl, &rdt, c->id, c->rdt_made, &problem) < 0)
		log_warning("container %s: %s", c->id, problem.msg);
}

/* What the class has left elsewhere; who has it (`forget`) looks it up in config.json. */
static void forget(const struct container *c, const struct oci_spec *spec)
{
	const struct isolation_ops *ops;
	struct oci_spec *loaded = NULL;
	struct err problem = { 0 };

	if (isolation_ops_get(c->isolation, &ops, &problem) < 0 || !ops->forget)
		return;
	if (!spec && container_load_spec(c, &loaded, &problem) < 0) {
		log_warning("container %s: %s", c->id, problem.msg);
		return;
	}
	ops->forget(c, spec ? spec : loaded);
	oci_spec_free(loaded);
}

/* Failing poststop hooks are logged and the delete goes on (runtime-spec runtime.md#lifecycle). */
static void run_poststop(const struct container *c, const struct oci_spec *spec)
{
	struct life_hooks hooks = { .name = "poststop", .status = OCI_STOPPED, .in_bundle = true };
	struct oci_spec *loaded = NULL;
	struct oci_hook_list one;
	struct err problem = { 0 };

	if (!(c->hooks & CONTAINER_HAS_POSTSTOP))
		return;
	if (!spec && container_load_spec(c, &loaded, &problem) < 0) {
		log_warning("poststop hooks do not run: %s", problem.msg);
		return;
	}
	if (!spec)
		spec = loaded;
	for (size_t i = 0; i < spec->hooks.poststop.len; i++) {
		one = (struct oci_hook_list){ .items = &spec->hooks.poststop.items[i], .len = 1 };
		hooks.list = &one;
		if (life_hooks_run(c, &hooks, &problem) < 0)
			log_warning("container %s: %s", c->id, problem.msg);
	}
	oci_spec_free(loaded);
}

int container_destroy(struct container *c, const struct oci_spec *spec, struct err *err)
{
	int r = remove_cgroup(c, err);

	if (r < 0)
		return r;
	remove_rdt(c);
	forget(c, spec);
	run_poststop(c, spec);
	r = store_remove(c->root_fd, c->id, c->dir_fd, err);
	if (r == 0)
		log_debug("container %s: deleted", c->id);
	return r;
}

int container_delete(struct container *c, bool force, struct err *err)
{
	int r = container_lock(c, err);

	if (r < 0)
		return r;
	if (!force && c->status != OCI_STOPPED && c->status != OCI_CREATED)
		return err_set(err, -EBUSY, "cannot delete container %s that is not stopped: %s",
			       c->id, oci_status_name(c->status));
	if (force || c->status == OCI_CREATED || !c->private_pid) {
		r = container_end_processes(c, err);
		if (r < 0)
			return r;
	}
	return container_destroy(c, NULL, err);
}

/*
 * A directory without state.json: create was killed before it made anything else, or delete after
 * it had removed everything else.
 */
static int remove_half(const struct runtime *rt, const char *id, struct err *err)
{
	AUTO_CLOSE int root = store_open_root(rt, false, err);
	AUTO_CLOSE int dir = -EBADF;
	int r;

	if (root < 0)
		return root == -ENOENT ? 0 : root;
	dir = store_open(root, id, err);
	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	r = store_lock(dir, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	/* A create that was at work has meanwhile finished. */
	if (faccessat(dir, STORE_STATE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -EAGAIN;
	return store_remove(root, id, dir, err);
}

int container_delete_force(const struct runtime *rt, const char *id, struct err *err)
{
	AUTO(container_free_p) struct container *c = NULL;
	int r;

	for (;;) {
		r = container_load(rt, id, true, &c, err);
		if (r == 0)
			return container_delete(c, true, err);
		if (r != -ENOENT)
			return r;
		r = remove_half(rt, id, err);
		if (r != -EAGAIN)
			return r;
	}
}
