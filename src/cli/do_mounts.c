/* SPDX-License-Identifier: Apache-2.0 */
/* cli/do_mounts.c - the host's mounts as `caisson do` sees them; no side effects. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/do_tree.h"

static bool below(const char *path, const char *dir)
{
	const char *rest;

	if (str_eq(dir, "/"))
		return path[0] == '/';
	rest = str_after(path, dir);
	return rest && (*rest == '/' || *rest == '\0');
}

bool do_path_fresh(const char *path)
{
	static const char *const fresh[] = { "/proc", "/sys", "/dev", "/run", "/tmp" };

	for (size_t i = 0; i < ARRAY_LEN(fresh); i++) {
		if (below(path, fresh[i]))
			return true;
	}
	return false;
}

bool do_mount_shown(const struct do_mount *mount)
{
	static const char *const types[] = { "ext2",  "ext3",	  "ext4",     "xfs",	  "btrfs",
					     "zfs",   "f2fs",	  "bcachefs", "vfat",	  "exfat",
					     "ntfs3", "iso9660",  "squashfs", "erofs",	  "nfs",
					     "nfs4",  "cifs",	  "9p",	      "virtiofs", "ubifs",
					     "jfs",   "reiserfs", "udf" };

	if (str_eq(mount->path, "/"))
		return true;
	if (do_path_fresh(mount->path))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (str_eq(mount->type, types[i]))
			return true;
	}
	return false;
}

const struct do_mount *do_mounts_holding(const struct do_mounts *mounts, const char *path)
{
	const struct do_mount *best = NULL;

	for (size_t i = 0; i < mounts->len; i++) {
		const struct do_mount *mount = &mounts->items[i];

		if (below(path, mount->path) &&
		    (!best || strlen(mount->path) >= strlen(best->path)))
			best = mount;
	}
	return best;
}

/* "\040" and its kin: how the kernel writes blanks, tabs, newlines and backslashes. */
static void unescape(char *path)
{
	char *to = path;

	for (const char *s = path; *s; to++) {
		const bool octal = s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
				   s[2] <= '7' && s[3] >= '0' && s[3] <= '7';

		if (octal) {
			*to = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*to = *s++;
		}
	}
	*to = '\0';
}

/* The fifth field is the mount point, the type follows " - ". Both are cut out of the line. */
static bool parse_line(char *line, struct do_mount *ret)
{
	char *dash = strstr(line, " - ");
	char *field = line;

	if (!dash)
		return false;
	ret->type = dash + 3;
	ret->type[strcspn(ret->type, " ")] = '\0';
	for (int i = 0; i < 4; i++) {
		field = strchr(field, ' ');
		if (!field || field >= dash)
			return false;
		field++;
	}
	if (*field != '/')
		return false;
	field[strcspn(field, " ")] = '\0';
	unescape(field);
	ret->path = field;
	return true;
}

int do_mounts_parse(char *text, struct do_mounts *ret)
{
	struct do_mounts mounts = { .text = text };
	size_t lines = 1;
	char *next;

	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	mounts.items = calloc(lines, sizeof(*mounts.items));
	if (!mounts.items) {
		free(text);
		return -ENOMEM;
	}
	for (char *line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		mounts.len += parse_line(line, &mounts.items[mounts.len]);
	}
	*ret = mounts;
	return 0;
}

void do_mounts_done(struct do_mounts *mounts)
{
	free(mounts->items);
	free(mounts->text);
	*mounts = (struct do_mounts){ 0 };
}
