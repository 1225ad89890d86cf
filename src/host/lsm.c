/* SPDX-License-Identifier: Apache-2.0 */
#include "host/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

bool lsm_apparmor_enabled(void)
{
	AUTO_BUF struct buf text = { .max = 16 };

	return fd_read_file(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", &text) == 0 &&
	       text.data && text.data[0] == 'Y';
}

bool lsm_selinux_enabled(void)
{
	struct statfs fs;

	return statfs("/sys/fs/selinux", &fs) == 0 && fs.f_type == SELINUX_MAGIC;
}

static bool given(const char *text)
{
	return text && *text;
}

int lsm_check(const struct oci_process *process, const struct oci_linux *linux_spec,
	      struct err *err)
{
	const bool label = given(process->selinux_label);

	if (given(process->apparmor_profile)) {
		const bool enabled = lsm_apparmor_enabled();

		if (enabled || !str_eq(process->apparmor_profile, "unconfined"))
			return err_set(err, -ENOTSUP, "process.apparmorProfile: %s",
				       enabled ? "AppArmor profiles are not supported yet"
					       : "AppArmor is not enabled on this host");
	}
	if (label || (linux_spec && given(linux_spec->mount_label)))
		return err_set(err, -ENOTSUP, "%s: %s",
			       label ? "process.selinuxLabel" : "linux.mountLabel",
			       lsm_selinux_enabled() ? "SELinux labels are not supported yet"
						     : "SELinux is not enabled on this host");
	return 0;
}
