/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs that act on a container as it is: kill, pause, resume, update, statistics, ps, wait.
 */
#include <fcntl.h>
#include <linux/types.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/fd.h"
#include "host/pidfd.h"
#include "runtime/container.h"
#include "runtime/isolation.h"

static int not_running(struct err *err)
{
	return err_set(err, -ESRCH, "container not running");
}

static int signal_all(struct container *c, int sig, struct err *err)
{
	int r;

	if (!c->cgroup)
		return err_set(err, -ENOTSUP,
			       "signal all processes: container %s has no cgroup to find them in",
			       c->id);
	r = cgroup_signal_all(c->cgroup, sig, err);
	return r == -ENOENT && c->pid == 0 ? 0 : r;
}

/* In a pid namespace that others share the processes outlive init. */
static bool has_orphans(struct container *c)
{
	AUTO_FREE pid_t *pids = NULL;
	size_t len = 0;

	return c->cgroup && !c->private_pid && container_pids(c, &pids, &len, NULL) == 0 && len > 0;
}

int container_kill(struct container *c, int sig, bool all, struct err *err)
{
	const struct isolation_ops *ops;
	AUTO_CLOSE int pidfd = -EBADF;
	int r = isolation_ops_get(c->isolation, &ops, err);

	if (r < 0)
		return r;
	if (ops->signal && sig != SIGKILL && c->pid != 0) {
		/* Its answer may take long, and SIGKILL must not wait for it. */
		container_unlock(c);
		return ops->signal(c, sig, all, err);
	}
	if (all && c->cgroup)
		return signal_all(c, sig, err);
	pidfd = container_open_init(c, err);
	if (pidfd == -ESRCH && sig == SIGKILL && has_orphans(c))
		return signal_all(c, sig, err);
	if (pidfd == -ESRCH && all)
		return 0;
	if (pidfd < 0)
		return pidfd;
	r = pidfd_kill(pidfd, sig);
	if (r == -ESRCH)
		return not_running(err);
	if (r < 0)
		return err_sys(err, r, "signal process %d", c->pid);
	if (sig != SIGKILL || !c->cgroup)
		return 0;
	if (!c->private_pid)
		return signal_all(c, sig, err);
	cgroup_thaw_all(c->cgroup);
	return 0;
}

static int freeze(struct container *c, bool frozen, struct err *err)
{
	if (!c->cgroup)
		return err_set(err, -ENOTSUP, "container %s has no cgroup to %s", c->id,
			       frozen ? "freeze" : "thaw");
	return cgroup_freeze(c->cgroup, frozen, err);
}

/* The cgroup of one in a pod's sandbox has what serves it, and says that it is paused. */
static int freeze_all(struct container *c, bool frozen, struct err *err)
{
	const struct isolation_ops *ops;
	AUTO_CLOSE int hold = -EBADF;
	int r = isolation_ops_get(c->isolation, &ops, err);

	if (r == 0 && !c->sandbox && frozen && ops->hold_pod)
		r = ops->hold_pod(c, &hold, err);
	if (r < 0)
		return r;
	if (!c->sandbox)
		return freeze(c, frozen, err);
	if (!ops->freeze_member)
		return err_set(
			err, -ENOTSUP,
			"container %s is a part of sandbox %s, which can be paused as a whole",
			c->id, c->sandbox);
	/* The cgroup last: what that says holds when we are gone. */
	r = ops->freeze_member(c, frozen, &hold, err);
	return r < 0 ? r : freeze(c, frozen, err);
}

/*
 * Of the sandbox of a pod: freezers are nested, so one of it has a pause of its own, which is
 * remembered while the sandbox's holds all.
 */
static bool is_held_by_sandbox_alone(const struct container *c)
{
	return c->status == OCI_PAUSED && c->sandbox && c->cgroup &&
	       cgroup_is_frozen(c->cgroup) != 1;
}

