/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"

/*
 * jansson 2.14 drops errors of its growing buffers: for want of memory the scanner runs past the
 * end of its text and the writer leaves out what it could not append. So while one of them works an
 * allocation does not fail: it is served from the reserve, and the result is thrown away
 * afterwards.
 */
static struct {
	bool open;
	bool used;
	size_t len;
	_Alignas(max_align_t) char bytes[256 * 1024];
} reserve;

static bool in_reserve(const void *p)
{
	return (uintptr_t)p - (uintptr_t)reserve.bytes < sizeof(reserve.bytes);
}

static void *json_malloc(size_t size)
{
	void *p = malloc(size);
	const size_t whole = (size + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);

	if (p || !reserve.open || whole < size)
		return p;
	reserve.used = true;
	/* Reading or writing a document leaves nothing half done: a place where one may give up. */
	if (whole > sizeof(reserve.bytes) - reserve.len) {
		log_error("JSON: %s", strerrordesc_np(ENOMEM));
		_exit(EXIT_FAILURE);
	}
	p = reserve.bytes + reserve.len;
	reserve.len += whole;
	return p;
}

static void reserve_open(void)
{
	reserve.open = true;
	reserve.used = false;
	reserve.len = 0;
}

/* True if there was not enough memory: what was made since reserve_open() must not be used. */
static bool reserve_close(void)
{
	reserve.open = false;
	return reserve.used;
}

static void json_free(void *p)
{
	if (!in_reserve(p))
		free(p);
}

void json_setup(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);
	size_t seed = 1;

	if (random)
		memcpy(&seed, random, sizeof(seed));
	json_object_seed(seed ? seed : 1);
	json_set_alloc_funcs(json_malloc, json_free);
}

int json_parse(const char *text, size_t len, const char *name, json_t **ret, struct err *err)
{
	json_error_t problem;
	json_t *value;

	reserve_open();
	value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &problem);
	if (reserve_close()) {
		json_decref(value);
		return err_sys(err, -ENOMEM, "%s", name);
	}
	if (!value) {
		const int code =
			json_error_code(&problem) == json_error_out_of_memory ? -ENOMEM : -EINVAL;

		return err_set(err, code, "%s:%d:%d: %s", name, problem.line, problem.column,
			       problem.text);
	}
	*ret = value;
	return 0;
}

char *json_text(const json_t *value, size_t flags)
{
	char *text;

	reserve_open();
	text = json_dumps(value, flags);
	if (!reserve_close())
		return text;
	json_free(text);
	return NULL;
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

	text = json_text(value, flags);
	if (!text)
		return err_sys(err, -ENOMEM, "write %s", path);
	r = fd_replace_file(dirfd, path, text, strlen(text), 0600);
	if (r < 0)
		return err_sys(err, r, "write %s", path);
	return 0;
}
