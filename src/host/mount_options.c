/* SPDX-License-Identifier: Apache-2.0 */
#include "host/mount_options.h"

#include <errno.h>
#include <linux/mount.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

enum kind {
	KIND_SET,
	KIND_CLEAR,
	KIND_PROPAGATION,
	KIND_REC_SET,
	KIND_REC_CLEAR,
	KIND_DEFAULTS,
	KIND_BIND,
	KIND_SWITCH, /* value: offset of a bool in struct mount_options */
	KIND_IDMAP,
	KIND_DROPPED,
};

struct word {
	const char *name;
	enum kind kind;
	uint64_t value;
};

#define SWITCH(field) KIND_SWITCH, offsetof(struct mount_options, field)

/* Sorted by name: bsearch and `features` rely on it (a unit test holds it). */
static const struct word words[] = {
	{ "_netdev", KIND_DROPPED, 0 },
	{ "async", KIND_CLEAR, MS_SYNCHRONOUS },
	{ "atime", KIND_CLEAR, MS_NOATIME },
	{ "auto", KIND_DROPPED, 0 },
	{ "bind", KIND_BIND, MS_BIND },
	{ "copy-symlink", SWITCH(copy_symlink) },
	{ "defaults", KIND_DEFAULTS, 0 },
	{ "dest-nofollow", SWITCH(dest_nofollow) },
	{ "dev", KIND_CLEAR, MS_NODEV },
	{ "diratime", KIND_CLEAR, MS_NODIRATIME },
	{ "dirsync", KIND_SET, MS_DIRSYNC },
	{ "exec", KIND_CLEAR, MS_NOEXEC },
	{ "group", KIND_DROPPED, 0 },
	{ "idmap", KIND_IDMAP, 0 },
	{ "iversion", KIND_SET, MS_I_VERSION },
	{ "lazytime", KIND_SET, MS_LAZYTIME },
	{ "loud", KIND_CLEAR, MS_SILENT },
	{ "mand", KIND_SET, MS_MANDLOCK },
	{ "noatime", KIND_SET, MS_NOATIME },
	{ "noauto", KIND_DROPPED, 0 },
	{ "nodev", KIND_SET, MS_NODEV },
	{ "nodiratime", KIND_SET, MS_NODIRATIME },
	{ "noexec", KIND_SET, MS_NOEXEC },
	{ "nofail", KIND_DROPPED, 0 },
	{ "nogroup", KIND_DROPPED, 0 },
	{ "noiversion", KIND_CLEAR, MS_I_VERSION },
	{ "nolazytime", KIND_CLEAR, MS_LAZYTIME },
	{ "nomand", KIND_CLEAR, MS_MANDLOCK },
	{ "noowner", KIND_DROPPED, 0 },
	{ "norelatime", KIND_CLEAR, MS_RELATIME },
	{ "nostrictatime", KIND_CLEAR, MS_STRICTATIME },
	{ "nosuid", KIND_SET, MS_NOSUID },
	{ "nosymfollow", KIND_SET, MS_NOSYMFOLLOW },
	{ "nouser", KIND_DROPPED, 0 },
	{ "nousers", KIND_DROPPED, 0 },
	{ "owner", KIND_DROPPED, 0 },
	{ "private", KIND_PROPAGATION, MS_PRIVATE },
	{ "ratime", KIND_REC_CLEAR, MOUNT_ATTR_NOATIME },
	{ "rbind", KIND_BIND, MS_BIND | MS_REC },
	{ "rdev", KIND_REC_CLEAR, MOUNT_ATTR_NODEV },
	{ "rdiratime", KIND_REC_CLEAR, MOUNT_ATTR_NODIRATIME },
	{ "relatime", KIND_SET, MS_RELATIME },
	{ "remount", KIND_SET, MS_REMOUNT },
	{ "rexec", KIND_REC_CLEAR, MOUNT_ATTR_NOEXEC },
	{ "ridmap", KIND_IDMAP, 1 },
	{ "rnoatime", KIND_REC_SET, MOUNT_ATTR_NOATIME },
	{ "rnodev", KIND_REC_SET, MOUNT_ATTR_NODEV },
	{ "rnodiratime", KIND_REC_SET, MOUNT_ATTR_NODIRATIME },
	{ "rnoexec", KIND_REC_SET, MOUNT_ATTR_NOEXEC },
	{ "rnorelatime", KIND_REC_CLEAR, MOUNT_ATTR_RELATIME },
	{ "rnostrictatime", KIND_REC_CLEAR, MOUNT_ATTR_STRICTATIME },
	{ "rnosuid", KIND_REC_SET, MOUNT_ATTR_NOSUID },
	{ "rnosymfollow", KIND_REC_SET, MOUNT_ATTR_NOSYMFOLLOW },
	{ "ro", KIND_SET, MS_RDONLY },
	{ "rprivate", KIND_PROPAGATION, MS_PRIVATE | MS_REC },
	{ "rrelatime", KIND_REC_SET, MOUNT_ATTR_RELATIME },
	{ "rro", KIND_REC_SET, MOUNT_ATTR_RDONLY },
	{ "rrw", KIND_REC_CLEAR, MOUNT_ATTR_RDONLY },
	{ "rshared", KIND_PROPAGATION, MS_SHARED | MS_REC },
	{ "rslave", KIND_PROPAGATION, MS_SLAVE | MS_REC },
	{ "rstrictatime", KIND_REC_SET, MOUNT_ATTR_STRICTATIME },
	{ "rsuid", KIND_REC_CLEAR, MOUNT_ATTR_NOSUID },
	{ "rsymfollow", KIND_REC_CLEAR, MOUNT_ATTR_NOSYMFOLLOW },
	{ "runbindable", KIND_PROPAGATION, MS_UNBINDABLE | MS_REC },
	{ "rw", KIND_CLEAR, MS_RDONLY },
	{ "shared", KIND_PROPAGATION, MS_SHARED },
	{ "silent", KIND_SET, MS_SILENT },
	{ "slave", KIND_PROPAGATION, MS_SLAVE },
	{ "src-nofollow", SWITCH(src_nofollow) },
	{ "strictatime", KIND_SET, MS_STRICTATIME },
	{ "suid", KIND_CLEAR, MS_NOSUID },
	{ "symfollow", KIND_CLEAR, MS_NOSYMFOLLOW },
	{ "sync", KIND_SET, MS_SYNCHRONOUS },
	{ "tmpcopyup", SWITCH(tmpcopyup) },
	{ "unbindable", KIND_PROPAGATION, MS_UNBINDABLE },
	{ "user", KIND_DROPPED, 0 },
	{ "users", KIND_DROPPED, 0 },
};

