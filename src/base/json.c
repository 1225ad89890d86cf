/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/buf.h"
#include "base/fd.h"

void json_setup(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);
	size_t seed = 1;

	if (random)
		memcpy(&seed, random, sizeof(seed));
	json_object_seed(seed ? seed : 1);
}

int json_parse(const char *text, size_t len, const char *name, json_t **ret, struct err *err)
{
	json_error_t problem;
	json_t *value;

	value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &problem);
	if (!value) {
		const int code = json_error_code(&problem) == json_error_out_of_memory ? -ENOMEM :
											 -EINVAL;

		return err_set(err, code, "%s:%d:%d: %s", name, problem.line, problem.column,
			       problem.text);
	}
	*ret = value;
	return 0;
}

int json_read_file(int dirfd, const char *path, size_t max_bytes, json_t **ret, struct err *err)
{
	AUTO_BUF struct buf text = { .max = max_bytes };
	int r = fd_read_file(dirfd, path, &text);

	if (r < 0)
		return err_sys(err, r, "open %s", path);
	return json_parse(text.data ? text.data : "", text.len, path, ret, err);
}

int json_replace_file(int dirfd, const char *path, const json_t *value, size_t flags,
		      struct err *err)
{
	AUTO_FREE char *text = NULL;
	int r;

	text = json_dumps(value, flags);
	if (!text)
		return err_sys(err, -ENOMEM, "write %s", path);
	r = fd_replace_file(dirfd, path, text, strlen(text), 0600);
	if (r < 0)
		return err_sys(err, r, "write %s", path);
	return 0;
}
