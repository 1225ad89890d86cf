/* SPDX-License-Identifier: Apache-2.0 */
#include "install/block.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/str.h"

#define BEGIN "# BEGIN caisson"
#define END   "# END caisson"
#define SAYS  ": written by \"caisson install\", taken away by \"caisson uninstall\""

#define BEGIN_LINE_MAX 256 /* bytes */

static const char *const kind_names[] = { "file", "part", "joined" };

/* The line from `at`, without its newline. */
static size_t line_len(const char *text, size_t len, size_t at)
{
	const char *newline = memchr(text + at, '\n', len - at);

	return newline ? (size_t)(newline - text) - at : len - at;
}

static bool begins(const char *line, size_t len, const char *word)
{
	const size_t n = strlen(word);

	/* A longer word is another tool's. */
	return len >= n && memcmp(line, word, n) == 0 && (len == n || line[n] == ' ');
}

/* Kind and sum of the first comment; a line that was edited has no sum that fits. */
static void read_begin(const char *line, size_t len, struct block *ret, uint64_t *ret_sum)
{
	char copy[BEGIN_LINE_MAX], kind[8];
	unsigned int dirs = 0;
	uint64_t said;

	ret->kind = BLOCK_PART;
	ret->dirs = 0;
	*ret_sum = 0;
	if (len >= sizeof(copy))
		return;
	memcpy(copy, line, len);
	copy[len] = '\0';
	if (sscanf(copy, BEGIN " (%7[a-z], sum %16" SCNx64 ", dirs %4u)", kind, &said, &dirs) < 2)
		return;
	for (size_t i = 0; i < ARRAY_LEN(kind_names); i++) {
		if (str_eq(kind, kind_names[i])) {
			ret->kind = (enum block_kind)i;
			ret->dirs = ret->kind == BLOCK_FILE ? dirs : 0;
			*ret_sum = said;
		}
	}
}

static int bad(const char *name, unsigned int line, const char *what, struct err *err)
{
	return err_set(err, -EBADMSG, "%s:%u: %s", name, line, what);
}

int block_find(const char *text, size_t len, const char *name, struct block *ret, struct err *err)
{
	unsigned int line = 1, first = 0;
	struct block found = { 0 };
	uint64_t said = 0;
	size_t body = 0;
	bool whole = false;

	for (size_t at = 0; at < len; line++) {
		const size_t n = line_len(text, len, at);
		const size_t next = at + n < len ? at + n + 1 : len;

		if (begins(text + at, n, BEGIN)) {
			if (first)
				return bad(name, line, "lines of caisson install begin twice", err);
			first = line;
			found.start = at;
			body = next;
			read_begin(text + at, n, &found, &said);
		} else if (begins(text + at, n, END)) {
			if (!first || whole)
				return bad(name, line,
					   "lines of caisson install end that did not begin", err);
			whole = true;
			found.end = next;
			found.intact = hash64(HASH64_BEGIN, text + body, at - body) == said;
		}
		at = next;
	}
	if (first && !whole)
		return bad(name, first, "lines of caisson install begin that do not end", err);
	if (!first)
		return 0;
	if (found.kind == BLOCK_JOINED && found.start > 0)
		found.start--;
	*ret = found;
	return 1;
}

static void append_block(struct buf *out, const struct block *block, const char *body)
{
	if (block->kind == BLOCK_JOINED)
		buf_puts(out, "\n");
	buf_printf(out, BEGIN " (%s, sum %016" PRIx64, kind_names[block->kind],
		   hash64(HASH64_BEGIN, body, strlen(body)));
	if (block->dirs > 0)
		buf_printf(out, ", dirs %u", block->dirs);
	buf_printf(out, ")" SAYS "\n%s" END "\n", body);
}

int block_put(const struct buf *text, const char *name, const char *body, unsigned int new_file,
	      struct buf *ret, struct err *err)
{
	const size_t len = text->len;
	struct block old = { .start = len, .end = len, .kind = BLOCK_PART };
	int r = block_find(text->data, len, name, &old, err);

	if (r < 0)
		return r;
	if (r == 0 && new_file) {
		old.kind = BLOCK_FILE;
		old.dirs = new_file - 1;
	} else if (r == 0 && len > 0 && text->data[len - 1] != '\n') {
		old.kind = BLOCK_JOINED;
	}
	buf_append(ret, text->data, old.start);
	append_block(ret, &old, body);
	if (len > old.end)
		buf_append(ret, text->data + old.end, len - old.end);
	r = buf_error(ret);
	return r < 0 ? err_sys(err, r, "%s", name) : 0;
}

int block_cut(const struct buf *text, const char *name, struct buf *ret, struct err *err)
{
	struct block old = { .start = text->len, .end = text->len };
	const int found = block_find(text->data, text->len, name, &old, err);
	int r;

	if (found < 0)
		return found;
	/* What somebody has written behind the block stays a line of its own. */
	if (found == 1 && old.kind == BLOCK_JOINED && old.start > 0 && old.end < text->len)
		old.start++;
	buf_append(ret, text->data, old.start);
	if (text->len > old.end)
		buf_append(ret, text->data + old.end, text->len - old.end);
	r = buf_error(ret);
	return r < 0 ? err_sys(err, r, "%s", name) : found;
}
