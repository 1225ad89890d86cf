/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sentry/describe_mounts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "host/mount_options.h"
#include "ns/mount_bind.h"
#include "ns/rootfs_enter.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

/* Flags of mount(2) that the sentry knows. */
#define MOUNT_FLAGS                                                                             \
	((uint64_t)(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | \
		    MS_RELATIME | MS_STRICTATIME | MS_SYNCHRONOUS | MS_DIRSYNC | MS_LAZYTIME |  \
		    MS_NOSYMFOLLOW))

#define TEXTS_PER_MOUNT 3u /* destination, data, target of a link */

void described_mounts_done(struct described_mounts *mounts)
{
	for (size_t i = 0; i < mounts->texts_len; i++)
		free(mounts->texts[i]);
	free(mounts->texts);
	free(mounts->items);
	*mounts = (struct described_mounts){ 0 };
}

static int mount_type(const char *type)
{
	static const char *const types[SENTRY_MOUNT_TYPES] = {
		[SENTRY_MOUNT_BIND] = "bind",	  [SENTRY_MOUNT_PROC] = "proc",
		[SENTRY_MOUNT_SYSFS] = "sysfs",	  [SENTRY_MOUNT_TMPFS] = "tmpfs",
		[SENTRY_MOUNT_DEVPTS] = "devpts", [SENTRY_MOUNT_MQUEUE] = "mqueue",
		[SENTRY_MOUNT_CGROUP] = "cgroup", [SENTRY_MOUNT_CGROUP2] = "cgroup2",
		[SENTRY_MOUNT_RAMFS] = "ramfs",
	};

	for (int i = 0; i < SENTRY_MOUNT_TYPES; i++) {
		if (types[i] && str_eq(type, types[i]))
			return i;
	}
	return -ENODEV;
}

/* Takes the text over, also when it fails. */
static int keep(struct described_mounts *d, char *text)
{
	if (!text)
		return -ENOMEM;
	d->texts[d->texts_len++] = text;
	return 0;
}

/* "a=1" and "b=2" as "a=1,b=2". */
static int add_data(struct described_mounts *d, struct sentry_mount *m, const char *more)
{
	char *both;
	int r;

	if (!more)
		return 0;
	r = str_printf(&both, "%s%s%s", m->data ? m->data : "", m->data ? "," : "", more);
	if (r == 0)
		r = keep(d, both);
	if (r == 0)
		m->data = both;
	return r;
}

/* The flags of the last mount at the same place change; false: there is none. */
static int remount(struct described_mounts *d, const char *destination,
		   const struct mount_options *o, bool *ret_found)
{
	const uint64_t set = o->flags & MOUNT_FLAGS, clear = o->clear_flags & MOUNT_FLAGS;

	*ret_found = false;
	for (uint32_t i = d->len; i > 0; i--) {
		struct sentry_mount *there = &d->items[i - 1];

		if (!str_eq(there->destination, destination))
			continue;
		*ret_found = true;
		there->flags = (there->flags & ~clear) | set;
		return there->type == SENTRY_MOUNT_BIND ? 0 : add_data(d, there, o->data);
	}
	return 0;
}

static const struct root *first_root(const struct roots *roots, size_t mount)
{
	for (size_t i = 1; i < roots->len; i++) {
		if (roots->items[i].mount == mount)
			return &roots->items[i];
	}
	return NULL;
}

static void take_root(const struct roots *roots, const struct root *root, struct sentry_mount *m)
{
	m->type = SENTRY_MOUNT_BIND;
	m->root = (uint32_t)(root - roots->items);
	m->is_file = root->is_file;
	m->flags = root->ms_flags;
}

/* The mounts below a bind mount follow it. */
static int take_below(struct described_mounts *d, const struct roots *roots, const struct root *top,
		      uint64_t propagation)
{
	const char *destination = d->items[d->len - 1].destination;
	const bool at_root = str_eq(destination, "/");
	int r = 0;

	for (const struct root *root = top + 1;
	     r == 0 && root < roots->items + roots->len && root->mount == top->mount; root++) {
		struct sentry_mount *m = &d->items[d->len];
		char *place;

		*m = (struct sentry_mount){ .propagation = propagation & MS_REC ? propagation : 0 };
		r = str_printf(&place, "%s/%s", at_root ? "" : destination, root->below);
		if (r == 0)
			r = keep(d, place);
		if (r < 0)
			return r;
		m->destination = place;
		take_root(roots, root, m);
		d->len++;
	}
	return r;
}