/* What was deleted meanwhile may have left something where nobody answered. */
static void tell_resumed(struct container *c)
{
	const struct isolation_ops *ops;

	if (!c->sandbox && isolation_ops_get(c->isolation, &ops, NULL) == 0 && ops->resumed)
		ops->resumed(c);
}

int container_pause(struct container *c, struct err *err)
{
	int r = container_lock(c, err);

	if (r == 0 && c->status != OCI_RUNNING && c->status != OCI_CREATED &&
	    !is_held_by_sandbox_alone(c))
		r = not_running(err);
	if (r == 0)
		r = freeze_all(c, true, err);
	if (r == 0)
		c->status = OCI_PAUSED;
	return r;
}

int container_resume(struct container *c, struct err *err)
{
	int r = container_lock(c, err);

	if (r == 0 && c->status != OCI_PAUSED)
		r = err_set(err, -EINVAL, "container not paused");
	if (r == 0 && is_held_by_sandbox_alone(c))
		r = err_set(err, -EINVAL,
			    "container not paused by itself: sandbox %s, which it is a part of, is",
			    c->sandbox);
	if (r == 0)
		r = freeze_all(c, false, err);
	if (r < 0)
		return r;
	container_observe(c);
	tell_resumed(c);
	return 0;
}

int container_update(struct container *c, const struct oci_resources *resources, struct err *err)
{
	struct oci_resources limits = *resources;
	const struct isolation_ops *ops;
	int r = container_lock(c, err);

	/*
	 * Device rules stay as they are: engines send the deny-all of their template with every
	 * update (containerd's CRI plugin), and runc skips it.
	 */
	limits.devices = NULL;
	limits.devices_len = 0;

	if (r < 0)
		return r;
	if (c->status == OCI_STOPPED)
		return not_running(err);
	if (!c->cgroup)
		return err_set(err, -ENOTSUP, "container %s has no cgroup to update", c->id);
	r = isolation_ops_get(c->isolation, &ops, err);
	if (r < 0)
		return r;
	if (ops->resize)
		return ops->resize(c, &limits, err);
	isolation_add_extras(ops, c, &limits);
	r = cgroup_apply(c->cgroup, &limits, true, err);
	if (r == 0 && ops->update)
		r = ops->update(c, resources, err);
	return r;
}

int container_stats(struct container *c, struct cgroup_stats *ret, struct err *err)
{
	const struct isolation_ops *ops;
	int r;

	if (c->status == OCI_STOPPED)
		return err_set(err, -ESRCH, "container with id %s is not running", c->id);
	if (!c->cgroup)
		return err_set(err, -ENOTSUP, "container %s has no cgroup to measure", c->id);
	r = isolation_ops_get(c->isolation, &ops, err);
	if (r == 0)
		r = cgroup_stats_read(c->cgroup, ret, err);
	if (r == 0 && ops->stats)
		ops->stats(c, ret);
	return r;
}

int container_pids(struct container *c, pid_t **ret, size_t *ret_len, struct err *err)
{
	int r;

	*ret = NULL;
	*ret_len = 0;
	if (c->cgroup) {
		r = cgroup_pids(c->cgroup, true, ret, ret_len, err);
		return r == -ENOENT && c->pid == 0 ? 0 : r;
	}
	/* Without a cgroup only init is known. */
	if (c->pid == 0)
		return 0;
	*ret = malloc(sizeof(**ret));
	if (!*ret)
		return err_sys(err, -ENOMEM, "processes of container %s", c->id);
	(*ret)[0] = c->pid;
	*ret_len = 1;
	return 0;
}

int container_processes(struct container *c, struct container_process **ret, size_t *ret_len,
			struct err *err)
{
	const struct isolation_ops *ops;
	int r = isolation_ops_get(c->isolation, &ops, err);

	*ret = NULL;
	*ret_len = 0;
	if (r < 0)
		return r;
	if (!ops->processes)
		return -ENOTSUP;
	return c->pid ? ops->processes(c, ret, ret_len, err) : 0;
}