/* The access-time flags are one choice of mount(2): setting one takes the others back. */
#define MS_ATIME_CHOICE (MS_NOATIME | MS_RELATIME | MS_STRICTATIME)

static int compare_word(const void *key, const void *row)
{
	return strcmp(key, ((const struct word *)row)->name);
}

static void set_flag(struct mount_options *o, unsigned long flag)
{
	if (flag & MS_ATIME_CHOICE)
		o->flags &= ~MS_ATIME_CHOICE;
	o->flags |= flag;
	o->clear_flags &= ~flag;
	o->remount |= flag == MS_REMOUNT;
}

static void clear_flag(struct mount_options *o, unsigned long flag)
{
	o->flags &= ~flag;
	o->clear_flags |= flag;
}

/*
 * Recursive attributes. mount_setattr(2): the access-time values share the field MOUNT_ATTR__ATIME,
 * which has to be cleared whole whenever it changes; RELATIME is its value 0.
 */
static bool is_atime(uint64_t attr)
{
	return attr == MOUNT_ATTR_RELATIME || attr == MOUNT_ATTR_NOATIME ||
	       attr == MOUNT_ATTR_STRICTATIME;
}

static void rec_set(struct mount_options *o, uint64_t attr)
{
	if (is_atime(attr)) {
		o->rec_attr_clr |= MOUNT_ATTR__ATIME;
		o->rec_attr_set = (o->rec_attr_set & ~(uint64_t)MOUNT_ATTR__ATIME) | attr;
		return;
	}
	o->rec_attr_set |= attr;
	o->rec_attr_clr &= ~attr;
}

static void rec_clear(struct mount_options *o, uint64_t attr)
{
	if (is_atime(attr)) {
		/* Taking back a value that a later word has replaced changes nothing. */
		if ((o->rec_attr_set & MOUNT_ATTR__ATIME) == attr)
			o->rec_attr_set &= ~(uint64_t)MOUNT_ATTR__ATIME;
		o->rec_attr_clr |= MOUNT_ATTR__ATIME;
		return;
	}
	o->rec_attr_set &= ~attr;
	o->rec_attr_clr |= attr;
}

static void apply_bind(struct mount_options *o, unsigned long flags)
{
	o->flags |= flags;
	o->bind = true;
	o->rbind |= (flags & MS_REC) != 0;
}