static int take_type(struct described_mounts *d, const struct oci_mount *from,
		     struct mount_options *o, struct sentry_mount *m, struct err *err)
{
	const int type = mount_type(from->type);

	if (type <= 0)
		return err_set(err, -ENODEV, "mount %s at %s: No such device",
			       from->type ? from->type : "(no type)", from->destination);
	if (o->tmpcopyup && type != SENTRY_MOUNT_TMPFS)
		return err_set(err, -EINVAL, "mount %s at %s: tmpcopyup is for a tmpfs", from->type,
			       from->destination);
	m->type = (uint32_t)type;
	m->data = o->data;
	if (!o->data)
		return 0;
	o->data = NULL;
	return keep(d, m->data);
}

/* Where a relative destination counts from the root: an absolute one, of the specification or kept.
 */
static int absolute(struct described_mounts *d, const char *destination, char **ret)
{
	int r;

	*ret = (char *)destination;
	if (destination[0] == '/')
		return 0;
	r = str_printf(ret, "/%s", destination);
	return r < 0 ? r : keep(d, *ret);
}

static int take_link(struct described_mounts *d, const struct oci_mount *from, const char *bundle,
		     struct sentry_mount *m, struct err *err)
{
	char *text;
	int r = roots_link_text(from, bundle, &text, err);

	if (r < 0 || !text)
		return r;
	r = keep(d, text);
	if (r < 0)
		return r;
	m->type = SENTRY_MOUNT_SYMLINK;
	m->source = text;
	return 1;
}

static int take_mount(struct described_mounts *d, const struct oci_spec *spec, size_t index,
		      const char *bundle, const struct roots *roots, struct err *err)
{
	const struct oci_mount *from = &spec->mounts[index];
	const struct root *root = first_root(roots, index);
	AUTO_MOUNT_OPTIONS struct mount_options o = { 0 };
	struct sentry_mount *m = &d->items[d->len];
	bool found = false;
	char *destination;
	int r = mount_options_parse(&from->options, &o, err);

	if (r == 0)
		r = absolute(d, from->destination, &destination);
	if (r == 0 && o.remount)
		r = remount(d, destination, &o, &found);
	if (r < 0)
		return err_prefix(err, r, "mount at %s", from->destination);
	if (found)
		return 0;
	*m = (struct sentry_mount){ .destination = destination,
				    .source = (char *)from->source,
				    .flags = o.flags & MOUNT_FLAGS,
				    .propagation = o.propagation,
				    .nofollow = o.dest_nofollow,
				    .copy_up = o.tmpcopyup };
	if (o.remount) {
		m->type = SENTRY_MOUNT_REMOUNT;
	} else if (root) {
		take_root(roots, root, m);
	} else {
		r = take_link(d, from, bundle, m, err);
		if (r == 0)
			r = take_type(d, from, &o, m, err);
		if (r < 0)
			return r;
	}
	d->len++;
	return root ? take_below(d, roots, root, o.propagation) : 0;
}

int describe_mounts(const struct oci_spec *spec, const char *bundle, const struct roots *roots,
		    struct described_mounts *ret, struct err *err)
{
	const size_t max = spec->mounts_len + roots->len;
	int r = 0;

	ret->items = calloc(max + 1, sizeof(*ret->items));
	ret->texts = calloc(TEXTS_PER_MOUNT * max + 1, sizeof(*ret->texts));
	if (!ret->items || !ret->texts)
		return err_sys(err, -ENOMEM, "mounts");
	for (size_t i = 0; r >= 0 && i < spec->mounts_len; i++)
		r = take_mount(ret, spec, i, bundle, roots, err);
	return r;
}

int describe_propagation(const struct oci_spec *spec, uint64_t *ret, struct err *err)
{
	const char *word = spec->linux.rootfs_propagation;

	*ret = rootfs_propagation_flags(word);
	return word && !*ret
		       ? err_set(err, -EINVAL, "rootfsPropagation \"%s\" is no propagation", word)
		       : 0;
}
