/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/host_devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/vm/share_source.h"

const struct oci_device_rule vm_host_devices[VM_HOST_DEVICES] = {
	{ false, 0, -1, -1, NULL },   { true, 'c', 1, 3, "rw" }, /* /dev/null */
	{ true, 'c', 1, 9, "r" },				 /* /dev/urandom */
	{ true, 'c', 5, 0, "rw" },				 /* /dev/tty */
	{ true, 'c', 5, 2, "rw" },				 /* /dev/ptmx */
	{ true, 'c', 136, -1, "rw" }, /* /dev/pts: the container's terminal */
	{ true, 'c', 10, 200, "rw" }, /* /dev/net/tun */
	{ true, 'c', 10, 232, "rw" }, /* /dev/kvm */
};

/* A node is made for it, too (share_device_open()). */
static void add(struct vm_devices *d, const struct oci_spec *spec, const struct stat *st)
{
	const int64_t major_number = major(st->st_rdev), minor_number = minor(st->st_rdev);
	struct err ignored = { 0 };
	bool readonly;

	if (!S_ISBLK(st->st_mode) || share_disk_allowed(spec, st, true, &ignored) < 0)
		return;
	readonly = share_disk_allowed(spec, st, false, &ignored) < 0;
	for (size_t i = VM_HOST_DEVICES; i < d->len; i++) {
		if (d->rules[i].major == major_number && d->rules[i].minor == minor_number)
			return;
	}
	if (d->len == ARRAY_LEN(d->rules))
		return;
	d->rules[d->len++] = (struct oci_device_rule){ true, 'b', major_number, minor_number,
						       readonly ? "rm" : "rwm" };
}

void vm_devices_find(const struct oci_spec *spec, const char *bundle, const char *rootfs,
		     struct vm_devices *ret)
{
	AUTO_CLOSE int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	*ret = (struct vm_devices){ .len = VM_HOST_DEVICES };
	for (size_t i = 0; i < VM_HOST_DEVICES; i++)
		ret->rules[i] = vm_host_devices[i];
	if (stat(rootfs, &st) == 0)
		add(ret, spec, &st);
	for (size_t i = 0; i < spec->mounts_len; i++) {
		const char *source = spec->mounts[i].source;

		if (source && fstatat(dir, source, &st, 0) == 0)
			add(ret, spec, &st);
	}
	for (size_t i = 0; i < spec->linux.devices_len; i++) {
		const struct oci_device *device = &spec->linux.devices[i];

		st = (struct stat){ .st_mode = S_IFBLK,
				    .st_rdev = makedev((unsigned int)device->major,
						       (unsigned int)device->minor) };
		if (device->type == 'b')
			add(ret, spec, &st);
	}
}
