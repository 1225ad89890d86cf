/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/host_devices.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "host/mount_options.h"
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

enum { WRITE = 1, MAKE = 2 };
static const char *const accesses[] = { "r", "rw", "rm", "rwm" }; /* by WRITE and MAKE */

/* What the rules forbid is left out: whoever opens it tells that. */
static void add(struct vm_devices *d, const struct oci_spec *spec, const struct stat *st,
		unsigned int wanted)
{
	const int64_t major_number = major(st->st_rdev), minor_number = minor(st->st_rdev);
	struct err ignored = { 0 };
	size_t i = VM_HOST_DEVICES;

	if (!S_ISBLK(st->st_mode) || share_disk_allowed(spec, st, !(wanted & WRITE), &ignored) < 0)
		return;
	while (i < d->len &&
	       (d->rules[i].major != major_number || d->rules[i].minor != minor_number))
		i++;
	if (i == ARRAY_LEN(d->rules))
		return;
	if (i == d->len)
		d->rules[d->len++] = (struct oci_device_rule){ true, 'b', major_number,
							       minor_number, accesses[0] };
	for (unsigned int had = 0; had < ARRAY_LEN(accesses); had++) {
		if (str_eq(d->rules[i].access, accesses[had])) {
			d->rules[i].access = accesses[had | wanted];
			break;
		}
	}
}

/* A file system of the device, or its node at another place: share_source_open(). */
static void add_mount(struct vm_devices *d, const struct oci_spec *spec, int bundle,
		      const struct oci_mount *m)
{
	AUTO_MOUNT_OPTIONS struct mount_options o = { 0 };
	AUTO_CLOSE int fd = openat(bundle, m->source, O_PATH | O_CLOEXEC);
	struct err ignored = { 0 };
	struct statvfs fs;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || fstatvfs(fd, &fs) < 0 ||
	    mount_options_parse(&m->options, &o, &ignored) < 0)
		return;
	if ((o.attr_set | o.rec_attr_set) & MOUNT_ATTR_RDONLY ||
	    (o.bind ? (fs.f_flag & ST_RDONLY) != 0 : m->type && str_eq(m->type, "erofs")))
		add(d, spec, &st, 0);
	else
		add(d, spec, &st, WRITE);
}

/* A node is made for it (share_device_open()), and it is read where it may not be written. */
static void add_device(struct vm_devices *d, const struct oci_spec *spec,
		       const struct oci_device *device)
{
	const struct stat st = { .st_mode = S_IFBLK,
				 .st_rdev = makedev((unsigned int)device->major,
						    (unsigned int)device->minor) };
	struct err ignored = { 0 };

	if (device->type != 'b')
		return;
	add(d, spec, &st, share_disk_allowed(spec, &st, false, &ignored) < 0 ? MAKE : MAKE | WRITE);
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
		add(ret, spec, &st, 0);
	for (size_t i = 0; i < spec->mounts_len; i++) {
		if (spec->mounts[i].source)
			add_mount(ret, spec, dir, &spec->mounts[i]);
	}
	for (size_t i = 0; i < spec->linux.devices_len; i++)
		add_device(ret, spec, &spec->linux.devices[i]);
}
