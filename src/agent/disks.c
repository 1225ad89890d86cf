/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define NODE_MODE 0600

void disks_done(struct disks *disks)
{
	free(disks->devices);
	free(disks->rules);
	*disks = (struct disks){ 0 };
}

int disks_find(const struct agent_storage *storages, size_t len, struct disk_numbers *ret,
	       struct err *err)
{
	int found = 0;

	for (size_t i = 0; i < len; i++) {
		const struct agent_storage *s = &storages[i];
		struct disk_numbers *n = &ret[found];
		unsigned int numbers[2];
		struct stat st;
		char end;

		if (!str_eq(s->type, AGENT_STORAGE_DEVICE))
			continue;
		if (sscanf(s->options, "%u:%u%c", &numbers[0], &numbers[1], &end) != 2)
			return err_set(err, -EINVAL, "disk %s: \"%s\" are no numbers", s->source,
				       s->options);
		if (stat(s->source, &st) < 0)
			return err_sys(err, -errno, "disk %s", s->source);
		if (!S_ISBLK(st.st_mode))
			return err_sys(err, -ENOTBLK, "disk %s", s->source);
		*n = (struct disk_numbers){ numbers[0], numbers[1], major(st.st_rdev),
					    minor(st.st_rdev) };
		found++;
	}
	return found;
}

static int take_devices(const struct disk_numbers *numbers, size_t len, struct oci_spec *spec,
			struct disks *ret, struct err *err)
{
	struct oci_linux *l = &spec->linux;

	ret->devices = calloc(l->devices_len + 1, sizeof(*ret->devices));
	if (!ret->devices)
		return err_sys(err, -ENOMEM, "linux.devices");
	for (size_t i = 0; i < l->devices_len; i++) {
		struct oci_device *d = &ret->devices[i];
		size_t k = 0;

		*d = l->devices[i];
		if (d->type != 'b')
			continue;
		while (k < len && (numbers[k].major != d->major || numbers[k].minor != d->minor))
			k++;
		if (k == len)
			return err_sys(err, -ENXIO, "linux.devices: %s", d->path);
		d->major = numbers[k].own_major;
		d->minor = numbers[k].own_minor;
	}
	l->devices = ret->devices;
	return 0;
}

static int take_rules(const struct disk_numbers *numbers, size_t len, struct oci_spec *spec,
		      struct disks *ret, struct err *err)
{
	struct oci_resources *res = &spec->linux.resources;
	size_t next = 0;

	ret->rules = calloc(res->devices_len * (len + 1) + 1, sizeof(*ret->rules));
	if (!ret->rules)
		return err_sys(err, -ENOMEM, "linux.resources.devices");
	for (size_t i = 0; i < res->devices_len; i++) {
		const struct oci_device_rule *rule = &res->devices[i];

		if (rule->type != 'b' || (rule->major < 0 && rule->minor < 0)) {
			ret->rules[next++] = *rule;
			continue;
		}
		for (size_t k = 0; k < len; k++) {
			const struct disk_numbers *n = &numbers[k];

			if ((rule->major >= 0 && rule->major != n->major) ||
			    (rule->minor >= 0 && rule->minor != n->minor))
				continue;
			ret->rules[next] = *rule;
			ret->rules[next].major = n->own_major;
			ret->rules[next++].minor = n->own_minor;
		}
	}
	res->devices = ret->rules;
	res->devices_len = next;
	return 0;
}

int disks_apply(const struct disk_numbers *numbers, size_t len, struct oci_spec *spec,
		struct disks *ret, struct err *err)
{
	const int r = take_devices(numbers, len, spec, ret, err);

	return r < 0 ? r : take_rules(numbers, len, spec, ret, err);
}

/* In the guest's own /dev, which is the agent's alone. */
static int make_node(const struct oci_device *d, struct err *err)
{
	const mode_t mode = d->file_mode.set ? (mode_t)d->file_mode.v & 07777 : NODE_MODE;
	AUTO_FREE char *path = strdup(d->path);
	char *at;

	if (!path)
		return err_sys(err, -ENOMEM, "%s", d->path);
	at = strstr(path, "/..") ? NULL : (char *)str_after(path, "/dev/");
	if (!at)
		return err_set(err, -ENOTSUP,
			       "linux.devices: %s: with a user namespace a block device is below "
			       "/dev",
			       d->path);
	for (char *slash = strchr(at, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "linux.devices: %s", d->path);
		*slash = '/';
	}
	(void)unlink(path);
	if (mknod(path, S_IFBLK | mode, makedev((unsigned int)d->major, (unsigned int)d->minor)) <
		    0 ||
	    chown(path, (uid_t)(d->uid.set ? d->uid.v : 0), (gid_t)(d->gid.set ? d->gid.v : 0)) < 0)
		return err_sys(err, -errno, "linux.devices: %s", d->path);
	return 0;
}

int disks_take(const struct agent_storage *storages, size_t len, struct oci_spec *spec,
	       struct disks *ret, struct err *err)
{
	struct disk_numbers numbers[AGENT_STORAGES_MAX];
	int r = disks_find(storages, len, numbers, err);

	if (r >= 0)
		r = disks_apply(numbers, (size_t)r, spec, ret, err);
	if (!spec->linux.ns[OCI_NS_USER].set)
		return r;
	for (size_t i = 0; r == 0 && i < spec->linux.devices_len; i++) {
		if (spec->linux.devices[i].type == 'b')
			r = make_node(&spec->linux.devices[i], err);
	}
	return r;
}
