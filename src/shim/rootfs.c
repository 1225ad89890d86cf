/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount(2) takes a page of options, and the layers of an image can be more: they are named from
 * the directory that all of them share then.
 */
#include "shim/rootfs.h"
#include "shim/task.pb-c.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "host/mount_options.h"

#define DATA_MAX	4095 /* bytes of options that mount(2) takes */
#define UNMOUNTS_MAX	128
#define LOWER		"lowerdir="
#define PER_MOUNT_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_RELATIME)

static int target_path(const char *bundle, char **ret, struct err *err)
{
	return str_printf(ret, "%s/rootfs", bundle) < 0 ? err_sys(err, -ENOMEM, "%s", bundle) : 0;
}

/* The length of the directory, with its slash, that all of a list "a:b:c" begin with. */
static size_t shared_directory(const char *list, size_t len)
{
	size_t same = 0, at = 0;

	while (same < len && list[same] != ':')
		same++;
	for (at = same; at < len;) {
		const char *one = list + at + 1;
		size_t n = 0;

		while (n < same && one[n] == list[n])
			n++;
		same = n;
		at = (size_t)(one - list) + strcspn(one, ":,");
	}
	while (same > 0 && list[same - 1] != '/')
		same--;
	return same;
}

/* `data` with the layers named from the directory that they share, which becomes the current one.
 */
static int shorten(const char *data, struct buf *ret, struct err *err)
{
	const char *lower = strstr(data, LOWER);
	AUTO_FREE char *dir = NULL;
	size_t len, shared;

	if (!lower)
		return err_set(err, -E2BIG, "mount options of %zu bytes", strlen(data));
	lower += strlen(LOWER);
	len = strcspn(lower, ",");
	shared = shared_directory(lower, len);
	dir = strndup(lower, shared);
	if (!dir)
		return err_sys(err, -ENOMEM, "mount options");
	if (shared == 0 || chdir(dir) < 0)
		return err_set(err, -E2BIG, "mount options of %zu bytes", strlen(data));
	buf_append(ret, data, (size_t)(lower - data));
	for (size_t at = 0; at < len;) {
		const size_t n = strcspn(lower + at, ":,");

		buf_append(ret, lower + at + shared, n - shared);
		at += n;
		if (at < len)
			buf_puts(ret, ":");
		at++;
	}
	buf_puts(ret, lower + len);
	if (buf_error(ret) == 0 && ret->len > DATA_MAX)
		return err_set(err, -E2BIG, "mount options of %zu bytes", ret->len);
	return buf_error(ret) < 0 ? err_sys(err, buf_error(ret), "mount options") : 0;
}

static int mount_data(const Caisson__Shim__Mount *m, const char *target,
		      const struct mount_options *o, struct err *err)
{
	AUTO_BUF struct buf shorter = { 0 };
	const char *data = o->data;
	int r;

	if (data && strlen(data) > DATA_MAX) {
		r = shorten(data, &shorter, err);
		if (r < 0)
			return r;
		data = shorter.data;
	}
	if (mount(m->source, target, m->type, o->flags & ~(unsigned long)MS_REMOUNT, data) < 0)
		return err_sys(err, -errno, "mount %s (%s) at %s", m->source, m->type, target);
	return 0;
}

static int mount_one(const Caisson__Shim__Mount *m, const char *target, struct err *err)
{
	const struct oci_strs words = { .items = (const char **)m->options, .len = m->n_options };
	AUTO_MOUNT_OPTIONS struct mount_options o = { 0 };
	int r = mount_options_parse(&words, &o, err);

	if (r == 0)
		r = mount_data(m, target, &o, err);
	if (r < 0)
		return r;
	/* A bind mount takes its own flags only the second time (mount(2)). */
	if (o.bind && (o.flags & PER_MOUNT_FLAGS) &&
	    mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | (o.flags & (PER_MOUNT_FLAGS | MS_REC)),
		  NULL) < 0)
		return err_sys(err, -errno, "set the flags of the mount at %s", target);
	if (o.propagation && mount(NULL, target, NULL, o.propagation, NULL) < 0)
		return err_sys(err, -errno, "set the propagation of the mount at %s", target);
	return 0;
}

int rootfs_mount(const char *bundle, Caisson__Shim__Mount *const *mounts, size_t len,
		 struct err *err)
{
	AUTO_FREE char *target = NULL;
	int r = target_path(bundle, &target, err);

	if (len == 0)
		return 0;
	if (r == 0 && len > ROOTFS_MOUNTS_MAX)
		r = err_set(err, -E2BIG, "%zu mounts for a root file system", len);
	if (r == 0 && mkdir(target, 0711) < 0 && errno != EEXIST)
		r = err_sys(err, -errno, "make %s", target);
	for (size_t i = 0; r == 0 && i < len; i++)
		r = mount_one(mounts[i], target, err);
	(void)!chdir("/");
	if (r < 0)
		(void)rootfs_unmount(bundle, NULL);
	return r;
}

int rootfs_unmount(const char *bundle, struct err *err)
{
	AUTO_FREE char *target = NULL;
	int r = target_path(bundle, &target, err);

	for (int i = 0; r == 0 && i < UNMOUNTS_MAX; i++) {
		if (umount2(target, UMOUNT_NOFOLLOW) == 0)
			continue;
		if (errno == EINVAL || errno == ENOENT)
			return 0;
		if (errno != EBUSY || umount2(target, UMOUNT_NOFOLLOW | MNT_DETACH) < 0)
			r = err_sys(err, -errno, "unmount %s", target);
	}
	return r;
}
