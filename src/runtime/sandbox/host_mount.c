/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/host_mount.h"

#include <errno.h>

#include "base/str.h"
#include "ns/mount_bind.h"
#include "ns/mount_fs.h"

int host_mount_make(const struct oci_mount *m, const struct mount_options *options, int userns_fd,
		    int *ret_fd, struct err *err)
{
	const struct mount_fs fs = {
		.type = m->type,
		.source = m->source,
		.data = options->data,
		.flags = options->flags,
		.attr = options->attr_set,
	};
	int r;

	if (userns_fd >= 0 && !str_eq(m->type, "tmpfs"))
		return err_set(err, -EINVAL, "mount %s at %s: idmap: Invalid argument", m->type,
			       m->destination);
	if (userns_fd < 0 && !str_eq(m->type, "overlay"))
		return 0;
	if (!mount_fs_is_plain(&fs))
		return err_set(err, -E2BIG, "mount %s at %s: an option of 256 bytes or more",
			       m->type, m->destination);
	r = mount_fs_create(&fs, ret_fd, err);
	if (r == 0 && userns_fd >= 0)
		r = mount_apply_idmap(*ret_fd, userns_fd, false, err);
	return r < 0 ? err_prefix(err, r, "mount %s at %s", m->type, m->destination) : 0;
}
