/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading a container and observing its status.
 *
 * The file says which process is init; whether that process lives, is frozen or waits at its gate
 * is asked of the system each time.
 *
 *   no pid in the file      creating while the lock is held, else stopped (the creator died)
 *   pid gone, zombie, other stopped
 *   directory unfinished    creating while the lock is held; else its creator died after the gate
 * had opened (the process would have died with it before), and it is cgroup frozen           paused
 *   its sandbox's is        paused
 *   start.sock              created
 *   otherwise               running
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "host/pidfd.h"
#include "runtime/container.h"
#include "runtime/runtime.h"
#include "runtime/state.h"
#include "runtime/store.h"

struct container *container_new(const struct runtime *rt, const char *id)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->runtime = rt;
	c->dir_fd = -EBADF;
	c->lock_fd = -EBADF;
	c->root_fd = -EBADF;
	c->status = OCI_STOPPED;
	c->id = strdup(id);
	if (!c->id) {
		free(c);
		return NULL;
	}
	return c;
}

/* What came out of state.json. */
static void forget_facts(struct container *c)
{
	free(TAKE_PTR(c->bundle));
	free(TAKE_PTR(c->rootfs));
	free(TAKE_PTR(c->created));
	free(TAKE_PTR(c->oci_version));
	free(TAKE_PTR(c->rdt_clos));
	free(TAKE_PTR(c->sandbox));
	cgroup_free(TAKE_PTR(c->cgroup));
	json_decref(TAKE_PTR(c->annotations));
	c->pid = 0;
	c->start_time = 0;
}

void container_free(struct container *c)
{
	if (!c)
		return;
	container_unlock(c);
	forget_facts(c);
	auto_close_p(&c->dir_fd);
	auto_close_p(&c->root_fd);
	free(c->id);
	free(c);
}