static void apply_word(struct mount_options *o, const struct word *w)
{
	switch (w->kind) {
	case KIND_SET:
		set_flag(o, (unsigned long)w->value);
		break;
	case KIND_CLEAR:
		clear_flag(o, (unsigned long)w->value);
		break;
	case KIND_PROPAGATION:
		o->propagation = (unsigned long)w->value;
		break;
	case KIND_REC_SET:
		rec_set(o, w->value);
		break;
	case KIND_REC_CLEAR:
		rec_clear(o, w->value);
		break;
	case KIND_BIND:
		apply_bind(o, (unsigned long)w->value);
		break;
	case KIND_SWITCH:
		*(bool *)((char *)o + w->value) = true;
		break;
	case KIND_IDMAP:
		o->idmap = true;
		o->ridmap |= w->value != 0;
		break;
	case KIND_DEFAULTS: /* mount(8): rw, suid, dev, exec, auto, nouser, async: what is so anyway
			     */
	case KIND_DROPPED:
		break;
	}
}

/* "idmap=..." and "ridmap=...", and mount(8)'s words with a value that concern no kernel. */
static int apply_prefixed(struct mount_options *o, const char *text, struct err *err)
{
	const char *spec = str_after(text, "idmap=");
	const bool recursive = !spec && (spec = str_after(text, "ridmap="));

	if (spec) {
		if (!*spec)
			return err_set(err, -EINVAL, "mount option \"%s\" has no mapping", text);
		o->idmap = true;
		o->ridmap |= recursive;
		o->idmap_spec = spec;
		return 1;
	}
	return str_after(text, "x-") || str_after(text, "X-") || str_after(text, "comment=") ? 1
											     : 0;
}

uint64_t mount_flags_to_attr(unsigned long ms_flags)
{
	static const struct {
		unsigned long flag;
		uint64_t attr;
	} rows[] = {
		{ MS_RDONLY, MOUNT_ATTR_RDONLY },
		{ MS_NOSUID, MOUNT_ATTR_NOSUID },
		{ MS_NODEV, MOUNT_ATTR_NODEV },
		{ MS_NOEXEC, MOUNT_ATTR_NOEXEC },
		{ MS_NOATIME, MOUNT_ATTR_NOATIME },
		{ MS_STRICTATIME, MOUNT_ATTR_STRICTATIME },
		{ MS_NODIRATIME, MOUNT_ATTR_NODIRATIME },
		{ MS_RELATIME, MOUNT_ATTR_RELATIME },
		{ MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW },
	};
	uint64_t attr = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (ms_flags & rows[i].flag)
			attr |= rows[i].attr;
	}
	/* Both at once are EINVAL in the field; mount(2) lets "noatime" win. */
	if ((attr & MOUNT_ATTR__ATIME) == (MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME))
		attr &= ~(uint64_t)MOUNT_ATTR_STRICTATIME;
	return attr;
}

static void derive_attrs(struct mount_options *o)
{
	o->attr_set = mount_flags_to_attr(o->flags);
	o->attr_clr = mount_flags_to_attr(o->clear_flags & ~MS_ATIME_CHOICE);
	if ((o->flags | o->clear_flags) & MS_ATIME_CHOICE)
		o->attr_clr |= MOUNT_ATTR__ATIME;
}

int mount_options_parse(const struct oci_strs *options, struct mount_options *ret, struct err *err)
{
	struct mount_options o = { 0 };
	AUTO_BUF struct buf data = { 0 };

	for (size_t i = 0; i < options->len; i++) {
		const char *text = options->items[i];
		const struct word *w;
		int r;

		if (!text || !*text)
			return err_set(err, -EINVAL, "a mount option is empty");
		w = bsearch(text, words, ARRAY_LEN(words), sizeof(words[0]), compare_word);
		if (w) {
			apply_word(&o, w);
			continue;
		}
		r = apply_prefixed(&o, text, err);
		if (r < 0)
			return r;
		if (r == 0) {
			if (data.len > 0)
				(void)buf_puts(&data, ",");
			(void)buf_puts(&data, text);
		}
	}
	if (buf_error(&data) < 0)
		return err_sys(err, buf_error(&data), "mount options");
	derive_attrs(&o);
	o.data = TAKE_PTR(data.data);
	*ret = o;
	return 0;
}

void mount_options_done(struct mount_options *options)
{
	if (!options)
		return;
	free(options->data);
	*options = (struct mount_options){ 0 };
}

const char *const *mount_options_known(void)
{
	static const char *known[ARRAY_LEN(words) + 1];

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		known[i] = words[i].name;
	return known;
}
