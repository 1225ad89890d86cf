/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/sources.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "host/mount_options.h"

void source_fds_done(struct source_fds *sources)
{
	for (size_t i = 0; sources->fds && i < sources->len; i++)
		auto_close_p(&sources->fds[i]);
	free(sources->fds);
	*sources = (struct source_fds){ 0 };
}

static int open_source(const struct oci_mount *mount, int bundle_fd, struct err *err)
{
	struct mount_options options = { 0 };
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT;
	long fd = -EBADF;
	const int r = mount_options_parse(&mount->options, &options, err);

	if (r < 0)
		return err_prefix(err, r, "mounts: %s", mount->destination);
	if (options.rbind)
		flags |= AT_RECURSIVE;
	if (options.src_nofollow)
		flags |= AT_SYMLINK_NOFOLLOW;
	if ((options.bind || options.rbind) && mount->source)
		fd = syscall(SYS_open_tree, bundle_fd, mount->source, flags);
	mount_options_done(&options);
	return fd < 0 ? -EBADF : (int)fd;
}

int source_fds_open(const struct oci_spec *spec, const char *bundle, struct source_fds *ret,
		    struct err *err)
{
	struct source_fds sources = { .len = spec->mounts_len };
	AUTO_CLOSE int bundle_fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (sources.len == 0)
		return 0;
	if (bundle_fd < 0)
		return err_sys(err, -errno, "open the bundle %s", bundle);
	sources.fds = malloc(sources.len * sizeof(*sources.fds));
	if (!sources.fds)
		return err_sys(err, -ENOMEM, "mounts");
	for (size_t i = 0; i < sources.len; i++)
		sources.fds[i] = -EBADF;
	for (size_t i = 0; i < sources.len; i++) {
		const int fd = open_source(&spec->mounts[i], bundle_fd, err);

		if (fd < 0 && fd != -EBADF) {
			source_fds_done(&sources);
			return fd;
		}
		sources.fds[i] = fd;
	}
	*ret = sources;
	return 0;
}