static bool has_file(const struct container *c, const char *name)
{
	return faccessat(c->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool creator_lives(const struct container *c)
{
	return c->lock_fd < 0 && store_is_locked(c->root_fd, c->id);
}

/* Open ROOT/ID. */
static int open_directory(struct container *c, struct err *err)
{
	c->root_fd = store_open_root(c->runtime, false, err);
	if (c->root_fd == -ENOENT)
		return err_set(err, -ENOENT, "container does not exist");
	if (c->root_fd < 0)
		return c->root_fd;
	c->dir_fd = store_open(c->root_fd, c->id, err);
	return c->dir_fd < 0 ? c->dir_fd : 0;
}

/* What it is itself a part of is not asked: a sandbox is of none (pod.h). */
bool container_sandbox_is_paused(const struct container *c)
{
	AUTO(container_free_p) struct container *sandbox = NULL;

	if (!c->sandbox || container_id_check(c->sandbox, NULL) < 0)
		return false;
	sandbox = container_new(c->runtime, c->sandbox);
	return sandbox && open_directory(sandbox, NULL) == 0 && state_load(sandbox, NULL) == 0 &&
	       sandbox->cgroup && cgroup_is_frozen(sandbox->cgroup) == 1;
}

static enum oci_status observe(const struct container *c)
{
	if (c->pid == 0)
		return creator_lives(c) ? OCI_CREATING : OCI_STOPPED;
	if (process_state(c->pid, c->start_time) != PROCESS_RUNNING)
		return OCI_STOPPED;
	if (store_is_unfinished(c->dir_fd) && creator_lives(c))
		return OCI_CREATING;
	if ((c->cgroup && cgroup_is_frozen(c->cgroup) == 1) || container_sandbox_is_paused(c))
		return OCI_PAUSED;
	if (has_file(c, STORE_GATE))
		return OCI_CREATED;
	return OCI_RUNNING;
}

void container_observe(struct container *c)
{
	c->status = observe(c);
	if (c->status == OCI_STOPPED)
		c->pid = 0;
}

int container_lock(struct container *c, struct err *err)
{
	int r;

	if (c->lock_fd >= 0)
		return 0;
	r = store_lock(c->dir_fd, err);
	if (r < 0)
		return r;
	c->lock_fd = c->dir_fd;
	forget_facts(c);
	r = state_load(c, err);
	if (r < 0)
		return r;
	container_observe(c);
	return 0;
}

void container_unlock(struct container *c)
{
	if (c->lock_fd < 0)
		return;
	store_unlock(c->lock_fd);
	c->lock_fd = -EBADF;
}

/* Open it and read it. */
static int load(struct container *c, bool lock, struct err *err)
{
	int r = open_directory(c, err);

	if (r < 0)
		return r;
	if (lock)
		return container_lock(c, err);
	r = state_load(c, err);
	if (r == 0)
		container_observe(c);
	return r;
}

int container_load(const struct runtime *rt, const char *id, bool lock, struct container **ret,
		   struct err *err)
{
	AUTO(container_free_p) struct container *c = NULL;
	int r = container_id_check(id, err);

	if (r < 0)
		return r;
	c = container_new(rt, id);
	if (!c)
		return err_sys(err, -ENOMEM, "load container %s", id);
	r = load(c, lock, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

static int by_id(const void *a, const void *b)
{
	return strcmp((*(struct container *const *)a)->id, (*(struct container *const *)b)->id);
}

/*
 * One entry of the root: loaded into *ret, or NULL for what is no container. -ENOMEM only, unless
 * all are wanted.
 */
static int list_entry(const struct runtime *rt, const char *name, bool all, struct container **ret,
		      struct err *err)
{
	int r;

	*ret = NULL;
	if (container_id_check(name, NULL) < 0)
		return 0;
	r = container_load(rt, name, false, ret, err);
	if (r == 0) {
		/* A list is to be read; a thousand containers must not need two thousand
		 * descriptors. */
		auto_close_p(&(*ret)->dir_fd);
		auto_close_p(&(*ret)->root_fd);
		(*ret)->dir_fd = (*ret)->root_fd = -EBADF;
	}
	/* -ENOENT: being made or removed just now. */
	if (r == -ENOMEM || (all && r < 0 && r != -ENOENT))
		return r;
	if (r < 0 && r != -ENOENT)
		log_warning("%s: skipped", err->msg);
	return 0;
}

static int list(const struct runtime *rt, bool all, struct container ***ret, size_t *ret_len,
		struct err *err)
{
	int fd = store_open_root(rt, false, err);
	struct container **list = NULL;
	struct err problem = { 0 };
	size_t len = 0, room = 0;
	struct dirent *entry;
	int r = 0;
	DIR *dir;

	*ret = NULL;
	*ret_len = 0;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return err_sys(err, -ENOMEM, "list containers");
	}
	while (r == 0 && (entry = readdir(dir))) {
		struct container *c;

		if (len == room) {
			const size_t more = room ? room * 2 : 16;
			struct container **bigger = reallocarray(list, more, sizeof(*list));

			if (!bigger) {
				r = err_sys(&problem, -ENOMEM, "out of room");
				break;
			}
			list = bigger;
			room = more;
		}
		r = list_entry(rt, entry->d_name, all, &c, &problem);
		if (c)
			list[len++] = c;
	}
	(void)closedir(dir);
	if (r < 0) {
		container_list_free(list, len);
		return err_set(err, r, "list containers: %s", problem.msg);
	}
	if (len > 0)
		qsort(list, len, sizeof(*list), by_id);
	*ret = list;
	*ret_len = len;
	return 0;
}

int container_list(const struct runtime *rt, struct container ***ret, size_t *ret_len,
		   struct err *err)
{
	return list(rt, false, ret, ret_len, err);
}

int container_list_all(const struct runtime *rt, struct container ***ret, size_t *ret_len,
		       struct err *err)
{
	return list(rt, true, ret, ret_len, err);
}

void container_list_free(struct container **list, size_t len)
{
	for (size_t i = 0; i < len; i++)
		container_free(list[i]);
	free(list);
}

int container_open_init(const struct container *c, struct err *err)
{
	AUTO_CLOSE int fd = -EBADF;
	uint64_t start_time = 0;
	int r;

	if (c->pid == 0)
		return err_set(err, -ESRCH, "container not running");
	fd = pidfd_get(c->pid);
	if (fd == -ESRCH)
		return err_set(err, -ESRCH, "container not running");
	if (fd < 0)
		return err_sys(err, fd, "open process %d", c->pid);
	/* The number may have been given to another process since it was observed. */
	r = pid_start_time(c->pid, &start_time);
	if (r < 0 && r != -ESRCH)
		return err_sys(err, r, "read the start time of process %d", c->pid);
	if (r < 0 || start_time != c->start_time)
		return err_set(err, -ESRCH, "container not running");
	return TAKE_FD(fd);
}
