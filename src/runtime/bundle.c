/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/bundle.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/container.h"
#include "runtime/notify.h"
#include "runtime/store.h"

/* The absolute path of an open directory; *ret is the caller's. */
static int path_of(int fd, char **ret)
{
	char link[FD_PATH_MAX];
	char path[PATH_MAX];
	const ssize_t n = readlink(fd_path(fd, link), path, sizeof(path));

	if (n < 0)
		return -errno;
	if ((size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	if (path[0] != '/')
		return -ENOENT;
	*ret = strndup(path, (size_t)n);
	return *ret ? 0 : -ENOMEM;
}

static int set_rootfs(struct creation *cr, struct err *err)
{
	const char *path = cr->spec.root.path;

	if (!path || path[0] == '\0')
		return err_set(err, -EINVAL, "root.path: it must be set");
	if (path[0] == '/')
		cr->c->rootfs = strdup(path);
	else if (str_printf(&cr->c->rootfs, "%s/%s", cr->c->bundle, path) < 0)
		cr->c->rootfs = NULL;
	return cr->c->rootfs ? 0 : err_sys(err, -ENOMEM, "root.path");
}

int bundle_load(struct creation *cr, struct err *err)
{
	const char *bundle = cr->options->bundle ? cr->options->bundle : ".";
	const char *config = cr->options->config, *name = config ? config : "config.json";
	AUTO_CLOSE int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return err_sys(err, -errno, "open bundle %s", bundle);
	r = path_of(dir, &cr->c->bundle);
	if (r < 0)
		return err_sys(err, r, "find the path of bundle %s", bundle);
	r = fd_read_file(config ? AT_FDCWD : dir, name, &cr->config);
	if (r == -ENOENT)
		return err_set(err, r, "JSON specification file %s%s%s not found",
			       config ? "" : cr->c->bundle, config ? "" : "/", name);
	if (r == -E2BIG)
		return err_set(err, r, "%s: larger than %u bytes", name, OCI_CONFIG_MAX);
	if (r < 0)
		return err_sys(err, r, "read %s of bundle %s", name, cr->c->bundle);
	r = oci_spec_parse(cr->config.data ? cr->config.data : "", cr->config.len, name,
			   &cr->loaded, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < cr->loaded->warnings.len; i++)
		log_warning("%s", cr->loaded->warnings.items[i]);
	cr->spec = *cr->loaded;
	return set_rootfs(cr, err);
}

int bundle_add_environment(struct creation *cr, unsigned int listen, struct err *err)
{
	struct oci_strs *env = &cr->spec.process.env;
	const bool notify = notify_host() && !cr->ops->ready_when_started;
	size_t len = env->len;

	if (listen == 0 && !notify)
		return 0;
	cr->env = calloc(env->len + 4, sizeof(*cr->env));
	if (!cr->env)
		return err_sys(err, -ENOMEM, "process.env");
	for (size_t i = 0; i < env->len; i++)
		cr->env[i] = env->items[i];
	if (listen > 0) {
		if (str_printf(&cr->listen_fds, "LISTEN_FDS=%u", listen) < 0)
			return err_sys(err, -ENOMEM, "process.env");
		cr->env[len++] = cr->listen_fds;
		cr->env[len++] = "LISTEN_PID=1";
	}
	if (notify)
		cr->env[len++] = "NOTIFY_SOCKET=" NOTIFY_PATH_INSIDE;
	env->items = cr->env;
	env->len = len;
	return 0;
}

int bundle_add_notify(struct creation *cr, struct err *err)
{
	static const char *options[] = { "bind", "nosuid", "noexec", "nodev", "ro", NULL };
	AUTO_CLOSE int dir = openat(cr->c->dir_fd, STORE_NOTIFY, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct oci_mount *mounts;
	int r;

	if (dir < 0)
		return err_sys(err, -errno, "open the notify directory");
	r = path_of(dir, &cr->notify_dir);
	if (r < 0)
		return err_sys(err, r, "find the path of the notify directory");
	mounts = calloc(cr->spec.mounts_len + 1, sizeof(*mounts));
	if (!mounts)
		return err_sys(err, -ENOMEM, "mounts");
	for (size_t i = 0; i < cr->spec.mounts_len; i++)
		mounts[i] = cr->spec.mounts[i];
	mounts[cr->spec.mounts_len] = (struct oci_mount){
		.destination = NOTIFY_DIR_INSIDE,
		.type = "bind",
		.source = cr->notify_dir,
		.options = { .items = options, .len = ARRAY_LEN(options) - 1 },
	};
	cr->mounts = mounts;
	cr->spec.mounts = mounts;
	cr->spec.mounts_len++;
	return 0;
}