int container_debug(struct container *c, const char *what, struct buf *ret, struct err *err)
{
	const struct isolation_ops *ops;
	const int r = isolation_ops_get(c->isolation, &ops, err);

	if (r < 0)
		return r;
	if (!ops->debug)
		return err_set(err, -ENOTSUP,
			       "container %s is of class %s, which has no kernel of its own to ask",
			       c->id, ops->name);
	return c->pid ? ops->debug(c, what, ret, err) : not_running(err);
}

int container_oom_fd(struct container *c, struct err *err)
{
	const struct isolation_ops *ops;
	const int r = isolation_ops_get(c->isolation, &ops, err);

	if (r < 0)
		return r;
	if (!ops->oom_fd)
		return err_set(err, -ENOTSUP,
			       "container %s is of class %s, which has no kernel of its own", c->id,
			       ops->name);
	return c->pid ? ops->oom_fd(c, err) : not_running(err);
}

int container_events(struct container *c, uint32_t mask, container_event_fn *fn, void *arg,
		     struct err *err)
{
	const struct isolation_ops *ops;
	const int r = isolation_ops_get(c->isolation, &ops, err);

	if (r < 0)
		return r;
	if (!ops->events)
		return err_set(err, -ENOTSUP, "container %s is of class %s, which tells no events",
			       c->id, ops->name);
	return c->pid ? ops->events(c, mask, fn, arg, err) : not_running(err);
}

/* ioctl_pidfd(2) of Linux 6.13, the exit code since 6.15; the C library here is older. */
struct pidfd_info_v1 {
	__u64 mask;
	__u64 cgroupid;
	__u32 pid, tgid, ppid;
	__u32 ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	__s32 exit_code;
};
#define PIDFD_INFO_EXIT_BIT  (1u << 3)
#define PIDFD_GET_INFO_IOCTL _IOWR(0xFF, 11, struct pidfd_info_v1)

/* The wait(2) status of a process that somebody else has reaped. */
static int reaped_status(int pidfd, int *ret)
{
	struct pidfd_info_v1 info = { .mask = PIDFD_INFO_EXIT_BIT };

	if (ioctl(pidfd, PIDFD_GET_INFO_IOCTL, &info) < 0)
		return -errno;
	if (!(info.mask & PIDFD_INFO_EXIT_BIT))
		return -EAGAIN;
	*ret = info.exit_code;
	return 0;
}

/* The same of a zombie: the last field of /proc/PID/stat (proc(5)), 0 without permission to see it.
 */
static int zombie_status(const struct container *c, pid_t pid, int *ret)
{
	AUTO_BUF struct buf text = { .max = 4096 };
	uint64_t start_time;
	const char *last;
	char path[64], state;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (fd_read_file(AT_FDCWD, path, &text) < 0 || !text.data ||
	    pid_stat_parse(text.data, text.len, &state, &start_time) < 0 ||
	    start_time != c->start_time || state != 'Z')
		return -ESRCH;
	last = strrchr(text.data, ' ');
	*ret = last ? atoi(last + 1) : 0;
	return 0;
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int container_wait(struct container *c, int *ret_status, struct err *err)
{
	const pid_t pid = c->pid;
	struct err gone = { 0 };
	AUTO_CLOSE int pidfd = container_open_init(c, &gone);
	int status, r;

	if (pidfd == -ESRCH) {
		*ret_status = -1;
		return 0;
	}
	if (pidfd < 0)
		return err_set(err, pidfd, "%s", gone.msg);
	r = pidfd_wait(pidfd, -1);
	if (r < 0)
		return err_sys(err, r, "wait for process %d", (int)pid);
	if (reaped_status(pidfd, &status) == 0 || zombie_status(c, pid, &status) == 0 ||
	    reaped_status(pidfd, &status) == 0)
		*ret_status = exit_code(status);
	else
		*ret_status = -1;
	c->pid = 0;
	c->status = OCI_STOPPED;
	return 0;
}
