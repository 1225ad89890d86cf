/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"

#define BLOCK 512

/* The header block; numbers are octal text. */
struct ustar {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char user[32];
	char group[32];
	char dev_major[8];
	char dev_minor[8];
	char prefix[155];
	char pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a header is one block");

static bool has_dotdot(const char *name)
{
	for (const char *part = name; part;
	     part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
		if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || part[2] == '\0'))
			return true;
	}
	return false;
}

/* Fields are not NUL-terminated when full, so memcpy and not a string function. */
static bool split_name(struct ustar *h, const char *name)
{
	const size_t len = strlen(name);

	if (len <= sizeof(h->name)) {
		memcpy(h->name, name, len);
		return true;
	}
	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		const size_t before = (size_t)(slash - name);
		const size_t after = len - before - 1;

		if (before <= sizeof(h->prefix) && after > 0 && after <= sizeof(h->name)) {
			memcpy(h->prefix, name, before);
			memcpy(h->name, slash + 1, after);
			return true;
		}
	}
	return false;
}

static void octal(char *field, size_t size, uint64_t value)
{
	field[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
}

static void fill_checksum(struct ustar *h)
{
	const unsigned char *bytes = (const unsigned char *)h;
	unsigned int sum = 0;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += bytes[i];
	octal(h->checksum, sizeof(h->checksum) - 1, sum);
}

static int fill_header(const struct tar *tar, const char *name, size_t len, struct ustar *h,
		       struct err *err)
{
	if (name[0] == '\0' || name[0] == '/' || has_dotdot(name) || !split_name(h, name))
		return err_set(err, -EINVAL, "archive: a member cannot be called \"%.100s\"", name);
	if (len >= TAR_FILE_MAX)
		return err_set(err, -EFBIG, "archive: %s is too large", name);
	octal(h->mode, sizeof(h->mode), 0600);
	octal(h->uid, sizeof(h->uid), 0);
	octal(h->gid, sizeof(h->gid), 0);
	octal(h->size, sizeof(h->size), len);
	octal(h->mtime, sizeof(h->mtime), tar->mtime > 0 ? (uint64_t)tar->mtime : 0);
	octal(h->dev_major, sizeof(h->dev_major), 0);
	octal(h->dev_minor, sizeof(h->dev_minor), 0);
	h->type = '0';
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memcpy(h->user, "root", 4);
	memcpy(h->group, "root", 4);
	fill_checksum(h);
	return 0;
}

static int put(struct tar *tar, const void *bytes, size_t len, struct err *err)
{
	const int r = fd_write_all(tar->fd, bytes, len);

	if (r < 0)
		return err_sys(err, r, "write the archive");
	tar->bytes += len;
	return 0;
}

int tar_add(struct tar *tar, const char *name, const void *bytes, size_t len, struct err *err)
{
	static const char zeros[BLOCK];
	const size_t rest = len % BLOCK;
	struct ustar h = { 0 };
	int r = fill_header(tar, name, len, &h, err);

	if (r < 0)
		return r;
	if (tar->max && tar->bytes + len + 4 * (uint64_t)BLOCK > tar->max)
		return err_set(err, -ENOSPC, "archive: no room for %s", name);
	r = put(tar, &h, sizeof(h), err);
	if (r == 0 && len > 0)
		r = put(tar, bytes, len, err);
	if (r == 0 && rest)
		r = put(tar, zeros, BLOCK - rest, err);
	return r;
}

int tar_finish(struct tar *tar, struct err *err)
{
	static const char zeros[2 * BLOCK];

	return put(tar, zeros, sizeof(zeros), err);
}
