/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers of ids.h: subuid(5) files, uid_map, and the text of the mount option "idmap=". */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/ids.h"

#include <fcntl.h>

#define NUMBER_TEXT_MAX 24

/* A decimal number that fills [text, text + len). */
static int number_in(const char *text, size_t len, uint64_t max, uint64_t *ret)
{
	char copy[NUMBER_TEXT_MAX];

	if (len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return strlen(copy) == len ? str_to_u64(copy, max, ret) : -EINVAL;
}

/* "name:first:count"; true when it is well formed and `name` is the user or the number. */
static bool subid_line(const char *line, size_t len, const char *user, struct ids_range *ret)
{
	const char *end = line + len;
	const char *first = memchr(line, ':', len);
	const char *count = first ? memchr(first + 1, ':', (size_t)(end - first - 1)) : NULL;
	uint64_t first_id, ids;

	if (!count || (size_t)(first - line) != strlen(user) ||
	    memcmp(line, user, strlen(user)) != 0)
		return false;
	if (number_in(first + 1, (size_t)(count - first - 1), UINT32_MAX, &first_id) < 0 ||
	    number_in(count + 1, (size_t)(end - count - 1), UINT32_MAX, &ids) < 0)
		return false;
	if (ids == 0 || first_id + ids - 1 > UINT32_MAX - 1) /* (uid_t)-1 is no id */
		return false;
	*ret = (struct ids_range){ .first = (uint32_t)first_id, .count = (uint32_t)ids };
	return true;
}

size_t ids_subid_parse(const char *text, size_t len, const char *user, struct ids_range *ret,
		       size_t max)
{
	size_t found = 0;

	if (!*user)
		return 0;
	while (len > 0 && found < max) {
		const char *newline = memchr(text, '\n', len);
		const size_t line_len = newline ? (size_t)(newline - text) : len;

		if (subid_line(text, line_len, user, &ret[found]))
			found++;
		text += line_len + (newline != NULL);
		len -= line_len + (newline != NULL);
	}
	return found;
}

/* The name of a user id from a passwd(5) file: no name service in a static program. */
static void user_name(uid_t uid, char name[static 64])
{
	AUTO_BUF struct buf text = { .max = IDS_SUBID_FILE_MAX };
	const char *line;

	*name = '\0';
	if (fd_read_file(AT_FDCWD, "/etc/passwd", &text) < 0 || !text.data)
		return;
	for (line = text.data; line && *line; line = strchr(line, '\n')) {
		const char *colon, *id, *end;
		uint64_t number;

		line += *line == '\n';
		colon = strchr(line, ':');
		id = colon ? strchr(colon + 1, ':') : NULL;
		end = id ? strchr(id + 1, ':') : NULL;
		if (!end)
			return;
		if (number_in(id + 1, (size_t)(end - id - 1), UINT32_MAX, &number) == 0 &&
		    number == uid && colon - line < 64) {
			memcpy(name, line, (size_t)(colon - line));
			name[colon - line] = '\0';
			return;
		}
	}
}

int ids_subid_ranges(const char *path, uid_t uid, struct ids_range *ret, size_t max,
		     struct err *err)
{
	AUTO_BUF struct buf text = { .max = IDS_SUBID_FILE_MAX };
	char name[64], number[NUMBER_TEXT_MAX];
	size_t found;
	int r;

	r = fd_read_file(AT_FDCWD, path, &text);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_sys(err, r, "read %s", path);
	if (!text.data)
		return 0;
	if (max > IDS_SUBID_RANGES_MAX)
		max = IDS_SUBID_RANGES_MAX;
	user_name(uid, name);
	(void)snprintf(number, sizeof(number), "%u", (unsigned int)uid);
	found = ids_subid_parse(text.data, text.len, name, ret, max);
	found += ids_subid_parse(text.data, text.len, number, ret + found, max - found);
	return (int)found;
}

bool ids_outside(const char *map, uint32_t inside, uint32_t *ret)
{
	unsigned int first, outside, size;

	for (const char *line = map; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%u %u %u", &first, &outside, &size) != 3 || inside < first ||
		    inside - first >= size)
			continue;
		/* The first of a range that the reader's namespace has not is (uid_t)-1. */
		if (outside > UINT32_MAX - 1 - (inside - first))
			return false;
		*ret = outside + (inside - first);
		return true;
	}
	return false;
}

/* "[@]container-host-size"; *text moves behind it. */
static int one_mount_map(const char **text, struct oci_id_map *ret, bool *ret_relative)
{
	uint32_t *const parts[] = { &ret->container_id, &ret->host_id, &ret->size };
	const char *p = *text;

	*ret_relative = *p == '@';
	p += *p == '@';
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const size_t digits = strspn(p, "0123456789");
		uint64_t number;

		if (i > 0 && (p == *text || p[-1] != '-'))
			return -EINVAL;
		if (number_in(p, digits, UINT32_MAX, &number) < 0)
			return -EINVAL;
		*parts[i] = (uint32_t)number;
		p += digits + (i + 1 < ARRAY_LEN(parts) && p[digits] == '-');
	}
	if (ret->size == 0 || ret->host_id > UINT32_MAX - ret->size ||
	    ret->container_id > UINT32_MAX - ret->size)
		return -EINVAL;
	*text = p;
	return 0;
}

static int mount_map_list(const char **text, struct oci_id_map *maps, bool *relative, size_t *len)
{
	for (;;) {
		int r;

		if (*len == ARRAY_LEN(((struct ids_mount_maps *)NULL)->uids))
			return -E2BIG;
		r = one_mount_map(text, &maps[*len], &relative[*len]);
		if (r < 0)
			return r;
		(*len)++;
		if (**text != '#')
			return 0;
		(*text)++;
	}
}

int ids_parse_mount_maps(const char *text, struct ids_mount_maps *ret, struct err *err)
{
	struct ids_mount_maps maps = { 0 };
	const char *p = text;
	int r = 0;

	while (r == 0 && *p) {
		const char *uids = str_after(p, "uids="), *gids = str_after(p, "gids=");

		p = uids ? uids : gids;
		if (uids && maps.uids_len == 0)
			r = mount_map_list(&p, maps.uids, maps.uids_relative, &maps.uids_len);
		else if (gids && maps.gids_len == 0)
			r = mount_map_list(&p, maps.gids, maps.gids_relative, &maps.gids_len);
		else
			r = -EINVAL;
		if (r == 0 && *p == ';')
			p++;
		else if (r == 0 && *p)
			r = -EINVAL;
	}
	if (r == 0 && (maps.uids_len == 0 || maps.gids_len == 0))
		r = -EINVAL;
	if (r < 0)
		return err_sys(err, r, "mount option idmap: \"%s\"", text);
	*ret = maps;
	return 0;
}
